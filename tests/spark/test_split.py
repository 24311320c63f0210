"""Splits on Spark: the facts, slices and checks that are not compared with one machine in test_spark_split."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.data import Sessions
from embedrec.errors import DataError
from embedrec.spark.sessions_frame import open_sessions
from embedrec.spark.split import split_frame
from embedrec.splitting.rules import Random, WarmTime
from tests.conftest import of_lists

pytestmark = pytest.mark.spark


def test_equal_ids_are_refused(spark: Any, tmp_path: Path) -> None:
    sessions = of_lists(["ab", "cd", "ef", "gh"])
    replace(sessions, ids=np.array([1, 2, 3, 1])).save(tmp_path / "s", {})
    with open_sessions(spark, tmp_path / "s") as frame, pytest.raises(DataError) as error:
        split_frame(Random(share=0.5), frame, tmp_path).check()
    assert str(error.value) == (
        "4 sessions have 3 distinct ids, so that the engine spark cannot check for leaks; leave --engine out"
    )


def test_events_out_of_order_are_refused(spark: Any, tmp_path: Path) -> None:
    sessions = replace(of_lists(["ab", "ab"]), times=np.array([1, 9, 8, 2]))
    sessions.save(tmp_path / "s", {})
    with open_sessions(spark, tmp_path / "s") as frame, pytest.raises(DataError) as error:
        split_frame(WarmTime(share=0.5), frame, tmp_path).check()
    assert str(error.value) == "events of a session are not in order of time; prepare the data again"


def test_no_sessions(spark: Any, tmp_path: Path) -> None:
    Sessions.of_lists([]).save(tmp_path / "s", {})
    message = "the split leaves no session in the training part; choose another rule or setting"
    with open_sessions(spark, tmp_path / "s") as frame, pytest.raises(DataError, match=message):
        split_frame(Random(), frame, tmp_path)
