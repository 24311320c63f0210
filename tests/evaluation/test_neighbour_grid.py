"""The grid of session kNN: every cell equals an ordinary evaluation, and an interrupted run resumes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from embedrec.data import Sessions, Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.evaluation import neighbour_grid as module
from embedrec.evaluation.evaluate import EvaluationSettings, evaluate
from embedrec.evaluation.grid_artifact import remove_parts
from embedrec.evaluation.neighbour_grid import LIST_LENGTHS, NEIGHBOURS, Grid, evaluate_grid
from embedrec.models.baselines.popular import Popular
from embedrec.models.session_knn.base import SessionKnn
from embedrec.models.session_knn.model import SessionKnnModel
from embedrec.models.session_knn.variants import SKNN, SSCF, STAN, VMIS, VSKNN, VSTAN
from embedrec.models.session_knn.wsknn import WSKNN
from embedrec.splitting.holdout import HeldOut
from embedrec.splitting.subsessions import sub_sessions
from embedrec.splitting.test_cases import TestCases, next_items, remaining_items
from tests.conftest import of_lists
from tests.data import strategies as draw

LETTERS = Vocab(list("abcdef"))
TIES = ("conservative", "standard", "median")


def cells(
    recipe: SessionKnn, test_cases: TestCases, train: Sessions, settings: EvaluationSettings, sizes: Any
) -> list[dict[str, Any]]:
    """Slow reference: an ordinary evaluation for every number of neighbours."""
    rows = []
    for size in sizes:
        result = evaluate(replace(recipe, neighbours=size).fit(train, seed=5), test_cases, train, settings).metrics
        rows += [
            {"neighbours": size, "k": k, "hit_rate": result[f"hit_rate@{k}"], "mrr": result[f"mrr@{k}"]}
            for k in settings.at
        ]
    return rows


# ------------------------------------------------------------------------------------------------ every cell

recipes = st.one_of(
    st.builds(SSCF, sample=st.sampled_from([0, 3]), center=st.sampled_from(["all", "rated", "none"])),
    st.sampled_from(
        [
            SKNN(sample=4, scoring="followers"),
            VSKNN(compat="session-rec"),
            STAN(snh=None),
            VSTAN(snh=None, sample=2),
            VMIS(compat="serenade"),
            WSKNN(sampling="random", sample=3),
        ]
    ),
)
texts = st.text("abcdef", max_size=7)


@draw.given(
    st.lists(texts, min_size=1, max_size=12),
    st.lists(texts, min_size=1, max_size=5),
    recipes,
    st.sampled_from(
        [EvaluationSettings((1, 2, 5), s, t, u, 0) for s, t, u in product([True, False], TIES, ["miss", "drop"])]
    ),
    st.sets(st.integers(1, 20), min_size=1, max_size=4),
    st.booleans(),
    examples=100,
)
def test_every_cell_equals_evaluate(
    lists: list[str],
    held: list[str],
    recipe: SessionKnn,
    settings: EvaluationSettings,
    sizes: set[int],
    several_targets: bool,
) -> None:
    train = sub_sessions(of_lists(lists, LETTERS))
    test = HeldOut(of_lists([*held, "zaz"]), np.zeros(len(held) + 1))
    test_cases = remaining_items(test, 1) if several_targets else next_items(test)
    grid = evaluate_grid(recipe.fit(train, seed=5), test_cases, train, settings, sorted(sizes))
    assert grid.rows() == cells(recipe, test_cases, train, settings, sorted(sizes))
    assert grid.neighbours == tuple(sorted(sizes)) and grid.at == settings.at


@pytest.fixture(scope="module")
def world() -> tuple[Sessions, TestCases]:
    """Sub-sessions of 400 sessions with topics, and test cases after prefixes of other sessions."""
    rng = np.random.default_rng(0)
    lists = []
    for _ in range(440):
        theme = rng.integers(20) * 6
        lists.append((theme + 30 * rng.random(rng.integers(1, 12)) ** 2).astype(int).tolist())
    test = HeldOut(of_lists([*lists[400:], [0, 999, 1]]), np.zeros(41))  # 999 is not known
    return sub_sessions(of_lists(lists[:400])), next_items(test)


@pytest.mark.parametrize(
    ("center", "ties", "exclude_seen"),
    [
        ("all", "conservative", False), ("all", "standard", True), ("rated", "median", False),
        ("rated", "conservative", True), ("none", "standard", False), ("none", "median", True),
    ],
)  # fmt: skip
def test_every_cell_of_the_grid_of_the_article_equals_evaluate(
    world: tuple[Sessions, TestCases], center: Any, ties: Any, exclude_seen: bool
) -> None:
    rows, test_cases = world
    assert len(rows) > 2000
    settings = EvaluationSettings(LIST_LENGTHS, exclude_seen, ties, draws=0)
    grid = evaluate_grid(SSCF(center=center).fit(rows, threads=2), test_cases, rows, settings)
    assert grid.rows() == cells(SSCF(center=center), test_cases, rows, settings, NEIGHBOURS)
    assert grid.test_case_count == len(test_cases) and grid.hit_rate.shape == grid.mrr.shape == (7, 5)
    assert (np.diff(grid.hit_rate, axis=1) >= 0).all() and len(np.unique(grid.mrr)) > 10


def test_threads_do_not_change_the_grid(world: tuple[Sessions, TestCases], monkeypatch: pytest.MonkeyPatch) -> None:
    rows, test_cases = world
    monkeypatch.setattr("embedrec.models.session_knn.model.TASK_HISTORIES", 7)
    grids = [
        evaluate_grid(
            VSKNN().fit(rows, threads=threads), test_cases, rows, EvaluationSettings(LIST_LENGTHS), [3, 30]
        ).rows()
        for threads in (1, 3)
    ]
    assert grids[0] == grids[1]


def test_sessions_of_one_item_give_no_recommendations() -> None:
    train = sub_sessions(of_lists(["a", "b"]))
    test_cases = next_items(HeldOut(of_lists(["ab"]), np.zeros(1)))
    assert evaluate_grid(SSCF().fit(train), test_cases, train, EvaluationSettings((2,)), [1]).rows() == [
        {"neighbours": 1, "k": 2, "hit_rate": 0.0, "mrr": 0.0}
    ]


def test_invalid_requests_are_refused(world: tuple[Sessions, TestCases]) -> None:
    rows, test_cases = world
    model = SSCF().fit(rows)
    for sizes in ([], [5, 0]):
        with pytest.raises(SettingsError, match="numbers of neighbours must be at least 1, but are"):
            evaluate_grid(model, test_cases, rows, EvaluationSettings(LIST_LENGTHS), sizes)
    with pytest.raises(SettingsError, match=r"a grid needs a session-kNN model; popular is not one"):
        evaluate_grid(Popular().fit(rows), test_cases, rows, EvaluationSettings(LIST_LENGTHS))
    with pytest.raises(SettingsError, match="wsknn fills its lists with random items, so its results have no rank"):
        evaluate_grid(WSKNN(recommend_any=True).fit(rows), test_cases, rows, EvaluationSettings(LIST_LENGTHS))
    with pytest.raises(SettingsError, match="lists of 5000 are longer than the catalogue of"):
        evaluate_grid(model, test_cases, rows, EvaluationSettings((5000,)))
    unknown = next_items(HeldOut(of_lists(["xy"]), np.zeros(1)))
    letters = of_lists(["ab"])
    with pytest.raises(DataError, match="no test case is left"):
        evaluate_grid(SSCF().fit(letters), unknown, letters, EvaluationSettings((1,), unknown="drop"))


# ------------------------------------------------------------------------------------------ ended and resumed


class Recorder:
    """Records reports and interrupts the run at the n-th progress report."""

    def __init__(self, ends: int = 0) -> None:
        self.ends = ends
        self.done: list[int] = []
        self.resumed: tuple[int, int] | None = None

    def __call__(self, event: str, **numbers: Any) -> None:
        if event == "resumed":
            self.resumed = numbers["done"], numbers["total"]
        elif event == "progress":
            self.done.append(numbers["done"])
            if len(self.done) == self.ends:
                raise KeyboardInterrupt


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The number of histories of each request to a session kNN."""
    counts: list[int] = []
    target_positions = SessionKnnModel.target_positions

    def count_and_call(model: SessionKnnModel, histories: Sessions, *args: Any, **options: Any) -> Any:
        counts.append(len(histories))
        return target_positions(model, histories, *args, **options)

    monkeypatch.setattr(SessionKnnModel, "target_positions", count_and_call)
    yield counts


