"""Other libraries' arrays keep their type: lazy ones stay lazy, labelled ones keep their labels."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from conftest import BASE, ELEMENTWISE, GATED, PIECES, ROWS

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


# ------------------------------------------------------------------ parameters
def refused(name: str, key: str, value: Any) -> None:
    """A ValueError that says so in one line, at a call and at binding."""
    f = cact.get(name)
    for attempt in (
        lambda: f(X, **{key: value}),
        lambda: f.grad(X, **{key: value}),
        lambda: f.bind(**{key: value}),
    ):
        with pytest.raises(ValueError, match=f"{name}: {key} must be ") as error:
            attempt()
        assert "\n" not in str(error.value)


def test_parameters_that_are_no_arrays(engine: str) -> None:
    for bad in (Refusing(), Declining()):
        with pytest.raises(
            TypeError, match=f"leaky_relu: negative_slope must be .* got a {type(bad).__name__}"
        ):
            cact.leaky_relu(X, negative_slope=bad)
    refused("leaky_relu", "negative_slope", wrapped([0.1, np.nan, 0.1, 0.1, 0.1]))


def test_parameters_of_pandas(engine: str) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abcde"))
    slopes = pd.Series([1, 2, 3, 4, 5], index=list("abcde"))
    got = cact.leaky_relu(frame.loc[3], negative_slope=slopes[::-1])
    assert isinstance(got, pd.Series)
    np.testing.assert_array_equal(got[list("abcde")], cact.leaky_relu(X[3], negative_slope=slopes.to_numpy()))
    np.testing.assert_array_equal(cact.leaky_relu(frame, negative_slope=0 * frame), cact.relu(frame))
    with pytest.raises(TypeError, match=r"leaky_relu: .*DataFrame and Series"):  # pandas' own limit
        cact.leaky_relu(frame, negative_slope=slopes)
    assert cact.get("leaky_relu", negative_slope=slopes) == cact.get("leaky_relu", negative_slope=slopes)
    for bad in (np.nan, np.inf):
        refused("leaky_relu", "negative_slope", slopes.where(slopes > 2, bad))
        refused("leaky_relu", "negative_slope", frame.where(frame > 0, bad))
    refused("softplus", "beta", pd.Series([1.0, 2, 3, 4, 0]))
    for bad in (pd.Series(list("abcde")), pd.Series([1, None, "a", 3, 4]), pd.Series([1j] * 5)):
        with pytest.raises(
            TypeError, match=r"leaky_relu: negative_slope must be a real number.*, got a Series"
        ):
            cact.leaky_relu(X, negative_slope=bad)
    with pytest.raises(ValueError, match=r"hardtanh: min_val must not exceed max_val, got 5\.0 and 4\.0"):
        cact.hardtanh(X, min_val=slopes, max_val=4)
    with pytest.raises(ValueError, match=r"grad_from_output: .* where negative_slope is positive, got 0\.0$"):
        cact.leaky_relu.grad_from_output(X, negative_slope=slopes - 1)


def test_parameters_of_xarray(engine: str) -> None:
    xr = pytest.importorskip("xarray")
    x = xr.DataArray(X, dims=("time", "unit"))
    slope = np.linspace(1, 2, 12)
    got = cact.leaky_relu(x, negative_slope=xr.DataArray(slope, dims="time"))
    assert got.dims == ("time", "unit")
    np.testing.assert_array_equal(got, cact.leaky_relu(X, negative_slope=slope[:, None]))
    refused("leaky_relu", "negative_slope", xr.DataArray([1, 2, np.nan, 3, 4], dims="unit"))
    refused("softplus", "beta", xr.DataArray([1, 2, -1, 3, 4], dims="unit"))


def test_parameters_of_dask(engine: str) -> None:
    """Checked when they are computed."""
    da = pytest.importorskip("dask.array")
    slope = np.linspace(0, 1, 5)
    for x in (X, da.from_array(X, chunks=(5, 2)), X.astype(np.float32)):
        got = cact.leaky_relu(x, negative_slope=da.from_array(slope, chunks=2))
        assert isinstance(got, da.Array)
        assert got.dtype == x.dtype
        np.testing.assert_array_equal(got, cact.leaky_relu(np.asarray(x), negative_slope=slope))
        for name, key, bad in (("leaky_relu", "negative_slope", np.nan), ("softplus", "beta", 0)):
            f = cact.get(name, **{key: da.from_array(np.array([1, 2, bad, 3, 4]), chunks=2)})
            for lazy in (f(x), f.grad(x), f.backward(x, x)):
                with pytest.raises(ValueError, match=f"{name}: {key} must be "):
                    lazy.compute()
    with pytest.raises(TypeError, match=r"leaky_relu: negative_slope must be a real number.*, got a Array"):
        cact.leaky_relu(X, negative_slope=da.from_array(np.array(["a"])))


# ------------------------------------------------------------------ derivatives
def labels(a: Any) -> Any:
    """What a labelled array has beside its numbers."""
    return (
        [list(axis) for axis in a.axes]
        if hasattr(a, "axes")
        else (a.dims, list(a.coords))
        if hasattr(a, "dims")
        else a.chunks
    )


def foreign(a: np.ndarray) -> dict[str, Any]:
    """An array as each library has it, where installed."""
    found: dict[str, Any] = {}
    with contextlib.suppress(ImportError):
        import pandas as pd

        found["pandas"] = pd.DataFrame(a, index=[f"row {i}" for i in range(len(a))])
    with contextlib.suppress(ImportError):
        import dask.array as da

        found["dask"] = da.from_array(a, chunks=(5, 2))
    with contextlib.suppress(ImportError):
        import xarray as xr

        found["xarray"] = xr.DataArray(a, dims=("time", "unit"), coords={"time": np.arange(len(a)) * 10})
        if "dask" in found:
            found["xarray of dask"] = found["xarray"].chunk({"time": 5})
    return found


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_value_and_grad(name: str, engine: str) -> None:
    f = cact.get(name)
    for x in foreign(X).values():
        for got, wanted in zip(f.value_and_grad(x), f.value_and_grad(X)):
            assert type(got) is type(x)
            assert labels(got) == labels(x)
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("name", [n for n in ELEMENTWISE if cact.get(n).learnable])
def test_gradients_of_parameters(name: str, engine: str) -> None:
    """Arrays of the parameter's shape; lazy ones of lazy arrays."""
    f, dy = cact.get(name), BASE[60:120].reshape(12, 5)
    first = f.learnable[0]
    others = foreign(dy)
    for library, x in foreign(X).items():
        for p in (
            0.5,
            np.linspace(0.5, 1, 5),
            np.linspace(0.5, 1, 12)[:, None],
            np.linspace(0.5, 1, 60).reshape(12, 5),
        ):
            wanted = f.backward(dy, X, **{first: p})
            for up in (others[library], dy):
                got = f.backward(up, x, **{first: p})
                assert type(got[0]) is type(x)
                for one, right in zip(got, wanted):
                    assert one.shape == np.shape(right)
                    assert ("dask" in library) == hasattr(getattr(one, "data", one), "compute")
                    np.testing.assert_allclose(one, right, rtol=1e-12, atol=1e-14)
    masked = np.ma.array(X, mask=X > 1)
    for got, right in zip(f.backward(dy, masked), f.backward(np.where(X > 1, 0, dy), np.where(X > 1, 0, X))):
        np.testing.assert_allclose(
            np.ma.filled(got, 0), np.where(np.ndim(got) * (X > 1), 0, right), rtol=1e-12
        )


