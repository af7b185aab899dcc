# Functions that bring an image to a host. POSIX sh, Docker, script of util-linux where it is there.

image_probe() { # IMAGE: its id; 1 = not there
    docker image inspect -f '{{.Id}}' "$1" 2>/dev/null && return
    docker version >/dev/null || return 2
    return 1
}

image_bytes() { # stdin: what docker pull prints on a terminal; stdout: a line of progress a second
    tr '\r' '\n' | awk '
        function bytes(text) {
            number = text + 0
            if (text ~ /GB/) return number * 1e9
            if (text ~ /MB/) return number * 1e6
            if (text ~ /[kK]B/) return number * 1e3
            return number
        }
        /: (Downloading|Download complete|Verifying|Extracting|Pull complete)/ {
            match($0, /[0-9a-f]+: [DEPV]/)
            layer = substr($0, RSTART, RLENGTH - 3)
            if (match($0, /[0-9.]+ ?[kMG]?B\/[0-9.]+ ?[kMG]?B/) && $0 ~ /Downloading/) {
                split(substr($0, RSTART, RLENGTH), part, "/")
                done[layer] = bytes(part[1]); total[layer] = bytes(part[2])
            } else if (layer in total) done[layer] = total[layer]
            "date +%s" | getline now; close("date +%s")
            if (now == last) next
            last = now; sum = all = 0
            for (each in total) { sum += done[each]; all += total[each] }
            if (all) { printf "progress bytes %.0f %.0f\n", sum, all; fflush() }
            next
        }
        /[Ee]rror|denied|not found|refused|timeout|no such host|unauthorized|toomanyrequests/ { print; fflush() }'
}

image_pull() { # REFERENCE: detached, so that it goes on when nobody watches, and the next run joins it
    image_unit=provision-image-$(printf %s "$1" | sha256sum | cut -c1-12)
    image_log=/run/provision/$image_unit.log
    (umask 022 && mkdir -p /run/provision)
    if ! systemctl is-active --quiet "$image_unit"; then
        rm -f -- "$image_log.status"
        : >"$image_log"
        # shellcheck disable=SC2016
        # only on a terminal does Docker say how many bytes have come
        systemd-run --quiet --collect --unit="$image_unit" /bin/sh -c '
            if command -v script >/dev/null; then script --quiet --return --command "docker pull $1" /dev/null
            else docker pull "$1"; fi >"$2" 2>&1
            echo $? >"$2.status"' sh "$1" "$image_log" || return
    fi
    image_pid=$(systemctl show --property=MainPID --value "$image_unit")
    tail --pid="${image_pid:-0}" --lines=+1 --follow "$image_log" 2>/dev/null | image_bytes
    return "$(cat "$image_log.status" 2>/dev/null || echo 1)"
}

image_fetch() { # IMAGE REFERENCE...: from the first place that has it; known by its own name afterwards
    image_name=$1
    shift
    for image_reference in "$@"; do
        if image_pull "$image_reference"; then
            [ "$image_reference" != "$image_name" ] || return 0
            docker tag "$image_reference" "$image_name" && docker rmi "$image_reference" >/dev/null
            return
        fi
        echo "provision: $image_reference could not be pulled"
    done
    return 1
}

image_load() { # IMAGE ARCHIVE: which goes once it is loaded; gzip, xz and zstd are Docker's own business
    docker load --quiet --input "$2" || return
    docker image inspect "$1" >/dev/null 2>&1 || {
        echo "provision: the archive holds no image $1"
        return 1
    }
    rm -f -- "$2"
}
