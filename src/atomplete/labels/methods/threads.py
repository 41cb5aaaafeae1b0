"""One OpenMP thread a calculation: parallel sums in another order would change the last bits."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

#: What the numerical libraries read from the environment when they are loaded.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


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
