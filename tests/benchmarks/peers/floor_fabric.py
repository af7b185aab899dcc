"""The floor: Fabric, one connection and one command a host, and the answer compared as a text.

Arguments: `noop`, `change` or `sweep`; how many hosts; their port.
"""

from __future__ import annotations

import base64
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fabric import Connection, ThreadingGroup

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from places import BASE, KEY, address, folder

WORK, COUNT, PORT = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
SCRIPT = (BASE / ("sweep.sh" if WORK == "sweep" else "probe.sh")).read_text()
NUMBERS = range(1, COUNT + 1)
arguments = {"key_filename": str(KEY), "look_for_keys": False, "allow_agent": False}
connections = [
    Connection(address(n), user="root", port=PORT, connect_kwargs=arguments) for n in NUMBERS
]
group = ThreadingGroup.from_connections(connections)
answers = group.run(SCRIPT, hide=True, in_stream=False)
same = {
    n: answers[each].stdout == (folder(n) / "expected").read_text("utf-8")
    for n, each in zip(NUMBERS, connections, strict=True)
}
if WORK == "noop":
    assert all(same.values())
elif WORK == "sweep":
    assert all("H200" in answers[each].stdout for each in connections)
else:
    assert not any(same.values())

    def write(number: int) -> None:
        """Install the file atomically."""
        text = base64.b64encode((folder(number) / "env").read_bytes()).decode()
        connections[number - 1].run(
            f"P=$BENCH_ROOT/opt/stack/.env; umask 077; echo {text} | base64 -d >$P.new && "
            "chown 0:0 $P.new && mv $P.new $P",
            hide=True,
            in_stream=False,
        )

    with ThreadPoolExecutor(COUNT) as pool:
        list(pool.map(write, NUMBERS))
group.close()
