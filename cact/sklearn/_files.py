"""Estimators in files, for `cact.save` and `cact.load`.

A file is as `cact.nn.files` has it; the tensors are the network's, behind ``network.``.  Its kind is
the name of the estimator's class, and the description has three parts:

- ``network``: as of a network;
- ``params``: the constructor's arguments;
- ``fitted``: what training has found besides: the labels, the names of the features, the curves.

What JSON lacks are objects with a ``type``: tuples, dicts, numbers that are not finite; activations,
losses and schedules by their names and arguments.
"""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn import neural_network
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .._activation import Activation
from .._warn import warn
from ..nn import files, schedules
from ..nn._validate import Array
from ..nn.dropout import Dropout
from ..nn.files import MAX_HEADER, expect
from ..nn.layers import Activation as ActivationLayer
from ..nn.layers import Dense, _bound
from ..nn.losses import LOSSES, Loss, Poisson
from ..nn.network import Sequential
from ._classifier import MLPClassifier
from ._regressor import MLPRegressor
from ._takeover import complete

__all__ = ["fitted", "pack", "plan"]

KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (MLPClassifier, MLPRegressor)}
#: What has a value that only training needs, as a function or a RandomState: what is kept then.
DROPPED = {"random_state": None, "init": "auto", "scoring": None}
#: What is of the machine where a fit runs: a file must not say where another one writes.
LOCAL = {"checkpoint", "checkpoint_every"}

#: Any type in JSON.
_ANY = (dict, list, str, int, float, bool, type(None))
#: Types of labels by their names in NumPy, and of a label in JSON.
_LABELS: dict[str, type] = {
    "bool": bool,
    **{f"{sign}int{bits}": int for sign in ("", "u") for bits in (8, 16, 32, 64)},
    **{f"float{bits}": float for bits in (16, 32, 64)},
    "str": str,
    "object": str,
}
_NUMBER = (float, type(None))
_CURVE = (list, type(None))
#: The attributes of training and their types.
_TRAINING: dict[str, tuple[type, ...]] = {
    "n_iter_": (int,),
    "t_": (int,),
    "loss_": _NUMBER,
    "best_loss_": _NUMBER,
    "loss_curve_": (list,),
    "validation_scores_": _CURVE,
    "best_validation_score_": _NUMBER,
    "validation_loss_curve_": (list,),
}


def fitted(where: str, model: Any) -> Any:
    """A fitted estimator, one of scikit-learn's taken over; TypeError for anything else."""
    for name, kind in KINDS.items():
        if type(model) is getattr(neural_network, name):
            return kind.from_sklearn(model)
    if type(model) not in KINDS.values():  # a subclass may predict anything
        words = f"model must be a cact.nn.Sequential, {' or '.join(KINDS)}"
        if hasattr(model, "steps"):
            words = "of a Pipeline only the last step can be kept, which is pipeline[-1]: " + words
        raise TypeError(f"{where}: {words}, got {type(model).__name__}")
    check_is_fitted(model)
    return model


def pack(model: Any) -> tuple[str, dict[str, Array], dict[str, Any]]:
    """An estimator's kind, its network's arrays, and its description for JSON.

    Raises
    ------
    TypeError, ValueError
        As `cact.save`.
    """
    model = fitted("save", model)
    name = type(model).__name__
    model._validate_params()
    tensors, network = files.pack(model._sync(), "network.")
    params = {}
    for key, value in model.get_params(deep=False).items():
        if key in LOCAL:
            continue
        if key in DROPPED and not isinstance(value, (str, int, np.integer, type(None))):
            warn(
                f"{name}: {key} is {value!r:.60}, which a file does not keep: {DROPPED[key]!r} stands "
                "there instead"
            )
            value = DROPPED[key]
        params[key] = _named(f"{name}: {key}", value)
    found = {key: _named(f"{name}: {key}", getattr(model, key, None)) for key in _TRAINING}
    found["n_features_in_"] = int(model.n_features_in_)
    names = getattr(model, "feature_names_in_", None)
    found["feature_names_in_"] = None if names is None else names.tolist()
    found["loss"] = _named(f"{name}: loss", model._loss)
    if type(model) is MLPClassifier:
        found["classes"] = _labels(model.classes_)
        found["multilabel"] = model._label_binarizer.y_type_.startswith("multilabel")
        found["sparse"] = bool(model._label_binarizer.sparse_input_)
    description = {"network": network, "params": params, "fitted": found}
    plan(name, description)  # so that what is written can be read
    return name, tensors, description


