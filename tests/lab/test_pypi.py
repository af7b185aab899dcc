"""The laws of the lab's PyPI mirror: a bare host installs the hubs' clients from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from provision.lab.models import MINILM

if TYPE_CHECKING:
    from provision.lab import Lab

pytestmark = pytest.mark.lab
ROLE = Path(__file__).resolve().parents[2] / "roles" / "models"
OTHER = "https://mirrors.tuna.tsinghua.edu.cn/pypi/web/simple"


def test_a_bare_host_gets_the_clients_from_the_mirror_and_a_model_from_the_hub(
    lab: Lab, bare: str
) -> None:
    """Pip installs what the role locks, hashes and all, and both clients bring the same model."""
    script = f"""
set -e
apt-get update -qq && apt-get install -y -qq python3-venv rsync >/dev/null 2>&1
python3 -m venv /opt/c && cat >/opt/c/requirements.txt
/opt/c/bin/pip install -q --require-hashes -i {lab.pip_index} -r /opt/c/requirements.txt
/opt/c/bin/pip install -q --upgrade -i {OTHER} pip setuptools
export MODELSCOPE_ENDPOINT={lab.hub.url} HF_ENDPOINT={lab.hub.url} HF_HUB_DISABLE_XET=1
/opt/c/bin/modelscope download {MINILM} --local-dir /tmp/a >/dev/null 2>&1
/opt/c/bin/hf download {MINILM} --local-dir /tmp/b >/dev/null 2>&1
rm -rf /tmp/b/.cache && diff -r /tmp/a /tmp/b && echo same
"""
    lab.hub.clear_log()
    locks = "".join(lock.read_text() for lock in sorted(ROLE.glob("requirements-*.txt")))
    done = lab.exec(bare, script, locks)
    assert (done.returncode, done.stdout.strip()) == (0, "same"), done.stdout + done.stderr
    assert {one.client for one in lab.hub.requests()} == {lab.host(bare).address}


def test_the_mirror_serves_wheels_for_the_pythons_of_both_distributions(lab: Lab) -> None:
    """The index has a compiled package for trixie's Python and for bookworm's, each with a hash."""
    fetch = "apt-get install -y -qq curl >/dev/null 2>&1; curl -fsSL"
    page = lab.exec("gpu02", f"apt-get update -qq; {fetch} {lab.pip_index}pyyaml/").stdout
    assert all(f"-cp{python}-" in page for python in ("311", "313")), page
    assert page.count("#sha256=") == page.count("<a href=")
