"""Exports on Spark have the bytes of exports of one machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from embedrec.data import Sessions
from embedrec.errors import DataError, SettingsError
from embedrec.export.file_format import layout_of
from embedrec.export.policies.settings import Policies
from embedrec.export.write_lists import ExportResult, ExportSettings, export_by, export_lists
from embedrec.models.imported import Vectors
from embedrec.models.serialization import save_model
from embedrec.spark.session import SparkSettings
from embedrec.storage import artifacts
from embedrec.storage.workspace import Workspace
from embedrec.workflows import spark_export
from embedrec.workflows.build_index import IndexSettings, build_index_artifact
from embedrec.workflows.export import ExportSource, open_export_source
from embedrec.workflows.spark_export import spark_engine
from embedrec.workflows.train import train_model
from tests.conftest import some_embeddings

pytestmark = pytest.mark.spark

N = 9000  # three blocks


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The model "vectors" and its index "flat", and the model "cooccurrence" of sessions of some of its items."""
    workspace = Workspace(tmp_path_factory.mktemp("exports"))
    embeddings = some_embeddings(N, 4)
    model = workspace.folder("model", "vectors")
    save_model(Vectors().from_arrays(embeddings.vocab, {"items": embeddings.vectors}), model, {})
    build_index_artifact(artifacts.read(model, "model"), workspace.folder("index", "flat"), IndexSettings("flat"))
    lists = [[f"i{(s * 7 + step * 3) % 40}" for step in range(4)] for s in range(90)]
    Sessions.of_lists(lists).save(workspace.folder("sessions", "plays"), {})
    from embedrec.models.cooccurrence.cooccurrence import Cooccurrence

    source = artifacts.read(workspace.folder("sessions", "plays"), "sessions")
    train_model(Cooccurrence(), source, workspace.folder("model", "cooccurrence"))
    return workspace


def exported(
    workspace: Workspace, target: Path, source: ExportSource, settings: ExportSettings, spark: bool
) -> ExportResult:
    opened = open_export_source(workspace, source)
    if not spark:
        return export_lists(target, opened.lists, settings, opened.inputs, opened.about)
    with spark_engine(workspace, source, opened, settings, target, SparkSettings()) as engine:
        return export_by(engine, target, opened.about)


def content(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else sorted(path.iterdir())
    return {file.name: file.read_bytes() for file in files}


CASES: list[tuple[str, dict[str, Any], ExportSource, Policies]] = [
    ("l.txt", {}, ExportSource(index="flat"), Policies()),
    ("l.csv.gz", {}, ExportSource(index="flat"), Policies(csls=3, mutual=True)),
    ("l.tsv", {"header": True}, ExportSource(model="cooccurrence"), Policies(min_evidence=2, back_off=True)),
    ("l.parquet", {}, ExportSource(model="cooccurrence"), Policies()),
    ("shards", {"given": "jsonl.zst", "shards": 5}, ExportSource(index="flat"), Policies()),
    ("shards", {"given": "csv", "shards": 3}, ExportSource(index="flat"), Policies(discount=0.1, csls=2)),
    ("shards", {"given": "parquet", "shards": 2}, ExportSource(model="cooccurrence"), Policies()),
]


@pytest.mark.parametrize(("name", "layout", "source", "policies"), CASES)
def test_files_have_the_same_bytes(
    spark: Any,
    workspace: Workspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    layout: dict[str, Any],
    source: ExportSource,
    policies: Policies,
) -> None:
    if "csls" in policies.enabled() or "discount" in policies.enabled():
        policies = replace(policies, discount=None)  # the vectors were trained on no sessions
    monkeypatch.setattr(spark_export, "_TASK_BLOCKS", 2)
    settings = ExportSettings(5, policies, layout=layout_of(name, **layout))
    results = {}
    for engine in ("local", "spark"):
        folder = tmp_path / engine
        folder.mkdir()
        results[engine] = exported(workspace, folder / name, source, settings, engine == "spark")
    assert content(tmp_path / "spark" / name) == content(tmp_path / "local" / name)
    assert results["spark"] == results["local"]
    assert [path.name for path in (tmp_path / "spark").iterdir()] == [name]  # no parts are left


def test_recommendations_for_histories(
    spark: Any,
    workspace: Workspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # executors do not know the folder of the driver
    Path("h.csv").write_text("session,item\n" + "".join(f"s{n},i{n % 40}\n" for n in range(50)))
    source = ExportSource("recommendations", model="cooccurrence", histories=Path("h.csv"))
    settings = ExportSettings(3, layout=layout_of("l.tsv"))
    for engine in (False, True):
        exported(workspace, Path(f"{engine}.tsv"), source, settings, engine)
    assert Path("True.tsv").read_bytes() == Path("False.tsv").read_bytes()


def test_a_source_that_is_replaced_is_an_error(spark: Any, workspace: Workspace, tmp_path: Path) -> None:
    source, settings = ExportSource(index="flat"), ExportSettings(3)
    opened = open_export_source(workspace, source)
    other = replace(opened, about={**opened.about, "of": "another"})
    with (
        pytest.raises(DataError, match=r"^the source of the export was replaced while it ran; export again$"),
        spark_engine(workspace, source, other, settings, tmp_path / "l.txt", SparkSettings()) as engine,
    ):
        export_by(engine, tmp_path / "l.txt", opened.about)
    assert list(tmp_path.iterdir()) == []


def test_errors_of_policies_are_those_of_one_machine(
    spark: Any,
    workspace: Workspace,
    tmp_path: Path,
) -> None:
    settings = ExportSettings(3, Policies(min_evidence=2))
    with pytest.raises(SettingsError, match=r"^model vectors was imported from a file; its training sessions are"):
        exported(workspace, tmp_path / "l.txt", ExportSource(index="flat"), settings, True)