def plan(name: str, description: Any) -> files.Plan:
    """What a description from `pack` demands, checked; and what makes an estimator of those tensors.

    Raises
    ------
    TypeError, ValueError
        For any other description; from the second function, where the network is none of such an
        estimator.
    """
    kind = KINDS[name]
    expect(description, {"network": (dict,), "params": (dict,), "fitted": (dict,)}, name)
    demanded, build = files.plan(description["network"], "network.")
    params = {key: _value(value) for key, value in description["params"].items()}
    unknown = params.keys() - (set(kind._get_param_names()) - LOCAL)
    if unknown:
        raise ValueError(f"{name} has no parameters {sorted(unknown)!r:.200}")
    model = kind(**params)
    model._validate_params()
    attributes = _attributes(name, description["fitted"])

    def complete_with(tensors: Mapping[str, Array]) -> Any:
        network = build(tensors)
        _check(name, network, attributes)
        if model.random_state is not None:  # else dropout draws what no one can draw again
            rng = np.random.default_rng(check_random_state(model.random_state).randint(2**31 - 1))
            for layer in network.layers:
                if isinstance(layer, Dropout):
                    layer.rng = rng
        complete(model, network, attributes)
        return model

    return demanded, complete_with


# ---------------------------------------------------------------------- what training has found
def _attributes(name: str, description: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of an estimator from their description."""
    classifier = {"classes": (dict,), "multilabel": (bool,), "sparse": (bool,)}
    expect(
        description,
        {
            **dict.fromkeys(_TRAINING, _ANY),
            "n_features_in_": (int,),
            "feature_names_in_": (list, type(None)),
            "loss": (dict,),
            **(classifier if name == "MLPClassifier" else {}),
        },
        f"what {name} has found",
    )
    found: dict[str, Any] = {key: _value(description[key]) for key in _TRAINING}
    for key, types in _TRAINING.items():
        value = found[key]
        if type(value) not in types or (type(value) is int and value < 0):
            raise ValueError(f"{name}: {key} cannot be {value!r:.60}")
        if isinstance(value, list) and not all(type(v) is float for v in value):
            raise ValueError(f"{name}: {key} must be a list of floats")
    if found["loss_"] is None:  # no epoch has ended
        del found["loss_"]
    features, names = description["n_features_in_"], description["feature_names_in_"]
    found["n_features_in_"] = features
    if names is not None:
        if len(names) != features or not all(type(n) is str for n in names):
            raise ValueError(f"{name}: feature_names_in_ must be {features!r:.60} strings")
        found["feature_names_in_"] = np.array(names, object)
    loss = found["_loss"] = _value(description["loss"])
    if not isinstance(loss, Loss):
        raise ValueError(f"{name}: {loss!r:.60} is no loss")
    if name == "MLPRegressor":
        found["out_activation_"] = "exp" if isinstance(loss, Poisson) else "identity"
        return found
    classes = found["classes_"] = _classes(description["classes"])
    if description["multilabel"]:
        if len(classes) < 2:
            raise ValueError(f"{name}: several labels at once cannot be {len(classes)}")
        binarizer = LabelBinarizer().fit(np.zeros((2, len(classes)), int))
    elif description["sparse"]:
        raise ValueError(f"{name}: only several labels at once can be sparse")
    else:
        binarizer = LabelBinarizer().fit(np.repeat(classes, 2))  # it warns of samples that are classes alone
    binarizer.sparse_input_ = description["sparse"]
    found["_label_binarizer"] = binarizer
    found["out_activation_"] = "softmax" if binarizer.y_type_ == "multiclass" else "logistic"
    return found


def _check(name: str, network: Sequential, attributes: dict[str, Any]) -> None:
    """ValueError unless a network is one of an estimator with these attributes; they get n_outputs_."""
    if not (isinstance(network.layers[0], Dense) and isinstance(network.layers[-1], Dense)):
        raise ValueError(f"the network of an {name} must begin and end with Dense")
    if network.n_in != attributes["n_features_in_"]:
        raise ValueError(f"{network.n_in} features for n_features_in_={attributes['n_features_in_']!r:.60}")
    attributes["n_outputs_"] = network.n_out
    if name == "MLPRegressor":
        return
    classes = len(attributes["classes_"])
    binary = attributes["_label_binarizer"].y_type_ == "binary"
    if network.n_out != (1 if binary else classes):
        raise ValueError(f"{network.n_out} outputs for {classes} classes")


def _labels(classes: Array) -> dict[str, Any]:
    """Labels for JSON."""
    kind = "str" if classes.dtype.kind == "U" else classes.dtype.name
    values = [v.item() if isinstance(v, np.generic) else v for v in classes.tolist()]
    if kind not in _LABELS or not all(type(value) is _LABELS[kind] for value in values):
        raise TypeError(f"labels must be bool, integers, floats or strings, got {classes!r:.60}")
    return {"dtype": kind, "values": values}


def _classes(description: Mapping[str, Any]) -> Array:
    """Those labels: in order, each once."""
    expect(description, {"dtype": (str,), "values": (list,)}, "classes")
    kind, values = description["dtype"], description["values"]
    if kind not in _LABELS or not values or not all(type(value) is _LABELS[kind] for value in values):
        raise ValueError(f"classes must be labels of a type of {', '.join(_LABELS)}, got {description!r:.60}")
    if kind == "str" and len(values) * max(map(len, values)) > MAX_HEADER:  # each has the longest's room
        raise ValueError("the labels are too long")
    with np.errstate(over="ignore"):
        classes = np.array(values, kind)
    if classes.tolist() != values or any(not a < b for a, b in itertools.pairwise(values)):
        raise ValueError(f"classes must be in order, each once, and of {kind}, got {values!r:.60}")
    return classes


# ---------------------------------------------------------------------- values in JSON
_SCHEDULES: dict[str, type[schedules.Schedule]] = {
    kind.__name__: kind
    for kind in (
        schedules.Adaptive,
        schedules.Constant,
        schedules.Cosine,
        schedules.InverseScaling,
        schedules.OneCycle,
        schedules.Step,
        schedules.WarmUp,
    )
}
_OBJECTS: dict[str, type[Any]] = {**_SCHEDULES, **{kind.__name__: kind for kind in LOSSES.values()}}


def _named(where: str, value: Any) -> Any:
    """A value for JSON; errors say whose."""
    try:
        return _plain(value)
    except TypeError as error:
        raise TypeError(f"{where}: {error}") from None


def _plain(value: Any) -> Any:
    """A value for JSON, which `_value` reads; TypeError where it cannot be."""
    if isinstance(value, (np.generic, np.ndarray)):  # arrays come back as lists
        value = value.tolist()
    if isinstance(value, float) and not math.isfinite(value):
        return {"type": "float", "value": str(float(value))}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, tuple):
        return {"type": "tuple", "items": [_plain(v) for v in value]}
    if isinstance(value, dict):
        return {"type": "dict", "items": [[_plain(k), _plain(v)] for k, v in value.items()]}
    if isinstance(value, Activation):
        config = ActivationLayer(value)._config()
        return {"type": "Activation", "activation": config["activation"], "params": config["params"]}
    kind = type(value)
    if _OBJECTS.get(kind.__name__) is kind:
        # what the schedules were told is a part of them
        state = {"state": value.state_dict()} if isinstance(value, schedules.Schedule) else {}
        params = {key: _plain(getattr(value, "base" if key == "lr" else key)) for key in _arguments(kind)}
        return {"type": kind.__name__, "params": params, **state}
    raise TypeError(
        f"a file does not keep {value!r:.60}; activations can have a name, by cact.register, other "
        "parameters another value, by set_params"
    )


def _arguments(kind: type[Any]) -> list[str]:
    return [] if kind.__init__ is object.__init__ else list(inspect.signature(kind).parameters)


def _value(entry: Any) -> Any:
    """What `_plain` has written; ValueError or TypeError for what it has not."""
    if isinstance(entry, list):
        return [_value(v) for v in entry]
    if not isinstance(entry, dict):
        return entry
    kind = entry.get("type")
    if kind == "float":
        expect(entry, {"type": (str,), "value": (str,)}, "a number")
        if entry["value"] not in ("inf", "-inf", "nan"):
            raise ValueError(f"{entry['value']!r:.60} is no number that JSON lacks")
        return float(entry["value"])
    if kind in ("tuple", "dict"):
        expect(entry, {"type": (str,), "items": (list,)}, f"a {kind}")
        items = _value(entry["items"])
        return tuple(items) if kind == "tuple" else _dict(items)
    if kind == "Activation":
        expect(entry, {"type": (str,), "activation": (str,), "params": (dict,)}, "an activation")
        return _bound(entry)
    if not isinstance(kind, str) or kind not in _OBJECTS:
        raise ValueError(f"a value cannot be of the type {kind!r:.60}")
    made = _OBJECTS[kind]
    state = {"state": (dict,)} if kind in _SCHEDULES else {}
    expect(entry, {"type": (str,), "params": (dict,), **state}, kind)
    expect(entry["params"], dict.fromkeys(_arguments(made), _ANY), kind)
    result = made(**{key: _value(v) for key, v in entry["params"].items()})
    if state:
        result.load_state_dict(entry["state"])
    return result


def _dict(items: list[Any]) -> dict[Any, Any]:
    pairs = [tuple(item) for item in items if isinstance(item, list) and len(item) == 2]
    if len(pairs) != len(items) or not all(isinstance(k, (bool, int, float, str)) for k, _ in pairs):
        raise ValueError("a dict must be a list of keys, numbers or strings, with their values")
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key occurs twice in a dict")
    return result
