"""The role `models`: what it asks for on a host, from an inventory and its lock file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Final

import pytest

from provision.errors import HubError, ProvisionError, RoleError
from provision.facts import OS, Facts
from provision.inventory.json_schema import json_schema
from provision.inventory.load import load
from provision.inventory.schema import Host
from provision.serving.hub.listing import Listing, RemoteFile
from provision.serving.hub.lock import Entry, Lock, write
from provision.serving.models import downloads, models_of, refuse_unlocked, relock
from provision.state.kinds.model_leftovers import ModelLeftovers
from provision.state.kinds.model_snapshot import ModelSnapshot
from provision.state.kinds.python_venv import PythonVenv
from provision.state.plan import plan_host
from provision.state.resource import Resource
from provision.state.role import Role, load_roles

PROJECT: Final = Path(__file__).parents[2]
ROLES: Final = load_roles(PROJECT)
FACTS: Final = Facts(os=OS(id="debian", codename="bookworm"), pythons={"python3": "3.11"})
PATHS: Final = ("config.json", "model.safetensors", "tokenizer.json", "onnx/model.onnx")
Make = Callable[..., Host]


def _listing(
    identity: str, source: Any, paths: tuple[str, ...] = PATHS, asked: str = ""
) -> Listing:
    files = tuple(
        RemoteFile(path=path, size_bytes=10, digest=f"sha256:{'0' * 64}") for path in paths
    )
    asked = asked or {"modelscope": "master", "huggingface": "main"}.get(source, "")
    return Listing(
        source=source, id=identity, asked=asked, revision="c1/x", fetch_revision="c1", files=files
    )


def _lock(path: Path, *listings: Listing) -> None:
    entries = {
        item.key: Entry(listing=item, listed_at=date(2026, 1, 1), endpoint="") for item in listings
    }
    write(path, Lock(entries=entries))


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that loads an inventory of one host with models, and returns the host."""
    _lock(
        tmp_path / "lab.models.lock.json",
        _listing("Qwen/A", "modelscope"),
        _listing("Qwen/B", "huggingface"),
        _listing("Qwen/C", "controller"),
        _listing("Qwen/D", "modelscope", ("config.json", "tokenizer.json")),
    )

    def load_host(models: str, host: str = "") -> Host:
        text = f"hosts:\n  gpu01:\n    roles: [models]\n    models: {{{models}}}\n{host}"
        (tmp_path / "lab.yaml").write_text(text, encoding="utf-8")
        return load(tmp_path / "lab.yaml", ROLES).hosts["gpu01"]

    return load_host


def _role(host: Host) -> Role:
    role = host.variables["models"]
    assert isinstance(role, Role)
    return role


def _resources(host: Host, facts: Facts = FACTS) -> list[Resource]:
    return list(_role(host).resources(host, facts))


def _snapshot(host: Host) -> ModelSnapshot:
    (found,) = (item for item in _resources(host) if isinstance(item, ModelSnapshot))
    return found


# ---------------------------------------------------------------- resources


def test_clients_come_first_then_the_models_and_the_leftovers_last(make: Make) -> None:
    """One client for each hub that is asked, after the package that makes its environment."""
    host = make("wanted: {Qwen/A: , Qwen/B: {source: huggingface}}, prune: true")
    assert [item.id for item in _resources(host)] == [
        "package:python3-venv",
        "python_venv:/opt/provision/venv/huggingface",
        "python_venv:/opt/provision/venv/modelscope",
        "model_snapshot:Qwen/A@c1/x",
        "model_snapshot:Qwen/B@c1/x",
        "model_leftovers:/data/models",
    ]


def test_snapshot_lies_in_organisation_name_and_revision(make: Make) -> None:
    """A slash in a revision makes no folder of its own, and the hub's client asks for the commit."""
    snapshot = _snapshot(make("wanted: {Qwen/A: }, dir: /srv/m, look_in: [/home/ops]"))
    assert snapshot.folder == "/srv/m/Qwen/A/c1-x"
    assert snapshot.look_in == ("/srv/m", "/home/ops")
    assert snapshot.client
    assert (snapshot.client.revision, snapshot.client.endpoint) == ("c1", "https://modelscope.cn")
    assert (snapshot.peers, snapshot.push) == (False, "")


