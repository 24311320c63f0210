"""Structure of the package: layers of imports, imports at start, public names, and calls that are not allowed."""

from __future__ import annotations

import ast
import os
import re
import runpy
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import embedrec
from embedrec.errors import EXTRAS

PACKAGE = Path(embedrec.__file__).parent
ROOT = PACKAGE.parent

# Rooms from the bottom up. A module imports from rooms of its own line and of the lines above it, never from below.
LAYERS = [
    {"kernels", "text", "errors", "progress", "runtime", "version"},
    {"config", "storage"},
    {"data", "datasets", "tabular", "training"},
    {"splitting", "vectors"},
    {"export", "index", "models", "publish", "readers"},
    {"evaluation", "html_report", "ranking", "spark"},
    {"workflows"},
    {"experiments", "pipeline", "serving", "tune"},
    {"cli", "client"},
]
APART = [LAYERS[4]]  # its rooms know nothing of each other
FAMILIES = {path.parent.name for path in (PACKAGE / "models").glob("*/__init__.py")}  # of models
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}
HEAVY = {"torch", "faiss", "gensim", "matplotlib", "numba", "pandas", "scipy", "pyarrow", "numpy", "rich"}
HEAVY |= {"redis", "psycopg", "pyspark", "qdrant_client", "uvicorn"}


def modules() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if p.parent != PACKAGE or p.stem not in ("__init__", "__main__"))


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def dotted(path: Path) -> str:
    """The name of a module or package."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported_by(path: Path) -> set[str]:
    """The modules of embedrec that a module imports: at its top, in functions, and for types only."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    known = {dotted(p) for p in PACKAGE.rglob("*.py")}
    result = {name if name in known else name.rpartition(".")[0] for name in names if name.split(".")[0] == "embedrec"}
    return result - {dotted(path), "embedrec"}


def test_every_package_has_a_layer() -> None:
    assert {part_of(p) for p in modules()} == set(LEVEL)


def test_at_most_6_modules_are_outside_of_packages() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 6


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    mine = part_of(path)
    for name in imported_by(path):
        other = name.split(".")[1]
        assert LEVEL[other] <= LEVEL[mine], f"{mine} imports {other}, which stands above it"
        assert mine == other or not any({mine, other} <= apart for apart in APART), f"{mine} and {other} stand apart"
        if mine == other == "models":
            others = set(name.split(".")) & FAMILIES
            assert others <= set(path.parts), f"what model families share stands outside of them, unlike {name}"


def test_every_module_has_its_test_file() -> None:
    """The tests of `embedrec/ROOM/x.py` are in `tests/ROOM/test_x.py`."""
    paths = [path.relative_to(PACKAGE) for path in modules() if path.stem not in ("__init__", "__main__")]
    assert [str(p) for p in paths if not (ROOT / "tests" / p.with_name(f"test_{p.name}")).is_file()] == []


def test_there_are_no_import_cycles() -> None:
    """Imports in functions and for types count, too."""
    imports = {dotted(path): imported_by(path) for path in modules()}
    for start, direct in imports.items():
        reached, new = set(), direct
        while new:
            reached |= new
            new = {other for name in new for other in imports.get(name, ())} - reached
        assert start not in reached, f"{start} imports itself through {sorted(reached & direct)}"


def modules_loaded_by(code: str, folder: Path = ROOT) -> set[str]:
    script = f"import sys\n{code}\nprint(' '.join(sys.modules))"
    env = {**os.environ, "COLUMNS": "100", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script]
    process = subprocess.run(command, capture_output=True, text=True, check=True, env=env, cwd=folder)
    return set(process.stdout.splitlines()[-1].split())


def test_replaced_names_do_not_occur() -> None:
    assert runpy.run_path(str(ROOT / "scripts" / "names.py"))["replaced_names"]() == []


def loaded_by(code: str) -> set[str]:
    return {name.split(".")[0] for name in modules_loaded_by(code)}


def test_similar_loads_few_modules(tmp_path: Path) -> None:
    rows = "".join(f"s{s},i{(s * 7 + k * 3) % 20},{1_700_000_000 + s * 100 + k}\n" for s in range(60) for k in range(5))
    (tmp_path / "log.csv").write_text(f"session,item,time\n{rows}")
    settings = ("--set", "epochs=1", "--set", "min_count=1", "--set", "dim=8")
    steps = (("prepare", "table", "log.csv"), ("train", "word2vec", *settings), ("build-index", "--type", "flat"))
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    for words in steps:
        subprocess.run(
            [sys.executable, "-m", "embedrec", *words], cwd=tmp_path, env=env, capture_output=True, check=True
        )
    code = "from embedrec.cli.main import cli\ncli.main(['similar', 'i3'], standalone_mode=False)"
    loaded = modules_loaded_by(code, tmp_path)
    ours = {name for name in loaded if name.split(".")[0] == "embedrec"}
    assert len(ours) <= 45, sorted(ours)
    rooms = {"readers", "training", "splitting", "evaluation", "export", "publish"}
    assert not {name.split(".")[1] for name in ours if "." in name} & rooms
    assert not any(name.startswith("embedrec.models.") for name in ours)
    assert not loaded & {"torch", "gensim", "pandas", "scipy", "numba"}


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


