"""How the stand-in engine becomes images: one sound, one for each fault, all in one archive."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from provision.lab.engine import Engine
from provision.lab.image import ensure_packages_image
from provision.lab.machine import ensure_tools
from provision.lab.names import LABEL, cache, locked, recipe
from provision.lab.process import pipe, say_on_stderr, step

NAME: Final = "vllm/vllm-openai:v0.32.0-stand-in"
"""The sound one; its tag says the release whose command line it takes."""
FAULTS: Final = ("crash", "argument", "silent", "shape", "wedged")
PACKAGES: Final = ("python3-minimal", "libpython3-stdlib", "bash", "dash", "mawk")
"""Bash asks for its health; the lab's nvidia-smi is a script for sh and awk."""
VALIDATION: Final = Path(__file__).parents[2] / "serving" / "validation"
PROGRAM: Final = (
    Path(__file__).with_name("engine.py"),
    VALIDATION / "stand_in_server.py",
)
ANSWERS: Final = VALIDATION / "answers"
CHANGES: Final = ('ENTRYPOINT ["/usr/bin/python3", "/stand-in/engine.py"]', "CMD []")


def image(fault: str = "") -> str:
    """Return the name of the image with a fault; without one, of the sound image."""
    return f"{NAME}-{fault}" if fault else NAME


def archive(engine: Engine) -> Path:
    """Return the archive of all images, as `docker save` makes it, built once."""
    key = recipe(NAME, FAULTS, PACKAGES, CHANGES, files=[*PROGRAM, *ANSWERS.iterdir()])
    file = cache() / "engine-stand-in" / f"{key}.tar.gz"
    ensure_tools(say_on_stderr)
    with locked(file.parent):
        if not file.exists():
            with step(say_on_stderr, "building the images of the stand-in engine"):
                _build(engine, file)
    return file


def _build(engine: Engine, file: Path) -> None:
    base = f"provision-lab/engine-stand-in:{recipe(PACKAGES)}"
    ensure_packages_image(engine, PACKAGES, base, '["/usr/bin/python3"]', say_on_stderr)
    names = [image(fault) for fault in ("", *FAULTS)]
    scratch = file.with_suffix(".new")
    try:
        with _filled(engine, base) as container:
            for fault in ("", *FAULTS):
                options = (f"--change={change}" for change in (*CHANGES, f"ENV FAULT={fault}"))
                engine("commit", *options, container, image(fault))
        save = engine.command("save", *names)
        pipe(save, ["sh", "-c", 'gzip -1 >"$0"', str(scratch)], file.with_suffix(".log"))
    finally:
        engine("rmi", *names, check=False)
    scratch.rename(file)


@contextmanager
def _filled(engine: Engine, base: str) -> Iterator[str]:
    """Create a container, without starting it, with the program in it."""
    create = ("create", "--network", "none", "--label", f"{LABEL}.build=yes", base)
    container = engine(*create).stdout.strip()
    try:
        with TemporaryDirectory() as scratch:
            folder = Path(scratch) / "stand-in"
            shutil.copytree(ANSWERS, folder / "answers")
            for program in PROGRAM:
                shutil.copy(program, folder)
            engine("cp", str(folder), f"{container}:/")
        yield container
    finally:
        engine("rm", "--force", "--volumes", container, check=False)
