# What a granted key runs as the login user, whatever it asks for: the end of one of the files.
# Before this stands `set -- FILE …`; the request is a file's number and the offset to begin at.
export LC_ALL=C
peer_refuse() {
    echo "provision: refused" >&2
    exit 64
}
case ${SSH_ORIGINAL_COMMAND-} in
    *[!0123456789' ']* | *' '*' '* | ' '* | *' ') peer_refuse ;;
    *' '*) ;;
    *) peer_refuse ;;
esac
peer_number=${SSH_ORIGINAL_COMMAND%' '*}
peer_offset=${SSH_ORIGINAL_COMMAND#*' '}
case $peer_number in 0?*) peer_refuse ;; esac # sh would compute with it as octal
case $peer_offset in 0?*) peer_refuse ;; esac
[ ${#peer_number} -le 6 ] && [ ${#peer_offset} -le 15 ] && [ "$peer_number" -lt $# ] || peer_refuse
shift "$peer_number"
if [ -r "$1" ]; then exec tail -c "+$((peer_offset + 1))" -- "$1"; fi
exec sudo -n tail -c "+$((peer_offset + 1))" -- "$1"
