"""What stands below the fields of models in their sources, as the descriptions of these fields.

pydantic can do it (`use_attribute_docstrings`), but when a class is made: every task would wait for
sources to be read that only a schema or the reference has a use for.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from inspect import cleandoc, getsource
from itertools import pairwise
from textwrap import dedent

from pydantic import BaseModel

from provision.inventory.wording import models_in


def describe(models: Iterable[type[BaseModel]]) -> None:
    """Give the fields of models, and of the models that these are made of, their descriptions."""
    for model in models:
        texts = {name: text for base in reversed(model.__mro__) for name, text in _texts(base)}
        for name, field in model.model_fields.items():
            describe(models_in(field.annotation))
            field.description = field.description or texts.get(name)
        model.model_rebuild(force=True)


def _texts(base: type) -> Iterator[tuple[str, str]]:
    """Yield the fields that a class itself declares, and the text right below each."""
    if base is BaseModel or not issubclass(base, BaseModel):
        return
    (tree,) = ast.parse(dedent(getsource(base))).body
    assert isinstance(tree, ast.ClassDef)  # noqa: S101  for the type checker
    for field, text in pairwise(tree.body):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(said))),
            ):
                yield name, cleandoc(said)
