"""What a listing may contain, how it is narrowed, and when it is complete."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

import pytest
from huggingface_hub.utils import filter_repo_objects
from hypothesis import given
from hypothesis import strategies as st
from modelscope_hub._download import _matches_patterns
from pydantic import ValidationError

from provision.errors import HubError
from provision.serving.hub.listing import (
    MAX_SIZE_BYTES,
    RemoteFile,
    check_complete,
    digest_of,
    remote_files,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from provision.serving.hub.listing import Listing

    Make = Callable[..., Listing]

GOOD = "sha256:" + "0" * 64
TRANSFORMERS = ("config.json", "tokenizer.json", "model.safetensors")


@pytest.mark.parametrize(
    "path",
    [
        "", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "./a", "a\\b", "-rf", "a/-rf", "a\nb",
        "a\x00b", "a\x7fb", "a\u202egnp.exe", "a\u2028b", "\ud800", ".provision-manifest",
        "a/.provision-manifest", "x" * 256, "é" * 128, "/".join(["d" * 200] * 6),
    ],
)  # fmt: skip
def test_a_path_that_could_do_harm_is_refused(path: str) -> None:
    """Paths come from a foreign server; none may leave the model's folder or pose as ours."""
    with pytest.raises(HubError, match="refused"):
        remote_files([(path, 1, GOOD)], "modelscope:a/b@master")


@pytest.mark.parametrize(
    "path", ["a b.json", "模型.bin", "it's.txt", "$(id).bin", "a/b/c.d", "..a", "A", "x" * 255]
)
def test_an_odd_path_that_does_no_harm_passes(path: str) -> None:
    """Quoting is the business of who runs commands; a name alone is no reason to refuse."""
    assert remote_files([(path, 1, GOOD)], "k")[0].path == path


@given(st.text(max_size=40) | st.from_regex(r"[a/.\\-]{1,12}", fullmatch=True))
def test_whatever_passes_stays_below_the_folder(path: str) -> None:
    """No accepted path resolves to the folder itself or to anything outside of it."""
    try:
        file = RemoteFile(path=path, size_bytes=1, digest=GOOD)
    except ValidationError:
        return
    joined = posixpath.normpath(posixpath.join("/models/org/name", file.path))
    assert joined == f"/models/org/name/{file.path}"
    assert not any(ord(char) < 32 or char == "\\" for char in file.path)


@pytest.mark.parametrize("size", [-1, MAX_SIZE_BYTES + 1, "1", 1.0, True, None])
def test_a_size_is_a_sane_number(size: object) -> None:
    """A hub that lies about sizes would fill a disk."""
    with pytest.raises(HubError, match="size_bytes"):
        remote_files([("a", size, GOOD)], "k")


@pytest.mark.parametrize(
    "digest",
    ["", "sha256:", "sha256:" + "0" * 63, "md5:" + "0" * 32, GOOD + "\n", GOOD.upper(), None],
)
def test_a_digest_is_a_sha256_or_a_git_id(digest: object) -> None:
    """What cannot be verified is not listed."""
    with pytest.raises(HubError, match="digest"):
        remote_files([("a", 1, digest)], "k")


def test_what_belongs_to_git_or_a_client_is_left_out() -> None:
    """`.gitattributes` and an uploaded cache are no part of a model, whatever is said of them."""
    entries = [
        (path, None, None) for path in (".gitattributes", "a/.gitignore", ".git/../x", ".cache/x")
    ]
    assert remote_files(entries, "k") == ()


def test_an_empty_listing_is_an_error(listing: Make) -> None:
    """No files is never a model."""
    with pytest.raises(HubError, match="no file"):
        listing()


def test_paths_that_exclude_each_other_are_refused(listing: Make) -> None:
    """A path cannot be listed twice, nor be both a file and a folder."""
    with pytest.raises(HubError, match="'a' is listed twice"):
        listing("a", "a")
    with pytest.raises(HubError, match="'a' is both a file and a folder"):
        listing("a", "a/b/c")


def test_the_digest_of_a_listing_does_not_depend_on_order(listing: Make) -> None:
    """The digest names a state of files."""
    one, other = listing("a", "b"), listing("b", "a")
    assert one == other
    assert digest_of(one.files) == digest_of(reversed(other.files))
    assert digest_of(one.files) != digest_of(listing("a", "c").files)


