# Functions that probes and commands share. POSIX sh and coreutils; see the callers for meaning.
# shellcheck disable=SC2154  # the frame sets `newline`

# What is gathered of paths is taken line by line, in the order in which it was asked for: to search
# through all of it for each path takes a shell longer than the processes that it saves. No path has //.
gather_paths() { # PATH...: what probe_path wants to know of all of these, by one process
    gathered_paths="$(stat -L -c '%n//%F|%a|%U|%G|%s' -- "$@" 2>/dev/null)$newline"
}

gather_digests() { # PATH...: the digests of those that are files, by one process
    for gathered_path; do # what is no file may have no end
        shift
        [ ! -f "$gathered_path" ] || set -- "$@" "$gathered_path"
    done
    [ $# -eq 0 ] || gathered_digests="$(sha256sum -- "$@" 2>/dev/null)$newline"
}

gathered_digest() { # PATH: its line, where that is the next one
    gathered_line=${gathered_digests:-}
    gathered_line=${gathered_line%%"$newline"*}
    case $gathered_line in
        *"  $1") gathered_digests=${gathered_digests#*"$newline"} ;;
        *) gathered_line= ;;
    esac
}

gather_dpkg() { # NAME...: what probe_dpkg wants to know of all of these, by one process
    gathered_dpkg="$newline$(dpkg-query -W -f='${Package}|${db:Status-Abbrev}|${Version}\n' "$@" 2>/dev/null)"
    gathered_dpkg_status=$? # 1: some of them are unknown
}

gather_rpm() { # NAME...: what probe_rpm wants to know of all of these, by one process
    gathered_rpm="$newline$(rpm -q --qf '%{NAME}|%{EPOCHNUM}:%{VERSION}-%{RELEASE}\n' -- "$@" 2>&1)$newline"
}

gathered() { # TEXT NAME: what stands behind `NAME|` at the start of a line, as often as it does
    gathered_rest=$1
    while :; do
        case $gathered_rest in *"$newline$2|"*) ;; *) return 0 ;; esac
        gathered_rest=${gathered_rest#*"$newline$2|"}
        printf '%s\n' "${gathered_rest%%"$newline"*}"
    done
}

probe_dpkg() { # NAME: "status|version" of each architecture that dpkg has heard of
    [ -n "${gathered_dpkg_status:-}" ] || gather_dpkg "$1"
    if [ "$gathered_dpkg_status" -le 1 ]; then
        gathered "$gathered_dpkg" "$1"
    else # it is asked again for its complaint
        dpkg-query -W -f='${db:Status-Abbrev}|${Version}\n' "$1" 2>/dev/null || [ $? -eq 1 ] || {
            dpkg-query -W >/dev/null
            return 2
        }
    fi
}

probe_rpm() { # NAME: its versions, then `held` if it is; rpm fails alike for a missing package and a broken database
    [ -n "${gathered_rpm:-}" ] || gather_rpm "$1"
    case $gathered_rpm in
        *"${newline}error: "*) # of a database that cannot be read it says, too, that nothing is installed
            rpm -q -- "$1" >/dev/null
            return 2
            ;;
        *"${newline}package $1 is not installed$newline"*) return 1 ;;
        *"$newline$1|"*) gathered "$gathered_rpm" "$1" ;;
        *)
            rpm -q --qf '%{EPOCHNUM}:%{VERSION}-%{RELEASE}\n' -- "$1" >&2
            return 2
            ;;
    esac
    ! dnf_excluded "$1" || echo held
}

probe_path() { # PATH [MAX_BYTES [SHA256]]: "type|mode|owner|group|size", then the text if it is small enough,
    # or its digest; `|wanted` and neither of them where that is what was asked for
    case ${gathered_paths:-} in
        "$1//"*)
            probe_path_stat=${gathered_paths%%"$newline"*}
            probe_path_stat=${probe_path_stat#"$1//"}
            gathered_paths=${gathered_paths#*"$newline"}
            ;;
        *) probe_path_stat=$(stat -L -c '%F|%a|%U|%G|%s' -- "$1" 2>&1) || case $probe_path_stat in
            *'No such file or directory') return 1 ;;
            *) printf '%s\n' "$probe_path_stat" >&2; return 2 ;;
        esac ;;
    esac
    if [ -n "${3:-}" ]; then
        gathered_digest "$1"
        if [ "$gathered_line" = "$3  $1" ]; then
            printf '%s|wanted\n' "$probe_path_stat"
            return 0
        fi
    fi
    printf '%s\n' "$probe_path_stat"
    case $probe_path_stat in
        regular*)
            if [ "${probe_path_stat##*|}" -gt "${2:-0}" ]; then sha256sum <"$1"; else cat -- "$1"; fi ||
                return 2 # 1 would read as absent
            ;;
    esac
}

