"""Each layer: gradients against central differences, dtypes, errors."""

from __future__ import annotations

import numpy as np
import pytest
from finite_differences import check, off_kinks

import cact
from cact import nn
from cact._registry import RECORDS

ELEMENTWISE = [name for name, record in RECORDS.items() if record.elementwise]
OTHERS = [name for name in RECORDS if name not in ELEMENTWISE]


def samples(rows: int, columns: int, kinks: tuple[float, ...] = (), scale: float = 1.5) -> np.ndarray:
    """Normal samples, none of them at a kink."""
    for seed in range(100):
        x = scale * np.random.default_rng(seed).standard_normal((rows, columns))
        if off_kinks(x, kinks):
            return x
    raise AssertionError("no seed keeps the samples off the kinks")


def read_only(a: np.ndarray) -> np.ndarray:
    a.flags.writeable = False
    return a


# ---------------------------------------------------------------------- gradients
@pytest.mark.parametrize("bias", [True, False])
def test_dense_gradients(bias):
    layer = nn.Dense(4, 3, bias=bias, rng=0, dtype=np.float64)
    if bias:
        layer.params["bias"][:] = [0.3, -0.2, 0.1]
    check(layer, samples(5, 4))
    assert set(layer.params) == ({"weight", "bias"} if bias else {"weight"})


@pytest.mark.parametrize("name", [*ELEMENTWISE, *OTHERS])
def test_activation_gradients(engine, name):
    check(nn.Activation(name, dtype=np.float64), samples(6, 4, RECORDS[name].kinks_at()))


@pytest.mark.parametrize(("name", "after"), [("swiglu", 3), ("maxout", 3), ("crelu", 12), ("softmax", 6)])
def test_a_network_counts_what_an_activation_leaves(engine, name, after):
    dense = [nn.Dense(4, 6, rng=0, dtype=np.float64), nn.Dense(after, 2, rng=1, dtype=np.float64)]
    network = nn.Sequential(dense[0], nn.Activation(name), dense[1])
    assert (network.n_in, network.n_out) == (4, 2)
    check(network, samples(5, 4))
    with pytest.raises(ValueError, match=rf"layer 2, Dense\(5, 2\), takes 5 features, but gets {after}"):
        nn.Sequential(dense[0], nn.Activation(name), nn.Dense(5, 2))
    if after == 3:
        with pytest.raises(ValueError, match=f"{name}: the axis must have"):
            nn.Sequential(nn.Dense(4, 7), nn.Activation(name))


@pytest.mark.parametrize("features", [None, 4])
def test_prelu_gradients(engine, features):
    layer = nn.Activation("prelu", features=features, dtype=np.float64)
    assert layer.params["weight"].shape == (() if features is None else (features,))
    assert (layer.params["weight"] == 0.25).all()
    if features:
        layer.params["weight"][:] = [0.1, -0.4, 0.25, 1.5]
    check(layer, samples(6, 4, (0.0,)))


def test_activation_of_own_functions():
    check(nn.Activation((np.sin, np.cos)), samples(5, 3))


def test_activation_keeps_bound_parameters():
    x = samples(3, 2)
    layer = nn.Activation(cact.get("leaky_relu", negative_slope=0.3))
    assert np.array_equal(layer.forward(x), np.where(x > 0, x, 0.3 * x))
    layer = nn.Activation(cact.get("prelu", weight=[0.5, 2.0]), dtype=np.float64)
    assert np.array_equal(layer.forward(x), np.where(x > 0, x, [0.5, 2.0] * x))
    assert layer.n_in == layer.n_out == 2


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_gradients(training):
    layer = nn.BatchNorm(3, dtype=np.float64)
    layer.params["gamma"][:], layer.params["beta"][:] = [0.5, 2.0, -1.0], [0.1, 0.0, -0.3]
    layer.running_mean[:], layer.running_var[:] = [0.2, -1.0, 0.0], [0.5, 1.0, 3.0]
    mean, var = layer.running_mean.copy(), layer.running_var.copy()

    def before():
        layer.running_mean[:], layer.running_var[:] = mean, var

    check(layer, samples(6, 3) + [0, 1, -2], training, before)


