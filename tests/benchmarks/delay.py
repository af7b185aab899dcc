"""A far network in front of the hosts: whatever passes is late, in both directions.

Not netem, which many kernels lack. The TCP handshake with the proxy itself is not late, so a
connection seems one round trip cheaper than it is, for every contestant. Arguments: how many hosts,
the milliseconds one way. It prints a line when it listens.
"""

from __future__ import annotations

import asyncio
import sys

from places import DELAYED, DIRECT, address

_CHUNK = 1 << 16


async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter, seconds: float) -> None:
    """Hand on what comes, each piece as late as the others."""
    loop, late = asyncio.get_running_loop(), asyncio.Queue[tuple[float, bytes]]()

    async def hand_on() -> None:
        while True:
            due, data = await late.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                break
            target.write(data)
            await target.drain()
        target.close()

    task = asyncio.create_task(hand_on())
    try:
        while data := await source.read(_CHUNK):
            late.put_nowait((loop.time() + seconds, data))
    except OSError:
        pass
    late.put_nowait((loop.time() + seconds, b""))
    await asyncio.gather(task, return_exceptions=True)


async def main(count: int, milliseconds: float) -> None:
    """Listen for all hosts until the end."""
    for number in range(1, count + 1):

        async def accept(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, at: str = address(number)
        ) -> None:
            far = await asyncio.open_connection(at, DIRECT)
            seconds = milliseconds / 1000
            await asyncio.gather(carry(reader, far[1], seconds), carry(far[0], writer, seconds))

        await asyncio.start_server(accept, address(number), DELAYED)
    sys.stdout.write("listening\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
