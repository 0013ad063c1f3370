"""The activations of other libraries by their names there: ``cact.get(name, like=...)``.

A table per library. A row has its names there, cact's name, and the parameters there: a plain
value is a default (the name is cact's, too), `_as` gives another name here, `_only` stands for
what cact does not have, so that no other value than the default is taken.  Where parameters
choose among cact's functions, the row has a function of them instead of a name.
`docs/names.md` is made from these tables.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._registry import _key, canonical

__all__ = ["LIBRARIES", "REQUIRED", "Entry", "Library", "Parameter", "resolve"]

#: The default of a parameter that has none.
REQUIRED: Any = type("REQUIRED", (), {"__repr__": lambda self: "REQUIRED"})()

Resolved = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Parameter:
    """What a parameter there is here."""

    default: Any
    ours: str = ""
    """Its name in cact, where that is another."""
    why: str = ""
    """Not in cact: no value but the default is taken, and this is why."""


@dataclass(frozen=True)
class Entry:
    """An activation of a library."""

    names: tuple[str, ...]
    target: str | Callable[..., Resolved]
    """The canonical name; or a function of the parameters there, its docstring a sentence for the docs."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


@dataclass(frozen=True)
class Library:
    """The activations of a library, and what it has among them that is not here, with the reason."""

    title: str
    version: str
    """The version that the table was compared with."""
    entries: tuple[Entry, ...]
    not_here: Mapping[str, str] = field(default_factory=dict)


def _as(ours: str, default: Any = REQUIRED) -> Parameter:
    return Parameter(default, ours)


def _only(default: Any, why: str) -> Parameter:
    return Parameter(default, why=why)


def _is(names: str, target: str | Callable[..., Resolved], **parameters: Any) -> Entry:
    return Entry(
        tuple(names.split()),
        target,
        {k: v if isinstance(v, Parameter) else Parameter(v) for k, v in parameters.items()},
    )


def _for_each(reasons: Mapping[str, str]) -> dict[str, str]:
    return {name: why for names, why in reasons.items() for name in names.split()}


# ---------------------------------------------------------------------- torch
_INPLACE = _only(False, "pass out=x to the call")
_DTYPE = _only(None, "pass dtype= to the call")
_NO_DEVICE = _only(None, "cact computes on the CPU")
_PER_CHANNEL = (
    "a weight per channel is an array that broadcasts against x, of shape (C, 1, 1) for images:"
    " cact.get('prelu', weight=...)"
)


def _torch_prelu(weight: Any) -> Resolved:
    """`weight` a number or one element; torch's weight per channel needs another shape here, (C, 1, 1)."""
    if np.size(weight) != 1:
        raise ValueError(f"weight must be one number; {_PER_CHANNEL}")
    return "prelu", {"weight": weight if np.ndim(weight) == 0 else np.ravel(weight)[0]}


def _torch_softplus(beta: float, threshold: float) -> Resolved:
    """No threshold: torch's jump to x above beta x = 20 changes nothing that float32 resolves, so 20 and
    above are taken, and cact stays exact; a lower threshold is an error."""
    if not threshold >= 20:
        raise ValueError(f"threshold must be at least 20, since cact's softplus has none, got {threshold}")
    return "softplus", {"beta": beta}


def _torch_softmax2d() -> Resolved:
    """axis=-3, the channels of images."""
    return "softmax", {"axis": -3}


