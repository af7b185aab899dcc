# Functions that start the detached worker of a model snapshot and follow it. POSIX sh, systemd.

model_secret() { # TOKEN: left where only root reads it, until the worker has ended
    (umask 022 && mkdir -p /run/provision) # where others find what they may read
    (umask 077 && printf %s "$1" | base64 -w 0 >"/run/provision/${job##*/}.token")
}

model_run() { # UNIT STAGING TOTAL: start the worker, unless it is at this very work; follow it to its end
    model_same=1
    for model_part in settings listing worker; do
        cmp -s "$job/$model_part.new" "$job/$model_part" || model_same=0
    done
    if [ "$model_same" = 0 ] || ! systemctl is-active --quiet "$1"; then
        systemctl stop "$1" 2>/dev/null || : # first: a worker must not see another one's listing
        systemctl reset-failed "$1" 2>/dev/null || :
        for model_part in settings listing worker; do
            mv -f -- "$job/$model_part.new" "$job/$model_part"
        done
        rm -f -- "$job/status" "$job/phase" "$job/log"
        # after the stop: a worker that ends takes the token with it
        [ -z "${provision_token:-}" ] || model_secret "$provision_token"
        systemd-run --quiet --collect --unit="$1" --property=Nice=5 --property=TimeoutStopSec=5 \
            /bin/sh "$job/worker" "$job"
    fi
    model_follow "$1" "$2" "$3"
    model_status=$(cat "$job/status" 2>/dev/null || echo 'killed')
    [ "$model_status" != 0 ] || return 0
    tail -n 40 "$job/log" 2>/dev/null || :
    [ "$model_status" != killed ] || echo "provision: the worker was killed: $1"
    return 1
}

model_follow() { # UNIT STAGING TOTAL: a line of progress a second while the unit runs
    while systemctl is-active --quiet "$1"; do
        sleep 1 # first, so that short work says nothing
        read -r model_phase model_count 2>/dev/null <"$job/phase" || continue
        case $model_phase in
            fetch) find "$2" -type f -printf '%s\n' 2>/dev/null |
                awk -v total="$3" '{ sum += $1 } END { printf "progress bytes %.0f %.0f\n", sum, total }' ;;
            check) echo "progress files $(wc -l <"$job/hashed") $model_count" ;;
        esac
    done
}
