#!/bin/sh
# A program that lies, in place of nvidia-smi, docker and others: what it is asked does not matter.
escapes=$(printf '\033[2J\033]0;owned\007\033]8;;http://x\033\\here\302\233\342\200\256\r\010\377[red]')
case $(cat /etc/hostile) in
    programs-escape)
        printf '%s\n' "$escapes" "engine|$escapes|/|x|1" "0, $escapes, $escapes, 9, b" "ii $escapes"
        printf -- '--- container ["a","/%s","%s","running","none",0,0,false,"","","",null,[]]\n' '\u001b[2J' '\u009b'
        printf '%s failed\n' "$escapes" >&2
        ;;
    programs-endless) exec yes "$escapes" ;;
    programs-line) exec tr '\0' x </dev/zero ;;
    programs-hang) exec sleep 100000 ;;
esac
