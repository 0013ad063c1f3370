"""The reference: the registry's formula strings evaluated by mpmath, f' by `mpmath.diff`.

The string is taken at its word: decimal literals are exact decimals, parameters and inputs
exactly the float64 or float32 they are.  Precision is raised until the result stands 128 bits
above the noise of its evaluation, so that ``1+tanh(v)`` far in the tail is as exact as the rest.
"""

from __future__ import annotations

import ast
import functools
import math
from collections.abc import Mapping
from typing import Any

import mpmath
import numpy as np
from mpmath import mp, mpf

import cact

__all__ = [
    "derivative",
    "exact_row",
    "exact_row_backward",
    "kinks",
    "limit",
    "parameter",
    "rounded",
    "ulp",
    "ulp_error",
    "value",
]

#: How many bits of a result must stand above the noise of its evaluation, which is 2^-precision
#: times the largest terms: products of 1, |x|, the parameters and their inverses, and for a difference |f|.
SPARE = 100
#: Nothing is left of a result below this: it is 0 to any rounding.
NOTHING = {np.float32: mpf(2) ** -170, np.float64: mpf(2) ** -1100}
#: Where limits at infinity are read off: far beyond any float, within reach of mpmath.
FAR = mpf(2) ** 1200
#: max(x/power - tau, 0)^power, with which the row sums to 1.
POWER = {"sparsemax": 1, "entmax15": 2}


def _exp(z: mpf) -> mpf:
    """exp; past e^(2^2400) nothing depends on the exponent, which mpmath would write down."""
    if mp.isfinite(z) and abs(z) > 1 and mp.mag(z) > 2400:
        return mp.inf if z > 0 else mpf(0)
    return mp.exp(z)


def _erfc(z: mpf) -> mpf:
    """erfc; past |z| = 2^20 it is 0 or 2 to 10^12 bits, where mpmath overflows."""
    return mpf(0 if z > 0 else 2) if abs(z) > 2**20 else mp.erfc(z)


def _erf(z: mpf) -> mpf:
    return mp.sign(z) if abs(z) > 2**20 else mp.erf(z)


def _expm1(z: mpf) -> mpf:
    """expm1; below -2^20 it is -1 to 10^6 bits."""
    return mpf(-1) if z < -(2**20) else mp.expm1(z)


def _tanh(z: mpf) -> mpf:
    """tanh; past |z| = 2^20 it is 1 to 10^6 bits, where mpmath runs out of memory."""
    return mp.sign(z) if abs(z) > 2**20 else mp.tanh(z)


FUNCTIONS: dict[str, Any] = {
    "exp": _exp,
    "expm1": _expm1,
    "erf": _erf,
    "erfc": _erfc,
    "log": mp.log,
    "tanh": _tanh,
    "sin": mp.sin,
    "sqrt": mp.sqrt,
    "fsum": mp.fsum,
    "pi": mp.pi,
    "abs": abs,
    "sign": mp.sign,
    "clip": lambda v, low, high: min(max(v, low), high),
    "max": max,
    "min": min,
}


@functools.cache
def _literal(text: str, precision: int) -> mpf:
    return mpf(text)


class _Exact(ast.NodeTransformer):
    """Numbers in a formula become ``literal("...")``, with the digits as written."""

    def __init__(self, source: str) -> None:
        self.source = source

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        digits = ast.Constant(ast.get_source_segment(self.source, node))
        return ast.copy_location(ast.Call(ast.Name("literal", ast.Load()), [digits], []), node)


@functools.cache
def _compiled(formula: str) -> Any:
    tree = _Exact(formula).visit(ast.parse(formula, mode="eval"))
    return compile(ast.fix_missing_locations(tree), formula, "eval")


def evaluate(formula: str, **names: Any) -> mpf:
    """The formula at the precision of the moment."""
    scope = FUNCTIONS | names | {"literal": lambda text: _literal(text, mp.prec)}
    return mpf(eval(_compiled(formula), {"__builtins__": {}} | scope))


