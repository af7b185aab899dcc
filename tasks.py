"""Entry point of `inv`: the tasks of this project."""

from pathlib import Path

from provision.cli import namespace

ns = namespace(Path(__file__).resolve().parent)
