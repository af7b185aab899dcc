"""What a secret is, where it comes from, and how no output ever shows it."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import core_schema

from provision.errors import SecretError

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue

MASK: Final = "********"
_COMMAND_TIMEOUT: Final = 30  # seconds
_revealed: set[str] = set()


def conceal(value: str) -> None:
    """Mask `value` in every output from now on, and each of its lines: output is shown by lines."""
    _revealed.update({value, *filter(None, value.splitlines())})


class Secret:
    """A reference to a secret: `env:NAME`, `file:PATH` or `cmd:COMMAND`; prints as its reference.

    The value is read when it is used, not when the inventory is loaded, and every value that was
    ever read is masked by `redact`.
    """

    __slots__ = ("reference",)

    def __init__(self, reference: str) -> None:
        """Keep the reference; a literal value is refused, for it would stand in the inventory."""
        source, _, rest = reference.partition(":")
        if source not in _WRITTEN or not rest:
            raise ValueError("expected a reference: env:NAME, file:PATH or cmd:COMMAND")
        self.reference = reference

    def reveal(self) -> str:
        """Return the value, without the newline at its end, or raise `SecretError`."""
        source, _, rest = self.reference.partition(":")
        value = _SOURCES[source](rest).rstrip("\r\n")
        if not value:
            raise SecretError("the secret is empty", where=self.reference, remedy="Set a value.")
        if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
            what = "the secret holds a NUL, or bytes that are not UTF-8"
            raise SecretError(what, where=self.reference, remedy="Give it as plain text.")
        conceal(value)
        return value

    def __repr__(self) -> str:
        return f"Secret({self.reference})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.reference == other.reference

    def __hash__(self) -> int:
        return hash(self.reference)

    @classmethod
    def asked(cls, prompt: str) -> Secret:
        """Ask on the terminal, now; raise `SecretError` where there is none, or no answer."""
        import getpass  # noqa: PLC0415  few ask

        try:
            with Path("/dev/tty").open("w", encoding="utf-8") as terminal:
                _answers[prompt] = getpass.getpass(prompt, terminal)
        except (OSError, EOFError) as error:
            raise SecretError(
                "no answer was given"
                if isinstance(error, EOFError)
                else "there is no terminal to ask on",
                where=prompt.rstrip(": "),
                remedy="Set ssh.sudo_password in the inventory: env:NAME, file:PATH or cmd:COMMAND.",
            ) from error
        secret = cls.__new__(cls)
        secret.reference = f"ask:{prompt}"
        return secret

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Let pydantic read a secret from its reference and write the reference, not the value."""
        del source, handler
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, Secret) else cls(str(value)),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda secret: secret.reference
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the three forms of a reference to an editor."""
        del schema, handler
        return {"type": "string", "pattern": "^(env|file|cmd):.+"}


def redact(text: str) -> str:
    """Replace every secret value read so far in `text` by a mask."""
    for value in sorted(_revealed, key=len, reverse=True):
        text = text.replace(value, MASK)
    return text


def _from_environment(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise SecretError(
            f"the environment variable {name} is not set",
            where=f"env:{name}",
            remedy=f"Run `export {name}=…` first.",
        )
    return value


def _from_file(path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise SecretError(
            reason, where=f"file:{path}", remedy="Check the path and its permissions."
        ) from error


def _from_command(command: str) -> str:
    try:
        done = subprocess.run(
            shlex.split(command),
            check=True,
            capture_output=True,
            text=True,
            timeout=_COMMAND_TIMEOUT,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        text = said.decode(errors="replace") if isinstance(said, bytes) else said
        detail = text.strip().splitlines()[-1:]
        raise SecretError(
            " ".join(detail) or "the command failed",
            where=f"cmd:{command}",
            remedy="Run the command by hand until it prints the secret.",
        ) from error
    return done.stdout


_answers: Final[dict[str, str]] = {}
_WRITTEN: Final = frozenset({"env", "file", "cmd"})
"""Sources that an inventory may name."""
_SOURCES: Final = {
    "env": _from_environment,
    "file": _from_file,
    "cmd": _from_command,
    "ask": _answers.__getitem__,
}
