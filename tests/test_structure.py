"""The shape of the house: imports point down, starts are light, the public surface is what it says."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import embedrec

PACKAGE = Path(embedrec.__file__).parent
ROOT = PACKAGE.parent

# A module may import from its own layer's part and from the layers above its own line; never from below.
LAYERS = [
    {
        "atomic",
        "near_misses",
        "interpreters",
        "locks",
        "remembered",
        "errors",
        "controls",
        "decoding",
        "native_text",
        "reporting",
        "kernels",
    },
    {"registry", "config", "descriptions", "artifacts", "manifests"},
    {"data", "toy", "datasets", "training"},
    {"readers", "topk"},
    {"exact"},
    {"embeddings"},
    {"vector_meta", "vector_records", "vector_files", "faiss_index", "faiss_file"},
    {"index", "models"},
    {"evaluate", "export"},
    {"workspace", "lineage"},
    {"steps"},
    {"nearest", "past", "trial", "allowed", "changing", "answering"},
    {"comparison", "exportable", "finding", "sweep", "page"},
    {"demo", "study", "tune"},
    {"cli"},
]
APART = [{"index", "models"}, {"evaluate", "export"}]  # parts of one layer that never import each other
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}
HEAVY = {"torch", "faiss", "gensim", "matplotlib", "numba", "pandas", "scipy", "pyarrow", "numpy", "rich"}
HEAVY |= {"redis", "psycopg", "qdrant_client"}


def modules() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if p.parent != PACKAGE or p.stem not in ("__init__", "__main__"))


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_parts(path: Path) -> set[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    parts = {name.split(".")[1] for name in names if name.startswith("embedrec.")}
    return parts - {"__version__"}


def test_every_part_has_a_layer() -> None:
    assert {part_of(p) for p in modules()} == set(LEVEL)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    mine = part_of(path)
    for other in imported_parts(path) - {mine}:
        assert LEVEL[other] <= LEVEL[mine], f"{mine} imports {other}, which stands above it"
        assert not any({mine, other} <= apart for apart in APART), f"{mine} and {other} must not import each other"


def loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(' '.join(sys.modules))"
    env = {**os.environ, "COLUMNS": "100"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=env)
    return {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}


def test_importing_the_package_is_light() -> None:
    assert not loaded_by("import embedrec") & HEAVY


def test_help_is_light() -> None:
    code = "from embedrec.cli.main import cli\ncli.main(['--help'], standalone_mode=False)"
    assert not loaded_by(code) & HEAVY


def test_public_names_resolve_and_are_listed() -> None:
    assert sorted(embedrec.__all__) == embedrec.__all__
    for name in embedrec.__all__:
        assert getattr(embedrec, name) is not None
        assert name in dir(embedrec)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        embedrec.nothing  # noqa: B018


def test_version_is_that_of_the_project() -> None:
    from importlib.metadata import version

    assert embedrec.__version__ == version("embedrec")


def test_no_pickle_anywhere() -> None:
    banned = ("import pickle", "allow_pickle=True", "joblib", "torch.load")
    for path in modules():
        text = path.read_text()
        assert not [b for b in banned if b in text], path


def test_constraints_pin_exact_versions_of_all_dependencies() -> None:
    import re
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    pinned = {line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert {re.split(r"[<>=\[]", d)[0].lower() for d in wanted} <= pinned
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in (ROOT / "constraints.txt").read_text().splitlines())


def test_text_leaves_the_program_in_one_place() -> None:
    """So that no escape sequence of data reaches a terminal, and no password a message."""
    for path in modules():
        text = path.read_text()
        if path != PACKAGE / "cli" / "terminal.py":
            assert not [w for w in ("click.echo", "click.secho", "stdout.write", "stderr.write") if w in text], path


def test_what_parsers_raise_is_listed_nowhere() -> None:
    """Every list was incomplete: `decoding` takes whatever a parser raises."""
    kinds = (
        "ArrowException",
        "DecodeError",
        "zlib.error",
        "BadZipFile",
        "TarError",
        "SafetensorError",
        "RecursionError",
    )
    # a second try; types that cannot be cast, which no parser raises; a sentence of it
    allowed = {PACKAGE / "readers" / name for name in ("formats.py", "rows.py")} | {PACKAGE / "cli" / "unforeseen.py"}
    for path in modules():
        for line in path.read_text().splitlines():
            if path not in allowed and line.strip().startswith("except ") and "UnicodeDecodeError" not in line:
                assert not [kind for kind in kinds if kind in line], (path, line)
