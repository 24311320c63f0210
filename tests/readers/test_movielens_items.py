"""The films of MovieLens in the files of all its layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embedrec.data import Events, Vocab
from embedrec.errors import DataError
from embedrec.readers.movielens_items import (
    Parse,
    add_films,
    parse_movies_csv,
    parse_movies_dat,
    parse_recbole_item,
    parse_u_item,
)
from embedrec.tabular.bad_rows import BadRows
from embedrec.tabular.source_files import Source, expand
from tests.readers.reading import feature_values

FLAGS = "|".join("1" if genre in (3, 18) else "0" for genre in range(19))  # Animation, Western


def source_of(folder: Path, content: bytes, name: str = "films") -> Source:
    (folder / name).write_bytes(content)
    (source,) = expand([folder / name], (Path(name).suffix,))
    return source


def with_films(source: Source, parse: Parse, bad_rows: BadRows | None = None) -> Events:
    """Events of the films 1, 2 and 9, with their titles and features from the source."""
    items = Vocab([2, 1, 9])
    zeros = np.zeros(3, dtype=np.int32)
    events = Events(session=zeros, item=np.arange(3, dtype=np.int32), sessions=Vocab(["s"]), items=items)
    return add_films(events, source, parse, bad_rows or BadRows())


@pytest.mark.parametrize(
    ("parse", "content", "films"),
    [
        (
            parse_u_item,
            f"1|Misérables, Les (1995)|01-Jan-1995||http://x|{FLAGS}\n\n2|No year|||\r\n".encode("latin-1"),
            [(1, ("1", "Misérables, Les (1995)", ["Animation", "Western"])), (2, ("2", "No year", []))],
        ),
        (
            parse_movies_dat,
            "1::Misérables, Les (1995)::Drama|War\n2::A::(no genres listed)\n3::B\n".encode(),
            [(1, ("1", "Misérables, Les (1995)", ["Drama", "War"])), (2, ("2", "A", [])), (3, ("3", "B", []))],
        ),
        (
            parse_movies_csv,
            b'movieId,title,genres\n1,"Seven (Se7en), a (1995)",Drama|War\n2,,\n',
            [(1, ("1", "Seven (Se7en), a (1995)", ["Drama", "War"])), (2, ("2", "", []))],
        ),
        (parse_movies_csv, b"movieId,title\n7,A (1990)\n", [(1, ("7", "A (1990)", []))]),
        (
            parse_recbole_item,
            b"item_id:token\tmovie_title:token_seq\trelease_year:token\tclass\n1\tA\t1995\tDrama War\n2\tB\t\n",
            [(1, ("1", "A (1995)", ["Drama", "War"])), (2, ("2", "B", []))],
        ),
        (parse_recbole_item, b"item_id:token\n", []),
    ],
)
def test_every_layout_is_parsed(parse: Parse, content: bytes, films: list[object], tmp_path: Path) -> None:
    source = source_of(tmp_path, content, "films.csv")
    assert list(parse(source, BadRows())) == films


def test_titles_years_and_genres_are_added(tmp_path: Path) -> None:
    """Films without events are left out; films without an entry have no title."""
    source = source_of(tmp_path, b"1::One (1995)::Drama|War\n2::Two::War\n3::Three (2001)::Horror\n")
    events = with_films(source, parse_movies_dat)
    assert events.items.ids.tolist() == [2, 1, 9] and events.items.names.tolist() == ["Two", "One (1995)", ""]
    assert feature_values(events.item_features) == {
        1: {"release_year": 1995.0, "genres": ["Drama", "War"]},
        2: {"genres": ["War"]},
        9: {},
    }


@pytest.mark.parametrize(
    ("film", "problem", "detail"),
    [
        ("x", "the film must be a whole number", ", but is 'x'"),
        ("-1", "the film must be a whole number", ", but is '-1'"),
        ("", "the film must be a whole number", ", but is ''"),
        ("\u0661", "the film must be a whole number", ", but is '\u0661'"),
        ("9" * 50, "the film must be a whole number of 64 bits", f", but is '{'9' * 40}'…"),
    ],
)
def test_film_ids_must_be_whole_numbers(film: str, problem: str, detail: str, tmp_path: Path) -> None:
    source = source_of(tmp_path, f"1::One::War\n{film}::Odd::War\n".encode())
    with pytest.raises(DataError) as error:
        with_films(source, parse_movies_dat)
    assert str(error.value) == (f"{source}, row 2: {problem}{detail}; use --on-bad-row skip to leave such rows out")
    bad_rows = BadRows("skip")
    assert with_films(source, parse_movies_dat, bad_rows).items.names.tolist() == ["", "One", ""]
    assert bad_rows.counts == {problem: 1}
