"""Delimited text as found in practice: irregular quotes, line breaks, bytes and headers."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data import Vocab
from embedrec.errors import DataError
from embedrec.readers import BadRows
from embedrec.readers.movielens import MovieLens
from embedrec.readers.mssd import Mssd
from embedrec.readers.session_tables import SessionTables
from embedrec.readers.table import Table
from embedrec.tabular import delimited
from embedrec.tabular.delimited import Delimited
from embedrec.tabular.feature_tables import side_table
from embedrec.tabular.item_labels import read_labels
from embedrec.tabular.read_settings import ReadSettings
from embedrec.tabular.source_files import expand
from tests.readers.reading import SKIP, rows, write

_BROKEN = "a quote that opens a value must be closed at its end"
_HEAD = "session,item,title\n"


def read(folder: Path, content: bytes | str, name: str = "t.csv", mode: Any = "fail", **settings: Any) -> Any:
    """The items of the events in their order, and the rows that were left out."""
    write(folder, {name: content})
    bad_rows = BadRows(mode)
    events = Table(**settings).read([folder / name], ReadSettings(bad_rows))
    return [item for _, item in rows(events)], bad_rows


_LINES: dict[str, tuple[list[str], str, list[str]]] = {
    "to the end": (["1,a,A", '1,b,"weird al', "1,c,C", "1,d,D"], "acd", ["2"]),
    "before other quotes": (['1,a,"A"', '1,b,"weird al', '1,c,"C"', '1,d,"D"'], "acd", ["2"]),
    "closed too early": (["1,a,A", '1,b,"weird" al', "1,c,C"], "ac", ["2"]),
    "doubled outside": (["1,a,A", '1,b,""weird al""', "1,c,C"], "ac", ["2"]),
    "alone": (["1,a,A", '1,b,"', "1,c,C"], "ac", ["2"]),
    "inside of a text": (['1,a,12" vinyl', '1,b,say "hi"', '1,c,"C"'], "abc", []),
    "lines that are closed": (['1,a,"two', 'lines, and ""more"""', '1,b,"open', "1,c,C"], "ac", ["2"]),
    "blanks after it": (['1,a,"A" ', "1,b,B", '1,c,"open'], "ab", ["3"]),
    "at the start of a line": (['"1,a,A', "1,b,B", '1,"c,C', "1,d,D"], "bd", ["1", "3"]),
    "several": ([f'1,{item},"{item}' for item in "abcde"], "", ["1", "2", "3", "4", "5"]),
}


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(("lines", "kept", "bad"), _LINES.values(), ids=_LINES)
def test_a_broken_quote_makes_only_its_row_bad(
    tmp_path: Path, lines: list[str], kept: str, bad: list[str], line_end: str
) -> None:
    text = (_HEAD + "\n".join(lines) + "\n1,z,Z\n").replace("\n", line_end)
    items, bad_rows = read(tmp_path, text, mode="skip")
    assert "".join(items) == kept + "z"
    assert bad_rows.counts == ({_BROKEN: len(bad)} if bad else {})
    assert [location.rpartition(" ")[2] for location in bad_rows.examples.get(_BROKEN, [])] == bad[:3]
    if bad:
        with pytest.raises(DataError) as error:
            read(tmp_path, text)
        assert str(error.value).startswith(f"{tmp_path}/t.csv, row {bad[0]}: {_BROKEN}, but the one before '")
        assert str(error.value).endswith(f" is not{SKIP}")


def test_a_broken_quote_is_located_in_any_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "BLOCK", 256)
    lines = [f'{n // 5},i{n},"Title, {n}"' if n % 2 else f"{n // 5},i{n},Title {n}" for n in range(1, 3000)]
    lines[99] = '20,i100,"weird al'
    items, bad_rows = read(tmp_path, _HEAD + "\n".join(lines), mode="skip")
    assert items == [f"i{n}" for n in range(1, 3000) if n != 100]
    assert bad_rows.examples == {_BROKEN: [f"{tmp_path}/t.csv, row 100"]}


_EVENTS = "session,item,time\n1,a,1700000000\n1,b,1700000001\n"


def _labels(folder: Path) -> None:
    read_labels(folder / "t.csv", Vocab(["a", "b", "c"]))


def _features(folder: Path) -> None:
    write(folder, {"events.csv": _EVENTS})
    Table(item_features=str(folder / "t.csv")).read([folder / "events.csv"], ReadSettings())


def _attributes(folder: Path) -> None:
    side_table(folder / "t.csv", "item", "item").read(Vocab(["a", "b", "c"]), BadRows())


def _films(folder: Path) -> None:
    write(folder, {"ratings.csv": "userId,movieId,rating,timestamp\n1,1,3,880000000\n1,2,3,880000001\n"})
    MovieLens(titles=str(folder / "t.csv")).read([folder / "ratings.csv"], ReadSettings())


