"""Options that choose where a command computes: on this machine, or on Spark."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from embedrec.cli.shared.options import combine_options

if TYPE_CHECKING:
    from embedrec.spark.session import SparkSettings

F = TypeVar("F", bound=Callable[..., Any])


def engine_options(command: F) -> F:
    """`--engine`, `--master` and `--spark-conf`, passed on as `engine`, `master` and `spark_conf`; `--spark-config`
    gives the last two."""

    @wraps(command)
    def parse(*, spark_config: str | None, **given: Any) -> Any:
        if spark_config is not None:
            if given["engine"] != "spark":
                raise click.UsageError("--spark-config needs --engine spark")
            profile = read_profile(spark_config)
            pairs = tuple(f"{key}={value}" for key, value in profile.conf.items())
            given["master"] = given["master"] or profile.master
            given["spark_conf"] = (*pairs, *given["spark_conf"])
        return command(**given)

    options = [
        click.option(
            "--engine",
            type=click.Choice(["local", "spark"]),
            default="local",
            show_default=True,
            help="Compute on this machine, or on Spark.",
        ),
        click.option(
            "--master",
            metavar="URL",
            help="Master of Spark: local[4], spark://HOST:7077, yarn, k8s://… "
            "[default: that of Spark's configuration].",
        ),
        click.option(
            "--spark-conf",
            multiple=True,
            metavar="KEY=VALUE",
            help="Setting of Spark, such as spark.executor.memory=4g; repeatable.",
        ),
        click.option(
            "--spark-config",
            metavar="FILE:TABLE",
            help="Master and settings of Spark from a table of a TOML file, such as configs/spark-mssd.toml:cluster.",
        ),
    ]
    return combine_options(options)(parse)  # type: ignore[return-value]


def read_profile(given: str) -> SparkSettings:
    """The master and the settings in a table of a TOML file, FILE:TABLE.

    Raises click.UsageError for another form, SettingsError for a file or a table that is missing or has other keys.
    """
    from embedrec.config import read_toml
    from embedrec.errors import SettingsError, did_you_mean
    from embedrec.spark.session import SparkSettings

    file, colon, name = given.rpartition(":")
    if not colon or not file:
        raise click.UsageError(f"--spark-config {given!r} is not FILE:TABLE, such as configs/spark-mssd.toml:cluster")
    tables = read_toml(Path(file))
    table = tables.get(name)
    if not isinstance(table, dict):
        hint = did_you_mean(name, tables) or f"; its tables are {', '.join(tables)}"
        raise SettingsError(f"{file} has no table [{name}]{hint}")
    conf = table.get("conf", {})
    odd = next((key for key in table if key not in ("master", "conf")), None)
    if odd is not None or not isinstance(conf, dict):
        raise SettingsError(f"[{name}] in {file} takes master and conf, a table; correct {odd or 'conf'}")
    return SparkSettings(table.get("master"), {key: _text(value) for key, value in conf.items()})


def _text(value: Any) -> str:
    """A value of TOML as Spark reads it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def spark_settings(engine: str, master: str | None, spark_conf: tuple[str, ...]) -> SparkSettings | None:
    """The settings of these options; None for this machine.

    Raises click.UsageError for options of Spark without `--engine spark`, and for one that is not KEY=VALUE.
    """
    if engine != "spark":
        if master is not None or spark_conf:
            raise click.UsageError(f"{'--master' if master is not None else '--spark-conf'} needs --engine spark")
        return None
    from embedrec.spark.session import SparkSettings

    conf = {}
    for given in spark_conf:
        key, equals, value = given.partition("=")
        if not equals:
            raise click.UsageError(f"--spark-conf {given!r} is not KEY=VALUE, such as spark.executor.memory=4g")
        conf[key.strip()] = value.strip()
    return SparkSettings(master, conf)


def refuse_on_spark(engine: str, **options: Any) -> None:
    """Raises click.UsageError if an option was given that `--engine spark` does not take.

    options  name → value, None or False if it was not given
    """
    if engine == "spark":
        for name, value in options.items():
            if value is not None and value is not False:
                raise click.UsageError(f"--{name.replace('_', '-')} cannot be combined with --engine spark")
