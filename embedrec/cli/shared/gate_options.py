"""The options of a gate, see `embedrec.evaluation.drift_gate`."""

from __future__ import annotations

from typing import Any

import click

from embedrec.cli.shared.options import combine_options

_SHARE = click.FloatRange(0, 1)


def gate_options(**defaults: float | None) -> Any:
    """`--min-overlap`, `--max-recall-drop` and `--max-metric-drop`; those without a default are off."""
    return combine_options(
        [
            click.option(
                "--min-overlap",
                type=_SHARE,
                metavar="X",
                default=defaults.get("min_overlap"),
                show_default=True,
                help="Least mean share of the results that stay.",
            ),
            click.option(
                "--max-recall-drop",
                type=_SHARE,
                metavar="X",
                default=defaults.get("max_recall_drop"),
                show_default=True,
                help="Most that the recall of an index may lose.",
            ),
            click.option(
                "--max-metric-drop",
                type=_SHARE,
                metavar="X",
                default=defaults.get("max_metric_drop"),
                show_default=True,
                help="Most that the recall of the next item on new sessions may lose, beyond chance.",
            ),
        ]
    )
