"""How pydantic's errors read in our words: what was expected, what stands there, what to write."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, get_args

from pydantic import BaseModel

from provision.errors import nearest
from provision.inventory.node import Node, reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

_LONGEST: Final = 60  # characters of a value that are shown
_TYPES: Final = {
    "int": "an integer",
    "float": "a number",
    "string": "a string",
    "bool": "true or false",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "frozen_set": "a list",
    "dict": "a mapping",
    "mapping": "a mapping",
    "model": "a mapping",
    "model_attributes": "a mapping",
    "dataclass": "a mapping",
    "path": "a path",
    "url": "a URL",
}
_BOUNDS: Final = {
    "greater_than": "a number above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "too_short": "at least {min_length} items",
    "too_long": "at most {max_length} items",
    "string_pattern_mismatch": "text that matches {pattern}",
    "url_scheme": "a URL that starts with {expected_schemes}",
    "url_parsing": "a URL such as http://10.0.0.1:8000",
    "url_syntax_violation": "a URL such as http://10.0.0.1:8000",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "union_tag_invalid": "{expected_tags}",
    "expected": "{noun}",
    "none_required": "nothing",
}
_TEXTUAL: Final = frozenset({"string_type", "url_type", "path_type", "literal_error", "enum"})


def describe(errors: Sequence[ErrorDetails], node: Node | None) -> str:
    """Return in one clause what is wrong with the value at one place of the file.

    Several errors are the alternatives of a union. The value is never shown where a validator of
    its own refused it: it may be a secret that was written out.
    """
    phrases = [_expected(error) for error in errors]
    if None in phrases:
        return next(_statement(error) for error in errors if _expected(error) is None)
    wanted = " or ".join(dict.fromkeys(phrase for phrase in phrases if phrase))
    return f"expected {wanted}, got {_got(errors, node)}"


def remedy(errors: Sequence[ErrorDetails], node: Node | None, key: str, model: Any) -> str:
    """Return what to write instead, or nothing where the expectation says it all."""
    kind, value = errors[0]["type"], errors[0]["input"]
    text = node.text if node else ""
    allowed = re.findall(r"'([^']*)'", str(errors[0].get("ctx", {}).get("expected", "")))
    if _misread(errors, node) and (not allowed or text in allowed):
        return f'Quote it: "{text}".'
    if allowed and isinstance(value, str):
        hint = nearest(value, allowed)
        return hint if hint.startswith("Did") else f"Write {key}: {allowed[0]}."
    if kind in {"list_type", "tuple_type", "set_type"} and text:
        return f"Write {key}: [{text}]."
    if kind == "bool_type":
        return f"Write {key}: true, or {key}: false."
    if kind in {"int_type", "float_type"} and re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", text):
        return f"Write {key}: {text}, without quotes."
    loc = errors[0]["loc"]
    end = max((index for index, part in enumerate(loc, 1) if part == key), default=0)
    return _sample(key, _field(model, loc[:end]))  # what follows is an index or a union's tag


def names_at(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    """Return the keys known beside the one that an error's location ends in."""
    return [
        field.alias or name
        for found in _at(model, loc[:-1])
        for name, field in found.model_fields.items()
    ]


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that a field's type is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def _field(model: type[BaseModel], loc: Sequence[str | int]) -> FieldInfo | None:
    *above, last = loc or ("",)
    return next(
        (
            found.model_fields[str(last)]
            for found in _at(model, above)
            if last in found.model_fields
        ),
        None,
    )


def _at(model: type[BaseModel], loc: Sequence[str | int]) -> list[type[BaseModel]]:
    current = [model]
    for part in loc:
        fields = [found.model_fields[part] for found in current if part in found.model_fields]
        if fields:  # else an index, the key of a mapping, or the tag of a union
            current = [found for field in fields for found in models_in(field.annotation)]
    return current


def _expected(error: ErrorDetails) -> str | None:
    """Return what was expected as a noun phrase, or None for an error that is a sentence."""
    kind = error["type"]
    if kind in _BOUNDS:
        return _BOUNDS[kind].format(**error.get("ctx", {}))
    noun = _TYPES.get(re.sub(r"_(type|parsing|from_float)$", "", kind))
    if noun:
        return noun
    if error["msg"].startswith("Input should be "):
        return error["msg"].removeprefix("Input should be ")
    return None


def _statement(error: ErrorDetails) -> str:
    text = error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return (text[:1].lower() + text[1:]) if text[1:2].islower() else text


def _got(errors: Sequence[ErrorDetails], node: Node | None) -> str:
    value = errors[0]["input"]
    if isinstance(value, str):
        value = re.sub(r"://[^/@\s]*@", "://…@", value)  # a password in a URL
        return repr(value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…")
    if node is not None and _surprising(errors, node):
        meaning = f"word {node.text} as {str(node.value).lower()}"
        if not isinstance(node.value, bool):
            meaning = f"{node.text} as a number"
        return f"{reading(node.value)}: YAML reads the bare {meaning}"
    return reading(value)


def _surprising(errors: Sequence[ErrorDetails], node: Node) -> bool:
    """Tell whether YAML's reading needs a word: text was meant, or `yes` stands for true."""
    odd = isinstance(node.value, bool) and node.text.lower() not in {"true", "false"}
    return _misread(errors, node) or (node.bare and odd)


def _misread(errors: Sequence[ErrorDetails], node: Node | None) -> bool:
    """Tell whether a bare word was meant as text and YAML made a boolean or a number of it."""
    return (
        node is not None
        and node.bare
        and isinstance(node.value, bool | int | float)
        and any(error["type"] in _TEXTUAL for error in errors)
    )


def _sample(key: str, field: FieldInfo | None) -> str:
    if field is None:
        return ""
    sample = (field.examples or [field.default])[0]
    if isinstance(sample, bool | int | float | str) and sample != "":
        return f"Write {key}: {str(sample).lower() if isinstance(sample, bool) else sample}."
    return ""
