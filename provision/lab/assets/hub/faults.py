# ruff: noqa: INP001  runs beside hubd.py
"""How a hub fails on demand: what `faults.json` asks for, and how often each fault was used."""

from __future__ import annotations

import json
import random
import threading
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

Json = dict[str, Any]


class Faults:
    """What `faults.json` asks for, and how often each was used already."""

    def __init__(self, folder: Path) -> None:
        self.file, self.memory = folder / "faults.json", folder / "faults-used.json"
        self.lock = threading.Lock()
        told = self.memory.read_text() if self.memory.exists() else "{}"
        self.used: dict[str, int] = json.loads(told)

    def matching(self, names: tuple[str, ...]) -> list[Json]:
        """Return the faults that still apply to a request known under these names."""
        asked = json.loads(self.file.read_text()) if self.file.exists() else []
        return [
            fault
            for fault in asked
            if any(fnmatchcase(name, fault.get("path", "*")) for name in names)
            and (fault.get("times") is None or self.used.get(fault["id"], 0) < fault["times"])
        ]

    def use(self, fault: Json) -> bool:
        """Count one use, and say whether the fault was still to be had."""
        if fault.get("times") is None:
            return True
        with self.lock:
            count = self.used.get(fault["id"], 0)
            if count >= fault["times"]:
                return False
            self.used[fault["id"]] = count + 1
            self.memory.write_text(json.dumps(self.used))
        return True

    def end_of(self, fault: Json | None, length: int) -> int:
        """Return how many bytes of an answer are sent: all of them, unless a fault cuts it off."""
        after = fault.get("after") if fault else None
        end = random.randrange(max(1, length)) if after is None else int(after)  # noqa: S311
        return end if fault is not None and end < length and self.use(fault) else length

    def spoiled(self, fault: Json | None, size: int, start: int, length: int) -> int:
        """Return the place in an answer of the byte to spoil, the middle one of the file, or -1."""
        place = size // 2 - start
        return place if fault is not None and 0 <= place < length and self.use(fault) else -1
