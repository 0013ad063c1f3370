"""Other libraries' arrays keep their type: lazy ones stay lazy, labelled ones keep their labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import BASE, ELEMENTWISE, GATED

import cact

X = BASE[:60].reshape(12, 5)


class Wrapped:
    """A minimal array of another library: an ndarray, and a record of what was asked."""

    __array_priority__ = 100

    def __init__(self, a: Any, log: list[tuple[str, str, tuple[str, ...]]]) -> None:
        self.a, self.log = np.asarray(a), log

    shape = property(lambda self: self.a.shape)
    ndim = property(lambda self: self.a.ndim)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise AssertionError("it was turned into an ndarray")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        self.log.append((ufunc.__name__, method, tuple(sorted(kwargs))))
        plain = [i.a if isinstance(i, Wrapped) else i for i in inputs]
        if "out" in kwargs:
            kwargs["out"] = tuple(o.a if isinstance(o, Wrapped) else o for o in kwargs["out"])
        result = getattr(ufunc, method)(*plain, **kwargs)
        return tuple(map(self.like, result)) if isinstance(result, tuple) else self.like(result)

    def like(self, a: Any) -> Wrapped:
        return Wrapped(a, self.log)


class Refusing:
    """An array that takes part in no ufunc."""

    __array_ufunc__ = None
    dtype = np.dtype(float)


class Declining:
    def __array_ufunc__(self, *args: Any, **kwargs: Any) -> Any:
        return NotImplemented


def wrapped(a: Any = X) -> Wrapped:
    return Wrapped(a, [])


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_every_operation_is_delegated(name: str, engine: str) -> None:
    """As real ufunc calls, named after the function, and computed once."""
    f = cact.get(name)
    x = wrapped()
    results: list[tuple[str, Any, Any]] = [(name, f(x), f(X)), (f"{name}_grad", f.grad(x), f.grad(X))]
    value, grad = f.value_and_grad(x)
    results += [(f"{name}_value_and_grad", value, f(X)), ("", grad, f.grad(X))]
    if not f.learnable:
        results += [(f"{name}_backward", f.backward(x, x), f.backward(X, X))]
        results += [("", f.backward(X, x), f.backward(X, X)), ("", f.backward(x, X), f.backward(X, X))]
    for ufunc, got, wanted in results:
        assert type(got) is Wrapped
        np.testing.assert_array_equal(got.a, wanted)
        if ufunc and not ufunc.endswith("backward"):
            assert any(entry[:2] == (ufunc, "__call__") for entry in x.log), x.log


def test_out_where_and_parameters_are_delegated(engine: str) -> None:
    x, out = wrapped(), wrapped(np.zeros((12, 5)))
    result = cact.gelu(x, out=out, where=X > 0)
    np.testing.assert_array_equal(out.a, np.where(X > 0, cact.gelu(X), 0))
    np.testing.assert_array_equal(result.a, out.a)
    assert x.log == [("gelu", "__call__", ("out", "where"))]
    cact.gelu(X, out=out)
    np.testing.assert_array_equal(out.a, cact.gelu(X))
    result = cact.leaky_relu(x, negative_slope=0.3)
    np.testing.assert_array_equal(result.a, cact.leaky_relu(X, negative_slope=0.3))
    slope = np.linspace(0, 1, 5)
    result = cact.leaky_relu(X, negative_slope=wrapped(slope))
    assert type(result) is Wrapped
    np.testing.assert_array_equal(result.a, cact.leaky_relu(X, negative_slope=slope))
    result = cact.gelu(x, dtype=np.float32, casting="unsafe")
    assert result.a.dtype == np.float32


def test_rows_are_delegated(engine: str) -> None:
    x = wrapped()
    for axis in (0, 1, -1):
        y = cact.softmax(x, axis=axis)
        assert type(y) is Wrapped
        np.testing.assert_array_equal(y.a, cact.softmax(X, axis=axis))
        dx = cact.softmax.backward(x, y, axis=axis)
        assert type(dx) is Wrapped
        np.testing.assert_array_equal(dx.a, cact.softmax.backward(X, y.a, axis=axis))
    assert x.log[0][0] == "softmax"


def test_refusal(engine: str) -> None:
    for f in (cact.gelu, cact.gelu.grad, cact.prelu, cact.softmax):
        for bad in (Refusing(), Declining()):
            with pytest.raises((TypeError, ValueError)):
                f(bad)
    with pytest.raises(TypeError, match="NotImplemented"):
        cact.gelu.backward(X, Declining())


# ------------------------------------------------------------------ where installed
def test_pandas(engine: str) -> None:
    pd = pytest.importorskip("pandas")
    index = [f"row {i}" for i in range(12)]
    frame = pd.DataFrame(X, index=index, columns=list("abcde"))
    series = frame["b"]
    for f in (cact.gelu, cact.gelu.grad, lambda x: cact.gelu.value_and_grad(x)[1], cact.leaky_relu):
        got = f(frame)
        assert isinstance(got, pd.DataFrame)
        assert list(got.index) == index
        assert list(got.columns) == list("abcde")
        np.testing.assert_array_equal(got.to_numpy(), f(X))
        got = f(series)
        assert isinstance(got, pd.Series)
        assert got.name == "b"
        np.testing.assert_array_equal(got.to_numpy(), f(X[:, 1]))
    dx = cact.gelu.backward(series[::-1], series)
    np.testing.assert_array_equal(dx.sort_index(), (series * cact.gelu.grad(series)).sort_index())


def test_dask(engine: str) -> None:
    da = pytest.importorskip("dask.array")
    x = da.from_array(X, chunks=(5, 2))
    for f in (cact.gelu, cact.gelu.grad, lambda x: cact.gelu.backward(x, x), cact.elu):
        got = f(x)
        assert isinstance(got, da.Array), "it was computed"
        assert got.dtype == np.float64
        assert got.chunks == x.chunks
        np.testing.assert_array_equal(got.compute(), f(X))
    assert cact.gelu(x.astype(np.float32)).compute().dtype == np.float32


def test_xarray(engine: str) -> None:
    xr = pytest.importorskip("xarray")
    x = xr.DataArray(X, dims=("time", "unit"), coords={"time": np.arange(12) * 10})
    for f in (cact.gelu, cact.gelu.grad, lambda x: cact.gelu.backward(x, x)):
        got = f(x)
        assert isinstance(got, xr.DataArray)
        assert got.dims == ("time", "unit")
        np.testing.assert_array_equal(got.coords["time"], np.arange(12) * 10)
        np.testing.assert_array_equal(got.values, f(X))


def test_torch(engine: str) -> None:
    torch = pytest.importorskip("torch")
    for dtype in (torch.float32, torch.float64):
        x = torch.tensor(X, dtype=dtype)
        for form in (x, x.T, x[::2]):
            got = cact.gelu(form)
            np.testing.assert_array_equal(got, cact.gelu(form.numpy()), strict=True)


def test_ml_dtypes_are_refused_by_name_or_computed(engine: str) -> None:
    """bfloat16: kept, or a TypeError that names it; never a silent float64."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = X.astype(ml_dtypes.bfloat16)
    try:
        y = cact.gelu(x)
    except TypeError as error:
        assert "gelu" in str(error)  # noqa: PT017
        assert "bfloat16" in str(error)  # noqa: PT017
    else:
        assert y.dtype == x.dtype


@pytest.mark.parametrize("name", GATED)
def test_gated_functions_of_masked_and_lazy_arrays(name: str, engine: str) -> None:
    f, x, dy = cact.get(name), BASE[:60].reshape(6, 10), BASE[60:90].reshape(6, 5)
    masked = np.ma.masked_array(x, x > 2)
    for got, wanted in ((f(masked), f(x)), (f.backward(dy, masked), f.backward(dy, x))):
        assert isinstance(got, np.ma.MaskedArray)
        assert got.mask.any()
        np.testing.assert_array_equal(got.compressed(), wanted[~got.mask])
    da = pytest.importorskip("dask.array")
    lazy = da.from_array(x, chunks=(4, 10))
    for got, wanted in (
        (f(lazy), f(x)),
        (f(lazy.T, axis=0), f(x).T),
        (f.backward(da.from_array(dy, chunks=(4, 5)), lazy), f.backward(dy, x)),
    ):
        assert isinstance(got, da.Array)
        np.testing.assert_array_equal(got.compute(), wanted)
