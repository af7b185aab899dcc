# A node of Kubernetes (a STAND-IN: a unit and a program named kubelet, which does nothing).
set -eu
cat >/usr/bin/kubelet <<'KUBELET'
#!/bin/sh
[ "${1-}" != --version ] || { echo 'Kubernetes v1.34.2'; exit; }
exec sleep infinity
KUBELET
chmod 755 /usr/bin/kubelet
cat >/etc/systemd/system/kubelet.service <<'UNIT'
[Unit]
Description=kubelet: a stand-in of the lab

[Service]
ExecStart=/usr/bin/kubelet
Restart=always

[Install]
WantedBy=multi-user.target
UNIT
systemctl enable --quiet --now kubelet.service
