"""Help, public names, completion, configs and tables of pages follow the registries."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path

import pytest

import embedrec
from embedrec.cli.main import cli
from embedrec.config import Entry, resolve
from embedrec.experiments.export_step import Export
from embedrec.export.policies.settings import POLICIES, option_of
from embedrec.index.index_types import INDEXES, IndexType
from embedrec.models import MODELS, SAVED_MODELS, ModelEntry, recipe_class
from embedrec.models.serialization import load_model
from embedrec.publish import TARGETS, TargetEntry
from embedrec.publish.content import PublishContent
from embedrec.publish.endpoint import Endpoint
from embedrec.readers import READERS, ReaderEntry, reader
from embedrec.storage import artifacts
from scripts.registries import ROOT, files
from tests.cli.conftest import Run, compass, run, succeed  # noqa: F401
from tests.models import test_contract

WIDTH = 62  # characters of a summary beside names in help of 80 columns
NEW_MODEL = '''"""A model of a test."""
from dataclasses import dataclass
from typing import ClassVar

from embedrec.models.baselines.popular import Popular


@dataclass(frozen=True)
class Newest(Popular):
    """Items by their counts.

    bonus  a setting
    """

    name: ClassVar[str] = "newest"
    SMALL: ClassVar[dict[str, object]] = {"bonus": 1.0}
    VARIANTS: ClassVar[tuple[dict[str, object], ...]] = ({"bonus": 2.0},)

    bonus: float = 0.5
'''
NEW_READER = '''"""A reader of a test."""
from dataclasses import dataclass
from typing import Literal

from embedrec.readers.table import Table


@dataclass(frozen=True)
class Log:
    """Lines of session and item.

    separator  "tab" or "comma"
    upper      whether ids are upper case
    """

    separator: Literal["tab", "comma"] = "comma"
    upper: bool = False

    def read(self, paths, *given, **options):
        assert self.separator == "tab" and self.upper
        return Table(format="tsv", columns="session,item").read(paths, *given, **options)
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a folder `modules` on the import path."""
    (tmp_path / "modules").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "modules")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    (tmp_path / "log.tsv").write_text("1\ta\n1\tb\n2\ta\n2\tc\n3\ta\n3\tb\n")
    return tmp_path


