"""Count names that the project has replaced: `python scripts/names.py` prints those that are left.

Names are counted as identifiers: of classes, functions, methods, variables, parameters and attributes. Prose may use
the words as English does, except those of `PROSE`, which mean nothing in the field.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

# Replaced everywhere.
EVERYWHERE = frozenset(
    [
        "Room",
        "in_files",
        "Kept",
        "Questions",
        "companions",
        "Terms",
        "Trial",
        "Contender",
        "Promise",
        "PromiseError",
        "Asked",
        "Tried",
        "Way",
        "Pad",
        "dialled",
        "Nearest",
        "Past",
        "Answering",
        "Allowed",
        "Wanted",
        "Material",
        "Answers",
        "Holding",
        "Restorer",
        "restore",
        "NEIGHBOURLY",
        "CONTINUED",
        "_BEFORE",
        "recoded",
        "compacted",
        "Behind",
        "ahead",
        "Where",
        "Publication",
        "Place",
        "told",
        "said",
        "asked",
        "there",
        "here",
        "some",
        "found",
    ]
)
# Replaced in these rooms; other rooms have other things of the name.
IN_ROOMS = {
    "Work": ("export", "readers"),
    "Plan": ("training", "models"),
    "Run": ("training", "models", "workflows"),
    "taken": ("data",),
    "where": ("data/sessions.py", "splitting"),
    "rest": ("splitting",),
    "behind": ("evaluation", "workflows"),
    "facts": ("index", "workflows", "html_report"),
    "seen": ("models", "evaluation"),  # in workflows it is the option and TOML key of an evaluation
    "made": ("experiments",),
    "place": ("experiments", "publish"),
    "work": ("experiments",),
    "study": ("experiments",),
    "floor": ("evaluation", "workflows"),
}
PROSE = re.compile(r"\b(dialled|the dial|stud(?:y|ies)' tables)\b")
PACKAGE = Path(__file__).resolve().parents[1] / "embedrec"


def identifiers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of every identifier."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute):
            yield node.lineno, node.attr
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.keyword) and node.arg is not None:
            yield node.value.lineno, node.arg


def replaced_names(package: Path = PACKAGE) -> list[str]:
    """`file:line name` of every replaced name that is left."""
    left = []
    for path in sorted(package.rglob("*.py")):
        inside, text = path.relative_to(package).as_posix(), path.read_text()
        for line, name in identifiers(ast.parse(text)):
            library = re.search(rf"\b(?:np|pc|torch|math)\.{name}\b", text.splitlines()[line - 1])
            room = any(inside.startswith(room) for room in IN_ROOMS.get(name, ()))
            if (name in EVERYWHERE or room) and not library:
                left.append(f"{inside}:{line} {name}")
        for line, content in enumerate(text.splitlines(), 1):
            left += [f"{inside}:{line} {word}" for word in PROSE.findall(content)]
    return left


if __name__ == "__main__":
    names = replaced_names()
    print("\n".join([*names, f"{len(names)} replaced names are left"]))
    sys.exit(bool(names))
