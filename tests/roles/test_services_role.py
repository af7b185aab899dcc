"""The role `services`: what operators write, what is refused at its line, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Final

import pytest

from provision import fleet
from provision.errors import ProvisionError, ServiceError
from provision.facts import GPU, OS, Facts
from provision.inventory.json_schema import json_schema
from provision.inventory.load import load
from provision.inventory.schema import Host
from provision.secret import Secret
from provision.serving.engines.tei import Tei
from provision.serving.hub.listing import Listing, RemoteFile
from provision.serving.hub.lock import Entry, Lock, write
from provision.serving.service import Service
from provision.serving.services.resolve import resolve
from provision.serving.services.role import mistakes, services_of
from provision.state.role import load_roles

PROJECT: Final = Path(__file__).parents[2]
ROLES: Final = load_roles(PROJECT)
CHAT: Final = "model: Qwen/Qwen3-8B, port: 1281"
Make = Callable[..., Host]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that loads an inventory of one host with services, and returns the host."""
    files = (
        RemoteFile(path="config.json", size_bytes=10, digest=f"sha256:{'0' * 64}"),
        RemoteFile(path="model.safetensors", size_bytes=30, digest=f"sha256:{'1' * 64}"),
        RemoteFile(path="tokenizer.json", size_bytes=2, digest=f"sha256:{'2' * 64}"),
    )
    listing = Listing(
        source="modelscope",
        id="Qwen/Qwen3-8B",
        asked="master",
        revision="c1",
        fetch_revision="c1",
        files=files,
    )
    entry = Entry(listing=listing, listed_at=date(2026, 1, 1), endpoint="")
    write(tmp_path / "lab.models.lock.json", Lock(entries={listing.key: entry}))

    def load_host(wanted: str, more: str = "bind: 127.0.0.1", host: str = "gpus: 8") -> Host:
        text = (
            "hosts:\n  gpu01:\n    roles: [models, services]\n"
            "    models: {wanted: {Qwen/Qwen3-8B: }}\n"
            f"    {host}\n    services:\n      {more}\n      wanted:\n        {wanted}\n"
        )
        (tmp_path / "lab.yaml").write_text(text, encoding="utf-8")
        return load(tmp_path / "lab.yaml", ROLES).hosts["gpu01"]

    return load_host


def _service(host: Host, facts: Facts | None = None) -> Service:
    (found,) = resolve(host, facts)
    return found.service


# ---------------------------------------------------------------- what is decided


def test_service_of_two_lines_is_decided_in_every_point(make: Make) -> None:
    """Model and port suffice: folder and size come from the role `models`, the rest by default."""
    service = _service(make(f"chat: {{{CHAT}}}"))
    assert service == Service(
        name="chat",
        engine="vllm",
        task="generate",
        model="Qwen/Qwen3-8B",
        folder="/data/models/Qwen/Qwen3-8B/c1",
        mounted="/models/Qwen/Qwen3-8B",
        size_bytes=42,
        served_name="Qwen3-8B",
        bind="127.0.0.1",
        port=1281,
        gpus=(0,),
        image=service.image,
    )
    assert service.image.startswith("vllm/vllm-openai:v")


def test_what_is_written_wins(make: Make) -> None:
    """Name, address, GPUs, image and version are as written, by service before by role."""
    host = make(
        f"chat: {{{CHAT}, served_name: gpt-4, bind: '10.0.0.1', gpus: [2, 3], version: 0.8.5, "
        "image: 'registry.lan:5000/vllm:patched', arguments: {max-model-len: 32768, fast: true}, "
        "environment: {NCCL_DEBUG: INFO}, api_key: env:KEY, tool_parser: '', "
        "reasoning_parser: qwen3}",
        "bind: 0.0.0.0\n      images: {vllm: 'vllm/vllm-openai:v0.11.0'}",
    )
    service = _service(host)
    assert (service.served_name, service.bind, service.gpus) == ("gpt-4", "10.0.0.1", (2, 3))
    assert (service.image, service.version) == ("registry.lan:5000/vllm:patched", "0.8.5")
    assert service.arguments == {"max-model-len": 32768, "fast": True}
    assert service.environment == {"NCCL_DEBUG": "INFO"}
    assert service.api_key == Secret("env:KEY")
    assert (service.tool_parser, service.reasoning_parser) == ("", "qwen3")


def test_image_of_the_role_stands_for_all_services_of_an_engine(make: Make) -> None:
    """One line moves a fleet to another release."""
    host = make(
        f"chat: {{{CHAT}}}",
        "bind: '::1'\n      images: {vllm: 'vllm/vllm-openai:v0.11.0'}",
    )
    assert _service(host).image == "vllm/vllm-openai:v0.11.0"
    assert _service(host).bind == "::1"


