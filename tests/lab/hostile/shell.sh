#!/bin/sh
# A login shell that lies: it runs nothing of what it is told, and answers as /etc/hostile says, or /etc/hostile-USER.
hear() { sed -u '/"\$provision_status"$/q' >/tmp/said; } # a script, as far as one that waits for more of them would
mark() { grep -o '@[0-9a-f]\{24\}' "$1" | head -n 1; }
escapes=$(printf '\033[2J\033]0;owned\007\033]52;c;b3duZWQ=\007\302\233\302\20531m\342\200\256\r\010\377')
case $(cat "/etc/hostile-$(id -un)" 2>/dev/null || cat /etc/hostile) in
    endless) exec yes "$escapes" ;;
    errors) exec yes "$escapes" >&2 ;;
    line) exec tr '\0' x </dev/zero ;;
    gigabyte) exec head -c 1073741824 /dev/zero ;;
    escapes) # as sudo's complaint, and as the answer
        printf '%s\n' "$escapes" "$escapes"
        printf 'sudo: %s is not in the sudoers file\n' "$escapes" >&2
        exit 1
        ;;
    half) # of a true answer, then nothing: also its end does not come
        head -c 300 /etc/os-release
        exec sleep 100000
        ;;
    mute) # its output ends, it does not
        exec </dev/null >/dev/null 2>&1
        exec sleep 100000
        ;;
    slow) # a byte now and then, for ever
        while printf x; do sleep 1; done
        ;;
    frames) # of another script
        hear
        nonce=@000000000000000000000000
        printf '\n%s begin 0\n%s\n%s end 0 0\n' $nonce "$escapes" $nonce
        printf 'ID=%s\n%s os 0\n' "$escapes" $nonce
        ;;
    flood) # of frames of this very script, all of them begun and none ended
        hear
        yes "$(mark /tmp/said) begin 0" | head -c 8000000
        ;;
    forged) # the facts of a host that has more of everything than there is
        hear
        nonce=$(mark /tmp/said)
        many=$(head -c 4000 /dev/zero | tr '\0' 9)
        printf 'ID=debian\nVERSION_ID=%s\nPRETTY_NAME=[red]%s\n\n6 x86_64\n%s os 0\n' "$escapes" "$escapes" "$nonce"
        printf '%s\n%s memory 0\n%s\n%s cpu 0\n' "$many" "$nonce" "$many" "$nonce"
        printf '0,u,[link=http://x]%s,9,b\n%s gpus 0\n' "$escapes" "$nonce"
        index=0
        while [ $index -lt 40 ]; do
            printf '\n%s begin %s\n%s\n\n%s end %s 0\n' "$nonce" $index "$escapes" "$nonce" $index
            index=$((index + 1))
        done
        ;;
esac
