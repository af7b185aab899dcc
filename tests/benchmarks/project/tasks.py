"""Entry point of `inv` for the project of the benchmark."""

import sys
from pathlib import Path

from provision.cli import namespace
from provision.cli.typos import refuse_typos

ns = namespace(Path(__file__).resolve().parent)
if Path(sys.argv[0]).name in {"inv", "invoke"}:
    refuse_typos(ns, sys.argv[1:])
