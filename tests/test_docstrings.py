"""`help()` of every public name is enough to use it: shapes, errors, and an example that runs."""

from __future__ import annotations

import doctest
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

import embedrec

NAMES = [name for name in embedrec.__all__ if name != "__version__"]
SHAPE = re.compile(r"\([A-Zac-z][\w'+·* ≥]*,[\w\s+−·*≥]*\)")  # (n,), (q, d), (S+1,)


def members(kind: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties that a class defines itself."""
    for name, member in vars(kind).items():
        function = inspect.unwrap(getattr(member, "fget", None) or getattr(member, "__func__", member))
        if not name.startswith("_") and inspect.isfunction(function):
            yield name, function


def has_arrays(function: Any) -> bool:
    """Whether a function takes or returns arrays."""
    return any("ndarray" in str(kind) for kind in getattr(function, "__annotations__", {}).values())


@pytest.mark.parametrize("name", NAMES)
def test_public_names_are_documented(name: str) -> None:
    thing = getattr(embedrec, name)
    doc = inspect.getdoc(thing) or ""
    assert ">>>" in doc, f"{name} needs an example"
    functions = [("", thing)] if inspect.isfunction(thing) else list(members(thing))
    for method, function in functions:
        text, where = inspect.getdoc(function) or "", f"{name}.{method}".rstrip(".")
        assert text, f"{where} needs a docstring"
        if re.search(r"^ +raise \w*Error\(", inspect.getsource(function), re.M):
            assert "Raises" in text or "See `" in text, f"{where} raises, but does not say what"
        if has_arrays(function) and "See `" not in text:
            assert SHAPE.search(text), f"{where} takes or returns arrays, but does not give their shapes"
    if inspect.isclass(thing):
        if hasattr(thing, "__post_init__"):  # checks settings or arrays
            assert "Raises" in doc or name == "Workspace", f"{name} raises, but does not say what"
        if has_arrays(thing):
            assert SHAPE.search(doc), f"{name} has arrays, but does not give their shapes"


def examples() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    return [test for name in NAMES for test in finder.find(getattr(embedrec, name), name) if test.examples]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_examples_run(example: doctest.DocTest) -> None:
    report: list[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=report.append)
    assert result.failed == 0, "".join(report)
