"""The BLAS behind NumPy's matrix products: which kernels run, and on how many threads."""

from __future__ import annotations

import contextlib
import functools
import os
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


def limited(threads: int) -> contextlib.AbstractContextManager[Any]:
    """At most so many threads in matrix products, inside it; without threadpoolctl nothing changes."""
    controller = _controller()
    if controller is None or all(pool.num_threads <= threads for pool in controller.lib_controllers):
        return contextlib.nullcontext()
    limiter: contextlib.AbstractContextManager[Any] = controller.limit(limits=threads)
    return limiter
