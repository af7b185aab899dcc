# ruff: noqa: INP001  runs beside hubd.py
"""What a model hub answers: the routes of ModelScope and of Hugging Face over a folder of models."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

LISTING_LIMIT = 3000  # entries; ModelScope cuts a longer listing short without a word
BRANCH = "master"  # which Hugging Face calls main
Json = dict[str, Any]


@dataclass
class Reply:
    """An answer: its body is bytes, or a range of a file of a model."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    file: Path | None = None
    start: int = 0
    length: int = 0


class Refusal(Exception):  # noqa: N818  it is an answer, not a fault of this program
    """A request that is answered with an error."""

    def __init__(self, status: int, kind: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(kind)
        self.status, self.kind, self.headers = status, kind, headers or {}


# What both hubs say, by kind of refusal: ModelScope's code and words, Hugging Face's code and words.
REFUSALS = {
    "model": (10010205001, "record not found", "RepoNotFound", "Repository not found"),
    "file": (10990101007, "file not found", "EntryNotFound", "Entry not found"),
    "revision": (10010202001, "revision not found", "RevisionNotFound", "Invalid rev id"),
    "token": (
        10010103001,
        "please login first",
        "GatedRepo",
        "Access to this model is restricted.",
    ),
    "access": (10010103003, "access denied", "GatedRepo", "You are not in the authorized list."),
    "limit": (10010104001, "too many requests", "", "You have been rate-limited."),
    "service": (10010100503, "service unavailable", "", "Service unavailable"),
    "route": (404, "no such route", "", "Not found"),
}
STATUSES = {401: "token", 403: "access", 404: "model", 429: "limit", 503: "service"}


def json_reply(value: Any, status: int = 200) -> Reply:
    """Return an answer of JSON."""
    return Reply(status, {"Content-Type": "application/json"}, json.dumps(value).encode())


class Models:
    """The models of a folder, and where their content lies."""

    def __init__(self, folder: Path, blobs: list[Path]) -> None:
        self.folder, self.blobs = folder.resolve(), blobs
        self.known: dict[Path, tuple[int, Json]] = {}

    def read(self, name: str) -> Json:
        """Return all that is known of a model, read again when its file changed."""
        file = (self.folder / f"{name}.json").resolve()
        if not file.is_relative_to(self.folder) or not file.exists():
            raise Refusal(404, "model")
        changed = file.stat().st_mtime_ns
        if self.known.get(file, (0, {}))[0] != changed:
            self.known[file] = (changed, json.loads(file.read_text()))
        return self.known[file][1]

    def blob(self, sha256: str) -> Path:
        """Return the file that holds some content."""
        return next(folder / sha256 for folder in self.blobs if (folder / sha256).exists())


def commit_of(model: Json, revision: str, default: str) -> str:
    """Return the commit that a branch, a tag or a full sha stands for."""
    branches = {default if name == BRANCH else name: sha for name, sha in model["branches"].items()}
    known = {**{sha: sha for sha in model["commits"]}, **model["tags"], **branches}
    if revision not in known:
        raise Refusal(404, "revision")
    return str(known[revision])


def entries_of(commit: Json, root: str, *, recursive: bool) -> dict[str, Json | None]:
    """Return what lies below a folder: each path with its file, or None for a folder."""
    found: dict[str, Json | None] = {}
    prefix = f"{root.strip('/')}/" if root.strip("/") else ""
    for path, file in sorted(commit["files"].items()):
        if not path.startswith(prefix):
            continue
        parts = path.removeprefix(prefix).split("/")
        for depth in range(1, len(parts) if recursive else min(2, len(parts))):
            found.setdefault(prefix + "/".join(parts[:depth]), None)
        if recursive or len(parts) == 1:
            found[path] = file
    return found


class ModelScope:
    """The routes below /api/v1/models, as modelscope.cn was seen to answer them."""

    @staticmethod
    def answer(models: Models, model: Json, name: str, route: str, query: dict[str, str]) -> Reply:
        """Answer one route of one model."""
        if route == "":
            return json_reply(_success(about(model, name)))
        if route == "revisions":
            return json_reply(_success({"RevisionMap": _revisions(model)}))
        if route == "repo/files":
            return json_reply(_success(_listing(model, query)))
        if route == "repo":
            revision = query.get("Revision") or BRANCH
            return file_reply(models, model, revision, BRANCH, query.get("FilePath", ""))
        raise Refusal(404, "route")


def _success(data: Any) -> Json:
    return {"Code": 200, "Data": data, "Message": "success", "RequestId": "lab", "Success": True}


def about(model: Json, name: str) -> Json:
    """Return what ModelScope says of a model as a whole."""
    owner, _, short = name.partition("/")
    head = model["commits"][model["branches"][BRANCH]]
    return {"Id": 1, "Path": owner, "Name": short, "Visibility": 5, "License": "apache-2.0",
            "CreatedAt": head["time"], "LastUpdatedTime": head["time"], "Revision": BRANCH}  # fmt: skip


def _revisions(model: Json) -> Json:
    def named(refs: dict[str, str]) -> list[Json]:
        return [
            {"Revision": name, "CreatedAt": model["commits"][sha]["time"]}
            for name, sha in refs.items()
        ]

    return {"Branches": named(model["branches"]), "Tags": named(model["tags"])}


def _listing(model: Json, query: dict[str, str]) -> Json:
    try:
        sha = commit_of(model, query.get("Revision") or BRANCH, BRANCH)
    except Refusal:
        # As modelscope.cn does: a revision that does not exist looks like one without files.
        return {"Files": None, "IsVisual": 0, "LatestCommitter": None}
    commit = model["commits"][sha]
    deep = query.get("Recursive", "").lower() == "true"
    entries = entries_of(commit, query.get("Root", ""), recursive=deep)
    if not entries and query.get("Root", "").strip("/"):
        raise Refusal(404, "file")
    files = [_listed(model, path, file) for path, file in entries.items()]
    # The commit's own sha is told by its first digits only; a file's Revision is its last change.
    latest = {"Id": "", "ShortId": sha[:8], "Message": commit["message"]}
    return {"Files": files[:LISTING_LIMIT], "IsVisual": 0, "LatestCommitter": latest}


def _listed(model: Json, path: str, file: Json | None) -> Json:
    entry = {"Name": path.rpartition("/")[2], "Path": path, "Type": "blob" if file else "tree"}
    if file is None:
        return {**entry, "Size": 0, "Sha256": "", "IsLFS": False, "Revision": "", "Mode": "40000"}
    changed = model["commits"][file["commit"]]
    about = {"Size": file["size"], "Sha256": file["sha256"], "IsLFS": file["lfs"], "Mode": "33188"}
    when = {"Revision": file["commit"], "CommittedDate": changed["time"]}
    return {**entry, **about, **when, "CommitMessage": changed["message"]}


class HuggingFace:
    """The routes below /api/models, as huggingface_hub asks for them."""

    @staticmethod
    def answer(model: Json, name: str, route: str, query: dict[str, str], sent: Json) -> Reply:
        """Answer one route of one model."""
        kind, _, rest = route.partition("/")
        if kind in {"", "revision"}:
            sha = commit_of(model, unquote(rest) or "main", "main")
            return json_reply(_info(model, name, sha, blobs=query.get("blobs") is not None))
        if kind == "refs":
            return json_reply(_refs(model))
        revision, _, root = rest.partition("/")
        sha = commit_of(model, unquote(revision), "main")
        if kind == "commits":
            return json_reply([_hf_commit(sha, model["commits"][sha])])
        if kind not in {"tree", "paths-info"}:
            raise Refusal(404, "route")
        deep = kind == "paths-info" or query.get("recursive", "").lower() in {"true", "1"}
        entries = entries_of(model["commits"][sha], root, recursive=deep)
        if kind == "paths-info":
            entries = {path: entries[path] for path in sent.get("paths", []) if path in entries}
        elif root and not entries:
            raise Refusal(404, "file", {"X-Repo-Commit": sha})
        expand = str(query.get("expand") or sent.get("expand") or "").lower() == "true"
        return json_reply([_leaf(model, *entry, expand=expand) for entry in entries.items()])


def _info(model: Json, name: str, sha: str, *, blobs: bool) -> Json:
    commit = model["commits"][sha]
    siblings = []
    for path, file in sorted(commit["files"].items()):
        about = {"blobId": file["oid"], "size": file["size"]} if blobs else {}
        if blobs and file["lfs"]:
            about["lfs"] = {"sha256": file["sha256"], "size": file["size"], "pointerSize": 135}
        siblings.append({"rfilename": path, **about})
    when = _iso(commit["time"])
    return {"_id": "0" * 24, "id": name, "modelId": name, "author": name.partition("/")[0],
            "sha": sha, "lastModified": when, "createdAt": when, "private": False, "tags": [],
            "gated": "auto" if model["token"] else False, "disabled": False, "downloads": 0,
            "likes": 0, "siblings": siblings}  # fmt: skip


def _refs(model: Json) -> Json:
    branches = {"main" if name == BRANCH else name: sha for name, sha in model["branches"].items()}
    groups = {"branches": ("heads", branches), "tags": ("tags", model["tags"])}
    return {"converts": []} | {
        group: [
            {"name": name, "ref": f"refs/{folder}/{name}", "targetCommit": sha}
            for name, sha in refs.items()
        ]
        for group, (folder, refs) in groups.items()
    }


def _hf_commit(sha: str, commit: Json) -> Json:
    title = {"id": sha, "title": commit["message"], "message": "", "date": _iso(commit["time"])}
    return {**title, "authors": [{"user": "lab"}]}


def _leaf(model: Json, path: str, file: Json | None, *, expand: bool) -> Json:
    if file is None:
        return {"type": "directory", "oid": "0" * 40, "size": 0, "path": path}
    leaf = {"type": "file", "oid": file["oid"], "size": file["size"], "path": path}
    if file["lfs"]:
        leaf["lfs"] = {"oid": file["sha256"], "size": file["size"], "pointerSize": 135}
    if expand:
        commit = _hf_commit(file["commit"], model["commits"][file["commit"]])
        leaf["lastCommit"] = {key: commit[key] for key in ("id", "title", "date")}
    return leaf


def _iso(when: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(when))


def file_reply(models: Models, model: Json, revision: str, default: str, path: str) -> Reply:
    """Return the whole of a file of a model, with the headers that both clients look for."""
    sha = commit_of(model, revision, default)
    file = model["commits"][sha]["files"].get(path)
    if file is None:
        raise Refusal(404, "file", {"X-Repo-Commit": sha})
    etag = file["sha256"] if file["lfs"] else file["oid"]
    headers = {"ETag": f'"{etag}"', "X-Repo-Commit": sha, "Accept-Ranges": "bytes",
               "Content-Type": "application/octet-stream"}  # fmt: skip
    if file["lfs"]:
        headers |= {"X-Linked-Etag": f'"{file["sha256"]}"', "X-Linked-Size": str(file["size"])}
    blob = models.blob(file["sha256"])
    return Reply(200, headers, file=blob, length=file["size"])


def narrowed(reply: Reply, wanted: str | None) -> Reply:
    """Return the part of a file that a Range header asks for."""
    first, dash, last = (wanted or "").removeprefix("bytes=").partition("-")
    if not (wanted or "").startswith("bytes=") or not dash or not (first + last).isdigit():
        return reply
    size = reply.length
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last), size - 1) if first and last else size - 1
    if start >= size or end < start:
        raise Refusal(416, "route", {"Content-Range": f"bytes */{size}"})
    headers = {**reply.headers, "Content-Range": f"bytes {start}-{end}/{size}"}
    return Reply(206, headers, file=reply.file, start=start, length=end - start + 1)


def refused(refusal: Refusal, *, hugging_face: bool) -> Reply:
    """Return a refusal in the words of one of the two hubs."""
    code, message, hf_code, hf_message = REFUSALS[refusal.kind]
    if hugging_face:
        reply = json_reply({"error": hf_message}, refusal.status)
        reply.headers |= {"X-Error-Message": hf_message}
        reply.headers |= {"X-Error-Code": hf_code} if hf_code else {}
    else:
        body = {"Code": code, "Message": message, "RequestId": "lab", "Success": False}
        reply = json_reply({**body, "Data": None}, refusal.status)
    reply.headers |= refusal.headers
    return reply


def form(body: bytes) -> Json:
    """Return what a request's body says, be it JSON or a form."""
    if body.startswith(b"{"):
        return dict(json.loads(body))
    form = parse_qs(body.decode())
    return {key: values if key == "paths" else values[0] for key, values in form.items()}
