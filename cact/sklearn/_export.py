"""Estimators as ONNX models: `cact.to_onnx`."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnx

from ..nn._graph import Graph, Tensor
from ..nn._onnx_forms import FORMS
from ..nn._validate import Array
from ..nn.export import begin, finish
from ..nn.losses import BinaryCrossEntropy, Loss, Poisson, SoftmaxCrossEntropy
from ._classifier import MLPClassifier
from ._files import fitted
from ._regressor import MLPRegressor

__all__ = ["to_onnx"]

#: The links of the losses, which regressors predict with.
_LINKS = {
    Loss.link: "identity",
    Poisson.link: "exponential",
    SoftmaxCrossEntropy.link: "softmax",
    BinaryCrossEntropy.link: "sigmoid",
}


def to_onnx(model: Any, path: str | os.PathLike[str] | None, opset: int | None) -> onnx.ModelProto:
    """An estimator's model; see `cact.to_onnx`."""
    model = fitted("to_onnx", model)
    network = model._sync()
    g, y = begin(network, opset)
    (_classifier if type(model) is MLPClassifier else _regressor)(g, y, model)
    name = type(model).__name__
    return finish(g, name, f"cact.sklearn.{name}: cact.nn.{network}", path)


def _regressor(g: Graph, y: Tensor, model: MLPRegressor) -> None:
    link = _LINKS.get(type(model._loss).link)
    if link is None:
        raise ValueError(f"to_onnx: the link of the loss {model._loss} has no ONNX form")
    if link != "identity":
        y = FORMS[link](g, y)
    if model.n_outputs_ == 1:
        g.output("y", g("Squeeze", y, [1]))
    else:
        g.output("y", y, model.n_outputs_)


def _classifier(g: Graph, y: Tensor, model: MLPClassifier) -> None:
    binary = model.n_outputs_ == 1
    if binary:  # sigmoid(-z) is 1 - sigmoid(z) with all its digits
        y = g("Concat", -y, y, axis=1)
    p = FORMS["softmax" if model.out_activation_ == "softmax" else "sigmoid"](g, y)
    int64, string = onnx.TensorProto.INT64, onnx.TensorProto.STRING
    if model.out_activation_ == "logistic" and not binary:
        g.output("label", g("Cast", p > 0.5, to=int64), model.n_outputs_, kind=int64)
    else:
        classes = _classes(model)
        label = g("Gather", g.initializer("classes", classes), g("ArgMax", p, axis=1, keepdims=0))
        g.output("label", label, kind=string if classes.dtype == object else int64)
    g.output("probabilities", p, 2 if binary else model.n_outputs_)


def _classes(model: MLPClassifier) -> Array:
    """The classes as strings or int64; a lone one twice, for two columns of probabilities."""
    classes = np.resize(model.classes_, max(2, len(model.classes_)))
    if classes.dtype.kind in "UO":
        return np.array([str(label) for label in classes], object)
    numbers = [int(label) for label in classes.tolist()]
    if numbers != classes.tolist() or not all(-(2**63) <= n < 2**63 for n in numbers):
        raise ValueError(f"to_onnx: labels must be strings or integers of 64 bits, got {classes!r:.60}")
    return np.array(numbers, np.int64)
