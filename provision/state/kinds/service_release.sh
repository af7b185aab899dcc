# Functions that bring services to a release and say what became of them. POSIX sh, Docker Compose.
# A release is a folder with compose.yaml, compose.override.yaml (the ids that the images had when it
# was written), `hashes` ("NAME HASH" a line) and NAME.env. It is called as its content, and six digits
# for those ids; a link that is called as the content alone leads to the one that was written last.
# $base/current/NAME is a link to the release that NAME was last validated in.

service_hash() { # RELEASE NAME: the configuration that a release has for a service; nothing: none
    [ ! -f "$1/hashes" ] || awk -v name="$2" '$1 == name { print $2 }' "$1/hashes"
}

service_image() { # RELEASE NAME: the id of the image that a release has for a service; nothing: none
    [ ! -f "$1/compose.override.yaml" ] || awk -v line="  \"$2\":" '$0 == line { getline; print $2 }' "$1/compose.override.yaml"
}

service_wish() { # RELEASE NAME: "HASH IMAGE", by which a container of the release is known; nothing: none
    service_wanted=$(service_hash "$1" "$2")
    [ -z "$service_wanted" ] || service_wanted="$service_wanted $(service_image "$1" "$2" | grep . || echo -)"
    echo "$service_wanted"
}

service_tags() { # RELEASE: "NAME TAG" of each service, as provision renders compose.yaml
    awk '/^  "[^"]+":$/ { name = substr($1, 2, length($1) - 3) } /^    image: / { gsub(/"/, "", $2); print name, $2 }' "$1/compose.yaml"
}

service_look() { # NAME: "STATUS HEALTH RESTARTS HASH IMAGE TAG" of its container; fails when there is none
    docker container inspect -f '{{.State.Status}} {{with .State.Health}}{{.Status}}{{else}}none{{end}} {{.RestartCount}} {{with index .Config.Labels "provision.config-hash"}}{{.}}{{else}}-{{end}} {{.Config.Image}} {{with index .Config.Labels "provision.image"}}{{.}}{{else}}-{{end}}' "$1" 2>/dev/null
}

service_probe() { # BASE NAME: what runs, what its tag names now, what was validated; 1 = no such container
    service_seen=$(service_look "$2") || {
        docker version >/dev/null || return 2
        return 1
    }
    echo "container $service_seen"
    echo "tag $(docker image inspect -f '{{.Id}}' "${service_seen##* }" 2>/dev/null)"
    echo "validated $(service_wish "$1/current/$2" "$2")"
    [ ! -f "$1/current/$2/$2.env" ] || echo "environment $(service_environment "$1/current/$2" "$2")"
}

service_releases() { # BASE NAME: what runs, where it was validated, and which releases have it; 1 = nowhere
    service_now=$(readlink -f -- "$1/current/$2") && [ -f "$service_now/hashes" ] || return 1
    service_seen=$(service_look "$2") || {
        docker version >/dev/null || return 2
        service_seen="gone none 0 - - -"
    }
    echo "container $service_seen"
    echo "current ${service_now##*/}"
    for service_folder in "$1"/releases/*; do
        service_wanted=$(service_wish "$service_folder" "$2")
        [ -n "$service_wanted" ] && [ ! -L "$service_folder" ] || continue
        echo "has ${service_folder##*/} $service_wanted $(service_patience "$service_folder") $(service_environment "$service_folder" "$2")"
    done
    [ ! -f "$1/history" ] || awk -v name="$2" '$2 == name { print "kept", $1, $3 }' "$1/history"
}

service_patience() { # RELEASE: the seconds that the slowest of its services may take to start
    sed -n 's/^ *start_period: \([0-9]*\)s$/\1/p' "$1/compose.yaml" | sort -n | tail -n 1 | grep . || echo 3600
}

service_environment() { # RELEASE NAME: the sha256 of its variables; nothing: it has none
    [ ! -f "$1/$2.env" ] || sha256sum <"$1/$2.env" | cut -d' ' -f1
}

service_is_as() { # RELEASE NAME: it runs as that has it, secret variables too, and may yet become healthy
    case $(service_look "$2") in
        "running unhealthy "*) return 1 ;;
        "running "*" $(service_wish "$1" "$2") "*) ;;
        *) return 1 ;;
    esac
    [ "$(service_environment "$(service_origin "$2")" "$2")" = "$(service_environment "$1" "$2")" ]
}

service_origin() { # NAME: the release that its container was made from; nothing: unknown
    service_folder=$(docker container inspect -f '{{with index .Config.Labels "com.docker.compose.project.working_dir"}}{{.}}{{end}}' "$1" 2>/dev/null) || return 0
    [ ! -f "$service_folder/hashes" ] || printf '%s\n' "$service_folder"
}

