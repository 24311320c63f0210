"""Write what is generated from the registries: `python scripts/registries.py`.

embedrec/__init__.pyi  the public names, for type checkers
configs/MODEL.toml     the defaults of a recipe, below the comments at the top of the file
README.md, docs/*.md   the tables between <!-- NAME --> and <!-- end -->, see `TABLES`
"""

from __future__ import annotations

import re
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import embedrec
from embedrec.config import to_toml
from embedrec.export.policies.settings import POLICIES, option_of
from embedrec.index.index_types import INDEXES
from embedrec.models import MODELS, recipe_class
from embedrec.ranking.features import FEATURES
from embedrec.readers import READERS

ROOT = Path(__file__).parents[1]


def stub() -> str:
    """The text of embedrec/__init__.pyi: every public name, imported from its module."""
    modules = {name: getattr(embedrec, name).__module__ for name in embedrec.__all__ if name != "__version__"}
    modules["__version__"] = "embedrec.version"
    lines = sorted(f"from {module} import {name} as {name}\n" for name, module in modules.items())
    return "".join(lines)


def config(name: str, text: str) -> str:
    """The text of configs/NAME.toml: the comments of `text`, then the defaults of the recipe."""
    head = "".join(re.findall(r"(?m)^#.*\n", text)) or (
        f"# {name} with its defaults: embedrec train {name} --config configs/{name}.toml\n"
    )
    return f"{head}\n{to_toml(recipe_class(name)(), 'train', name)}"


def table(what: str, registry: Mapping[str, Any]) -> str:
    """The Markdown table of a registry."""
    rows = (f"| `{name}` | {entry.summary} |\n" for name, entry in registry.items())
    return f"| {what} | what it is |\n|---|---|\n" + "".join(rows)


TABLES: dict[str, tuple[str, Mapping[str, Any]]] = {
    "models": ("model", MODELS),
    "readers": ("source", READERS),
    "index types": ("type", INDEXES),
    "ranker features": ("feature", {feature.name: feature for feature in FEATURES}),
    "policies": ("option", {f"{option_of(name)} {p.metavar}".rstrip(): p for name, p in POLICIES.items()}),
}


def with_tables(text: str) -> str:
    """The text of a Markdown page with the tables of the registries that it has a place for."""
    for name, (what, registry) in TABLES.items():
        text = re.sub(rf"(<!-- {name} -->\n).*?(<!-- end -->)", rf"\1{table(what, registry)}\2", text, flags=re.DOTALL)
    return re.sub(r"(<!-- layers -->\n).*?(<!-- end -->)", rf"\1{layers()}\2", text, flags=re.DOTALL)


def layers() -> str:
    """The Markdown table of the layers of the package, from the test that holds imports to them."""
    structure = runpy.run_path(str(ROOT / "tests" / "test_structure.py"))
    rows = [", ".join(f"`{room}`" for room in sorted(rooms)) for rooms in structure["LAYERS"]]
    return "| layer | packages and modules |\n|---|---|\n" + "".join(
        f"| {level} | {row} |\n" for level, row in enumerate(rows, start=1)
    )


def pages() -> dict[Path, str]:
    """The pages with tables of registries. Raises SystemExit for a registry that no page has a place for."""
    texts = {path: path.read_text() for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))}
    for name in TABLES:
        if not any(f"<!-- {name} -->" in text for text in texts.values()):
            raise SystemExit(f"no page has <!-- {name} --> for the table of {name}; add it to one, and <!-- end -->")
    return {path: with_tables(text) for path, text in texts.items() if "<!-- end -->" in text}


def files() -> dict[Path, str]:
    """Every generated file, with the text that it must have."""
    configs = {ROOT / "configs" / f"{name}.toml": name for name in MODELS}
    return {
        ROOT / "embedrec" / "__init__.pyi": stub(),
        **pages(),
        **{path: config(name, path.read_text() if path.exists() else "") for path, name in configs.items()},
    }


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text)