write_file() { # PATH MODE OWNER GROUP PROBED|absent SHA256 [CHECK]: stdin replaces the file, if as probed
    write_file_path=$1
    [ ! -L "$1" ] || write_file_path=$(readlink -f -- "$1") || write_file_path=
    if [ -z "$write_file_path" ] || [ ! -d "${write_file_path%/*}/" ]; then
        echo "provision: no folder for $1" >&2
        return 1
    fi
    write_file_new=$write_file_path.provision-new
    write_file_now=absent
    [ ! -e "$write_file_path" ] || write_file_now=$(sha256sum <"$write_file_path") || write_file_now=
    if [ "${write_file_now%% *}" != "$5" ]; then
        echo "provision: $1 is no longer what was probed" >&2
        return 1
    fi
    [ ! -e "$write_file_new" ] && [ ! -L "$write_file_new" ] || rm -f -- "$write_file_new"
    # noclobber: what somebody else puts there meanwhile, a link above all, is not written into
    if (umask 077 && set -C && cat >"$write_file_new") &&
        write_file_is "$6" && { [ -z "${7:-}" ] || sh -c "$7" check "$write_file_new"; } &&
        chown -- "$3:$4" "$write_file_new" && chmod -- "$2" "$write_file_new" &&
        sync -- "$write_file_new" && mv -f -- "$write_file_new" "$write_file_path"; then
        sync -- "${write_file_path%/*}/"
    else
        rm -f -- "$write_file_new"
        return 1
    fi
}

write_file_is() { # SHA256: the new file holds all that was sent; a decoder that died is no end of file
    write_file_sent=$(sha256sum <"$write_file_new")
    [ "${write_file_sent%% *}" != "$1" ] || return 0
    echo "provision: the content of $write_file_path was cut on its way" >&2
    return 1
}

openpgp_dearmor() { # FILE: the binary keys in FILE, whether it is armored or not
    if grep -q '^-----BEGIN PGP PUBLIC KEY BLOCK-----' "$1"; then
        sed -e '1,/^[[:space:]]*$/d' -e '/^=/d' -e '/^-----END/,$d' "$1" | tr -d '\r' | base64 -d
    else
        cat -- "$1"
    fi
}

openpgp_fingerprints() { # FILE (binary): the fingerprint of every primary key in it (RFC 4880, 12.2)
    openpgp_at=0
    openpgp_size=$(wc -c <"$1")
    while [ "$openpgp_at" -lt "$openpgp_size" ]; do
        openpgp_file=$1
        # shellcheck disable=SC2046  # six numbers, split on purpose
        set -- "$1" $(od -An -v -tu1 -j"$openpgp_at" -N6 "$1") 0 0 0 0 0 0
        if [ $(($2 & 64)) -ne 0 ]; then
            openpgp_tag=$(($2 & 63))
            if [ "$3" -lt 192 ]; then openpgp_head=2 openpgp_body=$3
            elif [ "$3" -lt 224 ]; then openpgp_head=3 openpgp_body=$(((($3 - 192) << 8) + $4 + 192))
            else openpgp_head=6 openpgp_body=$((($4 << 24) + ($5 << 16) + ($6 << 8) + $7)); fi
        else
            openpgp_tag=$((($2 >> 2) & 15))
            case $(($2 & 3)) in
                0) openpgp_head=2 openpgp_body=$3 ;;
                1) openpgp_head=3 openpgp_body=$((($3 << 8) + $4)) ;;
                *) openpgp_head=5 openpgp_body=$((($3 << 24) + ($4 << 16) + ($5 << 8) + $6)) ;;
            esac
        fi
        if [ $(($2 & 128)) -eq 0 ]; then echo "provision: not an OpenPGP key" >&2; return 2; fi
        if [ "$openpgp_tag" -eq 6 ]; then
            {
                # shellcheck disable=SC2059  # the format is three bytes, made of digits only
                printf "\\231\\$(printf %03o $((openpgp_body >> 8)))\\$(printf %03o $((openpgp_body & 255)))"
                tail -c +$((openpgp_at + openpgp_head + 1)) "$1" | head -c "$openpgp_body"
            } | sha1sum | cut -d' ' -f1 | tr a-f A-F
        fi
        openpgp_at=$((openpgp_at + openpgp_head + openpgp_body))
        set -- "$openpgp_file"
    done
}

