"""Bringing labs up, finding them and taking them down."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provision.errors import LabError
from provision.lab.debian import ensure_debian
from provision.lab.docker_ce import ensure_docker
from provision.lab.engine import (
    Engine,
    ensure_engine,
    ensure_watches,
    find_engine,
    remove_tree,
    stop_engine,
)
from provision.lab.host import LabHost, boot, prepare, wait_up
from provision.lab.hub_container import Hub
from provision.lab.image import Image, ensure_image
from provision.lab.inventory import ROLES, write_files
from provision.lab.keys import Keys, ensure_keys
from provision.lab.lab import Lab, hub_address, load, registry_address
from provision.lab.machine import ensure_tools
from provision.lab.mirror import Mirror, ensure_mirror_image
from provision.lab.models import ensure_models
from provision.lab.names import LABEL, Space, cache, locked
from provision.lab.network import Subnet, ensure_network
from provision.lab.nvidia import ensure_nvidia
from provision.lab.process import Say, run, say_on_stderr, step
from provision.lab.profiles import choose
from provision.lab.pypi import ensure_pypi
from provision.lab.registry import Registry

MOST_HOSTS = 99
FIRST = 10  # the address of gpu01 is the subnet's eleventh, the mirror's the second, the hub's the third


@dataclass(frozen=True)
class Ground:
    """What a lab stands on, built once and shared by all labs of the cache."""

    engine: Engine
    keys: Keys
    image: Image
    roots: dict[str, Path]  # what the mirror serves
    models: Path  # what the hub serves


def up(  # noqa: PLR0913, PLR0917  what a lab can be told
    hosts: int = 2,
    distro: str = "trixie",
    name: str = "lab",
    directory: Path | None = None,
    say: Say = say_on_stderr,
    roles: Sequence[str] = ROLES,
    *,
    serving: bool = False,
    registry: bool = False,
    profiles: Sequence[str] = (),
) -> Lab:
    """Bring a lab up with at least `hosts` hosts; those that run already are kept.

    `roles` is what its inventory gives them; `serving` adds services, lets the hub have their
    models and makes the archive of vLLM's image; `registry` serves that image. The first time each
    takes minutes. All hosts get the `profiles`, in order.
    """
    choose(profiles, "--profile")
    if not 1 <= hosts <= MOST_HOSTS:
        raise LabError(f"{hosts} hosts", remedy=f"Ask for 1 to {MOST_HOSTS}.")
    space = Space.of(name, directory or checkout())
    _refuse_another_distro(space, distro)
    ground = prepare_ground(distro, say)
    with locked(space.folder):
        known = load(ground.engine, space)
        count = max(hosts, len(known.hosts) if known else 0)
        lab = _assemble(ground, space, distro, count)
        _boot(lab, say)
        lab.save()
        if serving:
            lab.publish_serving_models()
        for host in lab.hosts if profiles else ():
            with step(say, f"dressing {host.name}: {', '.join(profiles)}"):
                lab.dress(host, *profiles)
        write_files(lab, roles, serving=serving)
        if registry:
            lab.registry.up(say)
    return lab


def find(name: str = "lab", directory: Path | None = None) -> Lab | None:
    """Return a lab whose hosts are there, or None."""
    space = Space.of(name, directory or checkout())
    engine = find_engine()
    lab = load(engine, space) if engine is not None else None
    if lab is None or not set(_states(lab)) >= {host.name for host in lab.hosts}:
        return None
    return lab


def status(name: str = "lab", directory: Path | None = None) -> dict[str, Any]:
    """Return what there is of a lab, as plain data."""
    space = Space.of(name, directory or checkout())
    engine = find_engine()
    about: dict[str, Any] = {"name": name, "up": False, "hosts": []}
    about["engine"] = None if engine is None else "private" if engine.private else "this machine's"
    lab = load(engine, space) if engine is not None else None
    if lab is None:
        return about
    states = _states(lab)
    about |= {"distro": lab.distro, "subnet": lab.subnet, "inventory": str(lab.inventory)}
    about["mirror"] = {"address": lab.mirror.address, "state": states.get("mirror", "absent")}
    about["hub"] = {"url": lab.hub.url, "state": states.get("hub", "absent")}
    about["registry"] = {"url": lab.registry.url, "state": states.get("registry", "absent")}
    about["hosts"] = [
        {"name": host.name, "address": host.address, "state": states.get(host.name, "absent")}
        for host in lab.hosts
    ]
    about["up"] = all(host["state"] == "running" for host in about["hosts"])
    return about


def down(name: str = "lab", directory: Path | None = None) -> None:
    """Take a lab down: its hosts, its network, its keys and its inventory."""
    space = Space.of(name, directory or checkout())
    engine = find_engine()
    if engine is not None:
        _remove(engine, space)
    remove_tree(space.folder)
    for file in (space.inventory, space.inventory.with_suffix(".models.lock.json")):
        file.unlink(missing_ok=True)


def clean(directory: Path | None = None, say: Say = say_on_stderr) -> None:
    """Take this checkout's labs down, stop the private engine and remove the cache."""
    root = (directory or checkout()).resolve()
    for folder in sorted((root / ".lab").glob("*/")):
        down(folder.name, root)
    engine = find_engine()
    if engine is not None:
        _refuse_other_labs(engine)
        images = engine.lines("image", "ls", "--quiet", "provision-lab/*")
        if images:
            engine("image", "rm", "--force", *images)
    stop_engine(say)
    remove_tree(cache())