def test_engine_without_gpus_has_the_image_for_the_cpu(make: Make) -> None:
    """Where no image is named and the engine has such a one."""
    wanted = "rerank: {model: /m/r, engine: tei, task: score, port: 1283}"
    cpu, gpu = (_service(make(wanted, host=f"gpus: {count}")) for count in (0, 1))
    assert ":cpu-" in cpu.image
    assert ":cpu-" not in gpu.image


def test_folder_of_the_host_is_a_model_of_unknown_size(make: Make) -> None:
    """Its family is that of its last two names, with dots where ModelScope wrote `___`."""
    folder = "/data/models/qwen/Qwen2___5-72B-Instruct"
    service = _service(make(f"chat: {{model: {folder}, port: 1281}}"))
    assert (service.model, service.folder) == ("qwen/Qwen2.5-72B-Instruct", folder)
    assert (service.served_name, service.size_bytes) == ("Qwen2.5-72B-Instruct", 0)
    assert service.mounted == "/models/qwen/Qwen2.5-72B-Instruct"


def test_host_without_gpus_serves_on_the_cpu(make: Make) -> None:
    """One GPU where nothing is said, none where the host has none."""
    assert _service(make(f"chat: {{{CHAT}}}", host="gpus: 0")).gpus == ()
    assert _service(make(f"chat: {{{CHAT}}}", host="gpus: 2")).gpus == (0,)


def test_facts_say_how_many_gpus_there_are_where_the_inventory_does_not(make: Make) -> None:
    """What the inventory states is believed; nothing known is no limit."""
    one = Facts(os=OS(id="debian"), gpus=(GPU(index=0, uuid="GPU-0", name="H200"),))
    wanted = f"chat: {{{CHAT}, gpus: 2}}"
    host = make(wanted, host="proxies: {}")
    assert _service(host).gpus == (0, 1)
    with pytest.raises(ServiceError, match="asks for 2 GPUs, the host has 1 GPU"):
        resolve(host, one)
    assert _service(make(wanted, host="gpus: 4"), one).gpus == (0, 1)


def test_share_of_a_gpu_becomes_the_flag_of_the_engine(make: Make) -> None:
    """The engine vllm takes all of a GPU unless it is told; tei takes what it needs."""
    host = make(
        "embed: {model: /m/e, task: embed, port: 1282, memory_share: 0.2}\n"
        "        rerank: {model: /m/r, engine: tei, task: score, port: 1283, memory_share: 0.2}"
    )
    embed, rerank = (found.service for found in resolve(host))
    assert (embed.arguments, rerank.arguments) == ({"gpu-memory-utilization": 0.2}, {})
    assert (embed.gpus, rerank.gpus) == ((0,), (0,))


def test_an_engine_s_own_file_says_its_images_and_its_flag(make: Make) -> None:
    """A new engine is told its share and gets its image for the CPU by what its module says."""

    class Other(Tei):
        cpu_image = "other/engine:v1-cpu"
        memory_flag = "mem-fraction"

    wanted = "emb: {{model: /m/e, engine: tei, task: embed, port: 1282, {}}}"
    (shared,) = resolve(make(wanted.format("memory_share: 0.2")), find=lambda _: Other())
    assert shared.service.arguments == {"mem-fraction": 0.2}
    (cpu,) = resolve(make(wanted.format("gpus: 0")), find=lambda _: Other())
    assert cpu.service.image == "other/engine:v1-cpu"
    both = make(wanted.format("memory_share: 0.2, arguments: {mem_fraction: 0.3}"))
    role = services_of(both)
    assert role is not None
    assert [each.place[-1] for each in mistakes(role, lambda _: Other())] == ["mem_fraction"]
    assert list(mistakes(role)) == []


def test_chat_template_is_a_file_beside_the_inventory_or_a_path_in_the_image(
    make: Make, tmp_path: Path
) -> None:
    """A file is brought along under its name; a path that begins with / is the image's."""
    (tmp_path / "chat").mkdir()
    (tmp_path / "chat/my.jinja").write_bytes(b"{{ messages }}")
    (found,) = resolve(make(f"chat: {{{CHAT}, chat_template: chat/my.jinja}}"))
    assert (found.service.chat_template, found.files) == (
        "my.jinja",
        {"my.jinja": b"{{ messages }}"},
    )
    (inside,) = resolve(make(f"chat: {{{CHAT}, chat_template: /vllm-workspace/x.jinja}}"))
    assert (inside.service.chat_template, inside.files) == ("/vllm-workspace/x.jinja", {})
    with pytest.raises(ServiceError, match=r"chat_template: .*gone\.jinja: No such file"):
        resolve(make(f"chat: {{{CHAT}, chat_template: gone.jinja}}"))


