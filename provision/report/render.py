"""What would lie on hosts for their services: shown, as a document, or written to a folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from provision.serving.compose import Rendered
from provision.state.sizes import human_size

COMPOSE = "compose.yaml"


class Rendering(NamedTuple):
    """One host: what would lie there, or why that cannot be said."""

    host: str
    folder: str = ""
    """Folder on the host below which mounted files lie."""
    rendered: Rendered | None = None
    error: str = ""


def print_render(out: TextIO, renderings: Sequence[Rendering]) -> None:
    """Print each file of each host below a line with its name; of mounted files only that line."""
    first = True
    for rendering in renderings:
        for name, content in _files(rendering).items():
            mounted = name.startswith("files/")
            size = f"  ({human_size(len(content))})" if mounted else ""
            out.write(f"{'' if first else chr(10)}# ---- {rendering.host}: {name}{size}\n")
            out.write("" if mounted else content.decode())
            first = False


def render_document(renderings: Sequence[Rendering]) -> dict[str, Any]:
    """Return `{hosts: {name: {files, notes, error}}}`."""
    return {
        "hosts": {
            item.host: {
                "files": {
                    name: content.decode(errors="replace") for name, content in _files(item).items()
                },
                "notes": dict(item.rendered.notes) if item.rendered else {},
                "error": item.error,
            }
            for item in renderings
        }
    }


def write_render(folder: Path, renderings: Sequence[Rendering]) -> Iterator[Path]:
    """Write `<folder>/<host>/<file>` for each file of each host; yield what was written."""
    for rendering in renderings:
        for name, content in _files(rendering).items():
            path = folder / rendering.host / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            yield path


def _files(rendering: Rendering) -> Mapping[str, bytes]:
    """Return the files of one host by their path below its folder, secrets as references."""
    found = rendering.rendered
    if found is None:
        return {}
    env = {
        name: "".join(f"{key}=<{secret.reference}>\n" for key, secret in sorted(secrets.items()))
        for name, secrets in found.env_files.items()
    }
    texts = {COMPOSE: found.text, **env}
    mounted = {
        path.removeprefix(f"{rendering.folder}/"): content for path, content in found.files.items()
    }
    return {name: text.encode() for name, text in texts.items()} | mounted
