"""How many threads work on large arrays."""

from __future__ import annotations

import operator
import os
from types import TracebackType

from . import _backend

__all__ = ["get_num_threads", "num_threads", "set_num_threads"]


def _default() -> int:
    """CACT_NUM_THREADS, else OMP_NUM_THREADS (which joblib's workers set), else the usable CPUs."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    own = os.environ.get("CACT_NUM_THREADS")
    if own:
        try:
            return _checked(int(own))
        except ValueError:
            raise ImportError(f"CACT_NUM_THREADS must be an integer of at least 1, got {own!r}") from None
    shared = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return min(int(shared), cpus) if shared.isdigit() and int(shared) > 0 else cpus


def _checked(n: int) -> int:
    n = operator.index(n)
    if n < 1:
        raise ValueError(f"the number of threads must be at least 1, got {n}")
    return n


def set_num_threads(n: int) -> None:
    """Let at most n threads, the caller included, work on one large array.

    The results are the same bits for every n.  Small arrays are always computed by the caller
    alone.  The NumPy backend uses one thread whatever is set.

    Parameters
    ----------
    n : int
        At least 1.  The default is ``CACT_NUM_THREADS``, else ``OMP_NUM_THREADS``, else the
        number of CPUs this process may use.

    Raises
    ------
    ValueError
        If n is less than 1.
    TypeError
        If n is not an integer.
    """
    n = _checked(n)
    if _backend.compiled is not None:
        _backend.compiled.set_threads(n)


def get_num_threads() -> int:
    """How many threads may work on one large array (1 on the NumPy backend)."""
    if _backend.compiled is None or _backend.active() == "numpy":
        return 1
    threads: int = _backend.compiled.get_threads()
    return threads


class num_threads:
    """Context manager: at most n threads inside, the former number after it.

    Examples
    --------
    >>> import cact
    >>> with cact.num_threads(1):
    ...     cact.get_num_threads()
    1
    """

    def __init__(self, n: int) -> None:
        self._n = _checked(n)

    def __enter__(self) -> None:
        self._former = _backend.compiled.get_threads() if _backend.compiled is not None else 1
        set_num_threads(self._n)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        set_num_threads(self._former)


set_num_threads(_default())
