"""The options of a gate have the names of its settings."""

from __future__ import annotations

from dataclasses import fields

import click

from embedrec.cli.shared.gate_options import gate_options
from embedrec.evaluation.drift_gate import Gate


def test_options_are_the_settings_of_the_gate() -> None:
    defaults = {field.name: field.default for field in fields(Gate)}

    @click.command()
    @gate_options(**defaults)
    def command(**values: float | None) -> None: ...

    assert {p.name: p.default for p in command.params} == defaults
