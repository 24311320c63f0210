"""Options that choose where a command computes: on this machine, or on Spark."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from embedrec.cli.shared.options import combine_options

if TYPE_CHECKING:
    from embedrec.spark.session import SparkSettings

F = TypeVar("F", bound=Callable[..., Any])


def engine_options(command: F) -> F:
    """`--engine`, `--master` and `--spark-conf`, passed on as `engine`, `master` and `spark_conf`."""
    return combine_options(
        [
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
        ]
    )(command)


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