_TORCH = Library(
    "classes of `torch.nn` and functions of `torch.nn.functional`",
    "2.13",
    (
        _is("Identity", "identity"),
        _is("Sigmoid sigmoid", "sigmoid"),
        _is("Tanh tanh", "tanh"),
        _is("ReLU relu", "relu", inplace=_INPLACE),
        _is("ReLU6 relu6", "relu6", inplace=_INPLACE),
        _is("LeakyReLU leaky_relu", "leaky_relu", negative_slope=0.01, inplace=_INPLACE),
        _is(
            "PReLU",
            "prelu",
            init=_as("weight", 0.25),
            num_parameters=_only(1, _PER_CHANNEL),
            device=_NO_DEVICE,
            dtype=_DTYPE,
        ),
        _is("prelu", _torch_prelu, weight=REQUIRED),
        _is("RReLU rrelu", "rrelu", lower=1 / 8, upper=1 / 3, training=False, inplace=_INPLACE),
        _is("Threshold threshold", "thresholded_relu", threshold=REQUIRED, value=REQUIRED, inplace=_INPLACE),
        _is("ELU elu", "elu", alpha=1.0, inplace=_INPLACE),
        _is("CELU celu", "celu", alpha=1.0, inplace=_INPLACE),
        _is("SELU selu", "selu", inplace=_INPLACE),
        _is("Softplus softplus", _torch_softplus, beta=1.0, threshold=20.0),
        _is("LogSigmoid logsigmoid", "log_sigmoid"),
        _is("Softsign softsign", "softsign"),
        _is(
            "Hardtanh hardtanh",
            "hardtanh",
            min_val=-1.0,
            max_val=1.0,
            inplace=_INPLACE,
            min_value=_only(None, "the former name of min_val"),
            max_value=_only(None, "the former name of max_val"),
        ),
        _is("Hardsigmoid hardsigmoid", "hardsigmoid", inplace=_INPLACE),
        _is("Hardswish hardswish", "hardswish", inplace=_INPLACE),
        _is("Hardshrink hardshrink", "hardshrink", lambd=0.5),
        _is("Softshrink softshrink", "softshrink", lambd=0.5),
        _is("Tanhshrink tanhshrink", "tanhshrink"),
        _is("SiLU silu", "silu", inplace=_INPLACE),
        _is("GELU gelu", "gelu", approximate="none"),
        _is("Mish mish", "mish", inplace=_INPLACE),
        # without dim torch takes 0 or 1 by the number of dimensions, and warns; cact wants it said
        _is("Softmax softmax", "softmax", dim=_as("axis"), dtype=_DTYPE),
        _is("LogSoftmax log_softmax", "log_softmax", dim=_as("axis"), dtype=_DTYPE),
        _is("Softmin softmin", "softmin", dim=_as("axis"), dtype=_DTYPE),
        _is("Softmax2d", _torch_softmax2d),
        _is("GLU glu", "glu", dim=_as("axis", -1)),
    ),
    _for_each(
        {
            "MultiheadAttention": "a layer with weights of its own",
            "AdaptiveLogSoftmaxWithLoss": "a loss with weights of its own",
            "gumbel_softmax": "a random sample, not a function of x",
            "normalize": "divides rows by their norm: a normalisation",
            "dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout": (
                "regularisation, not an activation: cact.nn.Dropout"
            ),
            "celu_ elu_ hardtanh_ leaky_relu_ relu_ rrelu_ selu_ threshold_": (
                "in place: the name without the underscore, called with out=x"
            ),
        }
    ),
)


# ---------------------------------------------------------------------- keras
def _keras_relu(negative_slope: float, max_value: float | None, threshold: float) -> Resolved:
    """`relu`; with a negative_slope `leaky_relu`; with a max_value `relu6` or `hardtanh`; with a threshold
    `thresholded_relu`. More than one of them is an error."""
    chosen = [negative_slope != 0, max_value is not None, threshold != 0]
    if sum(chosen) > 1:
        raise ValueError("of negative_slope, max_value and threshold cact has functions with one only")
    if negative_slope != 0:
        return "leaky_relu", {"negative_slope": negative_slope}
    if threshold != 0:
        return "thresholded_relu", {"threshold": threshold, "value": 0.0}
    if max_value is None:
        return "relu", {}
    if max_value < 0:
        raise ValueError(f"max_value must not be negative, got {max_value}")
    return ("relu6", {}) if max_value == 6 else ("hardtanh", {"min_val": 0.0, "max_val": max_value})


def _keras_prelu(alpha_initializer: str) -> Resolved:
    """weight=0 at first, 1 with the initializer "ones"."""
    weights = {"zeros": 0.0, "ones": 1.0}
    weight = weights.get(str(alpha_initializer).lower())
    if weight is None:
        raise ValueError(
            f"alpha_initializer must be 'zeros' or 'ones', got {alpha_initializer!r};"
            " other weights: cact.get('prelu', weight=...)"
        )
    return "prelu", {"weight": weight}