def test_ci_runs_every_python_of_the_classifiers() -> None:
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    versions = [c.removeprefix("Programming Language :: Python :: ") for c in classifiers if ":: Python ::" in c]
    matrix = "python: [" + ", ".join(f'"{version}"' for version in versions) + "]"
    assert versions and matrix in (ROOT / ".github" / "workflows" / "ci.yml").read_text()


def test_no_pickle_anywhere() -> None:
    banned = ("import pickle", "allow_pickle=True", "joblib", "torch.load")
    for path in modules():
        text = path.read_text()
        assert not [b for b in banned if b in text], path


def test_constraints_pin_exact_versions_of_all_dependencies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = [
        *project["dependencies"],
        *(d for extra in project["optional-dependencies"].values() for d in extra),
    ]
    requirements = [dependency for dependency in requirements if not dependency.startswith("embedrec[")]
    pinned = {line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert {re.split(r"[<>=\[]", d)[0].lower() for d in requirements} <= pinned
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in (ROOT / "constraints.txt").read_text().splitlines())


def test_every_imported_package_is_a_dependency_or_of_an_extra() -> None:
    """A module of an extra is in `errors.EXTRAS`, which `need_package` reads; all else comes with embedrec."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {
        "faiss-cpu": "faiss",
        "mlflow-skinny": "mlflow",
        "qdrant-client": "qdrant_client",
        "umap-learn": "umap",
    }  # after the distribution

    def modules_of(dependencies: list[str]) -> set[str]:
        distributions = {re.split(r"[<>=\[]", dependency)[0] for dependency in dependencies}
        return {named.get(name, name) for name in distributions}

    extras = project["optional-dependencies"]
    core = modules_of(project["dependencies"]) | {"llvmlite"}  # numba installs it
    assert not core & set(EXTRAS)
    for module, extra in EXTRAS.items():
        assert module in modules_of(extras[extra]), f"the extra {extra} does not install {module}"
        assert extra in extras["all"][0] or extra in ("umap", "mlflow", "spark", "tensorboard", "wandb")
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"embedrec"}:
                assert name in core | set(EXTRAS), f"{path} imports {name}, which no dependency installs"


def test_only_one_room_imports_pyspark() -> None:
    for path in modules():
        if part_of(path) != "spark":
            assert not re.search(r"^\s*(import|from) pyspark", path.read_text(), re.MULTILINE), path


def test_only_one_module_writes_to_stdout_and_stderr() -> None:
    """It escapes control characters of the data and masks passwords."""
    for path in modules():
        text = path.read_text()
        if path != PACKAGE / "cli" / "shared" / "terminal.py":
            assert not [w for w in ("click.echo", "click.secho", "stdout.write", "stderr.write") if w in text], path


def test_no_except_clause_lists_exceptions_of_parsers() -> None:
    """Such lists are never complete: `decoding` converts every exception of a parser."""
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
    allowed = {PACKAGE / "tabular" / name for name in ("formats.py", "read_rows.py")}
    allowed |= {PACKAGE / "cli" / "shared" / "failures.py"}
    for path in modules():
        for line in path.read_text().splitlines():
            if path not in allowed and line.strip().startswith("except ") and "UnicodeDecodeError" not in line:
                assert not [kind for kind in kinds if kind in line], (path, line)


def test_names_that_scripts_import_exist() -> None:
    """Benches and examples are not run by tests: what they import from embedrec, also in functions, exists."""
    wrong = []
    for path in sorted([*(ROOT / "scripts").rglob("*.py"), *(ROOT / "examples").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "embedrec":
                wrong += [
                    f"{path.relative_to(ROOT)}: {node.module}.{alias.name}"
                    for alias in node.names
                    if not hasattr(import_module(str(node.module)), alias.name)
                    and not (PACKAGE.parent / str(node.module).replace(".", "/") / f"{alias.name}.py").is_file()
                ]
    assert not wrong


EQUAL_RUNS = runpy.run_path(str(ROOT / "scripts" / "equal_runs.py"))["equal_runs"]


def test_no_run_of_equal_lines_occurs_twice() -> None:
    assert EQUAL_RUNS() == []


def test_equal_runs_are_found_in_one_file_and_in_two(tmp_path: Path) -> None:
    """Runs are found at any indentation, across blank lines and imports, and named once at their full length."""
    lines = [f"x{i} = {i}" for i in range(9)]
    (tmp_path / "a.py").write_text("\n".join([*lines, "", "import os", *lines[:8], ""]))
    (tmp_path / "b.py").write_text("if True:\n    import os\n" + "\n\n".join(f"    {line}" for line in lines))
    assert EQUAL_RUNS(tmp_path) == [
        "a.py:1 ~ a.py:12: 8 lines",
        "a.py:1 ~ b.py:3: 9 lines",
        "a.py:12 ~ b.py:3: 8 lines",
    ]
    assert EQUAL_RUNS(tmp_path, 9) == ["a.py:1 ~ b.py:3: 9 lines"]
