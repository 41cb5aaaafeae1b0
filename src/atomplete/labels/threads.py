"""One thread per calculation: parallel sums in another order would change the last bits."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

#: What the numerical libraries read when they are loaded.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def one_openmp_thread(library: str) -> Iterator[None]:
    """Let the OpenMP runtime of a shared library use one thread inside the block.

    The number is OpenMP's own for the calling thread; it is set back at the end, and other
    threads are not touched.

    Parameters
    ----------
    library
        Path of a shared library that is linked with OpenMP; without OpenMP, nothing happens.

    Examples
    --------
    >>> import ctypes.util
    >>> with one_openmp_thread(ctypes.util.find_library("c")):
    ...     pass
    """
    loaded = ctypes.CDLL(library)  # looking a name up in it also searches what it links
    try:
        get, set_ = loaded.omp_get_max_threads, loaded.omp_set_num_threads
    except AttributeError:
        yield
        return
    before = get()
    set_(1)
    try:
        yield
    finally:
        set_(before)


@contextmanager
def one_thread_for_children() -> Iterator[None]:
    """Let processes started inside the block find environment variables that ask for one thread.

    Examples
    --------
    >>> with one_thread_for_children():
    ...     os.environ["OMP_NUM_THREADS"]
    '1'
    """
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
