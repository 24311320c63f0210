"""Write what is generated from the registries: `python scripts/registries.py`.

embedrec/__init__.pyi  the public names, for type checkers
configs/MODEL.toml     the defaults of a recipe, below the comments at the top of the file
README.md              the tables between <!-- NAME --> and <!-- end -->, see `TABLES`
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import embedrec
from embedrec.config import to_toml
from embedrec.models import MODELS, recipe_class

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


def models() -> str:
    """The table of models."""
    rows = (f"| `{name}` | {entry.summary} |\n" for name, entry in MODELS.items())
    return "| model | what it is |\n|---|---|\n" + "".join(rows)


TABLES: dict[str, Callable[[], str]] = {"models": models}


def readme(text: str) -> str:
    """The text of README.md with the tables of the registries."""
    for name, table in TABLES.items():
        text, found = re.subn(rf"(<!-- {name} -->\n).*?(<!-- end -->)", rf"\1{table()}\2", text, flags=re.DOTALL)
        if not found:
            raise SystemExit(f"README.md has no <!-- {name} --> for the table of {name}; add it, and <!-- end -->")
    return text


def files() -> dict[Path, str]:
    """Every generated file, with the text that it must have."""
    configs = {ROOT / "configs" / f"{name}.toml": name for name in MODELS}
    return {
        ROOT / "embedrec" / "__init__.pyi": stub(),
        ROOT / "README.md": readme((ROOT / "README.md").read_text()),
        **{path: config(name, path.read_text() if path.exists() else "") for path, name in configs.items()},
    }


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text)
