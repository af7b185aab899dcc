# Functions of the model snapshot that only read. POSIX sh, GNU find, stat and xargs.

model_vouched() { # DIR: "DIGEST PATH" of each file that still has the size and time of its manifest
    [ -f "$1/.provision-manifest" ] || return 0
    (
        cd -- "$1" || exit
        {
            cat .provision-manifest
            echo
            cut -d' ' -f4- .provision-manifest | xargs -r -d '\n' stat -c '%s %Y %n' -- 2>/dev/null
        } | awk '
            !listed && $0 == "" { listed = 1; next }
            !listed { digest = $1; sub(/^[^ ]+ /, ""); said[$0] = digest; next }
            $0 in said { path = $0; sub(/^[0-9]+ -?[0-9]+ /, "", path); print said[$0], path }'
    )
}

model_candidates() { # DIR ORG NAME; stdin: folders to look below: others that may hold files of the model
    model_own=$1 model_org=$2 model_name=$3 model_dots=$(printf %s "$3" | sed 's/\./___/g')
    while read -r model_base; do
        # old ModelScope clients write dots as ___, and people write the organisation in any case
        find "$model_base/" -maxdepth 4 -type d \( -iname "$model_name" -o -iname "$model_dots" \
            -o -iname "$model_org--$model_name" -o -iname "models--$model_org--$model_name" \) \
            2>/dev/null
    done | while read -r model_found; do
        printf '%s\n' "$model_found"
        for model_below in "$model_found"/snapshots/*/ "$model_found"/*/.provision-manifest; do
            [ ! -e "$model_below" ] || printf '%s\n' "${model_below%/*}"
        done
    done | awk -v own="$model_own" '{ gsub(/\/+/, "/") } $0 != own && !seen[$0]++'
}

model_parent() { # PATH: the nearest folder that exists
    model_at=$1
    while [ ! -d "$model_at" ]; do model_at=${model_at%/*}; model_at=${model_at:-/}; done
    printf '%s\n' "$model_at"
}

model_files() { # DEVICE DIR...: "1|0 SIZE PATH" of every file below, 1 for those on DEVICE
    model_device=$1
    shift
    for model_at in "$@"; do
        [ -d "$model_at" ] || continue
        model_same=0
        [ "$(stat -L -c %d -- "$model_at")" != "$model_device" ] || model_same=1
        # what others own or may write to is copied, for it may change
        find -L "$model_at" -maxdepth 6 -type f \( -user "$(id -u)" ! -perm /022 \
            -printf "$model_same %s %P\n" -o -printf '0 %s %P\n' \) 2>/dev/null
    done
}

model_probe() { # CONTENT UNIT DIR STAGING ORG NAME BASES; stdin: "SIZE PATH" of each wanted file
    model_wanted=$(cat)
    model_unit=$2 model_dir=$3 model_staging=$4
    model_good=$(model_vouched "$model_dir")
    model_content=$([ -z "$model_good" ] || printf '%s\n' "$model_good" | LC_ALL=C sort | sha256sum | cut -d' ' -f1)
    echo "content $model_content"
    [ "$model_content" != "$1" ] || return 0 # complete: no need to look any further
    if [ -f "$model_dir/.provision-manifest" ]; then
        echo "manifest $(wc -l <"$model_dir/.provision-manifest") $(printf '%s' "$model_good" | grep -c '')"
    fi
    model_root=$(model_parent "$model_dir")
    model_device=$(stat -L -c %d -- "$model_root") || return 2
    df -Pk -- "$model_root" | awk 'NR == 2 { printf "free %.0f\n", $4 * 1024; $1 = $2 = $3 = $4 = $5 = ""; sub(/^ */, ""); print "device " $0 }'
    model_list=$(printf '%s\n' "$7" | model_candidates "$model_dir" "$5" "$6")
    {
        printf '%s\n' "$model_wanted" | sed 's/^/want /'
        [ ! -f "$model_dir/.provision-manifest" ] || cut -s -d' ' -f4- "$model_dir/.provision-manifest" | sed 's/^/old /'
        printf '%s\n' "$model_dir" "$model_staging" "$model_list" | while read -r model_at; do
            model_files "$model_device" "$model_at"
        done
        [ ! -d "$model_staging" ] || find "$model_staging" -type f -printf 'part %s %P\n'
    } | awk '
        $1 == "want" { size = $2; sub(/^want [0-9]+ /, ""); want[$0] = size; next }
        $1 == "old" { sub(/^old /, ""); if (!($0 in want)) old++; next }
        $1 == "part" { size = $2; sub(/^part [0-9]+ /, ""); if (!($0 in want)) parts += size; next }
        { same = $1; size = $2; sub(/^[01] [0-9]+ /, "")
          if (($0 in want) && want[$0] == size) { have[$0]; if (same == 1) near[$0] } }
        END { for (path in want) { if (!(path in have)) miss += want[path]; if (!(path in near)) room += want[path] }
              if (old) print "obsolete", old
              printf "missing %.0f\nroom %.0f\n", (miss > parts ? miss - parts : 0), (room > parts ? room - parts : 0) }'
    if systemctl is-active --quiet "$model_unit" 2>/dev/null; then echo "running"; fi
}