def _refined(compute: Any, names: Mapping[str, mpf], dtype: Any, size: mpf | int = 1) -> mpf:
    """`compute` at a precision that leaves the result `SPARE` bits.

    Agreement of two precisions would not do: of x*tanh(log(1+exp(x))) both may see only the
    first factor move.
    """
    params = [abs(v) for k, v in names.items() if k != "x" and v]
    largest = mp.fprod([max(mpf(1), size, abs(names["x"])), *(max(v, 1 / v) for v in params)])
    precision = 300
    while precision < 20000:
        with mp.workprec(precision):
            result = compute()
            noise = mpf(2) ** -precision * largest
            if abs(result) > noise * 2**SPARE:
                return result
            if max(abs(result), noise) < NOTHING[dtype]:
                return mpf(0)
            missing = SPARE - mp.mag(result / noise) if result else SPARE
        precision += min(max(300, missing + 8), 1200)
    raise ArithmeticError(f"{precision} bits do not resolve {result} at {names}")


def parameter(v: Any) -> mpf:
    """A parameter exactly; the double nearest to 1/6, hardsigmoid's slope, stands for 1/6."""
    with mp.workprec(25000):
        return mpf(1) / 6 if v == 1 / 6 else _exact(v)


def _exact(x: Any) -> mpf:
    return x if isinstance(x, mpf) else mpf(float(x))


def threshold(name: str, row: list[mpf]) -> mpf:
    """tau of sparsemax and entmax15, with which the row sums to 1.

    By trial of every size k of the support, the k greatest elements: tau solves
    sum(z - tau) = 1 or sum((z/2 - tau)^2) = 1 over them, and the next element lies at or below it.
    """
    power = POWER[name]
    z = sorted((t / power for t in row if t > -mp.inf), reverse=True)
    top, total, squares = z[0], mpf(0), mpf(0)
    for k, t in enumerate(z, 1):
        total += t - top
        squares += (t - top) ** 2
        mean = total / k
        spread = squares / k - mean**2
        if power == 2 and 1 / mpf(k) < spread:  # too large a support for any tau
            continue
        tau = top + mean - (1 / mpf(k) if power == 1 else mp.sqrt(1 / mpf(k) - spread))
        if tau < t and (k == len(z) or z[k] <= tau):
            return tau
    raise ArithmeticError(f"{name}: no threshold of {row}")


def value(name: str, x: Any, params: Mapping[str, float], row: Any = None, dtype: Any = np.float64) -> mpf:
    """f(x) exactly; `row`: the whole row, for functions of rows."""
    formula = cact.get(name).formula
    names = {k: parameter(v) for k, v in params.items()} | {"x": _exact(x)}
    if row is None:
        return _refined(lambda: evaluate(formula, **names), names, dtype)
    whole = [_exact(t) for t in row]
    if name not in POWER:
        return _refined(lambda: evaluate(formula, row=whole, **names), names, dtype)
    with mp.workprec(4000):
        return evaluate(formula, tau=threshold(name, whole), **names)


def derivative(
    name: str,
    x: Any,
    params: Mapping[str, float],
    direction: int = 0,
    by: str = "x",
    dtype: Any = np.float64,
) -> mpf:
    """f'(x) exactly, or the derivative by a parameter; `direction` at a kink: -1 left, 1 right."""
    formula = cact.get(name).formula
    names = {k: parameter(v) for k, v in params.items()} | {"x": _exact(x)}

    gap = mpf(1)
    if by == "x" and not direction:
        gap = min((abs(names["x"] - k) for k in kinks(name, params)), default=gap)
    shorter = max(0, -mp.mag(gap))  # both ends of the step on the same side of every kink
    height = evaluate(formula, **names)  # of what is subtracted: x^2 at 1e90 hides its slope
    higher = min(max(0, mp.mag(height)), 4096) if height and mp.isfinite(height) else 0
    others = [abs(v) for k, v in names.items() if k != by and v]
    shorter += sum(max(0, mp.mag(v)) for v in others)  # and within a period of sin(alpha*x)

    def compute() -> mpf:
        with mp.workprec(mp.prec + shorter + higher):
            return mpmath.diff(
                lambda t: evaluate(formula, **(names | {by: t})), names[by], direction=direction
            )

    size = abs(evaluate(formula, **names))  # of what is subtracted: of x**2 much more than of x
    return _refined(compute, names, dtype, size if mp.isfinite(size) else 1)


def kinks(name: str, params: Mapping[str, float]) -> tuple[mpf, ...]:
    """Where f has no second derivative, so that a difference must not reach across; exactly."""
    record = cact.get(name)._record
    with mp.workprec(2500):
        return tuple(mpf(k) for k in record.kinks_at(*(parameter(params[p]) for p in record.defaults)))


