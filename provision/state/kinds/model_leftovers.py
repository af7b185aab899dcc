"""The leftovers: model snapshots, ours by their manifest, that nothing wants any more."""

from __future__ import annotations

import re
from typing import ClassVar, Final

from provision.state.kinds.model_folders import UNIT_OF_STAGING, staging_of
from provision.state.kinds.paths import AbsolutePath
from provision.state.resource import Command, Resource, State
from provision.state.shell import quote
from provision.state.sizes import human_size

_LINE: Final = re.compile(r"(\d+) (/.+)")
# A container that mounts a folder above or below a snapshot uses it too; one that mounts all of the
# host's files, as monitors do, does not; and the source of a tmpfs is empty.
_UNWANTED: Final = """
{ word = $1; sub(/^[a-z]+ /, "") }
word == "below" && !below { below = $0 }
word == "keep" { keep[$0] }
word == "mount" && length($0) > 1 { mount[$0] }
word == "found" && index($0, below) == 1 && !($0 in keep) {
    for (path in mount) if (index($0 "/", path "/") == 1 || index(path "/", $0 "/") == 1) next
    print
}"""


class ModelLeftovers(Resource):
    """The folder of models at the absolute path `name`, without snapshots that are not kept."""

    kind: ClassVar[str] = "model_leftovers"

    name: AbsolutePath
    keep: tuple[AbsolutePath, ...] = ()
    """Folders of the snapshots that are wanted."""

    def probe(self) -> str:
        """List snapshots and broken-off downloads that are not kept and that no container mounts."""
        kept = [*self.keep, *(staging_of(folder) for folder in self.keep)]
        listed = "\n".join([f"below {self.name}/", *(f"keep {path}" for path in kept)])
        return (
            f"[ -d {quote(self.name)} ] || exit 0\n{UNIT_OF_STAGING}\n"
            # a container that is stopped, or a Docker that does not answer, has its mounts all the same
            "mounts=\n"
            "if command -v docker >/dev/null; then\nids=$(docker ps -aq) || exit 2\n"
            '[ -z "$ids" ] || mounts=$(docker inspect -f'
            " '{{range .Mounts}}{{println \"mount\" .Source}}{{end}}' $ids) || exit 2\nfi\n"
            "{\n"
            f"printf '%s\\n' {quote(listed)}\n"
            "printf '%s\\n' \"$mounts\"\n"
            # GNU find: our manifests only, so that what people put there by hand is never listed
            f"find {quote(self.name)} -mindepth 4 -maxdepth 4 -name .provision-manifest -printf 'found %h\\n'\n"
            f"find {quote(self.name)} -mindepth 3 -maxdepth 3 -type d -name '.*.partial' -printf 'found %p\\n'\n"
            f"}} | awk '{_UNWANTED}' | while read -r path; do\n"
            # one that another inventory began may be at work
            "case $path in */.*.partial)"
            ' ! systemctl is-active --quiet "$(model_unit_of "$path")" 2>/dev/null || continue ;; esac\n'
            'printf "%s %s\\n" "$(du -s -B1 -- "$path" | cut -f1)" "$path"\ndone'
        )

    def actual(self, output: str) -> State | None:
        """Parse the list, a folder with its size on disk a line."""
        found = [_LINE.fullmatch(line) for line in output.splitlines() if line]
        if not all(found):
            raise ValueError(f"unexpected answer {output[:80]!r}")
        pairs = sorted((match[2], int(match[1])) for match in found if match)
        return {
            "leftovers": "".join(f"{path}   {human_size(size)}\n" for path, size in pairs),
            "(paths)": "\n".join(path for path, _ in pairs),
            "(bytes)": sum(size for _, size in pairs),
        }

    def expected(self) -> State | None:
        """Want none."""
        return {"leftovers": ""}

    def apply(self, actual: State | None, changed: frozenset[str]) -> list[Command]:
        """Remove what was listed; a download that was broken off has nobody at work on it."""
        del changed
        paths = str(actual["(paths)"]).splitlines() if actual else []
        return [
            Command(title=f"remove {path}", script=f"rm -rf -- {quote(path)}", timeout=1800)
            for path in paths
        ]

    def fears(self, actual: State | None, changed: frozenset[str]) -> tuple[str, ...]:
        """Say how much is lost."""
        if not changed or actual is None:
            return ()
        return (f"removes {human_size(int(actual['(bytes)']))} of models that nothing wants",)
