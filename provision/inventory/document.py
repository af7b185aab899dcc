"""How an inventory file is read: bytes, text and YAML, each with an error that names the line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import yaml

from provision.errors import InventoryError
from provision.inventory.node import Node, convert
from provision.inventory.problems import Problems, display

if TYPE_CHECKING:
    from pathlib import Path

_DEEPEST: Final = 50  # levels; far fewer than the C parser's stack, which it would overflow
_EXAMPLE: Final = "Start with `hosts: {gpu01: }`."
_REMEDIES: Final = {
    "mapping values are not allowed": "Quote a value that contains ': ', and check the indentation.",
    "could not find expected ':'": "Write `key: value`, with a space after the colon.",
    "cannot start any token": "Quote a value that starts with @, ` or %.",
    "did not find expected key": "Check the indentation and the quotes above it.",
    "did not find expected '-' indicator": "Indent the items of a list alike.",
    "unexpected end of stream": "Close the quote or bracket.",
    "did not find expected ',' or": "Close the bracket, and put commas between the items.",
    "undefined alias": "Define it above, as in `&name`.",
    "single document": "Keep one document: remove the line `---` in the middle.",
    "nested too deeply": "Write it flatter.",
    "second occurrence": "Give each anchor a name of its own.",
}


class _Shallow:
    """A loader that stops at a depth no inventory has; the resolver's hooks see each level."""

    depth = 0

    def descend_resolver(self, parent: yaml.Node | None, _index: object) -> None:
        self.depth += 1
        if self.depth > _DEEPEST:
            mark = parent.start_mark if parent else None
            raise yaml.composer.ComposerError(None, None, "nested too deeply", mark)

    def ascend_resolver(self) -> None:
        self.depth -= 1


# C is ten times as fast, and not on every machine
_LOADER: Any = type("_Loader", (_Shallow, getattr(yaml, "CSafeLoader", yaml.SafeLoader)), {})


def read(path: Path, problems: Problems) -> Node:
    """Return the file's top node, always a mapping, or raise `InventoryError`."""
    text = _text(path, problems)
    try:
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        raise _syntax(error, text, problems) from error
    if root is None:
        raise _error(problems, 0, "the inventory is empty", _EXAMPLE)
    node = convert(root, problems)
    problems.check()
    if node.value is None:
        raise _error(problems, 0, "the inventory is empty", _EXAMPLE)
    if not isinstance(node.value, dict):
        raise _error(problems, node.line, "an inventory must be a mapping", _EXAMPLE)
    return node


def _text(path: Path, problems: Problems) -> str:
    try:
        content = path.read_bytes()
    except IsADirectoryError as error:
        files = ", ".join(display(file) for file in sorted(path.glob("*.y*ml"))[:10])
        remedy = f"Name one of {files}." if files else "Name a YAML file."
        raise _error(problems, 0, "this is a folder, not a file", remedy) from error
    except FileNotFoundError as error:
        raise _error(problems, 0, "no such file", "Check the path.") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise _error(
            problems, 0, f"cannot be read: {reason}", "Check the path and its permissions."
        ) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = f"the byte 0x{content[error.start]:02x} is not UTF-8"
        raise _error(problems, line, what, "Save the file as UTF-8.") from error


def _syntax(error: yaml.YAMLError, text: str, problems: Problems) -> InventoryError:
    if isinstance(error, yaml.reader.ReaderError):
        found = yaml.reader.Reader.NON_PRINTABLE.search(text)
        line = text.count("\n", 0, found.start()) + 1 if found else 0
        name = f" U+{ord(found[0]):04X}" if found else ""
        return _error(problems, line, f"a control character{name}", "Remove it.")
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = mark.line + 1 if mark else 0
    tab = _tab(text, line)
    if tab:
        return _error(
            problems, tab, "a tab indents this line", "Indent with spaces: YAML forbids tabs."
        )
    what = getattr(error, "problem", None) or str(error).splitlines()[0]
    context = getattr(error, "context", None)
    opened = getattr(error, "context_mark", None)
    if context and opened and opened.line + 1 != line:
        what = f"{what} ({context} on line {opened.line + 1})"
    return _error(problems, line, f"not YAML: {what}", _remedy(what))


def _tab(text: str, line: int) -> int:
    """Return the line, this one or the one above, that a tab indents, or 0."""
    lines = text.split("\n")
    for number in (line, line - 1):
        if 0 < number <= len(lines) and re.match(r" *\t\s*\S", lines[number - 1]):
            return number
    return 0


def _remedy(what: str) -> str:
    return next((text for part, text in _REMEDIES.items() if part in what), "Check its syntax.")


def _error(problems: Problems, line: int, what: str, remedy: str) -> InventoryError:
    return InventoryError(what, where=problems.where(line), remedy=remedy)
