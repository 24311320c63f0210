"""Roles of the columns of tables of events."""

from __future__ import annotations

from typing import Any

import pytest

from embedrec.errors import DataError
from embedrec.tabular.read_rows import Plan
from embedrec.tabular.table_columns import TableColumns

COLUMNS = ["session_id", "item_id", "user_id", "timestamp", "rating", "position", "item_name", "event"]


def plan(columns: list[str] = COLUMNS, **settings: Any) -> Plan:
    return TableColumns(**settings).plan("t.csv", columns)


def test_all_roles_are_guessed() -> None:
    assert plan() == Plan(
        session="session_id", item="item_id", user="user_id", time="timestamp", weight="rating", name="item_name",
        guessed_user=True,
    )  # fmt: skip


def test_columns_may_be_given() -> None:
    given = plan(item="event", user="-", time="-", weight="-", order="position", name="rating", kind="event")
    assert (given.item, given.user, given.time, given.weight, given.order) == ("event", "", "", "", "position")
    assert (given.name, given.kind, given.guessed_user) == ("rating", "event", False)
    assert plan(name="-").name == ""


def test_positions_order_rows_without_a_time() -> None:
    columns = ["session", "item", "pos", "time"]
    assert plan(columns).order == ""
    assert plan(columns, time="-").order == "pos"
    assert plan(columns, order="pos").order == "pos"


def test_a_user_is_a_session_if_there_is_no_other() -> None:
    users = plan(["user", "item"])
    assert (users.session, users.user) == ("user", "user")


def test_a_plan_contains_the_settings_of_values() -> None:
    settings = {"time_unit": "ms", "time_format": "%d.%m.%Y", "id_type": "text", "missing": ("?",), "keep_users": False}
    given = plan(**settings)
    assert {name: getattr(given, name) for name in settings} == settings
    assert not given.whole_ids


def test_only_columns_with_a_role_are_read() -> None:
    assert plan(["user", "item"]).columns() == ["user", "item"]
    assert plan().columns() == ["session_id", "item_id", "user_id", "timestamp", "rating", "item_name"]


@pytest.mark.parametrize(
    ("columns", "settings", "message"),
    [
        (["session", "b"], {}, "t.csv has no column of items; name one of session, b with --item"),
        (["item"], {}, "t.csv has no column of sessions or users; name one of item with --session or --user"),
        (["item", "user"], {"user": "-"}, "t.csv has no column of sessions; name one of item, user with --session"),
        (
            ["item", "user"],
            {"keep_users": False},
            "t.csv has no column of sessions; name one of item, user with --session",
        ),
        (["session", "item"], {"item": "itme"}, "t.csv has no column 'itme' for the item; did you mean 'item'?"),
        (
            ["session", "item"],
            {"kind": "event"},
            "t.csv has no column 'event' for the kind; its columns are session, item",
        ),
        (["session", "item"], {"name": "title"}, "t.csv has no column 'title' for the name; did you mean 'item'?"),
    ],
)
def test_missing_columns_are_refused(columns: list[str], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as error:
        plan(columns, **settings)
    assert str(error.value) == message
