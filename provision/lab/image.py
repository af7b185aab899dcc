"""How the lab's base images are built: plain Debian by mmdebstrap, then made a bare lab host."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from provision.errors import LabError
from provision.lab.deb import unpack
from provision.lab.engine import Engine
from provision.lab.keys import MIRROR_NAMES, Keys
from provision.lab.machine import KEYRING, architecture, debian_mirror
from provision.lab.names import ASSETS, LABEL, assets, cache, recipe
from provision.lab.process import Say, as_root, pipe, step
from provision.lab.suite import Suite

DISTROS = ("trixie", "bookworm")
PACKAGES = (
    *("systemd", "systemd-sysv", "libpam-systemd", "dbus", "openssh-server", "sudo"),
    *("ca-certificates", "iproute2", "iptables", "kmod", "procps", "iputils-ping"),
    *("adduser", "libseccomp2", "libdevmapper1.02.1", "sysvinit-utils", "tini", "tzdata"),
)
EXCLUDED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")


@dataclass(frozen=True)
class Image:
    """An image of this engine, and the plain Debian image it was made from."""

    tag: str
    plain: str

    def dpkg_status(self, engine: Engine) -> Path:
        """Return dpkg's list of what this image has, read from it once."""
        file = cache() / "images" / (self.plain.replace("/", "-").replace(":", "-") + ".status")
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            with _container(engine, self.plain, "/bin/true") as container:
                engine("cp", f"{container}:/var/lib/dpkg/status", str(file))
        return file


def ensure_image(engine: Engine, distro: str, keys: Keys, say: Say) -> Image:
    """Return the image of a bare host, building what is not cached."""
    plain = ensure_plain(engine, distro, say)
    # A host learns the mirrors' names when it is born: with other names it is another image.
    parts = (plain, MIRROR_NAMES, keys.authority.read_bytes(), keys.public("debian").read_bytes())
    tag = f"provision-lab/{distro}:{recipe(*parts, files=assets('host'))}"
    if not has_image(engine, tag):
        with step(say, f"making the {distro} image a bare lab host"):
            _customize(engine, plain, tag, keys)
    return Image(tag, plain)


def ensure_plain(engine: Engine, distro: str, say: Say) -> str:
    """Return the tag of plain Debian with the lab's packages, built by mmdebstrap once."""
    if distro not in DISTROS:
        raise LabError(f"no distribution '{distro}'", remedy=f"Use {' or '.join(DISTROS)}.")
    tag = f"provision-lab/plain-{distro}:{recipe(distro, PACKAGES, EXCLUDED)}"
    if not has_image(engine, tag):
        with step(say, f"building the {distro} base image with mmdebstrap"):
            _bootstrap(engine, distro, tag)
    return tag


def _bootstrap(engine: Engine, distro: str, tag: str) -> None:
    argv = [
        *("mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}"),
        *(f"--dpkgopt=path-exclude={path}" for path in EXCLUDED),
        *(f"--keyring={KEYRING}", f"--architectures={architecture()}"),
        *(distro, "-", f"deb {debian_mirror()} {distro} main"),
    ]
    log = cache() / "images" / f"{distro}.log"
    try:
        import_tar(engine, as_root(argv), tag, log)
    except LabError as error:
        raise LabError(
            error.what,
            where=f"mmdebstrap {distro} from {debian_mirror()}",
            remedy="Set PROVISION_LAB_DEBIAN_MIRROR to a Debian mirror that this machine reaches.",
        ) from error


def _customize(engine: Engine, plain: str, tag: str, keys: Keys) -> None:
    script = ("/bin/sh", "/lab-build/customize")
    with TemporaryDirectory() as scratch, _container(engine, plain, *script) as container:
        build = Path(scratch) / "lab-build"
        shutil.copytree(ASSETS / "host", build)
        shutil.copy(keys.authority, build / "ca.crt")
        shutil.copy(keys.public("debian"), build / "debian.asc")
        engine("cp", str(build), f"{container}:/")
        engine("start", "--attach", container)
        changes = ("--change", "ENV container=docker", "--change", 'CMD ["/lab-init"]')
        engine("commit", *changes, container, tag)


@contextmanager
def _container(engine: Engine, image: str, *argv: str) -> Iterator[str]:
    """Create a container, without starting it, that is gone at the end."""
    create = ("create", "--network", "none", "--label", f"{LABEL}.build=yes", image, *argv)
    name = engine(*create).stdout.strip()
    try:
        yield name
    finally:
        engine("rm", "--force", "--volumes", name, check=False)


def ensure_packages_image(
    engine: Engine, packages: Iterable[str], tag: str, command: str, say: Say
) -> None:
    """Build the image of a helper: a few packages of Debian's, unpacked, and nothing else."""
    if has_image(engine, tag):
        return
    suite = Suite("trixie")
    suite.refresh(say)
    what = f"building the image {tag.partition(':')[0]}"
    with step(say, what), TemporaryDirectory(dir=cache()) as scratch:
        tree = Path(scratch)
        for name in ("bin", "sbin", "lib", "lib64"):
            (tree / "usr" / name).mkdir(parents=True)
            (tree / name).symlink_to(f"usr/{name}")
        for package in suite.closure(packages):
            unpack(package, tree)
        import_tree(engine, tree, tag, command)


def import_tree(engine: Engine, tree: Path, tag: str, command: str) -> None:
    """Make an image of a folder, whose files it then holds as root's."""
    tar = ["tar", "-C", str(tree), "--numeric-owner", "--owner=0", "--group=0", "-c", "."]
    import_tar(engine, tar, tag, cache() / "images" / "import.log", f"CMD {command}")


def import_tar(engine: Engine, tar: list[str], tag: str, log: Path, *changes: str) -> None:
    """Make an image of the tar that a command writes; half a tar never gets the tag."""
    unproven = f"{tag}-unproven"
    options = [word for change in changes for word in ("--change", change)]
    try:
        pipe(tar, engine.command("import", *options, "-", unproven), log)
        engine("tag", unproven, tag)
    finally:
        engine("rmi", unproven, check=False)


def has_image(engine: Engine, tag: str) -> bool:
    """Say whether the engine holds the image `tag`."""
    return engine("image", "inspect", tag, check=False).returncode == 0
