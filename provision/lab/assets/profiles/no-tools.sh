#!/bin/sh
# A host without curl, wget, GnuPG and certificate authorities.

set -eu
export DEBIAN_FRONTEND=noninteractive
installed=$(dpkg-query -W -f='${Package} ' curl wget gnupg ca-certificates 2>/dev/null) || :
# shellcheck disable=SC2086  # names, split on purpose
[ -z "$installed" ] || apt-get -qq purge -y $installed