def _held_out(folder: Path) -> None:
    SessionTables().read_test(folder / "t.csv", ReadSettings())


def _logs(folder: Path) -> None:
    Mssd().read([folder / "t.csv"], ReadSettings())


_STATE = "false,false,false,true"
_LOG = f"""session_id,track_id_clean,session_position,skip_1,skip_2,skip_3,not_skipped
1,a,1,{_STATE}\n1,"b,2,{_STATE}\n1,c,3,{_STATE}\n"""


@pytest.mark.parametrize(
    ("reading", "text"),
    [
        (_labels, 'item,genres\na,rock\nb,"pop\nc,folk\n'),
        (_features, 'item,genre\na,rock\nb,"pop\nc,folk\n'),
        (_attributes, 'item,genre\na,rock\nb,"pop\nc,folk\n'),
        (_films, 'movieId,title,genres\n1,A,Drama\n2,"B,War\n3,C,War\n'),
        (_held_out, 'SessionId,ItemId,Time\n1,a,1\n1,"b,2\n1,c,3\n'),
        (_logs, _LOG),
    ],
)
def test_every_table_that_is_read(tmp_path: Path, reading: Any, text: str) -> None:
    write(tmp_path, {"t.csv": text})
    with pytest.raises(DataError, match=f"t.csv, row 2: {_BROKEN}"):
        reading(tmp_path)


def test_quotes_of_tab_separated_text_are_characters(tmp_path: Path) -> None:
    items, _ = read(tmp_path, 'session\titem\n1\t"a\n1\t"b"\n1\tc\n', "t.tsv")
    assert items == ['"a', '"b"', "c"]


def test_tab_separated_text_with_a_quoted_header(tmp_path: Path) -> None:
    """As R's write.table writes them."""
    items, _ = read(tmp_path, '"session"\t"item"\n1\t"a"\n1\t"b\tb"\n', "t.tsv")
    assert items == ["a", "b\tb"]
    items, bad_rows = read(tmp_path, '"session"\t"item"\n1\t"a"\n1\t"b\n1\t"c"\n', "t.tsv", mode="skip")
    assert items == ["a", "c"] and bad_rows.counts == {_BROKEN: 1}


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("prefix", ["", "\n", "\n  \n\n", "\ufeff", "\ufeff\n\n"])
@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "tsv"])
def test_blank_lines_before_the_header_are_ignored(tmp_path: Path, prefix: str, line_end: str, suffix: str) -> None:
    text = f"{prefix}session,item\n\n1,a\n\n1,b\n1\n".replace("\n", line_end)
    text = text.replace(",", "\t") if suffix == "tsv" else text
    content = gzip.compress(text.encode()) if suffix == "csv.gz" else text
    items, bad_rows = read(tmp_path, content, f"t.{suffix}", mode="skip")
    assert items == ["a", "b"]
    assert [location.rpartition(" ")[2] for location in next(iter(bad_rows.examples.values()))] == ["3"]


def test_quoted_names_in_the_header_are_read(tmp_path: Path) -> None:
    write(tmp_path, {"t.csv": '"the\nsession", "item ","a ""b"", c"\r\n1,a,x\r\n'})
    source = expand([tmp_path / "t.csv"], (".csv",))[0]
    assert Delimited().columns(source) == ["the\nsession", '"item "', 'a "b", c']
    (batch,) = Delimited().batches(source, ["the\nsession"], BadRows())
    assert batch.columns["the\nsession"].to_pylist() == ["1"]
    write(tmp_path, {"t.csv": 'session,item,"title\n1,a,x\n'})
    with pytest.raises(DataError, match=r"t.csv: a quote in the header is not closed at the end of a name"):
        Delimited().columns(source)
    write(tmp_path, {"t.csv": f"session,item,{'a' * 200_000}\n1,a,x\n"})
    assert len(Delimited().columns(source)[2]) == 200_000


def test_a_header_longer_than_a_block_is_read(tmp_path: Path) -> None:
    write(tmp_path, {"t.csv": "\n\nsession,item\n1,a\n1,b\n"})
    source = expand([tmp_path / "t.csv"], (".csv",))[0]
    batches = Delimited().batches(source, ["item"], BadRows(), share=1e-7)
    assert [i for batch in batches for i in batch.columns["item"].to_pylist()] == ["a", "b"]


_NOT_UTF8 = "the row is not UTF-8 text"


