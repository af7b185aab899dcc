# Copies files from another host. Exit statuses: 3 that host failed, 4 there is no ssh, 5 we failed.

peer_open() { # TOTAL: the key and the known host are on their way into $peer_dir
    if ! command -v ssh >/dev/null; then exit 4; fi
    umask 022
    peer_total=$1 peer_done=0 peer_child='' peer_printer=''
    find /run/provision -maxdepth 1 -name 'copy.*' -mmin +1440 -exec rm -rf {} + 2>/dev/null || :
    (umask 022 && mkdir -p /run/provision) && peer_dir=$(mktemp -d /run/provision/copy.XXXXXX) || exit 5
    trap peer_close EXIT
    trap 'exit 5' HUP INT TERM
    peer_print &
    peer_printer=$!
}

peer_close() {
    trap '' HUP INT TERM
    for peer_each in $peer_printer $peer_child; do kill "$peer_each" 2>/dev/null || :; done
    [ ! -S "$peer_dir/ssh" ] || ssh -F /dev/null -S "$peer_dir/ssh" -O exit peer 2>/dev/null || :
    rm -rf -- "$peer_dir"
    rmdir /run/provision 2>/dev/null || :
}

peer_print() { # tells each second how far we are; when nobody listens any more, all ends
    trap '' PIPE
    while sleep 1 >/dev/null 2>&1; do
        { read -r peer_done && IFS= read -r peer_new; } 2>/dev/null <"$peer_dir/now" || continue
        peer_here=$(peer_size "$peer_new")
        printf 'progress %s %s\n' $((peer_done + peer_here)) "$peer_total" 2>/dev/null ||
            { kill -TERM $$; exit; }
    done
}

peer_size() { # PATH: its size in bytes, 0 when it is not there
    stat -c %s -- "$1" 2>/dev/null || echo 0
}

peer_ssh() { # COMMAND: one login serves all files
    # shellcheck disable=SC2154  # the caller sets who and where the peer is
    ssh -F /dev/null -oBatchMode=yes -oStrictHostKeyChecking=yes -oUpdateHostKeys=no \
        -oUserKnownHostsFile="$peer_dir/known" -oGlobalKnownHostsFile=/dev/null \
        -oHostKeyAlias=provision-peer -oIdentityFile="$peer_dir/key" -oIdentitiesOnly=yes \
        -oIdentityAgent=none -oLogLevel=ERROR -oConnectTimeout=10 -oServerAliveInterval=15 \
        -oServerAliveCountMax=4 -oCompression=no -oCiphers="$peer_ciphers" -oControlMaster=auto \
        -oControlPath="$peer_dir/ssh" -oControlPersist=60 \
        -l "$peer_user" -p "$peer_port" -- "$peer_address" "$1"
}

peer_copy() { # NUMBER SIZE PATH: bring one file, from where we have it
    if [ -f "$3" ] && [ "$(peer_size "$3")" -eq "$2" ]; then
        peer_done=$((peer_done + $2))
        return 0
    fi
    peer_new=$3.copying
    mkdir -p -- "${3%/*}" || exit 5
    [ "$(peer_size "$peer_new")" -le "$2" ] || rm -f -- "$peer_new" || exit 5
    peer_offset=$(peer_size "$peer_new")
    printf '%s\n%s\n' "$peer_done" "$peer_new" >"$peer_dir/now.new" &&
        mv -f -- "$peer_dir/now.new" "$peer_dir/now" || exit 5
    if [ "$peer_offset" -lt "$2" ]; then
        {
            peer_ssh "$1 $peer_offset" 2>"$peer_dir/said"
            echo $? >"$peer_dir/status"
        } | dd of="$peer_new" bs=1048576 iflag=fullblock oflag=seek_bytes seek="$peer_offset" \
            conv=notrunc status=none &
        peer_child=$!
        wait $peer_child || exit 5
        peer_child=''
        [ "$(cat "$peer_dir/status")" = 0 ] || peer_failed "$(tail -n 1 "$peer_dir/said")"
    elif [ "$2" -eq 0 ]; then
        : >"$peer_new" || exit 5
    fi
    peer_here=$(peer_size "$peer_new")
    [ "$peer_here" -eq "$2" ] || peer_failed "sent $peer_here of $2 bytes"
    sync -- "$peer_new" && mv -f -- "$peer_new" "$3" || exit 5
    peer_done=$((peer_done + $2))
    printf 'progress %s %s\n' "$peer_done" "$peer_total"
}

peer_failed() { # TEXT: the other host is to blame; on stdout, for sudo's name in it is not our sudo
    printf 'peer: %s\n' "$1"
    exit 3
}
