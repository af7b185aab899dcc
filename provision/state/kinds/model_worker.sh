# Brings one model snapshot to completeness on its host, detached from whoever asked for it.
# What is there is kept, linked or adopted after a check; the rest is fetched; everything is checked
# against its digest; the manifest is written last. Runs as `sh worker JOB`, where JOB/settings sets:
#   mode (prepare, fetch, finish or verify), dir, staging, org, name, bases, hopeless, and for fetch:
#   fetch (modelscope or huggingface), client, id, revision, endpoint, workers, token,
#   patience (seconds without a byte)

set -u
umask 022
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
job=$1
# shellcheck disable=SC1091,SC2154
. "$job/settings"
manifest=.provision-manifest copy=.provision-copy
tab=$(printf '\t')

die() { # TEXT
    printf 'provision: %s\n' "$1"
    exit 1
}

phase() { printf '%s\n' "$*" >"$job/phase.new" && mv -f "$job/phase.new" "$job/phase"; }

size_of() { stat -L -c %s -- "$1" 2>/dev/null; }

staged() { find "$staging" -type f -printf '%s\n' 2>/dev/null | awk '{ sum += $1 } END { printf "%.0f\n", sum }'; }

git_sha1() { # FILE: its id as a git blob, which is all that Hugging Face says of small files
    { printf 'blob %s\0' "$(size_of "$1")"; cat -- "$1"; } | sha1sum | cut -d' ' -f1
}

gather_digests() { # stdin: "DIGEST PATH" of files; stdout: "DIGEST<tab>PATH" as they really are
    : >"$job/hashing"
    while read -r wanted file; do
        case $wanted in
            sha256:*) printf '%s\n' "$file" >>"$job/hashing" ;;
            git-sha1:*) printf 'git-sha1:%s\t%s\n' "$(git_sha1 "$file")" "$file" ;;
        esac
    done
    sort -u "$job/hashing" >"$job/hashing.new" && mv -f "$job/hashing.new" "$job/hashing"
    : >"$job/hashed"
    phase "check $(wc -l <"$job/hashing")"
    # sha256sum puts a backslash before a name that it had to escape: those are not ours
    xargs -r -d '\n' -P 4 -n 1 sha256sum -- <"$job/hashing" >>"$job/hashed"
    sed -n "s/^\([0-9a-f]\{64\}\)  \(.*\)/sha256:\1$tab\2/p" "$job/hashed"
}

is_ours() { # PATH: nobody else owns it or may write to it, so that it stays as it was checked
    [ -n "$(find -H "$1" -maxdepth 0 -user "$(id -u)" ! -perm /022 2>/dev/null)" ]
}

digest_of() { # DIGEST FILE: the digest of a file, of the same kind
    case $1 in
        sha256:*) printf 'sha256:%s\n' "$(sha256sum <"$2" | cut -d' ' -f1)" ;;
        *) printf 'git-sha1:%s\n' "$(git_sha1 "$2")" ;;
    esac
}

bring() { # SOURCE PATH DIGEST: the same file in the staging folder, without a copy where that is safe
    target=$staging/$2
    [ -d "${target%/*}" ] || mkdir -p -- "${target%/*}" || return
    [ ! "$1" -ef "$target" ] || return 0
    rm -f -- "$target" "$staging/$copy" # a copy onto what was linked would change the original
    if is_ours "$1" && ln -LT -- "$1" "$target" 2>/dev/null; then return; fi
    # somebody else's file may change at any moment, so it is the copy that has to be right
    cp -L --reflink=auto --preserve=timestamps -- "$1" "$staging/$copy" &&
        [ "$(digest_of "$3" "$staging/$copy")" = "$3" ] && mv -fT -- "$staging/$copy" "$target"
}

vouch() { # DIGEST PATH: write down that the staged file was checked
    printf '%s %s %s\n' "$1" "$(stat -c '%s %Y' -- "$staging/$2")" "$2" >>"$staging/$manifest"
}

