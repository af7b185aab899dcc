"""Editors know every key of an inventory, and flag only what `load` would flag."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import jsonschema
import yaml

from provision.inventory.json_schema import json_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

GOOD = """\
vars:
  ssh: {user: ops}
  docker: {limits: {soft: 1}, token: "env:X"}
groups:
  gpu: {hosts: ["gpu[01:02]"], roles: [base, docker], vars: {gpus: 8, docker: }}
hosts:
  gpu[01:02]: {ssh: {address: "10.0.0.[1:2]"}, docker: {tag: "[1:2]"}}
  lone:
"""


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list):
        for below in value.values() if isinstance(value, dict) else value:
            yield from _walk(below)


def test_every_reference_leads_somewhere(roles: dict[str, type[BaseModel]]) -> None:
    """A schema with a dangling reference is no schema; and it is JSON."""
    schema = json_schema(roles)
    assert json.loads(json.dumps(schema)) == schema
    for part in _walk(schema):
        if "$ref" in part:
            assert part["$ref"].removeprefix("#/$defs/") in schema["$defs"]


def test_no_mapping_takes_unknown_keys(roles: dict[str, type[BaseModel]]) -> None:
    """Wherever keys are listed, others are forbidden, and none is required in one layer."""
    schema = json_schema(roles)
    for part in _walk({**schema, "required": []}):
        if isinstance(part.get("properties"), dict) and "type" in part:
            assert part["additionalProperties"] is False
            assert not part.get("required")
    assert schema["required"] == ["hosts"]


def test_descriptions_and_role_names_reach_the_editor(roles: dict[str, type[BaseModel]]) -> None:
    """Docstrings of fields are what an operator reads while typing."""
    schema = json_schema(roles)
    docker = schema["$defs"]["role.docker"]["properties"]
    assert docker["mirror"]["description"] == "Base URL of the mirror."
    assert schema["$defs"]["settings.SSH"]["properties"]["port"]["description"]
    group = schema["properties"]["groups"]["additionalProperties"]["properties"]
    assert group["roles"]["items"]["enum"] == ["base", "docker", "model"]


def test_a_range_passes_where_its_values_must_match(roles: dict[str, type[BaseModel]]) -> None:
    """A text that holds a range is not judged by the form of a single value."""
    pattern = json_schema(roles)["$defs"]["settings.SSH"]["properties"]["address"]["pattern"]
    assert re.search(pattern, "10.0.0.[1:2]")
    assert not re.search(pattern, "a b")


def test_a_good_inventory_is_valid_and_a_typo_is_not(roles: dict[str, type[BaseModel]]) -> None:
    """What loads is valid for the editor, too."""
    validator = jsonschema.Draft202012Validator(json_schema(roles))
    good = yaml.safe_load(GOOD)
    assert not list(validator.iter_errors(good))
    good["hosts"]["lone"] = {"gpu": 1}
    assert list(validator.iter_errors(good))
