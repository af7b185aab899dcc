"""Faults of GPUs and their driver: what the stand-in nvidia-smi, kernel and bus of a host tell."""

from __future__ import annotations

import re
from typing import Final

from faults.target import Fault, Target, fault, scripts, together, written

from provision.lab.lab import GPU_FOLDER, RECORDINGS

PROFILE: Final = "h200-x2"
"""Of a healthy host: two H200 with 18 links between them."""
VERSION: Final = "580.159.04"
SECOND: Final = "PCI:0000:00:07"
"""Where the kernel's log has the second GPU."""
_GPU: Final = "<gpu id="
_INVALID: Final = "Invalid combination of input arguments. Please run 'nvidia-smi -h' for help.\n"
_NEWER: Final = re.compile(r"^(compute_cap|gpu_recovery_action|fabric\.[^\t]*)\t.*\n", re.MULTILINE)
"""Fields that an old nvidia-smi refuses."""
_HEAL: Final = f"rm -rf {GPU_FOLDER}/edited"


def profile(name: str) -> Fault:
    """Return the fault of a whole profile."""

    def heal(target: Target) -> None:
        target.root("systemctl stop nvidia-cdi-refresh.service")  # it hangs with nvidia-smi
        target.lab.gpu(target.host, PROFILE)

    return fault(lambda target: target.lab.gpu(target.host, name), heal)


def says(**texts: str) -> Fault:
    """Return the fault of a nvidia-smi that says other texts: `q_xml` for q.xml."""

    def make(target: Target) -> None:
        for file, text in texts.items():
            target.lab.gpu_says(target.host, _FILES[file], text)

    return fault(make, lambda target: target.root(_HEAL))


def second(*changes: tuple[str, str] | tuple[str, str, str]) -> Fault:
    """Return the fault of other values in the second GPU: tag, value, and inside of which tag."""
    head, mark, tail = recorded("q.xml").rpartition(_GPU)
    for tag, value, *inside in changes:
        tail = _changed(tail, tag, value, inside[0] if inside else "")
    return says(q_xml=head + mark + tail)


def every(tag: str, value: str, inside: str) -> Fault:
    """Return the fault of another value in all GPUs."""
    head, *gpus = recorded("q.xml").split(_GPU)
    return says(q_xml=_GPU.join([head, *(_changed(gpu, tag, value, inside) for gpu in gpus)]))


def _changed(xml: str, tag: str, value: str, inside: str) -> str:
    before, mark, rest = xml.partition(f"<{inside}>") if inside else ("", "", xml)
    edited, count = re.subn(f"<{tag}>[^<]*<", f"<{tag}>{value}<", rest, count=1)
    assert count == 1, f"no <{tag}> in <{inside}>"
    return before + mark + edited


def slowed(*reasons: str) -> list[tuple[str, str]]:
    """Return the changes of a GPU that is slowed down for these reasons."""
    return [(f"clocks_event_reason_{reason}", "Active") for reason in reasons]


def links_down(*numbers: int) -> Fault:
    """Return the fault of links that are inactive in the second GPU."""
    head, mark, tail = recorded("nvlink-s.txt").rpartition("GPU 1:")
    for number in numbers:
        tail = re.sub(rf"Link {number}: .*", f"Link {number}: <inactive>", tail)
    return says(nvlink=head + mark + tail)


def logged(*lines: str) -> Fault:
    """Return the fault of lines in the kernel's log."""
    text = "".join(f"[{90000 + n}.123456] {line}\n" for n, line in enumerate(lines))
    return written("/etc/lab/dmesg", text)


def xid(code: int, text: str) -> Fault:
    """Return the fault of an Xid of the second GPU."""
    return logged(f"NVRM: Xid ({SECOND}): {code}, {text}")


def first_alone() -> Fault:
    """Return the fault of a nvidia-smi that sees the first GPU alone."""
    head, first, _ = recorded("q.xml").split(_GPU)
    head = head.replace("<attached_gpus>2<", "<attached_gpus>1<")
    fields = re.sub(r"\t[^\t\n]*$", "", recorded("fields.tsv"), flags=re.MULTILINE)
    links = recorded("nvlink-s.txt").partition("GPU 1:")[0]
    xml = f"{head}{_GPU}{first.rstrip()}\n</nvidia_smi_log>\n"
    return says(q_xml=xml, fields=re.sub(r"^count\t\t.*", "count\t\t1", fields), nvlink=links)


def older(version: str, about: str = _INVALID) -> Fault:
    """Return the fault of an old driver, whose nvidia-smi knows less and has other names for it.

    `about` is what it says to `--version`.
    """
    xml = recorded("q.xml").replace(VERSION, version)
    xml = re.sub(r"\s*<(gpu_recovery_action|product_architecture)>.*", "", xml)
    xml = re.sub(r"\s*<(fabric|module_power_readings)>.*?</\1>", "", xml, flags=re.DOTALL)
    for new, old in (
        ("clocks_event_reason", "clocks_throttle_reason"),
        ("gpu_power_readings", "power_readings"),
        ("current_power_limit", "power_limit"),
    ):
        xml = xml.replace(new, old)
    fields = _NEWER.sub("", recorded("fields.tsv")).replace(VERSION, version)
    fields = re.sub(r"^clocks_event_reasons[^|]*\|", "", fields, flags=re.MULTILINE)
    return together(loaded(version), says(q_xml=xml, fields=fields, version=about))


def loaded(version: str) -> Fault:
    """Return the fault of another version of the kernel module, loaded and on disk."""
    places = "/sys/module/nvidia/version /etc/lab/modinfo"
    make = (
        f"for file in {places}; do echo {version} >$file; done; "
        f"sed -i 's/{VERSION}/{version}/' /proc/driver/nvidia/version"
    )
    return scripts(make, make.replace(version, "@").replace(VERSION, version).replace("@", VERSION))


def processes(container: str) -> Fault:
    """Return the fault of a stranger's process on the second GPU, beside one of a container."""
    unit = "lab-stranger"
    pid = f"systemctl show --value --property=MainPID {unit}"

    def make(target: Target) -> None:
        stranger = target.root(f"systemd-run --quiet --unit={unit} sleep infinity; {pid}")
        ours = target.root(f"docker inspect --format '{{{{.State.Pid}}}}' {container}")
        found = _process(ours, "VLLM::EngineCore", 90000) + _process(stranger, "python3", 40960)
        head, mark, tail = recorded("q.xml").rpartition("<processes>")
        target.lab.gpu_says(target.host, "q.xml", head + mark + found + tail)

    return fault(make, lambda target: target.root(f"{_HEAL}; systemctl stop {unit}"))


def _process(pid: str, name: str, memory_mib: int) -> str:
    return (
        f"\n<process_info>\n<pid>{pid}</pid>\n<type>C</type>\n<process_name>{name}</process_name>\n"
        f"<used_memory>{memory_mib} MiB</used_memory>\n</process_info>\n"
    )


def recorded(file: str) -> str:
    """Return what nvidia-smi of a healthy host says."""
    return (RECORDINGS / PROFILE / file).read_text("utf-8")


_FILES: Final = {
    "q_xml": "q.xml",
    "fields": "fields.tsv",
    "nvlink": "nvlink-s.txt",
    "version": "version.txt",
}