apt_get() { # apt-get that asks nothing, keeps the host's configuration and waits LOCK_TIMEOUT for the lock
    DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l timeout $((${LOCK_TIMEOUT:-300} + 6000)) \
        apt-get -q -y -o DPkg::Lock::Timeout="${LOCK_TIMEOUT:-300}" -o DPkg::Use-Pty=0 \
        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
        -o Acquire::Retries=2 -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 "$@"
}

while_locked() { # COMMAND...: again, for LOCK_TIMEOUT seconds, while another apt or dpkg holds its lock
    while_locked_until=$(($(date +%s) + ${LOCK_TIMEOUT:-300}))
    while :; do
        while_locked_status=0
        while_locked_log=$("$@" 2>&1) || while_locked_status=$?
        [ "$while_locked_status" -ne 0 ] || break
        case $while_locked_log in *'not get lock'* | *'lock was locked'*) ;; *) break ;; esac
        [ "$(date +%s)" -lt "$while_locked_until" ] || break
        # on stderr, for our own callers keep what goes to stdout to themselves
        printf '%s\n' "$while_locked_log" | sed -n '/lock/{s/^[A-Za-z]*: /waiting: /p;q;}' >&2
        sleep 2
    done
    printf '%s\n' "$while_locked_log"
    return "$while_locked_status"
}

apt_update() { # [SOURCES_FILE]: refresh all lists or those of one file; a warning is a failure
    if [ $# -gt 0 ]; then
        set -- -o Dir::Etc::sourcelist="$1" -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0
    fi
    # DPkg::Lock::Timeout does not reach the lock of the lists
    apt_log=$(while_locked apt_get "$@" update) || { printf '%s\n' "$apt_log"; return 100; }
    printf '%s\n' "$apt_log"
    ! printf '%s\n' "$apt_log" | grep -Eq '^(W: (Failed to fetch|Some index files failed)|Err:|E:)'
}

apt_update_daily() { # refresh all lists unless that was done within a day; apt's own dates are the mirror's
    apt_stamp=/var/lib/provision/apt-updated
    [ -z "$(find "$apt_stamp" -mmin -1440 2>/dev/null)" ] || return 0
    apt_update && mkdir -p "${apt_stamp%/*}" && touch "$apt_stamp"
}

apt_repair() { # end what a killed dpkg left half-way: nothing can be installed before
    [ -z "$(dpkg --audit)" ] || DEBIAN_FRONTEND=noninteractive while_locked \
        dpkg --force-confdef --force-confold --configure -a
}

apt_removes() { # SPEC...: the installed packages that apt would remove beside those named `NAME-`
    apt_plan=$(apt_get -s install --no-install-recommends "$@") || { printf '%s\n' "$apt_plan" >&2; return 100; }
    printf '%s\n' "$apt_plan" | sed -n 's/^Remv \([^ ]*\).*/\1/p' | while read -r apt_name; do
        case " $* " in *" $apt_name- "*) ;; *) printf '%s\n' "$apt_name" ;; esac
    done
}

apt_install() { # SPEC...: install in one transaction, unless it would remove what nobody was shown
    apt_lost=$(apt_removes "$@") || return
    if [ -n "$apt_lost" ]; then
        echo "provision: apt would also remove $(printf '%s' "$apt_lost" | tr '\n' ' ')" >&2
        return 1
    fi
    apt_fetch "$@" && apt_get install --no-install-recommends "$@"
}

