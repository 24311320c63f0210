"""The registry of policies: values, checks, options and descriptions."""

from __future__ import annotations

import pytest

from embedrec.errors import SettingsError
from embedrec.export.policies.settings import POLICIES, Policies, option_of


def test_values_out_of_bounds_are_refused() -> None:
    for given, message in (
        ({"csls": 0}, "csls must be at least 1, but is 0"),
        ({"mmr": 1.5}, "mmr must be between 0 and 1, but is 1.5"),
        ({"mmr": float("nan")}, "mmr must be between 0 and 1, but is nan"),
        ({"min_score": float("nan")}, "min_score must be a finite number; it is nan"),
        ({"caps": {"artist": 0}}, "a cap must be at least 1; it is 0 for 'artist'"),
    ):
        with pytest.raises(SettingsError, match=message):
            Policies(**given)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="--mmr cannot be used with --of sessions; leave it out"):
        Policies(mmr=0.5).check("sessions")
    assert Policies().enabled() == {}
    assert Policies(min_score=0.0, mmr=0.0).enabled() == {"min_score": 0.0, "mmr": 0.0}


def test_enabled_policies_are_in_order() -> None:
    policies = Policies(min_score=-0.5, csls=3, caps={"artist": 2}, back_off=True)
    assert policies.enabled() == {"min_score": -0.5, "csls": 3, "caps": {"artist": 2}, "back_off": True}
    assert list(policies.enabled()) == [name for name in POLICIES if name in policies.enabled()]
    assert Policies(caps={}).enabled() == {}


def test_descriptions() -> None:
    assert Policies().describe() == ""
    assert Policies(min_score=0.25, mutual=True, caps={"artist": 2, "label": 1}).describe() == (
        "min-score 0.25, mutual, cap artist=2, cap label=1"
    )


def test_options() -> None:
    assert (option_of("min_score"), option_of("back_off"), option_of("caps")) == ("--min-score", "--back-off", "--cap")
    assert [name for name, entry in POLICIES.items() if not entry.metavar] == ["mutual", "back_off"]


@pytest.mark.parametrize(
    ("of", "refused"),
    [
        ("items", set()),
        ("sessions", {"min_evidence", "discount", "caps", "mmr", "back_off"}),
        ("recommendations", {"min_evidence", "mutual", "csls"}),
    ],
)
def test_every_kind_of_export_refuses_other_policies(of: str, refused: set[str]) -> None:
    values = {"min_score": 1.0, "min_evidence": 1, "mutual": True, "csls": 1, "discount": 1.0, "caps": {"a": 1},
              "mmr": 0.5, "back_off": True}  # fmt: skip
    assert list(values) == list(POLICIES)
    for name, value in values.items():
        policies = Policies(**{name: value})  # type: ignore[arg-type]
        if name in refused:
            with pytest.raises(SettingsError, match=f"^{option_of(name)} cannot be used with --of {of}; leave it out$"):
                policies.check(of)
        else:
            policies.check(of)
