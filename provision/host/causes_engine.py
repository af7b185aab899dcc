"""Known reasons why an engine does not start, in the words of vLLM, TEI and what they stand on."""

from __future__ import annotations

import re
from typing import Final

from provision.host.cause import Known

_END: Final = r"^provision: service (?P<name>\S+) (?P<end>.+); its log stays in (?P<log>\S+)$"
_ENDED: Final = re.compile(_END, re.IGNORECASE | re.MULTILINE)
"""The line of ours behind the log of a service that did not come up."""


def _of_service(pattern: str, what: str, remedy: str) -> Known:
    """Return what is recognised in the log of a service, which the texts call `{name}`."""
    setting = remedy.replace("SERVICE", "services.wanted.{name}")
    return Known(pattern, f"{{name}}: {what}", setting, then=_ENDED)


_MODEL: Final = (
    "An engine reads the model from the host's disk: see that SERVICE.model is one that "
    "`inv models` shows, and that SERVICE.arguments name nothing else."
)
_SHARED: Final = (
    "Leave services.shm_size out, so that the service has the host's shared memory, or raise it."
)

_ARGUMENTS: Final = (
    _of_service(
        r"(?:unrecognized arguments: |error: unexpected argument )(?P<detail>.{1,200}?)(?: found)?$",
        "the engine of this image does not know {detail}",
        "Take it out of SERVICE.arguments, or set SERVICE.image to a release that knows it.",
    ),
    _of_service(
        r"invalid (?P<sort>tool|reasoning)(?: call)? parser: (?P<parser>\S+) \(cho?ose from "
        r"\{ ?(?P<known>[^}]{1,600}?) ?\}",
        "the engine of this image has no {sort} parser {parser}",
        "Set SERVICE.{sort}_parser to one of: {known}; or SERVICE.image to a newer release.",
    ),
    _of_service(
        r"error: argument (?P<flag>-[^:\n]*): (?P<detail>.{1,200})",
        "the engine refuses {flag}: {detail}",
        "Correct it in SERVICE.arguments.",
    ),
    _of_service(
        r"error: invalid value '(?P<value>[^']*)' for '(?P<flag>[^']*)'",
        "the engine refuses {flag}: {value}",
        "Correct it in SERVICE.arguments.",
    ),
)

_MEMORY: Final = (
    _of_service(
        r"Free memory on device (?:\S+ )?\((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\) on startup is "
        r"less than desired GPU memory utilization \((?P<share>[\d.]+), (?P<wanted>[\d.]+) GiB\)",
        "of the GPU's {total} GiB only {free} are free, and it asks for {wanted} (a share of "
        "{share})",
        "Stop what else is on that GPU (nvidia-smi shows it), set SERVICE.gpus to other ones, or "
        "lower SERVICE.memory_share.",
    ),
    _of_service(
        r"max seq len \((?P<length>\d+)\), \(?(?P<needed>[\d.]+) GiB KV cache is needed"
        r"[^\n]*? KV cache memory \((?P<free>[\d.]+) GiB\)[^\n]*?"
        r"estimated maximum model length is (?P<fits>\d+)",
        "a context of {length} tokens needs {needed} GiB of KV cache, and {free} are left",
        "Set SERVICE.arguments: max-model-len: {fits}. For more raise SERVICE.memory_share or "
        "SERVICE.gpus.",
    ),
    _of_service(
        r"max seq len \((?P<length>\d+)\), \(?(?P<needed>[\d.]+) GiB KV cache is needed"
        r"[^\n]*? KV cache memory \((?P<free>[\d.]+) GiB\)",
        "a context of {length} tokens needs {needed} GiB of KV cache, and {free} are left",
        "Set SERVICE.arguments: max-model-len to less, or raise SERVICE.memory_share or "
        "SERVICE.gpus.",
    ),
    _of_service(
        r"max seq len \((?P<length>\d+)\) is larger than the maximum number of tokens that can be "
        r"stored in KV cache \((?P<fits>\d+)\)",
        "the KV cache holds {fits} tokens, fewer than a context of {length}",
        "Set SERVICE.arguments: max-model-len: {fits}. For more raise SERVICE.memory_share or "
        "SERVICE.gpus.",
    ),
    _of_service(
        r"User-specified max_model_len \((?P<length>\d+)\) is greater than the derived "
        r"max_model_len \([^=\n]*=(?P<fits>\d+)",
        "the model's own context is {fits} tokens, shorter than {length}",
        "Set SERVICE.arguments: max-model-len: {fits}, or less.",
    ),
    _of_service(
        r"No available memory for the cache blocks",
        "the weights leave no memory for the KV cache",
        "Raise SERVICE.memory_share or SERVICE.gpus, or take a model with smaller weights.",
    ),
    _of_service(
        r"CUDA out of memory occurred when warming up \S+ with (?P<count>\d+) dummy requests",
        "the GPU's memory does not suffice for {count} requests at once",
        "Set SERVICE.arguments: max-num-seqs to less than {count}, or lower SERVICE.memory_share.",
    ),
    _of_service(
        r"CUDA out of memory|CUDA_ERROR_OUT_OF_MEMORY|HIP out of memory",
        "the GPU's memory does not suffice",
        "Stop what else is on that GPU (nvidia-smi shows it), raise SERVICE.gpus, lower "
        "max-model-len in SERVICE.arguments, or take a model with smaller weights.",
    ),
    _of_service(
        r"Error while creating shared memory segment|Bus error"
        r"|shared_memory\.py[\s\S]{0,600}?No space left",
        "its shared memory is too small",
        _SHARED,
    ),
    _of_service(
        r"No space left on device",
        "its shared memory is too small, or the disk is full",
        "If df -h shows a full disk on the host, free space there. " + _SHARED,
    ),
)

