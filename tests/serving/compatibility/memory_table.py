"""The table of docs/memory-fit.md: our estimate beside what vLLM logged, made of the recordings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from memory_log import Recording, gib, recordings

PROJECT: Final = Path(__file__).parents[3]
PAGES: Final = (PROJECT / "docs" / "memory-fit.md", PROJECT / "docs" / "memory-fit.zh.md")
BEGIN: Final = "<!-- by tests/serving/compatibility/memory_table.py -->"
END: Final = "<!-- end -->"
_LOGS: Final = "../tests/serving/compatibility/recordings"
_COLUMNS: Final = (
    *("start", "architecture", "GPUs", "weights, GiB", "logged", "KV bytes a token"),
    *("KV tokens", "logged", "off by"),
)
_TITLES: Final = (
    *("启动", "架构", "GPU 数", "权重，GiB", "日志", "每 token 的 KV 字节"),  # noqa: RUF001  Chinese
    *("KV token 数", "日志", "偏差"),
)


def table(page: Path, found: list[Recording]) -> str:
    """Return what stands between the marks of a page: where it was made, and the rows."""
    titles = _TITLES if ".zh" in page.name else _COLUMNS
    sides = [":--", ":--", *["--:"] * (len(titles) - 2)]
    return "\n".join([_made(found), "", _line(titles), _line(sides), *map(_row, found)])


def replaced(page: Path, found: list[Recording]) -> str:
    """Return a page with its table as it is now."""
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n{table(page, found)}\n{END}{rest.partition(END)[2]}"


def _made(found: list[Recording]) -> str:
    made = sorted(
        {
            f"vLLM {each.version}, {each.device.name}, {each.driver}, {each.date}: "
            f"{sum(_place(each) == _place(other) for other in found)}"
            for each in found
        }
    )
    return "\n".join(f"- {line}" for line in made)


def _place(each: Recording) -> tuple[str, str, str, str]:
    return each.version, each.device.name, each.driver, each.date


def _row(each: Recording) -> str:
    fit = each.fit
    cells = [
        f"[{each.name}]({_LOGS}/{each.name}/vllm.log)",
        each.architecture,
        str(fit.gpus),
        f"{gib(fit.weights_bytes):.2f}",
        f"{each.weights_gib:.2f}",
    ]
    if not fit.cache.groups:
        return _line([*cells, *["–"] * 4])  # noqa: RUF001  no figure
    cells.append(f"{fit.bytes_per_token:,}")
    if each.cache_gib < 0:
        left = (f"{size:.2f} GiB" for size in (gib(fit.cache_bytes), each.cache_gib))
        return _line([*cells, *left, "–"])  # noqa: RUF001  no figure
    off = fit.tokens / each.tokens - 1
    return _line([*cells, f"{fit.tokens:,}", f"{each.tokens:,}", f"{off:+.2%}"])


def _line(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    for place in PAGES:
        place.write_text(replaced(place, recordings()), encoding="utf-8")
        sys.stderr.write(f"{place.relative_to(PROJECT)}\n")
