"""The task that shows what a deploy would put on hosts, without asking any of them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from provision.cli.command import FAILED, OK, Options, command

if TYPE_CHECKING:
    from collections.abc import Collection

    from provision.inventory.schema import Host
    from provision.report.render import Rendering


@command(
    "inventory",
    "host",
    "group",
    "format",
    helps={
        "out": "Folder to write to: <out>/<host>/compose.yaml and what goes with it.",
    },
)
def render(options: Options, *, service: str = "", out: str = "") -> int:
    """Show the Compose project of each host's services; no host is asked, no secret is read."""
    from pathlib import Path

    from provision.cli.selection import selected
    from provision.cli.services import named, with_services
    from provision.report.machine import write_json
    from provision.report.render import print_render, render_document, write_render
    from provision.secret import redact

    hosts = with_services(selected(options), "render")
    names = named(service, hosts)
    renderings = [_rendering(host, names) for host in hosts]
    shown = [item for item in renderings if item.error or (item.rendered and item.rendered.notes)]
    if out:
        for path in write_render(Path(out), shown):
            sys.stderr.write(f"{path}\n")
    if options.format == "json":
        write_json(render_document(shown))
    elif not out:
        print_render(sys.stdout, shown)
    for item in shown:
        sys.stderr.write(redact(f"provision: {item.error}\n") if item.error else "")
    return FAILED if any(item.error for item in shown) else OK


def _rendering(host: Host, names: Collection[str]) -> Rendering:
    """Render one host; what cannot be rendered is its error and stops no other host."""
    from provision.errors import ProvisionError, of_host
    from provision.report.render import Rendering
    from provision.serving.compose import compose
    from provision.serving.services.resolve import resolve
    from provision.serving.services.role import services_of

    role = services_of(host)
    assert role is not None  # noqa: S101  only hosts that have it come here
    try:
        # All are placed, also where one is shown: it must get the GPUs that it will have.
        found = [item for item in resolve(host) if not names or item.service.name in names]
        return Rendering(host.name, role.dir, compose(host.name, found, role))
    except ProvisionError as error:
        return Rendering(host.name, error=of_host(host.name, str(error)))
