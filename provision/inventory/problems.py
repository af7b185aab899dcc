"""How the problems of one inventory file are collected, placed and reported together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from provision.errors import InventoryError, nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

LINES: Final = 20  # an operator mends the first ones and runs again
_NAMES: Final = 12  # known names listed for a misspelt one


class InventoryErrors(InventoryError):  # noqa: N818  the plural of InventoryError
    """Several problems of one inventory, one a line, sorted by their place in the file."""

    def __init__(self, errors: Sequence[InventoryError]) -> None:
        """Keep all of `errors` and show at most `LINES` lines."""
        shown = [str(error) for error in errors]
        if len(shown) > LINES:
            shown[LINES - 1 :] = [f"… and {len(shown) - LINES + 1} more problems"]
        super().__init__("\n".join(shown))
        self.errors = tuple(errors)


class Problems:
    """The problems found so far in the file at `path`; equal ones on one line count once."""

    def __init__(self, path: Path) -> None:
        """Start without a problem."""
        self.place = display(path)
        self._found: dict[tuple[int, str], InventoryError] = {}

    def add(self, line: int, what: str, remedy: str = "") -> None:
        """Note one problem on a line (counted from 1; 0 = the file as a whole)."""
        if (line, what) not in self._found:
            error = InventoryError(what, where=self.where(line), remedy=remedy)
            self._found[line, what] = error

    def where(self, line: int) -> str:
        """Return `file:line`, or `file` for line 0."""
        return f"{self.place}:{line}" if line else self.place

    def suggest(self, name: str, known: Collection[str]) -> str:
        """Return the nearest known name, or nothing once there are more problems than are shown."""
        return "" if len(self._found) >= LINES else suggest(name, known)

    def check(self) -> None:
        """Raise what was found, if anything was."""
        errors = [self._found[key] for key in sorted(self._found, key=lambda key: key[0])]
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise InventoryErrors(errors)


def display(path: Path) -> str:
    """Return `path` relative to the working folder when it lies inside, else as it is."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def suggest(name: str, known: Collection[str]) -> str:
    """Return `Did you mean 'x'?` or the first known names: a fleet may have thousands."""
    hint = nearest(name, set(known))
    if hint.startswith("Known:") and len(known) > _NAMES:
        first = ", ".join(sorted(known)[:_NAMES])
        return f"Known: {first} and {len(known) - _NAMES} more."
    return hint
