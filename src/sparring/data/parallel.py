"""Many small readings at once. Pillow lets go of the interpreter while it decodes, so threads are enough."""

import contextlib
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from PIL import Image

Progress = Callable[[str, int, int], None]
T = TypeVar("T")
R = TypeVar("R")


def cpus() -> int:
    """Processors that this process may use; a container often has fewer than the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def quiet_decoders() -> Iterator[None]:
    """Decoders' warnings are no news to a person; the one about decompression bombs becomes an error.

    Filters are a matter of the whole process: enter this in one thread, around all the work.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def spread(
    function: Callable[[T], R], items: Iterable[T], stage: str = "", progress: Progress | None = None
) -> Iterator[R]:
    """``map(function, items)`` in order, over a few threads, telling ``progress(stage, done, total)``."""
    work: Sequence[T] = list(items)
    every = max(1, len(work) // 200)
    pieces = [work[start : start + 16] for start in range(0, len(work), 16)]  # a task for each would cost more than it
    pool = ThreadPoolExecutor(min(8, cpus() + 1), thread_name_prefix="sparring-read")
    with quiet_decoders():
        try:
            # In pieces, so that what is read ahead of a slow consumer stays small.
            done = 0
            for start in range(0, len(pieces), 32):
                for results in pool.map(lambda piece: [function(item) for item in piece], pieces[start : start + 32]):
                    for result in results:
                        yield result
                        done += 1
                        if progress and (done % every == 0 or done == len(work)):
                            progress(stage, done, len(work))
        finally:
            pool.shutdown(cancel_futures=True)