def run(world: tuple[Sessions, TestCases], parts: Path | None, recorder: Recorder, **other: Any) -> Grid:
    given: dict[str, Any] = {
        "recipe": SSCF(),
        "settings": EvaluationSettings((5, 10)),
        "sizes": (2, 9),
        "threads": 1,
        **other,
    }
    rows, test_cases = world
    model = given["recipe"].fit(rows, threads=given["threads"])
    return evaluate_grid(model, test_cases, rows, given["settings"], given["sizes"], parts=parts, report=recorder)


def test_an_interrupted_run_resumes(
    world: tuple[Sessions, TestCases], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, requests: list[int]
) -> None:
    monkeypatch.setattr(module, "BLOCK_CASES", 40)
    complete, total = run(world, None, Recorder()), len(world[1])
    assert not list(tmp_path.iterdir())
    requests.clear()
    with pytest.raises(KeyboardInterrupt):
        run(world, tmp_path, Recorder(ends=2))
    second = Recorder(ends=1)
    with pytest.raises(KeyboardInterrupt):
        run(world, tmp_path, second, threads=2)  # its parts are twice as long
    assert second.resumed == (80, total) and second.done == [160]
    third = Recorder()
    grid = run(world, tmp_path, third)
    assert third.resumed == (160, total) and third.done[-1] == total
    assert all(after - before <= 40 for before, after in pairwise(third.done))
    assert sum(requests) == total  # no history is scored twice
    assert grid.rows() == complete.rows() and grid.fingerprint == complete.fingerprint
    fourth = Recorder()
    assert run(world, tmp_path, fourth).rows() == complete.rows()
    assert fourth.resumed == (total, total) and not fourth.done and sum(requests) == total
    assert [f.name for f in tmp_path.iterdir()] == [grid.fingerprint]
    remove_parts(grid, tmp_path)
    assert not tmp_path.exists()
    remove_parts(grid, tmp_path)


