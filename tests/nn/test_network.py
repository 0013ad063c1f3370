"""`Sequential` and `mlp`: order, keys, prediction, what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

import cact
from cact import nn
from cact.nn import init


def kinds(network: nn.Sequential) -> list[str]:
    return [repr(layer) for layer in network.layers]


# ---------------------------------------------------------------------- mlp
def test_mlp_order():
    network = nn.mlp((5, 4, 3, 2), ["relu", "tanh"], normalization="batch", dropout=0.1)
    assert kinds(network) == [
        "Dense(5, 4)", "BatchNorm(4)", "Activation(relu)", "Dropout(0.1)",
        "Dense(4, 3)", "BatchNorm(3)", "Activation(tanh)", "Dropout(0.1)",
        "Dense(3, 2)",
    ]  # fmt: skip
    assert (network.n_in, network.n_out, network.dtype) == (5, 2, np.float32)
    assert [key for key, _, _ in network.parameters()] == [
        "0.weight", "1.gamma", "1.beta", "4.weight", "5.gamma", "5.beta", "8.weight", "8.bias",
    ]  # fmt: skip
    assert network.activations == [network.layers[2], network.layers[6]]


def test_mlp_with_layer_norm():
    network = nn.mlp((5, 4, 3, 2), "relu", normalization="layer", dtype=np.float64)
    assert kinds(network) == [
        "Dense(5, 4)", "LayerNorm(4)", "Activation(relu)",
        "Dense(4, 3)", "LayerNorm(3)", "Activation(relu)",
        "Dense(3, 2)",
    ]  # fmt: skip
    assert [key for key, _, _ in network.parameters()] == [
        "0.weight", "1.gamma", "1.beta", "3.weight", "4.gamma", "4.beta", "6.weight", "6.bias",
    ]  # fmt: skip
    assert network.dtype == np.float64


def test_mlp_with_a_dropout_rate_for_each_layer():
    """A rate of 0 puts no layer there, and selu gets its own kind."""
    functions = ["relu", "selu", "selu", cact.get("selu"), "elu"]
    for rates in ([0.1, 0.2, 0, 0.3, 0.4], (0.1, 0.2, 0.0, 0.3, 0.4)):
        network = nn.mlp((5, 4, 4, 4, 4, 4, 2), functions, dropout=rates)
        assert [kind for kind in kinds(network) if not kind.startswith("Dense")] == [
            "Activation(relu)", "Dropout(0.1)", "Activation(selu)", "AlphaDropout(0.2)", "Activation(selu)",
            "Activation(selu)", "AlphaDropout(0.3)", "Activation(elu)", "Dropout(0.4)",
        ]  # fmt: skip
    assert "AlphaDropout(0.5)" in kinds(nn.mlp((5, 4, 2), "selu", dropout=0.5))


def test_mlp_without_extras():
    network = nn.mlp([5, 4, 2], "prelu", dtype=np.float64)
    assert kinds(network) == ["Dense(5, 4)", "Activation(prelu)", "Dense(4, 2)"]
    assert [key for key, _, _ in network.parameters()] == [
        "0.weight", "0.bias", "1.weight", "2.weight", "2.bias",
    ]  # fmt: skip
    assert all(param.dtype == grad.dtype == np.float64 for _, param, grad in network.parameters())


def test_mlp_without_hidden_layers():
    assert kinds(nn.mlp((5, 2), "relu")) == ["Dense(5, 2)"]


def test_mlp_of_functions_that_change_the_number_of_features():
    """`sizes` are those before the activation; the next Dense takes what it hands on."""
    network = nn.mlp(
        (5, 8, 6, 4, 9, 2), ["glu", "crelu", "relu", cact.get("maxout", k=3)], normalization="batch"
    )
    assert [kind for kind in kinds(network) if kind.startswith("Dense")] == [
        "Dense(5, 8)", "Dense(4, 6)", "Dense(12, 4)", "Dense(4, 9)", "Dense(3, 2)",
    ]  # fmt: skip
    x = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    y = network.forward(x, training=True)
    assert y.shape == (7, 2)
    assert network.backward(y).shape == x.shape
    for name in ("glu", "geglu", "swiglu", "reglu", "maxout", "crelu"):
        assert nn.mlp((3, 8, 8, 2), name, dropout=0.1).forward(x[:, :3]).shape == (7, 2)


def test_mlp_does_not_share_learnable_parameters():
    network = nn.mlp((3, 3, 3, 3), cact.get("prelu", weight=0.1))
    first, second = (layer.params["weight"] for layer in network.activations)
    first[...] = 5.0
    assert second == np.float32(0.1)


def test_mlp_init():
    rng = np.random.default_rng(3)
    expected = [
        init.he_normal(7, 6, gain=1.0, rng=rng),
        init.he_normal(6, 5, gain=cact.gelu.gain, rng=rng),
        init.glorot_uniform(5, 4, rng=rng),
        init.lecun_normal(4, 3, rng=rng),
    ]
    network = nn.mlp((7, 6, 5, 4, 3), ["gelu", "relu", "tanh"], rng=3)
    weights = [p for key, p, _ in network.parameters() if key.endswith("weight")]
    assert all(map(np.array_equal, weights, expected))
    rng = np.random.default_rng(3)
    expected = [init.glorot_normal(n, m, rng=rng) for n, m in ((6, 5), (5, 4), (4, 3))]
    network = nn.mlp((6, 5, 4, 3), ["gelu", "tanh"], init="glorot_normal", rng=3)
    weights = [p for key, p, _ in network.parameters() if key.endswith("weight")]
    assert all(map(np.array_equal, weights, expected))


def test_mlp_orthogonal_init():
    """With the gain of the function before, whatever the one behind."""
    rng = np.random.default_rng(3)
    expected = [
        init.orthogonal(7, 6, gain=1.0, rng=rng),
        init.orthogonal(6, 5, gain=cact.tanh.gain, rng=rng),
        init.orthogonal(5, 4, gain=cact.relu.gain, rng=rng),
        init.orthogonal(4, 3, gain=cact.selu.gain, rng=rng),
    ]
    network = nn.mlp((7, 6, 5, 4, 3), ["tanh", "relu", "selu"], init="orthogonal", rng=3)
    weights = [p for key, p, _ in network.parameters() if key.endswith("weight")]
    assert all(map(np.array_equal, weights, expected))


@pytest.mark.parametrize("activation", ["relu", "tanh", "selu", "gelu"])
def test_mlp_orthogonal_init_keeps_the_second_moment_through_ten_layers(activation):
    network = nn.mlp((512,) * 12, activation, init="orthogonal", rng=0)
    network.forward(np.random.default_rng(1).standard_normal((64, 512), dtype=np.float32))
    moments = [float(np.mean(layer.z**2)) for layer in network.activations]
    assert 0.4 < moments[-1] / moments[0] < 2.5


ONE_FOR_EACH = "must be one.* or a list of 1, one for each hidden layer"


@pytest.mark.parametrize(
    ("args", "options", "error", "words"),
    [
        (((5,), "relu"), {}, ValueError, "sizes must be at least two"),
        ((5, "relu"), {}, ValueError, "sizes must be at least two"),
        (("52", "relu"), {}, ValueError, "sizes must be at least two"),
        (((5, 0, 2), "relu"), {}, ValueError, r"sizes\[1\] must be at least 1, got 0"),
        (((5, 3.5, 2), "relu"), {}, TypeError, r"sizes\[1\] must be an integer, got 3.5"),
        (((5, 4, 2), ["relu", "tanh"]), {}, ValueError, f"activation {ONE_FOR_EACH}, got 2"),
        (((5, 4, 2), "rely"), {}, ValueError, "mlp: activation: unknown activation 'rely'"),
        (((5, 4, 4, 2), ["relu", "rely"]), {}, ValueError, r"mlp: activation\[1\]: unknown .*'rely'"),
        (((5, 4, 4, 2), [3, "relu"]), {}, TypeError, r"mlp: activation\[0\]: .* got 3"),
        (((5, 8, 7, 2), "glu"), {}, ValueError, r"mlp: sizes\[2\]: glu: .* even length, to be halved, got 7"),
        (((5, 7, 2), "maxout"), {}, ValueError, r"mlp: sizes\[1\]: maxout: .* got 7 with k=2"),
        (
            ((5, 4, 2), "relu"),
            {"normalization": "group"},
            ValueError,
            "normalization must be None, 'batch' or 'layer', got 'group'",
        ),
        (((5, 4, 2), "relu"), {"dropout": [0.1, 0.2]}, ValueError, f"dropout {ONE_FOR_EACH}, got 2"),
        (((5, 4, 2), "relu"), {"dropout": [-1]}, ValueError, r"dropout\[0\] must be in \[0, 1\), got -1"),
        (((5, 4, 2), "relu"), {"dropout": ["1"]}, TypeError, r"dropout\[0\] must be a real number, got '1'"),
        (((5, 4, 2), "relu"), {"dropout": 1.0}, ValueError, r"dropout must be in \[0, 1\), got 1.0"),
        (((5, 4, 2), "relu"), {"init": "best"}, ValueError, "unknown init 'best'"),
        (((5, 4, 2), "relu"), {"dtype": np.float16}, TypeError, "float32 or float64, got float16"),
    ],
)
def test_mlp_errors(args, options, error, words):
    with pytest.raises(error, match=words):
        nn.mlp(*args, **options)


# ---------------------------------------------------------------------- Sequential
def test_forward_keeps_every_output():
    network = nn.mlp((3, 4, 2), "tanh", rng=0)
    x = np.random.default_rng(0).standard_normal((5, 3), dtype=np.float32)
    y = network.forward(x)
    assert y is network.outputs[-1]
    assert network.outputs[0] is network.activations[0].z
    assert len(network.outputs) == 3
    hidden = np.tanh(x @ network.layers[0].params["weight"])
    np.testing.assert_allclose(y, hidden @ network.layers[2].params["weight"], rtol=1e-5, atol=1e-6)


def test_parameters_are_the_layers_own_arrays():
    network = nn.mlp((3, 4, 2), "prelu")
    for key, param, grad in network.parameters():
        i, name = key.split(".")
        assert param is network.layers[int(i)].params[name]
        assert grad is network.layers[int(i)].grads[name]


@pytest.mark.parametrize("batch_size", [1, 3, 10, 1000])
def test_predict_is_forward_in_inference(batch_size):
    network = nn.mlp((3, 8, 2), "mish", normalization="batch", dropout=0.5, rng=0)
    x = np.random.default_rng(0).standard_normal((10, 3), dtype=np.float32)
    network.forward(x, training=True)
    y = network.predict(x, batch_size=batch_size)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, network.forward(x), rtol=1e-5, atol=1e-6)
    assert np.array_equal(y, network.predict(x, batch_size=batch_size))
    assert network.predict(x[:0], batch_size=batch_size).shape == (0, 2)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: nn.Sequential(), ValueError, "at least one layer"),
        (lambda: nn.Sequential(nn.Dense(2, 3), "relu"), TypeError, "layer 1 must be a Layer, got 'relu'"),
        (
            lambda: nn.Sequential(nn.Dense(2, 3), nn.Activation("relu"), nn.Dense(4, 2)),
            ValueError,
            r"layer 2, Dense\(4, 2\), takes 4 features, but gets 3",
        ),
        (
            lambda: nn.Sequential(nn.Dense(2, 3), nn.Activation("glu")),
            ValueError,
            "Sequential: layer 1: glu: the axis must have an even length, to be halved, got 3",
        ),
        (
            lambda: nn.Sequential(nn.Dense(2, 3), nn.BatchNorm(4)),
            ValueError,
            r"layer 1, BatchNorm\(4\), takes 4 features, but gets 3",
        ),
        (
            lambda: nn.Sequential(nn.Dense(2, 3), nn.Dense(3, 2, dtype=np.float64)),
            TypeError,
            r"layer 1, Dense\(3, 2\), is float64 after float32",
        ),
        (
            lambda: nn.Sequential(*[nn.Activation("relu")] * 2),
            ValueError,
            r"layer 1, Activation\(relu\), occurs twice",
        ),
        (
            lambda: nn.mlp((3, 2), "relu").forward(np.ones((1, 4), np.float32)),
            ValueError,
            r"Dense\(3, 2\): x must have 3 features, got 4",
        ),
        (
            lambda: nn.mlp((3, 2), "relu").predict(np.ones((1, 3))),
            TypeError,
            r"Dense\(3, 2\): x must be float32, got float64",
        ),
        (
            lambda: nn.mlp((3, 2), "relu").predict(np.ones((1, 3), np.float32), batch_size=0),
            ValueError,
            "predict: batch_size must be at least 1, got 0",
        ),
        (
            lambda: nn.mlp((3, 4, 2), "relu").backward(np.ones((1, 2), np.float32)),
            ValueError,
            "backward called before forward",
        ),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_predict_of_sparse_x(form):
    sparse = pytest.importorskip("scipy.sparse")
    network = nn.mlp((3, 4, 2), "tanh", dtype=np.float64, rng=0)
    x = np.random.default_rng(0).standard_normal((7, 3)) * [1, 0, 1]
    found = network.predict(sparse.coo_array(x).asformat(form), batch_size=3)
    np.testing.assert_allclose(found, network.predict(x), rtol=1e-13)
