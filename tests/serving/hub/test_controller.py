"""A model that lies in a folder on the controller."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest

from provision.errors import HubError
from provision.serving.hub.controller import list_files
from provision.serving.hub.wanted import Hub, Wanted

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a small model."""
    root = tmp_path / "model"
    (root / "sub").mkdir(parents=True)
    (root / "config.json").write_bytes(b"{}")
    (root / "sub" / "x.bin").write_bytes(b"x" * 3000)
    return root


def wish(folder: Path) -> Wanted:
    """Return the wish for that folder."""
    return Wanted(source="controller", id="my/model", path=folder)


def test_a_folder_is_listed_by_its_content(folder: Path) -> None:
    """Each file has its sha256, and the same content has the same revision anywhere."""
    listing = list_files(wish(folder), Hub())
    assert [(file.path, file.size_bytes) for file in listing.files] == [
        ("config.json", 2),
        ("sub/x.bin", 3000),
    ]
    assert listing.files[0].digest == f"sha256:{hashlib.sha256(b'{}').hexdigest()}"
    moved = folder.rename(folder.with_name("elsewhere"))
    assert list_files(wish(moved), Hub()) == listing
    (moved / "config.json").write_bytes(b"[]")
    assert list_files(wish(moved), Hub()).revision != listing.revision


def test_progress_counts_the_bytes_read(folder: Path) -> None:
    """A terabyte is read for hours; the last word is all of it."""
    told: list[tuple[int, int]] = []
    list_files(wish(folder), Hub(), lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1] == (3002, 3002)


def test_what_clients_leave_behind_is_no_part_of_it(folder: Path) -> None:
    """Traces of git, of the hubs' clients and of ourselves do not travel to hosts."""
    for name in (
        ".git/HEAD",
        ".cache/huggingface/x",
        ".gitattributes",
        ".msc",
        "._____temp/y",
        ".provision-manifest",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    assert len(list_files(wish(folder), Hub()).files) == 2


def test_a_link_within_the_folder_is_a_file(folder: Path) -> None:
    """A link to a neighbour is listed as what it leads to."""
    (folder / "again.bin").symlink_to("sub/x.bin")
    files = {file.path: file for file in list_files(wish(folder), Hub()).files}
    assert files["again.bin"].digest == files["sub/x.bin"].digest


@pytest.mark.parametrize(
    ("link", "target"), [("x", "/etc/hostname"), ("x", "../outside"), ("y", "sub"), ("y", "/etc")]
)
def test_a_link_out_of_the_folder_is_an_error(folder: Path, link: str, target: str) -> None:
    """Nothing outside of the folder travels by accident; a cache of links names its way out."""
    (folder.parent / "outside").write_text("secret")
    (folder / link).symlink_to(target)
    with pytest.raises(HubError, match="cp -rL"):
        list_files(wish(folder), Hub())


def test_half_a_file_is_an_error(folder: Path) -> None:
    """A download that never ended is not a model."""
    (folder / "model.safetensors.incomplete").write_text("x")
    with pytest.raises(HubError, match="half a file"):
        list_files(wish(folder), Hub())


def test_a_fifo_is_an_error(folder: Path) -> None:
    """Reading it would wait for ever."""
    os.mkfifo(folder / "pipe")
    with pytest.raises(HubError, match="is not a file"):
        list_files(wish(folder), Hub())


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """The path is named."""
    with pytest.raises(HubError, match="none is not a folder"):
        list_files(wish(tmp_path / "none"), Hub())
    (tmp_path / "empty").mkdir()
    with pytest.raises(HubError, match="no file"):
        list_files(wish(tmp_path / "empty"), Hub())
