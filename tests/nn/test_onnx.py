"""`cact.to_onnx`: what two runtimes make of the model, against the network."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import cact
from cact import _lookup, _registry, nn
from cact._registry import RECORDS

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

NAMES = [name for name, record in RECORDS.items() if not record.registered]
GATED = [name for name in NAMES if RECORDS[name].gate]
NEWEST = onnx.defs.onnx_opset_version()
N = 24

#: Where the formulas change, overflow in part, or have their tails.
EXTREMES = [0, 1e-6, 1e-3, 0.5, 1, 3, 6, 8, 15, 30, 100, 1e4]

#: name -> the operator that means exactly it, from which opset on.
NATIVE = {
    "identity": ("Identity", 18), "sigmoid": ("Sigmoid", 18), "tanh": ("Tanh", 18), "relu": ("Relu", 18),
    "relu6": ("Clip", 18), "leaky_relu": ("LeakyRelu", 18), "prelu": ("PRelu", 18),
    "rrelu": ("LeakyRelu", 18), "thresholded_relu": ("ThresholdedRelu", 18), "elu": ("Elu", 18),
    "celu": ("Celu", 18), "selu": ("Selu", 18), "softplus": ("Softplus", 18), "softsign": ("Softsign", 18),
    "hardtanh": ("Clip", 18), "hardsigmoid": ("HardSigmoid", 18), "hardswish": ("HardSwish", 18),
    "hardshrink": ("Shrink", 18), "softshrink": ("Shrink", 18), "gelu": ("Gelu", 20),
    "gelu_tanh": ("Gelu", 20), "mish": ("Mish", 18), "exponential": ("Exp", 18),
    "sparse_sigmoid": ("HardSigmoid", 18), "silu": ("Swish", 24), "swish": ("Swish", 24),
    "quick_gelu": ("Swish", 24), "softmax": ("Softmax", 18), "log_softmax": ("LogSoftmax", 18),
}  # fmt: skip

#: Composed so that nothing cancels.
PRECISE = [
    "log_sigmoid", "tanhshrink", "squareplus", "silu", "swish", "quick_gelu", "relu2", "sparse_plus",
    "telu", "golu", "serf", "acon_c",
]  # fmt: skip
PRECISE_IN_FLOAT64 = [*PRECISE, "sigmoid", "elu", "celu", "selu", "softplus", "gelu", "gelu_tanh", "mish"]


# ---------------------------------------------------------------------- runtimes
def reference(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    evaluator = pytest.importorskip("onnx.reference").ReferenceEvaluator(model)
    with np.errstate(all="ignore"):  # it computes with NumPy
        return evaluator.run(None, {"x": x})[0]


def onnxruntime(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


Runtime = Callable[[onnx.ModelProto, np.ndarray], np.ndarray]
runtimes = pytest.mark.parametrize("runtime", [onnxruntime, reference])


def export(network: nn.Sequential, opset: int | None = None) -> onnx.ModelProto:
    """The model, checked."""
    model = cact.to_onnx(network, opset=opset)
    onnx.checker.check_model(model, full_check=True)
    return model


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def alone(activation: object, dtype: type = np.float32) -> nn.Sequential:
    """A network of one activation, behind the identity where something must say float64."""
    layers: list[nn.Layer] = [nn.Activation(activation, dtype=dtype)]
    if dtype == np.float64:
        layers.insert(0, nn.Dense(N, N, bias=False, dtype=dtype))
        layers[0].params["weight"][...] = np.eye(N)
    return nn.Sequential(*layers)


def inputs(dtype: type = np.float32, seed: int = 0) -> np.ndarray:
    """Normal numbers, and rows of extreme ones."""
    rng = np.random.default_rng(seed)
    ends = rng.permuted(np.tile([*EXTREMES, *np.negative(EXTREMES)], (60, 1)), axis=1)
    return np.concatenate([rng.normal(0, 3, (100, N)), ends]).astype(dtype)


def error(y: np.ndarray, network: nn.Sequential, x: np.ndarray) -> np.ndarray:
    """|y - expected| in units of eps max(1, |expected|); gated functions: times the value's size."""
    expected = network.predict(x)
    assert y.dtype == expected.dtype
    assert y.shape == expected.shape
    scale = np.maximum(1, np.abs(expected))
    if network.layers[-1].activation.name in GATED:
        scale = np.maximum(scale, np.abs(x[:, : N // 2]))
    with np.errstate(invalid="ignore"):
        distance = np.where(y == expected, 0, np.abs(y - expected))  # both may be infinite
    return distance / (np.finfo(y.dtype).eps * scale)


# ---------------------------------------------------------------------- every activation
#: Largest errors, as `error` has them.  onnxruntime's own Gelu (tanh form) and Swish are off by more.
BOUND = 4
OFF = {"gelu_tanh": 6, "silu": 20, "swish": 20, "quick_gelu": 20, "swiglu": 20}


@runtimes
@pytest.mark.parametrize("opset", [18, 20, 24])
@pytest.mark.parametrize("name", NAMES)
def test_float32(name: str, opset: int, runtime: Runtime) -> None:
    network, x = alone(name), inputs()
    if name == "log_softmax" and runtime is reference:
        x = x.clip(-30, 30)  # it is log(softmax(x)) there, and softmax underflows
    model = export(network, min(opset, NEWEST))
    by_runtime = runtime is onnxruntime and set(operators(model)) & {"Gelu", "Swish"}
    assert error(runtime(model, x), network, x).max() <= (OFF.get(name, BOUND) if by_runtime else BOUND)


@runtimes
@pytest.mark.parametrize("name", NAMES)
def test_float64(name: str, runtime: Runtime) -> None:
    network, x = alone(name, np.float64), inputs(np.float64)
    if name == "log_softmax" and runtime is reference:
        x = x.clip(-30, 30)
    assert error(runtime(export(network), x), network, x).max() <= BOUND


@pytest.mark.parametrize("name", NAMES)
def test_newest_opset(name: str) -> None:
    export(alone(name), NEWEST)


@runtimes
@pytest.mark.parametrize(
    ("name", "dtype"),
    [(n, np.float32) for n in (*PRECISE, "gelu", "gelu_tanh")]
    + [(n, np.float64) for n in PRECISE_IN_FLOAT64],
)
def test_tails(name: str, dtype: type, runtime: Runtime) -> None:
    """Composed activations keep their digits; an exponential has as many ULP more as its argument has."""
    network, x = alone(name, dtype), inputs(dtype, 1)
    y, expected = runtime(export(network, 18), x), network.predict(x)
    normal = np.abs(expected) > 1e6 * np.finfo(dtype).tiny
    assert normal.mean() > 0.3
    y, expected = y[normal].astype(float), expected[normal].astype(float)
    relative = np.abs(y / expected - 1) / np.finfo(dtype).eps
    assert (relative <= 4 + np.abs(np.log(np.abs(expected)))).all()


@pytest.mark.parametrize("name", [n for n in NAMES if RECORDS[n].elementwise])
def test_huge_inputs(name: str) -> None:
    x = np.float32([[1e9, 1e19, 1e20, 1e30, 3e38]])
    x = np.concatenate([x, -x])
    network = nn.Sequential(nn.Activation(name))
    y, expected = onnxruntime(export(network), x), network.predict(x)
    assert not np.isnan(y).any()
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_no_samples(name: str) -> None:
    network, x = alone(name), np.zeros((0, N), np.float32)
    assert onnxruntime(export(network), x).shape == network.predict(x).shape


@pytest.mark.parametrize("name", NAMES)
def test_native_operators(name: str) -> None:
    operator, since = NATIVE.get(name, ("", 99))
    for opset in (18, 20, 24):
        if opset <= NEWEST:
            found = operators(export(alone(name), opset))
            assert (found == [operator]) == (opset >= since), found


@runtimes
@pytest.mark.parametrize("name", ["sparsemax", "entmax15"])
@pytest.mark.parametrize("features", [1, 2, 7, 300])
def test_sparse_rows(name: str, features: int, runtime: Runtime) -> None:
    """Of near-equal elements, of equal ones, far from 0, masked."""
    rng = np.random.default_rng(features)
    network = nn.Sequential(nn.Activation(name))
    for scale in (1e-4, 0.1, 1, 30):
        x = rng.normal(0, scale, (6, features)).astype(np.float32)
        x[1] = x[1, 0]
        x[2] += 1000
        x[3, 1:] = -np.inf
        y, expected = runtime(export(network), x), network.predict(x)
        np.testing.assert_allclose(y, expected, rtol=0, atol=8 * np.finfo(np.float32).eps)


# ---------------------------------------------------------------------- parameters
LEARNABLE = [name for name in NAMES if RECORDS[name].learnable]
#: Parameters of one number per feature, where a range is given.
BOUND_PARAMETERS = {
    "leaky_relu": {"negative_slope": (-0.5, 0.5)},
    "rrelu": {"lower": (0, 0.2), "upper": (0.3, 0.5)},
    "thresholded_relu": {"threshold": (-1, 1), "value": (-1, 1)},
    "elu": {"alpha": (0.5, 2)},
    "celu": {"alpha": (0.5, 2)},
    "softplus": {"beta": (0.5, 3)},
    "hardtanh": {"min_val": (-3, -1), "max_val": (0, 2)},
    "hardsigmoid": {"slope": (0.1, 1), "offset": (-0.5, 0.5)},
    "hardshrink": {"lambd": (0, 2)},
    "softshrink": {"lambd": (0, 2)},
    "squareplus": {"b": (0.1, 9)},
    **{name: dict.fromkeys(RECORDS[name].learnable, (-1.5, 1.5)) for name in LEARNABLE},
}


def test_every_parameter_is_tried() -> None:
    assert BOUND_PARAMETERS.keys() == {n for n in NAMES if RECORDS[n].defaults} - {"maxout"}


@runtimes
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("name", "shape"),
    [(name, shape) for name in BOUND_PARAMETERS for shape in ((), (N,))]
    + [(name, (1, N)) for name in BOUND_PARAMETERS if name not in LEARNABLE],
)
def test_bound_parameters(name: str, shape: tuple[int, ...], dtype: type, runtime: Runtime) -> None:
    rng = np.random.default_rng(len(name))
    params = {key: rng.uniform(*ends, shape) for key, ends in BOUND_PARAMETERS[name].items()}
    network, x = alone(cact.get(name, **params), dtype), inputs(dtype)
    x = x[np.abs(x).max(axis=1) < 100]
    # x times a parameter is rounded: that is what 2 more eps of x are
    scale = np.maximum(1, np.abs(x))
    assert (
        error(runtime(export(network, min(24, NEWEST)), x), network, x) <= OFF.get(name, BOUND) + 2 * scale
    ).all()


@pytest.mark.parametrize("name", LEARNABLE)
def test_trained_parameters(name: str) -> None:
    """Those of the layer, not those that it started from."""
    layer = nn.Activation(name, features=N)
    for value in layer.params.values():
        value += np.random.default_rng(0).uniform(0.1, 0.5, N).astype(np.float32)
    network, x = nn.Sequential(layer), inputs()[:100]
    y = onnxruntime(export(network), x)
    np.testing.assert_allclose(y, network.predict(x), rtol=2e-6, atol=2e-6)
    assert not np.allclose(y, cact.get(name)(x), rtol=0.01)


def test_snake_with_some_alpha_zero() -> None:
    network = alone(cact.get("snake", alpha=np.r_[0.0, np.ones(N - 1)]))
    x = inputs()[:100]
    y = onnxruntime(export(network), x)
    np.testing.assert_allclose(y, network.predict(x), rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(y[:, 0], x[:, 0])


@runtimes
@pytest.mark.parametrize("key", ["thresholded_relu threshold", "hardshrink lambd"])
@pytest.mark.parametrize("shape", [(), (3,)])
def test_jumps_stay_where_they_are(key: str, shape: tuple[int, ...], runtime: Runtime) -> None:
    """A threshold that is no float32 lies between two of them."""
    name, key = key.split()
    for value in (0.1, 0.7, 1 / 3, 0.5):
        near = np.float32(value)
        x = np.array([[np.nextafter(near, np.float32(0)), near, np.nextafter(near, np.float32(1))]])
        network = nn.Sequential(nn.Activation(cact.get(name, **{key: np.full(shape, value)})))
        np.testing.assert_array_equal(runtime(export(network), x), network.predict(x))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_maxout_pieces(k: int) -> None:
    network, x = nn.Sequential(nn.Activation(cact.get("maxout", k=k))), inputs()
    np.testing.assert_array_equal(onnxruntime(export(network), x), network.predict(x))


@pytest.mark.parametrize("approximate", ["none", "tanh", False, True])
def test_geglu_approximate(approximate: object) -> None:
    network, x = alone(cact.get("geglu", approximate=approximate)), inputs()[:100]
    np.testing.assert_allclose(
        onnxruntime(export(network), x), network.predict(x), rtol=0, atol=1e-6 * np.abs(x).max()
    )


# ---------------------------------------------------------------------- networks
def trained(dtype: type, activation: object, **options: object) -> tuple[nn.Sequential, np.ndarray]:
    """A network after some steps, so that hardly anything has the value that it started from."""
    rng = np.random.default_rng(3)
    X = rng.normal(0, 2, (120, 6)).astype(dtype)
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    network = nn.mlp((6, 16, 16, 2), activation, rng=0, dtype=dtype, **options)
    nn.train(network, X, y, optimizer=nn.Adam(network, 0.02), epochs=3, batch_size=20, rng=0)
    return network, X


@runtimes
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("activation", "options"),
    [
        ("gelu", {}),
        (["prelu", "silu"], {"normalization": "batch"}),
        (["swiglu", "softmax"], {"dropout": 0.2}),
        (["crelu", "mish"], {"normalization": "batch", "dropout": 0.1}),
        ([cact.get("maxout", k=4), "sparsemax"], {}),
        (["selu", "xielu"], {"normalization": "layer", "dropout": 0.1}),  # AlphaDropout after selu
    ],
)
def test_networks(activation: object, options: dict[str, object], dtype: type, runtime: Runtime) -> None:
    network, x = trained(dtype, activation, **options)
    y, expected = runtime(export(network), x), network.predict(x)
    assert y.dtype == dtype
    assert np.abs(y - expected).max() <= 16 * np.finfo(dtype).eps * np.abs(expected).max()


@runtimes
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("eps", [1e-5, 1e-2])
@pytest.mark.parametrize("kind", ["BatchNorm", "LayerNorm"])
def test_normalization(kind: str, eps: float, dtype: type, runtime: Runtime) -> None:
    """A small variance, so that eps counts."""
    rng = np.random.default_rng(0)
    layer = getattr(nn, kind)(N, eps=eps, dtype=dtype)
    for value in layer.params.values():
        value[...] = rng.uniform(0.5, 2, N)
    x = rng.normal(0, 0.01, (50, N)).astype(dtype)
    if kind == "BatchNorm":
        layer.running_mean[...], layer.running_var[...] = rng.normal(0, 0.01, N), rng.uniform(0, 1e-4, N)
    network = nn.Sequential(layer)
    y, expected = runtime(export(network), x), network.predict(x)
    assert np.abs(y - expected).max() <= 8 * np.finfo(dtype).eps * np.abs(expected).max()


def test_operators_of_a_network() -> None:
    network = nn.mlp((3, 4, 2), "relu", normalization="batch", dropout=0.5, rng=0)
    model = export(network)
    assert operators(model) == ["Gemm", "BatchNormalization", "Relu", "Gemm"]
    arrays = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
    keys = {key: value for key, value, _ in network.parameters()}
    assert arrays.keys() == keys.keys() | {"1.running_mean", "1.running_var"}
    for key, value in keys.items():
        np.testing.assert_array_equal(arrays[key], value)


def test_dropout_alone() -> None:
    network, x = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5)), inputs()
    np.testing.assert_array_equal(onnxruntime(export(network), x), x)


