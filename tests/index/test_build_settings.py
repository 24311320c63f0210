"""How an index is built."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from embedrec.index.build_settings import BuildSettings
from embedrec.index.search_settings import AS_BUILT
from embedrec.storage.memory_budget import IN_MEMORY


def test_defaults_are_cpu_seed_0_in_memory_without_target() -> None:
    settings = BuildSettings()
    assert (settings.search, settings.target, settings.device) == (AS_BUILT, None, "cpu")
    assert (settings.seed, settings.memory) == (0, IN_MEMORY)
    with pytest.raises(FrozenInstanceError):
        settings.seed = 1  # type: ignore[misc]
