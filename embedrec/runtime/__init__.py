"""The process: its cores, child interpreters, and what native code prints.

`python -m embedrec` imports this package while the current folder is still on the module path: like
`child_interpreters`, it only imports modules that are built in or loaded.
"""

import os

TYPE_CHECKING = False  # a type checker takes it for that of `typing`
if TYPE_CHECKING:
    from collections.abc import Callable


def available_cores() -> int:
    """Number of cores that this process may use; all cores if the system cannot tell (macOS)."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


class Announcement:
    """What to call when numba compiles the first kernel of this process, which takes seconds; `embedrec.kernels` calls
    `start`. Kernels from numba's cache are not compiled.

    announce  set by the command line
    done      whether it was called
    """

    def __init__(self) -> None:
        self.announce: Callable[[], None] | None = None
        self.done = False

    def start(self) -> None:
        """Report that a compilation starts."""
        if self.announce is not None and not self.done:
            self.done = True
            self.announce()


announcement = Announcement()


def limit_threads(threads: int) -> None:
    """Let FAISS, in the calling thread, and BLAS, in the whole process, use at most this number of threads.

    Libraries that are loaded later are not limited. Threads of BLAS wait for each other in a loop: where several
    processes or threads share the cores, a small product of matrices takes ten times as long in two as in one.
    """
    import faiss
    from threadpoolctl import threadpool_limits

    faiss.omp_set_num_threads(threads)
    threadpool_limits(threads, user_api="blas")