def completions_of(line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The completions that bash receives for the last word of a line."""
    from embedrec.cli.completion import complete

    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(line.count(" ")))
    capsys.readouterr()
    with pytest.raises(SystemExit):
        complete(cli, "bash_complete")
    return [row.split(",", 1)[1] for row in capsys.readouterr().out.splitlines()]


def test_generated_files_are_up_to_date() -> None:
    old = [str(path.relative_to(ROOT)) for path, text in files().items() if path.read_text() != text]
    assert not old, "run python scripts/registries.py"
    names = {path.stem for path in (ROOT / "configs").glob("*.toml")}
    assert {name for name in names if not name.startswith("spark-")} == set(MODELS)


@pytest.mark.parametrize("registry", [SAVED_MODELS, READERS, INDEXES, TARGETS])
def test_summaries_fit_a_line(registry: dict[str, Entry | IndexType]) -> None:
    assert all(0 < len(entry.summary) <= WIDTH for entry in registry.values())


def test_recipes_are_public() -> None:
    recipes = [recipe_class(name) for name in MODELS]
    assert len(set(recipes)) == len(MODELS) >= 19
    for recipe in recipes:
        assert recipe.__name__ in embedrec.__all__ and getattr(embedrec, recipe.__name__) is recipe


@pytest.mark.parametrize("command", ["train", "tune", "evaluate"])
def test_help_lists_every_model(run: Run, command: str) -> None:  # noqa: F811
    lines = [" ".join(line.split()) for line in succeed(run, command, "--help").out.splitlines()]
    assert {f"{name} {entry.summary}" for name, entry in MODELS.items()} <= set(lines)


def test_models_with_a_warm_start_have_settings_for_it() -> None:
    for name, entry in MODELS.items():
        assert entry.warm_start == hasattr(recipe_class(name), "continuing")
        assert entry.warm_start == ("init" in inspect.signature(recipe_class(name).fit).parameters)
        if entry.warm_start:
            assert "changes" in inspect.signature(recipe_class(name).continuing).parameters


def test_a_model_needs_a_file_and_a_registry_entry(
    run: Run,  # noqa: F811
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (folder / "modules" / "newest_model.py").write_text(NEW_MODEL)
    monkeypatch.setitem(MODELS, "newest", ModelEntry("newest_model:Newest", "counts of a test"))
    assert "newest        counts of a test" in succeed(run, "train", "--help").out
    assert "bonus=0.5" in succeed(run, "train", "newest", "--help").out
    assert "Newest" in embedrec.__all__ and "Newest" in dir(embedrec)
    assert embedrec.Newest().bonus == 0.5
    assert [settings for name, settings in test_contract.cases() if name == "newest"] == [{}, {"bonus": 2.0}]
    assert completions_of("embedrec train new", monkeypatch, capsys) == ["newest"]
    succeed(run, "prepare", "table", "log.tsv", "--columns", "session,item")
    succeed(run, "train", "newest", "--set", "bonus=2")
    model = load_model(artifacts.read(folder / "models" / "newest"))
    assert type(model.recipe) is embedrec.Newest and model.recipe.bonus == 2
    assert succeed(run, "recommend", "b", "-n", 1).rows[0][1] == "a"
    assert "newest" in succeed(run, "compare", "newest", "random", "--split", "random", "--at", 1, "--draws", 0).out


def test_a_reader_needs_a_file_and_a_registry_entry(
    run: Run,  # noqa: F811
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (folder / "modules" / "log_reader.py").write_text(NEW_READER)
    entry = ReaderEntry("log_reader:Log", "Logs of a test.", {"duplicates": "all"})
    monkeypatch.setitem(READERS, "log", entry)
    assert "log        Logs of a test." in succeed(run, "prepare", "--help").out
    shown = succeed(run, "prepare", "log", "--help").out
    assert "--separator [tab|comma]" in shown and "--upper / --no-upper" in shown and "Whether ids are upper" in shown
    assert completions_of("embedrec prepare lo", monkeypatch, capsys) == ["log"]
    assert completions_of("embedrec prepare log --sep", monkeypatch, capsys) == ["--separator"]
    succeed(run, "prepare", "log", "log.tsv", "--separator", "tab", "--upper", "--min-length", 1)
    about = artifacts.read(folder / "sessions" / "log").about
    assert about["reader"] == {"separator": "tab", "upper": True} and about["filters"]["duplicates"] == "all"


def test_every_reader_has_its_command_and_options(run: Run) -> None:  # noqa: F811
    prepare = cli.get_command(None, "prepare")  # type: ignore[arg-type]
    assert prepare.list_commands(None) == list(READERS)
    for name in READERS:
        assert {"PATH...", "--min-length"} <= set(succeed(run, "prepare", name, "--help").out.split()), name
        assert callable(reader(name).read)


def test_an_index_type_needs_a_function_and_a_registry_entry(
    run: Run,  # noqa: F811
    compass: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(INDEXES, "small", IndexType(lambda n, d: f"IVF{n // 6},Flat", "a type of a test", cells=True))
    assert "small     a type of a test" in succeed(run, "build-index", "--help").out
    assert completions_of("embedrec build-index --type sm", monkeypatch, capsys) == ["small"]
    assert completions_of("embedrec evaluate x --through sm", monkeypatch, capsys) == ["small"]
    row = succeed(run, "build-index", "--type", "small", "--workspace", compass, "--name", "s", "--json").out
    assert '"spec": "IVF1,Flat"' in row
    assert "valid are flat, ivf" in run("build-index", "--type", "zzz", "--workspace", compass).err


def test_every_policy_is_an_option_of_export(run: Run) -> None:  # noqa: F811
    shown = succeed(run, "export", "--help").out
    options = [shown.index(f"\n  {option_of(name)} ") for name in POLICIES]
    assert options == sorted(options)  # in the order of application
    assert " ".join(shown.split()).count("Down-weight") == 2
    for name in POLICIES:
        assert callable(resolve(POLICIES, name, "policy").create)
    assert set(POLICIES) <= set(Export(file="similar.txt").settings())  # [[export]] of an experiment


@dataclass
class Board:
    """A target of a test."""

    endpoint: Endpoint
    prefix: str

    def measure(self, content: PublishContent) -> dict[str, int]:
        assert (str(self.endpoint), self.endpoint.secret, self.prefix) == ("board://x", "key", "embedrec")
        return {"rows": len(content.vocab), "bytes": 1}


def test_a_target_needs_a_file_and_a_registry_entry(
    run: Run,  # noqa: F811
    compass: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    entry = TargetEntry(f"{__name__}:Board", "A board of a test.", "BOARD_URL", "BOARD_KEY")
    monkeypatch.setitem(TARGETS, "board", entry)
    monkeypatch.setenv("BOARD_URL", "board://x")
    monkeypatch.setenv("BOARD_KEY", "key")
    assert "board     A board of a test." in succeed(run, "publish", "--help").out
    assert completions_of("embedrec publish bo", monkeypatch, capsys) == ["board"]
    assert succeed(run, "publish", "board", "--dry-run", "--workspace", compass).rows == [["board", "6", "1"]]


def test_every_target_has_a_command_and_documentation(run: Run) -> None:  # noqa: F811
    page = (ROOT / "docs" / "how-to" / "publish.md").read_text()
    for name in TARGETS:
        assert "--dry-run" in succeed(run, "publish", name, "--help").out and f"embedrec publish {name}" in page
        assert callable(resolve(TARGETS, name, "target"))
