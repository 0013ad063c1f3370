"""The passes in C give the bits of the NumPy code, step by step."""

from __future__ import annotations

import numpy as np
import pytest

import cact
from cact import nn
from cact._backend import compiled
from cact.nn import _arrays
from cact.nn._fused import fused
from cact.nn.training import Trainer

pytestmark = pytest.mark.skipif(cact.info()["backend"] != "c", reason="the passes are the C backend's")

OPTIMIZERS = {
    "sgd": lambda net: nn.SGD(net, 0.1),
    "momentum": lambda net: nn.SGD(net, 0.1, momentum=0.9, weight_decay=0.01),
    "nesterov": lambda net: nn.SGD(net, 0.1, momentum=0.9, nesterov=True),
    "rmsprop": lambda net: nn.RMSProp(net, 0.01, weight_decay=0.01),
    "rmsprop, momentum": lambda net: nn.RMSProp(net, 0.01, momentum=0.5),
    "adam": lambda net: nn.Adam(net, 0.01),
    "adam, decay": lambda net: nn.Adam(net, 0.01, weight_decay=0.01),
    "adamw": lambda net: nn.AdamW(net, 0.01),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_an_optimiser_in_c_has_the_bits_of_numpy(make, dtype, monkeypatch):
    """Of more parameters than a block of either has."""
    rng = np.random.default_rng(0)

    def run():
        net = nn.mlp((150, 160, 3), "relu", dtype=dtype, rng=1)
        optimizer = make(net)
        for grads in steps:
            net.flat().grads[...] = grads
            optimizer.step()
        return net.flat().values, optimizer.state

    size = nn.mlp((150, 160, 3), "relu").flat().values.size
    steps = [(rng.standard_normal(size) * 10.0 ** rng.integers(-6, 3, size)).astype(dtype) for _ in range(5)]
    values, state = run()
    monkeypatch.setattr(nn.optimizers._backend, "active", lambda: "numpy")
    expected, expected_state = run()
    np.testing.assert_array_equal(values, expected)
    assert state.keys() == expected_state.keys()
    for key, array in state.items():
        np.testing.assert_array_equal(array, expected_state[key], err_msg=key)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 1000])
def test_square_sum(dtype, size):
    a = np.random.default_rng(size).standard_normal(size).astype(dtype)
    assert compiled.square_sum(a) == pytest.approx(float(np.sum(a.astype(np.longdouble) ** 2)), rel=1e-14)
    if size:
        a[-1] = np.inf
        assert compiled.square_sum(a) == np.inf
        a[0] = np.nan
        assert np.isnan(compiled.square_sum(a))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 1000])
