"""Which device a training runs on, how many threads it has, and where its randomness comes from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from embedrec.errors import SettingsError


def resolve(requested: str, *, place: int = 0) -> str:
    """The device for "cpu", "cuda" or "auto" (a GPU if there is one).

    place  number of this process among those of the machine: each takes a GPU of its own

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
    if place >= available:
        raise SettingsError(
            f"process {place + 1} of this machine finds {available} GPUs, none for it; start fewer processes"
        )
    return f"cuda:{place}" if available > 1 else "cuda"


@contextmanager
def threads(count: int) -> Iterator[None]:
    """For a block in which torch uses so many threads; afterwards as many as before.

    Raises SettingsError for fewer than 1.
    """
    if count < 1:
        raise SettingsError(f"threads must be at least 1, but is {count}")
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def seeded(device: str, *numbers: int) -> Iterator[None]:
    """For a block whose randomness in torch (dropout, first weights) comes from these numbers; its own is kept."""
    devices = [torch.device(device)] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(_seed(*numbers))
        yield


def generator(*numbers: int) -> torch.Generator:
    """A generator on the CPU that these numbers determine: (seed, epoch)."""
    return torch.Generator().manual_seed(_seed(*numbers))


def _seed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