def test_gradients_of_labelled_parameters(engine: str) -> None:
    for library, x in foreign(X).items():
        if library != "dask":
            with pytest.raises(
                TypeError, match=rf"prelu\.backward: weight has no gradient as a {type(x).__name__}"
            ):
                cact.prelu.backward(X, X, x)
    with pytest.raises(TypeError, match=r"prelu\.backward: .*Wrapped"):
        cact.prelu.backward(X, wrapped())


def test_gradients_of_parameters_follow_the_labels(engine: str) -> None:
    dy, weight = BASE[60:120].reshape(12, 5), np.linspace(0.5, 1, 60).reshape(12, 5)
    wanted = cact.prelu.backward(dy, X, weight)[1]
    arrays, others = foreign(X), foreign(dy)
    if "pandas" in arrays:
        got = cact.prelu.backward(others["pandas"][::-1], arrays["pandas"], weight)[1]
        np.testing.assert_array_equal(got, wanted)
    if "xarray" in arrays:
        got = cact.prelu.backward(others["xarray"].transpose(), arrays["xarray"], weight)[1]
        np.testing.assert_array_equal(got, wanted)


# ------------------------------------------------------------------ along an axis
@pytest.mark.parametrize("axis", [-1, 0])
@pytest.mark.parametrize("name", [*GATED, *PIECES])
def test_functions_that_change_the_length(name: str, axis: int, engine: str) -> None:
    """Labels stay but along the axis, where they do only in the derivative."""
    f = cact.get(name, axis=axis)
    full = np.concatenate([X, X[:, :1]], axis=1)
    wanted = f(full)
    dy = np.linspace(-1, 1, wanted.size).reshape(wanted.shape)
    ups = foreign(dy)
    for library, x in foreign(full).items():
        got = f(x)
        assert type(got) is type(x), library
        np.testing.assert_array_equal(got, wanted, strict=library != "pandas")
        if axis == -1 and library != "dask":
            assert labels(got)[0] == labels(x)[0]
        if library == "dask":
            assert got.chunks[axis + 1] == x.chunks[axis + 1]
        np.testing.assert_array_equal(f(x=x), wanted)
        for up in (dy, ups[library] if axis or library == "dask" else dy):
            dx = f.backward(up, x)
            assert type(dx) is type(x)
            np.testing.assert_array_equal(dx, f.backward(dy, full))
            if library != "dask":
                assert labels(dx) == labels(x)
        with pytest.raises(TypeError, match=rf"{name}: out does not go with a {type(x).__name__}"):
            f(x, out=np.zeros(wanted.shape))
        with pytest.raises(ValueError, match=rf"{name}\.backward: dy has shape .*, the output has"):
            f.backward(dy[:1], x)
    for bad in (wrapped(full), Declining()):
        with pytest.raises(TypeError, match=f"{name}: a {type(bad).__name__} is not supported along an axis"):
            f(bad)