take_stock() { # write JOB/missing: what is neither in place nor, checked, in the staging folder
    mkdir -p -- "$staging" || die "cannot write to $staging"
    if [ -L "$staging" ] || ! is_ours "$staging"; then die "somebody else's folder: $staging"; fi
    model_vouched "$staging" >"$job/staged"
    { model_vouched "$dir"; cat "$job/staged"; } >"$job/good"
    look_elsewhere
    awk 'FILENAME == ARGV[1] { good[$0]; next } { line = $0; digest = $1; sub(/^[^ ]+ [0-9]+ /, "", line)
        if (!((digest " " line) in good)) print }' "$job/good" "$job/listing" >"$job/open" ||
        die "cannot write to $job"
    : >"$job/missing" || die "cannot write to $job"
    [ -s "$job/open" ] || return 0
    doubtful | gather_digests >"$job/digests"
    while read -r digest size path; do
        settle "$digest" "$path" "$size" || printf '%s %s %s\n' "$digest" "$size" "$path" >>"$job/missing" ||
            die "cannot write to $job"
    done <"$job/open"
}

look_elsewhere() { # write JOB/places, where a file may lie, and JOB/elsewhere, what manifests there vouch for
    printf '%s\n' "$staging" >"$job/places"
    if [ -f "$job/elsewhere" ]; then # the first look was enough: only the staging folder grows
        : >"$job/elsewhere"
        return
    fi
    printf '%s\n' "$dir" >>"$job/places"
    printf '%s\n' "$bases" | model_candidates "$dir" "$org" "$name" >>"$job/places"
    [ -f "$job/damaged" ] || : >"$job/damaged"
    # only the manifests of our own revisions are taken at their word: anybody can write one
    tail -n +3 "$job/places" | grep -F -e "${dir%/*}/" | while read -r at; do
        { is_ours "$at" && is_ours "$at/$manifest"; } || continue
        model_vouched "$at" | sed "s|^|$(printf %s "$at" | sed 's/[\\|&]/\\&/g')$tab|"
    done | awk -F "$tab" 'FILENAME == ARGV[1] { damaged[$0]; next } # revisions share files, and their damage
        { path = $2; sub(/^[^ ]+ /, "", path); if (!(path in damaged)) print }' "$job/damaged" - >"$job/elsewhere"
}

doubtful() { # "DIGEST FILE" of each file that has the right path and size but that nobody vouches for
    # what a manifest vouches for as something else need not be read
    awk -F "$tab" '{ path = $2; sub(/^[^ ]+ /, "", path); print $1 "/" path }' "$job/elsewhere" >"$job/known"
    while read -r digest size path; do
        if [ -s "$job/elsewhere" ] && grep -Fq -e "$tab$digest $path" "$job/elsewhere"; then continue; fi
        while read -r at; do
            [ -f "$at/$path" ] && [ "$(size_of "$at/$path")" = "$size" ] || continue
            grep -Fxq -e "$at/$path" "$job/known" || printf '%s %s\n' "$digest" "$at/$path"
        done <"$job/places"
    done <"$job/open"
}

settle() { # DIGEST PATH SIZE: bring a good copy of one file into the staging folder, if there is one
    found=
    [ ! -s "$job/elsewhere" ] ||
        found=$(awk -F "$tab" -v line="$1 $2" '$2 == line { print $1; exit }' "$job/elsewhere")
    if [ -n "$found" ]; then
        bring "$found/$2" "$2" "$1" && vouch "$1" "$2" && return
    fi
    while read -r at; do
        if ! grep -Fxq -e "$1$tab$at/$2" "$job/digests"; then continue; fi
        bring "$at/$2" "$2" "$1" && vouch "$1" "$2" && return
    done <"$job/places"
    if [ -f "$staging/$2" ] && [ "$(size_of "$staging/$2")" = "$3" ]; then # whole, but wrong
        printf '%s\n' "$2" >>"$job/wrong"
        rm -f -- "$staging/$2"
    fi
    return 1
}

secret() { [ ! -s "$token" ] || base64 -d <"$token"; }

