"""The dnf setting: one option of dnf.conf or of dnf-automatic's file; all others stay as they are."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

from pydantic import StringConstraints

from provision.state.resource import Command, Resource, State
from provision.state.shell import quote

Where = Literal["dnf", "dnf-automatic"]
_FILES: Final[dict[Where, tuple[str, str]]] = {
    # dnf 4 reads no folder of drop-ins (dnf.conf(5)): the one file is shared with the operator
    "dnf": ("/etc/dnf/dnf.conf", "main"),
    # `[base]` overrides dnf.conf for the unattended upgrades alone (dnf-automatic(8))
    "dnf-automatic": ("/etc/dnf/automatic.conf", "base"),
}
_TEXT: Final = "(text)"
_DIGEST: Final = "(sha256)"
"""State keys of what was probed: carried for the write, never compared."""


class DnfSetting(Resource):
    """The option `name`, such as `proxy`: a value, or items that its list must contain.

    A mark above the line says that it is ours: what an operator set is never taken away.
    """

    kind: ClassVar[str] = "dnf_setting"

    name: Annotated[str, StringConstraints(pattern=r"^[a-z_]+$")]
    program: Where = "dnf"
    """Whose file; that of dnf-automatic only matters where it is there."""
    value: Annotated[str, StringConstraints(pattern=r"^([!-~]+( [!-~]+)*)?$")] = ""
    items: tuple[Annotated[str, StringConstraints(pattern=r"^[!-+.-~-]+$")], ...] = ()
    present: bool = True

    def probe(self) -> str:
        """Read the option, the mark and the file's digest."""
        file, section = _FILES[self.program]
        return (
            f"[ -f {file} ] || {{ echo nobody; exit 0; }}\n"
            f"grep -qxF '# provision: {self.name}' {file} && echo ours\n"
            f"sha256sum <{file} | sed 's/^/digest /'\n"
            f"dnf_setting {file} {section} {quote(self.name)} | sed 's/^/value /'"
        )

    def actual(self, output: str) -> State | None:
        """Parse those lines; of a list only the items count that are wanted."""
        if output.strip() == "nobody":
            return self.expected() if self.program == "dnf-automatic" else None
        lines = [line.partition(" ")[::2] for line in output.splitlines() if line]
        digest = next((text.partition(" ")[0] for word, text in lines if word == "digest"), "")
        if not digest:
            raise ValueError(f"unexpected answer {output.strip()!r}")
        text = next((text.strip() for word, text in lines if word == "value"), "")
        kept = set(text.replace(",", " ").split())
        shown = " ".join(item for item in self.items if item in kept) if self.items else text
        if not self.present and (not shown or ("ours", "") not in lines):
            return None
        return {"value": shown, _TEXT: text, _DIGEST: digest}

    def expected(self) -> State | None:
        """Want the value, or all items."""
        return {"value": " ".join(self.items) or self.value} if self.present else None

    def apply(self, actual: State | None, changed: frozenset[str]) -> list[Command]:
        """Write the file with that one option changed, if it still is what was probed."""
        del changed
        file, section = _FILES[self.program]
        known = actual or {}
        value = self._value(str(known.get(_TEXT, "")))
        target = f"dnf_set {file} {known.get(_DIGEST, 'absent')} {section} {quote(self.name)}"
        return [
            Command(
                title=f"{'set' if value else 'remove'} {self.name} in {file}",
                script=f"{target} {quote(value)}" if value else target,
            )
        ]

    def _value(self, text: str) -> str:
        if not self.items:
            return self.value if self.present else ""
        others = [item for item in text.replace(",", " ").split() if item not in self.items]
        return " ".join([*others, *self.items] if self.present else others)
