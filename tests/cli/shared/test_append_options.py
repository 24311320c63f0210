"""`embedrec prepare … --append`: what it prints, and options that differ from the first prepare."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run, fails, succeed

FIRST = "session,item,time\n1,a,100000000\n1,b,100000010\n2,a,100000020\n2,c,100000030\n3,b,100000030\n"


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.csv").write_text(FIRST)
    (tmp_path / "new.csv").write_text("session,item,time\n3,a,100000040\n")
    succeed(run, "prepare", "table", "shop.csv", "--min-count", "2", "--min-length", "1", "--gap", "30min")
    return tmp_path


def test_events_are_appended_and_read(run: Run) -> None:
    done = succeed(run, "prepare", "table", "new.csv", "--append", "shop")
    assert done.out == "1\t1\n"
    assert done.err == (
        "columns session=session item=item time=time\n"
        "appended to sessions shop (sessions/shop), to be joined and filtered when they are first read\n"
    )
    assert "5 events and 1 more appended, to be filtered at the first use\n" in succeed(run, "info").out
    assert "events\t5\n" in succeed(run, "info", "shop", "--sessions").out  # c is too rare
    assert "3 sessions, 2 items, 5 events\n" in succeed(run, "info").out
    assert succeed(run, "verify").out == "sessions\tshop\tok\n"
    again = succeed(run, "prepare", "table", "new.csv", "--append", "shop", "--json").out
    assert (
        again == '{"sessions": 3, "items": 2, "events": 5}\n'
    )  # segments of more than a quarter of the events are joined


def test_sessions_that_a_model_was_trained_on_are_kept(run: Run) -> None:
    """So that its training continues from what has changed, and the append can be taken back."""
    succeed(run, "train", "cooccurrence", "--set", "measure=raw")
    done = succeed(run, "prepare", "table", "new.csv", "--append", "shop")
    kept = "keeping sessions shop as version 1, as others were made from it; `embedrec gc` frees versions\n"
    assert done.err.startswith(kept)
    continued = succeed(run, "train", "cooccurrence", "--from", "cooccurrence")
    assert "are gone" not in continued.err
    assert "keeping" in succeed(run, "prepare", "table", "new.csv", "--append", "shop").err
    assert succeed(run, "rollback", "shop").rows == [["sessions", "shop", "2", "3"]]


def test_large_files_are_joined_at_once(run: Run, shop: Path) -> None:
    (shop / "new.csv").write_text("session,item,time\n4,a,100000040\n4,c,100000041\n")
    done = succeed(run, "prepare", "table", "new.csv", "--append", "shop")
    assert done.out == "4\t3\t7\n"
    assert done.err.endswith("appended to sessions shop (sessions/shop), joined and filtered\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "--min-count 3",
            "--min-count 3 differs from the first prepare of sessions shop, where it was --min-count 2; ",
        ),
        ("--top 9", "--top 9 differs from the first prepare of sessions shop, where it was not given; "),
        ("--gap 1h", "--gap 1h differs from the first prepare of sessions shop, where it was --gap 30min; "),
        ("--item sku", "--item sku differs from the first prepare of sessions shop, where it was not given; "),
        ("--title sku", "--title sku differs from the first prepare of sessions shop, where it was not given; "),
        ("--on-bad-row skip", "--on-bad-row skip differs from the first prepare of sessions shop, where it was "),
        (
            "--min-length 2",
            "--min-length 2 differs from the first prepare of sessions shop, where it was --min-length 1",
        ),
    ],
)
def test_options_that_differ_from_the_first_prepare_are_an_error(run: Run, options: str, message: str) -> None:
    assert message in fails(run, "prepare", "table", "new.csv", "--append", "shop", *options.split())


def test_options_that_agree_may_be_given(run: Run) -> None:
    words = "--min-count 2 --min-length 1 --gap 30min --on-bad-row fail --keep-days 90 --memory 1G --threads 1"
    assert succeed(run, "prepare", "table", "new.csv", "--append", "shop", *words.split()).out == "1\t1\n"


def test_other_sources_and_names_are_an_error(run: Run, shop: Path) -> None:
    assert fails(run, "prepare", "mpd", "new.csv", "--append", "shop") == (
        "sessions shop were made of `embedrec prepare table`, and events are appended as they were first read, not by "
        "`embedrec prepare mpd`"
    )
    assert "no sessions artifact is called 'shp'" in fails(run, "prepare", "table", "new.csv", "--append", "shp")
    usage = "cannot be combined with --name"
    assert usage in fails(run, "prepare", "table", "new.csv", "--append", "shop", "--name", "x", code=2)
    words = ["prepare", "sessions", "new.csv", "--append", "shop", "--test", "new.csv"]
    assert "cannot be combined with --test" in fails(run, *words, code=2)
    assert "--keep-days needs --append" in fails(run, "prepare", "table", "new.csv", "--keep-days", "9", code=2)
