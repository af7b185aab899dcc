# A host with Docker from the snap store (a STAND-IN: the place where snap puts the command, without snapd).
set -eu
mkdir -p /snap/bin
cat >/snap/bin/docker <<'DOCKER'
#!/bin/sh
[ "${1-}" != --version ] || { echo 'Docker version 28.4.0, build d8eb465'; exit; }
echo 'a lab stand-in for Docker from the snap store' >&2
exit 1
DOCKER
chmod 755 /snap/bin/docker
