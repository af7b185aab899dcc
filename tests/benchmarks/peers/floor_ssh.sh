#!/bin/sh
# The floor of OpenSSH: 32 clients at once, one command a host, the answer compared as a text.
# Arguments: noop or sweep; how many hosts; their port. BASE is set.
export WORK=$1 PORT=$3
# shellcheck disable=SC2016  # variables of the inner shell
seq 1 "$2" | xargs -P 32 -n 1 sh -c '
    script=probe.sh
    [ "$WORK" = sweep ] && script=sweep.sh
    answer=$(ssh -F "$BASE/ssh_config.$PORT" "h$1" "$(cat "$BASE/$script")"; echo .)
    case $WORK in
        noop) [ "$answer" = "$(cat "$BASE/hosts/h$1/expected"; echo .)" ] ;;
        *) case $answer in *H200*) ;; *) exit 1 ;; esac ;;
    esac' sh
