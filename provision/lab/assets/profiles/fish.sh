#!/bin/sh
# A host on which the login shell of ops is fish, with a file that prints.
# packages: fish

set -eu
usermod --shell /usr/bin/fish ops
mkdir -p /home/ops/.config/fish
echo 'echo Welcome' >/home/ops/.config/fish/config.fish
chown -R ops: /home/ops/.config
