# Of each path that is asked for, and of Docker's root: its file system's room, its inodes; then what is mounted how.
# A server that is gone must not cost more than its own path.
if command -v docker >/dev/null; then
    root=$(timeout -k 1 2 docker info --format '{{.DockerRootDir}}' | head -n 1)
    case $root in /*) set -- "$@" "$root" ;; esac
fi
for path; do
    [ -d "$path" ] || continue
    for option in -Pk -Pi; do
        timeout -k 1 3 df "$option" -- "$path" | tail -n 1 | sed "s/^/$option /" &
    done
done
wait
mounts() { # word, file
    while read -r what where kind options _; do
        case $what:$kind:$where in
            '#'* | *:proc:* | *:sysfs:* | *:cgroup*:* | *:nsfs:* | *:overlay:/?* | *:squashfs:*) continue ;;
        esac
        case ,$options, in
            *,ro,*) echo "$1 ro $where" ;;
            *) echo "$1 rw $where" ;;
        esac
    done <"$2" | head -n 500
}
mounts mounted /proc/mounts
[ -r /etc/fstab ] && mounts wanted /etc/fstab