apt_fetch() { # SPEC...: fetch the archives that an install needs, and tell meanwhile how far that is
    # 'URL' FILE SIZE DIGEST
    apt_wanted=$(apt_get install --no-install-recommends --print-uris "$@" |
        sed -n "s/^'[^']*' \([^ ]*\) \([0-9][0-9]*\).*/\1 \2/p")
    [ -n "$apt_wanted" ] || return 0
    # shellcheck disable=SC2046  # sizes and names, split on purpose
    apt_meter $(printf '%s\n' "$apt_wanted" | cut -d' ' -f2 | sum_of) $(printf '%s\n' "$apt_wanted" | cut -d' ' -f1) &
    { # a line of apt's for each archive would begin the measure of the rate anew
        apt_status=$({
            { apt_get install --no-install-recommends --download-only "$@" 2>&1 && echo 0 >&3 || echo $? >&3; } |
                while IFS= read -r apt_line; do case $apt_line in Get:*) ;; *) printf '%s\n' "$apt_line" >&4 ;; esac; done
        } 3>&1)
    } 4>&1
    kill $! && wait $! 2>/dev/null || : # some shells speak of those that they do not wait for
    [ "$apt_status" != 124 ] || echo 'provision: not all archives came in time; those that did are kept for the next run'
    return "${apt_status:-1}"
}

apt_meter() { # TOTAL FILE...: every two seconds how many bytes of these archives have come
    apt_total=$1 apt_archives=
    shift
    eval "$(apt-config shell apt_archives Dir::Cache::archives/d)"
    while sleep 2 >/dev/null 2>&1 && kill -0 $$; do
        apt_come=$(cd "$apt_archives" && for apt_file; do stat -c %s "$apt_file" "partial/$apt_file"; done | sum_of)
        echo "progress bytes $apt_come $apt_total"
    done 2>/dev/null
}

sum_of() { # numbers, one a line
    echo $(($(paste -s -d+ -) + 0))
}

openpgp_armored_fingerprints() { # FILE (armored): those of its primary keys; read-only, as a probe must be
    [ "$(grep -c '^-----BEGIN PGP' "$1")" -eq 1 ] || echo several-blocks # rpm would take the second one too
    # shellcheck disable=SC2016  # awk's variables
    openpgp_dearmor "$1" | od -An -v -tu1 | tr -s ' ' '\n' | grep . | awk '
        { byte[NR] = $1 }
        END {
            for (at = 1; at <= NR; at += head + size) {
                if (byte[at] < 128) { print "nonsense"; exit }
                tag = byte[at] % 64; size = byte[at + 1]; head = 2
                if (byte[at] < 192) { # an old header
                    tag = int(tag / 4); kind = byte[at] % 4
                    if (kind == 1) { size = size * 256 + byte[at + 2]; head = 3 }
                    if (kind > 1) { size = ((size * 256 + byte[at + 2]) * 256 + byte[at + 3]) * 256 + byte[at + 4]; head = 5 }
                } else if (size == 255) {
                    size = ((byte[at + 2] * 256 + byte[at + 3]) * 256 + byte[at + 4]) * 256 + byte[at + 5]; head = 6
                } else if (size > 191) { size = (size - 192) * 256 + byte[at + 2] + 192; head = 3 }
                if (tag != 6) continue
                text = sprintf("\\231\\%03o\\%03o", int(size / 256), size % 256)
                for (i = 0; i < size; i++) text = text sprintf("\\%03o", byte[at + head + i])
                print text
            }
        }' | while IFS= read -r openpgp_text; do
        [ "$openpgp_text" != nonsense ] || { echo nonsense; continue; }
        # shellcheck disable=SC2059  # the format is bytes, made of digits only
        printf "$openpgp_text" | sha1sum | cut -d' ' -f1 | tr a-f A-F
    done
}

