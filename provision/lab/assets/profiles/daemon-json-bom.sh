# A host whose daemon.json begins with a UTF-8 byte order mark, as some editors leave it; Docker runs with it.
set -eu
file=/etc/docker/daemon.json
mkdir -p /etc/docker
[ -e "$file" ] || printf '{\n    "max-concurrent-downloads": 7\n}\n' >"$file"
if [ "$(head -c 3 "$file" | od -An -tx1 | tr -d ' ')" != efbbbf ]; then
    { printf '\357\273\277' && cat "$file"; } >"$file.new"
    mv "$file.new" "$file"
    if command -v dockerd >/dev/null; then
        running=$(docker ps --quiet)
        systemctl restart docker
        # shellcheck disable=SC2086  # ids have no blanks
        [ -z "$running" ] || docker start $running >/dev/null
    fi
fi
