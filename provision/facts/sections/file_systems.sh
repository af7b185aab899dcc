# Of each path that is asked for, and of Docker's root: its file system's room, its inodes; then what is mounted how.
if command -v docker >/dev/null; then
    root=$(timeout -k 1 1 docker info --format '{{.DockerRootDir}}' | head -n 1)
    case $root in /*) set -- "$@" "$root" ;; esac
fi
for path; do
    shift
    [ ! -d "$path" ] || set -- "$@" "$path"
done
hangs=
for option in -Pk -Pi; do
    echo "--- $option"
    if [ -z "$hangs" ]; then
        timeout -k 1 1 df "$option" -- "$@"
        [ $? -gt 1 ] || continue
        hangs=yes
    fi
    # a server that is gone must not cost more than its own path
    for path; do timeout -k 1 2 df "$option" -- "$path" & done
    wait
done
mounts() { # WORD FILE: without those of which there may be hundreds, and that nobody fills
    echo "--- $1"
    grep -v -m 500 -E '^(#|[^ ]+ (/(proc|sys)|[^ ]+ (nsfs|squashfs)|/[^ ]+ overlay)[/ ])' "$2"
}
mounts mounted /proc/mounts
mounts wanted /etc/fstab
