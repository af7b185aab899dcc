# A Debian host that calls itself Rocky Linux 9.6, with dnf and an rpm database of its own (a DISGUISE: its files stay Debian's).
# packages: createrepo-c curl dnf gnupg rpm
set -eu
cat >/usr/lib/os-release <<'RELEASE'
NAME="Rocky Linux"
VERSION="9.6 (Blue Onyx)"
ID="rocky"
ID_LIKE="rhel centos fedora"
VERSION_ID="9.6"
PLATFORM_ID="platform:el9"
PRETTY_NAME="Rocky Linux 9.6 (Blue Onyx)"
RELEASE
mkdir -p /etc/yum.repos.d /etc/pki/rpm-gpg
cat >/etc/dnf/dnf.conf <<'CONF'
[main]
gpgcheck=1
installonly_limit=3
clean_requirements_on_remove=True
best=True
skip_if_unavailable=False
CONF
! rpm -q rocky-release >/dev/null 2>&1 || exit 0

# What Rocky's own packages would provide stands in the rpm database; the files are Debian's.
# `site-agent` is somebody's package that is in Docker's way, `runc` what Podman brings along.
work=$(mktemp -d)
repository=/usr/share/lab-el9
package() { # NAME VERSION [LINE...]
    name=$1 version=$2
    shift 2
    {
        printf '%s\n' "Name: $name" "Version: $version" 'Release: 1.el9' 'Summary: lab stand-in' \
            'License: none' 'BuildArch: noarch' 'AutoReqProv: no' "$@" '%description' 'lab stand-in' \
            '%install' "mkdir -p %{buildroot}/usr/share/lab && echo $version >%{buildroot}/usr/share/lab/$name" \
            '%files' "/usr/share/lab/$name"
    } >"$work/$name.spec"
    rpmbuild -bb --quiet --define "_topdir $work" --define "_rpmdir $repository" \
        --define 'debug_package %{nil}' "$work/$name.spec" >/dev/null 2>&1
}
package rocky-release 9.6 'Provides: system-release = 9.6' 'Provides: system-release(releasever) = 9' \
    'Provides: /bin/sh' 'Provides: systemd' 'Provides: iptables' 'Provides: container-selinux'
package ca-certificates 2025.2
package runc 1.2.5
package site-agent 1.0 'Conflicts: docker-ce-cli'
rm -rf "$work"
rpm -i "$repository"/noarch/rocky-release-*.rpm
createrepo_c --quiet "$repository"
cat >/etc/yum.repos.d/rocky.repo <<REPO
[baseos]
name=Rocky Linux - BaseOS (lab)
baseurl=file://$repository
gpgcheck=0
REPO
