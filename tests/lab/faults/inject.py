"""The faults of faults.yaml, as they are made on a healthy host of the lab."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine_stand_in.build import image
from faults import gpu, host
from faults.target import Fault, stand_in, together

CHAT: Final = "chat"
"""The service with a GPU."""
EMBED: Final = "embed"
"""A service on the CPU."""
_READ_ONLY: Final = "EXT4-fs (sda1): Remounting filesystem read-only"
_NEWER_SMI: Final = (
    "NVIDIA-SMI version  : 535.54.03\nNVML version        : 535.54\n"
    "DRIVER version      : 535.54.03\nCUDA Version        : 12.2\n"
)

FAULTS: Final[Mapping[str, Fault]] = {
    "driver-too-old": gpu.older("470.57.02"),
    "driver-library-mismatch": gpu.profile("mismatch"),
    "driver-absent": gpu.profile("absent"),
    "driver-not-loaded": gpu.profile("not-loaded"),
    "nouveau": gpu.profile("nouveau"),
    "driver-upgrade-pending": host.upgrade_pending(),
    "driver-upgraded-on-disk": host.kept("/etc/lab/modinfo", "echo 580.200.01 >/etc/lab/modinfo"),
    "nvidia-smi-hangs": gpu.profile("hang"),
    "old-driver-fewer-fields": gpu.older("535.54.03", _NEWER_SMI),
    "localised-output": host.localised(),
    "gpu-fallen-off-the-bus": together(
        gpu.first_alone(),
        gpu.xid(79, "pid='<unknown>', name=<unknown>, GPU has fallen off the bus."),
    ),
    "gpu-uncorrected-ecc": gpu.second(("dram_uncorrectable", "2", "volatile")),
    "gpu-row-remap-pending": gpu.second(("remapped_row_pending", "Yes")),
    "gpu-row-remap-failed": gpu.second(("remapped_row_failure", "Yes")),
    "gpu-xid-48": gpu.xid(48, "pid=4711, name=VLLM::EngineCor, DBE (double bit error) ECC Error"),
    "gpu-xid-13": gpu.xid(
        13, "pid=4711, name=python3, Graphics Exception: ESR 0x404490=0x80000001"
    ),
    "gpu-thermal-slowdown": gpu.second(
        *gpu.slowed("hw_slowdown", "hw_thermal_slowdown", "sw_thermal_slowdown"),
        ("gpu_temp", "92 C"),
    ),
    "gpu-power-brake": gpu.second(*gpu.slowed("hw_slowdown", "hw_power_brake_slowdown")),
    "gpu-power-limit-lowered": gpu.second(
        ("current_power_limit", "300.00 W", "gpu_power_readings"),
        ("requested_power_limit", "300.00 W", "gpu_power_readings"),
    ),
    "gpu-pcie-narrow": gpu.second(("current_link_width", "4x")),
    "gpu-mig-on": gpu.second(("current_mig", "Enabled"), ("pending_mig", "Enabled")),
    "gpu-persistence-off": gpu.second(("persistence_mode", "Disabled")),
    "gpu-memory-of-strangers": gpu.processes(CHAT),
    "gpu-nvlink-down": gpu.links_down(3, 11),
    "gpu-recovery-wanted": gpu.second(("gpu_recovery_action", "Reset")),
    "fabric-manager-down": together(
        gpu.every("state", "In Progress", "fabric"), host.fabric_manager(gpu.VERSION, "stop")
    ),
    "fabric-manager-version": host.fabric_manager("580.126.20", "start"),
    "docker-down": host.docker_stopped(),
    "containerd-down": host.docker_stopped("containerd.service"),
    "daemon-json-broken": host.daemon_json_broken(),
    "runtime-lost": host.runtime_lost(),
    "toolkit-removed": host.toolkit_removed(),
    "gpus-lost-in-container": host.gpus_lost(CHAT),
    "container-restarts": host.restarted(EMBED, 4),
    "container-oom-killed": host.out_of_memory(EMBED),
    "service-down": host.stopped(EMBED),
    "service-silent": host.another_image(EMBED, image("wedged")),
    "disk-full": host.squeezed("100m", "0", "head -c 98M /dev/zero >full"),
    "inodes-exhausted": host.squeezed("100m", "1000", "seq 984 | xargs touch"),
    "read-only-file-system": together(host.read_only(), gpu.logged(_READ_ONLY)),
    "clock-off": stand_in("/usr/local/sbin/date", "date", "exec /bin/date -d '10 minutes' \"$@\""),
    "no-dns": host.no_names(),
    "model-file-missing": host.model_file(":"),
    "model-file-short": host.model_file('head -c 1000 "$kept" >"$file"'),
    "half-an-answer": host.half_an_answer("kernel"),
}
