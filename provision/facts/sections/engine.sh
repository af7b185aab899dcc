# Docker, its configuration, and all containers by one inspect; of our services the logs' troubles.
# Every command in a container only reads there; those that hang cost their own container.
[ -d /run/systemd/system ] &&
    timeout -k 1 2 systemctl show --property=Id --property=LoadState --property=ActiveState \
        docker.service containerd.service
config=/etc/docker/daemon.json
if [ -e "$config" ] && command -v dockerd >/dev/null; then
    said=$(timeout -k 1 3 dockerd --validate --config-file="$config" 2>&1)
    case $?:$said in
        0:* | 124:* | 137:* | 143:*) ;;
        *'unknown flag'*) echo '--- unasked' ;; # before 23 dockerd cannot be asked
        *) echo "--- refused $(printf '%s\n' "$said" | tail -n 1 | cut -c 1-400)" ;;
    esac
fi
seen() { # id
    said=$(timeout -k 1 5 docker exec "$1" nvidia-smi -L 2>&1 </dev/null)
    status=$?
    gpus=$(printf '%s\n' "$said" | grep -c '^GPU [0-9]')
    printf -- '--- seen %s %d %d %s\n' "$1" "$status" "$gpus" \
        "$(printf '%s\n' "$said" | head -n 1 | cut -c 1-300)"
}
logged() { # id
    log=$(timeout -k 1 5 docker logs --timestamps --since 24h --tail 2000 "$1" 2>&1 </dev/null |
        cut -c 1-400 | grep -a -E -e 'ERROR|Traceback|CUDA error' \
        -e 'Avg generation throughput: (0\.[0-9]*)?[1-9]')
    wrong=$(printf '%s\n' "$log" | grep -v 'Avg generation throughput')
    printf -- '--- errors %s %d %s\n' "$1" "$(printf '%s\n' "$wrong" | grep -c .)" \
        "$(printf '%s\n' "$wrong" | tail -n 1)"
    printf -- '--- token %s %s\n' "$1" "$(printf '%s\n' "$log" | grep 'Avg generation' | tail -n 1 | cut -d ' ' -f 1)"
}
if command -v docker >/dev/null; then
    ids=$(timeout -k 1 3 docker ps --all --quiet --no-trunc | head -n 500)
    echo "--- expected $(printf '%s\n' "$ids" | grep -c .)"
    # `.Id` would make docker fall back to templates in which a missing health check is an error.
    # shellcheck disable=SC2016,SC2086
    [ -n "$ids" ] && timeout -k 1 5 docker inspect --type container --format '--- container [{{json .ID}},{{json .Name}},{{json .Config.Image}},{{json .State.Status}},{{if .State.Health}}{{json .State.Health.Status}}{{else}}""{{end}},{{json .State.ExitCode}},{{json .RestartCount}},{{json .State.OOMKilled}},{{json .State.StartedAt}},{{json (index .Config.Labels "provision.config-hash")}},{{json .HostConfig.Runtime}},{{json .HostConfig.DeviceRequests}},[{{range .Config.Env}}{{$pair := split . "="}}{{if eq (index $pair 0) "NVIDIA_VISIBLE_DEVICES"}}{{json $pair}}{{end}}{{end}}]]' $ids |
        while IFS= read -r line; do
            printf '%s\n' "$line"
            id=${line#*\"}
            id=${id%%\"*}
            case $line in
                *'"running"'*'"gpu"'* | *'"running"'*'nvidia.com/gpu'* | *'"running"'*'["NVIDIA_VISIBLE_DEVICES"'*) seen "$id" & ;;
            esac
            case $line in
                *Z\",null,* | *Z\",\"\",*) ;;
                *) logged "$id" & ;;
            esac
        done | cat
fi
if [ -r "$config" ]; then
    echo '--- daemon.json'
    head -c 65536 "$config"
fi