fetch_modelscope() { # FILE...
    MODELSCOPE_API_TOKEN=$(secret)
    export MODELSCOPE_API_TOKEN MODELSCOPE_ENDPOINT="$endpoint" MODELSCOPE_CACHE="$job/cache" MODELSCOPE_HOME="$job/cache"
    # its own limit of an hour a file ends a large one on a slow line
    export MODELSCOPE_DOWNLOAD_TOTAL_TIMEOUT=2592000 MODELSCOPE_DOWNLOAD_INTRA_CLOUD=false
    "$client/bin/modelscope" download "$id" "$@" --revision "$revision" --local-dir "$staging" \
        --max-workers "$workers"
}

fetch_huggingface() { # FILE...
    HF_TOKEN=$(secret)
    export HF_TOKEN HF_ENDPOINT="$endpoint" HF_HOME="$job/cache" HF_HUB_DISABLE_UPDATE_CHECK=1
    # Xet's chunks can neither be counted nor resumed on a mirror
    export HF_HUB_DISABLE_XET=1 HF_HUB_DISABLE_TELEMETRY=1 HF_HUB_DISABLE_PROGRESS_BARS=1
    export HF_HUB_DOWNLOAD_TIMEOUT=60 HF_HUB_ETAG_TIMEOUT=30
    fetcher >"$job/fetch.py"
    "$client/bin/python" "$job/fetch.py" "$id" "$revision" "$staging" "$workers" "$@"
}

fetch_missing() {
    # the host's own authorities, which an operator can add to; the clients bring lists of theirs
    authorities=/etc/ssl/certs/ca-certificates.crt
    [ ! -f "$authorities" ] || export REQUESTS_CA_BUNDLE="$authorities" SSL_CERT_FILE="$authorities"
    set --
    while read -r digest size path; do set -- "$@" "$path"; done <"$job/missing"
    "fetch_$fetch" "$@"
}

fetch_all() { # until nothing is missing, or nothing came for as long as our patience lasts
    news=$(date +%s)
    try=0
    : >"$job/wrong"
    while [ -s "$job/missing" ]; do
        before=$(staged)
        phase fetch
        status=0
        fetch_missing >"$job/client" 2>&1 || status=$?
        tail -n 30 "$job/client"
        take_stock
        [ -s "$job/missing" ] || break
        now=$(date +%s)
        [ "$(staged)" -le "$before" ] || { news=$now; try=0; }
        again=$(sort "$job/wrong" | uniq -d | head -n 1)
        [ -z "$again" ] || die "wrong bytes: $again"
        if grep -Eq "$hopeless" "$job/client" || [ $((now - news)) -ge "$patience" ]; then
            die "$fetch does not deliver $(head -n 1 "$job/missing" | cut -d' ' -f3-) (exit status $status)"
        fi
        phase fetch
        try=$((try + 1))
        sleep $((try < 10 ? try : 10))
    done
}

staged_lines() { # the lines of JOB/listing whose files are staged and checked
    model_vouched "$staging" >"$job/checked"
    awk 'FILENAME == ARGV[1] { good[$0]; next } { line = $0; digest = $1; sub(/^[^ ]+ [0-9]+ /, "", line)
        if ((digest " " line) in good) print }' "$job/checked" "$job/listing"
}

stage_what_is_good() { # so that whoever brings the rest sees what is there in one folder
    staged_lines >"$job/staged"
    awk 'FILENAME != ARGV[3] { skip[$0]; next } !($0 in skip)' "$job/missing" "$job/staged" "$job/listing" |
        while read -r digest size path; do
            bring "$dir/$path" "$path" "$digest" && vouch "$digest" "$path" || exit 1
        done || die "cannot write to $staging"
}

