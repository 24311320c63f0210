"""The vocabulary: ids ↔ rows, names, counts, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from embedrec.data.parquet_io import load_ids, load_vocab, save_ids, save_vocab
from embedrec.data.vocab import Vocab, as_ids, unify_ids
from embedrec.errors import ArtifactError, DataError, UnknownItemError
from tests.data import strategies as draw


@draw.given(draw.ids)
def test_rows_find_every_id(ids: list) -> None:
    distinct = list(dict.fromkeys(ids))
    vocab = Vocab(distinct)
    assert vocab.ids.tolist() == distinct
    assert vocab.rows(ids).tolist() == [distinct.index(i) for i in ids]
    assert vocab.rows(vocab.ids).tolist() == list(range(len(distinct)))


@draw.given(draw.ids, draw.ids)
def test_rows_of_unknown_ids_are_minus_one(ids: list, others: list) -> None:
    distinct = list(dict.fromkeys(ids))
    want = [distinct.index(i) if i in distinct else -1 for i in others]
    vocab = Vocab(distinct)
    assert vocab.rows(others).tolist() == want
    assert vocab.rows(as_ids(others)).tolist() == want


@draw.given(draw.ids, draw.ids)
def test_the_first_lookup_of_few_ids_equals_later_ones(ids: list, others: list) -> None:
    distinct = list(dict.fromkeys(ids))
    vocab = Vocab.from_unique(as_ids(distinct))
    want = [distinct.index(i) if i in distinct else -1 for i in others]
    assert [vocab.rows(others).tolist() for _ in range(3)] == [want] * 3


@draw.given(draw.ids)
def test_duplicate_ids_are_refused(ids: list) -> None:
    if len(set(ids)) == len(ids):
        assert len(Vocab(ids)) == len(ids)
    else:
        with pytest.raises(DataError, match="occurs twice"):
            Vocab(ids)


def test_ascending_integers_need_no_sorted_order() -> None:
    assert "_sorted" not in vars(Vocab(np.arange(9))) and "_sorted" in vars(Vocab(np.arange(9)[::-1]))
    with pytest.raises(DataError, match="but 2 occurs twice"):
        Vocab([1, 2, 2, 3])


def test_integer_and_text_ids_are_different() -> None:
    assert Vocab([1, 2]).rows(["1", "x"]).tolist() == [-1, -1]
    assert Vocab(["1", "2"]).rows([1, 2]).tolist() == [-1, -1]


@draw.given(draw.ids, examples=15)
def test_save_and_load(ids: list) -> None:
    distinct = list(dict.fromkeys(ids))
    names = np.array([f"name of {i}" for i in distinct], dtype=object)
    vocab = Vocab(distinct, names, np.arange(len(distinct)))
    with TemporaryDirectory() as folder:
        save_vocab(vocab, Path(folder) / "v.parquet")
        same = load_vocab(Path(folder) / "v.parquet")
        save_ids(as_ids(ids), Path(folder) / "i.parquet")
        assert load_ids(Path(folder) / "i.parquet").tolist() == ids
    assert (same.ids.tolist(), same.names.tolist(), same.counts.tolist()) == (
        distinct,
        names.tolist(),
        list(range(len(distinct))),
    )
    assert same.integer == vocab.integer


def test_load_refuses_files_without_a_vocabulary(tmp_path: Path) -> None:
    path = tmp_path / "v.parquet"
    path.write_bytes(b"no parquet")
    with pytest.raises(ArtifactError, match=r"v\.parquet is not a Parquet file"):
        load_vocab(path)
    save_ids(as_ids(["a", "a"]), path)
    with pytest.raises(ArtifactError, match=r"contains no vocabulary .*'a' occurs twice"):
        load_vocab(path)


def test_take_names_and_counts() -> None:
    vocab = Vocab(["a", "b", "c"], np.array(["A", "", "C"], dtype=object), np.array([5, 6, 7]))
    part = vocab.take(np.array([2, 0]))
    assert (part.ids.tolist(), part.counts.tolist(), part.name(0), vocab.name(1)) == (["c", "a"], [7, 5], "C", "")
    assert vocab.with_counts(np.array([1, 2, 3])).counts.tolist() == [1, 2, 3]
    assert Vocab(["a"]).name(0) == ""


def test_read_only_input_is_accepted_and_unchanged() -> None:
    ids = np.array([3, 1, 2], dtype=np.int32)
    ids.flags.writeable = False
    vocab = Vocab(ids)
    assert vocab.rows(ids).tolist() == [0, 1, 2]
    assert vocab.ids.dtype == np.int64 and ids.tolist() == [3, 1, 2]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Vocab(["a", "b", "a"]), "vocabulary ids must be unique, but 'a' occurs twice"),
        (lambda: Vocab([1, 2, 1]), "vocabulary ids must be unique, but 1 occurs twice"),
        (lambda: Vocab(["a"], np.array([], dtype=object)), "a vocabulary of 1 ids must have as many names, but has 0"),
        (lambda: Vocab(["a"], None, np.array([1, 2])), "a vocabulary of 1 ids must have as many counts, but has 2"),
        (lambda: Vocab([1.5]), "ids must all be strings or all be integers, but they are float"),
        (lambda: Vocab([1, "a"]), "ids must all be strings or all be integers, but they are int, str"),
        (lambda: Vocab([None]), "ids must all be strings or all be integers, but they are NoneType"),
        (lambda: Vocab([[1], [2]]), "ids must be one-dimensional, but their shape is (2, 1)"),
        (lambda: Vocab([1, 2**63]), "ids must fit into 64 bits, but range from 1 to 9223372036854775808"),
        (
            lambda: Vocab(np.array([2**63], dtype=np.uint64)),
            "ids must fit into 64 bits, but range from 9223372036854775808 to 9223372036854775808",
        ),
    ],
)
def test_invalid_vocabularies_are_refused(make, message: str) -> None:
    with pytest.raises(DataError) as refused:
        make()
    assert str(refused.value) == message


def test_ids_are_found_in_the_type_of_the_vocabulary() -> None:
    numbers, texts = Vocab([5, 7, -3]), Vocab(["5", "x", "7.0", "7"])
    assert numbers.rows_of(["5", "5.0", "7.00", "-3", "05", "x", "5.5", 7, "9223372036854775808", "7\n"]).tolist() == [
        *(0, 0, 1, 2, -1, -1, -1, 1, -1, -1)
    ]
    assert texts.rows_of(np.array([5, 7, 9])).tolist() == [0, 3, -1]
    assert texts.rows_of(as_ids(["5.0", "7.0", "7.00", "x.0"])).tolist() == [0, 2, 3, -1]  # what is there comes first
    assert Vocab([]).rows_of(["a"]).tolist() == [-1]


@draw.given(draw.ids, draw.ids)
def test_ids_of_one_type_stay_unchanged(ids: list, others: list) -> None:
    columns = [as_ids(ids), as_ids(others)]
    made = unify_ids(*columns)
    assert len({column.dtype for column in made}) == 1
    for column, new in zip(columns, made, strict=True):
        assert [str(i) for i in new.tolist()] == [str(i) for i in column.tolist()]


def test_mixed_ids_take_the_type_of_the_first_if_possible() -> None:
    kinds = [column.tolist() for column in unify_ids(as_ids([1, 2]), as_ids(["3", "4.0"]))]
    assert kinds == [[1, 2], [3, 4]]
    assert [column.tolist() for column in unify_ids(as_ids([1]), as_ids(["x"]))] == [["1"], ["x"]]
    assert [column.tolist() for column in unify_ids(as_ids(["1"]), as_ids([2]))] == [["1"], ["2"]]
    assert [column.tolist() for column in unify_ids(as_ids([]), as_ids([2]))] == [[], [2]]


@pytest.mark.parametrize("row", [-1, -7, 3, 2**40])
def test_rows_outside_the_vocabulary_are_refused(row: int) -> None:
    vocab = Vocab(["a", "b", "c"], names=np.array(["A", "B", "C"], dtype=object))
    for call in (vocab.id, vocab.name, lambda r: vocab.take(np.array([0, r]))):
        with pytest.raises(UnknownItemError, match=f"rows must be between 0 and 2, .* the first is {row}"):
            call(row)
    with pytest.raises(UnknownItemError, match="rows must be whole numbers"):
        vocab.take(np.array([True, False, True]))


def test_strict_rows_raise_for_unknown_ids() -> None:
    vocab = Vocab(["bread", "butter", "jam"])
    assert vocab.rows(["jam", "bread"], strict=True).tolist() == [2, 0]
    assert vocab.rows(iter(["jam"]), strict=True).tolist() == [2]
    with pytest.raises(UnknownItemError, match=r"no item 'bred' and 1 more among the 3 .*did you mean 'bread'"):
        vocab.rows(["jam", "bred", "x"], strict=True)
    with pytest.raises(UnknownItemError, match="no item 5 among the 2"):
        Vocab([1, 2]).rows(np.array([1, 5]), strict=True)
    with pytest.raises(DataError, match="'jam' is a string"):
        vocab.rows("jam")
