"""What compiled code writes to stderr is discarded in a block, and nothing else is. Each case is a process."""

from __future__ import annotations

import io
import subprocess
import sys
import textwrap

import pytest

from embedrec.runtime.child_interpreters import command
from embedrec.runtime.native_stderr import discard_native_stderr, separate_stderr

START = """\
import os, sys, threading
from embedrec.runtime.native_stderr import discard_native_stderr, separate_stderr

def native(text):
    os.write(2, text.encode() + b"\\n")  # as compiled code writes
"""


def stderr_of(code: str) -> list[str]:
    done = subprocess.run(command("-c", START + textwrap.dedent(code)), capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_native_output_is_discarded_in_a_block_and_messages_of_python_appear() -> None:
    assert stderr_of("""
        separate_stderr()
        native("before")
        with discard_native_stderr():
            native("hidden")
            print("ours", file=sys.stderr)
        native("after")
    """) == ["before", "ours", "after"]


def test_nothing_is_discarded_without_a_separate_stderr() -> None:
    assert stderr_of("""
        with discard_native_stderr():
            native("native")
            print("ours", file=sys.stderr, flush=True)
    """) == ["native", "ours"]


def test_nested_blocks_end_with_the_outermost() -> None:
    assert stderr_of("""
        separate_stderr()
        with discard_native_stderr():
            with discard_native_stderr():
                native("hidden")
            native("hidden")
        native("after")
    """) == ["after"]


def test_overlapping_blocks_of_threads_end_with_the_last() -> None:
    assert stderr_of("""
        separate_stderr()
        entered, leave = threading.Event(), threading.Event()

        def other():
            with discard_native_stderr():
                entered.set()
                leave.wait()

        thread = threading.Thread(target=other)
        with discard_native_stderr():
            thread.start()
            entered.wait()
        native("hidden")
        leave.set()
        thread.join()
        native("after")
    """) == ["after"]


def test_an_exception_ends_the_block() -> None:
    assert stderr_of("""
        separate_stderr()
        try:
            with discard_native_stderr():
                raise KeyError("lost")
        except KeyError as e:
            native(f"after {e}")
    """) == ["after 'lost'"]


def test_blocks_leave_no_descriptor_open() -> None:
    assert (
        stderr_of("""
        separate_stderr()
        first = os.open(os.devnull, os.O_RDONLY)
        for _ in range(3):
            with discard_native_stderr():
                pass
        assert os.open(os.devnull, os.O_RDONLY) == first + 1
    """)
        == []
    )


def test_stderr_is_separated_once() -> None:
    assert (
        stderr_of("""
        separate_stderr()
        stream = sys.stderr
        assert stream.fileno() != 2 and stream.line_buffering
        assert (stream.encoding, stream.errors) == (sys.__stderr__.encoding, sys.__stderr__.errors)
        separate_stderr()
        assert sys.stderr is stream
    """)
        == []
    )


def test_a_replaced_stderr_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program or a notebook that redirects `sys.stderr` keeps its stream."""
    for stream in (io.StringIO(), io.TextIOWrapper(io.BytesIO())):
        monkeypatch.setattr(sys, "stderr", stream)
        separate_stderr()
        assert sys.stderr is stream
        with discard_native_stderr():
            sys.stderr.write("ours\n")
        stream.seek(0)
        assert stream.read() == "ours\n"
