# A host on which Podman stands in for Docker (a STAND-IN: the package's name and command, without Podman).
set -eu
[ "$(dpkg-query -W -f='${db:Status-Abbrev}' podman-docker 2>/dev/null)" != 'ii ' ] || exit 0
tree=$(mktemp -d)
mkdir -p "$tree/DEBIAN" "$tree/usr/bin"
chmod 755 "$tree"
cat >"$tree/DEBIAN/control" <<'CONTROL'
Package: podman-docker
Version: 5.4.2+stand-in
Architecture: all
Maintainer: provision lab <lab@lab.invalid>
Description: lab stand-in for podman-docker
CONTROL
cat >"$tree/usr/bin/docker" <<'DOCKER'
#!/bin/sh
echo 'Emulate Docker CLI using podman. Create /etc/containers/nodocker to quiet msg.' >&2
case ${1-} in
    --version | version) echo 'podman version 5.4.2' ;;
    *) echo 'Error: this is a lab stand-in for podman' >&2; exit 125 ;;
esac
DOCKER
chmod 755 "$tree/usr/bin/docker"
dpkg-deb --build --root-owner-group "$tree" "$tree.deb" >/dev/null
dpkg -i "$tree.deb" >/dev/null
rm -rf "$tree" "$tree.deb"
