"""Parts of composite models: names and numbers, settings, arrays."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from embedrec import Popular, SequentialRules, Vocab, Word2Vec
from embedrec.errors import DataError, SettingsError
from embedrec.models import MODELS
from embedrec.models.imported import Vectors
from embedrec.ranking.parts import (
    COMPOSITES,
    PartSettings,
    default_candidates,
    pack_parts,
    parse_candidates,
    part_settings,
    saved_settings,
    unpack_parts,
)
from tests.conftest import of_lists, read_only, tiny_sessions


def test_names_and_numbers() -> None:
    assert parse_candidates(" vstan=100, mf = 50 ,") == [("vstan", 100), ("mf", 50)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vstan=100,mf", "candidates are models with numbers from 1 to 10000, as in vstan=100,mf=100, but one is 'mf'"),
        ("vstan=0,mf=1", "but one is 'vstan=0'"),
        ("vstan=10001,mf=1", "but one is 'vstan=10001'"),
        ("vstan=²,mf=1", "but one is 'vstan=²'"),
        ("=3,mf=1", "but one is '=3'"),
        ("mf=1,mf=2", "candidates name the model mf twice; name it once"),
        ("mf=1", "candidates must come from two models or more, but are 'mf=1'; add a model"),
        ("", "candidates must come from two models or more, but are ''; add a model"),
    ],
)
def test_bad_candidates(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        parse_candidates(text)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("candidates", "settings", "message"),
    [
        ("sr=3,populr=3", {}, "no model is called 'populr', which candidates names; did you mean 'popular'?"),
        ("sr=3,qqqq=3", {}, "no model is called 'qqqq', which candidates names; valid are word2vec, "),
        (
            "sr=3,fusion=3",
            {},
            "fusion cannot propose candidates, as it ranks those of other models; name these instead",
        ),
        ("sr=3,popular=3", {"srr": {}}, "parts has settings of 'srr', which is not among the candidates"),
        ("sr=3,popular=3", {"sr": {"step": 2}}, "unknown setting 'step' in the settings of sr; did you mean 'steps'?"),
    ],
)
def test_bad_parts(candidates: str, settings: dict[str, dict[str, object]], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        part_settings(candidates, settings)
    assert message in str(error.value)


def test_settings_of_parts_are_written_out() -> None:
    parts = part_settings("mine=4,sr=3", {"mine": {"recipe": "popular", "days": 7}})
    assert [(p.name, p.recipe, p.count) for p in parts] == [("mine", Popular(days=7), 4), ("sr", SequentialRules(), 3)]
    candidates, settings = saved_settings(parts)
    assert candidates == "mine=4,sr=3" and settings["sr"]["recipe"] == "sr"
    assert part_settings(candidates, settings) == parts


def test_default_candidates_have_sasrec_where_torch_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    short, long = tiny_sessions(), of_lists(["abcdefgh" * 5] * 4)
    usual = "vstan=100,mf=100,word2vec=100,{}=50,cooccurrence=50"
    assert default_candidates(short) == usual.format("sr") + ",sasrec=100"
    assert default_candidates(long) == usual.format("svd") + ",sasrec=100"
    assert [part.count for part in part_settings(default_candidates(short), {})] == [100, 100, 100, 50, 50, 100]
    monkeypatch.setitem(sys.modules, "torch", None)
    assert default_candidates(short) == usual.format("sr")
    assert default_candidates(long) == usual.format("svd")


def test_similar_items_come_from_vectors_and_counts_by_default() -> None:
    for sessions in (tiny_sessions(), of_lists(["abcdefgh" * 5] * 4)):
        parts = part_settings(default_candidates(sessions, similar=True), {})
        assert [part.name for part in parts] == ["svd", "word2vec", "ar"]


def test_vector_models_of_similar_items_propose_as_similar_does() -> None:
    sessions = tiny_sessions()
    values: dict[str, Any] = {"min_count": 1, "epochs": 1, "dim": 4, "sample": 0.0, "popularity": 1.0}
    settings = part_settings("word2vec=3,popular=3", {"word2vec": values})
    models = [Word2Vec(**values).fit(sessions), Popular().fit(sessions)]
    parts = unpack_parts(settings, sessions.vocab, pack_parts(models, sessions.vocab, similar=True), similar=True)
    alone = of_lists(["a", "b"], sessions.vocab)
    expected = models[0].by_similarity().recommend(alone, 3)
    rows, scores, queries = parts[0].lists(alone, 3, exclude_seen=True)
    assert np.array_equal(rows, expected.rows) and np.array_equal(scores, expected.scores)
    assert queries is not None and np.array_equal(
        queries, models[0].by_similarity().encoder(alone.reindex(models[0].vocab))
    )
    assert not np.array_equal(scores, models[0].recommend(alone, 3).scores)


def test_every_composite_is_a_recipe() -> None:
    assert set(COMPOSITES) & set(MODELS)


def test_parts_of_another_vocabulary_answer_in_that_of_the_composite() -> None:
    sessions = tiny_sessions()
    values: dict[str, Any] = {"min_count": 5, "epochs": 1, "dim": 4, "sample": 0.0, "popularity": 0.5}
    settings = part_settings("popular=3,word2vec=3", {"word2vec": values})
    models = [Popular().fit(sessions), Word2Vec(**values).fit(sessions)]
    assert len(models[1].vocab) < len(sessions.vocab)
    arrays = {name: read_only(array) for name, array in pack_parts(models, sessions.vocab).items()}
    assert "0.rows" not in arrays and arrays["1.rows"].dtype == np.int32
    parts = unpack_parts(settings, sessions.vocab, arrays)
    histories = of_lists(["ab", "f", "", "e"], sessions.vocab)
    for part, model in zip(parts, models, strict=True):
        rows, scores, queries = part.lists(histories, 3, exclude_seen=False)
        expected = model.recommend(histories, min(3, len(model.vocab)), exclude_seen=False)
        assert [[sessions.vocab.ids[r] for r in row if r >= 0] for row in rows] == expected.ids()
        assert np.array_equal(scores, expected.scores)
        assert (queries is None) == (model is models[0])
    np.testing.assert_array_equal(queries, models[1].encoder(histories.reindex(models[1].vocab)))


@pytest.mark.parametrize("ids", [["g", "a", "b", "c", "d", "e", "f", "h"], [7, 1, 2, 3, 4, 5, 6, 8]])
def test_items_that_the_composite_lacks_are_missing_in_lists(ids: list[Any]) -> None:
    every, known = Vocab(ids), Vocab(ids[1:7])
    vectors = np.eye(8, dtype=np.float32) + 0.1
    recipe = Vectors()
    settings = [PartSettings("own", recipe, 3)]
    packed = pack_parts([recipe.from_arrays(every, {"items": vectors})], known)
    assert packed["0.rows"].tolist() == [-1, 0, 1, 2, 3, 4, 5, -1]
    (part,) = unpack_parts(settings, known, {name: read_only(array) for name, array in packed.items()})
    assert part.model.vocab.ids.tolist() == ids
    rows, *_ = part.lists(of_lists([[ids[2]]], known), 8, exclude_seen=False)
    # the item of the history, then the others in the order of the part: the first and the last are the further ones
    assert rows.tolist() == [[1, -1, 0, 2, 3, 4, 5, -1]]
    further = next(name for name in packed if name not in ("0.rows", "0.items", "0.further_letters"))
    for wrong in (packed[further][:-1], packed[further][:0]):
        with pytest.raises(DataError):
            unpack_parts(settings, known, {**packed, further: wrong})


@pytest.mark.parametrize("rows", [[0, 0], [-1, 2], [0, 6], [0.0, 1.0]])
def test_rows_of_a_part_that_do_not_fit(rows: list[float]) -> None:
    vocab = Vocab(["a", "b"])
    array = np.array(rows, dtype=np.int32 if isinstance(rows[0], int) else np.float64)
    with pytest.raises(DataError, match="the items of part popular must be"):
        unpack_parts(part_settings("popular=1,sr=1", {}), vocab, {"0.rows": array})
