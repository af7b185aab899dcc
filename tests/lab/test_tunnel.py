"""The laws of calls through SSH: as the host sees its services, and never blamed on them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provision.errors import ConnectError
from provision.host.connection import Connection
from provision.host.tunnel import direct_address
from provision.inventory.schema import SSH, Host
from provision.lab import Lab
from provision.serving.calls import KEY, ServiceCaller
from provision.serving.engines.engine import Dialect
from provision.serving.service import Service
from provision.serving.validation.call import OnHost
from provision.serving.validation.validate import validate
from provision.serving.validation.wire import Limits
from provision.state.resource import Calls

pytestmark = pytest.mark.lab
PORT = 1283
OPEN = 1284
CLOSED = PORT + 2
"""The same at all addresses."""
ANSWERS = Path(__file__).parents[1] / "serving/validation/answers/vllm-rerank.json"
DIALECT = Dialect("/health", "/v1/models", "", "", "/v1/rerank", "jina")
HANGS = DIALECT._replace(models="", rerank="/hangs")
SHORT = Limits(connect=5, quick=5, first_byte=3, whole=5)
SERVICE = Service.model_validate(
    {
        "name": "rerank",
        "engine": "vllm",
        "task": "score",
        "model": "some/reranker",
        "folder": "/data/models/some/reranker/main",
        "mounted": "/models/some/reranker",
        "size_bytes": 1,
        "served_name": "gpt-4",
        "bind": "127.0.0.1",
        "port": PORT,
        "gpus": (),
        "image": "vllm/vllm-openai:v0.32.0",
    }
)
STAND_IN = """\
read -r method path rest
length=0
while read -r line; do
  line=${line%?}
  [ "$line" ] || break
  case $line in Content-Length:*) length=${line#*: } ;; esac
done
body=$(head -c "$length")
case "$method $path $body" in
  "GET /health "*) file=health ;;
  "GET /v1/models "*) file=models ;;
  "POST /v1/rerank "*top_n*) file=best ;;
  "POST /v1/rerank "*) file=ranked ;;
  "POST /hangs "*) sleep 30 ;;
esac
printf 'HTTP/1.1 200 OK\\r\\nConnection: close\\r\\n\\r\\n'
cat "/srv/stand-in/$file"
"""
UNITS = f"""\
printf '[Socket]\\nListenStream=127.0.0.1:{PORT}\\nListenStream={OPEN}\\nAccept=yes\\n' \
  > /run/systemd/system/stand-in.socket
printf '[Service]\\nExecStart=/bin/sh /srv/stand-in/answer\\nStandardInput=socket\\n' \
  > /run/systemd/system/stand-in@.service
systemctl daemon-reload && systemctl restart stand-in.socket
"""
FORBID = "printf 'AllowTcpForwarding no\\n' > /etc/ssh/sshd_config.d/00-test.conf && systemctl restart ssh"  # fmt: skip
ALLOW = "rm -f /etc/ssh/sshd_config.d/00-test.conf && systemctl restart ssh"


def answers() -> dict[str, Any]:
    """Return what the stand-in says, by the name of its file."""
    rows = json.loads(ANSWERS.read_text(encoding="utf-8"))["answers"]
    names = {"GET /v1/models": "models", "POST /v1/rerank": "ranked"}
    bodies = {names[row["request"]]: row["body"] for row in rows if row["request"] in names}
    best = next(row["body"] for row in rows if "holds" in row)
    return {"health": "", "best": best, **bodies}


@pytest.fixture(scope="module")
def engine(lab: Lab) -> Iterator[str]:
    """Run a stand-in of a few lines of sh on a host: nothing needs to be installed there."""
    lab.exec("gpu01", "mkdir -p /srv/stand-in && cat > /srv/stand-in/answer", STAND_IN)
    for name, body in answers().items():
        lab.exec("gpu01", f"cat > /srv/stand-in/{name}", json.dumps(body))
    lab.exec("gpu01", UNITS)
    yield "gpu01"
    lab.exec("gpu01", "systemctl stop stand-in.socket 'stand-in@*'; rm -r /srv/stand-in")


@pytest.fixture
def connection(lab: Lab, engine: str) -> Iterator[Connection]:
    """Connect to that host as an operator does."""
    settings = {"address": lab.host(engine).address, "user": "ops", "key": lab.key}
    ssh = SSH.model_validate({**settings, "known_hosts": lab.known_hosts})
    with Connection(Host(name=engine, ssh=ssh)) as opened:
        yield opened


def test_a_service_is_seen_as_its_host_sees_it(lab: Lab, connection: Connection) -> None:
    """What is bound to the host alone is validated all the same, over the connection that is."""
    before = lab.logs("gpu01").count("Accepted publickey")
    found = validate(SERVICE, DIALECT, OnHost(connection, SERVICE, SHORT))
    assert [(each.check, each.verdict, each.view) for each in found] == [
        ("health", "ok", "host"),
        ("models", "ok", "host"),
        ("rerank", "ok", "host"),
    ]
    assert lab.logs("gpu01").count("Accepted publickey") == before
    assert connection.run("echo still here", timeout=10).stdout == "still here\n"


def test_what_clients_can_reach_is_called_from_the_controller_too(
    lab: Lab, connection: Connection
) -> None:
    """Once, after the calls on the host; what is bound to the host alone is not tried."""
    assert direct_address(connection) == lab.host("gpu01").address
    seen = {}
    for port, bind in ((PORT, "127.0.0.1"), (OPEN, "0.0.0.0")):  # noqa: S104  the lab's own
        service = SERVICE.model_copy(update={"port": port, "bind": bind})
        kept = service.model_dump(mode="json", exclude={"environment", "api_key", "folder"})
        about = json.dumps({"rerank": {**kept, KEY: ""}})
        lab.exec("gpu01", "cat > /srv/stand-in/about.json", about)
        caller = ServiceCaller()
        calls = Calls(base="/srv", release="/srv/stand-in", services=("rerank",))
        caller.call(connection, calls, lambda *_: None)
        seen[bind] = [(each.check, each.verdict, each.view) for each in caller.answers]
    inside = [(check, "ok", "host") for check in ("health", "models", "rerank")]
    assert list(seen.values()) == [inside, [*inside, ("models", "ok", "controller")]]


def test_a_host_behind_a_gateway_has_no_address_here(lab: Lab, engine: str) -> None:
    """What would answer at the host's address from here may be another machine."""
    gateway = f"ops@{lab.host('gpu02').address}"
    settings = {"address": lab.host(engine).address, "user": "ops", "key": lab.key}
    ssh = SSH.model_validate({**settings, "gateway": gateway, "known_hosts": lab.known_hosts})
    with Connection(Host(name=engine, ssh=ssh)) as connection:
        assert direct_address(connection) is None


