#!/bin/sh
# A host whose sudo wants a terminal, and lectures whoever it asks for a password.

set -eu
printf 'Defaults requiretty\nDefaults lecture=always\n' >/etc/sudoers.d/requiretty
chmod 440 /etc/sudoers.d/requiretty
