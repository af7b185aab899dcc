"""The script that reads all facts in one exec, and the parser of what it prints."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from provision.errors import FactsError
from provision.facts.frame import script, split
from provision.facts.model import GPU, OS, Disk, Docker, Driver, Facts
from provision.facts.questions import SECTIONS
from provision.facts.sections import images
from provision.facts.sections.gpu_health import FAILURE, address

_TIMEOUT: Final = 8  # seconds a section may take before it counts as unknown

_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


def facts_script(nonce: str, timeout: int = _TIMEOUT) -> str:
    """Return POSIX sh that needs nothing but a shell and coreutils; `timeout` as in `script`."""
    return script(nonce, SECTIONS, timeout)


def parse_facts(output: str, nonce: str) -> Facts:
    """Return typed facts; a section that gave no sense is named in `unknown`."""
    texts, missing = split(output, nonce, SECTIONS, _TIMEOUT)
    unknown = [name for name in missing if name != "machine"]  # without it there is no system
    values: dict[str, Any] = {}
    texts = {**texts, "os": f"{texts.get('os', '')} {texts.get('machine', '')}"}
    for name, parse in _PARSERS.items():
        if name in texts:
            try:
                values |= parse(texts[name])
            except (ValueError, LookupError, TypeError):
                unknown.append(name)
    if "os" not in values:
        raise FactsError(
            "the operating system cannot be told",
            where="/etc/os-release",
            remedy="provision needs a Linux host with a shell and coreutils.",
        )
    return Facts(**values, unknown=tuple(unknown))


def _os(text: str) -> dict[str, Any]:
    release, _, kernel = text.rpartition("\n")
    pairs = dict(line.partition("=")[::2] for line in release.splitlines() if "=" in line)
    values = {key: value.strip("\"'") for key, value in pairs.items()}
    version, machine = kernel.split()
    codename = values.get("UBUNTU_CODENAME") or values.get("VERSION_CODENAME", "")
    return {
        "os": OS(
            id=values["ID"],
            like=tuple(values.get("ID_LIKE", "").split()),
            version=values.get("VERSION_ID", ""),
            codename=codename,
            name=values.get("PRETTY_NAME", ""),
            kernel=version,
            architecture=_ARCHITECTURES.get(machine, machine),
        )
    }


def _host(text: str) -> dict[str, Any]:
    lines = text.splitlines()
    return {"hostname": lines[0], "boot_id": lines[1], "systemd": "systemd" in lines[2:]}


def _last_run(text: str) -> dict[str, Any]:
    return {"last_run": text}


def _cpu(text: str) -> dict[str, Any]:
    """Count what the kernel has online: `0-127`, `0-3,8-11`."""
    spans = [[int(number) for number in span.split("-")] for span in text.strip().split(",")]
    return {"cpus": sum(span[-1] - span[0] + 1 for span in spans)}


def _memory(text: str) -> dict[str, Any]:
    return {"memory_bytes": int(text) * 1024}


def _disks(text: str) -> dict[str, Any]:
    """Parse `df -Pk`, a heading and a line for each path; two paths on one file system are one disk."""
    found = {}
    for line in text.splitlines():
        if line.startswith("Filesystem "):
            continue
        _, size, _, free, _, path = line.split(maxsplit=5)
        found[path] = Disk(path=path, size_bytes=int(size) * 1024, free_bytes=int(free) * 1024)
    return {"disks": tuple(found.values())}


def _pci(text: str) -> dict[str, Any]:
    lines = text.splitlines()
    return {
        "nvidia_devices": sum(line.startswith("/sys/") for line in lines),
        "nouveau": "nouveau" in lines,
    }


def _driver(text: str) -> dict[str, Any]:
    """Judge the driver by its two halves and by nvidia-smi's exit status."""
    module = re.search(
        r"^module ([\w.+~-]+)|Kernel Module(?: for \S+)?\s+(\d[\d.]+)", text, re.MULTILINE
    )
    loaded = (module[1] or module[2]) if module else None
    library = re.search(
        r"(?:NVIDIA-SMI version\s*|NVML library version): *([\w.+~-]+)", text
    ) or re.search(r"NVML (?:library )?version\s*:\s*([\w.+~-]+)", text)
    cuda = re.search(r"CUDA (?:UMD )?Version\s*:\s*(\d+\.\d+)", text)
    status = re.search(r"^status (\d+)$", text, re.MULTILINE)
    failed = status is not None and status[1] != "0"
    message = next((line for line in text.splitlines() if FAILURE.search(line)), "")
    return {
        "driver": Driver(
            status=_verdict(loaded, message, there=status is not None, failed=failed),
            kernel_module=loaded,
            library=library[1] if library else None,
            cuda=cuda[1] if cuda else None,
            message=message,
        )
    }


def _verdict(loaded: str | None, message: str, *, there: bool, failed: bool) -> Any:
    if "mismatch" in message:
        return "mismatch"
    if not there:
        return "absent" if loaded is None else "broken"
    if failed:
        return "not loaded" if loaded is None else "broken"
    return "ok"


def _gpus(text: str) -> dict[str, Any]:
    gpus = []
    for line in text.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) not in {5, 6} or not fields[0].isdigit():  # what was asked, nothing else
            continue
        gpus.append(
            GPU(
                index=int(fields[0]),
                uuid=fields[1],
                name=fields[2],
                memory_mib=int(fields[3]) if fields[3].isdigit() else None,
                bus_id=address(fields[4]),
                compute_capability="".join(fields[5:]),
            )
        )
    if text and not gpus and not FAILURE.search(text):
        raise ValueError("neither GPUs nor a reason why there are none")
    return {"gpus": tuple(gpus)}


def _docker(text: str) -> dict[str, Any]:
    lines = text.splitlines()
    answer = next((line for line in lines if line.startswith("engine|")), "engine|")
    packages = [line.split()[1] for line in lines if line.startswith(("ii ", "hi "))]
    _, version, *rest = answer.split("|")
    if not version:
        return {}
    int(version.partition(".")[0])  # a version without a number is no answer
    root, driver, running, *runtimes = rest
    return {
        "docker": Docker(
            version=version,
            root=root,
            cgroup_driver=driver,
            running_containers=int(running),
            runtimes=tuple(sorted(runtimes)),
            package=packages[0] if packages else "",
        )
    }


def _engines(text: str) -> dict[str, Any]:
    lines = [line.partition(" ")[::2] for line in text.splitlines()]
    names = {name.strip() for status, name in lines if status[1:2] == "i"}
    return {"engines": tuple(sorted(names))}


def _python(text: str) -> dict[str, Any]:
    found = re.findall(r"^(\S+) Python (\d+\.\d+)", text, re.MULTILINE)
    return {"pythons": dict(found)}


def _toolkit(text: str) -> dict[str, Any]:
    found = re.search(r"version\s+v?(\d[\w.~-]*)", text)
    return {"toolkit": found[1]} if found else {}


_PARSERS: Final[Mapping[str, Callable[[str], dict[str, Any]]]] = {
    "os": _os,
    "host": _host,
    "last_run": _last_run,
    "cpu": _cpu,
    "memory": _memory,
    "disks": _disks,
    "pci": _pci,
    "driver": _driver,
    "gpus": _gpus,
    "docker": _docker,
    "engines": _engines,
    "python": _python,
    "toolkit": _toolkit,
    "images": images.parse,
}