def limit(name: str, sign: int, params: Mapping[str, float], operation: str = "forward") -> float:
    """The limit of f or f' at plus or minus infinity, for functions that have one."""
    exact = (value if operation == "forward" else derivative)(name, sign * FAR, params)
    return float(mp.sign(exact) * mp.inf) if abs(exact) > 1e300 else float(exact)


def exact_row(name: str, x: np.ndarray, places: Any = None, precision: int = 2600) -> list[mpf]:
    """Those elements of the result, from differences with the maximum: x may be as large as it likes."""
    with mp.workprec(precision):
        row = [mpf(v) * (-1 if name == "softmin" else 1) for v in x.tolist()]
        top = max(row)
        z = [v - top for v in row]
        here = range(len(z)) if places is None else places
        if name in POWER:
            tau = threshold(name, z)
            return [max(z[i] / POWER[name] - tau, mpf(0)) ** POWER[name] for i in here]
        e = [mp.exp(v) for v in z]
        if name == "log_softmax":
            e.remove(1)  # the greatest: beside it the others may be small
            rest = mp.log1p(mp.fsum(e))
            return [z[i] - rest for i in here]
        total = mp.fsum(e)
        return [e[i] / total for i in here]


def exact_row_backward(
    name: str, dy: np.ndarray, y: np.ndarray, precision: int = 2400, places: Any = None
) -> list[mpf]:
    """Those elements of dx, from the y that was given."""
    with mp.workprec(precision):
        a, b = ([mpf(v) for v in t.tolist()] for t in (dy, y))
        here = range(len(a)) if places is None else places
        if name == "log_softmax":
            total = mp.fsum(a)
            return [a[i] - mp.exp(b[i]) * total for i in here]
        if name == "sparsemax":
            inside = [u for u, v in zip(a, b) if v > 0]
            mean = mp.fsum(inside) / len(inside)
            return [a[i] - mean if b[i] > 0 else mpf(0) for i in here]
        if name == "entmax15":
            s = [mp.sqrt(v) for v in b]
            mean = mp.fdot(a, s) / mp.fsum(s)
            return [s[i] * (a[i] - mean) for i in here]
        dot = mp.fdot(a, b)
        return [b[i] * (a[i] - dot) * (-1 if name == "softmin" else 1) for i in here]


# ------------------------------------------------------------------ distances
def _traits(dtype: Any) -> tuple[int, int, int]:
    """Bits of the significand; exponents of the smallest normal number and of the largest."""
    info = np.finfo(dtype)
    return info.nmant + 1, int(info.minexp), int(info.maxexp) - 1


def ulp(exact: mpf, dtype: Any) -> mpf:
    """The spacing of `dtype` in the binade of the exact number (subnormals: their spacing)."""
    bits, least, most = _traits(dtype)
    exponent = mp.mag(exact) - 1 if exact and mp.isfinite(exact) else least
    if exact and abs(exact) < mpf(2) ** exponent:  # mag may be one too large
        exponent -= 1
    return mpf(2) ** (min(max(exponent, least), most) - bits + 1)


def ulp_error(result: Any, exact: mpf, dtype: Any) -> float:
    """|result - exact| in units of the last place of the exact number in `dtype`.

    What rounds to infinity is measured from there: an infinite result counts as 2^(emax+1),
    and an exact number beyond that as it, too.  NaN is infinitely far from any number.
    """
    result = float(result)
    if math.isnan(result) or mp.isnan(exact):
        return 0.0 if math.isnan(result) and mp.isnan(exact) else math.inf
    with mp.workprec(256):
        end = mpf(2) ** (_traits(dtype)[2] + 1)
        near, far = (max(-end, min(end, mpf(v))) for v in (result, exact))
        return float(abs(near - far) / ulp(far, dtype))


def rounded(exact: mpf, dtype: Any) -> np.floating[Any]:
    """The number of `dtype` nearest to the exact one."""
    with mp.workprec(256):
        unit = ulp(exact, dtype)
        steps = mp.nint(exact / unit)
        if abs(steps * unit) >= mpf(2) ** (_traits(dtype)[2] + 1):
            return np.dtype(dtype).type(math.copysign(math.inf, float(mp.sign(exact))))
        return np.dtype(dtype).type(float(steps * unit))