def test_a_damaged_part_is_recomputed(
    world: tuple[Sessions, TestCases], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, requests: list[int]
) -> None:
    monkeypatch.setattr(module, "BLOCK_CASES", 40)
    complete = run(world, tmp_path, Recorder())
    folder = tmp_path / complete.fingerprint
    (folder / "40-80.part").write_bytes((folder / "40-80.part").read_bytes()[:-8])  # torn
    (folder / "120-160.part").write_bytes((folder / "0-40.part").read_bytes())  # of another part
    (folder / "80-120.part").unlink()
    requests.clear()
    recorder = Recorder()
    assert run(world, tmp_path, recorder).rows() == complete.rows()
    assert recorder.resumed == (len(world[1]) - 120, len(world[1])) and requests == [40, 40, 40]


def test_parts_of_other_requests_are_not_used(world: tuple[Sessions, TestCases], tmp_path: Path) -> None:
    rows, test_cases = world
    first = run(world, tmp_path, Recorder())
    fewer, others = rows.take(np.arange(len(rows) - 1)), test_cases.filter(np.arange(len(test_cases)) != 3)
    rolled = replace(test_cases, targets=np.roll(test_cases.targets, 1))
    different: list[tuple[tuple[Sessions, TestCases], dict[str, Any]]] = [
        ((fewer, test_cases), {}),
        ((rows, others), {}),
        ((rows, rolled), {}),
        (world, {"recipe": SSCF(center="none")}),
        (world, {"recipe": SKNN(sample=0)}),
        (world, {"sizes": (2, 8)}),
        (world, {"settings": EvaluationSettings((5, 10), ties="median")}),
        (world, {"settings": EvaluationSettings((5, 10), exclude_seen=True)}),
        (world, {"settings": EvaluationSettings((5, 10), unknown="drop")}),
    ]
    fingerprints = {first.fingerprint}
    for request, other in different:
        recorder = Recorder()
        grid = run(request, tmp_path, recorder, **other)
        assert recorder.resumed is None
        assert grid.rows() == run(request, None, Recorder(), **other).rows()
        fingerprints.add(grid.fingerprint)
    dropped = len(test_cases.reindex(rows.vocab).answerable()) < len(test_cases)
    assert dropped and len(fingerprints) == len(different) + 1
    recorder = Recorder()  # the ranks are those of all lengths
    longer = run(world, tmp_path, recorder, settings=EvaluationSettings((1, 20)), threads=2)
    assert recorder.resumed == (len(test_cases), len(test_cases)) and longer.fingerprint == first.fingerprint
    remove_parts(first, tmp_path)
    assert len(list(tmp_path.iterdir())) == len(different)
