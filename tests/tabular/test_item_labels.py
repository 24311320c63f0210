from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embedrec.data import Vocab
from embedrec.errors import DataError
from embedrec.tabular.item_labels import read_labels

IDS = ["i1", "i2", "i3", "i4"]
VOCAB = Vocab(IDS, names=np.array(["Ann", "Bob", "Ann", ""], dtype=object))


def result(path: Path, vocab: Vocab = VOCAB) -> list[list[str]]:
    """The labels of every item."""
    lists = read_labels(path, vocab)
    return [lists.names[lists[row]].tolist() for row in range(len(vocab))]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_format_gives_the_same_labels(suffix: str, tmp_path: Path) -> None:
    items, labels = ["i3", "nobody", "i1", "i2"], [["rock", "pop"], ["jazz"], ["pop"], []]
    path = tmp_path / f"labels{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.table({"artist": items, "genres": labels}), path)
    elif suffix == ".jsonl":
        rows = [{"artist": i, "genres": own} for i, own in zip(items, labels, strict=True)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        comma = "," if suffix == ".csv" else "\t"
        rows = [f"artist{comma}genres", *(f"{i}{comma}{'|'.join(own)}" for i, own in zip(items, labels, strict=True))]
        path.write_text("\n".join(rows) + "\n")
    assert result(path) == [["pop"], [], ["rock", "pop"], []]


def test_labels_are_matched_by_id_or_name(tmp_path: Path) -> None:
    """Items of the same name have the same labels."""
    path = tmp_path / "l.csv"
    path.write_text("who,genres\nAnn,rock\nBob,pop\nAnn,jazz\ni4,folk\n")
    assert result(path) == [["rock"], ["pop"], ["rock"], []]
    path.write_text("who,genres\nAnn,rock\ni1,pop\ni2,pop\ni4,folk\n")
    assert result(path) == [["pop"], ["pop"], [], ["folk"]]
    with pytest.raises(DataError, match=r"the column 'who' of .* contains no id and no name of an item"):
        result(path, Vocab(["x"]))


def test_labels_are_matched_by_integer_ids(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    path.write_text("item,genres\n7,a|b\n8,\nseven,c\n")
    assert result(path, Vocab([9, 8, 7])) == [[], [], ["a", "b"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("item\ni1\n", "must have two columns, of items and of labels, but has item"),
        ("item,a,b\ni1,x,y\n", "must have two columns, of items and of labels, but has item, a, b"),
        ("item,genres\n", "contains no id and no name of an item; check the file"),
        ("item,genres\ni1,\ni2,\n", "contains no id and no name of an item; check the file"),
    ],
)
def test_files_without_labels_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text(text)
    with pytest.raises(DataError) as error:
        result(tmp_path / "l.csv")
    assert message in str(error.value) and str(tmp_path / "l.csv") in str(error.value)