_HARDWARE: Final = (
    _of_service(
        r"Bfloat16 is only supported on GPUs with compute capability of at least (?P<least>[\d.]+?)\."
        r" Your (?P<gpu>.+?) (?:GPU )?has compute capability (?P<has>\d+\.\d+)",
        "{gpu} cannot compute in bfloat16 (compute capability {has}, needed {least})",
        "Set SERVICE.arguments: dtype: half.",
    ),
    _of_service(
        r"Total number of attention heads \((?P<heads>\d+)\) must be divisible by tensor parallel "
        r"size \((?P<gpus>\d+)\)",
        "its {heads} attention heads cannot be shared by {gpus} GPUs",
        "Set SERVICE.gpus to a number that divides {heads}.",
    ),
    _of_service(
        r"World size \((?P<gpus>\d+)\) is larger than the number of available GPUs "
        r"\((?P<seen>\d+)\)",
        "it is told to use {gpus} GPUs and sees {seen}",
        "See that tensor-parallel-size and pipeline-parallel-size in SERVICE.arguments together "
        "make no more than SERVICE.gpus.",
    ),
    _of_service(
        r"Cannot provide a placement group requiring|number of required GPUs exceeds",
        "Ray does not find as many GPUs as it is told to use",
        "Take distributed-executor-backend out of SERVICE.arguments: on one host nothing needs Ray.",
    ),
    _of_service(
        r"The quantization method (?P<method>\S+) is not supported for the current GPU\. Minimum "
        r"capability: (?P<least>\d+)\.? Current capability: (?P<has>\d+)",
        "this GPU is too old for {method} weights (compute capability {has}, needed {least})",
        "Take weights in another format: set SERVICE.model.",
    ),
    _of_service(
        r"Runtime compute cap (?P<has>\d+) is not compatible with compile time compute cap "
        r"(?P<built>\d+)",
        "the image is made for GPUs of compute capability {built}, this one has {has}",
        "Set SERVICE.image to the tag for {has}, or to one that begins with cuda-.",
    ),
    _of_service(
        r"no kernel image is available for execution on the device",
        "the image has no code for this GPU",
        "Set SERVICE.image to a release for its generation: an older one for old GPUs, a newer one "
        "for new ones.",
    ),
    _of_service(
        r"system not yet initialized|cudaErrorSystemNotReady",
        "CUDA error 802: the NVSwitch fabric of this host is not ready",
        "Start nvidia-fabricmanager, in the driver's very version: systemctl status "
        "nvidia-fabricmanager; nvidia-smi -q shows Fabric State: Completed when it is.",
    ),
    _of_service(
        r"system has unsupported display driver / cuda driver combination",
        "CUDA error 803: the image brings a CUDA library that does not fit the host's driver",
        "Set SERVICE.image to vLLM 0.17 or newer, which leaves it out; or update the driver.",
    ),
    _of_service(
        r"forward compatibility was attempted on non supported HW",
        "CUDA error 804: the image brings newer CUDA libraries, which this GPU does not allow",
        "Set SERVICE.image to one with an older CUDA, or update the driver; after an update of the "
        "driver reboot the host.",
    ),
    _of_service(
        r"CUDA driver version is insufficient for CUDA runtime version"
        r"|The NVIDIA driver on your system is too old",
        "the host's driver is too old for this image",
        "Update the driver, or set SERVICE.image to one with an older CUDA.",
    ),
    _of_service(
        r"compiled with an unsupported toolchain",
        "the host's driver is too old for what the engine compiles",
        "Update the driver; on a GPU for data centres SERVICE.environment: "
        "VLLM_ENABLE_CUDA_COMPATIBILITY: '1' helps too.",
    ),
    _of_service(
        r"Failed to initialize NVML: Unknown Error|No CUDA GPUs are available"
        r"|Failed to infer device type|Found no NVIDIA driver on your system",
        "the container sees no GPU",
        "If it is to have one, see SERVICE.gpus, and nvidia-smi on the host; if not, set "
        "SERVICE.image to one for CPUs.",
    ),
)

