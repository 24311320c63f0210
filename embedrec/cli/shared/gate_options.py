"""The options of a gate, see `embedrec.evaluation.drift_gate`."""

from __future__ import annotations

from typing import Any

import click

from embedrec.cli.shared.options import combine_options

_HELP = {
    "min_overlap": "Least mean share of the results that stay.",
    "max_recall_drop": "Most that the recall of an index may lose.",
    "max_metric_drop": "Most that the recall of the next item on new sessions may lose, beyond chance.",
}


def gate_options(**defaults: float | None) -> Any:
    """`--min-overlap`, `--max-recall-drop` and `--max-metric-drop`; those without a default are off."""
    return combine_options(
        [
            click.option(
                f"--{name.replace('_', '-')}",
                type=click.FloatRange(0, 1),
                metavar="X",
                default=defaults.get(name),
                show_default=True,
                help=text,
            )
            for name, text in _HELP.items()
        ]
    )
