"""The GPUs' health: what nvidia-smi says of them, whatever its age."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from xml.etree.ElementTree import Element, ParseError, fromstring

from provision.facts.health import GPUHealth, GPUProcess

FAILURE: Final = re.compile(
    r"Failed to initialize|couldn't communicate|No devices|Unable to", re.IGNORECASE
)
"""What nvidia-smi says where it cannot say more."""
_SWITCH: Final = {"Enabled": True, "Disabled": False, "Yes": True, "No": False}
_NO_SLOWDOWNS: Final = frozenset({"gpu_idle"})
_WORDS: Final = {
    "uuid": "uuid",
    "name": "product_name",
    "brand": "product_brand",
    "architecture": "product_architecture",
    "fabric_state": "fabric/state",
    "fabric_status": "fabric/status",
    "recovery_action": "gpu_recovery_action",
}
_PCI: Final = "pci/pci_gpu_link_info"
_NUMBERS: Final = {
    "temperature_c": "temperature/gpu_temp",
    "utilisation_percent": "utilization/gpu_util",
    "memory_mib": "fb_memory_usage/total",
    "memory_free_mib": "fb_memory_usage/free",
    "sm_clock_mhz": "clocks/sm_clock",
    "max_sm_clock_mhz": "max_clocks/sm_clock",
    "pcie_generation": f"{_PCI}/pcie_gen/current_link_gen",
    "max_pcie_generation": f"{_PCI}/pcie_gen/max_link_gen",
    "pcie_width": f"{_PCI}/link_widths/current_link_width",
    "max_pcie_width": f"{_PCI}/link_widths/max_link_width",
}

Links = tuple[Mapping[str, list[str]], list[list[str]]]
"""The lines of `nvidia-smi nvlink -s` by UUID, and in the order of the GPUs."""


def address(text: str) -> str:
    """Return a GPU's address on the bus, which stands in commands that an operator copies."""
    return re.sub(r"[^0-9A-Za-z:.]", "", text)[:20]


def parse(text: str, names: Mapping[str, str]) -> tuple[GPUHealth, ...]:
    """Return the GPUs; `names` are those of containers by their id."""
    log, _, rest = text.partition("--- links")
    links, _, processes = rest.partition("--- processes")
    ids = dict(line.partition(" ")[::2] for line in processes.splitlines())
    containers = {pid: names.get(id_, "") for pid, id_ in ids.items()}
    blocks = log.split("</gpu>")
    complete = "</nvidia_smi_log>" in blocks[-1] or FAILURE.search(log)
    if log.strip() and not complete:
        raise ValueError("nvidia-smi broke off")
    states = _links(links)
    return tuple(
        _gpu(_element(block), containers, states, index) for index, block in enumerate(blocks[:-1])
    )


def _element(block: str) -> Element:
    """Parse one GPU alone: cut out of its document it can declare no entity."""
    xml = block[block.index("<gpu ") :] + "</gpu>"
    try:
        return fromstring(xml)  # noqa: S314
    except ParseError:
        pass  # nvidia-smi does not escape what programs call themselves
    try:
        return fromstring(re.sub("<process_name>.*", "", xml))  # noqa: S314
    except ParseError as error:
        raise ValueError(f"nvidia-smi's XML: {error}") from None


def _gpu(gpu: Element, containers: Mapping[str, str], links: Links, index: int) -> GPUHealth:
    by_uuid, in_order = links
    own = by_uuid.get(_text(gpu, "uuid")) or (in_order[index] if index < len(in_order) else [])
    down = sum("inactive" in line.lower() for line in own)
    return GPUHealth(
        bus_id=address(gpu.get("id", "")),
        persistence=_switch(gpu, "persistence_mode"),
        mig=_switch(gpu, "mig_mode/current_mig"),
        slowdowns=_slowdowns(gpu),
        processes=_processes(gpu, containers),
        nvlinks_up=len(own) - down if own else None,
        nvlinks_down=down if own else None,
        **{field: _text(gpu, path) for field, path in _WORDS.items()},
        **{field: _number(gpu, path) for field, path in _NUMBERS.items()},
        **_memory_errors(gpu),
        **_power(gpu),
    )


