"""Names, traits, and how the C table and the Python records are joined."""

from __future__ import annotations

import ast
import copy
import inspect
import math
import pickle
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import oracle
import pytest
from conftest import BASE, ELEMENTWISE, ENGINES, GATED, PIECES, ROWS, current, numeric
from mpmath import mp

import cact
from cact import _backend, _lookup, _registry

#: Wide and fine enough to see every trait; odd numbers, so that no kink is hit but 0.
X = np.concatenate([np.linspace(-800, 800, 20001), np.linspace(-12, 12, 48001), [0.0]])
X.sort()


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    """Forget what a test registered."""
    tables = (_registry.RECORDS, _registry._keys, _lookup._activations)
    before = [dict(t) for t in tables]
    yield
    for table, was in zip(tables, before):
        table.clear()
        table.update(was)


# ------------------------------------------------------------------ engines
def test_every_engine_ran(engine: str) -> None:
    assert engine == current(), "the engine of the fixture is the one that computes"
    assert cact.info()["backend"] == engine.partition(":")[0]


def test_engines_of_this_machine(record_property: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Says in the output which engines all tests ran on."""
    info = cact.info()
    assert [e for e in ENGINES if e != "numpy"] == [f"c:{isa}" for isa in info["isas"]]
    assert (info["why_not_c"] is None) == (len(ENGINES) > 1)
    record_property("engines", ", ".join(ENGINES))
    with capsys.disabled():
        print(f"\n    engines: {', '.join(ENGINES)} {info['why_not_c'] or ''}".rstrip())


# ------------------------------------------------------------------ names
def test_names() -> None:
    names = cact.names()
    assert len(names) == len(set(names))
    assert {
        "identity", "sigmoid", "tanh", "relu", "leaky_relu", "prelu", "elu", "selu", "softplus",
        "silu", "gelu", "gelu_tanh", "mish", "softmax",
    } <= set(names)  # fmt: skip
    for name in names:
        assert getattr(cact, name) is cact.get(name)
        assert cact.get(name).name == name
        assert name in cact.__all__
        assert name in dir(cact)


def spellings(name: str) -> set[str]:
    words = name.split("_")
    return {
        name,
        name.upper(),
        "-".join(words),
        " ".join(words),
        "".join(words),
        "".join(w.capitalize() for w in words),
        f" {name} ",
    }


@pytest.mark.parametrize("name", cact.names())
def test_every_spelling_and_alias(name: str) -> None:
    for known in (name, *cact.get(name).aliases):
        for spelling in spellings(known):
            assert cact.get(spelling) is cact.get(name), spelling


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("gelo", "gelu"), ("sigmod", "sigmoid"), ("LeekyReLU", "leaky_relu"), ("softmaks", "softmax")],
)
def test_an_unknown_name_names_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(ValueError, match=rf"unknown activation '{wrong}'; did you mean .*\b{right}\b"):
        cact.get(wrong)


def test_a_hopeless_name() -> None:
    with pytest.raises(ValueError, match=r"unknown activation 'xyzzyq'; see cact.names\(\)"):
        cact.get("xyzzyq")
    with pytest.raises(AttributeError, match="xyzzyq"):
        cact.xyzzyq  # noqa: B018


@pytest.mark.parametrize("thing", [None, 3, ["gelu"], (1, 2), (np.sin,), b"gelu"])
def test_not_an_activation(thing: Any) -> None:
    with pytest.raises(TypeError, match=r"a name, an Activation or a pair \(f, grad\)"):
        cact.get(thing)


# ------------------------------------------------------------------ records
@pytest.mark.parametrize("name", cact.names())
def test_formula(name: str) -> None:
    """Parseable, and every name in it is x, a parameter or a function that the oracle has.

    Or what stands for a part of x: its row and the row's threshold tau, its halves a and b with
    the gate, the i-th piece.
    """
    f = cact.get(name)
    tree = ast.parse(f.formula, mode="eval")
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    bound = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    parts = {"x"}
    if name in GATED:
        assert used == {"a", "b", f._record.gate}
        return
    if name in ROWS:
        parts |= {"row", "tau"}
    if name in PIECES:
        parts |= {"i"}
    assert used - bound <= parts | {*f.params} | oracle.FUNCTIONS.keys()
    assert "x" in used
    assert set(f._record.defaults) - {"axis"} <= used, "a parameter that the formula does not have"


@pytest.mark.parametrize("name", cact.names())
def test_attributes(name: str) -> None:
    f = cact.get(name)
    assert f.__name__ == name
    assert f.formula in f.__doc__
    assert set(f.learnable) <= set(f.params)
    assert name in repr(f)
    order = ["x", *f.learnable, "out"]  # learnable parameters may be positional
    assert list(inspect.signature(f).parameters)[: len(order)] == order
    for k, v in f.params.items():
        assert inspect.signature(f).parameters[k].default == v
        assert f"{k}={v!r}" in repr(f)
    with pytest.raises(TypeError):
        f.params["x"] = 1.0  # type: ignore[index]
    with pytest.raises(AttributeError):
        f.formula = "x"  # type: ignore[misc]


# ------------------------------------------------------------------ traits, numerically
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_range(name: str) -> None:
    """No value outside, and both ends are approached."""
    f = cact.get(name)
    y = f(np.concatenate([X, [-1e300, 1e300]]))
    low, high = f.range
    assert low < high
    slack = 1e-15 * max(abs(v) for v in (low, high, 1.0) if math.isfinite(v))
    assert y.min() >= low - slack
    assert y.max() <= high + slack
    for end, reached in ((low, y.min()), (high, y.max())):
        if math.isinf(end):
            assert abs(reached) > 1e290
        else:
            assert reached == pytest.approx(end, abs=1e-8)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_monotonic(name: str) -> None:
    f = cact.get(name)
    y = f(X)
    slack = 0 if current() != "numpy" else 16 * np.spacing(np.abs(y[1:]))  # NumPy's bound, where f' is 0
    with np.errstate(invalid="ignore"):  # infinite ones
        rises = (y[1:] >= y[:-1]) | (y[1:] >= y[:-1] - slack)
    assert f.monotonic == bool(rises.all() and (f.grad(X) >= 0).all())


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_mean_and_gain(name: str) -> None:
    """E f(z) and E f(z)^2 for z ~ N(0, 1), by mpmath's quadrature of the formula."""
    f = cact.get(name)

    def expectation(power: int) -> float:
        ends = sorted({-12, -6, -3, -1, 0, 1, 3, 6, 12, *oracle.kinks(name, numeric(f))})
        density = lambda z: mp.exp(-z * z / 2) / mp.sqrt(2 * mp.pi)  # noqa: E731
        names = {k: oracle.parameter(v) for k, v in numeric(f).items()}
        return float(mp.quad(lambda z: oracle.evaluate(f.formula, x=z, **names) ** power * density(z), ends))

    assert f.zero_centered == (abs(expectation(1)) < 0.1), expectation(1)
    assert f.gain == pytest.approx(expectation(2) ** -0.5, rel=1e-6)


def test_gain_depends_on_the_parameters() -> None:
    assert cact.get("leaky_relu", negative_slope=1.0).gain == pytest.approx(1.0, rel=1e-6)
    assert cact.get("relu").gain == pytest.approx(math.sqrt(2), rel=1e-6)
    assert cact.get("leaky_relu", negative_slope=0.5).gain == pytest.approx((2 / 1.25) ** 0.5, rel=1e-6)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_saturates(name: str) -> None:
    f = cact.get(name)
    left, right = (bool(abs(f.grad(np.float64(x))) < 1e-12) for x in (-1e30, 1e30))
    sides = {(True, True): "both", (True, False): "left", (False, True): "right", (False, False): None}
    assert f.saturates == sides[left, right]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_can_die(name: str) -> None:
    """f' is exactly 0 on a half line: long before anything underflows."""
    f = cact.get(name)
    dead = (f.grad(np.linspace(-30, -12, 101)) == 0).all() or (f.grad(np.linspace(45, 60, 101)) == 0).all()
    assert f.can_die == bool(dead)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_smoothness_and_kinks(name: str) -> None:
    """f', f'', ... of the formula from the left and the right of each kink."""
    f = cact.get(name)
    assert (f.smoothness < math.inf) == bool(f._record.kinks)
    names = {k: oracle.parameter(v) for k, v in numeric(f).items()}
    for kink in oracle.kinks(name, numeric(f)):
        tiny = mp.mpf(2) ** -60
        with mp.workprec(300):
            jump = [oracle.evaluate(f.formula, x=kink + side * tiny, **names) for side in (-1, 1)]
        order = -1 if abs(jump[0] - jump[1]) > 1e-6 else 0
        if order < 0:
            assert f.smoothness == -1
            continue
        while order < 5:
            sides = [
                mp.diff(lambda t: oracle.evaluate(f.formula, x=t, **names), kink, order + 1, direction=d)
                for d in (-1, 1)
            ]
            if abs(sides[0] - sides[1]) > 1e-6:
                break
            order += 1
        assert order == f.smoothness, f"{name} has {order} continuous derivatives at {kink}"


# ------------------------------------------------------------------ joining the two tables
#: The records that have kernels of their own: gated functions use their gate's.
IN_C = {n: r for n, r in _registry.RECORDS.items() if n not in GATED}


def test_join_accepts_the_truth() -> None:
    _backend.join(IN_C, {n: len(r.defaults) for n, r in IN_C.items()})
    if _backend.compiled is not None:
        _backend.join(IN_C, _backend.compiled.inventory())


def test_join_names_the_missing_place() -> None:
    inventory = {n: len(r.defaults) for n, r in _registry.RECORDS.items()}
    without = {n: k for n, k in inventory.items() if n != "mish"}
    with pytest.raises(
        ImportError, match=r"mish: .*no C kernels; add src_c/act/mish\.h and #include"
    ) as error:
        _backend.join(_registry.RECORDS, without)
    assert "src_c/activations.h" in str(error.value)
    with pytest.raises(ImportError, match=r"toy: C kernels in src_c/act/toy\.h, .*cact/_formulas/"):
        _backend.join(_registry.RECORDS, inventory | {"toy": 0})
    with pytest.raises(ImportError, match=r"elu: 2 parameter\(s\) in src_c/act/elu\.h, 1 in cact/_formulas/"):
        _backend.join(_registry.RECORDS, inventory | {"elu": 2})
    with pytest.raises(ImportError) as error:
        _backend.join(_registry.RECORDS, without | {"toy": 0})
    assert "mish" in str(error.value)
    assert "toy" in str(error.value)
    assert "gelu" not in str(error.value)


def test_a_record_twice() -> None:
    gelu = _registry.RECORDS["gelu"]
    with pytest.raises(ValueError, match="already means 'gelu'"):
        _registry.add(gelu)
    with pytest.raises(ValueError, match="already means 'gelu'"):
        _registry.add(replace(gelu, name="other"))  # its alias
    assert "other" not in cact.names()


# ------------------------------------------------------------------ register
def forward(x: np.ndarray, k: float = 2.0) -> np.ndarray:
    return k * x * x


def grad(x: np.ndarray, k: float = 2.0) -> np.ndarray:
    return 2 * k * x


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_register(dtype: Any, engine: str) -> None:
    f = cact.register("square_up", forward, grad, formula="k*x**2", aliases=("squp",), range=(0, math.inf))
    x = np.arange(-3, 3).astype(dtype)
    assert f is cact.get("SquareUp") is cact.get("squp") is cact.square_up
    assert "square_up" in cact.names()
    assert f.range == (0, math.inf)
    assert f.formula == "k*x**2"
    assert f(x).dtype == f.grad(x).dtype == f.backward(x, x).dtype == dtype
    np.testing.assert_array_equal(f(x), 2 * x * x)
    np.testing.assert_array_equal(f.grad(x), 4 * x)
    np.testing.assert_array_equal(f.backward(x, x), 4 * x * x)
    for got, wanted in zip(f.value_and_grad(x), (2 * x * x, 4 * x)):
        np.testing.assert_array_equal(got, wanted)
    out = np.full(6, 7, dtype)
    assert f(x, out=out, where=x > 0) is out
    np.testing.assert_array_equal(out, [7, 7, 7, 7, 2, 8])
    np.testing.assert_array_equal(f(x, k=np.array([[1.0], [3.0]])), [x * x, 3 * x * x])
    assert np.isnan(f.grad(np.array([np.nan, 1], dtype))).tolist() == [True, False]
    assert cact.get("square_up", k=5.0)(dtype(2)) == 20


def test_register_pickle_and_copy() -> None:
    f = cact.register("square_up", forward, grad)
    bound = f.bind(k=3.0)
    again = pickle.loads(pickle.dumps(bound))
    assert again == bound
    assert again(2.0) == 12.0
    assert copy.deepcopy(bound) == bound
    assert f != bound


def test_register_replace() -> None:
    first = cact.register("square_up", forward, grad, aliases=("squp",))
    with pytest.raises(ValueError, match="already means 'square_up'"):
        cact.register("square_up", forward, grad)
    second = cact.register("square_up", lambda x: x + 1, lambda x: 0 * x + 1, replace=True)
    assert cact.get("square_up") is second is not first
    assert second(1.0) == 2.0
    with pytest.raises(ValueError, match="squp"):
        cact.get("squp")


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("gelu", {}, "already means 'gelu'"),
        ("gelu", {"replace": True}, "already means 'gelu'"),
        ("GELU_erf", {}, "already means 'gelu'"),
        ("fresh", {"aliases": ("swish1",)}, "already means 'silu'"),
        ("not a name", {}, "must be an identifier"),
        ("", {}, "must be an identifier"),
    ],
)
def test_register_name_clash(name: str, kwargs: dict[str, Any], message: str) -> None:
    before = cact.names()
    with pytest.raises(ValueError, match=message):
        cact.register(name, forward, grad, **kwargs)
    assert cact.names() == before
    assert cact.get("gelu")(1.0) == pytest.approx(0.8413447460685429)


