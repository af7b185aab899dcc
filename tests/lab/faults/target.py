"""How a fault is brought to a lab host and taken from it again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import NamedTuple

from provision.lab import Lab


class Target(NamedTuple):
    """A host of the lab that a fault is made on."""

    lab: Lab
    host: str

    def root(self, script: str, text: str = "") -> str:
        """Run a script as root, which must succeed, and return what it said."""
        done = self.lab.exec(self.host, f"set -eu\n{script}", input=text)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()


Step = Callable[[Target], object]
Fault = Callable[[Target], AbstractContextManager[None]]


def fault(make: Step, heal: Step) -> Fault:
    """Return the fault that one step makes and the other heals, also when it was half made."""

    @contextmanager
    def injected(target: Target) -> Iterator[None]:
        try:
            make(target)
            yield
        finally:
            heal(target)

    return injected


def scripts(make: str, heal: str) -> Fault:
    """Return the fault that one script makes and the other heals."""
    return fault(lambda target: target.root(make), lambda target: target.root(heal))


def written(path: str, text: str, mode: str = "644") -> Fault:
    """Return the fault of a file that is there and was not."""
    put = f"mkdir -p {path.rpartition('/')[0]}; cat >{path}; chmod {mode} {path}"
    return fault(lambda target: target.root(put, text), lambda target: target.root(f"rm {path}"))


def stand_in(path: str, of: str, body: str) -> Fault:
    """Return the fault of a program that a stand-in hides; the script names itself as one."""
    text = f"#!/bin/sh\n# A STAND-IN for {of}, made by a test of the lab.\n{body}\n"
    return written(path, text, "755")


def together(*faults: Fault) -> Fault:
    """Return several faults as one, made in this order and healed in the other."""

    @contextmanager
    def injected(target: Target) -> Iterator[None]:
        with ExitStack() as stack:
            for each in faults:
                stack.enter_context(each(target))
            yield

    return injected
