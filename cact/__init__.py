"""Modern activation functions for NumPy, at memory speed and exact to the last bits.

``cact.gelu(x)``, ``cact.gelu.grad(x)``, ``cact.gelu.backward(dy, x)``; `names` lists the
functions, `get` finds one by name, `info` says what runs.  `cact.nn` has the layers, `cact.sklearn`
scikit-learn's MLP estimators with these functions.  `cact.save` and `cact.load` keep a network or an
estimator in a file, `cact.to_onnx` makes an ONNX model of it, and `cact.compare` trains the same
network with each activation.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

from ._activation import Activation
from ._backend import info, use_backend
from ._lookup import get, names, register
from ._threads import get_num_threads, num_threads, set_num_threads

__all__ = [
    "Activation",
    "get",
    "get_num_threads",
    "info",
    "names",
    "num_threads",
    "register",
    "set_num_threads",
    "use_backend",
    *names(),
]

globals().update({name: get(name) for name in names()})


def __getattr__(name: str) -> Any:
    """Subpackages on first use, so that ``import cact`` stays cheap; registered functions."""
    import importlib

    if name in ("kernels", "nn", "sklearn"):
        return importlib.import_module(f"{__name__}.{name}")
    if name == "compare":
        return importlib.import_module(f"{__name__}._compare").compare
    if name in ("load", "save"):
        return getattr(importlib.import_module(f"{__name__}._saving"), name)
    if name == "to_onnx":
        return importlib.import_module(f"{__name__}._to_onnx").to_onnx
    if name in names():
        return get(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), "compare", "kernels", "load", "nn", "save", "sklearn", "to_onnx", *names()})