check_shards() { # the index of the weights names no file that is not wanted
    cut -d' ' -f3- "$job/listing" | grep -E '\.index\.json$' | while read -r index; do
        file=$staging/$index
        [ -f "$file" ] || file=$dir/$index
        folder=
        case $index in */*) folder=${index%/*}/ ;; esac
        grep -Eo '"[^"/]+\.(safetensors|bin)"' "$file" | tr -d '"' | sort -u |
            awk -v folder="$folder" '{ print folder $0 }' >"$job/shards"
        cut -d' ' -f3- "$job/listing" | sort | comm -13 - "$job/shards" >"$job/lacking"
        # an index without any of its shards is that of another format, which was excluded
        if [ ! -s "$job/lacking" ] || cmp -s "$job/lacking" "$job/shards"; then continue; fi
        lacking=$(head -n 1 "$job/lacking")
        die "$index names ${lacking#"$folder"}, which is not among the files"
    done
}

place() { # move what is staged into place, then say so in the manifest
    phase place
    rm -f -- "$job/former"
    staged_lines >"$job/staged" || die "cannot write to $job"
    mkdir -p -- "$dir" || die "cannot write to $dir"
    cut -d' ' -f3- "$job/staged" | while read -r path; do
        at=$dir/$path
        [ -d "${at%/*}" ] || mkdir -p -- "${at%/*}" || exit 1
        [ ! "$staging/$path" -ef "$dir/$path" ] || continue # two names of one file: mv refuses those
        mv -fT -- "$staging/$path" "$dir/$path" || exit 1 # -T: not into a folder of that name
    done || die "cannot write to $dir"
    # only what we ourselves wrote down may be removed, and only below the folder
    ! is_ours "$dir/$manifest" || cut -s -d' ' -f4- "$dir/$manifest" | grep -Ev '(^|/)\.\.(/|$)' >"$job/former"
    (
        while read -r digest size path; do
            about=$(stat -c '%s %Y' -- "$dir/$path") || exit 1
            printf '%s %s %s\n' "$digest" "$about" "$path" || exit 1
        done <"$job/listing" >"$dir/$manifest.new"
    ) || die "cannot write to $dir"
    if ! { sync -f -- "$dir" && mv -f -- "$dir/$manifest.new" "$dir/$manifest" && sync -- "$dir"; }; then
        die "cannot write to $dir"
    fi
    if [ -f "$job/former" ]; then # what an earlier listing had and this one has not
        cut -d' ' -f3- "$job/listing" | sort >"$job/now"
        sort "$job/former" | comm -23 - "$job/now" | while read -r path; do rm -f -- "$dir/$path"; done
    fi
    rm -rf -- "$staging" "$job/cache" "$job/damaged"
}

verify() { # every file in place against its digest; a damaged one is struck from the manifest
    model_vouched "$dir" >"$job/good"
    while read -r digest path; do printf '%s %s\n' "$digest" "$dir/$path"; done <"$job/good" |
        gather_digests >"$job/digests"
    while read -r digest path; do
        grep -Fxq -e "$digest$tab$dir/$path" "$job/digests" || printf '%s\n' "$path"
    done <"$job/good" >"$job/damaged" || die "cannot write to $job"
    [ -s "$job/damaged" ] || return 0
    awk 'FILENAME == ARGV[1] { damaged[$0]; next } { path = $0; sub(/^[^ ]+ [0-9]+ -?[0-9]+ /, "", path)
        if (!(path in damaged)) print }' "$job/damaged" "$dir/$manifest" >"$dir/$manifest.new"
    mv -f -- "$dir/$manifest.new" "$dir/$manifest"
    die "damaged files: $(paste -sd , "$job/damaged" | sed 's/,/, /g')"
}

main() {
    exec >"$job/log" 2>&1
    trap 'printf "%s\n" "$?" >"$job/status"; rm -f -- "${token:-$job/phase}"' EXIT
    trap 'exit 143' TERM INT HUP
    rm -f -- "$job/elsewhere" "$job/former" # of an earlier run
    [ "$mode" != verify ] || { verify; exit; }
    take_stock
    case $mode in
        prepare) stage_what_is_good; exit ;;
        finish) [ ! -s "$job/missing" ] || die "wrong bytes: $(head -n 1 "$job/missing" | cut -d' ' -f3-)" ;;
        fetch) fetch_all ;;
    esac
    check_shards || exit 1
    place
}

main
