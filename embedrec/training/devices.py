"""Device, threads and random seeds of torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from embedrec.errors import SettingsError


def resolve_device(requested: str, *, local_rank: int = 0) -> str:
    """The device for "cpu", "cuda" or "auto" (a GPU if there is one).

    local_rank  rank of this process on the machine; each process uses its own GPU

    Raises SettingsError if there is no such device.
    """
    if requested not in ("cpu", "cuda", "auto"):
        raise SettingsError(f"device must be cpu, cuda or auto, but is {requested!r}")
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if requested == "cpu" or (requested == "auto" and not available):
        return "cpu"
    if not available:
        raise SettingsError(
            f"--device cuda is not available: this build of torch ({torch.__version__}) sees no GPU; use --device cpu "
            "or install a CUDA build of torch"
        )
    if local_rank >= available:
        raise SettingsError(
            f"this machine has {available} GPUs, too few for process {local_rank + 1}; start fewer processes"
        )
    return f"cuda:{local_rank}" if available > 1 else "cuda"


@contextmanager
def use_threads(count: int) -> Iterator[None]:
    """Set torch's number of threads during a block. Raises SettingsError for a number below 1."""
    if count < 1:
        raise SettingsError(f"threads must be at least 1, but is {count}")
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def seed_torch(device: str, *numbers: int) -> Iterator[None]:
    """Seed torch's random numbers (dropout, initial weights) with these numbers during a block; restore the state."""
    devices = [torch.device(device)] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(_seed(*numbers))
        yield


def generator(*numbers: int) -> torch.Generator:
    """A CPU generator seeded with these numbers, such as (seed, epoch)."""
    return torch.Generator().manual_seed(_seed(*numbers))


def _seed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