def test_a_failed_replacement_keeps_the_old() -> None:
    cact.register("square_up", forward, grad)
    with pytest.raises(ValueError, match="already means 'gelu'"):
        cact.register("square_up", forward, grad, aliases=("gelu_erf",), replace=True)
    assert cact.get("square_up")(1.0) == 2.0


@pytest.mark.parametrize(
    ("f", "g", "message"),
    [
        (1, grad, "callable"),
        (forward, None, "callable"),
        (forward, lambda x: x, "same parameters"),
        (lambda x, a: x, lambda x, a: x, "'a' needs a default"),
    ],
)
def test_register_bad_functions(f: Any, g: Any, message: str) -> None:
    with pytest.raises(TypeError, match=rf"register\('fresh'\).*{message}"):
        cact.register("fresh", f, g)
    assert "fresh" not in cact.names()


@pytest.mark.parametrize("name", [3, None, b"fresh", ("fresh",)])
def test_register_takes_a_string_as_name(name: Any) -> None:
    with pytest.raises(TypeError, match="register: name must be a string, got "):
        cact.register(name, forward, grad)


@pytest.mark.parametrize("aliases", [(3,), "abc", ("fresher", None)])
def test_register_takes_strings_as_aliases(aliases: Any) -> None:
    with pytest.raises(TypeError, match=r"register\('fresh'\): aliases must be a sequence of strings, got "):
        cact.register("fresh", forward, grad, aliases=aliases)
    assert "fresh" not in cact.names()


