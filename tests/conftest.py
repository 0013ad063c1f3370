"""What every test module shares: the engines (backend and instruction set) of this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if "PYTEST_XDIST_WORKER" in os.environ:
    # one worker a core: threads of BLAS beside them wait for each other, up to a hundred times as long
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import cact
from cact import _backend

#: "numpy", and "c:<isa>" for every instruction set that can run here.
ENGINES = ["numpy"]
if _backend.compiled is not None:
    ENGINES += [f"c:{isa}" for isa in _backend.compiled.isas()]
COMPILED = [e for e in ENGINES if e != "numpy"]
#: The catalogue by kind: of each element, of whole rows (softmax), gated (glu), of pieces (maxout).
ELEMENTWISE = [n for n in cact.names() if cact.get(n)._record.elementwise]
ROWS = [n for n in cact.names() if cact.get(n)._record.row_backward is not None]
GATED = [n for n in cact.names() if cact.get(n)._record.gate]
PIECES = [n for n in cact.names() if cact.get(n)._record.pieces is not None]
#: Numbers for tests that do not care which.
BASE = np.random.default_rng(5).normal(0, 2, 240)
DTYPES = [np.float16, np.float32, np.float64]


def numeric(f: cact.Activation) -> dict[str, Any]:
    """The parameters that are numbers: rrelu has training and random_state beside them."""
    return {k: f.params[k] for k in f._record.defaults}


def room(name: str, key: str) -> dict[str, float]:
    """What to bind so that the parameter `key` may be anything between -9 and 9."""
    low, high = cact.get(name)._record.ordered or ("", "")
    return {high: 9.0} if key == low else {low: -9.0} if key == high else {}


def misaligned(a: np.ndarray) -> np.ndarray:
    """A copy at an odd address."""
    b = np.zeros(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    b[...] = a
    return b


def use(engine: str) -> None:
    """Compute with one engine from now on."""
    backend, _, isa = engine.partition(":")
    if isa:
        _backend.compiled.set_isa(isa)
    cact.use_backend(backend)


def current() -> str:
    """The engine in use."""
    return f"c:{_backend.compiled.isa()}" if _backend.active() == "c" else "numpy"


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test once with each engine, and put the former one back."""
    isa = _backend.compiled.isa() if _backend.compiled is not None else None
    backend = _backend.active()
    use(request.param)
    yield request.param
    if isa is not None:
        _backend.compiled.set_isa(isa)
    cact.use_backend(backend)


def pytest_report_header() -> str:
    why = _backend.why_not and f" (no C kernels: {_backend.why_not})"
    asked = os.environ.get("CACT_BACKEND", "")
    return f"cact engines: {', '.join(ENGINES)}{why}" + (f", CACT_BACKEND={asked}" if asked else "")
