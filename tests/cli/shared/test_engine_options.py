"""The options of the engine: settings of Spark, or one sentence."""

from __future__ import annotations

import click
import pytest

from embedrec.cli.shared.engine_options import refuse_on_spark, spark_settings
from embedrec.errors import SettingsError
from embedrec.spark.session import SparkSettings


def test_settings() -> None:
    assert spark_settings("local", None, ()) is None
    assert spark_settings("spark", None, ()) == SparkSettings()
    given = spark_settings("spark", "local[2]", ("spark.executor.memory=4g", "spark.x = a=b"))
    assert given == SparkSettings("local[2]", {"spark.executor.memory": "4g", "spark.x": "a=b"})


@pytest.mark.parametrize(
    ("engine", "master", "conf", "message"),
    [
        ("local", "local[2]", (), "--master needs --engine spark"),
        ("local", None, ("spark.x=1",), "--spark-conf needs --engine spark"),
        ("spark", None, ("spark.x",), "--spark-conf 'spark.x' is not KEY=VALUE, such as spark.executor.memory=4g"),
    ],
)
def test_wrong_options(engine: str, master: str | None, conf: tuple[str, ...], message: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        spark_settings(engine, master, conf)
    assert caught.value.message == message


def test_settings_of_spark_begin_with_spark() -> None:
    with pytest.raises(SettingsError) as caught:
        spark_settings("spark", None, ("executor.memory=4g",))
    assert str(caught.value) == "settings of Spark begin with 'spark.', unlike 'executor.memory'; check --spark-conf"


def test_options_that_only_this_machine_takes() -> None:
    refuse_on_spark("local", append="x")
    refuse_on_spark("spark", append=None, keep_days=None)
    with pytest.raises(click.UsageError, match="--keep-days cannot be combined with --engine spark"):
        refuse_on_spark("spark", append=None, keep_days=3.0)
