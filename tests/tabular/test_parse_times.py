"""Times of tables: every form of a time is parsed as that time, and ambiguous times are an error."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st

from embedrec.errors import DataError, SettingsError
from embedrec.readers import BadRows
from embedrec.readers.table import Table
from embedrec.tabular.parse_times import Times
from embedrec.tabular.read_settings import ReadSettings
from tests.data import strategies as draw
from tests.readers.reading import SKIP, refusal, rows, write

_NOON = 1_494_244_800_000  # 2017-05-08 12:00:00 UTC


def times_of(tmp_path: Path, texts: list[str], **settings: Any) -> list[int]:
    lines = [f"1,{n},{text}" for n, text in enumerate(texts)]
    write(tmp_path, {"t.csv": "\n".join(["session,item,time", *lines, ""])})
    return Table(**settings).read([tmp_path / "t.csv"], ReadSettings()).time.tolist()


@pytest.mark.parametrize(
    "text",
    [
        "2017-05-08 12:00:00",
        "2017-05-08T12:00:00Z",
        "2017-05-08 12:00:00 UTC",
        "2017-05-08 12:00:00.000 GMT",
        "2017-05-08 14:00:00 +0200",
        "2017-05-08 14:00:00+02:00",
        "2017/05/08 12:00:00",
        "2017/05/08 12:00 UTC",
        "20170508120000",
        "20170508T120000",
        "20170508 120000",
        "20170508T120000Z",
        "20170508T140000+0200",
    ],
)
@pytest.mark.parametrize("unit", ["auto", "iso"])
def test_many_formats_give_the_same_time(tmp_path: Path, text: str, unit: Any) -> None:
    assert times_of(tmp_path, [text, text], time_unit=unit) == [_NOON, _NOON]


def test_days_and_compact_numbers_are_parsed(tmp_path: Path) -> None:
    midnight = _NOON - 12 * 3_600_000
    for text in ("2017-05-08", "2017/05/08", "20170508"):
        assert times_of(tmp_path, [text]) == [midnight]
    for column, expected in (([20170508120000], _NOON), ([20170508], midnight), ([20170508120000.0], _NOON)):
        pq.write_table(pa.table({"session": [1], "item": [1], "time": column}), tmp_path / "t.parquet")
        for unit in ("auto", "iso"):
            assert Table(time_unit=unit).read([tmp_path / "t.parquet"], ReadSettings()).time.tolist() == [expected]
    assert times_of(tmp_path, ["20170508120000"], time_unit="ms") == [20170508120000]  # as the user says


@draw.given(st.datetimes(datetime(1900, 1, 1), datetime(2099, 12, 31)))
def test_compact_numbers_are_their_dates(date_time: datetime) -> None:
    date_time = date_time.replace(microsecond=0)
    times = Times("t", "auto")
    stamps, problems = times.parse(pa.array([int(f"{date_time:%Y%m%d%H%M%S}")]))
    assert not any(mask.any() for mask, _ in problems)
    expected = (date_time.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert times.milliseconds(stamps)[0].tolist() == [expected]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["20170508120000", "20170230120000"], "row 2: time must be a date as 20240531235900, but is '20170230120000'"),
        (["20170508", "20171308"], "row 2: time must be a date as 20240531, but is '20171308'"),
        (["20170508120000", str(_NOON)], f"row 2: time must be a date as 20240531235900, but is '{_NOON}'"),
        ([str(_NOON), "20170508120000"], "row 2: time must be a time in numbers since 1970, but is '20170508120000'"),
    ],
)
def test_invalid_compact_dates_are_bad_rows(tmp_path: Path, texts: list[str], message: str) -> None:
    with pytest.raises(DataError) as error:
        times_of(tmp_path, texts)
    assert str(error.value) == f"{tmp_path}/t.csv, {message}{SKIP}"


@pytest.mark.parametrize(
    ("text", "meanings", "option"),
    [
        ("2017050812", "seconds since 1970 or dates", "--time-unit s, or --time-format %Y%m%d%H"),
        ("201705081200", "milliseconds since 1970 or dates", "--time-unit ms, or --time-format %Y%m%d%H%M"),
    ],
)
def test_ambiguous_numbers_are_an_error(tmp_path: Path, text: str, meanings: str, option: str) -> None:
    with pytest.raises(DataError) as error:
        times_of(tmp_path, [text])
    assert str(error.value) == (
        f"the times in 'time' go from {text} to {text}, and it is unclear whether these are {meanings}; use {option}"
    )
    for setting in option.split(", or "):
        name, value = setting.removeprefix("use ").split(" ")
        result = times_of(tmp_path, [text], **{name.removeprefix("--").replace("-", "_"): value})
        assert result == ([_NOON] if "format" in name else [int(text) * (1000 if value == "s" else 1)])
    assert times_of(tmp_path, [text, f"{text[:4]}99{text[6:]}"])  # the second is no date


@pytest.mark.parametrize(
    ("texts", "forms"),
    [
        (["01.03.2026 08:00:00", "02.03.2026 09:00:00"], ["%d.%m.%Y %H:%M:%S"]),
        (["1/3/2026", "13/3/2026"], ["%d/%m/%Y"]),
        (["1/3/26 9:05 PM", "1/31/26 9:05 AM"], ["%m/%d/%y %I:%M %p"]),
        (["01-03-2026T08:00"], ["%d-%m-%YT%H:%M", "%m-%d-%YT%H:%M"]),
    ],
)
def test_dates_of_another_form_name_the_format(tmp_path: Path, texts: list[str], forms: list[str]) -> None:
    with pytest.raises(DataError) as error:
        times_of(tmp_path, texts)
    options = " or ".join(f"--time-format {form!r}" for form in forms)
    assert str(error.value) == (
        f"{tmp_path}/t.csv: the times in 'time', such as {texts[0]!r}, are not in ISO 8601; use {options}, or --time - "
        "for the order of the rows"
    )
    for form in forms:
        assert len(times_of(tmp_path, texts, time_format=form)) == len(texts)


def test_one_date_of_another_form_is_a_bad_row(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"row 2: time must be a date as 2024-05-31 23:59:00, but is '1\.3\.2026'"):
        times_of(tmp_path, ["2026-03-01", "1.3.2026"])


def test_a_format_may_be_given(tmp_path: Path) -> None:
    assert times_of(tmp_path, ["08.05.2017 12:00"], time_format="%d.%m.%Y %H:%M") == [_NOON]
    assert times_of(tmp_path, ["May 8 2017 12:00:00.500 PM"], time_format="%b %d %Y %I:%M:%S.%f %p") == [_NOON + 500]
    assert times_of(tmp_path, ["8/5/2017 14:00 +0200"], time_format="%d/%m/%Y %H:%M %z") == [_NOON]
    with pytest.raises(DataError, match=r"row 2: time must be a date as %d\.%m\.%Y, but is '30\.02\.2017'"):
        times_of(tmp_path, ["08.05.2017", "30.02.2017"], time_format="%d.%m.%Y")
    with pytest.raises(DataError, match="row 1: time is missing, but is 'NULL'"):
        times_of(tmp_path, ["NULL"], time_format="%d.%m.%Y")
    for form, message in (
        ("%d.%q", r"--time-format '%d\.%q' is wrong at '%q'"),
        ("%d%", r"--time-format '%d%' is wrong at '%'"),
        ("dd.mm.yyyy", "contains no directive"),
    ):
        with pytest.raises(SettingsError, match=message):
            times_of(tmp_path, ["08.05.2017"], time_format=form)
    with pytest.raises(SettingsError, match="--time-format and --time-unit both define how times are parsed"):
        times_of(tmp_path, ["08.05.2017"], time_format="%d.%m.%Y", time_unit="s")


@pytest.mark.parametrize("word", ["NA", "N/A", "NULL", "null", r"\N", "None", "NaT", "<NA>"])
def test_words_for_missing_times_are_skipped(tmp_path: Path, word: str) -> None:
    for valid in ("2017-05-08 12:00:00", "1494244800", "20170508120000"):
        bad_rows = BadRows("skip")
        write(tmp_path, {"t.csv": f"session,item,time,weight\n1,a,{word},1\n1,b,{valid},{word}\n1,c,{valid},2\n"})
        events = Table().read([tmp_path / "t.csv"], ReadSettings(bad_rows))
        assert rows(events, "time", "weight") == [(1, "c", _NOON, 2)]
        assert bad_rows.counts == {"time is missing": 1, "weight is missing": 1}


_ORDERS = {
    "dates": ["2014-04-07T10:51:09.123900Z", "2014-04-07T10:51:09.123100Z", "2014-04-07T10:51:09.123Z"],
    "nanoseconds": ["2014-04-07 10:51:09.123000009", "2014-04-07 10:51:09.123000008", "2014-04-07 10:51:09.123000007"],
    "seconds": ["1396867869.1239", "1396867869.1231", "1396867869.123"],
    "milliseconds": ["1396867869123.4", "1396867869123.1", "1396867869122.9"],
}


@pytest.mark.parametrize("texts", _ORDERS.values(), ids=_ORDERS)
@pytest.mark.parametrize("budget", [False, True])
def test_times_finer_than_a_millisecond_order_rows(tmp_path: Path, texts: list[str], budget: bool) -> None:
    from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget

    first_time = "2014-04-07 10:51:00" if "-" in texts[0] else texts[0][: len(texts[0].partition(".")[0])]
    files = {"a.csv": f"session,item,time\n2,first,{first_time}\n", "b.csv": "session,item,time\n"}
    files["b.csv"] += "".join(f"1,{name},{text}\n" for name, text in zip("cba", texts, strict=True))
    write(tmp_path, files)
    memory = MemoryBudget(256 << 20, tmp_path) if budget else IN_MEMORY
    events = Table().read([tmp_path / "a.csv", tmp_path / "b.csv"], ReadSettings(memory=memory))
    assert [row[1] for row in rows(events)] == ["first", "a", "b", "c"]
    assert set((events.time[1:] - 1_396_867_869_123).tolist()) <= {0, 1}


@pytest.mark.parametrize("unit", ["us", "ns"])
def test_timestamps_are_truncated_exactly(tmp_path: Path, unit: str) -> None:
    fine = 1 if unit == "us" else 1000
    stamps = pa.array([-1 * fine, 0, 999 * fine, 1000 * fine], pa.timestamp(unit))
    pq.write_table(pa.table({"session": [1] * 4, "item": list("abcd"), "time": stamps}), tmp_path / "t.parquet")
    events = Table().read([tmp_path / "t.parquet"], ReadSettings())
    assert events.time.tolist() == [-1, 0, 0, 1]


def test_timestamps_out_of_range_are_bad_rows(tmp_path: Path) -> None:
    stamps = pa.array([2**62], pa.timestamp("ms"))
    pq.write_table(pa.table({"session": [1], "item": [1], "time": stamps}), tmp_path / "t.parquet")
    assert "row 1: time must be a time within 270,000 years of 1970" in refusal(Table(), [tmp_path / "t.parquet"])


@pytest.mark.parametrize(
    "texts", [["1700000000", "1700000001.5"], ["20240531", "20240601"], ["2024-05-31", "2024-06-01"]]
)
def test_a_column_goes_on_in_a_later_file(texts: list[str]) -> None:
    """What the first part has decided holds for the second one, and both together have the state of the whole."""

    def parse(times: Times, values: list[str]) -> list[int]:
        stamps, _ = times.parse(pa.array(values))
        return times.milliseconds(stamps)[0].tolist()

    whole, first = Times("t", "auto"), Times("t", "auto")
    expected = parse(whole, texts)
    result = parse(first, texts[:1])
    second = Times("t", "auto", "", json.loads(json.dumps(first.state())))
    assert result + parse(second, texts[1:]) == expected
    assert second.state() == whole.state() and second.even == whole.even
    _, problems = second.parse(pa.array(["2024-05-31" if first.numeric else "1700000000"]))
    assert any(wrong.any() for wrong, _ in problems)
