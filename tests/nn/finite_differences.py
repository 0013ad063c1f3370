"""Gradients by central differences in float64, as the reference for backward."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cact import nn

#: Step of the differences.  Truncation is h^2/6 |f'''| ~ 1e-11, rounding 1e-16 |L|/h ~ 1e-10.
STEP = 1e-5
RTOL, ATOL = 1e-6, 1e-8


def numeric(value: Callable[[], float], array: np.ndarray) -> np.ndarray:
    """d value / d array, element by element; `array` is changed in place and restored."""
    grad = np.empty_like(array)
    for i in np.ndindex(array.shape):
        kept = array[i].copy()
        array[i] = kept + STEP
        above = value()
        array[i] = kept - STEP
        below = value()
        array[i] = kept
        grad[i] = (above - below) / (2 * STEP)
    return grad


def check(layer, x: np.ndarray, training: bool = False, before: Callable[[], None] = lambda: None) -> None:
    """Compare dx and every parameter's gradient of a layer or a network with differences.

    `before` runs ahead of every forward (to put random generators back).
    """
    rng = np.random.default_rng(99)

    def forward() -> np.ndarray:
        before()
        return layer.forward(x, training)

    dy = rng.standard_normal(forward().shape)
    forward()
    dx = layer.backward(dy)
    pairs = layer.parameters() if isinstance(layer, nn.Sequential) else _parameters(layer)
    grads = {key: (param, grad.copy()) for key, param, grad in pairs}

    def value() -> float:
        return float(np.sum(forward() * dy))

    for key, (param, grad) in {"x": (x, dx), **grads}.items():
        assert grad.shape == param.shape, key
        np.testing.assert_allclose(grad, numeric(value, param), rtol=RTOL, atol=ATOL, err_msg=key)


def _parameters(layer):
    assert layer.params.keys() == layer.grads.keys()
    return [(key, layer.params[key], layer.grads[key]) for key in layer.params]


def off_kinks(x: np.ndarray, kinks: tuple[float, ...], margin: float = 1e-3) -> bool:
    """Whether differences across `x` stay on one side of every kink."""
    return all(np.abs(x - kink).min() > margin for kink in kinks)
