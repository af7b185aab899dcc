#!/bin/sh
# A host that lets SSH in from the bastion only, which is the lab's last host.
# inventory: ssh.gateway: ops@$LAB_BASTION

set -eu
cat >/etc/systemd/system/lab-firewall.service <<UNIT
[Unit]
Description=SSH from the bastion only
Before=ssh.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/iptables -I INPUT -p tcp -m multiport --dports 22,2222 ! -s $LAB_BASTION -j DROP
ExecStop=/usr/sbin/iptables -D INPUT -p tcp -m multiport --dports 22,2222 ! -s $LAB_BASTION -j DROP

[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl --quiet enable --now lab-firewall.service
