# Of each Xid and GPU the last line; of other troubles the last few. Most hosts have none at one reading.
xid='NVRM: Xid'
killed='Killed process [0-9]+ '
disk='I/O error|[Rr]emounting filesystem read-only|EXT4-fs error|XFS .*(Corruption|[Ss]hutting down)'
if [ "$({ dmesg 2>/dev/null && echo @read; } | grep -E -m 1 -e '^@read$' -e "$xid" -e "$killed" -e "$disk")" = @read ]; then
    echo readable
else
    log=dmesg
    dmesg >/dev/null 2>&1 || log='journalctl -k -b -q --no-pager'
    $log >/dev/null 2>&1 && echo readable
    said() { $log 2>/dev/null | cut -c 1-400; }
    said | sed -n "s/.*$xid (\([^ )]*\)[^)]*): *\([0-9][0-9]*\).*/\2=\1 &/p" | sort -s -k 1,1 |
        sed '$!N; /^\([^ ]*\) .*\n\1 /!P; D' | head -n 200 | sed 's/^[^ ]* /xid /'
    said | grep -E -e "$killed" | tail -n 20 | sed 's/^/oom /'
    said | grep -E -e "$disk" | grep -v -E -e ' (fd|sr|loop)[0-9]' | tail -n 20 | sed 's/^/disk /'
fi
if [ -e /sys/module/nvidia ] || command -v nvidia-smi >/dev/null; then
    modinfo -F version nvidia 2>/dev/null | head -n 1 | sed 's/^/module /'
fi
variable=/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c
if [ ! -d /sys/firmware/efi ]; then
    echo 'boot disabled'
elif [ -r "$variable" ]; then
    [ "$(tail -c 1 "$variable" | od -A n -t u1 | tr -d ' ')" = 1 ] && echo 'boot enabled' || echo 'boot disabled'
elif command -v mokutil >/dev/null; then
    echo "boot $(mokutil --sb-state 2>&1 | head -n 1)"
fi
