"""The sweep of benchmarks/sweep.py in small: a millionth part of the inputs, and all about the hard points.

First the reference itself is held against mpmath on the documented formula.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import oracle
import pytest
from conftest import COMPILED, ELEMENTWISE, ROWS, numeric
from mpmath import mp, mpf

import cact

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import accuracy_page
import rows
import sweep

STRIDE = 4099  # odd, so that all low bits occur


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    if why_not := sweep.obstacle():
        pytest.skip(f"the reference: {why_not}")
    return sweep.build(str(tmp_path_factory.mktemp("sweep")))


def test_the_reference_knows_every_function() -> None:
    assert set(sweep.functions()) == set(ELEMENTWISE)


@pytest.mark.parametrize("name", [*sweep.functions(), *ROWS])
def test_the_comments_say_what_was_measured(name: str) -> None:
    source = (sweep.ACTIVATIONS / f"{name}.h").read_text()
    assert source == accuracy_page.comment(source, [e for e in sweep.load() if e["function"] == name])
    assert "Measured in ULP" in source


@pytest.mark.parametrize("name", cact.names())
def test_what_was_measured_keeps_the_bounds(name: str) -> None:
    entries = [e for e in sweep.load() if e["function"] == name and "has" not in e]
    assert {e["dtype"] for e in entries} == {"float32", "float64"}
    for e in entries:
        assert (sweep if name in ELEMENTWISE else rows).within(e), e
        if name in ELEMENTWISE and e["dtype"] == "float32":
            assert e["f"]["inputs"] >= (1e8 if e["params"] else 4.2e9), e


def test_the_page_is_made_of_the_results() -> None:
    assert sweep.PAGE.read_text() == accuracy_page.page(sweep.load())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", rows.names())
def test_rows_and_gated_functions_in_small(
    name: str, dtype: Any, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine == "numpy":
        pytest.skip("the fallback has bounds of its own")
    monkeypatch.setattr(rows, "LENGTHS", (1, 2, 17))
    monkeypatch.setattr(rows, "PAIRS", 400)
    found = rows.measure(name, dtype)
    assert rows.within({"function": name, **found}), found


def reference(library: ctypes.CDLL, name: str, x: np.ndarray) -> np.ndarray:
    """f and f', each as an exponent of 2 and three doubles to add."""
    parts = np.zeros((x.size, 2, 4))
    pointers = [a.ctypes.data_as(ctypes.c_void_p) for a in (x, sweep.constants(name, {}), parts)]
    library.reference(sweep.functions().index(name), ctypes.c_size_t(x.size), *pointers)
    return parts


@pytest.mark.parametrize("name", sorted(set(sweep.functions()) & set(ELEMENTWISE)))
def test_the_reference_is_the_documented_formula(library: ctypes.CDLL, name: str) -> None:
    rng = np.random.default_rng(3)
    hard = np.concatenate([sweep.steps(t, np.float64, 1) for t in sweep.interesting(name)])
    x = [rng.normal(0, 3, 40), 2.0 ** rng.uniform(-60, 8, 20) * rng.choice([-1, 1], 20), rng.choice(hard, 40)]
    x = np.concatenate(x)
    params = numeric(cact.get(name))
    x = x[~np.isin(x, [float(k) for k in oracle.kinks(name, params)])]
    for point, both in zip(x.tolist(), reference(library, name, x)):
        for part, exact_of in enumerate((oracle.value, oracle.derivative)):
            exact = exact_of(name, point, params)
            with mp.workprec(256):
                exponent, *terms = both[part].tolist()
                ours = sum(map(mpf, terms)) * mpf(2) ** int(exponent)
                error = abs(ours - exact) / oracle.ulp(exact, np.float64)
            # beside a root even __float128 cancels: 0.025 ULP is the most that was found there (gelu')
            assert error < 2**-5, f"{name}, {['f', 'grad'][part]} at {point!r}: {error} ULP of float64"


def blocks(
    name: str, dtype: Any, params: dict[str, float] | None = None, stride: int = STRIDE
) -> Iterator[np.ndarray]:
    if dtype == np.float32:
        yield from sweep.floats(stride)
        yield np.concatenate([sweep.steps(t, np.float32, 1 << 12) for t in sweep.interesting(name, params)])
    else:
        yield from sweep.doubles(name, 200_000)


@pytest.mark.skipif(
    not COMPILED, reason="no compiled kernels: tests/accuracy/test_accuracy.py has the fallback"
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", sorted(set(sweep.functions()) & set(ELEMENTWISE)))
def test_bounds(library: ctypes.CDLL, name: str, dtype: Any, engine: str) -> None:
    """1 ULP, and 2 for f' in float64."""
    if engine == "numpy":
        pytest.skip("the fallback has bounds of its own")
    found = sweep.judge(library, name, blocks(name, dtype), {})
    for what, part, bound in zip(("f", "grad"), found, sweep.BOUNDS[np.dtype(dtype).name]):
        where = f"{name} {what} {np.dtype(dtype)} on {engine}: {part.max} ULP at {float(part.worst).hex()}"
        assert part.n > 190_000
        assert part.max <= bound, where
        assert not part.not_nan, where


@pytest.mark.skipif(
    not COMPILED, reason="no compiled kernels: tests/accuracy/test_accuracy.py has the fallback"
)
@pytest.mark.parametrize("name", sweep.OTHER)
def test_bounds_of_other_parameters(library: ctypes.CDLL, name: str, engine: str) -> None:
    """float32: 1 ULP."""
    if engine == "numpy":
        pytest.skip("the fallback has bounds of its own")
    for params in sweep.other_params(name):
        found = sweep.judge(library, name, blocks(name, np.float32, params, 40_009), params)
        for what, part in zip(("f", "grad"), found):
            assert part.n > 100_000
            assert part.max <= 1, f"{name} {params} {what} on {engine}: {float(part.worst).hex()}"
            assert not part.not_nan, (name, params, what)