dnf_setting() { # FILE SECTION OPTION: its value on one line; 1 where the file does not set it
    awk -v section="[$2]" -v option="$3" '
        /^\[/ { here = index($0, section) == 1; mine = 0; next }
        !here || /^[#;]/ { next }
        /^[ \t]/ { if (mine) { sub(/^[ \t]+/, " "); value = value $0 }; next }
        { name = $0; sub(/[ \t]*=.*/, "", name); mine = name == option }
        mine { sub(/^[^=]*=[ \t]*/, ""); value = $0; found = 1 }
        END { if (!found) exit 1; print value }' "$1"
}

dnf_set() { # FILE PROBED SECTION OPTION [VALUE]: only that option changes, or goes where VALUE is empty
    # shellcheck disable=SC2016  # awk's variables
    dnf_set_text=$(DNF_LINE=${5:+$4=$5} awk -v section="[$3]" -v option="$4" '
        function put() { if (ENVIRON["DNF_LINE"] != "" && !done++) print "# provision: " option "\n" ENVIRON["DNF_LINE"] }
        /^\[/ { if (here) put(); here = index($0, section) == 1; mine = 0; print; next }
        !here { print; next }
        $0 == "# provision: " option { next }
        mine && /^[ \t]/ { next }
        { name = $0; sub(/[ \t]*=.*/, "", name); mine = name == option && /=/ }
        mine { put(); next }
        { print }
        END { if (!done && !here && ENVIRON["DNF_LINE"] != "") print section; put() }' "$1") || return
    # shellcheck disable=SC2046  # three words, split on purpose
    printf '%s\n' "$dnf_set_text" | write_file "$1" $(stat -L -c '%a %U %G' -- "$1") "$2" \
        "$(printf '%s\n' "$dnf_set_text" | sha256sum | cut -d' ' -f1)"
}

dnf_excludes() { # the packages that dnf.conf keeps from moving; `exclude` is the older word
    for dnf_option in excludepkgs exclude; do dnf_setting /etc/dnf/dnf.conf main $dnf_option || :; done | tr ',\n' '  '
}

dnf_excluded() { # NAME: whether it is one of them
    set -f
    for dnf_pattern in $(dnf_excludes); do
        # shellcheck disable=SC2254  # a pattern on purpose
        case $1 in $dnf_pattern) set +f; return 0 ;; esac
    done
    set +f
    return 1
}

dnf_hold() { # NAME...: dnf and dnf-automatic leave them where they are, without the versionlock plugin
    dnf_names=$(dnf_setting /etc/dnf/dnf.conf main excludepkgs | tr ',' ' ') || :
    for dnf_name; do dnf_excluded "$dnf_name" || dnf_names="$dnf_names $dnf_name"; done
    dnf_set /etc/dnf/dnf.conf "$(sha256sum </etc/dnf/dnf.conf | cut -d' ' -f1)" main excludepkgs "${dnf_names# }"
}

dnf_moving() { # NAME...: the excludes that stay in force while these packages are moved
    set -f
    for dnf_pattern in $(dnf_excludes); do
        case " $* " in *" $dnf_pattern "*) ;; *) printf ',%s' "$dnf_pattern" ;; esac
    done
    set +f
}

dnf_get() { # ARGUMENT...: dnf without weak dependencies; somebody else's dead repository is left out
    timeout $((${LOCK_TIMEOUT:-300} + 6000)) dnf --setopt=install_weak_deps=False \
        --setopt=skip_if_unavailable=True --setopt=clean_requirements_on_remove=False "$@"
}

dnf_locked() { # ARGUMENT...: again, for LOCK_TIMEOUT seconds, while another dnf or rpm holds its lock
    dnf_until=$(($(date +%s) + ${LOCK_TIMEOUT:-300}))
    while :; do
        dnf_status=0
        dnf_log=$(dnf_get --setopt=exit_on_lock=True "$@" 2>&1) || dnf_status=$?
        case $dnf_status:$dnf_log in
            200:* | 1:*'transaction lock on '*) [ "$(date +%s)" -lt "$dnf_until" ] || break ;;
            *) break ;;
        esac
        sleep 2
    done
    printf '%s\n' "$dnf_log"
    return "$dnf_status"
}

dnf_solve() { # ARGUMENT...: the transaction that dnf would run, and nothing is run
    dnf_plan=$(dnf_locked --assumeno "$@") && return
    case $dnf_plan in *'Operation aborted.'*) return 0 ;; esac
    return 1
}

dnf_removed() { # the packages that go by the transaction in dnf_plan, those that are obsoleted too
    printf '%s\n' "$dnf_plan" | awk '
        /^$/ || /^Transaction Summary/ { removing = 0 }
        /^[A-Z][A-Za-z ]*:$/ { removing = /^Removing/ }
        removing && /^ [^ ]/ { print $1 }
        /^ +replacing / { sub(/[.][^.]*$/, "", $2); print $2 }'
}

