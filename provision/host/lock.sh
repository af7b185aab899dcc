# The lock of a host: who changes it, until when that is proven, and the journal of what was done.
# POSIX sh, util-linux (flock). The folder `lock` is there while somebody has the host:
#   run    id of the run            boot  boot id of the host when it was taken
#   who    who has it               beat  uptime of the host at the last sign of life, in seconds
#   owner  who, since when and what, as a JSON object       held  there = kept by hand
#   left   there = nobody talks to the holder any more, which waits for what still runs
lock_home=/var/lib/provision
lock=$lock_home/lock
journal=$lock_home/journal.jsonl

journal() { # JSON WITHOUT ITS END: a line of the journal, with the time of this host
    printf '%s,"at":"%s"}\n' "$1" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >>"$journal"
}

lock_uptime() { # seconds since the host was booted: no clock that somebody sets
    cut -d. -f1 /proc/uptime
}

lock_guard() { # let one at a time look at the lock and take it; ends with this shell
    mkdir -p -- "$lock_home" && exec 9>>"$lock_home/guard" && flock -w 30 9
}

lock_marked() { # NAME RUN: the processes that were started with NAME=RUN, other than this shell
    # shellcheck disable=SC2013  # paths without blanks
    for lock_found in $(grep -lzs "^$1=$2\$" /proc/[0-9]*/environ); do
        lock_found=${lock_found%/environ}
        [ "${lock_found#/proc/}" = $$ ] || printf '%s\n' "${lock_found#/proc/}"
    done
}

lock_units() { # what goes on by itself on the host after a run was left
    command -v systemctl >/dev/null || return 0
    systemctl list-units --no-legend --plain --state=active,activating 'provision-*' 2>/dev/null |
        cut -d' ' -f1
}

lock_judge() { # SILENCE: prints free, held, manual, step or detached; kills a holder that is silent
    [ -d "$lock" ] || { echo free; return; }
    [ ! -e "$lock/held" ] || { echo manual; return; }
    lock_run=$(cat "$lock/run")
    [ "$(cat "$lock/boot")" = "$(cat /proc/sys/kernel/random/boot_id)" ] || { echo dead; return; }
    for lock_pid in $(lock_marked PROVISION_LOCK "$lock_run"); do
        [ ! -e "$lock/left" ] || break
        if [ $(($(lock_uptime) - $(cat "$lock/beat"))) -lt "$1" ]; then echo held; return; fi
        kill -9 "$lock_pid" 2>/dev/null || :
    done
    if [ -n "$(lock_marked PROVISION_RUN "$lock_run")" ]; then echo step
    elif [ -n "$(lock_units)" ]; then echo detached
    else echo dead; fi
}

lock_may() { # WHO STATE: whether WHO may take a lock in this state now
    case $2 in
        free | dead) ;;
        detached) [ "$(cat "$lock/who")" = "$1" ] ;; # who left it joins it
        *) return 1 ;;
    esac
}

lock_take() { # RUN WHO OWNER SILENCE PATIENCE WORD: prints `WORD taken AGE` or `WORD STATE OWNER`
    umask 077
    lock_until=$(($(lock_uptime) + $5))
    while :; do
        lock_guard || { echo "$6 busy {}"; return 1; }
        lock_state=$(lock_judge "$4")
        ! lock_may "$2" "$lock_state" || break
        exec 9>&-
        if [ "$lock_state" != step ] || [ "$(lock_uptime)" -ge "$lock_until" ]; then
            echo "$6 $lock_state $(cat "$lock/owner")"
            return 1
        fi
        echo "$6 wait $(cat "$lock/owner")"
        sleep 1
    done
    [ "$(stat -c %s -- "$journal" 2>/dev/null || echo 0)" -lt 4194304 ] || mv -f -- "$journal" "$journal.1"
    [ "$lock_state" = free ] || journal "{\"run\":\"$(cat "$lock/run")\",\"event\":\"died\""
    lock_age=$(($(date +%s) - $(stat -c %Y -- "$journal" 2>/dev/null || echo 0)))
    lock_write "$1" "$2" "$3" && journal "${3%\}},\"run\":\"$1\",\"event\":\"begin\"" || return
    exec 9>&-
    echo "$6 taken $lock_age"
}

