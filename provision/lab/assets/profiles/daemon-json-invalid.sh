# A host whose daemon.json somebody broke: no JSON, so that Docker would not start with it again.
set -eu
mkdir -p /etc/docker
cat >/etc/docker/daemon.json <<'JSON'
{
    "max-concurrent-downloads": 7,
    // twice as many as before
    "max-concurrent-uploads": 10,
}
JSON
