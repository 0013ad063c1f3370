"""Dead units, saturation and gradient flow against cases worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

import cact
from cact import diagnose, nn


def test_dead_units_of_relu() -> None:
    z = np.float32([[-1, 2, 0, -1e-30], [-3, -1, 0, 1e-30]])
    assert diagnose.dead_units("relu", z).tolist() == [True, False, True, False]


def test_dead_units_of_a_smooth_function() -> None:
    # sigmoid'(13) = 2.26e-6, sigmoid'(14) = 8.3e-7
    z = np.float32([[13, 14, -14, 30], [-30, 15, -15, -13]])
    assert diagnose.dead_units("sigmoid", z).tolist() == [False, True, True, False]


def test_a_kinked_function_is_dead_at_zero_only() -> None:
    z = np.array([[-30.0], [-40.0]])  # selu' is 1.6e-13 there, leaky_relu' 1e-9
    assert diagnose.dead_units("selu", z).tolist() == [False]
    assert diagnose.dead_units(cact.get("leaky_relu", negative_slope=1e-9), z).tolist() == [False]
    assert diagnose.dead_units("elu", z).tolist() == [True]  # smooth: its derivative is continuous


@pytest.mark.parametrize(
    ("name", "z", "percent"),
    [
        ("sigmoid", [[0, 5.9, -6, 6.1]], 50),  # sigmoid' is 0.01/4 at 5.9866
        ("sigmoid", [[20, 20], [20, 20]], 100),  # against the function's maximum, not the batch's
        ("tanh", [[2.9, -3.1, 0, 0]], 25),  # tanh' is 0.01 at 2.9932
        ("relu", [[-1, 0, 1, 2]], 50),
        ("identity", [[-9, 9]], 0),
        ("leaky_relu", [[-1, 0, 1, 2]], 0),  # 0.01 is not below 0.01
        ("softplus", [[-4.5, -4.7]], 50),  # sigmoid is 0.01 at -4.5951; the supremum, 1, is at +inf
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_saturated(name: str, z: list[list[float]], percent: float, dtype: type) -> None:
    assert diagnose.saturated(name, np.array(z, dtype)) == percent


def test_saturated_with_a_parameter_per_unit() -> None:
    f = cact.get("prelu", weight=np.array([0.005, 0.02]))
    assert diagnose.saturated(f, np.array([[-1.0, -1.0], [1.0, 1.0]])) == 25


@pytest.mark.parametrize(
    ("activation", "largest"),
    [
        ("sigmoid", 0.25),
        ("tanh", 1.0),
        ("softplus", 1.0),
        ("gelu", 0.5 * math.erfc(-1) + math.exp(-1) / math.sqrt(math.pi)),  # at sqrt(2)
        ((np.exp, np.exp), 1.0),  # grows without bound
    ],
)
def test_max_abs_grad(activation: object, largest: float) -> None:
    assert diagnose.max_abs_grad(activation) == pytest.approx(largest, rel=1e-6)


def test_max_abs_grad_per_unit() -> None:
    f = cact.get("prelu", weight=np.array([-3.0, 0.5]))
    assert diagnose.max_abs_grad(f).tolist() == [3.0, 1.0]


def test_gradient_flow() -> None:
    dz = [np.float32([[3, 4]]), np.float32([[0.5]]), np.float32([[2, 2], [-2, -2]])]
    assert diagnose.gradient_flow(dz) == pytest.approx([math.sqrt(12.5) / 2, 0.25, 1.0])


def test_gradient_flow_keeps_what_float32_squares_lose() -> None:
    assert diagnose.gradient_flow([np.float32([1e-30]), np.float32([1e-24])]) == pytest.approx([1e-6, 1.0])


def test_gradient_flow_without_any() -> None:
    assert math.isnan(diagnose.gradient_flow([np.ones(2), np.zeros(2)])[0])
    with pytest.raises(ValueError, match="at least one hidden layer"):
        diagnose.gradient_flow([])


def test_gradient_flow_of_a_network() -> None:
    """z = x, then z = 3 relu(x): dL/dz of the first layer is 3 times that of the last."""
    network = nn.mlp((2, 2, 2, 2), "relu", rng=0)
    first, second, last = (layer for layer in network.layers if isinstance(layer, nn.Dense))
    first.params["weight"][...] = np.eye(2)
    second.params["weight"][...] = 3 * np.eye(2)
    last.params["weight"][...] = np.eye(2)
    network.forward(np.float32([[1, 2], [3, 4]]))
    network.backward(np.float32([[1, -1], [2, 5]]))
    flow = diagnose.gradient_flow([a.dz for a in network.activations if a.dz is not None])
    assert flow == pytest.approx([3.0, 1.0])


def test_errors() -> None:
    with pytest.raises(TypeError, match="dead_units: softmax is a function of whole rows"):
        diagnose.dead_units("softmax", np.ones((2, 2)))
    with pytest.raises(TypeError, match="dead_units: swiglu is a function of pieces of rows"):
        diagnose.dead_units("swiglu", np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"saturated: z must have shape \(rows, units\).*\(2,\)"):
        diagnose.saturated("relu", np.ones(2))
    with pytest.raises(ValueError, match="and elements"):
        diagnose.saturated("relu", np.ones((0, 3)))
    with pytest.raises(ValueError, match="unknown activation 'rellu'"):
        diagnose.max_abs_grad("rellu")
