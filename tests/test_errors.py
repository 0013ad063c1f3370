"""Bad input: a TypeError or ValueError that says in one line which function and what is wrong,
before anything has been written."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import cact

X = np.linspace(-2, 2, 12)
OPERATIONS = ["forward", "grad", "backward", "value_and_grad"]


def call(name: str, operation: str) -> Callable[..., Any]:
    """The operation as a function of x; dy is x."""
    f = cact.get(name)
    if operation == "backward":
        return lambda x, *args, **kwargs: f.backward(x, x, *args, **kwargs)
    return f if operation == "forward" else getattr(f, operation)


def outputs(operation: str, out: Any) -> Any:
    return (out, np.full(12, 7.0)) if operation == "value_and_grad" else out


def message(error: pytest.ExceptionInfo[Exception]) -> str:
    """The message, which is one line and not endless."""
    text = str(error.value)
    assert "\n" not in text
    assert 10 < len(text) < 400
    return text


# ------------------------------------------------------------------ x
BAD_INPUTS = {
    "strings": (np.array(["a", "b"]), "<U1"),
    "a string": ("1.0", "<U3"),
    "bytes": (b"1.0", "|S3"),
    "a list of strings": (["a"], "<U1"),
    "complex": (np.array([1j]), "complex128"),
    "a complex number": (1j, "complex128"),
    "complex64": (np.zeros(3, np.complex64), "complex64"),
    "objects": (np.array([1.0, None]), "object"),
    "None": (None, "object"),
    "a dictionary": ({"a": 1}, "object"),
    "datetimes": (np.array(["2020-01-01"], "M8[D]"), "datetime64[D]"),
    "a datetime": (datetime.datetime(2020, 1, 1), "object"),
    "timedeltas": (np.array([1], "m8[s]"), "timedelta64[s]"),
    "a record": (np.zeros(2, [("a", "f8")]), "[('a', '<f8')]"),
}
if np.dtype(np.longdouble) != np.dtype(np.float64):
    BAD_INPUTS["longdouble"] = (np.zeros(2, np.longdouble), "float128")


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("case", BAD_INPUTS)
@pytest.mark.parametrize("name", ["gelu", "prelu"])
def test_bad_dtype(name: str, case: str, operation: str, engine: str) -> None:
    x, dtype = BAD_INPUTS[case]
    out = np.full(np.shape(x), 7.0)
    for kwargs in ({}, {"out": outputs(operation, out)}):
        with pytest.raises(TypeError) as error:
            call(name, operation)(x, **kwargs)
        text = message(error)
        assert name in text
        assert dtype in text
    assert (out == 7).all()


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_bad_dtype_of_rows(case: str, engine: str) -> None:
    x, dtype = BAD_INPUTS[case]
    for f in (cact.softmax, lambda x: cact.softmax.backward(x, x), lambda x: cact.softmax.backward(X, x)):
        with pytest.raises(TypeError) as error:
            f(x)
        assert "softmax" in message(error)
        assert dtype in message(error)


@pytest.mark.parametrize("form", ["csr_matrix", "csr_array", "coo_array"])
def test_sparse_arrays(form: str, engine: str) -> None:
    sparse = getattr(pytest.importorskip("scipy.sparse"), form)(np.eye(4))
    for name in ("gelu", "prelu", "softmax", "glu", "maxout"):
        f = cact.get(name)
        for attempt in (lambda f=f: f(sparse), lambda f=f: f.backward(sparse, np.eye(4))):
            with pytest.raises(TypeError) as error:
                attempt()
            assert name in message(error)
            assert "sparse arrays are not supported; make them dense with .toarray()" in message(error)


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_bad_dtype_of_dy(case: str, engine: str) -> None:
    dy, dtype = BAD_INPUTS[case]
    for name in ("gelu", "prelu"):
        with pytest.raises(TypeError) as error:
            cact.get(name).backward(dy, np.zeros(np.shape(dy)))
        assert name in message(error)
        assert dtype in message(error)


def test_an_integer_beyond_64_bits(engine: str) -> None:
    """An object to NumPy, as for np.tanh."""
    with pytest.raises(TypeError, match="gelu"):
        cact.gelu(10**30)
    with pytest.raises(TypeError, match="gelu"):
        cact.gelu([10**30])


def test_ragged_list(engine: str) -> None:
    with pytest.raises(ValueError, match="inhomogeneous"):
        cact.gelu([[1.0], [1.0, 2.0]])


# ------------------------------------------------------------------ out, where, dtype
def readonly(n: int = 12) -> np.ndarray:
    a = np.full(n, 7.0)
    a.flags.writeable = False
    return a


BAD_OUTS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "read-only": (readonly, ValueError, "read-only"),
    "shorter": (lambda: np.full(11, 7.0), ValueError, "shape"),
    "0-d": (lambda: np.full((), 7.0), ValueError, "shape|dimension"),
    "empty": (lambda: np.full(0, 7.0), ValueError, "shape"),
    "other axis": (lambda: np.full((12, 3), 7.0), ValueError, "shape"),
    "integers": (lambda: np.full(12, 7), TypeError, r"cast.*int64"),
    "booleans": (lambda: np.ones(12, bool), TypeError, r"cast.*bool"),
    "a list": (lambda: [7.0] * 12, TypeError, "ArrayType|array"),
    "a number": (lambda: 7.0, TypeError, "ArrayType|array"),
    "a string": (lambda: "out", TypeError, "ArrayType|array"),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("case", BAD_OUTS)
@pytest.mark.parametrize("name", ["gelu", "prelu"])
def test_bad_out(name: str, case: str, operation: str, engine: str) -> None:
    """In each place where an output can be; the good output beside it is not written either."""
    make, kind, words = BAD_OUTS[case]
    bad, good = make(), np.full(12, 7.0)
    kept = np.array(bad, copy=True)
    outs = [(bad, good), (good, bad)] if operation == "value_and_grad" else [bad]
    for out in outs:
        with pytest.raises(kind, match=words) as error:
            call(name, operation)(X, out=out)
        assert name in message(error), message(error)
        assert (good == 7).all()
        np.testing.assert_array_equal(bad, kept)


@pytest.mark.parametrize("name", ["gelu", "softmax"])
def test_bad_out_of_rows_and_positional(name: str, engine: str) -> None:
    for make, kind, words in BAD_OUTS.values():
        bad = make()
        with pytest.raises(kind, match=words) as error:
            cact.get(name)(X, bad)
        assert name in message(error)
        np.testing.assert_array_equal(bad, make())


@pytest.mark.parametrize("operation", OPERATIONS)
def test_out_given_twice_or_too_often(operation: str, engine: str) -> None:
    f = call("gelu", operation)
    out, other = np.full(12, 7.0), np.full(12, 7.0)
    with pytest.raises(TypeError, match=r"gelu.*'out'"):
        f(X, out, out=other)
    with pytest.raises(TypeError, match=r"gelu.* positional arguments"):
        f(X, out, other, np.full(12, 7.0))
    with pytest.raises((TypeError, ValueError), match=r"gelu|tuple"):
        f(X, out=(out, other, out))
    assert (out == 7).all()
    assert (other == 7).all()


def test_a_tuple_of_one_out(engine: str) -> None:
    """As for a ufunc, and checked like the array itself."""
    for name in ("gelu", "leaky_relu", "prelu", "softmax", "glu", "maxout", "crelu"):
        f = cact.get(name)
        y = f(X)
        out = np.full(y.shape, 7.0)
        assert f(X, out=(out,)) is out
        np.testing.assert_array_equal(out, y)
        np.testing.assert_array_equal(f(X, out=(None,)), y)
        bad = np.full(3, 7.0)
        with pytest.raises(ValueError, match="shape") as error:
            f(X, out=(bad,))
        assert name in message(error)
        for several in ((), (out, np.full(y.shape, 7.0))):
            with pytest.raises(ValueError, match="tuple") as error:
                f(X, out=several)
            assert name in message(error)
        assert (bad == 7).all()
    dx = np.full(12, 7.0)
    assert cact.softmax.backward(X, X, out=(dx,)) is dx
    assert cact.glu.backward(X[:6], X, out=(dx,)) is dx
    wide = np.full((2, 12), 7.0)  # a gufunc would broadcast the rows
    for call in (lambda out: cact.softmax(X, out=out), lambda out: cact.softmax.backward(X, X, out=out)):
        for out in (wide, (wide,)):
            with pytest.raises(
                ValueError, match=r"softmax.*: out has shape \(2, 12\), the result has \(12,\)"
            ):
                call(out)
    assert (wide == 7).all()


@pytest.mark.parametrize("name", ["gelu", "leaky_relu", "prelu", "rrelu"])
def test_two_outputs_that_overlap(name: str, engine: str) -> None:
    f, memory = cact.get(name), np.full((3, 24), 7.0)
    same, row = memory[0, :12], memory[1]
    for out in ((same, same), (row[:12], row[1:13]), (row[:12], row[11::-1]), (memory[:, 0], memory[0, :3])):
        with pytest.raises(
            ValueError, match=rf"{name}\.value_and_grad: the two arrays of out overlap"
        ) as error:
            f.value_and_grad(X[: len(out[0])], out=out)
        message(error)
    assert (memory == 7).all()
    for out in ((row[::2], row[1::2]), (memory[0, 12:], memory[1, :12])):
        wanted = f.value_and_grad(X)
        got = f.value_and_grad(X, out=out)
        assert got[0] is out[0]
        np.testing.assert_array_equal(got, wanted)


def test_shapes_that_do_not_fit(engine: str) -> None:
    out = np.full(12, 7.0)
    with pytest.raises(ValueError, match=r"gelu|broadcast") as error:
        cact.gelu.backward(np.ones(5), X, out=out)
    assert "(5,)" in message(error)
    for dy, x, weight in ((np.ones(5), X, 0.2), (X, X, np.ones(5)), (np.ones(5), X, np.ones(5))):
        with pytest.raises(ValueError, match=r"prelu\.backward: .*broadcast") as error:
            cact.prelu.backward(dy, x, weight, out=out)
        message(error)
    with pytest.raises(ValueError, match="broadcast"):
        cact.leaky_relu(X, negative_slope=np.ones(5), out=out)
    with pytest.raises(ValueError, match="broadcast"):
        cact.gelu(X, where=np.ones(5, bool), out=out)
    with pytest.raises(ValueError, match=r"softmax|broadcast|mismatch"):
        cact.softmax.backward(np.ones(5), X, out=out)
    assert (out == 7).all()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_bad_keywords(operation: str, engine: str) -> None:
    f = call("gelu", operation)
    out = outputs(operation, np.full(12, 7.0))
    for kwargs, kind in (
        ({"dtype": int}, TypeError),
        ({"dtype": complex}, TypeError),
        ({"dtype": "no such type"}, TypeError),
        ({"casting": "sideways"}, ValueError),
        ({"order": "Z"}, ValueError),
    ):
        with pytest.raises(kind):
            f(X, out=out, **kwargs)
    for o in out if isinstance(out, tuple) else (out,):
        assert (o == 7).all()


# ------------------------------------------------------------------ parameters
BAD_PARAMETERS = [
    ("leaky_relu", "negative_slope", float("nan"), ValueError, "finite.*nan"),
    ("leaky_relu", "negative_slope", float("inf"), ValueError, "finite.*inf"),
    ("leaky_relu", "negative_slope", np.array([[0.1], [np.nan], [0.2]]), ValueError, "finite.*nan"),
    ("leaky_relu", "negative_slope", "0.1", TypeError, "real number.*'0.1'"),
    ("leaky_relu", "negative_slope", None, TypeError, "real number.*None"),
    ("leaky_relu", "negative_slope", 1j, TypeError, "real number.*1j"),
    ("leaky_relu", "negative_slope", np.array(["0.1"]), TypeError, "real number"),
    ("leaky_relu", "negative_slope", [0.1, "a"], TypeError, "real number"),
    ("leaky_relu", "negative_slope", [[0.1], [0.1, 0.2]], TypeError, "real number"),
    ("leaky_relu", "negative_slope", 10**400, ValueError, "finite.*integer beyond float64"),
    ("leaky_relu", "negative_slope", -(10**5000), ValueError, "finite.*integer beyond float64"),
    ("leaky_relu", "negative_slope", [0.5, 10**400], ValueError, "finite.*integer beyond float64"),
    ("leaky_relu", "negative_slope", [10**30, None], TypeError, "real number"),
    ("prelu", "weight", float("nan"), ValueError, "finite.*nan"),
    ("elu", "alpha", float("-inf"), ValueError, "finite.*-inf"),
    ("softplus", "beta", 0, ValueError, "at least 1e-300.*0"),
    ("softplus", "beta", -1.0, ValueError, r"at least 1e-300.*-1\.0"),
    ("softplus", "beta", float("nan"), ValueError, "at least 1e-300.*nan"),
    ("softplus", "beta", np.array([1.0, 0.0] * 6), ValueError, r"at least 1e-300.*0\.0"),
    ("gelu", "approximate", "sigmoid", ValueError, "'none', 'tanh', False, True, got 'sigmoid'"),
    ("gelu", "approximate", [], ValueError, r"got \[\]"),
    ("softmax", "axis", 0.5, TypeError, "integer.*0.5"),
    ("softmax", "axis", "last", TypeError, "integer.*'last'"),
    ("softmax", "axis", None, TypeError, "integer.*None"),
]


@pytest.mark.parametrize(
    ("name", "key", "value", "kind", "words"), BAD_PARAMETERS, ids=range(len(BAD_PARAMETERS))
)
def test_bad_parameter(
    name: str, key: str, value: Any, kind: type[Exception], words: str, engine: str
) -> None:
    """In every call, at binding, and by name."""
    f = cact.get(name)
    out = np.full(12, 7.0)
    tries: list[Callable[[], Any]] = [
        lambda: f(X, out=out, **{key: value}),
        lambda: f.backward(X, X, out=out, **{key: value}),
        lambda: f.bind(**{key: value}),
        lambda: cact.get(name, **{key: value}),
    ]
    if name != "softmax":
        tries += [
            lambda: f.grad(X, out=out, **{key: value}),
            lambda: f.value_and_grad(X, out=(out, np.empty(12)), **{key: value}),
        ]
    for attempt in tries:
        with pytest.raises(kind, match=words) as error:
            attempt()
        text = message(error)
        assert name in text
        assert key in text
    assert (out == 7).all()
    assert cact.get(name) is f
    assert key not in f.params or f.params[key] == cact.get(name)._record.defaults.get(key, -1)


@pytest.mark.skipif(np.dtype(np.longdouble) == np.float64, reason="longdouble is float64 here")
def test_a_parameter_beyond_float64_is_no_warning(engine: str) -> None:
    for value in (np.longdouble("1e4000"), np.array([0, 1, -np.longdouble("1e4000")])):
        with (
            np.errstate(all="raise"),
            pytest.raises(ValueError, match=r"leaky_relu: negative_slope must be finite, got -?inf"),
        ):
            cact.leaky_relu(X, negative_slope=value)
    with np.errstate(all="raise"):  # one that only loses digits, or all of them
        np.testing.assert_array_equal(
            cact.leaky_relu(X, negative_slope=np.longdouble("1e-4000")), X * (X > 0)
        )


def test_bounds_in_the_wrong_order(engine: str) -> None:
    with pytest.raises(
        ValueError, match=r"hardtanh: min_val must not exceed max_val, got 3\.0 and 2\.0"
    ) as error:
        cact.hardtanh(X, min_val=np.arange(12.0), max_val=2)
    message(error)
    with pytest.raises(ValueError, match=r"hardtanh: min_val and max_val: .*shape mismatch") as error:
        cact.hardtanh(X, min_val=np.zeros(3), max_val=np.ones(12))
    message(error)


def test_softmax_axis_out_of_bounds(engine: str) -> None:
    out = np.full(12, 7.0)
    for axis in (1, -2, 100, 2**70, -(2**70)):
        assert cact.get("softmax", axis=axis).params["axis"] == axis
        with pytest.raises(ValueError, match=f"softmax: axis {axis} is out of bounds.*dimension 1"):
            cact.get("softmax", axis=axis)(X, out=out)
        with pytest.raises(ValueError, match=f"softmax: axis {axis} is out of bounds.*dimension 1"):
            cact.softmax(X, axis=axis, out=out)
        with pytest.raises(ValueError, match=rf"softmax\.backward: axis {axis} is out of bounds"):
            cact.softmax.backward(X, X, axis=axis, out=out)
    with pytest.raises(ValueError, match=r"softmax: axis -1 is out of bounds.*dimension 0"):
        cact.softmax(3.0)
    assert (out == 7).all()


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("name", "keyword", "has"),
    [
        ("gelu", "approx", "it has approximate"),
        ("gelu", "negative_slope", "it has approximate"),
        ("relu", "alpha", "it has no parameters"),
        ("leaky_relu", "alpha", "it has negative_slope"),
        ("prelu", "outt", "it has weight"),
    ],
)
def test_unknown_keyword(name: str, keyword: str, has: str, operation: str, engine: str) -> None:
    out = outputs(operation, np.full(12, 7.0))
    with pytest.raises(TypeError, match=f"{name}.*unknown keyword '{keyword}'; {has}") as error:
        call(name, operation)(X, out=out, **{keyword: 1})
    message(error)
    with pytest.raises(TypeError, match=f"{name}: unknown parameter '{keyword}'; {has}"):
        cact.get(name).bind(**{keyword: 1})
    for o in out if isinstance(out, tuple) else (out,):
        assert (o == 7).all()


def test_unknown_keyword_of_rows(engine: str) -> None:
    with pytest.raises(TypeError, match=r"softmax: unknown keyword 'dim'; it has axis"):
        cact.softmax(X, dim=0)
    with pytest.raises(TypeError, match=r"softmax\.backward: unknown keyword 'dim'; it has axis"):
        cact.softmax.backward(X, X, dim=0)


@pytest.mark.parametrize("name", ["gelu", "leaky_relu", "prelu", "softmax"])
def test_missing_arguments(name: str, engine: str) -> None:
    f = cact.get(name)
    with pytest.raises(TypeError, match=f"{name}: missing argument 'x'"):
        f()
    with pytest.raises(TypeError, match=f"{name}.backward: missing argument 'dy'"):
        f.backward()
    with pytest.raises(
        TypeError, match=f"{name}.backward: missing argument '{'y' if name == 'softmax' else 'x'}'"
    ):
        f.backward(X)


def test_too_many_positional_arguments(engine: str) -> None:
    out = np.full(12, 7.0)
    for attempt, words in (
        (lambda: cact.gelu(X, out, out), r"gelu: 3 positional arguments given, at most 2"),
        (lambda: cact.gelu.grad(X, out, out), r"gelu\.grad: 3 positional arguments given, at most 2"),
        (
            lambda: cact.gelu.backward(X, X, out, out),
            r"gelu\.backward: 4 positional arguments given, at most 3",
        ),
        (lambda: cact.prelu(X, 0.1, out, out), r"prelu: 4 positional arguments given, at most 3"),
        (
            lambda: cact.prelu.backward(X, X, 0.1, out, out),
            r"prelu\.backward: 5 positional arguments given, at most 4",
        ),
        (lambda: cact.softmax(X, out, out), r"softmax.* 3 "),
        (lambda: cact.softmax.backward(X, X, out, out), r"softmax.* 4 "),
    ):
        with pytest.raises(TypeError, match=words):
            attempt()
    assert (out == 7).all()


def test_rows_have_no_elementwise_derivative(engine: str) -> None:
    for operation in ("grad", "value_and_grad"):
        with pytest.raises(TypeError, match=rf"softmax\.{operation}: .*backward\(dy, y\)"):
            getattr(cact.softmax, operation)(X)


# ------------------------------------------------------------------ backends
def test_unknown_backend() -> None:
    with pytest.raises(ValueError, match="backend must be 'c' or 'numpy', got 'cuda'"):
        cact.use_backend("cuda")


@pytest.mark.parametrize("name", cact.names())
def test_every_function_names_itself(name: str, engine: str) -> None:
    f = cact.get(name)
    with pytest.raises(TypeError, match=rf"\b{name}\b.*complex128"):
        f(np.array([1j]))
    with pytest.raises(TypeError, match=rf"\b{name}\b.*<U1"):
        f.backward(np.array([1.0]), np.array(["a"]))
    with pytest.raises(ValueError, match="read-only") as error:
        f(X, out=readonly(f(X).size))
    assert name in str(error.value)


@pytest.mark.parametrize("name", ["leaky_relu", "elu", "softplus"])
def test_a_positional_parameter_is_explained(name: str, engine: str) -> None:
    key = next(iter(cact.get(name).params))
    with pytest.raises(TypeError, match=f"{name}: parameters are keywords, write {key}=0.2"):
        cact.get(name)(np.ones(3), 0.2)


def test_a_positional_axis_or_name_is_explained(engine: str) -> None:
    for f in (cact.softmax, cact.log_softmax.backward):
        with pytest.raises(TypeError, match=r"softmax.*: axis is a keyword, write axis=0"):
            f(*[np.ones((3, 4))] * (1 if f is cact.softmax else 2), 0)
    with pytest.raises(TypeError, match="gelu: out must be an array, got 'tanh'; it has approximate"):
        cact.gelu(np.ones(3), "tanh")
    with pytest.raises(TypeError, match=r"relu\.grad: out must be an array, got 0"):
        cact.relu.grad(np.ones(3), 0)
