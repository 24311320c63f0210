"""Tasks have one result a partition, also when they are tried again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from embedrec.errors import ArtifactError, DataError
from embedrec.spark.tasks import fresh_name, local_folder, numbered, numbers_in, run_tasks
from tests.spark.one_session import on_cluster

pytestmark = pytest.mark.spark


@dataclass(frozen=True)
class Square:
    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        return {"part": part, "squares": [number**2 for number in numbers_in(batches)]}


@dataclass(frozen=True)
class FailFrom:
    first: int

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        if part >= self.first:
            raise ArtifactError(f"part {part} is wrong")
        return {}


@dataclass(frozen=True)
class LocalFolder:
    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        return {"folder": str(local_folder())}


def test_temporary_files_of_tasks_are_in_a_folder_of_spark(spark: Any) -> None:
    (result,) = run_tasks(numbered(spark, 1), LocalFolder(), 1)
    assert Path(result["folder"]).is_relative_to(spark.conf.get("spark.local.dir"))


def test_results_are_in_order(spark: Any) -> None:
    assert run_tasks(numbered(spark, 5), Square(), 5) == [{"part": n, "squares": [n * n]} for n in range(5)]


def test_the_first_error_is_raised(spark: Any) -> None:
    with pytest.raises(ArtifactError) as caught:
        run_tasks(numbered(spark, 5), FailFrom(2), 5)
    assert str(caught.value) == "part 2 is wrong"


@pytest.mark.parametrize("parts", [[0, 1, 1], [0, 2], [0, 1, 2, 3]])
def test_missing_and_doubled_parts_are_errors(parts: list[int]) -> None:
    rows = [SimpleNamespace(part=part, result='{"value": {}}') for part in parts]
    frame: Any = SimpleNamespace(mapInArrow=lambda work, schema: SimpleNamespace(collect=lambda: rows))
    with pytest.raises(DataError, match=rf"results of {len(parts)} tasks.*in place of 3; run the command again"):
        run_tasks(frame, Square(), 3)


def test_names_are_fresh() -> None:
    first, second = fresh_name("mask", 3, ".npy"), fresh_name("mask", 3, ".npy")
    assert first != second and first.startswith("mask-000003-") and first.endswith(".npy")


@pytest.mark.slow
def test_a_killed_executor_changes_nothing(tmp_path: Path) -> None:
    """Executor processes are killed at random, with speculation on."""
    code = """
from dataclasses import replace
from pathlib import Path
from tests.spark import killed
settings = replace(settings, conf={**settings.conf, "spark.speculation": "true", "spark.task.maxFailures": "20",
    "spark.deploy.maxExecutorRetries": "-1", "spark.stage.maxConsecutiveAttempts": "20",
    "spark.excludeOnFailure.enabled": "false"})
with spark_session(settings) as spark:
    print(killed.prepare(spark, Path(arguments[0])))
"""
    from tests.spark.killed import check

    assert int(on_cluster(code, tmp_path).splitlines()[-1]) >= 1
    check(tmp_path)
