"""Options of the export policies, from their registry."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, get_args, get_type_hints

import click

from embedrec.export.policies.settings import POLICIES, Policies, option_of

F = TypeVar("F", bound=Callable[..., Any])
_MAX_DIGITS = 9  # no list has more results


def policy_options(command: F) -> F:
    """Policy options, passed on as `policies`, a Policies."""

    @wraps(command)
    def parse(**given: Any) -> Any:
        values = {name: given.pop(name) for name in POLICIES}
        return command(policies=Policies(**values), **given)

    decorated: Any = parse
    for name in reversed(POLICIES):
        decorated = _option(name)(decorated)
    return decorated


def _option(name: str) -> Callable[[F], F]:
    """The option of a policy: a flag, a number within its bounds, or ATTRIBUTE=N."""
    entry, kind = POLICIES[name], get_type_hints(Policies)[name]
    number = next((one for one in get_args(kind) if one in (int, float)), None)
    given: dict[str, Any] = {"help": entry.summary}
    if kind is bool:
        given |= {"is_flag": True}
    elif number is None:
        given |= {"multiple": True, "metavar": entry.metavar, "callback": _caps}
    elif entry.bounds is None:
        given |= {"type": number, "metavar": entry.metavar}
    else:
        low, high = entry.bounds
        bounded = click.IntRange(int(low)) if number is int else click.FloatRange(low, high)
        given |= {"type": bounded, "metavar": entry.metavar}
    return click.option(option_of(name), name, **given)


def _caps(ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> dict[str, int] | None:
    return dict(_cap(text) for text in texts) or None


def _cap(text: str) -> tuple[str, int]:
    attribute, _, most = text.rpartition("=")
    if not attribute or not most.isdecimal() or len(most) > _MAX_DIGITS:
        raise click.UsageError(f"--cap must be ATTRIBUTE=N, such as artist=2, not {text!r}")
    return attribute, int(most)