def test_all_addresses_are_called_by_the_host_s_own(connection: Connection) -> None:
    """0.0.0.0 is no address to call."""
    everywhere = SERVICE.model_copy(update={"bind": "0.0.0.0"})  # noqa: S104  never bound here
    found = validate(everywhere, DIALECT, OnHost(connection, everywhere, SHORT))
    assert all(each.verdict == "ok" for each in found)


def test_a_port_without_a_listener_is_the_service_s_failure(connection: Connection) -> None:
    """SSH works, so this is a finding."""
    gone = SERVICE.model_copy(update={"port": CLOSED})
    (found,) = validate(gone, DIALECT, OnHost(connection, gone, SHORT))
    assert (found.check, found.verdict, found.concern) == ("health", "fail", "protocol")
    assert found.what.startswith(f"no connection to 127.0.0.1:{CLOSED}: Conne")


def test_a_wedged_engine_is_named_through_ssh_too(connection: Connection) -> None:
    """Silence on a channel ends in time."""
    begun = time.monotonic()
    found = validate(SERVICE, HANGS, OnHost(connection, SERVICE, SHORT))
    assert [each.check for each in found] == ["health", "wedged"]
    assert time.monotonic() - begun < 15


def test_a_server_that_forbids_forwarding_is_one_error_with_the_remedy(
    lab: Lab, connection: Connection
) -> None:
    """No verdict about the service: it was not asked."""
    lab.exec("gpu01", FORBID)
    try:
        connection.close()  # settings hold for new connections
        with pytest.raises(ConnectError) as error:
            validate(SERVICE, DIALECT, OnHost(connection, SERVICE, SHORT))
    finally:
        lab.exec("gpu01", ALLOW)
    address = lab.host("gpu01").address
    assert str(error.value) == (
        f"gpu01 (ops@{address}:22): the SSH server forbids forwarding to 127.0.0.1:{PORT}, by "
        "which services are called. In its sshd_config allow it for this user: "
        "AllowTcpForwarding local (no DisableForwarding, and PermitOpen any); then: "
        "systemctl reload ssh"
    )
    connection.close()
    assert validate(SERVICE, DIALECT, OnHost(connection, SERVICE, SHORT))[-1].verdict == "ok"


def test_a_lost_connection_is_never_the_service_s_failure(lab: Lab, connection: Connection) -> None:
    """A rollback for a cable that came loose would be wrong."""
    cut = threading.Timer(1, lab.exec, ("gpu01", "pkill -KILL -u ops"))
    cut.start()
    with pytest.raises(ConnectError, match="the SSH connection carries no call"):
        validate(SERVICE, HANGS, OnHost(connection, SERVICE, SHORT))
    cut.join()