def names(listing: Listing) -> list[str]:
    """Return the paths of a listing."""
    return [file.path for file in listing.files]


def test_narrowing_takes_include_then_exclude(listing: Make) -> None:
    """What is excluded stays out, whatever includes it."""
    whole = listing(*TRANSFORMERS, "onnx/config.json", "pytorch_model.bin")
    assert names(whole.narrowed()) == names(whole)
    assert names(whole.narrowed(["*.json"], ["onnx/"])) == ["config.json", "tokenizer.json"]
    assert names(whole.narrowed(exclude=["*.bin", "onnx/*"])) == sorted(TRANSFORMERS)
    assert whole.narrowed(["config.json"]).size_bytes == 1


@pytest.mark.parametrize(
    "pattern", ["*.json", "config.json", "onnx/*", "*/config.json", "*c*", "[co]*", "CONFIG.JSON"]
)
def test_patterns_match_as_the_clients_match(listing: Make, pattern: str) -> None:
    """A host's client that is given the same patterns fetches the same files."""
    paths = ("config.json", "onnx/config.json", "onnx/deep/m.onnx", "x.bin")
    try:
        ours = names(listing(*paths).narrowed([pattern]))
    except HubError:
        ours = []
    assert ours == list(filter_repo_objects(sorted(paths), allow_patterns=[pattern]))
    assert ours == [path for path in sorted(paths) if _matches_patterns(path, [pattern])]


def test_a_pattern_that_matches_nothing_is_an_error(listing: Make) -> None:
    """A misspelt pattern would silently bring a model without weights."""
    whole = listing(*TRANSFORMERS)
    with pytest.raises(
        HubError, match=r"no file matches '\*.safetensor'. Did you mean '\*.safetensors'"
    ):
        whole.narrowed(["*.safetensor"])
    with pytest.raises(HubError, match=r"Did you mean 'tokenizer\.json'"):
        whole.narrowed(exclude=["tokeniser.json"])
    with pytest.raises(HubError, match="leave no file"):
        whole.narrowed(exclude=["*"])


@pytest.mark.parametrize(
    "paths",
    [
        TRANSFORMERS,
        ("config.json", "vocab.txt", "pytorch_model.bin"),
        ("config.json", "qwen.tiktoken", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"),
        ("config.json", "spiece.model", "model-00000-of-00002.safetensors", "model-00001-of-00002.safetensors"),
        ("params.json", "tekken.json", "consolidated.safetensors"),
        ("params.json", "tokenizer.model.v3", "consolidated-00001-of-00001.safetensors"),
        ("model-q4_k_m.gguf",),
        ("Q4/m-00001-of-00002.gguf", "Q4/m-00002-of-00002.gguf", "README.md"),
    ],
)  # fmt: skip
def test_what_an_engine_can_load_is_complete(listing: Make, paths: tuple[str, ...]) -> None:
    """Transformers, Mistral's own and GGUF layouts are complete each in its way."""
    check_complete(listing(*paths))


@pytest.mark.parametrize(
    ("paths", "absent"),
    [
        (("tokenizer.json", "model.safetensors"), "missing config.json"),
        (("config.json", "model.safetensors"), "missing a tokenizer"),
        (("config.json", "tokenizer.json", "README.md"), "missing weights"),
        (("config.json", "tokenizer.json", "training_args.bin"), "missing weights"),
        (("config.json", "tokenizer.json", "1_Pooling/pytorch_model.bin"), "missing weights"),
        (("adapter_config.json", "tokenizer.json", "adapter_model.safetensors"), "missing config.json, weights"),
        ((*TRANSFORMERS, "x-00001-of-00003.bin"), r"x-00002-of-00003.bin, x-00003-of-00003.bin\."),
        ((*TRANSFORMERS, "m-00001-of-000003.safetensors"), "m-00002-of-000003.safetensors, m-00003-of-000003"),
        (("m-00002-of-00002.gguf",), "m-00001-of-00002.gguf"),
        ((*TRANSFORMERS, "x-00001-of-00099.bin"), "and 93 more"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(listing: Make, paths: tuple[str, ...], absent: str) -> None:
    """An incomplete model is found before anything is downloaded, not by an engine afterwards."""
    with pytest.raises(HubError, match=absent):
        check_complete(listing(*paths))