service_seal() { # BASE CONTENT: what was written to releases/.CONTENT gets the ids of its images, and its place
    service_new=$1/releases/.$2
    service_tags "$service_new" | {
        echo services:
        while read -r service_name service_tag; do
            service_id=$(docker image inspect -f '{{.Id}}' "$service_tag" 2>/dev/null) || continue
            printf '  "%s":\n    image: %s\n' "$service_name" "$service_id"
        done
    } >"$service_new/compose.override.yaml"
    service_name=$2$(sha256sum <"$service_new/compose.override.yaml" | cut -c1-6)
    service_folder=$1/releases/$service_name
    sync -f -- "$service_new" || return
    if [ -d "$service_folder" ]; then
        mv -f -- "$service_new"/* "$service_folder" && rmdir -- "$service_new" || return
    else
        mv -T -- "$service_new" "$service_folder" || return
    fi
    ln -s -- "$service_name" "$service_new" && mv -fT -- "$service_new" "$1/releases/$2"
}

service_check() { # RELEASE NAME...: its images are there, and Compose takes it; nothing is stopped yet
    service_release=$1
    shift
    for service_name in "$@"; do
        service_id=$(service_image "$service_release" "$service_name")
        [ -n "$service_id" ] || service_id=$(service_tags "$service_release" | awk -v name="$service_name" '$1 == name { print $2 }')
        docker image inspect -f '{{""}}' "$service_id" 2>&1 || return
    done
    service_compose "$service_release" config --quiet
}

service_save() { # NAME: the end of its log stays in the release that its container was made from
    service_from=$(service_origin "$1")
    [ -z "$service_from" ] || docker logs --tail 2000 -- "$1" >"$service_from/$1.log" 2>&1 || :
}

service_bring() { # RELEASE NAME...: let the services be as the release has them; those that it has not go
    service_release=$1
    shift
    service_changed=
    for service_name in "$@"; do
        if [ -z "$(service_hash "$service_release" "$service_name")" ]; then
            service_save "$service_name"
            docker rm --force -- "$service_name" >/dev/null 2>&1 || :
        elif ! service_is_as "$service_release" "$service_name"; then
            service_save "$service_name"
            service_changed="$service_changed $service_name"
        fi
    done
    [ -n "$service_changed" ] || return 0
    # shellcheck disable=SC2086  # names have no spaces
    service_compose "$service_release" up --detach --no-build --no-deps --force-recreate $service_changed
}

service_compose() { # RELEASE ARGUMENT...: Compose, quietly; orphans are services of other releases
    service_folder=$(readlink -f -- "$1")
    shift
    COMPOSE_IGNORE_ORPHANS=1 docker compose --progress plain --project-name provision \
        --project-directory "$service_folder" --file "$service_folder/compose.yaml" \
        --file "$service_folder/compose.override.yaml" "$@" 2>&1
}

service_fail() { # RELEASE NAME TEXT: the end of its log, which stays, and why nobody waits any longer
    service_log=$(readlink -f -- "$1")/$2.log
    docker logs --tail 2000 -- "$2" >"$service_log" 2>&1 || :
    tail -n 200 -- "$service_log"
    echo "provision: service $2 $3; its log stays in $service_log"
    return 1
}

service_wait() { # SECONDS RELEASE NAME...: until all are healthy; one that stops is recognised at once
    service_left=$1 service_release=$2
    shift 2
    service_before=$(for service_name in "$@"; do service_restarts "$service_name"; done)
    while :; do
        service_open=
        for service_name in "$@"; do
            service_seen=$(service_look "$service_name") || service_seen=gone
            case $service_seen in
                "running healthy "* | "running none "*) continue ;;
                "running "* | "created "*) service_open=${service_open:-$service_name} ;;
                *) service_fail "$service_release" "$service_name" "stopped while it started (exit code $(service_code "$service_name"))" || return ;;
            esac
            printf '%s\n' "$service_before" | grep -Fxq -e "$(service_restarts "$service_name")" ||
                service_fail "$service_release" "$service_name" "stops again and again while it starts" || return
        done
        [ -n "$service_open" ] || return 0
        [ "$service_left" -gt 0 ] || service_fail "$service_release" "$service_open" "is not healthy within its time limit" || return
        docker logs --tail 1 -- "$service_open" 2>&1 || :
        sleep 1
        service_left=$((service_left - 1))
    done
}

service_restarts() { # NAME: "NAME RESTARTS"; nothing: there is no such container
    docker container inspect -f "$1 {{.RestartCount}}" "$1" 2>/dev/null || :
}

service_code() { docker container inspect -f '{{.State.ExitCode}}' "$1" 2>/dev/null || echo unknown; }

service_keep() { # BASE RELEASE NAME...: the services were validated in this release
    service_base=$1 service_release=$(readlink -f -- "$2")
    shift 2
    mkdir -p -- "$service_base/current"
    for service_name in "$@"; do
        if [ -n "$(service_hash "$service_release" "$service_name")" ]; then
            ln -sfn -- "$service_release" "$service_base/current/.$service_name"
            mv -fT -- "$service_base/current/.$service_name" "$service_base/current/$service_name"
        else
            rm -f -- "$service_base/current/$service_name"
        fi
        echo "$(date +%s) $service_name ${service_release##*/}" >>"$service_base/history"
    done
    service_prune "$service_base" || : # what is left over harms nobody
    sync -f -- "$service_base"
}

service_prune() { # BASE: without releases that no link names, nor are of a service's last ten, nor of the ten written last
    service_kept=$(
        for service_link in "$1"/current/*; do basename -- "$(readlink -- "$service_link")"; done
        tac -- "$1/history" | awk '!seen[$2, $3]++ && count[$2]++ < 10 { print $3 }'
        find "$1/releases" -maxdepth 1 -type d -name '[0-9a-f]*' -printf '%T@ %f\n' | sort -rn | head -n 10 | cut -d' ' -f2
    )
    for service_folder in "$1"/releases/*; do
        case ${service_folder##*/} in *[!0-9a-f]*) continue ;; esac
        [ ! -L "$service_folder" ] || continue
        printf '%s\n' "$service_kept" | grep -Fxq -e "${service_folder##*/}" || rm -rf -- "$service_folder"
    done
    find "$1/releases" -maxdepth 1 -xtype l -delete # links that lead nowhere now
}

service_back() { # BASE NAME...: what was validated last runs again; what never was goes, its log stays
    service_base=$1
    shift
    for service_name in "$@"; do
        service_bring "$(readlink -f -- "$service_base/current/$service_name")" "$service_name" || return
    done
}