_SHAPE = "give the weight the shape it shall have: cact.get('prelu', weight=...)"
_KERAS = Library(
    "functions of `keras.activations` (also by the names that `activation=` takes) and layers",
    "3.15",
    (
        _is("linear Identity", "identity"),
        _is("sigmoid", "sigmoid"),
        _is("tanh", "tanh"),
        _is("relu ReLU", _keras_relu, negative_slope=0.0, max_value=None, threshold=0.0),
        _is("relu6", "relu6"),
        _is("leaky_relu", "leaky_relu", negative_slope=0.2),
        _is("LeakyReLU", "leaky_relu", negative_slope=0.3),
        _is(
            "PReLU",
            _keras_prelu,
            alpha_initializer="Zeros",
            alpha_regularizer=_only(None, "an activation has no regularizer"),
            alpha_constraint=_only(None, "an activation has no constraint"),
            shared_axes=_only(None, _SHAPE),
        ),
        _is("threshold", "thresholded_relu", threshold=REQUIRED, default_value=_as("value")),
        _is("ThresholdedReLU", "thresholded_relu", theta=_as("threshold", 1.0)),  # Keras 2
        _is("elu ELU", "elu", alpha=1.0),
        _is("celu", "celu", alpha=1.0),
        _is("selu", "selu"),
        _is("softplus", "softplus"),
        _is("log_sigmoid", "log_sigmoid"),
        _is("softsign", "softsign"),
        _is("hard_tanh", "hardtanh"),
        _is("hard_sigmoid", "hardsigmoid"),
        _is("hard_silu hard_swish", "hardswish"),
        _is("hard_shrink", "hardshrink", threshold=_as("lambd", 0.5)),
        _is("soft_shrink", "softshrink", threshold=_as("lambd", 0.5)),
        _is("tanh_shrink", "tanhshrink"),
        _is("silu swish", "silu"),
        _is("gelu", "gelu", approximate=False),
        _is("mish", "mish"),
        _is("exponential", "exponential"),
        _is("squareplus", "squareplus", b=4),
        _is("sparse_plus", "sparse_plus"),
        _is("sparse_sigmoid", "sparse_sigmoid"),
        _is("softmax Softmax", "softmax", axis=-1),
        _is("log_softmax", "log_softmax", axis=-1),
        _is("sparsemax", "sparsemax", axis=-1),
        _is("glu", "glu", axis=-1),
    ),
    {"Activation": "the layer takes a name: give that name to cact.get"},
)

# ---------------------------------------------------------------------- jax
_WHERE = _only(None, "put -inf into x where it shall not count")
_JAX = Library(
    "functions of `jax.nn`",
    "0.10",
    (
        _is("identity", "identity"),
        _is("sigmoid", "sigmoid"),
        _is("tanh", "tanh"),
        _is("relu", "relu"),
        _is("relu6", "relu6"),
        _is("leaky_relu", "leaky_relu", negative_slope=0.01),
        _is("elu", "elu", alpha=1.0),
        _is("celu", "celu", alpha=1.0),
        _is("selu", "selu"),
        _is("softplus", "softplus"),
        _is("log_sigmoid", "log_sigmoid"),
        _is("soft_sign", "softsign"),
        _is("hard_tanh", "hardtanh"),
        _is("hard_sigmoid", "hardsigmoid"),
        _is("hard_silu hard_swish", "hardswish"),
        _is("silu swish", "silu"),
        _is("gelu", "gelu", approximate=True),
        _is("mish", "mish"),
        _is("squareplus", "squareplus", b=4),
        _is("sparse_plus", "sparse_plus"),
        _is("sparse_sigmoid", "sparse_sigmoid"),
        _is("softmax", "softmax", axis=-1, where=_WHERE),
        _is("log_softmax", "log_softmax", axis=-1, where=_WHERE),
        _is("glu", "glu", axis=-1),
    ),
    _for_each(
        {
            "logsumexp logmeanexp": "reductions",
            "standardize": "a normalisation: cact.nn has layers for it",
            "one_hot": "an encoding of integers",
            "log1mexp": "log(1-e^-x), a building block that is defined for positive x only",
            "dot_product_attention": "more than one input, with a softmax inside",
            "scaled_matmul scaled_dot_general get_scaled_dot_general_config": "products of matrices",
            "initializers": "a module: cact.nn initialises by activation",
        }
    ),
)


