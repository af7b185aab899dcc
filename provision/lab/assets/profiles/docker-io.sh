# A host with the distribution's own Docker, a daemon.json with settings of its own, and running containers.
set -eu
export DEBIAN_FRONTEND=noninteractive
mkdir -p /etc/docker
[ -e /etc/docker/daemon.json ] || cat >/etc/docker/daemon.json <<'JSON'
{
	"bip": "172.31.250.1/24",
	"insecure-registries": ["registry.site.invalid:5000"],
	"labels": ["site=machine hall ü"],
	"log-driver": "local",
	"max-concurrent-downloads": 7
}
JSON
if ! command -v dockerd >/dev/null; then
    apt-get update -qq
    client=$(apt-cache search --names-only '^docker-cli$')
    # Recommends are left out: they are not in the lab's archive.
    apt-get install -y -qq --no-install-recommends docker.io ${client:+docker-cli} >/dev/null
fi
docker info >/dev/null

# An image made of this host's own files: a program, and the libraries that it wants.
docker image inspect history >/dev/null 2>&1 || {
    # shellcheck disable=SC2046  # paths without blanks
    tar -C / -chf - usr/bin/sleep $(ldd /usr/bin/sleep | grep -o '/[^ ]*' | cut -c 2-) |
        docker import - history >/dev/null
}
for policy in unless-stopped no; do
    docker container inspect "history-$policy" >/dev/null 2>&1 || docker run --detach \
        --name "history-$policy" --restart "$policy" history /usr/bin/sleep infinity >/dev/null
done
