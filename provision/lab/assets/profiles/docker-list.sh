# A host with older sources of Docker's packages under another keyring, beside sources of its own.
set -eu
# shellcheck disable=SC1091  # every host has its own
. /etc/os-release
sources=/etc/apt/sources.list.d
keyring=/etc/apt/keyrings/docker.asc
old="[arch=$(dpkg --print-architecture) signed-by=$keyring]"
mkdir -p /etc/apt/keyrings /srv/site /srv/more
/usr/lib/apt/apt-helper download-file "https://download.docker.com/linux/$ID/gpg" "$keyring" >/dev/null
chmod 644 "$keyring"
cat >"$sources/docker.list" <<LIST
# Docker's own instructions of some years ago
deb $old https://download.docker.com/linux/$ID $VERSION_CODENAME stable
# deb-src $old https://download.docker.com/linux/$ID $VERSION_CODENAME stable
LIST
# The same repository as ours under another keyring: apt refuses to read the two beside each other.
cat >"$sources/docker.sources" <<SOURCES
Types: deb
URIs: https://mirrors.tuna.tsinghua.edu.cn/docker-ce/linux/$ID
Suites: $VERSION_CODENAME
Components: stable
Signed-By: $keyring
SOURCES
: >/srv/site/Packages
: >/srv/more/Packages
printf '# the site'\''s own packages\ndeb [trusted=yes lang=none] file:/srv/site ./\n' >"$sources/site.list"
cat >"$sources/site-more.sources" <<'SOURCES'
# A mirror of the site's own; https://download.docker.com/linux/debian came through it once.
Types: deb
URIs: file:/srv/more
Suites: ./
Trusted: yes
Languages: none
SOURCES
printf '# nothing here, see sources.list.d\n' >/etc/apt/sources.list
