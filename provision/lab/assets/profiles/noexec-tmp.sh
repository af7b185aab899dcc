#!/bin/sh
# A host on which no program can be run from /tmp and /var/tmp.

set -eu
cat >/etc/systemd/system/lab-noexec.service <<'UNIT'
[Unit]
Description=Nothing is run from /tmp and /var/tmp
DefaultDependencies=no
Before=sysinit.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/mount -o remount,noexec,nosuid,nodev /tmp
ExecStart=/bin/mount --bind /var/tmp /var/tmp
ExecStart=/bin/mount -o remount,bind,noexec,nosuid,nodev /var/tmp

[Install]
WantedBy=sysinit.target
UNIT
systemctl daemon-reload
systemctl --quiet enable --now lab-noexec.service
