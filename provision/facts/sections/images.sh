# Every image with its tags, its architecture, and what it demands of the driver.
images=$(docker image ls --quiet --no-trunc | sort -u | head -n 200)
# shellcheck disable=SC2086  # ids have no spaces
[ -z "$images" ] || docker image inspect --format 'image|{{.Architecture}}{{range .RepoTags}}
tag|{{.}}{{end}}{{with .Config}}{{range .Env}}
env|{{.}}{{end}}{{end}}' $images | grep -E '^(image|tag|env\|(CUDA_VERSION|NVIDIA_REQUIRE_[A-Z0-9_]*|NVIDIA_DISABLE_REQUIRE))([|=]|$)' | cut -c 1-20000
