# Functions that bring services to a release and say what became of them. POSIX sh, Docker Compose.
# A release is a folder with compose.yaml, `hashes` ("NAME HASH" a line) and NAME.env; $base/current/NAME
# is a link to the release that NAME was last validated in.

service_hash() { # RELEASE NAME: the configuration that a release has for a service; nothing: none
    [ ! -f "$1/hashes" ] || sed -n "s/^$2 //p" "$1/hashes"
}

service_look() { # NAME: "STATUS HEALTH RESTARTS HASH" of its container; fails when there is none
    docker container inspect -f '{{.State.Status}} {{with .State.Health}}{{.Status}}{{else}}none{{end}} {{.RestartCount}} {{with index .Config.Labels "provision.config-hash"}}{{.}}{{else}}-{{end}}' "$1" 2>/dev/null
}

service_probe() { # BASE NAME: what runs and what of it was validated; 1 = no such container
    service_seen=$(service_look "$2") || {
        docker version >/dev/null || return 2
        return 1
    }
    echo "container $service_seen"
    echo "validated $(service_hash "$1/current/$2" "$2")"
    [ ! -f "$1/current/$2/$2.env" ] || echo "environment $(sha256sum <"$1/current/$2/$2.env" | cut -d' ' -f1)"
}

service_is_as() { # HASH NAME: it runs with this configuration and may yet become healthy
    case $(service_look "$2") in
        "running unhealthy "*) return 1 ;;
        "running "*" $1") return 0 ;;
    esac
    return 1
}

service_bring() { # RELEASE NAME...: let the services be as the release has them; those that it has not go
    service_release=$1
    shift
    service_changed=
    for service_name in "$@"; do
        service_wanted=$(service_hash "$service_release" "$service_name")
        if [ -z "$service_wanted" ]; then
            docker rm --force -- "$service_name" >/dev/null 2>&1 || :
        elif ! service_is_as "$service_wanted" "$service_name"; then
            service_changed="$service_changed $service_name"
        fi
    done
    [ -n "$service_changed" ] || return 0
    # shellcheck disable=SC2086  # names have no spaces
    service_compose "$service_release" up --detach --no-build --no-deps --force-recreate $service_changed
}

service_compose() { # RELEASE ARGUMENT...: Compose, quietly; orphans are services of other releases
    service_folder=$1
    shift
    COMPOSE_IGNORE_ORPHANS=1 docker compose --progress plain --project-name provision \
        --project-directory "$service_folder" --file "$service_folder/compose.yaml" "$@" 2>&1
}

service_fail() { # RELEASE NAME TEXT: the end of its log, which stays, and why nobody waits any longer
    docker logs --tail 2000 -- "$2" >"$1/$2.log" 2>&1 || :
    tail -n 200 -- "$1/$2.log"
    echo "provision: service $2 $3"
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

service_restarts() { # NAME: "NAME RESTARTS"
    docker container inspect -f "$1 {{.RestartCount}}" "$1" 2>/dev/null
}

service_code() { docker container inspect -f '{{.State.ExitCode}}' "$1" 2>/dev/null || echo unknown; }

service_keep() { # BASE RELEASE NAME...: the services were validated in this release
    service_base=$1 service_release=$2
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
    sync -f -- "$service_base"
}

service_back() { # BASE NAME...: what was validated last runs again; what never was goes, its log stays
    service_base=$1
    shift
    for service_name in "$@"; do
        service_bring "$(readlink -f -- "$service_base/current/$service_name")" "$service_name" || return
    done
}
