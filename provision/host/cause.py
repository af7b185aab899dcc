"""What a known reason for a failure is: a pattern of output, what happened, and its remedy."""

from __future__ import annotations

import re
from typing import NamedTuple


class Cause(NamedTuple):
    """What happened and what to do about it."""

    what: str
    remedy: str


class Known(NamedTuple):
    """How a cause is recognised; named groups of the pattern stand in its texts."""

    pattern: str
    what: str
    remedy: str
    of: re.Pattern[str] | None = None
    """Means this only in the output of one program, known by this."""
    then: re.Pattern[str] | None = None
    """Means this only before a line that this one finds, whose groups stand in the texts too."""

    def words(self, output: str) -> dict[str, str] | None:
        """Return what stands in the texts; None where the output does not show this cause.

        Each pattern is looked for once: joined into one, it would be tried from every place where
        the first half fits, and a log is as long as a host wants it.
        """
        found = [re.search(self.pattern, output, re.IGNORECASE | re.MULTILINE)]
        if found[0] is None or (self.of and not self.of.search(output)):
            return None
        if self.then:
            found.append(self.then.search(output, found[0].end()))
        groups = [match.groupdict() if match else None for match in found]
        if None in groups:
            return None
        return {key: value or "" for group in groups if group for key, value in group.items()}
