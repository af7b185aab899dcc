#!/bin/sh
# A host on which ops gives a password for sudo.
# inventory: ssh.sudo_password: file:$LAB_FOLDER/sudo-password

set -eu
printf 'ops:%s\n' "$LAB_SUDO_PASSWORD" | chpasswd
echo 'ops ALL=(ALL) ALL' >/etc/sudoers.d/ops
chmod 440 /etc/sudoers.d/ops