def test_dropout_gradients():
    layer = nn.Dropout(0.4)

    def before():
        layer.rng = np.random.default_rng(3)

    x = samples(6, 5)
    check(layer, x, True, before)
    before()
    dropped = (layer.forward(x, True) == 0).mean()
    assert 0 < dropped < 1, "the mask must be a mixture for the check to mean something"


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
def test_network_gradients(name, normalization):
    """All layers together, in training mode, with the dropout masks fixed."""
    x = samples(7, 4)
    for seed in range(100):
        network = nn.mlp(
            (4, 5, 6, 3), name, normalization=normalization, dropout=0.2, rng=seed, dtype=np.float64
        )

        def before(network=network):
            for i, layer in enumerate(network.layers):
                if isinstance(layer, nn.Dropout):
                    layer.rng = np.random.default_rng(i)

        before()
        network.forward(x, training=True)
        # a normalisation may scale up a step, but not a hundredfold
        if all(off_kinks(layer.z, RECORDS[name].kinks_at()) for layer in network.activations):
            break
    else:
        raise AssertionError("no seed keeps z off the kinks")
    check(network, x, True, before)


# ---------------------------------------------------------------------- values
def test_dense_forward():
    layer = nn.Dense(2, 3, dtype=np.float64, init=lambda n, m, rng, dtype: np.arange(6.0).reshape(n, m))
    layer.params["bias"][:] = [1, 2, 3]
    assert np.array_equal(layer.forward(np.array([[1.0, 10.0]])), [[31, 43, 55]])


def test_activation_keeps_z_and_dz():
    layer = nn.Activation("gelu")
    x, dy = samples(3, 4), samples(3, 4, scale=1.0)
    layer.forward(x)
    assert layer.z is x
    assert layer.dz is None
    dx = layer.backward(dy)
    assert layer.dz is dx
    assert np.array_equal(dx, cact.gelu.backward(dy, x))
    layer.forward(x)
    assert layer.dz is None, "dz belongs to the last forward"


def test_dropout_scales_what_it_keeps():
    x = np.ones((400, 500), np.float32)
    y = nn.Dropout(0.3, rng=0).forward(x, training=True)
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.7)}
    # five standard deviations of the mean of 200,000 draws
    assert abs((y == 0).mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / y.size)


def test_dropout_is_the_identity_in_inference_and_at_rate_0():
    x = samples(3, 4)
    for layer, training in ((nn.Dropout(0.5), False), (nn.Dropout(0), True)):
        assert layer.forward(x, training) is x
        assert layer.backward(x) is x


def test_dropout_masks_repeat_with_the_seed():
    x = samples(20, 20)
    first, second, other = (nn.Dropout(0.5, rng=seed) for seed in (1, 1, 2))
    a = [first.forward(x, True) for _ in range(2)]
    b = [second.forward(x, True) for _ in range(2)]
    assert np.array_equal(a, b)
    assert not np.array_equal(a[0], a[1]), "each call draws its own mask"
    assert not np.array_equal(a[0], other.forward(x, True))


def test_batch_norm_normalises_the_batch():
    layer = nn.BatchNorm(3, eps=1e-12, dtype=np.float64)
    y = layer.forward(samples(50, 3) * [1, 10, 0.1] + [5, 0, -3], training=True)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-13)
    np.testing.assert_allclose(y.var(axis=0), 1, rtol=1e-9)


def test_batch_norm_running_statistics():
    layer = nn.BatchNorm(2, momentum=0.25, eps=1e-3, dtype=np.float64)
    mean, var = np.zeros(2), np.ones(2)
    for seed in range(3):
        x = np.random.default_rng(seed).standard_normal((8, 2)) * [2, 0.5] + [1, -1]
        layer.forward(x, training=True)
        mean = 0.75 * mean + 0.25 * x.mean(axis=0)
        var = 0.75 * var + 0.25 * x.var(axis=0, ddof=1)
    np.testing.assert_allclose(layer.running_mean, mean, rtol=1e-13)
    np.testing.assert_allclose(layer.running_var, var, rtol=1e-13)
    y = layer.forward(x)
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(var + 1e-3), rtol=1e-12)
    np.testing.assert_allclose(layer.running_mean, mean, rtol=1e-13, err_msg="inference must not learn")