# ---------------------------------------------------------------------- the model
def shape(value: onnx.ValueInfoProto) -> list[object]:
    return [d.dim_param or d.dim_value or None for d in value.type.tensor_type.shape.dim]


def test_model() -> None:
    model = export(nn.mlp((4, 6, 3), "glu", rng=0))
    (x,), (y,) = model.graph.input, model.graph.output
    assert (x.name, shape(x)) == ("x", ["batch", 4])
    assert (y.name, shape(y)) == ("y", ["batch", 3])
    assert (model.producer_name, model.producer_version) == ("cact", cact.__version__)
    assert model.doc_string == "cact.nn.Sequential(Dense(4, 6), Activation(glu), Dense(3, 3))"
    (opset,) = model.opset_import
    assert (opset.domain, opset.version) == ("", 20)
    assert model.ir_version == 9  # the first that has this opset
    names = [node.name for node in model.graph.node]
    assert all(names)
    assert len(set(names)) == len(names)


def test_any_number_of_features() -> None:
    model = export(nn.Sequential(nn.Activation("glu")))
    assert shape(model.graph.input[0]) == ["batch", "features"]
    for n in (2, 10):
        assert onnxruntime(model, np.ones((3, n), np.float32)).shape == (3, n // 2)


def test_deterministic() -> None:
    network = trained(np.float32, ["serf", "entmax15"])[0]
    content = cact.to_onnx(network).SerializeToString()
    assert cact.to_onnx(copy.deepcopy(network)).SerializeToString() == content
    network.layers[0].params["bias"][0] += 1
    assert cact.to_onnx(network).SerializeToString() != content


def test_the_network_stays_as_it_is() -> None:
    network = trained(np.float32, "prelu", normalization="batch")[0]
    before = [value.copy() for _, value, _ in network.parameters()]
    model = cact.to_onnx(network)
    for (_, value, _), old in zip(network.parameters(), before):
        np.testing.assert_array_equal(value, old)
        value += 1
    assert cact.to_onnx(network) != model


@pytest.mark.parametrize("kind", [str, Path])
def test_path(tmp_path: Path, kind: type) -> None:
    network, path = nn.mlp((4, 6, 3), "gelu", rng=0), tmp_path / "network.onnx"
    path.write_bytes(b"an old file")
    model = cact.to_onnx(network, kind(path))
    assert onnx.load(path) == model
    assert [file.name for file in tmp_path.iterdir()] == ["network.onnx"]


def test_path_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        cact.to_onnx(nn.mlp((4, 6, 3), "gelu", rng=0), tmp_path / "missing" / "network.onnx")


# ---------------------------------------------------------------------- errors
def square(x: np.ndarray) -> np.ndarray:
    return x * x


def twice(x: np.ndarray) -> np.ndarray:
    return 2 * x


def relu(x: np.ndarray) -> np.ndarray:
    """Named as cact's, and another function."""
    return np.abs(x)


class Own(nn.Dense):
    """A layer that may compute anything."""


@pytest.mark.parametrize("pair", [(square, twice), (relu, np.sign)])
def test_pairs_have_no_form(pair: object) -> None:
    network = nn.Sequential(nn.Dense(3, 4, rng=0), nn.Activation(pair))
    name = network.layers[1].activation.name
    with pytest.raises(ValueError, match=rf"layer 1, Activation\({name}\): an own function has no ONNX form"):
        cact.to_onnx(network)


@pytest.fixture
def registry() -> Iterator[None]:
    """Forget what a test registered."""
    tables = (_registry.RECORDS, _registry._keys, _lookup._activations)
    before = [dict(t) for t in tables]
    yield
    for table, was in zip(tables, before):
        table.clear()
        table.update(was)


@pytest.mark.usefixtures("registry")
def test_registered_functions_have_no_form() -> None:
    f = cact.register("square_of_this_test", square, twice)
    with pytest.raises(ValueError, match=r"layer 0, Activation\(square_of_this_test\): an own function"):
        cact.to_onnx(nn.Sequential(nn.Activation(f)))


def test_own_layers_have_no_form() -> None:
    with pytest.raises(ValueError, match=r"layer 1, Dense\(4, 2\): the class Own has no ONNX form"):
        cact.to_onnx(nn.Sequential(nn.Dense(3, 4, rng=0), Own(4, 2, rng=0)))


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("rrelu", {"training": True}, "training=True"),
        ("softmax", {"axis": 0}, "only along the features"),
        ("glu", {"axis": -2}, "only along the features"),
        ("elu", {"alpha": np.ones((5, 1))}, r"alpha must be .* has shape \(5, 1\)"),
        ("elu", {"alpha": 1e39}, r"1e\+39 is beyond float32"),
        ("softplus", {"beta": 1e-60}, "1e-60 is beyond float32"),
        ("hardtanh", {"max_val": np.array([1, 1e300])}, r"1e\+300 is beyond float32"),
    ],
)
def test_parameters_without_form(name: str, params: dict[str, object], words: str) -> None:
    network = nn.Sequential(nn.Activation(cact.get(name, **params)))
    with pytest.raises(ValueError, match=rf"to_onnx: layer 0, Activation\({name}\): .*{words}"):
        cact.to_onnx(network)


def test_not_a_network() -> None:
    for model in (nn.Dense(3, 4, rng=0), "gelu", cact.gelu):
        with pytest.raises(TypeError, match=r"must be a cact\.nn\.Sequential"):
            cact.to_onnx(model)


def test_opset() -> None:
    network = nn.mlp((4, 6, 3), "silu", rng=0)
    for opset in (18, 21, NEWEST):
        assert cact.to_onnx(network, opset=opset).opset_import[0].version == opset
    for opset in (17, NEWEST + 1, -1):
        with pytest.raises(ValueError, match=f"from 18 to {NEWEST}, got {opset}"):
            cact.to_onnx(network, opset=opset)
    for opset in ("20", 20.0, True):
        with pytest.raises(TypeError, match="opset must be an integer"):
            cact.to_onnx(network, opset=opset)


def test_onnx_is_imported_when_it_is_needed() -> None:
    code = """
import sys, cact, cact.nn
assert "onnx" not in sys.modules and "to_onnx" in dir(cact)
sys.modules["onnx"] = None
try:
    cact.to_onnx
except ModuleNotFoundError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == 'onnx is not installed; pip install "cact[onnx]" brings it\n'