# ---------------------------------------------------------------------- onnx
def _onnx_clip(min: float | None, max: float | None) -> Resolved:
    """`hardtanh` with both bounds; `identity` with none; with min alone `relu` or
    `thresholded_relu(threshold=min, value=min)`. With max alone it is an error."""
    if max is None:
        if min is None:
            return "identity", {}
        return ("relu", {}) if min == 0 else ("thresholded_relu", {"threshold": min, "value": min})
    if min is None:
        raise ValueError("max needs min, since cact has no function with an upper bound alone")
    return "hardtanh", {"min_val": min, "max_val": max}


def _onnx_shrink(bias: float, lambd: float) -> Resolved:
    """`hardshrink` with bias 0, `softshrink` with bias equal to lambd. Others are an error."""
    if bias == 0:
        return "hardshrink", {"lambd": lambd}
    if bias == lambd:
        return "softshrink", {"lambd": lambd}
    raise ValueError(f"bias must be 0 (hardshrink) or lambd (softshrink), got {bias} with lambd={lambd}")


_SELU = "cact's selu has the constants of its authors"
_ONNX = Library(
    "operators of opset 28; attributes are float32 there",
    "1.23",
    (
        _is("Identity", "identity"),
        _is("Sigmoid", "sigmoid"),
        _is("Tanh", "tanh"),
        _is("Relu", "relu"),
        _is("Clip", _onnx_clip, min=None, max=None),
        _is("LeakyRelu", "leaky_relu", alpha=_as("negative_slope", 0.01)),
        _is("PRelu", "prelu", slope=_as("weight")),
        _is("ThresholdedRelu", "thresholded_relu", alpha=_as("threshold", 1.0)),
        _is("Elu", "elu", alpha=1.0),
        _is("Celu", "celu", alpha=1.0),
        _is("Selu", "selu", alpha=_only(1.6732632423543772, _SELU), gamma=_only(1.0507009873554805, _SELU)),
        _is("Softplus", "softplus"),
        _is("Softsign", "softsign"),
        _is("HardSigmoid", "hardsigmoid", alpha=_as("slope", 0.2), beta=_as("offset", 0.5)),
        _is("HardSwish", "hardswish"),
        _is("Shrink", _onnx_shrink, bias=0.0, lambd=0.5),
        _is("Gelu", "gelu", approximate="none"),
        _is("Mish", "mish"),
        _is("Exp", "exponential"),
        _is("Swish", "swish", alpha=_as("beta", 1.0)),
        _is("Softmax", "softmax", axis=-1),
        _is("LogSoftmax", "log_softmax", axis=-1),
        _is("SwiGLU", "swiglu", alpha=_only(1.0, "cact's gate is silu")),
    ),
    _for_each(
        {
            "Hardmax": "one-hot of the largest: its derivative is 0 everywhere",
            "LpNormalization MeanVarianceNormalization": "normalisations",
            "Erf": "a building block: gelu and serf are made of it",
            "Dropout": "regularisation, not an activation: cact.nn.Dropout",
            "Affine ScaledTanh": "named only inside RNN, GRU and LSTM; a line and a*tanh(b*x)",
        }
    ),
)

# ---------------------------------------------------------------------- scikit-learn
_SKLEARN = Library(
    "`activation=` of `MLPClassifier` and `MLPRegressor`, and the output activations inside",
    "1.9",
    (
        _is("identity", "identity"),
        _is("logistic", "sigmoid"),
        _is("tanh", "tanh"),
        _is("relu", "relu"),
        _is("softmax", "softmax"),
        _is("exp", "exponential"),
    ),
)

