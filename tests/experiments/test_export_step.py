"""The step [[export]]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from embedrec.errors import SettingsError
from embedrec.experiments.export_step import Export
from embedrec.experiments.index_step import Index
from embedrec.experiments.step import Links, StepContext
from embedrec.export.policies.settings import Policies
from embedrec.models.serialization import load_item_vectors
from embedrec.progress import quiet
from embedrec.vectors.file_formats import load_vectors
from tests.experiments.conftest import LIGHT, Finished, Opened, planned_steps, steps_run


def test_an_export_applies_policies(open_experiment: Opened, finished: Finished) -> None:
    _, context = finished
    export_table = '[[export]]\nfile = "near.tsv"\nindex = "vectors-flat"\nn = 3\nmin_score = 0.5\nmutual = true\n'
    experiment, _ = open_experiment(LIGHT + export_table)
    assert steps_run(experiment, context) == ["export near.tsv"]
    lines = [line.split("\t") for line in (context.workspace.root / "near.tsv").read_text().splitlines()]
    assert lines and max(int(rank) for _, rank, *_ in lines if rank.isdecimal()) <= 3


@pytest.mark.parametrize("name", ["items.vec", "items.bin"])
def test_vectors_are_exported(open_experiment: Opened, finished: Finished, name: str) -> None:
    experiment, context = open_experiment(LIGHT + f'[[export]]\nfile = "{name}"\nmodel = "vectors"\n')
    assert steps_run(experiment, context) == [f"export {name}"]
    exported, model = load_vectors(context.workspace.root / name), context.workspace.find("model", "vectors")
    vectors = load_item_vectors(model)
    assert set(exported.vocab.ids) == set(vectors.vocab.ids)
    assert (exported.vectors == vectors.vectors[vectors.vocab.rows(exported.vocab.ids)]).all()
    assert planned_steps(experiment, context) == {}


def test_an_index_and_a_model_are_exported(svd_context: StepContext) -> None:
    root = svd_context.workspace.root
    Index(model="svd", type="flat", name="svd-flat", links=Links(sessions="log")).run(svd_context, quiet)
    export = Export(file="out/similar.txt", index="svd-flat", n=1)
    assert (export.id, export.output) == ("export out/similar.txt", "out/similar.txt")
    export.run(svd_context, quiet)
    lines = (root / "out" / "similar.txt").read_text().splitlines()
    assert [line.split(" ")[0] for line in lines] == ["a", "b", "c"]
    assert all(len(line.split(" ")) == 2 for line in lines)
    Export(file="items.vec", model="svd").run(svd_context, quiet)
    assert (root / "items.vec").read_text().startswith("3 2\na ")


def test_policies_are_keys_of_the_table() -> None:
    export = Export(file="x.txt", options={"caps": {"artist": 2}, "mmr": 0.3})
    assert export.lists.policies == Policies(caps={"artist": 2}, mmr=0.3)
    settings = export.settings()
    assert (settings["caps"], settings["mmr"], settings["mutual"], settings["n"]) == ({"artist": 2}, 0.3, False, 20)
    assert Export(file="x.txt").settings()["caps"] == {}


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (lambda: Export(file="x.txt", format="tvs").lists, "unknown format 'tvs'; did you mean 'tsv'?"),
        (lambda: Export(file="x.txt", options={"mmr": 2}).lists, "mmr must be between 0 and 1, but is 2"),
        (
            lambda: Export(file="x.txt", options={"caps": {"a": "b"}}).lists,
            "setting 'caps' in [[export]] must be a whole number, but is 'b'",
        ),
    ],
)
def test_invalid_values_are_refused(create: Callable[[], Any], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        create()
    assert str(error.value).startswith(message)
