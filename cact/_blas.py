"""The BLAS behind NumPy's matrix products: which kernels run, and on how many threads."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Iterator
from typing import Any

__all__ = ["describe", "limited"]

#: OpenBLAS kernels without AVX-512, which a processor that has it should not be left with.
_NARROW = {"Haswell", "Zen", "Sandybridge", "Nehalem", "Core2", "Prescott", "Penryn"}


@functools.cache
def _controller() -> Any:
    """threadpoolctl's, of the libraries loaded by now; None without it."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController().select(user_api="blas")


def describe(isas: list[str]) -> list[dict[str, Any]] | None:
    """What `cact.info` says of each BLAS that is loaded; None where threadpoolctl is not installed.

    Parameters
    ----------
    isas : list of str
        The instruction sets that this machine can run.

    Returns
    -------
    list of dict, or None
        ``library``, ``version``, ``kernels``, ``threads``; and ``below``, which says so where the
        kernels are not what the processor could run, else None.
    """
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return None
    found = []
    for pool in threadpool_info():
        if pool["user_api"] == "blas":
            kernels = pool.get("architecture")
            below = None
            if kernels in _NARROW and "x86-64-v4" in isas:
                below = f"{kernels} kernels on a processor with AVX-512: about half the speed"
                if "OPENBLAS_CORETYPE" in os.environ:
                    below += f"; OPENBLAS_CORETYPE={os.environ['OPENBLAS_CORETYPE']} is set"
            found.append(
                {
                    "library": pool["internal_api"],
                    "version": pool.get("version"),
                    "kernels": kernels,
                    "threads": pool["num_threads"],
                    "below": below,
                }
            )
    return found


_lock = threading.Lock()
_inside = 0  # how many are in `limited` now, in all threads
_first: Any = None  # the limiter that knows the threads from before


@contextlib.contextmanager
def limited(threads: int) -> Iterator[None]:
    """At most so many threads in matrix products, inside it; without threadpoolctl nothing changes.

    The limit is the process's.  Where several threads are inside, the last one out takes it back.
    """
    global _inside, _first
    controller = _controller()
    with _lock:
        _inside += 1
        if controller is not None and any(pool.num_threads > threads for pool in controller.lib_controllers):
            limiter = controller.limit(limits=threads)
            _first = limiter if _first is None else _first
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _first is not None:
                _first.restore_original_limits()
                _first = None
