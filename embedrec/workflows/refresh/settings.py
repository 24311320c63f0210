"""The settings of a refresh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from embedrec.config import Settings, build, check_bounds, check_seed, read_toml, table
from embedrec.errors import SettingsError, did_you_mean
from embedrec.evaluation.drift_gate import NO_GATE, Gate
from embedrec.workflows.drift import DriftSettings
from embedrec.workflows.warm_start import KeepSpace

_CASES = 5_000  # test cases of the metric


@dataclass(frozen=True)
class RefreshSettings(Settings):
    """How artifacts are refreshed: options of the command, and keys of [refresh] in its TOML file.

    keep_days  drop events more than so many days before the last one; None keeps all
    align      rotate new vectors into the space of the old ones
    frozen     keep the vectors of old items byte by byte, and solve only new ones, where a model supports it
    validate   measure models on the newest of the new sessions. A second model is trained for it, without these
    gate       whether thresholds can refuse the refresh
    min_overlap, max_recall_drop, max_metric_drop  the thresholds, see `Gate`
    k          results compared of each list
    seed       of samples
    """

    keep_days: float | None = None
    align: bool = True
    frozen: bool = False
    validate: bool = True
    gate: bool = True
    min_overlap: float | None = Gate.min_overlap
    max_recall_drop: float | None = Gate.max_recall_drop
    max_metric_drop: float | None = Gate.max_metric_drop
    k: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, {"keep_days": (1e-6, 2**31), "k": (1, 2**31)})
        check_seed(self.seed)
        if self.frozen and not self.align:
            raise SettingsError("--frozen vectors stay in their space; leave --no-align out")
        Gate(self.min_overlap, self.max_recall_drop, self.max_metric_drop)  # checks the thresholds

    @property
    def thresholds(self) -> Gate:
        """The gate."""
        return Gate(self.min_overlap, self.max_recall_drop, self.max_metric_drop) if self.gate else NO_GATE

    @property
    def drift(self) -> DriftSettings:
        """How drift is measured."""
        return DriftSettings(self.k, seed=self.seed, cases=_CASES)

    @property
    def space(self) -> KeepSpace | None:
        """How models keep their space, see `renew_model`."""
        return "frozen" if self.frozen else "align" if self.align else None

    @property
    def content(self) -> dict[str, Any]:
        """The settings that the staged artifacts depend on."""
        return {"keep_days": self.keep_days, "space": self.space}


def refresh_settings(config: Path | None, given: Mapping[str, Any]) -> RefreshSettings:
    """The settings of a table [refresh] of a TOML file, with given ones over them.

    Raises SettingsError for other tables and for unknown keys.
    """
    values: dict[str, Any] = {}
    if config is not None:
        tables = read_toml(config)
        odd = next((key for key in tables if key != "refresh"), None)
        if odd is not None or "refresh" not in tables:
            what = f"has {odd!r}{did_you_mean(odd, ['refresh'])}" if odd is not None else "has none"
            raise SettingsError(f"{config} must contain the settings in a table [refresh], but {what}")
        values = table(tables, "refresh")
        build(RefreshSettings, values, source=str(config))  # names the file when the file is wrong
    known = {field.name for field in fields(RefreshSettings)}
    return build(RefreshSettings, {**values, **{k: v for k, v in given.items() if k in known}}, source="the options")
