"""A developer's tool: what flags, parsers and templates a vLLM release has, read off its source.

    python read_parser.py RELEASE FOLDER...     (folders that hold `vllm/` and perhaps `examples/`)

It writes `<release>.json` beside itself. Nothing of vLLM is imported or run.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

HERE: Final = Path(__file__).parent
_SEQUENCES: Final = {"list", "tuple", "set", "List", "Sequence", "Tuple", "Set"}
_BARE: Final = {"store_true", "store_false", "store_const", "version"}
_REGISTRIES: Final = {
    "tool_parsers": ("ToolParserManager", "_TOOL_PARSERS_TO_REGISTER"),
    "reasoning_parsers": ("ReasoningParserManager", "_REASONING_PARSERS_TO_REGISTER"),
}


class Flag(NamedTuple):
    """How one flag is written."""

    value: str
    """`none`, `boolean` (has a `--no-` twin), `optional`, `one`, `many` or `append`."""
    choices: list[str]

    def as_json(self) -> dict[str, Any]:
        """Return what the file says of it."""
        return {"value": self.value} | ({"choices": self.choices} if self.choices else {})


class Source:
    """The source of one release."""

    def __init__(self, root: Path) -> None:
        self.package = root / "vllm"
        self.examples = root / "examples"
        self.engine = _parse(self.package / "engine/arg_utils.py")
        self.frontend = _parse(self._frontend())
        config = self.package / "config"
        files = [*config.rglob("*.py")] if config.is_dir() else [config.with_suffix(".py")]
        trees = [self.engine, self.frontend, *map(_parse, files)]
        self.classes = {
            node.name: node
            for tree in trees
            for node in tree.body
            if isinstance(node, ast.ClassDef)
        }
        self.aliases = dict(self._aliases())

    def _frontend(self) -> Path:
        found = [
            path
            for path in (self.package / "entrypoints").rglob("cli_args.py")
            if "def make_arg_parser" in path.read_text(encoding="utf-8")
        ]
        (only,) = found
        return only

    def _aliases(self) -> Iterator[tuple[str, ast.expr]]:
        """Yield the names that modules give to types such as `Literal["auto", "hf"]`."""
        for path in self.package.rglob("*.py"):
            if "= Literal[" in (text := path.read_text(encoding="utf-8")):
                for node in ast.parse(text).body:
                    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                        yield node.targets[0].id, node.value
                    elif isinstance(node, ast.AnnAssign) and node.value is not None:
                        yield ast.unparse(node.target), node.value


def read(root: Path) -> dict[str, Any]:
    """Return everything about the release below `root`."""
    source = Source(root)
    flags = dict(_engine_flags(source)) | dict(_frontend_flags(source))
    return {
        "flags": {name: flags[name].as_json() for name in sorted(flags)},
        **{
            kind: sorted(_registered(source.package, *names)) for kind, names in _REGISTRIES.items()
        },
        "templates": _templates(source.examples),
    }


def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _templates(examples: Path) -> list[str] | None:
    """Return the chat templates that the image has; None where the source does not tell."""
    if not examples.is_dir():
        return None
    return sorted(path.relative_to(examples).as_posix() for path in examples.rglob("*.jinja"))


def _engine_flags(source: Source) -> Iterator[tuple[str, Flag]]:
    for name in ("EngineArgs", "AsyncEngineArgs"):
        for method in source.classes[name].body:
            if isinstance(method, ast.FunctionDef) and method.name == "add_cli_args":
                yield from _added(method, source)


def _frontend_flags(source: Source) -> Iterator[tuple[str, Flag]]:
    for node in source.frontend.body:
        if isinstance(node, ast.FunctionDef) and node.name == "make_arg_parser":
            yield from _added(node, source)
    for name in ("BaseFrontendArgs", "FrontendArgs"):
        if owner := source.classes.get(name):
            changes = ast.unparse(owner)
            for field, annotation in _fields(owner):
                flag = _of_type(annotation, source)
                if f"del frontend_kwargs['{field}']['nargs']" in changes:
                    flag = flag._replace(value="one")
                if f"frontend_kwargs['{field}']['action'] = 'append'" in changes:
                    flag = flag._replace(value="append")
                yield "--" + field.replace("_", "-"), flag


def _added(function: ast.FunctionDef, source: Source) -> Iterator[tuple[str, Flag]]:
    """Yield the flags of all `add_argument` calls of a function."""
    owners = {
        node.targets[0].id: node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    looped = dict(_looped(function))
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            names = [item.value for item in node.args if isinstance(item, ast.Constant)]
            if node.args and isinstance(node.args[0], ast.Name):
                names = looped.get(node.args[0].id, [])
            long = [name for name in names if str(name).startswith("--")]
            if node.func.attr == "add_argument" and long:
                flag = _of_call(node, owners, source)
                yield from ((str(name), flag) for name in long)


def _looped(function: ast.FunctionDef) -> Iterator[tuple[str, list[Any]]]:
    """Yield the values of `for arg, type in [("--flag", str), ...]`, by the first variable."""
    for node in ast.walk(function):
        if isinstance(node, ast.For) and isinstance(node.iter, ast.List | ast.Tuple):
            target = node.target.elts[0] if isinstance(node.target, ast.Tuple) else node.target
            items = [
                item.elts[0] if isinstance(item, ast.Tuple) else item for item in node.iter.elts
            ]
            yield ast.unparse(target), [i.value for i in items if isinstance(i, ast.Constant)]


def _of_call(call: ast.Call, owners: dict[str, ast.expr], source: Source) -> Flag:
    given = {item.arg: item.value for item in call.keywords if item.arg}
    flag = Flag("one", [])
    for item in call.keywords:
        if item.arg is None:
            flag = _of_config(item.value, owners, source)
    action = ast.unparse(given["action"]).strip("'") if "action" in given else ""
    nargs = ast.unparse(given["nargs"]).strip("'") if "nargs" in given else ""
    if "BooleanOptional" in action:
        flag = Flag("boolean", [])
    elif action in _BARE or nargs == "0":
        flag = Flag("none", [])
    elif action == "append":
        flag = flag._replace(value="append")
    elif nargs == "?" or "StoreBoolean" in action:
        flag = flag._replace(value="optional")
    elif nargs:
        flag = flag._replace(value="many")
    if "choices" in given and flag.value not in {"boolean", "none"}:
        flag = flag._replace(choices=_choices(given["choices"], source))
    return flag


def _of_config(node: ast.expr, owners: dict[str, ast.expr], source: Source) -> Flag:
    """Return the flag of `**model_kwargs["dtype"]`, which a configuration's field describes."""
    if isinstance(node, ast.Name):
        node = owners[node.id]
    if isinstance(node, ast.Dict):  # {**kwargs["field"], "default": None}
        node = node.values[0]
    if not isinstance(node, ast.Subscript):
        raise TypeError(ast.unparse(node))
    field = ast.literal_eval(node.slice)
    owner = node.value
    if isinstance(owner, ast.Name):
        owner = owners[owner.id]
    if not (isinstance(owner, ast.Call) and isinstance(owner.args[0], ast.Name)):
        raise TypeError(ast.unparse(owner))
    return _of_type(dict(_fields(source.classes[owner.args[0].id], source))[field], source)


