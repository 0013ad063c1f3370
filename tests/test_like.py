"""Names, parameters and defaults of other libraries, against those that are installed."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import runpy
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cact
from cact._like import LIBRARIES, REQUIRED, Entry, resolve

ROOT = Path(__file__).parents[1]
COMPLETE = len(cact.names()) >= 50
PAIRS = [(like, name) for like, library in LIBRARIES.items() for e in library.entries for name in e.names]

#: Names of the tables that the compared version of a library has no longer.
FORMER = {"keras": {"ThresholdedReLU"}}


def library(like: str) -> Any:
    """The module, or skip."""
    os.environ.setdefault("KERAS_BACKEND", "numpy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(like, exc_type=ImportError)


def entry(like: str, name: str) -> Entry:
    return next(e for e in LIBRARIES[like].entries if name in e.names)


def here(like: str, name: str, **params: Any) -> cact.Activation:
    """The activation, or skip where cact does not have it yet."""
    target = resolve(name, like, params)[0]
    if target not in cact.names() and not COMPLETE:
        pytest.skip(f"cact has no {target} yet")
    return cact.get(name, like=like, **params)


# ------------------------------------------------------------------ the traps
@pytest.mark.parametrize(
    ("like", "name", "params", "ours"),
    [
        ("torch", "LeakyReLU", {}, ("leaky_relu", {"negative_slope": 0.01})),
        ("keras", "LeakyReLU", {}, ("leaky_relu", {"negative_slope": 0.3})),
        ("keras", "leaky_relu", {}, ("leaky_relu", {"negative_slope": 0.2})),
        ("jax", "leaky_relu", {}, ("leaky_relu", {"negative_slope": 0.01})),
        ("onnx", "LeakyRelu", {}, ("leaky_relu", {"negative_slope": 0.01})),
        ("onnx", "LeakyRelu", {"alpha": 0.1}, ("leaky_relu", {"negative_slope": 0.1})),
        ("torch", "Hardsigmoid", {}, ("hardsigmoid", {})),
        ("keras", "hard_sigmoid", {}, ("hardsigmoid", {})),
        ("onnx", "HardSigmoid", {}, ("hardsigmoid", {"slope": 0.2, "offset": 0.5})),
        ("torch", "GELU", {}, ("gelu", {"approximate": "none"})),
        ("keras", "gelu", {}, ("gelu", {"approximate": False})),
        ("jax", "gelu", {}, ("gelu", {"approximate": True})),
        ("jax", "gelu", {"approximate": False}, ("gelu", {"approximate": False})),
        ("keras", "swish", {}, ("silu", {})),
        ("onnx", "Swish", {"alpha": 1.5}, ("swish", {"beta": 1.5})),
        ("torch", "Softplus", {"beta": 2.0, "threshold": 30}, ("softplus", {"beta": 2.0})),
        ("torch", "Softmax", {"dim": 1}, ("softmax", {"axis": 1})),
        ("torch", "Softmax2d", {}, ("softmax", {"axis": -3})),
        ("torch", "PReLU", {}, ("prelu", {"weight": 0.25})),
        ("torch", "prelu", {"weight": np.float32([0.5])}, ("prelu", {"weight": 0.5})),
        ("keras", "PReLU", {}, ("prelu", {"weight": 0.0})),
        ("keras", "relu", {}, ("relu", {})),
        ("keras", "relu", {"negative_slope": 0.1}, ("leaky_relu", {"negative_slope": 0.1})),
        ("keras", "ReLU", {"max_value": 6}, ("relu6", {})),
        ("keras", "ReLU", {"max_value": 2.0}, ("hardtanh", {"min_val": 0.0, "max_val": 2.0})),
        ("keras", "ReLU", {"threshold": 2.0}, ("thresholded_relu", {"threshold": 2.0, "value": 0.0})),
        ("keras", "ThresholdedReLU", {}, ("thresholded_relu", {"threshold": 1.0})),
        ("onnx", "Clip", {}, ("identity", {})),
        ("onnx", "Clip", {"min": 0}, ("relu", {})),
        ("onnx", "Clip", {"min": -1.0}, ("thresholded_relu", {"threshold": -1.0, "value": -1.0})),
        ("onnx", "Clip", {"min": -1.0, "max": 2.0}, ("hardtanh", {"min_val": -1.0, "max_val": 2.0})),
        ("onnx", "Shrink", {}, ("hardshrink", {"lambd": 0.5})),
        ("onnx", "Shrink", {"bias": 1.5, "lambd": 1.5}, ("softshrink", {"lambd": 1.5})),
        ("onnx", "Selu", {"alpha": float(np.float32(1.6732632423543772))}, ("selu", {})),
        ("sklearn", "logistic", {}, ("sigmoid", {})),
    ],
)
def test_resolution(like: str, name: str, params: dict[str, Any], ours: tuple[str, dict[str, Any]]) -> None:
    assert resolve(name, like, params) == ours


def test_get() -> None:
    assert cact.get("LeakyReLU", like="keras") == cact.get("leaky_relu", negative_slope=0.3)
    assert cact.get("leaky_relu", like="keras") == cact.get("leaky_relu", negative_slope=0.2)
    assert cact.get("leaky_relu", like="torch") == cact.leaky_relu
    assert cact.get("gelu", like="jax") == cact.gelu_tanh
    assert cact.get("gelu", like="torch") == cact.gelu
    assert cact.get("relu", like="torch", inplace=False) is cact.relu
    assert cact.get("gelu", like=None) is cact.gelu


@pytest.mark.parametrize(
    ("like", "spelling", "name"),
    [("torch", "leaky-relu", "LeakyReLU"), ("torch", "GeLU", "GELU"), ("jax", "LeakyReLU", "leaky_relu")],
)
def test_another_spelling(like: str, spelling: str, name: str) -> None:
    assert cact.get(spelling, like=like) == cact.get(name, like=like)


# ------------------------------------------------------------------ errors
@pytest.mark.parametrize(
    ("name", "like", "params", "kind", "words"),
    [
        ("relu", "tensorflow", {}, ValueError, "like must be one of 'torch', 'keras', 'jax'"),
        ("relu", ["torch"], {}, ValueError, "like must be one of"),
        ("gelo", "torch", {}, ValueError, "unknown activation 'gelo' of torch; did you mean GELU"),
        ("sigmoid", "sklearn", {}, ValueError, r"it has .*logistic.*sigmoid is cact's own"),
        ("leakyrelu", "keras", {}, ValueError, "leaky_relu or LeakyReLU in keras, which differ"),
        ("Hardmax", "onnx", {}, ValueError, "Hardmax of onnx is not in cact: .*derivative is 0"),
        ("hard_max", "onnx", {}, ValueError, "Hardmax of onnx is not in cact"),
        ("relu_", "torch", {}, ValueError, "relu_ of torch is not in cact: in place"),
        ("LeakyReLU", "torch", {"slope": 1}, TypeError, "unknown parameter 'slope'; it has negative_slope"),
        ("LeakyRelu", "onnx", {"negative_slope": 1}, TypeError, "unknown parameter .*; it has alpha"),
        ("tanh", "jax", {"a": 1}, TypeError, "tanh of jax: unknown parameter 'a'; it has no parameters"),
        ("Softmax", "torch", {}, TypeError, "Softmax of torch: give dim"),
        ("Threshold", "torch", {}, TypeError, "give threshold and value"),
        ("ReLU", "torch", {"inplace": True}, ValueError, "inplace must be False, got True; pass out=x"),
        ("PReLU", "torch", {"num_parameters": 3}, ValueError, "num_parameters must be 1, got 3"),
        ("prelu", "torch", {"weight": [1, 2]}, ValueError, "prelu of torch: weight must be one number"),
        ("Softplus", "torch", {"threshold": 5}, ValueError, "threshold must be at least 20"),
        ("relu", "keras", {"max_value": 1, "threshold": 1}, ValueError, "relu of keras: .*with one only"),
        ("relu", "keras", {"max_value": -1}, ValueError, "max_value must not be negative"),
        ("PReLU", "keras", {"alpha_initializer": "he"}, ValueError, "must be 'zeros' or 'ones', got 'he'"),
        ("softmax", "jax", {"where": True}, ValueError, "where must be None, got True"),
        ("Selu", "onnx", {"gamma": 2.0}, ValueError, "gamma must be 1.05.*, got 2.0"),
        ("Shrink", "onnx", {"bias": 0.1}, ValueError, "bias must be 0 .* or lambd"),
        ("Clip", "onnx", {"max": 1.0}, ValueError, "max needs min"),
        ("leaky_relu", "keras", {"negative_slope": np.nan}, ValueError, "negative_slope must be finite"),
        ("leaky_relu", "keras", {"negative_slope": "a"}, TypeError, "negative_slope must be a real number"),
        (cact.relu, "torch", {}, TypeError, "goes with a name"),
    ],
)  # fmt: skip
def test_errors(name: Any, like: Any, params: dict[str, Any], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        cact.get(name, like=like, **params)


# ------------------------------------------------------------------ the tables
@pytest.mark.skipif(not COMPLETE, reason="the catalogue is not complete yet")
@pytest.mark.parametrize("like", LIBRARIES)
def test_every_name_resolves(like: str) -> None:
    for listed in LIBRARIES[like].entries:
        for name in listed.names:
            given = {k: 1 for k, p in listed.parameters.items() if p.default is REQUIRED}
            assert isinstance(cact.get(name, like=like, **given), cact.Activation)


@pytest.mark.parametrize("like", LIBRARIES)
def test_no_name_twice(like: str) -> None:
    names = [n for e in LIBRARIES[like].entries for n in e.names]
    assert len(names) == len(set(names))
    assert not set(names) & LIBRARIES[like].not_here.keys()


#: The aliases that people know the functions by.
ALIASES = {
    "identity": "linear none", "sigmoid": "logistic expit", "relu": "rectifier", "leaky_relu": "lrelu",
    "thresholded_relu": "threshold trelu", "softplus": "log1pexp soft_relu", "hardtanh": "clip clamp",
    "log_sigmoid": "logsigmoid log_expit", "hardswish": "hard_silu", "silu": "swish1 sil", "gelu": "gelu_erf",
    "gelu_tanh": "gelu_new gelu_fast", "exponential": "exp", "quick_gelu": "gelu_sigmoid", "telu": "tanhexp",
    "relu2": "squared_relu", "golu": "gompertz", "acon_c": "acon",
}  # fmt: skip


@pytest.mark.parametrize("name", ALIASES)
def test_aliases(name: str) -> None:
    if name not in cact.names() and not COMPLETE:
        pytest.skip(f"cact has no {name} yet")
    assert {*ALIASES[name].split()} <= {*cact.get(name).aliases}
    for alias in ALIASES[name].split():
        assert cact.get(alias) is cact.get(name)


def test_the_page_is_current() -> None:
    """docs/names.md is what `python docs/names.py` writes."""
    if not (ROOT / "docs" / "names.py").exists():
        pytest.skip("docs are not here")
    page = runpy.run_path(str(ROOT / "docs" / "names.py"))["page"]()
    assert (ROOT / "docs" / "names.md").read_text(encoding="utf-8") == page, "run: python docs/names.py"


# ------------------------------------------------------------------ against the libraries: names
#: Operators of one tensor in ONNX that are no activations.
MATHEMATICS = {
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Cos", "Cosh", "DFT", "Det", "Flatten",
    "Floor", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "Log", "Neg", "Reciprocal", "Resize",
    "Round", "SequenceErase", "Sign", "Sin", "Sinh", "Split", "Sqrt", "Squeeze", "Tan", "Transpose", "Trilu",
    "Unique",
}  # fmt: skip


def _torch_names(torch: Any) -> Iterator[str]:
    """The module of activation classes, and all functions of one tensor that give one of its shape."""
    yield from torch.nn.modules.activation.__all__
    yield "Identity"
    functional = torch.nn.functional
    for name, function in vars(functional).items():
        if name.startswith("_") or not callable(function) or isinstance(function, type):
            continue
        try:
            y = function(torch.linspace(-1, 1, 24).reshape(4, 6))
        except Exception:
            continue
        if isinstance(y, torch.Tensor) and y.shape in ((4, 6), (4, 3)):
            yield name
    yield from ("prelu", "threshold", "gumbel_softmax")


def _keras_names(keras: Any) -> Iterator[str]:
    """What `keras.activations` exports, and the layers that are activations."""
    own = ("deserialize", "get", "serialize")
    yield from (n for n in dir(keras.activations) if not n.startswith("_") and n not in own)
    for name, layer in vars(keras.layers).items():
        if isinstance(layer, type) and ".layers.activations." in layer.__module__:
            yield name
    yield "Identity"


def _onnx_names(onnx: Any) -> Iterator[str]:
    """Operators of one floating tensor that give one of its type."""
    for schema in onnx.defs.get_all_schemas():
        single = onnx.defs.OpSchema.FormalParameterOption.Single
        needed = [i for i in schema.inputs if i.option == single]
        if (
            not schema.domain
            and not schema.deprecated
            and len(needed) == 1
            and schema.outputs
            and needed[0].type_str == schema.outputs[0].type_str
            and any("float" in t for t in needed[0].types)
            and not any(a.required for a in schema.attributes.values())
            and not schema.name.startswith("Reduce")
            and schema.name not in MATHEMATICS
        ):
            yield schema.name
    yield from ("PRelu", "SwiGLU")


def _sklearn_names(sklearn: Any) -> Iterator[str]:
    yield from importlib.import_module("sklearn.neural_network._base").ACTIVATIONS


NAMES: dict[str, Callable[[Any], Iterator[str]]] = {
    "torch": _torch_names,
    "keras": _keras_names,
    "jax": lambda jax: (n for n in dir(importlib.import_module("jax.nn")) if not n.startswith("_")),
    "onnx": _onnx_names,
    "sklearn": _sklearn_names,
}


def _quiet(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


@pytest.mark.parametrize("like", LIBRARIES)
def test_every_activation_of_the_library_is_listed(like: str) -> None:
    """In the table, or among those that are not here with the reason."""
    theirs = set(_quiet(lambda: list(NAMES[like](library(like)))))
    listed = {n for e in LIBRARIES[like].entries for n in e.names}
    assert theirs - listed - LIBRARIES[like].not_here.keys() == set(), "activations?"
    version = tuple(int(n) for n in re.findall(r"\d+", library(like).__version__)[:2])
    if version >= tuple(map(int, LIBRARIES[like].version.split("."))):
        assert listed - theirs - FORMER.get(like, set()) == set(), f"names that {like} does not have"


# ------------------------------------------------------------------ against the libraries: parameters
#: Parameters that are no parameters of the activation.
NOT_PARAMETERS = {"self", "x", "input", "args", "kwargs", "_stacklevel"}


def _functions(like: str, name: str) -> Any:
    module = library(like)
    if like == "torch":
        return getattr(module.nn, name, None) or getattr(module.nn.functional, name)
    if like == "keras":
        return getattr(module.layers, name, None) or getattr(module.activations, name)
    return getattr(importlib.import_module("jax.nn"), name)


def _signature(like: str, name: str) -> dict[str, Any] | None:
    """The parameters with their defaults; None where the library does not tell."""
    if like == "onnx":
        onnx = library(like)
        schema = onnx.defs.get_schema(name)
        found = {i.name: None for i in schema.inputs if i.option == i.option.Optional}
        found |= {"slope": REQUIRED} if name == "PRelu" else {}
        for key, attribute in schema.attributes.items():
            value = onnx.helper.get_attribute_value(attribute.default_value)
            found[key] = value.decode() if isinstance(value, bytes) else value
        return found
    function = _functions(like, name)
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:  # a builtin of torch: the first line of its text
        first = re.match(r"\s*\w+\((.*)\) ->", function.__doc__)
        assert first, function.__doc__
        pairs = [p.partition("=")[::2] for p in first[1].split(",")[1:]]
        return {k.strip(): eval(v) if v else REQUIRED for k, v in pairs}
    empty = inspect.Parameter.empty
    return {
        k: REQUIRED if p.default is empty else p.default
        for k, p in parameters.items()
        if k not in NOT_PARAMETERS
    }


@pytest.mark.parametrize(("like", "name"), [p for p in PAIRS if p[0] != "sklearn"])
def test_parameters_and_defaults(like: str, name: str) -> None:
    if name in FORMER.get(like, ()):
        pytest.skip("of a former version")
    table = {k: p.default for k, p in entry(like, name).parameters.items()}
    if like == "torch" and "dim" in table and table["dim"] is REQUIRED:
        table["dim"] = None  # torch chooses by the number of dimensions then, and warns
    theirs = _signature(like, name)
    assert theirs is not None
    for key, default in theirs.items():
        assert key in table, f"{key} is missing"
        if isinstance(default, float):
            assert np.float32(table[key]) == np.float32(default), key
        else:
            assert table[key] == default, key
    both = set().union(*(_signature(like, n) or {} for n in entry(like, name).names))
    assert table.keys() <= both, "parameters that the library does not have"


# ------------------------------------------------------------------ against the libraries: values
X = np.random.default_rng(3).uniform(-9, 9, (4, 6, 10, 12)).astype(np.float32)
X[0, 0, :, 0] = [0, 0.5, -0.5, 1, -1, 3, -3, 6, 20, -20]

#: Further values of a parameter; those of a name come first.
VALUES: dict[str, list[Any]] = {
    "negative_slope": [0.0, 0.37],
    "alpha": [0.7],
    "beta": [0.3],
    "axis": [0, 1, -2],
    "dim": [0, 1, -1],
    "b": [1.5],
    "lambd": [1.25],
    "upper": [0.5],
    "min_val": [-2.0],
    "max_val": [4.0],
    "init": [0.4],
    "theta": [2.0],
    "alpha_initializer": ["ones"],
}
CHOICES: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("torch", "GELU"): [{"approximate": "tanh"}],
    ("torch", "gelu"): [{"approximate": "tanh"}],
    ("torch", "prelu"): [{"weight": 0.3}],
    ("torch", "Threshold"): [{"threshold": 0.5, "value": 2.0}],
    ("torch", "threshold"): [{"threshold": 0.5, "value": 2.0}],
    ("torch", "Softplus"): [{"beta": 3.0}, {"threshold": 40.0}],
    ("torch", "softplus"): [{"beta": 3.0}, {"threshold": 40.0}],
    ("keras", "relu"): [{"max_value": 6}, {"max_value": 2.5}, {"threshold": 1.5}, {"negative_slope": 0.2}],
    ("keras", "ReLU"): [{"max_value": 6}, {"max_value": 2.5}, {"threshold": 1.5}, {"negative_slope": 0.2}],
    ("keras", "threshold"): [{"threshold": 0.5, "default_value": 2.0}],
    ("keras", "hard_shrink"): [{"threshold": 2.0}],
    ("keras", "soft_shrink"): [{"threshold": 2.0}],
    ("keras", "gelu"): [{"approximate": True}],
    ("jax", "gelu"): [{"approximate": False}],
    ("onnx", "Gelu"): [{"approximate": "tanh"}],
    ("onnx", "Clip"): [{"min": -1.0}, {"min": 0.0}, {"min": -2.0, "max": 3.0}],
    ("onnx", "PRelu"): [{"slope": 0.3}],
    ("onnx", "Shrink"): [{"lambd": 2.0}, {"lambd": 2.0, "bias": 2.0}],
    ("onnx", "HardSigmoid"): [{"alpha": 0.3, "beta": 0.25}],
}


def choices(like: str, name: str) -> Iterator[dict[str, Any]]:
    parameters = entry(like, name).parameters
    if not any(p.default is REQUIRED for p in parameters.values()):
        yield {}
    if (like, name) in CHOICES:
        yield from CHOICES[like, name]
        return
    for key, parameter in parameters.items():
        if not parameter.why:
            yield from ({key: value} for value in VALUES.get(key, []))


def _torch(name: str, x: Any, **params: Any) -> Any:
    torch = library("torch")
    function = _functions("torch", name)
    if name == "prelu":
        params = {"weight": torch.tensor([params["weight"]])}
    x = torch.from_numpy(x.copy())
    y = function(**params).eval()(x) if isinstance(function, type) else function(x, **params)
    return y.detach().numpy()


def _keras(name: str, x: Any, **params: Any) -> Any:
    function = _functions("keras", name)
    y = function(**params)(x) if isinstance(function, type) else function(x, **params)
    return library("keras").ops.convert_to_numpy(y)


def _onnx(name: str, x: Any, **params: Any) -> Any:
    onnx = library("onnx")
    reference = importlib.import_module("onnx.reference")
    tensor = lambda n: onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None)  # noqa: E731
    inputs = {"x": x}
    if name == "SwiGLU":
        inputs["value"] = x[::-1].copy()
    for key in [k for k in params if k in ("min", "max", "slope")]:
        inputs[key] = np.float32(params.pop(key))
    given = [k if k in inputs else "" for k in ("x", "min", "max")] if name == "Clip" else list(inputs)
    while given[-1] == "":
        given.pop()
    node = onnx.helper.make_node(name, given, ["y"], **params)
    graph = onnx.helper.make_graph([node], "g", [tensor(n) for n in inputs], [tensor("y")])
    model = onnx.helper.make_model(graph)
    return reference.ReferenceEvaluator(model).run(None, inputs)[0]


def _sklearn(name: str, x: Any) -> Any:
    x = x.reshape(-1, x.shape[-1]).copy()
    importlib.import_module("sklearn.neural_network._base").ACTIVATIONS[name](x)
    return x.reshape(X.shape)


CALLS: dict[str, Callable[..., Any]] = {
    "torch": _torch,
    "keras": _keras,
    "jax": lambda name, x, **params: np.asarray(_functions("jax", name)(x, **params)),
    "onnx": _onnx,
    "sklearn": _sklearn,
}


@pytest.mark.parametrize(("like", "name"), PAIRS)
def test_values(like: str, name: str) -> None:
    """At their defaults and others: what the library gives, within the errors of its float32."""
    library(like)
    if name in FORMER.get(like, ()):
        pytest.skip("of a former version")
    for params in choices(like, name):
        f = here(like, name, **params)
        y = f(X, X[::-1]) if name == "SwiGLU" else f(X)
        theirs = _quiet(CALLS[like], name, X, **params)
        if (like, name) == ("keras", "sparsemax"):  # to 3.15 wrong in the other rows: keras-team/keras#23425
            total = theirs.sum(axis=params.get("axis", -1), keepdims=True)
            y = np.where(abs(total - 1) < 1e-5, y, theirs)
        np.testing.assert_allclose(y, theirs, rtol=1e-5, atol=2e-6, err_msg=str(params))
