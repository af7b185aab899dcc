# NVSwitches are bridges of NVIDIA on the PCI bus.
for device in /sys/bus/pci/devices/*; do
    [ -e "$device/vendor" ] && read -r vendor <"$device/vendor" && read -r class <"$device/class" &&
        case $vendor$class in 0x10de0x0680*) echo switch ;; esac
done
[ -d /run/systemd/system ] &&
    systemctl show --property=LoadState --property=ActiveState nvidia-fabricmanager.service
command -v nv-fabricmanager >/dev/null && nv-fabricmanager --version 2>&1 | head -n 5
