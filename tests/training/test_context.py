"""The context of a training, and the ranks of torchrun."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from embedrec.errors import SettingsError
from embedrec.training.context import DEFAULT_CONTEXT, TrainingContext, torchrun_rank


def test_resuming_needs_a_checkpoint_folder(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="resuming needs a checkpoint; set the folder of the checkpoint"):
        TrainingContext(resume=True)
    assert TrainingContext(checkpoint=tmp_path, resume=True).resume


def test_a_single_process_is_the_first() -> None:
    assert DEFAULT_CONTEXT.first and TrainingContext() == DEFAULT_CONTEXT


@pytest.mark.parametrize("rank", [0, 1])
def test_only_the_process_of_rank_0_is_the_first(rank: int) -> None:
    processes: Any = SimpleNamespace(rank=rank)
    assert TrainingContext(processes=processes).first == (rank == 0)


def test_ranks_of_torchrun() -> None:
    assert torchrun_rank({}) == (0, 1)
    assert torchrun_rank({"LOCAL_RANK": "1", "WORLD_SIZE": "4"}) == (1, 4)
