"""Softmax cross-entropy: against mpmath, against central differences, at the ends, errors."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from finite_differences import ATOL, RTOL, numeric

import cact
from cact import nn


def logits(dtype=np.float64) -> np.ndarray:
    return (3 * np.random.default_rng(0).standard_normal((6, 4))).astype(dtype)


TARGET = np.array([0, 3, 1, 1, 2, 0])


def test_value_against_mpmath():
    with mpmath.workdps(50):
        rows = [[mpmath.mpf(float(v)) for v in row] for row in logits()]
        exact = sum(mpmath.log(sum(map(mpmath.exp, row))) - row[t] for row, t in zip(rows, TARGET)) / 6
    assert nn.SoftmaxCrossEntropy().forward(logits(), TARGET) == pytest.approx(float(exact), rel=1e-14)


def test_gradient_against_differences(engine):
    loss, x = nn.SoftmaxCrossEntropy(), logits()
    loss.forward(x, TARGET)
    dx = loss.backward()
    expected = numeric(lambda: loss.forward(x, TARGET), x)
    np.testing.assert_allclose(dx, expected, rtol=RTOL, atol=ATOL)
    np.testing.assert_allclose(dx.sum(axis=1), 0, atol=1e-16)


def test_gradient_is_softmax_minus_one_hot():
    loss = nn.SoftmaxCrossEntropy()
    loss.forward(logits(), TARGET)
    np.testing.assert_allclose(
        loss.backward(), (cact.softmax(logits()) - np.eye(4)[TARGET]) / 6, rtol=1e-13, atol=1e-17
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept_and_nothing_is_written(dtype):
    loss, x = nn.SoftmaxCrossEntropy(), logits(dtype)
    x.flags.writeable = False
    assert type(loss.forward(x, TARGET)) is float
    first = loss.backward()
    assert first.dtype == dtype
    assert np.array_equal(loss.backward(), first)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64, np.uint64])
def test_large_logits_do_not_overflow(dtype, kind):
    loss = nn.SoftmaxCrossEntropy()
    big = np.finfo(dtype).max / 4
    x = np.array([[big, -big], [1000, 0], [-1000, -1000]], dtype)
    target = np.array([0, 1, 0], kind)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert loss.forward(x, target) == pytest.approx((1000 + math.log(2)) / 3, rel=1e-6)
        np.testing.assert_allclose(
            loss.backward(), np.array([[0, 0], [1, -1], [-0.5, 0.5]]) / 3, rtol=1e-6, atol=0
        )


def test_uniform_logits_give_the_log_of_the_classes():
    assert nn.SoftmaxCrossEntropy().forward(np.full((3, 10), 7.0), np.array([0, 5, 9])) == pytest.approx(
        math.log(10), rel=1e-15
    )


@pytest.mark.parametrize(
    ("x", "target", "error", "words"),
    [
        (logits(), TARGET.astype(float), TypeError, "integer classes, got float64"),
        (logits(), TARGET > 1, TypeError, "integer classes, got bool"),
        (logits(), list(TARGET), TypeError, "integer classes, got list"),
        (logits(), TARGET[:5], ValueError, r"target must have shape \(6,\), got \(5,\)"),
        (logits(), TARGET[:, None], ValueError, r"target must have shape \(6,\), got \(6, 1\)"),
        (logits(), TARGET + 1, ValueError, "classes from 0 to 3, got 4"),
        (logits(), TARGET - 1, ValueError, "classes from 0 to 3, got -1"),
        (logits()[:0], TARGET[:0], ValueError, "at least one sample"),
        (logits()[0], TARGET, ValueError, r"output must have shape \(samples, features\)"),
        (logits().astype(int), TARGET, TypeError, "logits: dtype must be float32 or float64"),
    ],
)
def test_errors(x, target, error, words):
    with pytest.raises(error, match=words):
        nn.SoftmaxCrossEntropy().forward(x, target)


def test_backward_before_forward():
    with pytest.raises(ValueError, match="backward called before forward"):
        nn.SoftmaxCrossEntropy().backward()
