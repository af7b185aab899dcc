# The lock of a host: who changes it, until when that is proven, and the journal of what was done.
# POSIX sh, util-linux (flock). The folder `lock` is there while somebody has the host:
#   run    id of the run            boot  boot id of the host when it was taken
#   who    who has it               beat  uptime of the host at the last sign of life, in seconds
#   owner  who, since when and what, as a JSON object       held  there = kept by hand
#   left   there = nobody talks to the holder any more, which waits for what still runs
#   ended  there = and its end is in the journal
lock_home=/var/lib/provision
lock=$lock_home/lock
journal=$lock_home/journal.jsonl
lock_last=$lock_home/last_run # id of the run that had the lock last; empty = nobody knows what it still does

journal() { # JSON WITHOUT ITS END: a line of the journal, with the time of this host
    lock_time
    printf '%s,"at":"%s"}\n' "$1" "$lock_at" >>"$journal"
}

lock_time() { # sets lock_at to the time of this host; asked once a second
    lock_now
    [ "${lock_asked:-}" != "$lock_uptime" ] || return 0
    lock_asked=$lock_uptime
    lock_at=$(date -u '+%Y-%m-%dT%H:%M:%SZ')
}

lock_now() { # sets lock_uptime to the seconds since the host was booted: no clock that somebody sets
    read -r lock_uptime _ </proc/uptime
    lock_uptime=${lock_uptime%%.*}
}

lock_line() { # FILE: sets lock_said to its first line, or to nothing
    lock_said=
    [ ! -e "$1" ] || IFS= read -r lock_said <"$1" || :
}

lock_guard() { # let one at a time look at the lock and take it; ends with this shell
    { [ -d "$lock_home" ] || mkdir -p -- "$lock_home"; } && exec 9>>"$lock_home/guard" && flock -w 30 9
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
    lock_now
    for lock_pid in $(lock_marked PROVISION_LOCK "$lock_run"); do
        [ ! -e "$lock/left" ] || break
        if [ $((lock_uptime - $(cat "$lock/beat"))) -lt "$1" ]; then echo held; return; fi
        kill -9 "$lock_pid" 2>/dev/null || :
        true >"$lock/left" # for a script of its run that goes on
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

lock_take() { # RUN WHO OWNER SILENCE PATIENCE WORD: prints `WORD taken LAST-RUN` or `WORD STATE OWNER`
    umask 077
    lock_now
    lock_until=$((lock_uptime + $5))
    while :; do
        lock_guard || { echo "$6 busy {}"; return 1; }
        lock_state=$(lock_judge "$4")
        ! lock_may "$2" "$lock_state" || break
        exec 9>&-
        lock_now
        if [ "$lock_state" != step ] || [ "$lock_uptime" -ge "$lock_until" ]; then
            lock_tell "$6 $lock_state"
            return 1
        fi
        lock_tell "$6 wait"
        sleep 1
    done
    lock_time
    [ "$(stat -c %s -- "$journal" 2>/dev/null || echo 0)" -lt 4194304 ] || mv -f -- "$journal" "$journal.1"
    lock_said=none
    [ ! -e "$lock_last" ] || lock_line "$lock_last"
    lock_before=$lock_said
    if [ "$lock_state" != free ]; then # it may have changed the host until just now
        [ -e "$lock/ended" ] || journal "{\"run\":\"$(cat "$lock/run")\",\"event\":\"died\""
        lock_before=
    fi
    lock_write "$1" "$2" "$3" && journal "${3%\}},\"run\":\"$1\",\"event\":\"begin\"" || return
    exec 9>&-
    echo "$6 taken $lock_before"
}

lock_write() { # RUN WHO OWNER: put a whole lock in place
    [ ! -e "$lock.new" ] || rm -rf -- "$lock.new"
    mkdir -- "$lock.new" || return
    printf '%s\n' "$1" >"$lock.new/run"
    printf '%s\n' "$2" >"$lock.new/who"
    printf '%s,"since":"%s"}\n' "${3%\}}" "$lock_at" >"$lock.new/owner"
    lock_line /proc/sys/kernel/random/boot_id
    printf '%s\n' "$lock_said" >"$lock.new/boot" && printf '%s\n' "$lock_uptime" >"$lock.new/beat" || return
    [ ! -e "$lock" ] || rm -rf -- "$lock"
    mv -T -- "$lock.new" "$lock" && printf '%s\n' "$1" >"$lock_last" # in this order: facts/questions.py
}

lock_tell() { # WORDS: say them, and who has the lock
    printf '%s %s\n' "$1" "$(cat "$lock/owner")"
}

lock_is() { # RUN: whether it has the lock
    lock_line "$lock/run" && [ "$lock_said" = "$1" ]
}

lock_serves() { # RUN WORD: whether a step may begin; else `WORD lost OWNER`, or `WORD left`: nobody holds it
    lock_is "$1" || { lock_tell "$2 lost" 2>/dev/null; return 1; }
    lock_line /proc/sys/kernel/random/boot_id
    lock_boot=$lock_said
    lock_line "$lock/boot"
    [ ! -e "$lock/left" ] && [ "$lock_said" = "$lock_boot" ] || { echo "$2 left"; return 1; }
}

lock_works() { # RUN: whether something of it, or what it left, still runs
    [ -n "$(lock_marked PROVISION_RUN "$1")$(lock_units)" ]
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
    while IFS= read -r lock_order; do
        case $lock_order in
            beat) ! lock_is "$1" || { lock_now && printf '%s\n' "$lock_uptime" >"$lock/beat"; } ;;
            stop) lock_stop "$1" ;;
            note\ *) ! lock_is "$1" || journal "${lock_order#note }" ;;
            end\ *)
                ! lock_is "$1" || journal "${lock_order#end }"
                lock_drop "$1"
                echo "$2 ended"
                return
                ;;
            leave\ *) # as `end`, but nobody saw how a step ended
                ! lock_is "$1" || { journal "${lock_order#leave }" && true >"$lock/ended"; }
                ! lock_is "$1" || true >"$lock/left"
                lock_works "$1" || lock_drop "$1"
                echo "$2 ended"
                break
                ;;
        esac
    done
    ! lock_is "$1" || true >"$lock/left"
    while lock_is "$1" && lock_works "$1"; do sleep 1; done
    ! lock_is "$1" || [ -e "$lock/ended" ] || journal "{\"run\":\"$1\",\"event\":\"died\""
    lock_drop "$1"
}

lock_show() { # WORD: who has the host
    lock_state=$(lock_judge 2147483647)
    lock_tell "$1 $lock_state" 2>/dev/null
}

lock_by_hand() { # RUN WHO OWNER SILENCE WORD: keep the host until somebody gives it back
    umask 077
    lock_guard || { echo "$5 busy {}"; return 1; }
    lock_state=$(lock_judge "$4")
    lock_may "$2" "$lock_state" || { lock_tell "$5 $lock_state"; return 1; }
    lock_time
    lock_write "$1" "$2" "$3" && : >"$lock/held" && journal "${3%\}},\"run\":\"$1\",\"event\":\"lock\""
    exec 9>&-
    echo "$5 taken 0"
}

lock_away() { # OWNER WORD: take the lock away from whoever has it
    umask 077
    lock_guard || { echo "$2 busy {}"; return 1; }
    if [ ! -d "$lock" ]; then echo "$2 free"; return; fi
    lock_freed=$(lock_tell "$2 freed")
    true >"$lock_last"
    journal "${1%\}},\"run\":\"$(cat "$lock/run")\",\"event\":\"unlock\""
    rm -rf -- "$lock" && printf '%s\n' "$lock_freed" # also where the disk is full
}
