"""How an inventory file is described to editors: JSON Schema, draft 2020-12."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from provision.inventory.docstrings import describe
from provision.inventory.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_NAME: Final = "^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
_NAMES: Final = r"^[A-Za-z0-9_.\[\]:-]+$"  # with ranges
_RANGE: Final = r"\[[0-9]+:[0-9]+\]"
_MEMBERS: Final = {
    "type": "array",
    "items": {"type": "string"},
    "title": "Hosts",
    "description": "Names, ranges (gpu[01:16]) or patterns (gpu*) of hosts.",
}


def json_schema(roles: Mapping[str, type[BaseModel]]) -> dict[str, Any]:
    """Return the JSON Schema of an inventory whose hosts may have `roles` (name → model).

    It lets any part of a block be absent, for another layer may set it; `load` finds what is
    missing in the end.
    """
    describe((Settings, *roles.values()))
    definitions: dict[str, Any] = {}
    settings = _properties(roles, definitions)
    known = {"type": "array", "items": {"enum": sorted(roles)}, "title": "Roles"}
    own = {"roles": {**known, "description": "Roles after those of its groups."}}
    group = {
        "hosts": _MEMBERS,
        "roles": {**known, "description": "Roles to apply, in order."},
        "vars": _mapping("Vars", "Settings of the hosts of this group.", settings),
    }
    parts = {
        "vars": _mapping("Vars", "Settings of every host.", settings),
        "groups": _named(
            "Groups", _NAME, _mapping("Group", "Hosts with common roles and settings.", group)
        ),
        "hosts": _named(
            "Hosts",
            _NAMES,
            _mapping(
                "Host",
                "Settings of this host, or of each host of a range such as gpu[01:16].",
                {**settings, **own},
            ),
        ),
    }
    top = _mapping("Inventory", "Hosts, their groups and their settings.", parts)
    required = {"type": "object", "required": ["hosts"]}
    return {"$schema": _DIALECT, **top, **required, "$defs": definitions}


def _properties(
    roles: Mapping[str, type[BaseModel]], definitions: dict[str, Any]
) -> dict[str, Any]:
    """Return the properties of a block of settings; collect what they refer to."""
    settings = _model("settings", Settings, definitions)["properties"]
    blocks = {role: _model(role, model, definitions) for role, model in roles.items()}
    for role, block in blocks.items():
        definitions[f"role.{role}"] = {**block, "type": ["object", "null"]}
    references: dict[str, Any] = {role: {"$ref": f"#/$defs/role.{role}"} for role in roles}
    for name in ("SSH", "Proxies"):
        definitions[f"settings.{name}"]["type"] = ["object", "null"]
    return {**references, **settings}


def _model(prefix: str, model: type[BaseModel], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return a model's schema; its definitions get a prefix, for two roles may share a name."""
    schema = model.model_json_schema(ref_template=f"#/$defs/{prefix}.{{model}}")
    for name, definition in schema.pop("$defs", {}).items():
        definitions[f"{prefix}.{name}"] = _loosened(definition)
    loosened: dict[str, Any] = _loosened(schema)
    return loosened


def _loosened(schema: Any) -> Any:
    """Return the schema without what only merged values must obey.

    Keys may be missing in one layer, and a text may hold a range in place of its final form.
    """
    if isinstance(schema, list):
        return [_loosened(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            found[key] = {name: _loosened(below) for name, below in value.items()}
        elif key == "pattern":
            found[key] = f"(?:{value})|{_RANGE}"
        elif key in {"default", "examples", "enum", "const"}:
            found[key] = value
        elif key != "required":
            found[key] = _loosened(value)
    if "properties" in found:
        found.setdefault("additionalProperties", False)
    return found


def _mapping(title: str, description: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": title,
        "description": description,
        "type": ["object", "null"],
        "properties": properties,
        "additionalProperties": False,
    }


def _named(title: str, pattern: str, item: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": title,
        "description": f"{title} by name.",
        "type": ["object", "null"],
        "propertyNames": {"pattern": pattern},
        "additionalProperties": item,
    }