#: The libraries, by the name that `like` takes.
LIBRARIES: Mapping[str, Library] = {
    "torch": _TORCH,
    "keras": _KERAS,
    "jax": _JAX,
    "onnx": _ONNX,
    "sklearn": _SKLEARN,
}


# ---------------------------------------------------------------------- resolution
def resolve(name: str, like: str, given: Mapping[str, Any]) -> Resolved:
    """The canonical name, and cact's parameters, of an activation of another library.

    Parameters
    ----------
    name : str
        The name there: as it is spelled there or, where that is unambiguous, in any case and with
        or without ``_``, ``-`` and spaces.
    like : str
        A key of `LIBRARIES`.
    given : mapping
        Parameters by their names there; the others have the library's defaults.

    Returns
    -------
    tuple of str and dict

    Raises
    ------
    ValueError
        For an unknown library or name, a name that is not here (the message says why), or a value
        of a parameter that no function here has.
    TypeError
        For a parameter that the library does not have there, or one that is missing.
    """
    if not isinstance(like, str) or like not in LIBRARIES:
        raise ValueError(f"like must be one of {', '.join(map(repr, LIBRARIES))}, got {like!r:.60}")
    spelled, entry = _entry(name, like)
    label = f"{spelled} of {like}"
    unknown = given.keys() - entry.parameters.keys()
    if unknown:
        has = f"it has {', '.join(entry.parameters)}" if entry.parameters else "it has no parameters"
        raise TypeError(f"{label}: unknown parameter {', '.join(map(repr, sorted(unknown)))}; {has}")
    params = {k: given.get(k, p.default) for k, p in entry.parameters.items()}
    missing = [k for k, v in params.items() if v is REQUIRED]
    if missing:
        raise TypeError(f"{label}: give {' and '.join(missing)}")
    ours = {}
    for key, parameter in entry.parameters.items():
        if not parameter.why:
            ours[parameter.ours or key] = params[key]
        elif not _same(params[key], parameter.default):
            raise ValueError(
                f"{label}: {key} must be {parameter.default!r}, got {params[key]!r:.60}; {parameter.why}"
            )
    if isinstance(entry.target, str):
        return entry.target, ours
    try:
        return entry.target(**ours)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{label}: {error}") from None


def _entry(name: str, like: str) -> tuple[str, Entry]:
    """The entry of a name, and the name as it is spelled there."""
    library = LIBRARIES[like]
    spelled = {n: e for e in library.entries for n in e.names}
    if name in spelled:
        return name, spelled[name]
    if name in library.not_here:
        raise ValueError(f"{name} of {like} is not in cact: {library.not_here[name]}")
    key = _key(name)
    found = {n: e for n, e in spelled.items() if _key(n) == key}
    distinct = {id(e) for e in found.values()}
    if len(distinct) > 1:
        # e.g. the layer and the function of Keras, whose slopes differ
        raise ValueError(f"{name!r} may be {' or '.join(found)} in {like}, which differ; spell it as there")
    if found:
        return next(iter(found.items()))
    for n, why in library.not_here.items():
        if _key(n) == key:
            raise ValueError(f"{n} of {like} is not in cact: {why}")
    keys: dict[str, str] = {}
    for n in spelled:
        keys.setdefault(_key(n), n)
    near = [keys[k] for k in difflib.get_close_matches(key, keys, n=3, cutoff=0.5)]
    hint = f"; did you mean {' or '.join(near)}?" if near else f"; it has {', '.join(keys.values())}"
    with contextlib.suppress(ValueError):
        hint += f" ({canonical(name)} is cact's own: leave out like=)"
    raise ValueError(f"unknown activation {name!r} of {like}{hint}")


def _same(value: Any, default: Any) -> bool:
    """Whether a value is the default, numbers as float32 (which is what ONNX keeps)."""
    if isinstance(default, float) and isinstance(value, (int, float, np.number)):
        return bool(np.float32(value) == np.float32(default))
    return type(value) in (type(default), np.bool_, np.int64) and bool(value == default)