def test_ways_that_files_come(make: Make) -> None:
    """By a peer with the client at hand; by a push without any client; a model's own way wins."""
    peer = _snapshot(make("wanted: {Qwen/A: }, via: peer"))
    assert (peer.peers, peer.client is not None, peer.push) == (True, True, "")
    push = make("wanted: {Qwen/A: }, via: push, cache: cache")
    assert [item.kind for item in _resources(push)] == ["model_snapshot"]
    snapshot = _snapshot(push)
    assert (snapshot.client, snapshot.peers) == (None, False)
    assert snapshot.push.endswith("/cache/Qwen/A/c1-x")
    own = _snapshot(make("wanted: {Qwen/A: {via: hub}}, via: push"))
    assert (own.client is not None, own.push) == (True, "")


def test_folder_of_the_controller_is_pushed_from_there(make: Make, tmp_path: Path) -> None:
    """Its path starts at the inventory's folder, and no hub is asked for it."""
    host = make("wanted: {Qwen/C: {source: controller, path: my/model}}")
    assert _snapshot(host).push == str(tmp_path / "my/model")
    assert downloads([host], ()) == {}


def test_proxies_and_endpoints_reach_the_clients(make: Make) -> None:
    """The hub's client has the hub's proxy, pip has its own, and both know what is direct."""
    host = make(
        "wanted: {Qwen/A: }, modelscope: {endpoint: 'http://mirror/x/'}, pip_index: 'http://p/s'",
        "    proxies: {hub: 'http://h:1', pip: 'http://p:2', no_proxy: [10.0.0.0/8]}\n",
    )
    client = _snapshot(host).client
    assert client
    assert client.endpoint == "http://mirror/x"
    assert client.environment["https_proxy"] == "http://h:1"
    (venv,) = (item for item in _resources(host) if isinstance(item, PythonVenv))
    assert (venv.environment["http_proxy"], venv.environment["no_proxy"]) == (
        "http://p:2",
        "10.0.0.0/8",
    )