lock_write() { # RUN WHO OWNER: put a whole lock in place
    rm -rf -- "$lock.new" && mkdir -- "$lock.new" || return
    printf '%s\n' "$1" >"$lock.new/run"
    printf '%s\n' "$2" >"$lock.new/who"
    printf '%s,"since":"%s"}\n' "${3%\}}" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >"$lock.new/owner"
    cat /proc/sys/kernel/random/boot_id >"$lock.new/boot" && lock_uptime >"$lock.new/beat"
    rm -rf -- "$lock" && mv -T -- "$lock.new" "$lock"
}

lock_is() { # RUN: whether it has the lock
    [ "$(cat "$lock/run" 2>/dev/null)" = "$1" ]
}

lock_stop() { # RUN: end what it runs on this host, at once, and what it left running
    lock_tries=0
    for lock_unit in $(lock_units); do systemctl stop --no-block "$lock_unit" 2>/dev/null; done
    while lock_pids=$(lock_marked PROVISION_RUN "$1") && [ -n "$lock_pids" ]; do
        lock_signal=TERM
        [ "$lock_tries" -lt 8 ] || lock_signal=KILL
        # shellcheck disable=SC2086  # numbers
        kill -$lock_signal $lock_pids 2>/dev/null || :
        sleep 0.1
        lock_tries=$((lock_tries + 1))
        [ "$lock_tries" -lt 20 ] || return
    done
}

lock_drop() { # RUN: give the lock back, if it is still ours
    lock_guard || return
    ! lock_is "$1" || rm -rf -- "$lock"
    exec 9>&-
}

lock_hold() { # RUN WORD: keep the lock as long as somebody talks to us
    while IFS= read -r lock_line; do
        case $lock_line in
            beat) ! lock_is "$1" || lock_uptime >"$lock/beat" ;;
            stop) lock_stop "$1" ;;
            note\ *) journal "${lock_line#note }" ;;
            end\ *)
                ! lock_is "$1" || journal "${lock_line#end }"
                lock_drop "$1"
                echo "$2 ended"
                return
                ;;
        esac
    done
    ! lock_is "$1" || : >"$lock/left"
    while lock_is "$1" && [ -n "$(lock_marked PROVISION_RUN "$1")$(lock_units)" ]; do sleep 1; done
    ! lock_is "$1" || journal "{\"run\":\"$1\",\"event\":\"died\""
    lock_drop "$1"
}

lock_show() { # WORD: who has the host
    lock_state=$(lock_judge 2147483647)
    echo "$1 $lock_state $(cat "$lock/owner" 2>/dev/null)"
}

lock_by_hand() { # RUN WHO OWNER SILENCE WORD: keep the host until somebody gives it back
    umask 077
    lock_guard || { echo "$5 busy {}"; return 1; }
    lock_state=$(lock_judge "$4")
    lock_may "$2" "$lock_state" || { echo "$5 $lock_state $(cat "$lock/owner")"; return 1; }
    lock_write "$1" "$2" "$3" && : >"$lock/held" && journal "${3%\}},\"run\":\"$1\",\"event\":\"lock\""
    exec 9>&-
    echo "$5 taken 0"
}

lock_away() { # OWNER WORD: take the lock away from whoever has it
    umask 077
    lock_guard || { echo "$2 busy {}"; return 1; }
    if [ ! -d "$lock" ]; then echo "$2 free"; return; fi
    echo "$2 freed $(cat "$lock/owner")"
    journal "${1%\}},\"run\":\"$(cat "$lock/run")\",\"event\":\"unlock\"" && rm -rf -- "$lock"
}