def _fields(owner: ast.ClassDef, source: Source | None = None) -> Iterator[tuple[str, ast.expr]]:
    for base in owner.bases:
        if source and isinstance(base, ast.Name) and base.id in source.classes:
            yield from _fields(source.classes[base.id], source)
    for node in owner.body:
        if isinstance(node, ast.AnnAssign) and "ClassVar" not in ast.unparse(node.annotation):
            yield ast.unparse(node.target), node.annotation


def _of_type(annotation: ast.expr, source: Source) -> Flag:
    parts = list(_parts(annotation, source))
    names = {part.id for part in parts if isinstance(part, ast.Name)}
    literals = [part for part in parts if isinstance(part, ast.Subscript)]
    kinds = {ast.unparse(part.value) for part in literals}
    if names == {"bool", "str"} and not kinds:
        return Flag("optional", [])
    if "bool" in names:
        return Flag("boolean", [])
    choices = sorted({text for part in literals for text in _literal(part, source)})
    if "str" in names:  # any other text will do as well
        choices = []
    return Flag("many" if kinds & _SEQUENCES else "one", choices)


def _parts(node: ast.expr, source: Source) -> Iterator[ast.expr]:
    """Yield the members of a union, with aliases and wrappers followed; None is left out."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield from _parts(ast.parse(node.value, mode="eval").body, source)
    elif isinstance(node, ast.BinOp):
        yield from _parts(node.left, source)
        yield from _parts(node.right, source)
    elif isinstance(node, ast.Subscript):
        outer = ast.unparse(node.value)
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if outer in {"Optional", "SkipValidation", "Annotated", "InitVar", "Required"}:
            yield from _parts(inner[0], source)
        elif outer == "Union":
            for item in inner:
                yield from _parts(item, source)
        else:
            yield node
    elif isinstance(node, ast.Name) and node.id in source.aliases:
        yield from _parts(source.aliases[node.id], source)
    elif isinstance(node, ast.Name):
        yield node


def _literal(node: ast.expr, source: Source) -> Iterator[str]:
    """Yield the members of a `Literal`, which may itself be made of others."""
    if isinstance(node, ast.Name) and node.id in source.aliases:
        yield from _literal(source.aliases[node.id], source)
    elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Literal":
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        for item in inner:
            if isinstance(item, ast.Constant):
                yield str(item.value)
            else:
                yield from _literal(item, source)


def _choices(node: ast.expr, source: Source) -> list[str]:
    """Return literal choices, also those of `get_args(Name)`; none where they are computed."""
    if isinstance(node, ast.List | ast.Tuple):
        found = [item.value for item in node.elts if isinstance(item, ast.Constant)]
        return sorted(str(item) for item in found if item is not None)
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "get_args":
        return _of_type(node.args[0], source).choices
    return []


def _registered(package: Path, manager: str, table: str) -> Iterator[str]:
    """Yield the names of parsers: by decorator in old releases, by table in new ones."""
    for path in package.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if manager not in text or path.name.startswith("abs"):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                if ast.unparse(target) == table:
                    yield from (str(ast.literal_eval(key)) for key in node.value.keys if key)
            elif isinstance(node, ast.Call) and ast.unparse(node.func).startswith(
                f"{manager}.register"
            ):
                yield from _registered_by(node)


def _registered_by(call: ast.Call) -> Iterator[str]:
    first = next((item.value for item in call.keywords if item.arg == "name"), None)
    given = call.args[0] if call.args else first
    if isinstance(given, ast.Constant | ast.List):
        value = ast.literal_eval(given)
        yield from value if isinstance(value, list) else [value]


def _text(release: dict[str, Any]) -> str:
    """Return JSON with one flag a line, so that two releases can be compared."""
    lines = [f"  {json.dumps(name)}: {json.dumps(flag)}" for name, flag in release["flags"].items()]
    rest = [f'"{key}": {json.dumps(value)}' for key, value in release.items() if key != "flags"]
    return '{"flags": {\n' + ",\n".join(lines) + "\n},\n" + ",\n".join(rest) + "}\n"


def main() -> None:
    """Write the file of one release."""
    release, folder = sys.argv[1:]
    text = _text(read(Path(folder)))
    (HERE / f"{release}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
