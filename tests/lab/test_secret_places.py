"""Every place where a secret can stand has a canary: one that is added is not forgotten."""

from __future__ import annotations

from pathlib import Path

from canaries import SOURCES, Canaries, Sampler, forms_of, places
from pydantic import BaseModel

from provision.inventory.settings import Settings
from provision.secret import Secret


def test_each_secret_of_settings_and_roles_has_a_canary() -> None:
    """Found by their types; whoever adds one adds its canary, or this fails."""
    assert sorted(places()) == sorted(SOURCES)


def test_a_secret_is_found_wherever_its_type_stands() -> None:
    """Optional, in a mapping, in a list, in a model of a union."""
    from canaries import _secrets  # noqa: PLC0415

    class Inner(BaseModel):
        token: Secret | None = None

    class Outer(BaseModel):
        plain: Secret
        listed: tuple[Inner, ...] = ()
        mapped: dict[str, Inner | int] = {}
        other: str = ""

    found = {".".join(path) for path in _secrets(Outer, ())}
    assert found == {"plain", "listed.*.token", "mapped.*.token"}
    assert {".".join(path) for path in _secrets(Settings, ())} == {"ssh.sudo_password"}


def test_a_canary_is_found_as_it_is_and_in_base64(tmp_path: Path) -> None:
    """At each of the three offsets that it can have in a longer text."""
    import base64  # noqa: PLC0415

    canaries = Canaries(tmp_path / "secrets")
    for place, value in canaries.values.items():
        assert canaries.found(f"a {value} b") == [place]
        for before in ("", "x", "xy", "xyz"):
            hidden = base64.b64encode(f"{before}{value} and more".encode()).decode()
            assert canaries.found(hidden) == [place]
    assert canaries.found("nothing") == []
    assert all(len(form) > 20 for value in canaries.values.values() for form in forms_of(value))


def test_a_canary_in_an_argv_is_caught(tmp_path: Path) -> None:
    """The sampler sees a process that lives for a fifth of a second."""
    import subprocess  # noqa: PLC0415

    canaries = Canaries(tmp_path / "secrets")
    value = next(iter(canaries.values.values()))
    with Sampler(canaries) as sampler:
        subprocess.run(["sh", "-c", "sleep 0.3; :", value], check=True)
    assert sampler.caught
    assert all(value in argv for argv in sampler.caught)
