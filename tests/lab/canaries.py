"""Canaries: a secret for each place of an inventory where one can stand, and where one is looked for."""

from __future__ import annotations

import base64
import secrets
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self, get_args, get_origin

from pydantic import BaseModel

from provision.inventory.settings import Settings
from provision.secret import Secret
from provision.state.role import load_roles

PROJECT: Final = Path(__file__).parents[2]
SOURCES: Final = {
    "ssh.sudo_password": "env",
    "models.modelscope.token": "file",
    "models.huggingface.token": "cmd",
    "services.wanted.*.api_key": "env",
}
"""Every place, and the source from which its canary comes; a new one must be added here."""


def places() -> list[str]:
    """Return every setting that is a secret, by the types of settings and roles alone."""
    models = {"": Settings, **load_roles(PROJECT)}
    return [
        ".".join(filter(None, (name, *path)))
        for name, model in models.items()
        for path in _secrets(model, ())
    ]


def _secrets(annotation: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if annotation is Secret:
        yield path
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            yield from _secrets(field.annotation, (*path, name))
    else:
        keyed = isinstance(get_origin(annotation), type) and issubclass(
            get_origin(annotation), Mapping | tuple | list
        )
        for argument in get_args(annotation):
            yield from _secrets(argument, (*path, "*") if keyed else path)


class Canaries:
    """A fresh canary for each place, handed over as an operator does."""

    def __init__(self, folder: Path) -> None:
        """Write the files that canaries come from into `folder`, which nobody else reads."""
        folder.mkdir(mode=0o700)
        self.values = {place: f"Canary{secrets.token_hex(12)}" for place in SOURCES}
        self.references: dict[str, str] = {}
        self.environment: dict[str, str] = {}
        for number, (place, source) in enumerate(SOURCES.items()):
            file = folder / f"{number}"
            file.touch(0o600)
            file.write_text(f"{self.values[place]}\n", encoding="utf-8")
            name = f"CANARY_{number}"
            if source == "env":
                self.environment[name] = self.values[place]
            arguments = {"env": name, "file": str(file), "cmd": f"cat {file}"}
            self.references[place] = f"{source}:{arguments[source]}"

    @property
    def forms(self) -> tuple[str, ...]:
        """Return what is looked for: each canary as it is, and inside a text in base64."""
        return tuple(form for value in self.values.values() for form in forms_of(value))

    def found(self, text: str) -> list[str]:
        """Return the places whose canary a text has."""
        return [
            place
            for place, value in self.values.items()
            if any(form in text for form in forms_of(value))
        ]


def forms_of(value: str) -> tuple[str, ...]:
    """Return a value, and its base64 wherever in a longer text it stands, without its ends."""
    shifted = (base64.b64encode(b"\0" * shift + value.encode()).decode() for shift in range(3))
    return value, *(text[4:-4] for text in shifted)


class Sampler:
    """Reads the argv of every process of this machine many times a second, and keeps what is found."""

    def __init__(self, canaries: Canaries) -> None:
        """Prepare."""
        self.caught: list[str] = []
        self.rounds = 0
        self._forms = [form.encode() for form in canaries.forms]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._over.wait(0.05):
            self.rounds += 1
            for process in Path("/proc").iterdir():
                if process.name.isdigit():
                    self._look(process / "cmdline")

    def _look(self, file: Path) -> None:
        try:
            argv = file.read_bytes()
        except OSError:
            return  # it has ended meanwhile
        if any(form in argv for form in self._forms):
            self.caught.append(argv.replace(b"\0", b" ").decode(errors="replace"))