def _memory_errors(gpu: Element) -> dict[str, int | bool | None]:
    return {
        "ecc": _switch(gpu, "ecc_mode/current_ecc"),
        "ecc_pending": _switch(gpu, "ecc_mode/pending_ecc"),
        "corrected": _sum(gpu, "ecc_errors/volatile", "correctable", "single_bit"),
        "uncorrected": _sum(gpu, "ecc_errors/volatile", "uncorrectable", "double_bit"),
        "uncorrected_ever": _sum(gpu, "ecc_errors/aggregate", "uncorrectable", "double_bit"),
        "remap_pending": _switch(gpu, "remapped_rows/remapped_row_pending"),
        "remap_failure": _switch(gpu, "remapped_rows/remapped_row_failure"),
        "retirement_pending": _switch(gpu, "retired_pages/pending_retirement"),
    }


def _power(gpu: Element) -> dict[str, float | None]:
    """Read the limits; before driver 530 they stood in `power_readings`."""
    found = {}
    for name, fields in {
        "power_limit_w": ("current_power_limit", "power_limit"),
        "default_power_limit_w": ("default_power_limit",),
    }.items():
        said = [
            _decimal(gpu, f"{group}/{field}")
            for group in ("gpu_power_readings", "power_readings", "module_power_readings")
            for field in fields
        ]
        found[name] = next((value for value in said if value is not None), None)
    return found


def _slowdowns(gpu: Element) -> tuple[str, ...]:
    """Return the reasons in force; before driver 535 they were called throttle reasons."""
    active = [
        re.sub("^clocks_(event|throttle)_reason_", "", item.tag)
        for group in ("clocks_event_reasons", "clocks_throttle_reasons")
        for item in gpu.iterfind(f"{group}/*")
        if (item.text or "").strip() == "Active"
    ]
    return tuple(name for name in active if name not in _NO_SLOWDOWNS)


def _processes(gpu: Element, containers: Mapping[str, str]) -> tuple[GPUProcess, ...]:
    return tuple(
        GPUProcess(
            pid=pid,
            name=_text(item, "process_name"),
            memory_mib=_number(item, "used_memory"),
            container=containers.get(str(pid), ""),
        )
        for item in gpu.iterfind("processes/process_info")
        if (pid := _number(item, "pid")) is not None
    )


def _sum(gpu: Element, group: str, new: str, old: str) -> int | None:
    """Add what a driver counts: by kind of memory since Ampere, by number of bits before."""
    items = gpu.iterfind(f"{group}/*")
    counts = [_number(item, ".") for item in items if re.match(f"[ds]ram_{new}", item.tag)]
    known = [count for count in counts if count is not None]
    return sum(known) if known else _number(gpu, f"{group}/{old}/total")


def _links(text: str) -> Links:
    """Read a line a link; of a GPU whose links are all down there may be one line for all."""
    by_uuid: dict[str, list[str]] = {}
    in_order: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith("GPU "):
            in_order.append([])
            if found := re.search(r"UUID: ([\w-]+)", line):
                by_uuid[found[1]] = in_order[-1]
        elif in_order and re.match(
            r"\s+Link \d+:|NVML: .*all links are inactive", line, re.IGNORECASE
        ):
            in_order[-1].append(line)
    return by_uuid, in_order


def _text(item: Element, path: str) -> str:
    text = (item.findtext(path) or "").strip()
    return "" if text in {"N/A", "[N/A]"} else text[:200]


def _switch(item: Element, path: str) -> bool | None:
    return _SWITCH.get(_text(item, path))


def _number(item: Element, path: str) -> int | None:
    found = re.match(r"\d{1,15}", _text(item, path))
    return int(found[0]) if found else None


def _decimal(item: Element, path: str) -> float | None:
    found = re.match(r"\d{1,15}(\.\d+)?", _text(item, path))
    return float(found[0]) if found else None
