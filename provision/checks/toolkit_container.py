"""A throw-away container: whether Docker really hands the GPUs over, of an image that is there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from provision.checks.check import Check
from provision.checks.words import fail, warn
from provision.finding import Finding
from provision.state.shell import quote

_NAME: Final = "toolkit.container"
_NO_IMAGE: Final = 3
_GPU: Final = re.compile(r"^GPU \d+: ", re.MULTILINE)


def container_script(images: Sequence[str], *, cdi: bool) -> str:
    """Return sh that lists the GPUs in a container of the first image that is there; never a pull."""
    gpus = "--device nvidia.com/gpu=all" if cdi else "--gpus all"
    return (
        f"for image in {' '.join(map(quote, dict.fromkeys(images)))}; do\n"
        'docker image inspect "$image" >/dev/null 2>&1 || continue\n'
        f"docker run --rm --pull never --network none {gpus} --entrypoint nvidia-smi"
        ' "$image" -L 2>&1\nreturn\ndone\n'
        f"return {_NO_IMAGE}"
    )


def judge_container(gpus: int, status: int, said: str) -> Iterator[Finding]:
    """Judge what the script left, on a host whose own nvidia-smi sees so many GPUs."""
    seen = len(_GPU.findall(said))
    if status == _NO_IMAGE:
        yield warn(_NAME, "unknown: none of the services' images is there to try it with")
    elif status != 0:
        last = next((line for line in reversed(said.splitlines()) if line.strip()), "no answer")
        yield fail(
            _NAME,
            f"no container gets a GPU: {last.strip()[:200]}",
            "inv provision installs and registers the NVIDIA Container Toolkit.",
        )
    elif seen != gpus:
        what = f"a container sees {seen} of {gpus} GPUs"
        yield fail(_NAME, what, "systemctl restart nvidia-cdi-refresh; then restart Docker.")


CONTAINER: Final = Check(
    name=_NAME,
    group="toolkit",
    reads=("engine",),
    explain="Driver, toolkit, Docker's configuration and the image have to fit for a container to "
    "get GPUs, and each can look right by itself. So a container of an image that is there runs "
    "nvidia-smi -L and is removed again. Only with --deep, since it is the one check that starts "
    "something. If it fails, no service can be started on this host, and those that run are lost "
    "at their next restart.",
    judge=lambda _: (),
    deep=True,
)