def test_half_types_and_lists_beside_lazy_ones(engine: str) -> None:
    da = pytest.importorskip("dask.array")
    x = X[:, :4].astype(np.float16)
    dy = X[:, :2].astype(np.float32)
    lazy = cact.glu.backward(dy.tolist(), da.from_array(x, chunks=2))
    assert lazy.dtype == np.float64
    np.testing.assert_array_equal(lazy, cact.glu.backward(dy.astype(float), x.astype(float)))
    lazy = cact.maxout.backward(da.from_array(dy), x)
    assert isinstance(lazy, da.Array)
    assert lazy.dtype == np.float32
    np.testing.assert_array_equal(lazy, cact.maxout.backward(dy, x))
    masked = da.ma.masked_greater(da.from_array(X[:, :4], chunks=(4, 2)), 1)
    wanted = cact.maxout(np.ma.masked_greater(X[:, :4], 1))
    np.testing.assert_array_equal(cact.maxout(masked).compute().mask, wanted.mask)


def test_series(engine: str) -> None:
    pd = pytest.importorskip("pandas")
    series = pd.Series(BASE[:8], index=list("abcdefgh"), name="b")
    y = cact.glu(series)
    assert isinstance(y, pd.Series)
    assert y.name == "b"
    np.testing.assert_array_equal(y, cact.glu(BASE[:8]))
    dx = cact.glu.backward(y, series)
    assert list(dx.index) == list("abcdefgh")
    frame = pd.DataFrame(X[:, :4])
    with pytest.raises(ValueError, match=r"glu\.backward: the operands differ in their labels"):
        cact.glu.backward(frame[[0, 1]][::-1], frame)


@pytest.mark.parametrize("name", ROWS)
def test_rows_of_labelled_arrays(name: str, engine: str) -> None:
    tight = 1e-12 if engine == "numpy" else 0  # NumPy sums by layout
    f, dy = cact.get(name), BASE[60:120].reshape(12, 5)
    arrays, ups = foreign(X), foreign(dy)
    arrays.pop("dask", None)
    for axis in (-1, 0):
        y = f(X, axis=axis)
        for library, x in arrays.items():
            if library == "xarray of dask" and axis == 0:
                with pytest.raises(ValueError, match=f"{name}: .*multiple chunks"):
                    f(x, axis=axis)
                continue
            got = f(x, axis=axis)
            assert type(got) is type(x)
            assert labels(got) == labels(x)
            np.testing.assert_allclose(got, y, rtol=tight)
            dx = f.backward(ups[library], got, axis=axis)
            assert type(dx) is type(x)
            assert labels(dx) == labels(x)
            np.testing.assert_allclose(dx, f.backward(dy, y, axis=axis), rtol=tight)
    if "xarray" in arrays:
        x = arrays["xarray"]
        for turned in (ups["xarray"].transpose(), ups["xarray"]):
            np.testing.assert_allclose(f.backward(turned, f(x)), f.backward(dy, f(X)), rtol=tight)
        assert f(x.astype(np.float32), dtype=np.float64).dtype == np.float64
        with pytest.raises(TypeError, match=f"{name}: out does not go with a DataArray"):
            f(x, out=np.zeros(X.shape))
        with pytest.raises(ValueError, match=rf"{name}\.backward: .*"):
            f.backward(ups["xarray"].assign_coords(time=np.arange(12)), f(x))


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
