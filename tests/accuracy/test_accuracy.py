"""Every elementwise f and f' against its formula, on the inputs where such functions go wrong.

Bounds: 2 ULP with the C kernels, everywhere.  On NumPy 16 ULP, except within `BESIDE` of a root
of f or f', where the absolute error is at most `ROOT_EPS` machine epsilons.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import oracle
import pytest
from conftest import ELEMENTWISE, numeric

import cact

BOUND_C, BOUND_NUMPY = 2.0, 16.0
BESIDE, ROOT_EPS = 0.25, 1.0

#: Where some function saturates, underflows or changes its method: -745.13 is the last
#: double exponential, -708.4 the last normal one, -103.97 and -87.34 the same for float32,
#: -38.57 and -14.4 the ends of gelu in the two types, -37.43 and -17.33 those of expm1.
THRESHOLDS = (
    -745.1332, -744.44, -708.3964, -103.9721, -103.28, -87.33655, -40.0, -38.5675, -37.5194, -37.4299,
    -37.0, -36.7368, -22.5, -19.0615, -17.32868, -16.6355, -15.9424, -14.4, -13.5, -13.0, -9.0109, -8.5,
    -5.6, -5.0, -4.0, -2.0, -1.0, -0.6931472, -0.3465736, 0.3465736, 0.6931472, 1.0, 4.0, 5.6, 8.5,
    9.0109, 16.6355, 19.0615, 20.0, 30.0, 37.4299, 40.0, 88.72284, 100.0, 709.7827, 745.1332,
)  # fmt: skip

#: Known roots of f', to more digits than a double has.
ROOTS = {
    "gelu": -0.75179152469356445746,
    "gelu_tanh": -0.75246142207101625849,
    "silu": -1.27846454276107379511,
    "mish": -1.19243121451549521214,
    "quick_gelu": -0.75115425544128895130,
    "swish": -1.27846454276107379511,
    "acon_c": -1.27846454276107379511,
    "xielu": -0.98082925301172614434,
    "telu": -1.07886005846462405665,
    "golu": -0.56714329040978387300,
    "serf": -1.19305996892818796618,
}


def special(dtype: Any) -> np.ndarray:
    """Zeros, subnormals and the ends of the finite numbers, with either sign."""
    info = np.finfo(dtype)
    tiny, least, most = info.tiny, info.smallest_subnormal, info.max
    x = [
        0.0,
        least,
        2 * least,
        tiny / 2,
        tiny - least,
        tiny,
        info.eps,
        info.eps / 2,
        0.5,
        1.0,
        most / 2,
        most,
    ]
    return np.array([*x, *(-v for v in x)], dtype)


def near(center: float, dtype: Any, steps: int) -> np.ndarray:
    """The representable neighbours of a number, on both sides."""
    found = [np.dtype(dtype).type(center)]
    for end in (-np.inf, np.inf):
        x = found[0]
        for _ in range(steps):
            x = np.nextafter(x, np.dtype(dtype).type(end))
            found.append(x)
    return np.array(found, dtype)


def approaching(center: float, dtype: Any) -> np.ndarray:
    """The neighbours, and points at ever smaller distances."""
    widths = 2.0 ** -np.arange(1.0, np.finfo(dtype).nmant)
    return np.concatenate([near(center, dtype, 24), center + widths, center - widths]).astype(dtype)


def parameters(name: str) -> list[dict[str, float]]:
    """The default parameters of a function and two other choices."""
    f = cact.get(name)
    if not f.params:
        return [{}]
    positive = {k for k, v in f._record.domains.items() if v in ("positive", "not negative")}
    others = [
        {k: p if k in positive else q for k, q in dict.fromkeys(numeric(f), other).items()}
        for p, other in ((0.3, 0.2), (2.7, -1.7))
    ]
    if f._record.ordered:
        others += [dict(zip(f._record.ordered, bounds)) for bounds in ((-0.3, 2.7), (0.1, 0.6))]
    return [numeric(f), *others]


def kinks(name: str, params: dict[str, float]) -> list[float]:
    """The kinks, rounded: what a test may take as an input."""
    return [float(k) for k in oracle.kinks(name, params)]


@functools.cache
def roots(name: str, operation: str, choice: int = 0) -> tuple[float, ...]:
    """Where f or f' changes its sign, away from kinks and 0: there relative accuracy is hardest."""
    params = parameters(name)[choice]
    exact = oracle.value if operation == "forward" else oracle.derivative

    def sign(x: float) -> int:
        return int(oracle.mp.sign(exact(name, x, params)))

    found = []
    grid = np.arange(-8.015625, 8.0, 0.0625).tolist()
    for left, right in itertools.pairwise(grid):
        if sign(left) * sign(right) >= 0 or any(left <= k <= right for k in (0, *kinks(name, params))):
            continue
        side = sign(left)
        while (middle := (left + right) / 2) not in (left, right):
            left, right = (middle, right) if sign(middle) == side else (left, middle)
        found.append(left)
    return tuple(found)