def test_register_unknown_trait() -> None:
    with pytest.raises(TypeError, match="colour"):
        cact.register("fresh", forward, grad, colour="red")
    assert "fresh" not in cact.names()


def test_a_pair_of_callables(engine: str) -> None:
    f = cact.get((forward, grad))
    assert f.name == "forward"
    x = np.float32([1, 2])
    np.testing.assert_array_equal(f(x), [2, 8])
    np.testing.assert_array_equal(f.backward(x, x), [4, 16])
    assert pickle.loads(pickle.dumps(f))(1.0) == 2.0
    assert "forward" not in cact.names()


def test_register_takes_numpy_ufuncs() -> None:
    cact.register("registered_sine", np.sin, np.cos, formula="sin(x)")
    x = np.linspace(-3, 3, 7)
    np.testing.assert_array_equal(cact.get("registered_sine").grad(x), np.cos(x))


def line(x: Any, slope: float = 1.0) -> Any:
    return slope * x


def line_grad(x: Any, slope: float = 1.0) -> Any:
    return slope + 0 * x


def test_a_bound_function_outlives_its_name(engine: str) -> None:
    """Registered anew, the name means another function; the old one keeps its parameters in a pickle."""
    f = cact.register("a_line", line, line_grad).bind(slope=3.0)
    assert pickle.loads(pickle.dumps(f)) == f
    cact.register("a_line", np.positive, np.sign, replace=True)
    old = pickle.loads(pickle.dumps(f))
    assert dict(old.params) == {"slope": 3.0}
    assert (old.name, old.formula) == (f.name, f.formula)
    np.testing.assert_array_equal(old(BASE), 3 * BASE)
    np.testing.assert_array_equal(old.grad(BASE, slope=2), np.full(240, 2.0))
    np.testing.assert_array_equal(cact.get("a_line")(BASE), BASE)
    pair = pickle.loads(pickle.dumps(cact.get((line, line_grad))))
    np.testing.assert_array_equal(pair.backward(BASE, BASE), BASE)


@pytest.mark.parametrize("name", cact.names())
def test_help_begins_with_the_signature(name: str) -> None:
    record = cact.get(name)
    bound = {"leaky_relu": {"negative_slope": 0.2}, "prelu": {"weight": 0.1}, "softmax": {"axis": 0}}.get(
        name, {}
    )
    for f in (record, cact.get(name, **bound)):
        assert f.__doc__ is not None
        assert f.__doc__.splitlines()[0] == f"{name}{inspect.signature(f)}"
