# The driver's packages that apt would replace; apt-cache must not write its cache anew.
if command -v unattended-upgrade >/dev/null; then
    apt-config dump APT::Periodic::Unattended-Upgrade
fi
# shellcheck disable=SC2016
packages=$(dpkg-query -W -f='${db:Status-Abbrev} ${Package}\n' 'nvidia-driver*' 'nvidia-dkms-*' \
    'nvidia-kernel-*' 'nvidia-utils-*' 'libnvidia-*' 'libcuda1' 'cuda-drivers*' \
    'linux-modules-nvidia-*' | sed -n 's/^ii  *//p' | grep -v '^libnvidia-container' | sort -u | head -n 100)
# Those that unattended upgrades leave alone; a pattern that is beyond grep leaves out nothing.
kept=$(apt-config dump Unattended-Upgrade::Package-Blacklist |
    sed -n 's/^Unattended-Upgrade::Package-Blacklist:: "\(..*\)";$/^(\1)/p')
[ -n "$kept" ] && left=$(
    printf '%s\n' "$packages" | grep -v -E -e "$kept"
    [ $? -lt 2 ]
) && packages=$left
[ -z "$packages" ] && exit 0
# shellcheck disable=SC2086
apt-cache -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= policy $packages |
    grep -E -e '^[^ ]' -e '^  (Installed|Candidate):'
