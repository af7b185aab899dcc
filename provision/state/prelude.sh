# Functions that probes and commands share. POSIX sh and coreutils; see the callers for meaning.

probe_path() { # PATH [MAX_BYTES]: "type|mode|owner|group|size", then the text if it is small enough
    probe_path_stat=$(stat -L -c '%F|%a|%U|%G|%s' -- "$1" 2>&1) || case $probe_path_stat in
        *'No such file or directory') return 1 ;;
        *) printf '%s\n' "$probe_path_stat" >&2; return 2 ;;
    esac
    printf '%s\n' "$probe_path_stat"
    case $probe_path_stat in
        regular*)
            if [ "${probe_path_stat##*|}" -gt "${2:-0}" ]; then sha256sum <"$1"; else cat -- "$1"; fi ||
                return 2 # 1 would read as absent
            ;;
    esac
}

write_file() { # PATH MODE OWNER GROUP PROBED|absent SHA256 [CHECK]: stdin replaces the file, if as probed
    write_file_path=$(readlink -f -- "$1") || { echo "provision: no folder for $1" >&2; return 1; }
    write_file_new=$write_file_path.provision-new
    write_file_now=absent
    [ ! -e "$write_file_path" ] || write_file_now=$(sha256sum <"$write_file_path" | cut -d' ' -f1)
    if [ "$write_file_now" != "$5" ]; then
        echo "provision: $1 is no longer what was probed" >&2
        return 1
    fi
    rm -f -- "$write_file_new"
    # noclobber: what somebody else puts there meanwhile, a link above all, is not written into
    if (umask 077 && set -C && cat >"$write_file_new") &&
        write_file_is "$6" && sh -c "${7:-:}" check "$write_file_new" && chown -- "$3:$4" "$write_file_new" && chmod -- "$2" "$write_file_new" &&
        sync -- "$write_file_new" && mv -f -- "$write_file_new" "$write_file_path"; then
        sync -- "${write_file_path%/*}/"
    else
        rm -f -- "$write_file_new"
        return 1
    fi
}

write_file_is() { # SHA256: the new file holds all that was sent; a decoder that died is no end of file
    [ "$(sha256sum <"$write_file_new" | cut -d' ' -f1)" = "$1" ] && return
    echo "provision: the content of $write_file_path was cut on its way" >&2
    return 1
}

openpgp_dearmor() { # FILE: the binary keys in FILE, whether it is armored or not
    if grep -q '^-----BEGIN PGP PUBLIC KEY BLOCK-----' "$1"; then
        sed -e '1,/^[[:space:]]*$/d' -e '/^=/d' -e '/^-----END/,$d' "$1" | tr -d '\r' | base64 -d
    else
        cat -- "$1"
    fi
}

openpgp_fingerprints() { # FILE (binary): the fingerprint of every primary key in it (RFC 4880, 12.2)
    openpgp_at=0
    openpgp_size=$(wc -c <"$1")
    while [ "$openpgp_at" -lt "$openpgp_size" ]; do
        openpgp_file=$1
        # shellcheck disable=SC2046  # six numbers, split on purpose
        set -- "$1" $(od -An -v -tu1 -j"$openpgp_at" -N6 "$1") 0 0 0 0 0 0
        if [ $(($2 & 64)) -ne 0 ]; then
            openpgp_tag=$(($2 & 63))
            if [ "$3" -lt 192 ]; then openpgp_head=2 openpgp_body=$3
            elif [ "$3" -lt 224 ]; then openpgp_head=3 openpgp_body=$(((($3 - 192) << 8) + $4 + 192))
            else openpgp_head=6 openpgp_body=$((($4 << 24) + ($5 << 16) + ($6 << 8) + $7)); fi
        else
            openpgp_tag=$((($2 >> 2) & 15))
            case $(($2 & 3)) in
                0) openpgp_head=2 openpgp_body=$3 ;;
                1) openpgp_head=3 openpgp_body=$((($3 << 8) + $4)) ;;
                *) openpgp_head=5 openpgp_body=$((($3 << 24) + ($4 << 16) + ($5 << 8) + $6)) ;;
            esac
        fi
        if [ $(($2 & 128)) -eq 0 ]; then echo "provision: not an OpenPGP key" >&2; return 2; fi
        if [ "$openpgp_tag" -eq 6 ]; then
            {
                # shellcheck disable=SC2059  # the format is three bytes, made of digits only
                printf "\\231\\$(printf %03o $((openpgp_body >> 8)))\\$(printf %03o $((openpgp_body & 255)))"
                tail -c +$((openpgp_at + openpgp_head + 1)) "$1" | head -c "$openpgp_body"
            } | sha1sum | cut -d' ' -f1 | tr a-f A-F
        fi
        openpgp_at=$((openpgp_at + openpgp_head + openpgp_body))
        set -- "$openpgp_file"
    done
}

