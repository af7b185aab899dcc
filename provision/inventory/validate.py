"""How merged settings become models, each distinct block once, and whom an error is told."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from provision.inventory.node import Node, at
from provision.inventory.outline import SETTINGS
from provision.inventory.schema import Host
from provision.inventory.settings import Settings
from provision.inventory.wording import describe, models_in, names_at, remedy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pydantic_core import ErrorDetails

    from provision.inventory.merge import Layer
    from provision.inventory.outline import HostEntry
    from provision.inventory.problems import Problems

Loc = tuple[str | int, ...]


@dataclass(frozen=True)
class _Block:
    """Merged values that did not fit their model, and where they came from."""

    model: type[BaseModel]
    root: Loc  # the path of the block among the host's settings
    entry: HostEntry
    layers: Sequence[Layer]
    complete: bool = True  # False for a role that the host does not have: it may lack some


class Validator:
    """Validates the hosts of one file; its errors land in `problems`."""

    def __init__(
        self, models: Mapping[str, type[BaseModel]], inventory: Path, problems: Problems
    ) -> None:
        """Keep the models of the roles and the file, in whose folder relative paths start."""
        self.models = models
        self.context = {"folder": inventory.parent, "inventory": inventory.stem}
        self.problems = problems
        known: list[type[BaseModel]] = [Settings, *models.values()]
        self._extra = {model: _extra(model) for model in known}
        self._by_text: dict[tuple[type[BaseModel], str], BaseModel | list[ErrorDetails]] = {}
        # Layers that a host does not touch are one object for all hosts: no need to compare them.
        self._by_identity: dict[tuple[type[BaseModel], int], Any] = {}
        self._kept: list[object] = []  # an identity holds as long as its object lives
        self._missing: dict[tuple[str, str], list[HostEntry]] = {}

    def host(
        self,
        entry: HostEntry,
        layers: Sequence[Layer],
        values: dict[str, Any],
        groups: tuple[str, ...],
        roles: tuple[str, ...],
    ) -> Host | None:
        """Return the host with validated settings, or None after adding its problems."""
        own: dict[str, Any] = {key: values[key] for key in SETTINGS if key in values}
        settings = self._model(Settings, own)
        if isinstance(settings, list):
            self._explain(settings, _Block(Settings, (), entry, layers))
        variables = self._variables(entry, layers, values, roles)
        if not isinstance(settings, Settings):
            return None
        return Host(
            name=entry.name,
            ssh=settings.ssh,
            proxies=settings.proxies,
            gpus=settings.gpus,
            groups=groups,
            roles=roles,
            variables=variables,
        )

    def finish(self) -> None:
        """Add what is missing, once for all the hosts that lack it."""
        for (role, name), entries in self._missing.items():
            first, *more = entries
            others = f" here and on {len(more)} more" if more else ""
            self.problems.add(
                first.line,
                f"hosts.{first.name}.{name}: missing{others}",
                f"Set it in vars, in a group or on the host: the role {role} needs it.",
            )

    def _variables(
        self,
        entry: HostEntry,
        layers: Sequence[Layer],
        values: dict[str, Any],
        roles: tuple[str, ...],
    ) -> dict[str, BaseModel]:
        """Return the variables of `roles`; those of other roles are only validated."""
        found = {}
        for role in dict.fromkeys((*roles, *values)):
            if role not in self.models or role in SETTINGS:
                continue
            model = self.models[role]
            judged = self._model(model, values.get(role, _NOTHING))
            if isinstance(judged, list):
                self._explain(judged, _Block(model, (role,), entry, layers, role in roles))
            elif role in roles:
                found[role] = judged
        return found

    def _model(
        self, model: type[BaseModel], values: dict[str, Any]
    ) -> BaseModel | list[ErrorDetails]:
        identity = (model, id(values))
        if identity not in self._by_identity:
            text = json.dumps(values)
            if (model, text) not in self._by_text:
                self._by_text[model, text] = self._judge(model, text)
            self._by_identity[identity] = self._by_text[model, text]
            self._kept.append(values)
        found: BaseModel | list[ErrorDetails] = self._by_identity[identity]
        return found

    def _judge(self, model: type[BaseModel], text: str) -> BaseModel | list[ErrorDetails]:
        """Validate as JSON and strictly: a list may fill a tuple, but 8 is no string."""
        try:
            return model.model_validate_json(
                text, strict=True, extra=self._extra[model], context=self.context
            )
        except ValidationError as error:
            return error.errors(include_url=False)

    def _explain(self, errors: list[ErrorDetails], block: _Block) -> None:
        """Add each error where its value was written; those of one place are a union's."""

        def place(error: ErrorDetails) -> Loc:
            return _resolved(block.layers, (*block.root, *error["loc"]))

        for parts, alike in groupby(errors, key=place):
            wrong = []
            for error in alike:
                if error["type"] != "missing":
                    wrong.append(error)
                elif block.complete:
                    lacking = (str(block.root[0]), _dotted((*block.root, *error["loc"])))
                    self._missing.setdefault(lacking, []).append(block.entry)
            if wrong:
                self._add(wrong, parts, block)

    def _add(self, errors: list[ErrorDetails], parts: Loc, block: _Block) -> None:
        layer, node = _winner(block.layers, parts)
        line = node.line if node else block.entry.line
        path = f"{layer.prefix if layer else f'hosts.{block.entry.name}'}.{_dotted(parts)}"
        if errors[0]["type"] == "extra_forbidden":
            known = names_at(block.model, errors[0]["loc"])
            hint = self.problems.suggest(str(parts[-1]), known)
            self.problems.add(line, f"{path}: unknown key", hint)
            return
        key = next((part for part in reversed(parts) if isinstance(part, str)), "")
        what = f"{path}: {describe(errors, node)}"
        self.problems.add(line, what, remedy(errors, node, key, block.model))


_NOTHING: dict[str, Any] = {}


def _extra(model: type[BaseModel]) -> Any:
    """Return `forbid`, for a typo must not pass, unless the model itself lets keys through."""
    seen: set[type[BaseModel]] = set()
    queue = [model]
    while queue:
        current = queue.pop()
        if current.model_config.get("extra") == "allow":
            return None
        if current not in seen:
            seen.add(current)
            queue += [
                found
                for info in current.model_fields.values()
                for found in models_in(info.annotation)
            ]
    return "forbid"


def _resolved(layers: Sequence[Layer], loc: Loc) -> Loc:
    """Return the parts of a location that stand in the file: tags of unions do not."""
    parts: Loc = ()
    for part in loc:
        if _winner(layers, (*parts, part))[1] is not None:
            parts = (*parts, part)
    return parts or loc[:1]


def _winner(layers: Sequence[Layer], parts: Loc) -> tuple[Layer | None, Node | None]:
    for layer in reversed(layers):
        node = at(layer.node, parts) if parts else None
        if node is not None:
            return layer, node
    return None, None


def _dotted(parts: Sequence[str | int]) -> str:
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")