def test_all_finite(dtype, size):
    info = np.finfo(dtype)
    a = np.resize(np.array([info.max, -info.max, 0, -0.0, info.smallest_subnormal], dtype), size)
    assert compiled.all_finite(a)
    for place in {0, size // 2, size - 1} if size else ():
        for what in (np.inf, -np.inf, np.nan, -np.nan):
            b = a.copy()
            b[place] = what
            assert not compiled.all_finite(b)


@pytest.mark.parametrize("shape", [(0,), (1,), (3, 5), (1000,)])
def test_arrays_begin_with_a_cache_line(shape):
    for make in (_arrays.empty, _arrays.zeros):
        for dtype in (np.float32, np.float64):
            a = make(shape, dtype)
            assert a.shape == shape
            assert a.dtype == dtype
            assert a.size == 0 or a.ctypes.data % 64 == 0
            assert a.flags.carray
    assert not _arrays.zeros(shape, np.float32).any()
    net = nn.mlp((9, 13, 3), "relu")
    for a in (net.flat().values, net.flat().grads, *nn.Adam(net, 0.1).state.values()):
        assert a.ctypes.data % 64 == 0


def test_a_copied_optimizer_is_put_on_cache_lines():
    net = nn.mlp((9, 13, 3), "relu")
    optimizer = nn.Adam(net, 0.1)
    for array in optimizer.state.values():
        array += 1
    moved = np.ones(net.flat().values.size + 1, np.float32)[1:]
    optimizer.state["first"] = moved
    Trainer(net, nn.SoftmaxCrossEntropy(), optimizer)
    for array in optimizer.state.values():
        assert array.ctypes.data % 64 == 0
        assert (array == 1).all()


def test_square_sum_of_floats_does_not_overflow():
    assert compiled.square_sum(np.full(4, 1e30, np.float32)) == pytest.approx(4e60, rel=1e-6)


NETWORKS = {
    **{name: lambda name=name, **kw: nn.mlp((9, 13, 7, 3), name, **kw) for name in ("relu", "gelu", "tanh")},
    "bound": lambda **kw: nn.mlp((9, 13, 7, 3), cact.get("elu", alpha=0.3), **kw),
    "learnable": lambda **kw: nn.mlp((9, 13, 7, 3), ["prelu", "silu"], **kw),
    "several learnable": lambda **kw: nn.mlp((9, 300, 7, 5, 3), ["xielu", "swish", "acon_c"], **kw),
    "learnable, dropout": lambda **kw: nn.mlp((9, 700, 3), "star_relu", dropout=0.3, **kw),
    "learnable of each feature": lambda dtype, rng: nn.Sequential(
        *(
            nn.Dense(9, 13, dtype=dtype, rng=rng),
            nn.Activation("prelu", features=13, dtype=dtype),
            nn.Dense(13, 3, dtype=dtype, rng=rng),
        )
    ),
    "gated": lambda **kw: nn.mlp((9, 14, 6, 3), ["glu", "mish"], **kw),
    "normalised": lambda **kw: nn.mlp((9, 13, 7, 3), "relu", normalization="batch", **kw),
    "dropout": lambda **kw: nn.mlp((9, 13, 7, 3), "relu", dropout=0.3, **kw),
    "dropout, gelu": lambda **kw: nn.mlp((9, 40, 1300, 3), "gelu", dropout=0.9, **kw),
    "dropout, bound": lambda **kw: nn.mlp((9, 5000, 3), cact.get("elu", alpha=0.3), dropout=0.1, **kw),
    "alpha dropout": lambda **kw: nn.mlp((9, 13, 7, 3), "selu", dropout=0.2, **kw),
    "narrow": lambda **kw: nn.mlp((9, 1, 2, 3), "tanh", **kw),
    "wide": lambda **kw: nn.mlp((9, 5000, 3), "gelu", **kw),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS)
def test_a_step_has_the_bits_of_the_layers(build, dtype):
    """Batches of several sizes, each against forward, backward and step of a twin."""
    rng = np.random.default_rng(3)
    one, other = build(dtype=dtype, rng=5), build(dtype=dtype, rng=5)
    optimizers = nn.Adam(one, 0.01), nn.Adam(other, 0.01)
    trainer, loss = Trainer(one, nn.SoftmaxCrossEntropy(), optimizers[0]), nn.SoftmaxCrossEntropy()
    for rows in (8, 8, 3, 200, 8):
        x = rng.standard_normal((rows, 9)).astype(dtype)
        y = rng.integers(0, 3, rows)
        with trainer:
            value = trainer.step(x, y)
        expected = loss.forward(other.forward(x, training=True), y)
        other.backward(loss.backward())
        optimizers[1].step()
        assert value == expected
        for (key, a, da), (_, b, db) in zip(one.parameters(), other.parameters()):
            np.testing.assert_array_equal(da, db, err_msg=f"gradient of {key}")
            np.testing.assert_array_equal(a, b, err_msg=key)
        for a, b in zip(one.outputs, other.outputs):
            np.testing.assert_array_equal(a, b)
        for a, b in zip(one.activations, other.activations):
            np.testing.assert_array_equal(a.z, b.z)
            np.testing.assert_array_equal(a.dz, b.dz)


def test_what_is_one_layer():
    def kinds(*layers):
        return [type(step).__name__ for step in fused(layers)]

    dense, one = nn.Dense(4, 4, rng=0), "FusedDense"
    assert kinds(dense, nn.Activation("relu")) == [one]
    assert kinds(dense, nn.Activation("relu"), nn.Dense(4, 2, rng=0)) == [one, "Dense"]
    assert kinds(dense, nn.Activation("relu"), nn.Dropout(0.5), dense) == [one, "Dense"]
    assert kinds(dense, nn.Activation("relu"), nn.Dropout(0)) == [one]
    assert kinds(dense, nn.Activation("selu"), nn.AlphaDropout(0.5)) == [one, "AlphaDropout"]
    assert kinds(dense, nn.Dropout(0.5), nn.Activation("relu")) == ["Dense", "Dropout", "Activation"]
    assert kinds(nn.Activation("relu"), dense) == ["Activation", "Dense"]
    assert kinds(dense) == ["Dense"]
    assert kinds(dense, nn.Activation("prelu")) == [one]
    assert kinds(dense, nn.Activation("prelu", features=4)) == ["Dense", "Activation"]
    for name in ("glu", "softmax", "rrelu", "maxout"):
        assert kinds(dense, nn.Activation(name)) == ["Dense", "Activation"]
    assert kinds(dense, nn.Activation((np.sin, np.cos))) == ["Dense", "Activation"]
    with cact.use_backend("numpy"):
        assert kinds(dense, nn.Activation("relu")) == ["Dense", "Activation"]


def test_a_sparse_batch_is_a_dense_one():
    sparse = pytest.importorskip("scipy.sparse")
    x = np.random.default_rng(0).standard_normal((6, 9))
    x[x < 0.5] = 0
    nets = [nn.mlp((9, 5, 3), "tanh", dtype=np.float64, rng=1) for _ in range(2)]
    y = np.array([0, 1, 2, 0, 1, 2])
    for net, batch in zip(nets, (x, sparse.csr_matrix(x))):
        trainer = Trainer(net, nn.SoftmaxCrossEntropy(), nn.SGD(net, 0.1))
        with trainer:
            for _ in range(3):
                trainer.step(batch, y)
    for (key, a, _), (_, b, _) in zip(nets[0].parameters(), nets[1].parameters()):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15, err_msg=key)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(0, 3), (1, 2), (5, 3), (33, 17), (2000, 2), (200, 70)])
