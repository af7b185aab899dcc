#!/bin/sh
# A host on which the login shell of ops is tcsh, with a file that prints.
# packages: tcsh

set -eu
usermod --shell /usr/bin/tcsh ops
echo 'echo Welcome' >/home/ops/.tcshrc
chown ops: /home/ops/.tcshrc
