# Functions that list the model snapshots that nothing wants. POSIX sh, GNU find, du and coreutils.

model_unit_of() { # STAGING: the unit of the worker that fills it
    model_last=${1##*/.}
    printf 'provision-model-%s\n' "$(printf %s "${1%/*}/${model_last%.partial}" | sha256sum | cut -c1-12)"
}

model_busy() { # STAGING: a worker is at it, which another inventory may have started
    systemctl is-active --quiet "$(model_unit_of "$1")" 2>/dev/null
}

model_real() { # stdin: paths; stdout: the same without symbolic links, which would hide what is used
    grep . | xargs -r -d '\n' readlink -m --
}

model_mounts() { # what containers mount, stopped ones too; fails when Docker does not answer
    command -v docker >/dev/null || return 0
    model_ids=$(docker ps -aq) || return 2
    # shellcheck disable=SC2086
    [ -z "$model_ids" ] || docker inspect -f '{{range .Mounts}}{{println .Source}}{{end}}' $model_ids
}

model_unwanted() { # BASE KEEP MOUNTS: folders below BASE that are ours, and neither kept nor mounted
    {
        printf 'below %s/\n' "$1"
        printf '%s\n' "$2" | sed 's/^/keep /'
        printf '%s\n' "$3" | sed 's/^/mount /'
        # our manifests only, so that what people put there by hand is never listed
        find "$1" -mindepth 4 -maxdepth 4 -name .provision-manifest -printf 'found %h\n'
        find "$1" -mindepth 3 -maxdepth 3 -type d -name '.*.partial' -printf 'found %p\n'
    } | awk '
        # A container that mounts a folder above or below a snapshot uses it too; one that mounts all
        # of the host, as monitors do, does not; and the source of a tmpfs is empty.
        { word = $1; sub(/^[a-z]+ /, "") }
        word == "below" && !below { below = $0 }
        word == "keep" { keep[$0] }
        word == "mount" && length($0) > 1 { mount[$0] }
        word == "found" && index($0, below) == 1 && !($0 in keep) {
            for (path in mount) if (index($0 "/", path "/") == 1 || index(path "/", $0 "/") == 1) next
            print
        }'
}

model_leftovers() { # DIR; stdin: folders to keep; stdout: "BYTES PATH" of each that nothing wants
    model_base=$(readlink -e -- "$1") || return 0
    model_keep=$(model_real)
    model_mounted=$(model_mounts) || return 2
    model_mounted=$(printf '%s\n' "$model_mounted" | model_real)
    model_found=$(
        model_unwanted "$model_base" "$model_keep" "$model_mounted" | while read -r model_path; do
            case $model_path in */.*.partial)
                if model_busy "$model_path" || model_busy "$1${model_path#"$model_base"}"; then continue; fi ;;
            esac
            printf '%s\n' "$model_path"
        done
    )
    [ -n "$model_found" ] || return 0
    {
        printf '%s\n' "$model_found" | sed 's/^/found /'
        # what is kept comes first: du counts a file that it shares with the others only there
        printf '%s\n' "$model_keep" "$model_found" | tr '\n' '\0' | du -s -B1 --files0-from=- 2>/dev/null
    } | awk '
        /^found / { sub(/^found /, ""); found[$0]; next }
        { size = $1; sub(/^[0-9]+\t/, ""); if ($0 in found) print size, $0 }'
}
