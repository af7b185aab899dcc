"""The fields of a JSON object that somebody else wrote: looked up by any of their names, typed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from provision.errors import ServiceError

_MOST: Final = 2**40


class Fields(NamedTuple):
    """An object; null counts as left out, and a wrong type is an error that names the field."""

    values: Mapping[str, Any]
    where: str

    def number(self, *names: str) -> int | None:
        """Return the whole number of the first name that has one."""
        name, value = self._first(names)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
            raise self._odd(name, value, "a whole number, not negative")
        return value

    def need(self, *names: str) -> int:
        """Return a number that must be there, and is not zero."""
        found = self.number(*names)
        if not found:
            raise ServiceError(f"{self.where}: {names[0]} is not there")
        return found

    def ratio(self, name: str) -> float:
        """Return a number that may have a fraction; 1 where there is none."""
        value = self.values.get(name)
        if value is None:
            return 1.0
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._odd(name, value, "a number")
        if not math.isfinite(value) or not 0 < value <= _MOST:
            raise self._odd(name, value, "a number above 0")
        return float(value)

    def flag(self, name: str) -> bool | None:
        """Return yes or no."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, bool):
            raise self._odd(name, value, "true or false")
        return value

    def text(self, *names: str) -> str:
        """Return the text of the first name that has one; empty: none."""
        name, value = self._first(names)
        if value is not None and not isinstance(value, str):
            raise self._odd(name, value, "a text")
        return value or ""

    def texts(self, *names: str) -> list[str]:
        """Return a list of texts; empty: none."""
        name, value = self._first(names)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._odd(name, value, "a list of texts")
        return value

    def numbers(self, name: str) -> list[int]:
        """Return a list of whole numbers; empty: none."""
        value = self.values.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(type(item) is int for item in value):
            raise self._odd(name, value, "a list of whole numbers")
        return value

    def part(self, *names: str) -> Fields | None:
        """Return the object of the first name that has one."""
        name, value = self._first(names)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self._odd(name, value, "an object")
        return Fields(value, f"{self.where}: {name}")

    def _first(self, names: tuple[str, ...]) -> tuple[str, Any]:
        for name in names:
            if self.values.get(name) is not None:
                return name, self.values[name]
        return names[0], None

    def _odd(self, name: str, value: object, wanted: str) -> ServiceError:
        shown = repr(value)
        shown = shown if len(shown) <= 40 else f"{shown[:37]}..."  # noqa: PLR2004  a line's worth
        return ServiceError(f"{self.where}: {name} is {shown}, expected {wanted}")
