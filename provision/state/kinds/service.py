"""The service: a container of a release that is healthy and has answered real calls."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from pydantic import BaseModel, ConfigDict

from provision.errors import SecretError
from provision.secret import Secret
from provision.state.kinds.paths import AbsolutePath
from provision.state.kinds.release_move import Move
from provision.state.resource import Command, Difference, Resource, State
from provision.state.shell import functions, literal, quote

_DIGITS: Final = 12
_REPLACING: Final = frozenset({"(configuration)", "(environment)", "(image)"})
"""What a container must be made anew for."""


class Release(BaseModel):
    """What the folder of a release holds: all services of a host, of which some are brought up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: AbsolutePath
    """Folder on the host with all releases."""
    compose: str
    """Text of compose.yaml."""
    hashes: Mapping[str, str]
    """By service, what its container's configuration is known by."""
    secrets: Mapping[str, Mapping[str, Secret]] = {}
    """By service, the variables of its file NAME.env, which only root reads."""
    about: str = "{}"
    """JSON of how to call the services."""

    @property
    def id(self) -> str:
        """Return what it is called, which is the same for the same content."""
        parts = [self.compose, self.about, repr(sorted(self.hashes.items()))]
        parts += [f"{name} {self.digest(name)}" for name in sorted(self.secrets)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:_DIGITS]

    def digest(self, service: str) -> str:
        """Return the sha256 of a service's NAME.env; empty where it has none."""
        lines = [f"{name}='{value.reveal()}'\n" for name, value in self.variables(service)]
        return hashlib.sha256("".join(lines).encode()).hexdigest() if lines else ""

    def variables(self, service: str) -> list[tuple[str, Secret]]:
        """Return a service's secret variables in order; a value that no such file holds is refused."""
        found = sorted(self.secrets.get(service, {}).items())
        for name, value in found:
            if set(value.reveal()) & set("'\n\r\\"):
                raise SecretError(
                    f"{name} has a quote, a backslash or several lines",
                    where=f"{value.reference} of service {service}",
                    remedy="Choose another value.",
                )
        return found


class Service(Resource):
    """The container `name`, running as the release has it."""

    kind: ClassVar[str] = "service"

    release: Release
    summary: str = ""
    """What it is, in one line for the plan."""
    patience: int = 600
    """Seconds until it must be healthy."""

    def probe(self) -> str:
        """Ask for the container and for what was validated last."""
        return f"{functions('service_release')}\nservice_probe {quote(self.release.base)} {quote(self.name)}"

    def actual(self, output: str) -> State | None:
        """Parse it; a container of that name which is not ours is refused."""
        said = dict(line.partition(" ")[::2] for line in output.splitlines() if line)
        words = said.get("container", "").split()
        if len(words) != len(("status", "health", "restarts", "hash", "image", "tag")):
            raise ValueError(f"unexpected answer {output[:80]!r}")
        status, health, _, config, image, _ = words
        if config == "-":
            raise ValueError(
                f"a container '{self.name}' is there that is not ours: "
                f"remove it (docker rm -f {self.name}) or rename the service"
            )
        validated = said.get("validated", "").split()
        return {
            "(configuration)": config[:_DIGITS],
            # a tag that is gone names no other image; whoever wants the image brings it back
            "(image)": said.get("tag", "") in {image, ""},
            "(state)": status,
            "(health)": "healthy" if health == "none" else health,
            "(validated)": validated == [config, image],
            "(environment)": said.get("environment", ""),
            "(kept)": bool(validated),
        }

    def expected(self) -> State | None:
        """Want it healthy and validated, with this configuration."""
        return {
            "(configuration)": self.release.hashes[self.name][:_DIGITS],
            "(image)": True,
            "(state)": "running",
            "(health)": "healthy",
            "(validated)": True,
            "(environment)": self.release.digest(self.name),
        }

    def note(self, actual: State | None, changed: frozenset[str]) -> str:
        """Say what it is, or why it is not as it shall be."""
        if actual is None:
            return self.summary
        reasons = {
            "(configuration)": "another configuration",
            "(environment)": "other secrets",
            "(image)": "its tag names another image now",
            "(state)": f"is {actual['(state)']}",
            "(health)": f"is {actual['(health)']}",
            "(validated)": "was not validated",
        }
        # a container that is replaced is validated anew anyway
        anew = changed & _REPLACING
        if "(configuration)" in anew:
            anew -= {"(image)"}  # the tag is the one of before
        return ", ".join(reasons[key] for key in reasons if key in (anew or changed))

    def apply(self, actual: State | None, changed: frozenset[str]) -> list[Command]:
        """Bring up this one alone."""
        return self.apply_together([Difference(self, actual, changed)])

    def fears(self, actual: State | None, changed: frozenset[str]) -> tuple[str, ...]:
        """Say what stops answering meanwhile."""
        if actual is None or actual.get("(state)") != "running" or not changed:
            return ()
        if changed & _REPLACING or actual.get("(health)") == "unhealthy":
            return (f"{self.name} does not answer until it has started anew",)
        return ()

    @classmethod
    def apply_together(cls, differences: Sequence[Difference]) -> list[Command]:
        """Write the release, bring its services up, wait, call them, and keep it, or go back."""
        services = [item.resource for item in differences if isinstance(item.resource, Service)]
        release = services[0].release
        move = Move(
            base=release.base,
            release=release.id,
            names=tuple(service.name for service in services),
            before=tuple(item.resource.name for item in differences if _was_validated(item)),
            patience=max(service.patience for service in services),
        )
        return [_write(release), *move.steps()]


def _was_validated(item: Difference) -> bool:
    """Say whether a release is kept in which the service answered, be it down by now."""
    return bool(item.actual and item.actual["(kept)"])


def _write(release: Release) -> Command:
    """Return the step that writes the folder; the same content leads to the same folder."""
    texts = {
        "compose.yaml": release.compose,
        "about.json": release.about,
        "hashes": "".join(f"{name} {text}\n" for name, text in sorted(release.hashes.items())),
    }
    lines = [f"{literal(text.encode())} >{name}" for name, text in texts.items()]
    secrets: list[tuple[str, Secret]] = []
    for service in sorted(release.secrets):
        lines.append(f": >{quote(service)}.env")
        for name, value in release.variables(service):
            variable = f"provision_secret_{len(secrets)}"
            secrets.append((variable, value))
            lines.append(f'printf "%s=\'%s\'\\n" {name} "${variable}" >>{quote(service)}.env')
    # what dies half-way leaves no release behind
    folder = quote(f"{release.base}/releases/.{release.id}")
    script = [
        functions("service_release"),
        "umask 077",
        f"rm -rf -- {folder}",
        f"mkdir -p -- {folder}",
        f"cd -- {folder}",
        *lines,
        "cd /",
        f"service_seal {quote(release.base)} {release.id}",
    ]
    return Command(
        title=f"write release {release.id}",
        script="\n".join(script),
        shown=f"write {release.base}/releases/{release.id}: {', '.join(texts)}, the images' ids",
        secrets=tuple(secrets),
    )
