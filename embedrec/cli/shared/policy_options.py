"""What is done to lists before they are exported, as options."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
_OPTIONS: dict[str, dict[str, Any]] = {
    "--min-score": {"type": float, "metavar": "X", "help": "Drop results of a lower score."},
    "--min-evidence": {
        "type": click.IntRange(1),
        "metavar": "N",
        "help": "Drop results that share fewer training sessions with the seed.",
    },
    "--mutual": {"is_flag": True, "help": "Keep a result only where the seed is among its own candidates."},
    "--csls": {
        "type": click.IntRange(1),
        "metavar": "N",
        "help": "Hold back hubs: 2·score less the mean scores of both ends' N nearest (CSLS).",
    },
    "--discount": {
        "type": click.FloatRange(0, 10),
        "metavar": "X",
        "help": "Hold back popular items: scores are divided by (1 + count) ** X.",
    },
    "--cap": {
        "multiple": True,
        "metavar": "ATTRIBUTE=N",
        "help": "At most N results of one value, as in artist=2; may be given repeatedly.",
    },
    "--mmr": {
        "type": click.FloatRange(0, 1),
        "metavar": "X",
        "help": "Weight of diversity in a list, 0 to 1 (maximal marginal relevance).",
    },
    "--back-off": {"is_flag": True, "help": "Fill short lists from the seed's sessions, then with popular items."},
}


def policy_options(command: F) -> F:
    """Options of policies: handed over as `policies`, a Policies."""

    @wraps(command)
    def gathered(**given: Any) -> Any:
        from embedrec.export.policies.chain import Policies

        names = [option.removeprefix("--").replace("-", "_") for option in _OPTIONS]
        chosen = {name: given.pop(name) for name in names}
        caps = dict(_cap(text) for text in chosen.pop("cap"))
        return command(policies=Policies(**chosen, caps=caps or None), **given)

    found: Any = gathered
    for name, option in reversed(_OPTIONS.items()):
        found = click.option(name, **option)(found)
    return found


_MOST_DIGITS = 9  # more results than a list could have


def _cap(text: str) -> tuple[str, int]:
    attribute, _, most = text.rpartition("=")
    if not attribute or not most.isdecimal() or len(most) > _MOST_DIGITS:
        raise click.UsageError(f"--cap takes ATTRIBUTE=N, such as artist=2, but was given {text!r}")
    return attribute, int(most)
