#!/bin/sh
# A host whose sshd listens on port 2222 only.
# inventory: ssh.port: 2222

set -eu
echo 'Port 2222' >/etc/ssh/sshd_config.d/port.conf
systemctl restart ssh.service
