#!/bin/sh
# A host whose sudo is sudo-rs, as on Ubuntu since 25.10; Debian's package stands beside sudo.

set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install -y --no-install-recommends sudo-rs
if ! dpkg-divert --list /usr/bin/sudo | grep -q .; then
    dpkg-divert --add --rename --divert /usr/bin/sudo.ws /usr/bin/sudo
fi
ln -sfn ../lib/cargo/bin/sudo /usr/bin/sudo
