"""An ordered map over several processes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from embedrec.errors import DataError, EmbedrecError
from embedrec.tabular.process_pool import map_in_order


def _square(n: int) -> int:
    return n * n


def _fail_at_three(n: int) -> int:
    if n == 3:
        raise DataError("three")
    return n


def _die(n: int) -> int:
    os._exit(n)


def test_results_of_processes_are_in_order() -> None:
    assert (
        list(map_in_order(_square, range(20), 2))
        == list(map_in_order(_square, range(20), 1))
        == [n * n for n in range(20)]
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_are_raised_in_order(workers: int) -> None:
    results = map_in_order(_fail_at_three, range(6), workers)
    assert [next(results), next(results), next(results)] == [0, 1, 2]
    with pytest.raises(DataError, match="three"):
        next(results)


def test_a_process_that_dies_is_an_error() -> None:
    with pytest.raises(EmbedrecError) as error:
        list(map_in_order(_die, [1, 2, 3], 2))
    assert str(error.value) == "a reading process died, possibly because memory ran out; use --threads 1"


def test_reader_processes_ignore_interrupts() -> None:
    from embedrec.tabular.process_pool import without_interrupts

    code = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    with without_interrupts():
        assert subprocess.check_output([sys.executable, "-c", code], text=True) == "True\n"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"