apt_get() { # apt-get that asks nothing, keeps the host's configuration and waits LOCK_TIMEOUT for the lock
    DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l timeout $((${LOCK_TIMEOUT:-300} + 1800)) \
        apt-get -q -y -o DPkg::Lock::Timeout="${LOCK_TIMEOUT:-300}" -o DPkg::Use-Pty=0 \
        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
        -o Acquire::Retries=2 -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 "$@"
}

while_locked() { # COMMAND...: again, for LOCK_TIMEOUT seconds, while another apt or dpkg holds its lock
    while_locked_until=$(($(date +%s) + ${LOCK_TIMEOUT:-300}))
    while :; do
        while_locked_status=0
        while_locked_log=$("$@" 2>&1) || while_locked_status=$?
        [ "$while_locked_status" -ne 0 ] || break
        case $while_locked_log in *'not get lock'* | *'lock was locked'*) ;; *) break ;; esac
        [ "$(date +%s)" -lt "$while_locked_until" ] || break
        sleep 2
    done
    printf '%s\n' "$while_locked_log"
    return "$while_locked_status"
}

apt_update() { # [SOURCES_FILE]: refresh all lists or those of one file; a warning is a failure
    if [ $# -gt 0 ]; then
        set -- -o Dir::Etc::sourcelist="$1" -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0
    fi
    # DPkg::Lock::Timeout does not reach the lock of the lists
    apt_log=$(while_locked apt_get "$@" update) || { printf '%s\n' "$apt_log"; return 100; }
    printf '%s\n' "$apt_log"
    ! printf '%s\n' "$apt_log" | grep -Eq '^(W: (Failed to fetch|Some index files failed)|Err:|E:)'
}

apt_update_daily() { # refresh all lists unless that was done within a day; apt's own dates are the mirror's
    apt_stamp=/var/lib/provision/apt-updated
    [ -z "$(find "$apt_stamp" -mmin -1440 2>/dev/null)" ] || return 0
    apt_update && mkdir -p "${apt_stamp%/*}" && touch "$apt_stamp"
}

apt_repair() { # end what a killed dpkg left half-way: nothing can be installed before
    [ -z "$(dpkg --audit)" ] || DEBIAN_FRONTEND=noninteractive while_locked \
        dpkg --force-confdef --force-confold --configure -a
}

apt_removes() { # SPEC...: the installed packages that apt would remove beside those named `NAME-`
    apt_plan=$(apt_get -s install --no-install-recommends "$@") || { printf '%s\n' "$apt_plan" >&2; return 100; }
    printf '%s\n' "$apt_plan" | sed -n 's/^Remv \([^ ]*\).*/\1/p' | while read -r apt_name; do
        case " $* " in *" $apt_name- "*) ;; *) printf '%s\n' "$apt_name" ;; esac
    done
}

apt_install() { # SPEC...: install in one transaction, unless it would remove what nobody was shown
    apt_lost=$(apt_removes "$@") || return
    if [ -n "$apt_lost" ]; then
        echo "provision: apt would also remove $(printf '%s' "$apt_lost" | tr '\n' ' ')" >&2
        return 1
    fi
    apt_get install --no-install-recommends "$@"
}
