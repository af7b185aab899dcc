"""The laws of the lab's registry: a real one, trusted by hosts, with the image that archives hold."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest

from provision.lab.keys import Keys
from provision.lab.names import cache
from provision.lab.registry import PORT
from provision.lab.vllm_image import NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.lab import Lab
    from provision.lab.registry import Registry

pytestmark = pytest.mark.lab


@pytest.fixture
def registry(lab: Lab) -> Iterator[Registry]:
    """Return the lab's registry while it runs."""
    lab.registry.up()
    yield lab.registry
    lab.registry.down()


def test_a_host_pulls_the_image_that_the_archive_holds(
    lab: Lab, converged: str, registry: Registry
) -> None:
    """Docker pulls over TLS without any setting, and the image's id is that of the archive."""
    show = ["tar", "--zstd", "-xOf", str(lab.vllm_archive), "manifest.json"]
    saved = json.loads(subprocess.run(show, check=True, capture_output=True).stdout)[0]
    try:
        pulled = lab.exec(converged, f"docker pull --quiet {registry.image}")
        about = lab.exec(converged, f"docker image inspect {registry.image}").stdout
    finally:
        lab.exec(converged, f"docker rmi {registry.image}")
    assert pulled.returncode == 0, pulled.stderr
    image = json.loads(about)[0]
    assert image["Id"].removeprefix("sha256:") in saved["Config"]
    assert image["Config"]["Entrypoint"] == ["vllm", "serve"]
    assert image["Config"]["WorkingDir"] == "/vllm-workspace"
    assert saved["RepoTags"] == [NAME]
    assert "/v2/vllm/vllm-openai/manifests/v0.32.0" in registry.log()


def test_a_registry_that_is_down_does_not_answer(lab: Lab) -> None:
    """A registry that was not asked for, or was taken down, takes no connection."""
    lab.registry.down()
    with pytest.raises(OSError, match=r"timed out|route|refused"):
        socket.create_connection((lab.registry.address, PORT), timeout=2)


def test_nobody_changes_what_the_registry_serves(registry: Registry) -> None:
    """All labs share the registry's files, so that it takes nothing."""
    trusting = ssl.create_default_context(cafile=Keys(cache() / "keys").authority)
    trusting.check_hostname = False  # this machine does not know the registry by name
    link = http.client.HTTPSConnection(registry.address, PORT, timeout=5, context=trusting)
    link.request("POST", "/v2/tiny/blobs/uploads/")
    assert link.getresponse().status == http.client.METHOD_NOT_ALLOWED
