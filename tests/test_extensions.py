"""The worked examples of the how-to pages "Add a model, reader, index type, policy": registered, they pass the tests
of what they extend, and the pages show them as they are."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.cli.main import main
from embedrec.data import Sessions
from embedrec.export.policies.base import PolicyInputs
from embedrec.export.policies.chain import build_chain
from embedrec.export.policies.settings import POLICIES, Policies, PolicyEntry, option_of
from embedrec.export.resume import StoredLists
from embedrec.index.build import build_index
from embedrec.index.build_settings import BuildSettings
from embedrec.index.index_types import INDEXES
from embedrec.models import MODELS, ModelEntry
from embedrec.readers import READERS, ReaderEntry
from embedrec.vectors.exact_search import METRICS
from tests.conftest import of_lists, some_embeddings, tiny_sessions
from tests.index import test_contract as index_contract
from tests.models import test_contract as model_contract

ROOT = Path(__file__).parents[1]
PAGES = {
    "ease.py": "add-a-model.md",
    "plays.py": "add-a-reader.md",
    "ivf_sq4.py": "add-an-index-type.md",
    "max_count.py": "add-a-policy.md",
}


def contract_of(module: Any, *arguments: str) -> list[Any]:
    """The tests of a module that take the first of `arguments`, and none but these."""
    tests = [test for name, test in vars(module).items() if name.startswith("test_")]
    return [
        test
        for test in tests
        if arguments[0] in (given := inspect.signature(test).parameters)
        and set(given) <= set(arguments)
        and not hasattr(test, "pytestmark")
    ]


def call_test(test: Any, **available: Any) -> None:
    test(**{name: available[name] for name in inspect.signature(test).parameters})


@pytest.mark.parametrize("script", PAGES)
def test_the_pages_contain_the_examples_verbatim(script: str) -> None:
    page = (ROOT / "docs" / "how-to" / PAGES[script]).read_text()
    assert f"```python\n{(ROOT / 'examples' / 'extend' / script).read_text()}```" in page


@pytest.fixture
def ease(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A registered EASE, as a model of the tiny sessions."""
    monkeypatch.setitem(MODELS, "ease", ModelEntry("examples.extend.ease:Ease", "item weights in closed form"))
    yield model_contract.train("ease", {})


CONTRACT_OF_MODELS = contract_of(model_contract, "model", "tmp_path")


@pytest.mark.parametrize("contract", CONTRACT_OF_MODELS, ids=lambda test: test.__name__)
def test_the_example_of_a_model_meets_the_contract(contract: Any, ease: Any, tmp_path: Path) -> None:
    call_test(contract, model=ease, tmp_path=tmp_path)


def test_the_contract_of_models_is_found() -> None:
    names = {test.__name__ for test in CONTRACT_OF_MODELS}
    assert len(names) >= 10 and {"test_seen_items_are_excluded", "test_a_loaded_model_equals_the_saved_one"} <= names


def test_the_example_of_a_model_solves_its_equations(ease: Any) -> None:
    """The weights of each item are those of a ridge regression on the other items."""
    sessions = tiny_sessions()
    interactions = np.zeros((len(sessions), len(sessions.vocab)))
    interactions[sessions.session_of, sessions.items] = 1
    for item in range(interactions.shape[1]):
        others = np.delete(interactions, item, axis=1)
        gram = others.T @ others + ease.recipe.regularisation * np.eye(others.shape[1])
        expected = np.linalg.solve(gram, others.T @ interactions[:, item])
        np.testing.assert_allclose(np.delete(ease.arrays["weights"][:, item], item), expected, rtol=1e-4, atol=1e-7)


def test_the_example_of_a_model_trains_from_the_command_line(
    ease: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_sessions().save(tmp_path / "sessions" / "tiny", {})
    for line in ("train ease --set regularisation=10", "recommend a b --model ease -n 2"):
        assert command(line, monkeypatch) == 0, capsys.readouterr().err
    assert len(capsys.readouterr().out.splitlines()) >= 2


def test_the_example_of_a_reader_is_a_source_of_prepare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(READERS, "plays", ReaderEntry("examples.extend.plays:Plays", "Plays of radio listeners."))
    monkeypatch.chdir(tmp_path)
    lines = ["u1;2025-01-01T10:00:00;M83", "u1;2025-01-01T10:05:00;MGMT", "u1;2025-01-01T18:00:00;M83", "u1;?;MGMT"]
    Path("radio.plays").write_text("\n".join(lines))
    line = "prepare plays radio.plays --delimiter ; --gap 30min --min-length 1"
    assert command(line, monkeypatch) == 1 and "row 4: time" in capsys.readouterr().err
    assert command(f"{line} --on-bad-row skip", monkeypatch) == 0, capsys.readouterr().err
    sessions = Sessions.load(tmp_path / "sessions" / "plays")
    assert sessions.lengths.tolist() == [2, 1] and sorted(sessions.vocab.ids) == ["M83", "MGMT"]


def command(line: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["embedrec", *line.split()])
    with pytest.raises(SystemExit) as error:
        main()
    assert isinstance(error.value.code, int)
    return error.value.code


CONTRACT_OF_INDEXES = contract_of(index_contract, "index", "tmp_path")


@pytest.mark.parametrize("metric", METRICS)
def test_the_example_of_an_index_type_meets_the_contract(
    metric: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from examples.extend.ivf_sq4 import IVF_SQ4

    monkeypatch.setitem(INDEXES, "ivf-sq4", IVF_SQ4)
    embeddings = some_embeddings(index_contract.N, index_contract.D, metric, spread=0.5)
    index = build_index(embeddings, "ivf-sq4", BuildSettings(seed=1))
    assert index.spec.endswith("SQ4") and len(CONTRACT_OF_INDEXES) >= 5
    for number, contract in enumerate(CONTRACT_OF_INDEXES):
        (tmp_path / str(number)).mkdir()
        call_test(contract, index=index, tmp_path=tmp_path / str(number))


def test_the_example_of_a_policy_runs_in_the_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = PolicyEntry(
        path="examples.extend.max_count:MaxCount",
        summary="Drop results that occur more often.",
        metavar="N",
        bounds=(1, 2**31),
    )

    @dataclass(frozen=True)
    class Extended(Policies):
        max_count: int | None = None

    monkeypatch.setitem(POLICIES, "max_count", entry)
    sessions = of_lists(["aab", "abc", "ad"])  # counts: a 4, b 2, c 1, d 1
    inputs = PolicyInputs(sessions.vocab, lambda: sessions, lambda: None)  # type: ignore[arg-type, return-value]
    lists = model_contract.small_recipe("popular", {}).fit(sessions, seed=0, threads=1, report=lambda *a, **k: None)
    candidates = lists.recommend(of_lists(["d", "c"], sessions.vocab), 3)
    assert candidates.ids() == [["a", "b", "c"], ["a", "b", "d"]]
    stored: Any = StoredLists
    chain = build_chain(Extended(max_count=2), 2, stored, inputs)
    assert chain.apply(np.array([3, 2]), candidates).ids() == [["b", "c"], ["b", "d"]]
    assert option_of("max_count") == "--max-count"