def test_rows_added_and_summed_have_the_bits_of_numpy(shape, dtype):
    rng = np.random.default_rng(shape[0])
    a, row = rng.standard_normal(shape).astype(dtype), rng.standard_normal(shape[1]).astype(dtype)
    a[:, 0] = row[0] = -0.0
    total = np.empty_like(row)
    assert compiled.sum_rows(a, total)
    assert total.tobytes() == np.add.reduce(a, axis=0).tobytes()
    doubles = a * 10.0 ** rng.integers(-20, 20, shape).astype(dtype)
    assert compiled.double_sums(doubles).tobytes() == doubles.sum(axis=0, dtype=np.float64).tobytes()
    expected = a + row
    assert compiled.add_row(a, row)
    assert a.tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 1000, 100_000])
def test_product_of_chosen(n, dtype):
    """The sum of many logarithms as one, where their product is far below the least number."""
    rng = np.random.default_rng(n)
    p = rng.dirichlet(np.full(4, 0.3), n).astype(dtype).clip(1e-30)
    classes = rng.integers(0, 4, n)
    chosen = p[np.arange(n), classes].astype(np.longdouble)
    product, exponent = compiled.product_of_chosen(p, classes, 1e-37)
    assert 1 <= product < 2
    assert np.log(np.longdouble(product)) + exponent * np.log(np.longdouble(2)) == pytest.approx(
        np.log(chosen).sum(), rel=1e-13
    )
    for bad in (0.0, 1e-38, np.nan):
        p[n // 2, classes[n // 2]] = bad
        assert np.isnan(compiled.product_of_chosen(p, classes, 1e-37)[0])


def test_rows_and_classes_that_do_not_fit():
    p, grad = np.full((3, 2), 0.5), np.empty((3, 2))
    good, share = np.zeros(3, np.int64), np.ones(3)
    for classes in (good[:2], good.astype(np.int32), np.zeros(6, np.int64)[::2], np.zeros((3, 1), np.int64)):
        with pytest.raises(ValueError, match="classes must be a plain contiguous array of int64"):
            compiled.product_of_chosen(p, classes, 0)
    for wrong in (-1, 2, 2**62):
        with pytest.raises(ValueError, match=f"a class must be from 0 to 1, got {wrong}"):
            compiled.cross_entropy_slope(p, np.array([0, wrong, 1]), share, grad)
    for share_, grad_ in (
        (share[:2], grad),
        (share.astype(np.float32), grad),
        (share, grad[:2]),
        (share, grad.T),
    ):
        with pytest.raises(ValueError, match=r"arrays must be|shares must be"):
            compiled.cross_entropy_slope(p, good, share_, grad_)


class Own(np.ndarray):
    """A subclass, as memory maps are."""


@pytest.mark.parametrize("kind", ["own", "masked", "transposed", "misaligned", "swapped"])
def test_other_arrays_are_left_to_numpy(kind):
    """Rows, gradients and weights that C does not take give what plain ones give."""
    rng = np.random.default_rng(0)

    def other(a):
        if kind == "own":
            return a.view(Own)
        if kind == "masked":
            return np.ma.array(a)
        if kind == "transposed":
            return np.repeat(a, 2, axis=0)[::2] if a.ndim == 1 else np.asfortranarray(a)
        if kind == "swapped":
            return a.astype(a.dtype.newbyteorder())
        wide = np.empty(a.nbytes + 1, np.uint8)
        result = wide[1:].view(a.dtype).reshape(a.shape)
        result[...] = a
        return result

    a, row = rng.standard_normal((6, 4)), rng.standard_normal(4)
    for first, second in ((other(a), row), (a.copy(), other(row)), (a[:, :1].copy(), row[:1])):
        assert not compiled.add_row(first, second)
        assert not compiled.sum_rows(first, second)
    for first in (other(a), a[:, :1].copy(), row):
        assert compiled.double_sums(first) is None
    if kind == "swapped":  # layers ask for the dtype
        return
    for layer in (
        nn.Dense(4, 4, dtype=np.float64, rng=0),
        nn.BatchNorm(4, dtype=np.float64),
        nn.LayerNorm(4, dtype=np.float64),
    ):
        layer.forward(a, training=True)
        layer.backward(a)
        expected = {key: grad.copy() for key, grad in layer.grads.items()}
        layer.backward(other(a))
        for key, grad in expected.items():
            np.testing.assert_allclose(layer.grads[key], grad, rtol=1e-14, atol=1e-15)
        for key in layer.params:
            layer.params[key] = other(layer.params[key])
        layer.forward(a, training=True)
    logits, target, weight = rng.standard_normal((6, 4)), rng.integers(0, 4, 6), rng.random(6)
    loss = nn.SoftmaxCrossEntropy()
    for w in (weight, np.zeros(6)):
        value = loss.forward(logits, target, w)
        expected = loss.backward()
        assert loss.forward(logits, other(target), other(w)) == value
        np.testing.assert_array_equal(loss.backward(), expected)


@pytest.mark.parametrize("given", [np.asfortranarray, lambda a: a.view(Own)], ids=["order", "subclass"])
def test_an_own_layer_may_give_any_gradient(given):
    class Twice(nn.Layer):
        def _forward(self, x, training):
            return given(2 * x)

        def _backward(self, dy, wanted):
            return given(2 * dy)

    def net():
        return nn.Sequential(
            nn.Dense(5, 4, dtype=np.float64, rng=0),
            nn.Activation("tanh"),
            nn.Dropout(0.4, rng=2),
            Twice(),
            nn.Dense(4, 3, dtype=np.float64, rng=1),
        )

    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((20, 5)), rng.integers(0, 3, 20)
    nets = net(), net()
    for one, backend in zip(nets, ("c", "numpy")):
        with cact.use_backend(backend):
            nn.train(one, x, y, optimizer=nn.SGD(one, 0.1), epochs=3, batch_size=7, rng=0)
    for (key, a, _), (_, b, _) in zip(nets[0].parameters(), nets[1].parameters()):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15, err_msg=key)