def points(name: str, operation: str, dtype: Any, choice: int) -> np.ndarray:
    """The finite inputs of one test; fewer for parameters that are not the default."""
    rng = np.random.default_rng([*name.encode()])
    info = np.finfo(dtype)
    share = 4 if choice else 1
    exponents = np.concatenate(
        [rng.uniform(info.minexp - info.nmant, info.maxexp, 120 // share), rng.uniform(-60, 8, 700 // share)]
    )
    exponents = np.minimum(exponents, info.maxexp - 1e-3)
    parts = [
        2.0**exponents * rng.choice([-1, 1], exponents.size),
        rng.normal(0, 2, 700 // share),
        rng.uniform(-20, 5, 300 // share),
        rng.uniform(-110, 110, 120 // share),
        rng.uniform(-760, -80, 100 // share),
        special(dtype),
        *(near(t, dtype, 1) for t in THRESHOLDS),
        *(approaching(k, dtype) for k in kinks(name, parameters(name)[choice])),
        *(approaching(r, dtype) for r in roots(name, operation, choice)),
    ]
    return np.unique(np.concatenate(parts).astype(dtype))


@functools.cache
def cases(name: str, operation: str, dtype: Any, choice: int) -> tuple[np.ndarray, list[Any], np.ndarray]:
    """Inputs, exact results and those correctly rounded; computed once for all engines."""
    params = parameters(name)[choice]
    x = points(name, operation, dtype, choice)
    if operation == "grad":
        x = x[~np.isin(x, kinks(name, params))]  # test_limits.py has them
    exact = oracle.value if operation == "forward" else oracle.derivative
    results = [exact(name, v, params, dtype=dtype) for v in x.tolist()]
    return x, results, np.array([oracle.rounded(r, dtype) for r in results])


def worst(errors: list[float], x: np.ndarray, y: np.ndarray, exact: list[Any]) -> str:
    """The largest error, for the message."""
    i = int(np.argmax(errors))
    wanted = oracle.rounded(exact[i], y.dtype)
    return f"{errors[i]:.4g} at x = {x[i]!r}: got {y[i]!r}, the exact result rounds to {wanted!r}"


CASES = [
    pytest.param(name, operation, dtype, choice, id=f"{name}-{operation}-{dtype.__name__}-{choice}")
    for name in ELEMENTWISE
    for operation, dtype in itertools.product(("forward", "grad"), (np.float32, np.float64))
    for choice in range(len(parameters(name)))
]


@pytest.mark.parametrize(("name", "operation", "dtype", "choice"), CASES)
def test_error_in_ulp(name: str, operation: str, dtype: Any, choice: int, engine: str) -> None:
    x, exact, nearest = cases(name, operation, dtype, choice)
    params = parameters(name)[choice]
    f = cact.get(name, **params)
    y = (f if operation == "forward" else f.grad)(x)
    assert y.dtype == dtype
    # half an ULP at most where the correctly rounded result was hit
    errors = [0.5 if a == n else oracle.ulp_error(a, b, dtype) for a, b, n in zip(y, exact, nearest)]
    label = f"{name} {operation} {params} {np.dtype(dtype)} on {engine}"
    if engine == "numpy":
        beside = np.zeros(x.shape, bool)
        for root in roots(name, operation, choice):
            beside |= abs(x - root) < BESIDE
        absolute = [
            float(abs(oracle.mpf(float(a)) - b)) / float(np.finfo(dtype).eps) if where else 0.0
            for a, b, where in zip(y, exact, beside)
        ]
        assert max(absolute) <= ROOT_EPS, f"{label}, beside a root, eps: {worst(absolute, x, y, exact)}"
        errors = [0.0 if where else e for e, where in zip(errors, beside)]
    bound = BOUND_NUMPY if engine == "numpy" else BOUND_C
    assert max(errors) <= bound, f"{label}, ULP: {worst(errors, x, y, exact)}"


@pytest.mark.parametrize(("name", "parameter"), [(n, k) for n in ELEMENTWISE for k in cact.get(n).learnable])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_derivative_by_parameter(name: str, parameter: str, dtype: Any, engine: str) -> None:
    """dy = 1 and a parameter of x's shape: the sum over broadcast axes has one term."""
    x = points(name, "forward", dtype, 0)[::4]
    f = cact.get(name)
    params = {k: np.full(x.shape, v) for k, v in numeric(f).items()}
    gradients = dict(zip(f.learnable, f.backward(np.ones_like(x), x, **params)[1:]))
    exact = [oracle.derivative(name, v, f.params, by=parameter, dtype=dtype) for v in x.tolist()]
    errors = [oracle.ulp_error(a, b, dtype) for a, b in zip(gradients[parameter], exact)]
    bound = BOUND_NUMPY if engine == "numpy" else BOUND_C
    assert max(errors) <= bound, (
        f"d{name}/d{parameter} on {engine}: {worst(errors, x, gradients[parameter], exact)}"
    )


@pytest.mark.parametrize("name", sorted(ROOTS))
def test_known_roots_are_among_the_inputs(name: str) -> None:
    """The search finds the published roots of f', to the last bit but one."""
    found = roots(name, "grad")
    assert len(found) == 1
    assert found[0] == pytest.approx(ROOTS[name], rel=2.0**-52, abs=0)
    for dtype in (np.float32, np.float64):
        x, _, _ = cases(name, "grad", dtype, 0)
        assert np.isin(near(ROOTS[name], dtype, 3), x).all()


def test_inputs_reach_everything() -> None:
    for dtype in (np.float32, np.float64):
        x = points("gelu", "forward", dtype, 0)
        info = np.finfo(dtype)
        assert x.min() == -info.max
        assert x.max() == info.max
        assert (abs(x) < info.tiny).sum() > 10
        # every binade from 2^-60 to 2^8, most of the others
        assert np.unique(np.frexp(x[x != 0])[1]).size > 130


EXTREMES = (1e-300, 1e-40, 1e39, 1e300)


@functools.cache
def extreme_cases(name: str, operation: str, parameter: float, dtype: Any) -> tuple[np.ndarray, list[Any]]:
    """Few inputs, and exact results."""
    f = cact.get(name)
    x = np.array([0.3, 100, 1e10, np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal], dtype)
    x = np.concatenate([x, -x, [-0.7, -88, -709, -745]]).astype(dtype)
    params = dict.fromkeys(numeric(f), parameter)
    if operation == "grad":
        x = x[~np.isin(x, kinks(name, params))]
    exact = oracle.value if operation == "forward" else oracle.derivative
    return x, [exact(name, v, params, dtype=dtype) for v in x.tolist()]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("parameter", EXTREMES)
@pytest.mark.parametrize("name", [n for n in ELEMENTWISE if cact.get(n).params])
def test_extreme_parameters(name: str, parameter: float, dtype: Any, engine: str) -> None:
    """Any parameter in the domain: also those that are no numbers of the dtype."""
    f = cact.get(name, **dict.fromkeys(numeric(cact.get(name)), parameter))
    for operation in ("forward", "grad"):
        x, exact = extreme_cases(name, operation, parameter, dtype)
        y = (f if operation == "forward" else f.grad)(x)
        errors = [oracle.ulp_error(a, b, dtype) for a, b in zip(y, exact)]
        if engine == "numpy":  # its bound is for ordinary parameters; here no NaN and no false infinity
            errors = [0.0 if np.isfinite(a) else e for e, a in zip(errors, y)]
        label = f"{name} {operation} {dict(f.params)} {np.dtype(dtype)} on {engine}"
        assert max(errors) <= BOUND_C, f"{label}, ULP: {worst(errors, x, y, exact)}"