def checkout() -> Path:
    """Return the folder with the inventories, here or above; else this folder."""
    here = Path.cwd()
    return next((path for path in (here, *here.parents) if (path / "inventories").is_dir()), here)


def prepare_ground(distro: str, say: Say) -> Ground:
    """Build, or find in the cache, everything a lab of `distro` stands on."""
    ensure_tools(say)
    ensure_watches(say)
    engine = ensure_engine(say)
    with locked(cache() / "build"), ThreadPoolExecutor(2) as pool:
        keys = ensure_keys()

        def packages() -> dict[str, Path]:
            ensure_mirror_image(engine, say)
            return {
                "docker-ce": ensure_docker(keys, say),
                "nvidia": ensure_nvidia(keys, say),
                "pypi": ensure_pypi(say),
            }

        def system() -> tuple[Image, Path]:
            image = ensure_image(engine, distro, keys, say)
            return image, ensure_debian(engine, distro, image, keys, say)

        building = (pool.submit(system), pool.submit(packages))
        (image, debian), roots = building[0].result(), building[1].result()
        models = ensure_models(say)
    return Ground(engine, keys, image, {**roots, "debian": debian}, models)


def _assemble(ground: Ground, space: Space, distro: str, count: int) -> Lab:
    subnet = ensure_network(ground.engine, space)
    mirror = Mirror(ground.engine, space, str(subnet[2]))
    key = space.folder / "id_ed25519"
    if not key.exists():
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", space.id, "-f", str(key)])
    hosts = tuple(_host(space, subnet, number) for number in range(1, count + 1))
    registry = Registry(ground.engine, space, registry_address(subnet))
    with ThreadPoolExecutor() as pool:
        born = (mirror.address, registry.address)
        list(pool.map(lambda host: prepare(space, host, *born), hosts))
    mirror.up(ground.roots, ground.keys)
    hub = Hub.of(ground.engine, space, hub_address(subnet))
    hub.serve(ground.models)
    about = (distro, ground.image.tag, str(subnet))
    return Lab(ground.engine, space, *about, mirror, hub, registry, hosts)


def _host(space: Space, subnet: Subnet, number: int) -> LabHost:
    name = f"gpu{number:02d}"
    return LabHost(name, str(subnet[FIRST + number]), f"{space.id}-{name}")


def _boot(lab: Lab, say: Say) -> None:
    running = _running(lab.engine, lab.space)
    missing = [host for host in lab.hosts if host.name not in running]
    if any(running.get(host.name, lab.image) != lab.image for host in lab.hosts):
        say("lab: some hosts were made by an older recipe; `inv lab.down` and up renew them")
    if not missing:
        return
    with step(say, f"booting {', '.join(host.name for host in missing)}"):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda host: boot(lab.engine, lab.space, host, lab.image), missing))
        with ThreadPoolExecutor(len(missing)) as pool:
            list(pool.map(lambda host: wait_up(lab.engine, host), missing))


def _running(engine: Engine, space: Space) -> dict[str, str]:
    """Return the image of each host that runs; one that does not run is as good as none."""
    template = f'{{{{.Label "{LABEL}.host"}}}} {{{{.Image}}}}'
    ps = ("ps", "--filter", f"label={space.label}", "--format", template)
    return dict(line.split() for line in engine.lines(*ps) if not line.startswith(" "))


def _states(lab: Lab) -> dict[str, str]:
    ps = (
        "ps",
        "--all",
        "--filter",
        f"label={lab.space.label}",
        "--format",
        "{{.Names}} {{.State}}",
    )
    pairs = (line.split() for line in lab.engine.lines(*ps))
    return {name.removeprefix(f"{lab.space.id}-"): state for name, state in pairs}


def _remove(engine: Engine, space: Space) -> None:
    containers = engine.lines("ps", "--all", "--quiet", "--filter", f"label={space.label}")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda id_: engine("rm", "--force", "--volumes", id_), containers))
    engine("network", "rm", space.id, check=False)


def _refuse_another_distro(space: Space, distro: str) -> None:
    engine = find_engine()
    known = load(engine, space) if engine is not None else None
    if known is None or known.distro == distro or not _running(known.engine, space):
        return
    raise LabError(
        f"runs {known.distro}, not {distro}",
        where=f"lab '{space.name}'",
        remedy=f"Run `inv lab.down --name {space.name}` first.",
    )


def _refuse_other_labs(engine: Engine) -> None:
    others = engine.lines("ps", "--filter", f"label={LABEL}", "--format", "{{.Names}}")
    if others:
        raise LabError(
            f"another lab still runs on this engine: {', '.join(others)}",
            remedy="Run `inv lab.down` in its checkout first.",
        )
