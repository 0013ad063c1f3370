"""NumPy's validation sets for exp, expm1, log1p and tanh: the kernels' building blocks at 1 ULP.

The files hold correctly rounded results (but one of exp, in float64, a neighbour).  The blocks are compiled
alone; they are made for a part of the numbers (`DOMAINS`), which is what the kernels ask of them.
"""

from __future__ import annotations

import csv
import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import oracle
import pytest
from mpmath import mpf

import cact

FOLDER = Path(np.__file__).parent / "_core/tests/data"
ROOT = Path(__file__).parents[2]
#: What the blocks are made for: (least, greatest), float32 and float64.
DOMAINS = {
    "exponential": {np.float32: (-np.inf, np.inf), np.float64: (-np.inf, np.inf)},
    "exp": {np.float32: (-1500, 88.8), np.float64: (-1500, 700)},
    "expm1": {np.float32: (-300, 88.8), np.float64: (-800, 700)},
    "log1p": {np.float32: (0, 1), np.float64: (0, 1)},
    "elu": {np.float32: (-np.inf, 0), np.float64: (-np.inf, 0)},
    "tanh": {np.float32: (-np.inf, np.inf), np.float64: (-np.inf, np.inf)},
}


def validation_set(name: str, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    path = FOLDER / f"umath-validation-set-{name}.csv"
    if not path.exists():
        pytest.skip(f"{path.name} is not part of this NumPy")
    integer = np.uint32 if dtype == np.float32 else np.uint64
    rows = [r for r in csv.reader(path.read_text().splitlines()) if r and r[0] == f"np.{dtype.__name__}"]
    return tuple(np.array([int(r[k], 16) for r in rows], integer).view(dtype) for k in (1, 2))  # type: ignore


@pytest.fixture(scope="module")
def block(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, np.ndarray], np.ndarray]:
    compiler = os.environ.get("CC", "cc")
    if shutil.which(compiler) is None:
        pytest.skip("no C compiler")
    folder, libraries = tmp_path_factory.mktemp("blocks"), {}
    for bits, dtype in ((32, np.float32), (64, np.float64)):
        library = folder / f"blocks{bits}.so"
        flags = ["-O2", "-std=gnu11", "-ffp-contract=off", "-shared", "-fPIC", f"-DCACT_REAL={bits}"]
        source = str(Path(__file__).with_name("blocks.c"))
        command = [compiler, *flags, f"-I{ROOT / 'src_c'}", source, "-o", str(library), "-lm"]
        subprocess.run(command, check=True)
        libraries[dtype] = ctypes.CDLL(str(library))

    def call(name: str, x: np.ndarray) -> np.ndarray:
        if name in ("exponential", "elu", "tanh"):  # whole kernels
            return cact.get(name)(x)
        y = np.empty_like(x)
        pointers = [a.ctypes.data_as(ctypes.c_void_p) for a in (x, y)]
        getattr(libraries[x.dtype.type], f"block_{name}")(x.size, *pointers)
        return y

    return call


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", DOMAINS)
def test_validation_set(name: str, dtype: Any, block: Callable[[str, np.ndarray], np.ndarray]) -> None:
    x, wanted = validation_set({"exponential": "exp", "elu": "expm1"}.get(name, name), dtype)
    least, greatest = DOMAINS[name][dtype]
    inside = (x >= least) & (x <= greatest)
    assert inside.sum() > 100
    x, wanted = np.ascontiguousarray(x[inside]), wanted[inside]
    for point, ours, exact in zip(x, block(name, x), wanted):
        error = oracle.ulp_error(ours, mpf(float(exact)), dtype)
        assert error <= 1, f"{name}({point!r}): {ours!r}, not {exact!r}"