def test_service_that_is_left_empty_is_not_on_the_host(make: Make) -> None:
    """A host leaves out what its group has, and its port and GPUs are free again."""
    host = make(f"chat: \n        other: {{{CHAT}}}")
    assert [found.service.name for found in resolve(host)] == ["other"]


def test_host_without_the_role_has_no_services(make: Make) -> None:
    """Its settings alone start nothing."""
    host = make(f"chat: {{{CHAT}}}")
    assert resolve(host.model_copy(update={"variables": {}, "roles": ()})) == ()


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("wanted", "more", "line", "said"),
    [
        ("chat: {model: Qwen/Qwen3-8B}", "", 2, r"services\.wanted\.chat\.port: missing"),
        (f"chat: {{{CHAT}, prot: 1}}", "", 9, r"prot: unknown key\. Did you mean 'port'\?"),
        (f"chat: {{{CHAT}}}", "time_zone: null", 9, r"no address is stated.*0\.0\.0\.0 for all"),
        (f"chat: {{{CHAT}, bind: gpu01}}", "", 9, "expected an IP address of the host"),
        (f"Chat Bot: {{{CHAT}}}", "", 9, "expected a name of 2 to 63 small letters"),
        (f"chat: {{{CHAT}}}\n        two: {{{CHAT}}}", "", 10, "chat has port 1281 already"),
        (f"chat: {{{CHAT}}}\n        chat: {{{CHAT}}}", "", 10, "chat"),
        ("chat: {model: Qwen, port: 1}", "", 9, "expected a model as organisation/name, or its f"),
        ("chat: {model: /m/../x, port: 1}", "", 9, "expected a model as organisation/name"),
        (f"chat: {{{CHAT}, engine: vlm}}", "", 9, r"no engine 'vlm'\. Did you mean 'vllm'\?$"),
        (f"chat: {{{CHAT}, engine: tei}}", "", 9, "tei can only embed and score, not generate"),
        (f"chat: {{{CHAT}, task: chat}}", "", 9, "expected 'generate', 'embed' or 'score'"),
        (f"emb: {{{CHAT}, task: embed, tool_parser: hermes}}", "", 9, "calls no tools"),
        (f"chat: {{{CHAT}, gpus: -1}}", "", 9, "expected a number of GPUs"),
        (f"chat: {{{CHAT}, gpus: [0, 0]}}", "", 9, "a GPU stands twice"),
        (f"chat: {{{CHAT}, gpus: 0, memory_share: 0.5}}", "", 9, "there is no GPU to share"),
        (f"chat: {{{CHAT}, memory_share: 1.5}}", "", 9, "at most 1"),
        (
            f"chat: {{{CHAT}, memory_share: 0.5, arguments: {{gpu_memory_utilization: 0.4}}}}",
            "",
            9,
            "memory_share says this already",
        ),
        (f"chat: {{{CHAT}, arguments: {{--seed: 1}}}}", "", 9, "a flag without its dashes"),
        (f"chat: {{{CHAT}, environment: {{A-B: x}}}}", "", 9, "the name of a variable"),
        (f"chat: {{{CHAT}, environment: {{A: 1}}}}", "", 9, "expected a string, got the number 1"),
        (f"chat: {{{CHAT}, image: vllm/vllm-openai}}", "", 9, "stands for another image tomorrow"),
        (f"chat: {{{CHAT}, image: 'a/b:cpu-latest'}}", "", 9, "services.allow_latest: true"),
        (f"chat: {{{CHAT}, image: 'a/b:nightly-x86'}}", "", 9, "another image tomorrow"),
        (f"chat: {{{CHAT}, image: 'A B'}}", "", 9, "expected an image with its tag"),
        (f"chat: {{{CHAT}, api_key: hunter2}}", "", 9, "env:NAME"),
        (f"chat: {{{CHAT}, environment: {{HF_TOKEN: hunter2}}}}", "", 9, "would stand in plans"),
        (f"chat: {{{CHAT}, environment: {{VLLM_API_KEY: hunter2}}}}", "", 9, "api_key: env:NAME"),
        (
            f"chat: {{{CHAT}, environment: {{https_proxy: 'http://me:hunter2@p'}}}}",
            "",
            9,
            "a password stands in the URL",
        ),
        (
            f"chat: {{{CHAT}}}",
            "bind: '::1'\n      images: {vlm: 'a/b:c'}",
            8,
            "Did you mean 'vllm'",
        ),
        (
            f"chat: {{{CHAT}}}",
            "bind: '::1'\n      shm_size: lots",
            8,
            "expected a size such as 16g",
        ),
        (f"chat: {{{CHAT}}}", "bind: '::1'\n      time_zone: 'a b'", 8, "like Asia/Shanghai"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_line(
    make: Make, wanted: str, more: str, line: int, said: str
) -> None:
    """Before any host is asked; a key that stands there itself is never repeated."""
    given = (more,) if more else ()
    with pytest.raises(ProvisionError, match=said) as raised:
        make(wanted, *given)
    assert f"lab.yaml:{line}: " in str(raised.value)
    assert "hunter2" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_one_port_at_two_addresses_is_two_ports(make: Make) -> None:
    """Unless one of them is all addresses."""
    wanted = f"aa: {{{CHAT}}}\n        bb: {{{CHAT}, bind: 10.0.0.1}}"
    assert len(resolve(make(wanted))) == 2
    with pytest.raises(ProvisionError, match="aa has port 1281 already"):
        make(wanted, "bind: '::'")


def test_moving_image_is_allowed_where_that_is_stated(make: Make) -> None:
    """A digest does not move, whatever its tag."""
    wanted = f"chat: {{{CHAT}, image: 'vllm/vllm-openai:latest'}}"
    host = make(wanted, "bind: '::1'\n      allow_latest: true")
    assert _service(host).image == "vllm/vllm-openai:latest"
    pinned = f"vllm/vllm-openai@sha256:{'0' * 64}"
    assert _service(make(f"chat: {{{CHAT}, image: '{pinned}'}}")).image == pinned


@pytest.mark.parametrize(
    ("model", "roles", "said"),
    [
        (
            "Qwen/Qwen3-8b",
            "models, services",
            (
                "gpu01: services.wanted.chat.model: Qwen/Qwen3-8b is not among models.wanted. "
                "Did you mean 'Qwen/Qwen3-8B'?"
            ),
        ),
        (
            "Qwen/Qwen3-8B",
            "services",
            (
                "gpu01: services.wanted.chat.model: Qwen/Qwen3-8B is not on the host: it has no role "
                "'models'. Give it that role and the model under models.wanted, or name a folder of "
                "the host: model: /data/models/…."
            ),
        ),
    ],
)
def test_model_that_the_host_does_not_get_is_refused(
    tmp_path: Path, make: Make, model: str, roles: str, said: str
) -> None:
    """With the nearest of those that it gets."""
    make(f"chat: {{model: {model}, port: 1281}}")
    text = (tmp_path / "lab.yaml").read_text(encoding="utf-8")
    (tmp_path / "lab.yaml").write_text(text.replace("models, services", roles), encoding="utf-8")
    with pytest.raises(ServiceError) as raised:
        resolve(load(tmp_path / "lab.yaml", ROLES).hosts["gpu01"])
    assert str(raised.value) == said


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (f"chat: {{{CHAT}, required: [rerank]}}", "'rerank' of such a service. Known: chat, str"),
        (f"chat: {{{CHAT}, tool_parser: '', required: [tools]}}", "'tools' of such a service. Kn"),
        (f"chat: {{{CHAT}, task: embed, required: [stream]}}", "'stream' of such a service. Kno"),
    ],
)
def test_required_check_that_is_never_made_is_refused_before_anything_runs(
    make: Make, wanted: str, said: str
) -> None:
    """The check is one of another task, or the service calls no tools."""
    with pytest.raises(ServiceError, match=said) as raised:
        resolve(make(wanted))
    assert str(raised.value).startswith("gpu01: services.wanted.chat.required: there is no check")


def test_required_checks_of_the_service_s_own_task_are_taken(make: Make) -> None:
    """As `tools` where the model's family has a parser."""
    host = make(f"chat: {{{CHAT}, required: [tools, chat]}}")
    assert _service(host).required == ("chat", "tools")


# ---------------------------------------------------------------- among the other roles


def test_role_that_deploys_is_neither_planned_nor_applied(make: Make) -> None:
    """`inv plan` and `inv provision` know nothing of it, also where it is asked for."""
    host = make(f"chat: {{{CHAT}}}")
    assert list(fleet.roles_of(host, frozenset())) == ["models"]
    assert fleet.roles_of(host, frozenset({"services"})) == {}
    assert services_of(host) is not None


def test_schema_knows_the_settings_and_their_meaning() -> None:
    """An editor completes `services:` with a description for each."""
    text = str(json_schema(ROLES))
    settings: Any = ("served_name", "memory_share", "tool_parser", "allow_latest", "shm_size")
    for name in settings:
        assert f"'{name}'" in text
    assert "How many GPUs, or which" in text