_CONTENT: Final = (
    _of_service(
        r"Error while deserializing header",
        "a file of the model's weights is damaged or not whole",
        "Find and fetch it: inv models --verify-hashes, then inv provision --role models.",
    ),
    _of_service(
        r"Model architectures \[(?P<names>[^\]\n]+)\] (?:are not supported|failed to be inspected)",
        "the engine of this image does not know the model's architecture {names}",
        "Set SERVICE.image to a newer release.",
    ),
    _of_service(
        r"model type [`'](?P<names>[^`']+)[`'] but Transformers does not recognize",
        "the engine of this image does not know the model's type '{names}'",
        "Set SERVICE.image to a newer release.",
    ),
    _of_service(
        r"pass the (?:argument|option) `?trust_remote_code=True",
        "the model brings code of its own, which the engine runs only when it is told to",
        "Read that code (*.py in the model's folder); then set SERVICE.arguments: "
        "trust-remote-code: true.",
    ),
    _of_service(
        r"Cannot access gated repo|GatedRepoError|RepositoryNotFoundError|LocalEntryNotFoundError"
        r"|couldn't connect to '?https?://|Repo id must be in the form"
        r"|cannot find the requested files in the (?:local|disk) cache",
        "it looks for a model at a hub",
        _MODEL,
    ),
)

_ENDS: Final = (
    _of_service(
        r"NCCL error: (?P<detail>[^\n(]*[^\s(])",
        "its GPUs do not reach each other ({detail})",
        "Set SERVICE.environment: NCCL_DEBUG: INFO, deploy, and read {log} on the host. " + _SHARED,
    ),
    _of_service(
        r"(?=^provision: service \S+ stopped while it started \(exit code 137\))",
        "it was killed while it started: the host's memory does not suffice (exit code 137)",
        "See `dmesg | grep -i oom` on the host. Stop what else needs its memory.",
    ),
    _of_service(
        # The first error is the root; what comes of it, or only repeats it, stands below.
        r"^(?:\([^)\n]*\) )?(?:ERROR [\d-]+ [\d:]+ \[?[^\]\n]*\] )?[^\S\n]*(?P<error>"
        r"(?-i:[\w.]*(?:Error|Exception)): (?!Engine core init|\d+ validation error)\S.{0,200}"
        r"|(?-i:Value error), .{0,200})",
        "it {end}: {error}",
        "Read {log} on the host.",
    ),
    Known(_END, "{name}: it {end}", "Read {log} on the host."),
)

ENGINE_CAUSES: Final = (*_ARGUMENTS, *_HARDWARE, *_MEMORY, *_CONTENT, *_ENDS)
"""From the particular to the general: the last one fits whatever service did not come up."""
