# Of each Xid and GPU the last line; of other troubles the last few.
log=dmesg
dmesg >/dev/null 2>&1 || log='journalctl -k -b -q --no-pager'
$log >/dev/null 2>&1 && echo readable
said() { $log 2>/dev/null | cut -c 1-400; }
said | sed -n 's/.*NVRM: Xid (\([^ )]*\)[^)]*): *\([0-9][0-9]*\).*/\2=\1 &/p' | sort -s -k 1,1 |
    sed '$!N; /^\([^ ]*\) .*\n\1 /!P; D' | head -n 200 | sed 's/^[^ ]* /xid /'
said | grep -E 'Killed process [0-9]+ ' | tail -n 20 | sed 's/^/oom /'
said | grep -E -e 'I/O error' -e '[Rr]emounting filesystem read-only' -e 'EXT4-fs error' \
    -e 'XFS .*(Corruption|[Ss]hutting down)' | grep -v -E -e ' (fd|sr|loop)[0-9]' |
    tail -n 20 | sed 's/^/disk /'
command -v modinfo >/dev/null && modinfo -F version nvidia 2>/dev/null | head -n 1 | sed 's/^/module /'
variable=/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c
if [ ! -d /sys/firmware/efi ]; then
    echo 'boot disabled'
elif [ -r "$variable" ]; then
    [ "$(tail -c 1 "$variable" | od -A n -t u1 | tr -d ' ')" = 1 ] && echo 'boot enabled' || echo 'boot disabled'
elif command -v mokutil >/dev/null; then
    echo "boot $(mokutil --sb-state 2>&1 | head -n 1)"
fi
