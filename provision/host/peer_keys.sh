# A serving host's authorized_keys: lines of ours come and go, all others stay byte by byte.

peer_file() { # sets peer_home, and peer_file to the login user's authorized_keys, made if missing
    unset TZ # sshd has none
    peer_user=${SUDO_USER:-root}
    peer_home=$(getent passwd "$peer_user" | cut -d: -f6)
    if [ ! -d "$peer_home" ]; then echo "provision: $peer_user has no home folder" >&2; return 1; fi
    # Two controllers take turns; where there is no flock they have to be lucky.
    exec 9<"$peer_home"
    ! command -v flock >/dev/null || flock -w 30 9 || return 1
    peer_group=$(id -g "$peer_user")
    [ -d "$peer_home/.ssh" ] ||
        install -d -m 700 -o "$peer_user" -g "$peer_group" -- "$peer_home/.ssh" || return 1
    peer_file=$(readlink -f -- "$peer_home/.ssh/authorized_keys") || return 1
    [ -e "$peer_file" ] ||
        install -m 600 -o "$peer_user" -g "$peer_group" -- /dev/null "$peer_file"
}

peer_rewrite() { # SED [LINE]: what SED deletes goes, LINE comes; owner, mode and labels stay
    peer_new=$peer_file.provision-new
    rm -f -- "$peer_new"
    if cp -a -- "$peer_file" "$peer_new" && sed -e "$1" -- "$peer_file" >"$peer_new" &&
        { [ -z "${2-}" ] || {
            [ -z "$(tail -c 1 -- "$peer_new")" ] || echo >>"$peer_new" # no newline at the end
            printf '%s\n' "$2" >>"$peer_new"
        }; } && sync -- "$peer_new" && mv -f -- "$peer_new" "$peer_file"; then
        return 0
    fi
    rm -f -- "$peer_new"
    return 1
}

peer_expired() { # sed that deletes the lines of runs that are over by the clock of this host
    peer_now=$(date +%Y%m%d%H%M%S)
    sed -n 's|^restrict,expiry-time="\([0-9]\{14\}\)",command="exec sh /run/provision/peer-.*|\1|p' \
        -- "$peer_file" | sort -u | while read -r peer_time; do
        [ "$peer_time" -ge "$peer_now" ] || printf '%s\n' \
            "\\|^restrict,expiry-time=\"$peer_time\",command=\"exec sh /run/provision/peer-.* provision-peer |d"
    done
}

peer_grant() { # RUN NUMBER KEY LIFE: KEY may run the script on stdin, for as long as LIFE
    peer_file || return 1
    find /run/provision -maxdepth 1 -name 'peer-*' -mmin +2880 -exec rm -rf {} + 2>/dev/null || :
    peer_script=/run/provision/peer-$1/$2.sh
    (umask 022 && mkdir -p -- "${peer_script%/*}" && cat >"$peer_script") && chmod 755 /run/provision || return 1
    # sshd reads the time as that of its own clock and zone
    peer_until=$(date -d "+$4" +%Y%m%d%H%M%S) || return 1
    peer_rewrite "$(peer_expired)
\\|^restrict,expiry-time=\"[0-9]*\",command=\"exec sh $peer_script\" |d" \
        "restrict,expiry-time=\"$peer_until\",command=\"exec sh $peer_script\" $3 provision-peer $1"
}

peer_revoke() { # RUN: nothing of it stays
    peer_file || return 1
    rm -rf -- "/run/provision/peer-$1"
    rmdir /run/provision 2>/dev/null || :
    ! grep -q " provision-peer $1\$" "$peer_file" ||
        peer_rewrite "\\|^restrict,expiry-time=\"[0-9]*\",command=.* provision-peer $1\$|d"
}