def test_token_stands_in_no_script_and_no_plan(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither as text nor in base64: a plan has its reference only."""
    monkeypatch.setenv("HUB_TOKEN", "s3cret-token")
    host = make("wanted: {Qwen/A: }, modelscope: {token: env:HUB_TOKEN}")
    resources = _resources(host)
    states = {item.id: None for item in resources}
    cut = "content \nmissing 1\nroom 1\nfree 99999999999\ndevice /\n"
    states |= {_snapshot(host).id: _snapshot(host).actual(cut)}  # type: ignore[dict-item]
    plan = plan_host("gpu01", {"models": resources}, {"models": states}, 0)
    text = plan.model_dump_json()
    assert "env:HUB_TOKEN" in text
    assert "s3cret" not in text + repr(plan)
    assert "czNjcmV0LXRva2Vu" not in text


def test_python_that_is_too_old_is_refused_with_what_helps(make: Make) -> None:
    """The newest that is there is found; an old one, there or to come, is an error before any work."""
    host = make("wanted: {Qwen/A: }")
    old = FACTS.model_copy(update={"pythons": {"python3": "3.8", "python3.11": "3.11"}})
    (venv,) = (item for item in _resources(host, old) if isinstance(item, PythonVenv))
    assert venv.python == "python3.11"
    for facts in (
        FACTS.model_copy(update={"pythons": {"python3": "3.9"}}),
        Facts(os=OS(id="ubuntu", codename="focal")),
    ):
        with pytest.raises(RoleError, match=r"is too old .*models\.python.*via: push"):
            _resources(host, facts)
    given = make("wanted: {Qwen/A: }, python: /usr/local/bin/python3.12")
    ids = [item.id for item in _resources(given, old)]
    assert not any(name.startswith("package:") for name in ids)


def test_patterns_narrow_a_model(make: Make) -> None:
    """`exclude` leaves files out; what an engine needs cannot be left out by mistake."""
    snapshot = _snapshot(make("wanted: {Qwen/A: {exclude: [onnx/*]}}"))
    assert [file.path for file in snapshot.files] == sorted(PATHS[:3])
    with pytest.raises(ProvisionError, match=r"model|weights"):
        _resources(make("wanted: {Qwen/A: {exclude: ['*.safetensors', onnx/*]}}"))
    loose = make("wanted: {Qwen/A: {include: ['*.json'], check: false}}")
    assert len(_snapshot(loose).files) == 2
    with pytest.raises(ProvisionError, match="weights"):
        _resources(make("wanted: {Qwen/D: }"))


def test_leftovers_keep_every_wanted_folder(make: Make) -> None:
    """What prunes alone wants the same as what prunes with the rest."""
    host = make("wanted: {Qwen/A: , Qwen/B: {source: huggingface}}, prune: true")
    last = _resources(host)[-1]
    assert isinstance(last, ModelLeftovers)
    assert last.keep == ("/data/models/Qwen/A/c1-x", "/data/models/Qwen/B/c1-x")
    models = models_of(host)
    assert models
    assert list(models.leftovers().resources(host, FACTS)) == [last]


# ---------------------------------------------------------------- lock file


def test_model_that_was_never_listed_is_an_error_with_the_command(make: Make) -> None:
    """At a host, and once for all hosts before any is asked; not where the role is not selected."""
    host = make("wanted: {Qwen/New: , Qwen/Newer: }")
    with pytest.raises(RoleError, match=r"Qwen/New is not in lab\.models\.lock\.json.*--lock"):
        _resources(host)
    with pytest.raises(HubError, match=r"Qwen/New@master and 1 more are not listed .*--lock"):
        refuse_unlocked([host], ())
    refuse_unlocked([host], {"docker"})
    refuse_unlocked([make("wanted: {Qwen/A: }")], {"models"})


def test_other_revision_is_another_listing(make: Make) -> None:
    """A lock for the main branch does not answer for a tag."""
    with pytest.raises(HubError, match=r"modelscope:Qwen/A@v2 is not listed yet"):
        refuse_unlocked([make("wanted: {Qwen/A: {revision: v2}}")], ())


def test_lock_lies_beside_the_inventory_unless_it_is_named(make: Make, tmp_path: Path) -> None:
    """`lab.yaml` has `lab.models.lock.json`; a relative path starts at the inventory's folder."""
    models = models_of(make("wanted: {}"))
    named = models_of(make("wanted: {}, lock: x/y.json"))
    assert models
    assert named
    assert models.lock == tmp_path / "lab.models.lock.json"
    assert named.lock == tmp_path / "x/y.json"


def test_relock_lists_what_is_new_and_drops_what_is_gone(make: Make, tmp_path: Path) -> None:
    """A folder of the controller is read; models that nothing wants leave the lock."""
    (tmp_path / "my").mkdir()
    (tmp_path / "my/config.json").write_text("{}", encoding="utf-8")
    host = make("wanted: {Qwen/E: {source: controller, path: my}, Qwen/A: }")
    done = relock([host, host], upgrade=False)
    actions = {change.key: change.action for change in done[tmp_path / "lab.models.lock.json"]}
    assert actions["controller:Qwen/E"] == "added"
    assert actions["modelscope:Qwen/A@master"] == "unchanged"
    assert actions["huggingface:Qwen/B@main"] == "removed"
    refuse_unlocked([host], ())


def test_only_what_is_pushed_is_downloaded_to_the_controller(make: Make) -> None:
    """Once for all hosts, and not what every host has already."""
    host = make("wanted: {Qwen/A: {via: push}, Qwen/B: {source: huggingface}}")
    assert list(downloads([host, host], {"Qwen/A", "Qwen/B"})) == ["modelscope:Qwen/A@master"]
    assert downloads([host], {"Qwen/B"}) == {}


# ---------------------------------------------------------------- inventory


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ("wanted: {Qwen: }", "organisation/name"),
        ("wanted: {Qwen/A: {revison: x}}", "revision"),
        ("wanted: {Qwen/A: {source: controller}}", "path"),
        ("wanted: {Qwen/A: {path: x}}", "controller"),
        ("wanted: {Qwen/../A: }", "organisation/name"),
        ("wanted: {Qwen/A: {revision: ../x}}", "revision|branch"),
        ("via: pear", "peer"),
        ("workers: 0", "1"),
        ("modelscope: {token: hunter2}", "env:NAME"),
        ("dir: models", "absolute|/"),
    ],
)
def test_wish_that_makes_no_sense_is_refused_at_its_line(
    make: Make, models: str, said: str
) -> None:
    """Before anything is asked; a token that stands there itself is never repeated."""
    with pytest.raises(ProvisionError, match=said) as raised:
        make(models)
    assert "lab.yaml:" in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_schema_knows_the_settings_and_their_meaning() -> None:
    """An editor completes `models:` with a description for each."""
    text = str(json_schema(ROLES))
    for name in ("wanted", "via", "pip_index", "look_in", "prune", "lock", "endpoint", "exclude"):
        assert f"'{name}'" in text
    assert "Patterns of the files to leave out" in text
