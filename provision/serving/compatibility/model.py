"""The model: whether the image's release knows its architecture, and what else it needs to load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from provision.errors import ServiceError
from provision.finding import Finding
from provision.serving.compatibility.architectures import architectures, first, last, loads
from provision.serving.compatibility.context import context
from provision.serving.compatibility.findings import fail, warn
from provision.serving.compatibility.options import config_of, engine_version, options
from provision.serving.compatibility.seen import NOTHING, Seen
from provision.serving.compatibility.subject import Subject
from provision.serving.compatibility.versions import known, text
from provision.serving.engines.families import family_of
from provision.serving.hub.complete import missing

CHECK: Final = "fit.model"
_OWN_CODE: Final = frozenset(
    # Models whose configuration or tokenizer is a Python file of their own. Source: those with
    # trust_remote_code in vLLM's tests/models/registry.py, 0.11.0 and 0.32.0, of which neither
    # transformers nor vLLM has the configuration.
    {
        *("BaichuanForCausalLM", "BaiChuanForCausalLM", "ChatGLMModel", "QWenLMHeadModel"),
        *("ChatGLMForConditionalGeneration", "InternLM2ForCausalLM", "InternLMForCausalLM"),
        *("InternVLChatModel", "MiniCPMForCausalLM", "MiniCPM3ForCausalLM", "MiniCPMV"),
        *("MiniCPMO", "OrionForCausalLM", "TeleChat2ForCausalLM", "Phi3SmallForCausalLM"),
        *("QwenVLForConditionalGeneration", "KeyeForConditionalGeneration"),
    }
)


def model(subject: Subject, _seen: Seen = NOTHING) -> Iterator[Finding]:
    """Judge the model's files and what its config.json names."""
    if subject.model is None:
        return
    if lacking := _lacking(subject, tuple(subject.model.files)):
        remedy = "Bring it to the host again: inv provision."
        yield fail(CHECK, f"the model lacks {', '.join(lacking)}", remedy)
    if subject.model.config is None:
        if "config.json" in subject.model.files:
            yield warn(CHECK, "unknown: what the model is: its config.json cannot be read", _LOOK)
        return
    if subject.engine.name == "vllm":
        yield from _architecture(subject)
        yield from _own_code(subject)
        yield from _reranker(subject)
        yield from context(subject)
    elif subject.engine.name == "tei" and _generates(subject):
        yield from _not_for_tei(subject)


_LOOK: Final = "Look at it on the host, and download the model again."


def _lacking(subject: Subject, paths: tuple[str, ...]) -> list[str]:
    """Return which parts the model lacks that the service does not take from elsewhere."""
    own = options(subject)
    elsewhere = {
        "a tokenizer": "tokenizer" in own or own.get("skip-tokenizer-init") is True,
        "weights": own.get("load-format") == "dummy",
    }
    beside = tuple(part for part, is_so in elsewhere.items() if is_so)
    lacking = missing(list(paths)) if paths else []
    return [part for part in lacking if not beside or not part.startswith(beside)]


def _architecture(subject: Subject) -> Iterator[Finding]:
    release, names = engine_version(subject), architectures(subject)
    if release is None or not names or not (found := next(filter(first, names), None)):
        if release and names:
            what = f"unknown: whether vLLM {text(release)} can load {' or '.join(names)}"
            yield warn(CHECK, what, "Look for it in vLLM's list of supported models.")
        return
    if loads(subject, release):
        return
    since, until = first(found) or "", last(found)
    if release < known(since):
        what = f"{found} came with vLLM {since}, and the image has {text(release)}"
        yield fail(CHECK, what, f"Take image: vllm/vllm-openai:v{since} or later.")
    else:
        what = f"{found} was dropped: the last vLLM with it is {until}"
        yield fail(CHECK, what, f"Take image: vllm/vllm-openai:v{until}.")


def _own_code(subject: Subject) -> Iterator[Finding]:
    config = config_of(subject)
    brings = config.get("auto_map")
    if not isinstance(brings, Mapping) or "AutoConfig" not in brings:
        return
    if options(subject).get("trust-remote-code") is True:
        return
    names = architectures(subject)
    remedy = "Read its Python files, then set arguments: {trust-remote-code: true}."
    if _OWN_CODE & set(names):
        yield fail(CHECK, "the model brings code of its own, which it needs to load", remedy)
    elif not any(map(first, names)):
        what = "unknown: whether the model needs the code of its own that it brings"
        yield warn(CHECK, what, remedy)


def _generates(subject: Subject) -> bool:
    names = architectures(subject)
    return bool(names) and all(name.endswith("ForCausalLM") for name in names)


def _reranker(subject: Subject) -> Iterator[Finding]:
    """Judge a generating model that is to rerank: without overrides its scores mean nothing."""
    service = subject.service
    family = family_of(service.model)
    if family and family.name == "Qwen3-Reranker" and service.task == "generate":
        yield warn(CHECK, "a reranker is served as a chat model", "Write task: score.")
    if service.task != "score" or not _generates(subject):
        return
    if (family and family.rerank) or "--hf-overrides" in _command(subject):
        return
    architecture = architectures(subject)[0]
    made = architecture.replace("ForCausalLM", "ForSequenceClassification")
    yield fail(
        CHECK,
        f"{architecture} generates text: as it stands its scores are random (vllm#21681)",
        f"If it is a Qwen3-Reranker set arguments: {{hf-overrides: {{architectures: [{made}], "
        "classifier_from_token: ['no', 'yes'], is_original_qwen3_reranker: true}}.",
    )


def _command(subject: Subject) -> tuple[str, ...]:
    try:
        return subject.engine.launch(subject.service).command
    except ServiceError:
        return ()


def _not_for_tei(subject: Subject) -> Iterator[Finding]:
    if subject.service.task == "score":
        what = "TEI reranks with cross-encoders (BERT, XLM-RoBERTa, GTE, ModernBERT) only"
        yield fail(CHECK, what, "Take engine: vllm, or a model such as BAAI/bge-reranker-v2-m3.")