# ---------------------------------------------------------------------- dtypes and inputs
LAYERS = {
    "dense": lambda dtype: nn.Dense(4, 4, rng=0, dtype=dtype),
    "activation": lambda dtype: nn.Activation("mish"),
    "softmax": lambda dtype: nn.Activation("softmax"),
    "prelu": lambda dtype: nn.Activation("prelu", dtype=dtype),
    "prelu per feature": lambda dtype: nn.Activation("prelu", features=4, dtype=dtype),
    "dropout": lambda dtype: nn.Dropout(0.5, rng=0),
    "alpha dropout": lambda dtype: nn.AlphaDropout(0.5, rng=0),
    "batch norm": lambda dtype: nn.BatchNorm(4, dtype=dtype),
    "layer norm": lambda dtype: nn.LayerNorm(4, dtype=dtype),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_dtype_is_kept_and_nothing_is_written(engine, make, dtype, training):
    layer = make(dtype)
    before = {key: grad for key, grad in layer.grads.items()}
    x, dy = (read_only(samples(5, 4, scale=s).astype(dtype)) for s in (1.0, 2.0))
    y = layer.forward(x, training)
    dx = layer.backward(dy)
    assert y.dtype == dx.dtype == dtype
    assert y.shape == dx.shape == (5, 4)
    for key, param in layer.params.items():
        assert param.dtype == layer.grads[key].dtype == dtype
        assert layer.grads[key].shape == param.shape
        assert layer.grads[key] is before[key], "gradients are filled in place"
    arrays = [a for a in vars(layer).values() if isinstance(a, np.ndarray)]
    assert all(a.dtype == dtype for a in arrays), "what the layer keeps has that dtype too"


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_strided_input_gives_the_same(make):
    x, dy = samples(5, 4), samples(5, 4, scale=2.0)
    results = []
    for a, b in (
        (x, dy),
        (np.asfortranarray(x), np.asfortranarray(dy)),
        (x[::-1][::-1], np.repeat(dy, 2, 1)[:, ::2]),
    ):
        layer = make(np.float64)
        y = layer.forward(a, True)
        results.append((y, layer.backward(b), *layer.grads.values()))
    for other in results[1:]:
        for first, second in zip(results[0], other):
            np.testing.assert_allclose(second, first, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_no_samples(make):
    layer = make(np.float64)
    assert layer.forward(np.empty((0, 4))).shape == (0, 4)
    assert layer.backward(np.empty((0, 4))).shape == (0, 4)
    assert all((grad == 0).all() for grad in layer.grads.values())


# ---------------------------------------------------------------------- errors
@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_backward_errors(make):
    layer = make(np.float64)
    with pytest.raises(ValueError, match="backward called before forward"):
        layer.backward(np.ones((5, 4)))
    layer.forward(np.ones((5, 4)))
    with pytest.raises(ValueError, match=r"dy must have the output's shape \(5, 4\), got \(4, 4\)"):
        layer.backward(np.ones((4, 4)))
    with pytest.raises(TypeError, match="dy must be float64, got float32"):
        layer.backward(np.ones((5, 4), np.float32))


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        ([[1.0] * 4], TypeError, "x must be a NumPy array, got list"),
        (np.ones((2, 4), int), TypeError, "float32 or float64, got int64"),
        (np.ones((2, 4), np.float16), TypeError, "float32 or float64, got float16"),
        (np.ones(4), ValueError, r"\(samples, features\), got \(4,\)"),
    ],
)
def test_input_errors(make, x, error, words):
    layer = make(np.float64)
    with pytest.raises(error, match=words) as info:
        layer.forward(x)
    assert str(info.value).startswith(repr(layer)), "the message names the layer"


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (nn.Dense(4, 2), r"Dense\(4, 2\): x must have 4 features, got 3"),
        (nn.BatchNorm(4), r"BatchNorm\(4\): x must have 4 features, got 3"),
        (nn.Activation("prelu", features=4), r"Activation\(prelu\): x must have 4 features, got 3"),
    ],
)
def test_wrong_number_of_features(layer, words):
    with pytest.raises(ValueError, match=words):
        layer.forward(np.ones((2, 3), np.float32))


