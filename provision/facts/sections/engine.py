"""Docker: its units, its configuration, and its containers with what goes on in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from provision.facts.frame import TIMED_OUT, clean
from provision.facts.health import Container, Engine

_RECORD: Final = re.compile(r"^--- (seen|errors|token) (\S+) ?(.*)$")
_CONTAINER: Final = "--- container "
_REFUSED: Final = "--- refused "
_CONFIG: Final = "--- daemon.json\n"
_NO_PROGRAM: Final = (126, 127)
_NO_GPUS: Final = {"", "void", "none"}

_NO_NAME: Final = re.compile(r"[^A-Za-z0-9_.-]")
"""What no name of a container has: it stands in commands that an operator copies."""

Records = Mapping[tuple[str, str], str]


def parse(text: str) -> Engine:
    """Return what systemd, dockerd, `docker inspect` and the containers themselves say."""
    head, there, config = f"{text}\n".partition(_CONFIG)
    lines = head.splitlines()
    records = {(found[1], found[2]): found[3] for found in map(_RECORD.match, lines) if found}
    if "--- unasked" not in lines:  # Docker from 23 on reads past a byte order mark
        config = config.removeprefix("\ufeff")
    error, runtimes = _configuration(config) if there else ("", {})
    containers = tuple(_container(row, records) for row in _rows(lines))
    if not containers and any(re.match("--- expected [1-9]", line) for line in lines):
        raise ValueError("docker inspect tells nothing of its containers")
    return Engine(
        units=_units(lines),
        config_error=error or _refused(lines),
        runtime_registered=None if runtimes is None else "nvidia" in runtimes,
        containers=containers,
    )


def names(text: str) -> dict[str, str]:
    """Return the names of containers by their id."""
    rows = _rows(text.partition(_CONFIG)[0].splitlines())
    return {str(row[0]): _name(row) for row in rows}


def _units(lines: list[str]) -> dict[str, str]:
    """Read blocks of `Id=`, `LoadState=`, `ActiveState=`; what is not installed has no state."""
    found: dict[str, dict[str, str]] = {}
    block: dict[str, str] = {}
    for line in lines:
        key, equals, value = line.partition("=")
        if equals and key in {"Id", "LoadState", "ActiveState"}:
            block = {} if key in block else block
            block[key] = value
            found[block.get("Id", "").removesuffix(".service")] = block
    return {
        name: block["ActiveState"]
        for name, block in found.items()
        if name in {"docker", "containerd"} and block.get("LoadState") == "loaded"
    }


def _configuration(text: str) -> tuple[str, Mapping[str, Any] | None]:
    """Return why daemon.json is none, and the runtimes that it names; None = nobody knows."""
    if not text.strip():
        return "", {}  # dockerd starts with an empty file
    try:
        content = json.loads(text)
    except ValueError as error:
        return f"it is no JSON: {error}", None
    if not isinstance(content, dict):
        return "it is no JSON object", None
    runtimes = content.get("runtimes", {})
    return "", runtimes if isinstance(runtimes, dict) else None


def _refused(lines: list[str]) -> str:
    """Return what dockerd has against its configuration."""
    said = next((line for line in lines if line.startswith(_REFUSED)), "").removeprefix(_REFUSED)
    return said.removeprefix("unable to configure the Docker daemon with file ").strip()


def _rows(lines: list[str]) -> Iterator[list[Any]]:
    for line in lines:
        if line.startswith(_CONTAINER):
            row = json.loads(line.removeprefix(_CONTAINER))
            yield [clean(value) if isinstance(value, str) else value for value in row]


def _name(row: list[Any]) -> str:
    return _NO_NAME.sub("", str(row[1]))


def _container(row: list[Any], records: Records) -> Container:
    id_, _, image, status, health, code, restarts, oom, started, label, runtime, asked, visible = (
        row
    )
    wanted = _wanted(asked) or _visible(runtime, visible)
    running = status == "running"
    seen, gpu_error = _seen(records.get(("seen", id_), "")) if wanted and running else (None, "")
    count, _, last = records.get(("errors", id_), "0").partition(" ")
    return Container(
        name=_name(row),
        image=image,
        status=status,
        health="" if health == "none" else health,
        exit_code=code,
        restarts=restarts,
        oom_killed=oom,
        service=bool(label),
        started=_time(started),
        gpus_wanted=wanted,
        gpus_seen=seen,
        gpu_error=gpu_error,
        error_lines=int(count),
        last_error=last.partition(" ")[2].strip(),  # without the time that Docker put before it
        last_token=_time(records.get(("token", id_), "")),
    )


def _wanted(requests: Any) -> int | None:
    """Return the GPUs of `--gpus`, `deploy.resources` or CDI devices."""
    total = 0
    for request in requests or ():
        driver, count = request.get("Driver"), request.get("Count") or 0
        ids = [str(name) for name in request.get("DeviceIDs") or ()]
        if driver == "cdi":
            ids = [name for name in ids if name.startswith("nvidia.com/gpu=")]
        elif not any("gpu" in kinds for kinds in request.get("Capabilities") or ()):
            continue
        if count < 0 or any(name.rpartition("=")[2] == "all" for name in ids):
            return -1
        total += count or len(ids)
    return total or None


def _visible(runtime: Any, pairs: list[list[str]]) -> int | None:
    """Return the GPUs that NVIDIA_VISIBLE_DEVICES gives to a container of NVIDIA's runtime."""
    if not str(runtime).startswith("nvidia") or not pairs:
        return None
    value = "=".join(pairs[-1][1:])
    if value in _NO_GPUS:
        return None
    names = value.split(",")
    return -1 if any(name.rpartition("=")[2] == "all" for name in names) else len(names)


def _seen(record: str) -> tuple[int | None, str]:
    """Judge `nvidia-smi -L` in a container: `status GPUs first-line`."""
    if not record:
        return None, ""
    status, gpus, *said = record.split(" ", 2)
    message = "".join(said).strip()
    if int(status) == 0:
        return int(gpus), ""
    if int(status) in _NO_PROGRAM or "executable file not found" in message:
        return None, ""
    if int(status) in TIMED_OUT:
        return 0, "nvidia-smi gives no answer there"
    return int(gpus), message or f"nvidia-smi ends with status {int(status)} there"


def _time(text: Any) -> float | None:
    """Return seconds since 1970; Docker's year 1 means never."""
    if not text or str(text).startswith("0001-"):
        return None
    return datetime.fromisoformat(str(text)).timestamp()