@pytest.mark.parametrize("block", [32, 1 << 20])
def test_rows_of_invalid_utf8_are_bad_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(delimited, "BLOCK", block)
    # bytes in a column that is not read do no harm, and "é" may lie across two blocks
    lines = [b"\xc3\xa9,x", b"b\xff,x", b"c,\xff\xfe", b"d\xff", b"e,x,\xc3", b"\xe2\x82\xac,x", b"g\xe2\x82,x"]
    text = b"session,item,title\n1," + b"\n1,".join(lines)
    items, bad_rows = read(tmp_path, text, mode="skip")
    assert items == ["é", "c", "€"]
    uneven = "the row must have a value for every column"
    assert bad_rows.counts == {_NOT_UTF8: 2, uneven: 2}
    row_numbers = {
        problem: [location.rpartition(" ")[2] for location in result] for problem, result in bad_rows.examples.items()
    }
    assert row_numbers == {_NOT_UTF8: ["2", "7"], uneven: ["4", "5"]}


def test_latin_1_bytes_like_the_marker_of_invalid_utf8_are_kept(tmp_path: Path) -> None:
    write(tmp_path, {"t.csv": "item,text\na,\u00ef\u00b7\u0091\nb,\u00e9\nc\n".encode("latin-1")})
    source = expand([tmp_path / "t.csv"], (".csv",))[0]
    form = Delimited().decoding(source)
    bad_rows = BadRows("skip")
    (batch,) = form.batches(source, ["text"], bad_rows)
    assert form.encoding == "latin-1"
    assert batch.columns["text"].to_pylist() == ["\u00ef\u00b7\u0091", "\u00e9"]
    assert bad_rows.total == 1 and np.asarray(batch.rows).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("movies", "problem"),
    [
        ("1,a\rb,Drama\n", "row 1: the row must have a value for every column"),
        (f"{'1' * 5000},x,Drama\n", "row 1: the film must be a whole number of 64 bits"),
        (f"1,{'a' * 140_000},Drama\n", ""),
    ],
)
def test_long_ids_and_titles_are_read_or_bad_rows(tmp_path: Path, movies: str, problem: str) -> None:
    ratings = "userId,movieId,rating,timestamp\n1,1,3,880000000\n1,2,3,880000001\n"
    write(tmp_path, {"ratings.csv": ratings, "movies.csv": f"movieId,title,genres\n{movies}"})
    if problem:
        with pytest.raises(DataError, match=problem):
            MovieLens().read([tmp_path], ReadSettings())
    else:
        events = MovieLens().read([tmp_path], ReadSettings())
        assert events.items.names is not None and events.items.names[0] == "a" * 140_000


def test_an_endless_header_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(20):
            file.write(b"," * (1 << 20))
    with pytest.raises(DataError) as error:
        Delimited().columns(*expand([path], (".csv",)))
    assert str(error.value) == (
        f"the first row of {path} has more than 4M, but must name its columns; check that it is a table in delimited "
        "text"
    )


@pytest.mark.parametrize(("share", "hint"), [(1.0, ""), (0.5, " under this memory budget; increase it")])
def test_a_row_that_is_too_long_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float, hint: str
) -> None:
    monkeypatch.setattr(delimited, "BLOCK", 2 << 20)
    path = tmp_path / "t.csv"
    path.write_text("session,item\n1,2\n3," + "x" * (9 << 20) + "\n")
    with pytest.raises(DataError) as error:
        list(Delimited().batches(*expand([path], (".csv",)), ["item"], BadRows(), share))
    assert str(error.value) == (
        f"{path} has a row of more than {2 * share:.0f}M, the limit{hint}; check that it is a table in delimited text"
    )


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=30))
def test_skipped_rows_do_not_change_row_numbers(rows: list[tuple[bool, bool]]) -> None:
    """Batches of valid rows have the row numbers of the file."""
    bad = delimited.BadLines(None, BadRows("skip"), None, "utf-8", 1)  # type: ignore[arg-type]
    previous, pending = 0, []
    for number, (even, ends) in enumerate(rows, 1):
        if even:
            pending.append(number)
        else:
            bad.left_out.append(number)
        if ends:
            assert bad.numbers(previous, len(pending)).tolist() == pending
            previous, pending = previous + len(pending), []
            assert not bad.left_out  # numbers of earlier rows are deleted


def test_columns_of_files_without_a_header_may_be_given(tmp_path: Path) -> None:
    items, bad_rows = read(tmp_path, "1,a,x\n1,b,y\n1,c\n", mode="skip", columns="session, item,title")
    assert items == ["a", "b"] and bad_rows.total == 1
    items, _ = read(tmp_path, '1;"a;b"\n1;b\n', columns="session,item")
    assert items == ["a;b", "b"]
    with pytest.raises(DataError, match=r"t\.jsonl already names its columns; leave out --columns"):
        read(tmp_path, '{"session": 1, "item": 2}\n', "t.jsonl", columns="session,item")