def test_the_rate_of_a_dropout_may_change():
    net = nn.mlp((6, 50, 3), "relu", dropout=0.5, rng=0)
    dropout = net.layers[2]
    trainer, loss = Trainer(net, nn.SoftmaxCrossEntropy(), nn.SGD(net, 0.01)), []
    x, y = np.ones((40, 6), np.float32), np.zeros(40, int)
    for rate in (0.5, 0.0, 0.9, 0.0, 0.2):
        dropout.rate = rate
        with trainer:
            loss.append(trainer.step(x, y))
        if rate:
            assert np.mean(dropout._mask == 0) == pytest.approx(rate, abs=0.06)
        else:
            assert dropout._mask is None
        assert len(net.outputs) == 4
        assert np.array_equal(net.outputs[1], net.outputs[2]) == (rate == 0)


def test_what_a_pass_refused_it_does_not_keep():
    passes = compiled.LayerPass("relu", ())
    with pytest.raises((TypeError, ValueError)):
        type(passes)("softmax", ())
    z = np.full((2, 3), -1.0)
    passes.forward(z, None, y := np.empty_like(z))
    assert not y.any()


def test_the_passes_refuse_what_does_not_fit():
    z, wrong = np.zeros((2, 3)), np.zeros((2, 4))
    passes = compiled.LayerPass("relu", ())
    single = np.zeros((2, 3), np.float32)
    for y in (wrong, single, z[:, ::-1]):
        with pytest.raises(ValueError, match=r"arrays must be|must be of one 2-D shape"):
            passes.forward(z, None, y)
        with pytest.raises(ValueError, match=r"arrays must be|must be of one 2-D shape"):
            passes.forward(z, None, z.copy(), y, z.copy())
        with pytest.raises(ValueError, match=r"arrays must be|must be of one 2-D shape"):
            passes.forward(z, None, z.copy(), z.copy(), y)
        with pytest.raises(ValueError, match=r"arrays must be|must be of one 2-D shape"):
            passes.backward(z, z, z.copy(), None, y)
    with pytest.raises(ValueError, match="must be of one 2-D shape"):
        passes.backward(wrong, z, z.copy(), None)
    with pytest.raises(ValueError, match="mask and dropped go together"):
        passes.forward(z, None, z.copy(), z.copy())
    with pytest.raises(ValueError, match="an element for each column"):
        passes.forward(z, np.zeros(4), z.copy())
    read_only = z.copy()
    read_only.flags.writeable = False
    for outs in ((read_only,), (z.copy(), read_only, z.copy()), (z.copy(), z.copy(), read_only)):
        with pytest.raises(ValueError, match="read-only"):
            passes.forward(z, None, *outs)
    with pytest.raises(ValueError, match="read-only"):
        passes.backward(z, z, read_only, None)
    with pytest.raises(ValueError, match="read-only"):
        passes.backward(z, z, z.copy(), read_only[0])
    with pytest.raises(ValueError, match="relu is no elementwise activation of 1 parameters"):
        compiled.LayerPass("relu", (1.0,))
    with pytest.raises(ValueError, match="softmax is no elementwise activation"):
        compiled.LayerPass("softmax", ())
    with pytest.raises(ValueError, match="do not fit"):
        compiled.update("sgd", np.zeros(3), np.zeros(4), (), (0.0, 0.1))
    with pytest.raises(ValueError, match="the state does not fit"):
        compiled.update("momentum", np.zeros(3), np.zeros(3), (np.zeros(4),), (0.0, 0.1, 0.9))
    for state, scalars in (
        ((), (0.0, 0.1, 0.9)),
        ((np.zeros(3),), (0.0, 0.1)),
        ((np.zeros(3),) * 2, (0.0, 0.1, 0.9)),
    ):
        with pytest.raises(ValueError, match="are not those of momentum"):
            compiled.update("momentum", np.zeros(3), np.zeros(3), state, scalars)
    with pytest.raises(ValueError, match="the state does not fit"):
        compiled.update("momentum", np.zeros(3), np.zeros(3), (None,), (0.0, 0.1, 0.9))