@pytest.mark.parametrize("layer", [nn.Dense(3, 2), nn.BatchNorm(3), nn.Activation("prelu")], ids=repr)
def test_dtype_mismatch(layer):
    with pytest.raises(TypeError, match="x must be float32, got float64"):
        layer.forward(np.ones((2, 3)))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: nn.Dense(0, 3), ValueError, "n_in must be at least 1, got 0"),
        (lambda: nn.Dense(3, 2.0), TypeError, "n_out must be an integer, got 2.0"),
        (lambda: nn.Dense(3, True), TypeError, "n_out must be an integer, got True"),
        (lambda: nn.Dense(3, 2, dtype=np.float16), TypeError, "float32 or float64, got float16"),
        (lambda: nn.Dense(3, 2, init="he"), ValueError, "unknown init 'he'; there are he_normal,"),
        (lambda: nn.Dense(3, 2, init=1.0), TypeError, "init is a name or a callable, got 1.0"),
        (lambda: nn.Dense(3, 2, gain=-1), ValueError, "gain must be finite and greater than 0, got -1"),
        (
            lambda: nn.Dense(3, 2, init=lambda n, m, rng, dtype: np.ones((m, n), dtype)),
            ValueError,
            r"init must return an array of shape \(3, 2\) and float32",
        ),
        (
            lambda: nn.Dense(3, 2, init=lambda n, m, rng, dtype: np.ones((n, m))),
            ValueError,
            r"init must return an array of shape \(3, 2\) and float32",
        ),
        (lambda: nn.Activation("gelo"), ValueError, "did you mean"),
        (lambda: nn.Activation(3), TypeError, "an activation is a name"),
        (lambda: nn.Activation("relu", features=3), ValueError, "features is for learnable functions only"),
        (lambda: nn.Activation("prelu", features=0), ValueError, "features must be at least 1, got 0"),
        (
            lambda: nn.Activation(cact.get("prelu", weight=[0.1, 0.2]), features=3),
            ValueError,
            r"weight must have shape \(\) or \(3,\), got \(2,\)",
        ),
        (
            lambda: nn.Activation(cact.get("prelu", weight=[[0.1, 0.2]])),
            ValueError,
            r"weight must have shape \(\) or \(features,\), got \(1, 2\)",
        ),
        (lambda: nn.Activation("prelu", dtype=int), TypeError, "float32 or float64, got int64"),
        (lambda: nn.Dropout(1), ValueError, r"rate must be in \[0, 1\), got 1"),
        (lambda: nn.Dropout(-0.1), ValueError, r"rate must be in \[0, 1\), got -0.1"),
        (lambda: nn.Dropout(float("nan")), ValueError, r"rate must be in \[0, 1\), got nan"),
        (lambda: nn.Dropout("half"), TypeError, "rate must be a real number, got 'half'"),
        (lambda: nn.BatchNorm(3, momentum=0), ValueError, r"momentum must be in \(0, 1\], got 0"),
        (lambda: nn.BatchNorm(3, eps=0), ValueError, "eps must be finite and greater than 0, got 0"),
        (lambda: nn.BatchNorm(0), ValueError, "features must be at least 1, got 0"),
    ],
)
def test_constructor_errors(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_batch_norm_cannot_train_on_one_sample():
    layer = nn.BatchNorm(2)
    with pytest.raises(
        ValueError, match=r"BatchNorm\(2\): training needs at least 2 samples in a batch, got 1"
    ):
        layer.forward(np.ones((1, 2), np.float32), training=True)
    assert (layer.running_mean == 0).all()
    assert layer.forward(np.ones((1, 2), np.float32)).shape == (1, 2)
