"""Known reasons why Docker does not start a service's container, in the words of Docker and NVIDIA."""

from __future__ import annotations

from typing import Final

from provision.host.cause import Known

_ENDPOINT: Final = r"on endpoint (?P<name>\S+) \([0-9a-f]+\): "
_ADDRESS: Final = r"(?P<at>(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:]{1,40}\]):\d{1,5})"
_PORT: Final = "services.wanted.{name}.port"
_TOOLKIT: Final = (
    "Provision the NVIDIA Container Toolkit, which restarts Docker: inv provision. A Docker from "
    "snap or Podman in its place cannot do it."
)

CONTAINER_CAUSES: Final = (
    Known(
        rf"{_ENDPOINT}.*?Bind for (?P<at>\S+) failed: port is already allocated",
        "{name}: {at} is taken by another container",
        f"See whose it is (docker ps), and stop it or set {_PORT} to another.",
    ),
    Known(
        rf"{_ENDPOINT}.*?{_ADDRESS}[^ ]* "
        r"(?:bind: )?address already in use",
        "{name}: {at} is taken by another program",
        f"See whose it is (ss -ltnp on the host), and stop it or set {_PORT} to another.",
    ),
    Known(
        rf"{_ENDPOINT}.*?{_ADDRESS}[^ ]* "
        r"(?:bind: )?cannot assign requested address",
        "{name}: {at} is no address of this host",
        "Set services.bind or services.wanted.{name}.bind to one (ip address shows them).",
    ),
    Known(
        r'could not select device driver "cdi"',
        "Docker hands over no devices by CDI",
        "Set services.cdi: false, or switch CDI on in Docker (features.cdi in daemon.json).",
    ),
    Known(
        r'could not select device driver "[^"]*" with capabilities: \[\[gpu',
        "Docker cannot hand over GPUs: it does not know the NVIDIA Container Toolkit",
        _TOOLKIT,
    ),
    Known(
        r"unknown or invalid runtime name: nvidia|unknown runtime specified nvidia",
        "Docker does not know the runtime 'nvidia'",
        _TOOLKIT,
    ),
    Known(
        r"unsatisfied condition: (?P<condition>[^,\n]+)",
        "the image needs {condition}, which the host's driver does not have",
        "Update the driver, or set the service's image to one with an older CUDA.",
    ),
    Known(
        r"nvidia-container-cli: device error: (?P<gpu>[^:\s]+): unknown device",
        "the host has no GPU {gpu}",
        "Set the service's gpus to those that nvidia-smi -L shows there.",
    ),
    Known(
        r"unresolvable CDI devices (?:[\w.]+/gpu=)?(?P<gpu>[^\s:]+)",
        "the host has no GPU {gpu} by CDI",
        "Set the service's gpus to those that nvidia-smi -L shows there; if they are right: "
        "systemctl restart nvidia-cdi-refresh, then nvidia-ctk cdi list.",
    ),
    Known(
        r"nvml error: driver not loaded",
        "the NVIDIA kernel module is not loaded",
        "Load it (modprobe nvidia); after an update of the kernel build it anew (dkms autoinstall).",
    ),
    Known(
        r"load library failed: (?P<library>libnvidia-ml\S*|libcuda\S*):",
        "the host lacks the driver's {library}",
        "Install the whole NVIDIA driver there, then run again.",
    ),
    Known(
        r"Driver/library version mismatch",
        "the NVIDIA driver was updated, and the older kernel module still runs",
        "Reboot the host.",
    ),
    Known(
        r"nvidia-container-cli: (?P<detail>(?!requirement)[^\n]{1,200})",
        "the NVIDIA Container Toolkit cannot hand over the GPUs: {detail}",
        "See that nvidia-smi works on the host, then: nvidia-container-cli info.",
    ),
    Known(
        r"bind source path does not exist: (?P<path>\S+)",
        "{path} is not on the host",
        "Bring the models there (inv provision --role models) and deploy again.",
    ),
    Known(
        r"No such image: (?P<image>\S+)",
        "the host no longer has the image {image}",
        "Deploy it again: inv deploy brings the image too.",
    ),
)