dnf_run() { # ARGUMENT...: one transaction, unless it would remove what is not named in DNF_REMOVES
    if ! dnf_solve "$@"; then
        dnf_locked -y makecache --refresh >/dev/null || : # what is wanted may be newer than the lists
        dnf_solve "$@" || { printf '%s\n' "$dnf_plan"; return 1; }
    fi
    for dnf_name in $(dnf_removed); do
        case " ${DNF_REMOVES:-} " in *" $dnf_name "*) ;; *)
            echo "provision: dnf would also remove $(dnf_removed | tr '\n' ' ')" >&2
            return 1 ;;
        esac
    done
    dnf_get -y "$@"
}

dnf_apply() { # ARGUMENT...: install, then remove of DNF_REMOVES what the installation has not replaced
    dnf_locked -y makecache || echo 'some package lists could not be fetched'
    if [ $# -gt 0 ]; then
        # shellcheck disable=SC2086  # names, split on purpose
        dnf_run ${DNF_REMOVES:+--allowerasing} ${DNF_MOVES:+"--setopt=excludepkgs=$(dnf_moving $DNF_MOVES)"} install "$@" || return
    fi
    set --
    for dnf_name in ${DNF_REMOVES:-}; do ! rpm -q -- "$dnf_name" >/dev/null || set -- "$@" "$dnf_name"; done
    [ $# -eq 0 ] || dnf_run ${DNF_REMOVES:+"--setopt=excludepkgs="} remove "$@"
}

dnf_older() { # OURS MARK...: `file:section` of every enabled repository with a mark in its address, but in OURS
    dnf_ours=$1
    shift
    set -- /etc/yum.repos.d/*.repo "$@"
    [ -e "$1" ] || return 0
    # shellcheck disable=SC2016  # awk's variables
    awk -v ours="$dnf_ours" '
        function tell() { if (section != "" && hit && on && file != ours) print file ":" section; hit = 0; on = 1 }
        BEGIN { for (i = 1; i < ARGC; i++) if (ARGV[i] !~ /^\/etc\/yum\.repos\.d\//) { mark[ARGV[i]]; ARGV[i] = "" } on = 1 }
        FNR == 1 { tell(); section = ""; file = FILENAME }
        /^\[/ { tell(); section = $0; sub(/^\[/, "", section); sub(/\].*/, "", section) }
        /^(baseurl|mirrorlist|metalink)[ \t]*=/ { for (m in mark) if (index($0, m)) hit = 1 }
        /^enabled[ \t]*=[ \t]*(0|[Ff]alse|[Nn]o)/ { on = 0 }
        END { tell() }' "$@"
}

dnf_key() { # URL FINGERPRINT FILE: fetch a key the way dnf would, and keep it if it is that one alone
    dnf_new=$3.provision-new
    mkdir -p -- "${3%/*}"
    # the proxy may hold a password: curl reads it from stdin, never from its arguments
    { dnf_setting /etc/dnf/dnf.conf main proxy || :; } | sed 's/.*/proxy = "&"/' |
        timeout -k 10 120 curl -fsSL --retry 2 -K - -o "$dnf_new.download" -- "$1" || return
    # one block and no more: rpm imports all of them, and only the first is judged
    sed -n '/^-----BEGIN PGP PUBLIC KEY BLOCK-----/,/^-----END PGP/{p;/^-----END/q;}' "$dnf_new.download" >"$dnf_new"
    rm -f -- "$dnf_new.download"
    dnf_found=$(openpgp_armored_fingerprints "$dnf_new" | tr '\n' ' ')
    if [ "$dnf_found" != "$2 " ]; then
        rm -f -- "$dnf_new"
        echo "provision: wrong key: expected $2, got $dnf_found" >&2
        return 1
    fi
    chmod 0644 "$dnf_new" && sync "$dnf_new" && mv -f -- "$dnf_new" "$3"
}

dnf_try() { # NAME: stdin is a .repo file; whether that repository answers as it should, before it is entered
    dnf_stage=/run/provision-$1
    rm -rf -- "$dnf_stage" && mkdir -p -- "$dnf_stage" && cat >"$dnf_stage/$1.repo"
    dnf_tried=0
    dnf_locked -y --setopt=reposdir="$dnf_stage" --setopt="$1.skip_if_unavailable=False" \
        makecache --refresh || dnf_tried=$?
    rm -rf -- "$dnf_stage"
    return "$dnf_tried"
}
