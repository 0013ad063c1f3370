"""Losses: against mpmath, SciPy, scikit-learn and central differences; weights, extremes, errors."""

from __future__ import annotations

import copy
import math
import pickle

import mpmath
import numpy as np
import pytest
import scipy.special
from finite_differences import ATOL, RTOL, numeric, off_kinks
from sklearn.metrics import mean_pinball_loss
from sklearn.neural_network import _base as sklearn_losses

import cact
from cact import nn

N = 6
TARGET = np.array([0, 3, 1, 1, 2, 0])
WEIGHT = np.array([0.5, 2, 0, 1, 0.25, 3])


def logits(dtype=np.float64, outputs: int = 4) -> np.ndarray:
    return (3 * np.random.default_rng(0).standard_normal((N, outputs))).astype(dtype)


def soft(dtype=np.float64) -> np.ndarray:
    """Probabilities, one of them 0."""
    p = np.random.default_rng(1).random((N, 4))
    p[2, 1] = 0
    return (p / p.sum(axis=1, keepdims=True)).astype(dtype)


def reals(dtype=np.float64, outputs: int = 4) -> np.ndarray:
    return (3 * np.random.default_rng(2).standard_normal((N, outputs))).astype(dtype)


def counts(dtype=np.float64, outputs: int = 4) -> np.ndarray:
    t = np.random.default_rng(3).poisson(1.5, (N, outputs)).astype(dtype)
    t[0, 0] = 0
    return t


def labels(outputs: int = 4) -> np.ndarray:
    return np.random.default_rng(4).integers(0, 2, (N, outputs))


def fractions(dtype=np.float64, outputs: int = 4) -> np.ndarray:
    p = np.random.default_rng(5).random((N, outputs))
    p[1, 0], p[2, 0] = 0, 1
    return p.astype(dtype)


def quartic(output, target):
    d = output - target
    return (d**4).sum(axis=1), 4 * d**3


# Each element's loss as it is in the books, in float64 and without care for large numbers.
def softmax_book(o, t):
    rows = scipy.special.logsumexp(o, axis=1, keepdims=True) - o
    return rows[np.arange(N), t][:, None] if t.ndim == 1 else t * rows


def binary_book(o, t):
    p = 1 / (1 + np.exp(-o))
    return -scipy.special.xlogy(t, p) - scipy.special.xlogy(1 - t, 1 - p)


def huber_book(delta):
    def book(o, t):
        d = np.abs(o - t)
        return np.where(d <= delta, d**2 / 2, delta * (d - delta / 2))

    return book


def quantile_book(q):
    return lambda o, t: np.where(t >= o, q * (t - o), (1 - q) * (o - t))


#: name: (loss, targets of a dtype, textbook formula, kinks of output - target)
CASES = {
    "cross_entropy": (nn.SoftmaxCrossEntropy(), lambda dtype: TARGET, softmax_book, ()),
    "cross_entropy, soft": (nn.SoftmaxCrossEntropy(), soft, softmax_book, ()),
    "binary_cross_entropy": (nn.BinaryCrossEntropy(), fractions, binary_book, ()),
    "binary_cross_entropy, int": (nn.BinaryCrossEntropy(), lambda dtype: labels(), binary_book, ()),
    "binary_cross_entropy, bool": (
        nn.BinaryCrossEntropy(), lambda dtype: labels() > 0, lambda o, t: binary_book(o, 1.0 * t), (),
    ),
    "squared_error": (nn.SquaredError(), reals, lambda o, t: (o - t) ** 2 / 2, ()),
    "absolute_error": (nn.AbsoluteError(), reals, lambda o, t: np.abs(o - t), (0,)),
    "huber": (nn.Huber(), reals, huber_book(1), (-1, 1)),
    "huber 2.5": (nn.Huber(2.5), reals, huber_book(2.5), (-2.5, 2.5)),
    "poisson": (
        nn.Poisson(), counts, lambda o, t: scipy.special.xlogy(t, t / np.exp(o)) - t + np.exp(o), (),
    ),
    "quantile": (nn.Quantile(), reals, quantile_book(0.5), (0,)),
    "quantile 0.9": (nn.Quantile(0.9), reals, quantile_book(0.9), (0,)),
    "callable": (nn.CallableLoss(quartic), reals, lambda o, t: (o - t) ** 4, ()),
}  # fmt: skip
every = pytest.mark.parametrize("case", CASES)
weighted = pytest.mark.parametrize("weight", [None, WEIGHT], ids=["even", "weighted"])
floats = pytest.mark.parametrize("dtype", [np.float32, np.float64])
ELEMENTWISE = [nn.SquaredError, nn.AbsoluteError, nn.Huber, nn.Poisson, nn.Quantile]


def made(case: str, dtype=np.float64):
    """A fresh loss, its output, target and textbook formula."""
    loss, target, book, _ = CASES[case]
    return copy.deepcopy(loss), logits(dtype), target(dtype), book


# ----------------------------------------------------------------------------- values
@every
@weighted
def test_value_against_the_textbook(case, weight, engine):
    loss, x, target, book = made(case)
    expected = np.average(book(x, target).sum(axis=1), weights=weight)
    assert loss.forward(x, target, weight) == pytest.approx(expected, rel=1e-13)


@every
@weighted
def test_float32_is_near_float64(case, weight):
    loss, x, target, _ = made(case, np.float32)
    wide = target.astype(np.float64) if target.dtype == np.float32 else target
    if target.ndim == 2 and case.startswith("cross"):
        wide /= wide.sum(axis=1, keepdims=True)
    values, slopes = [], []
    for dtype, t in ((np.float32, target), (np.float64, wide)):
        w = None if weight is None else weight.astype(dtype)
        values.append(loss.forward(x.astype(dtype), t, w))
        slopes.append(loss.backward())
    assert values[0] == pytest.approx(values[1], rel=1e-6)
    np.testing.assert_allclose(*slopes, rtol=1e-5, atol=1e-7 * np.abs(slopes[1]).max())


def test_softmax_cross_entropy_against_mpmath():
    with mpmath.workdps(50):
        rows = [[mpmath.mpf(float(v)) for v in row] for row in logits()]
        exact = sum(mpmath.log(sum(map(mpmath.exp, row))) - row[t] for row, t in zip(rows, TARGET)) / N
    assert nn.SoftmaxCrossEntropy().forward(logits(), TARGET) == pytest.approx(float(exact), rel=1e-14)


@pytest.mark.parametrize("x", [-40.0, -5.0, -1e-3, 0.0, 1e-3, 5.0, 40.0])
@pytest.mark.parametrize("t", [0.0, 0.25, 1.0])
def test_binary_cross_entropy_keeps_its_digits(x, t):
    """Where logit and target agree, the loss is tiny: no difference of large numbers."""
    with mpmath.workdps(60):
        p = 1 / (1 + mpmath.exp(-mpmath.mpf(x)))
        exact = float(-t * mpmath.log(p) - (1 - mpmath.mpf(t)) * mpmath.log(1 - p))
    value = nn.BinaryCrossEntropy().forward(np.array([[x]]), np.array([t]))
    assert value == pytest.approx(exact, rel=1e-14, abs=0)


@weighted
def test_against_scikit_learn(weight):
    x, t = logits(), reals()
    # its squared error is the mean over the outputs, here it is their sum
    expected = sklearn_losses.squared_loss(t, x, weight) * 4
    assert nn.SquaredError().forward(x, t, weight) == pytest.approx(expected, rel=1e-14)
    expected = sklearn_losses.poisson_loss(counts(), np.exp(x), weight)
    assert nn.Poisson().forward(x, counts(), weight) == pytest.approx(expected, rel=1e-14)
    expected = sklearn_losses.binary_log_loss(labels(), scipy.special.expit(x), weight)
    assert nn.BinaryCrossEntropy().forward(x, labels(), weight) == pytest.approx(expected, rel=1e-13)
    expected = sklearn_losses.log_loss(np.eye(4)[TARGET], scipy.special.softmax(x, axis=1), weight)
    assert nn.SoftmaxCrossEntropy().forward(x, TARGET, weight) == pytest.approx(expected, rel=1e-13)
    expected = mean_pinball_loss(t, x, sample_weight=weight, alpha=0.3) * 4
    assert nn.Quantile(0.3).forward(x, t, weight) == pytest.approx(expected, rel=1e-14)


def test_one_hot_is_the_class():
    hard, one_hot = nn.SoftmaxCrossEntropy(), nn.SoftmaxCrossEntropy()
    value = hard.forward(logits(), TARGET, WEIGHT)
    assert one_hot.forward(logits(), np.eye(4)[TARGET], WEIGHT) == pytest.approx(value, rel=1e-14)
    np.testing.assert_allclose(one_hot.backward(), hard.backward(), rtol=1e-13, atol=1e-17)


def test_one_binary_output_is_two_classes():
    x = logits(outputs=1)
    two = nn.SoftmaxCrossEntropy().forward(np.hstack([np.zeros_like(x), x]), labels(1)[:, 0])
    assert nn.BinaryCrossEntropy().forward(x, labels(1)) == pytest.approx(two, rel=1e-14)


def test_uniform_logits_give_the_log_of_the_classes():
    assert nn.SoftmaxCrossEntropy().forward(np.full((3, 10), 7.0), np.array([0, 5, 9])) == pytest.approx(
        math.log(10), rel=1e-15
    )


@pytest.mark.parametrize("loss", [kind() for kind in ELEMENTWISE], ids=str)
def test_a_perfect_prediction_costs_nothing(loss):
    t = counts() + 1
    output = np.log(t) if isinstance(loss, nn.Poisson) else t
    assert loss.forward(output, t) == pytest.approx(0, abs=1e-15)
    np.testing.assert_allclose(loss.backward(), 0, atol=1e-15)


def test_slope_at_a_kink():
    for loss in (nn.AbsoluteError(), nn.Quantile(0.9)):
        loss.forward(reals(), reals())
        assert not loss.backward().any()


def test_many_samples_in_float32_keep_their_digits():
    """The sum is of pairs or in float64, not one float32 after the other."""
    x = np.random.default_rng(0).random((300_000, 1), np.float32)
    expected = np.mean(x.astype(np.float64) ** 2 / 2)
    for weight in (None, np.ones(len(x), np.float32)):
        assert nn.SquaredError().forward(x, np.zeros_like(x), weight) == pytest.approx(expected, rel=2e-7)


@pytest.mark.parametrize(
    "loss", [nn.BinaryCrossEntropy(), *(kind() for kind in ELEMENTWISE)], ids=lambda loss: loss.name
)
def test_one_output_takes_a_vector(loss):
    x, t = logits(outputs=1), fractions(outputs=1)
    value, grad = loss.forward(x, t), loss.backward()
    assert loss.forward(x, t[:, 0]) == value
    assert loss.backward().shape == (N, 1)
    assert np.array_equal(loss.backward(), grad)


# ----------------------------------------------------------------------------- gradients
@every
@weighted
def test_gradient_against_differences(case, weight, engine):
    loss, x, target, _ = made(case)
    if CASES[case][3]:
        assert off_kinks(x - target, CASES[case][3])
    loss.forward(x, target, weight)
    dx = loss.backward()
    expected = numeric(lambda: loss.forward(x, target, weight), x)
    np.testing.assert_allclose(dx, expected, rtol=RTOL, atol=ATOL)
    assert np.abs(dx).max() > 1e-3


def test_gradient_is_softmax_minus_target():
    for target, rows in ((TARGET, np.eye(4)[TARGET]), (soft(), soft())):
        loss = nn.SoftmaxCrossEntropy()
        loss.forward(logits(), target)
        expected = (scipy.special.softmax(logits(), axis=1) - rows) / N
        np.testing.assert_allclose(loss.backward(), expected, rtol=1e-13, atol=1e-17)


@every
@floats
@weighted
def test_dtype_is_kept_and_nothing_is_written(case, dtype, weight):
    loss, x, target, _ = made(case, dtype)
    target = target.copy()
    weight = None if weight is None else weight.astype(dtype)
    for array in (x, target) if weight is None else (x, target, weight):
        array.setflags(write=False)
    assert type(loss.forward(x, target, weight)) is float
    first = loss.backward()
    assert first.dtype == dtype
    assert first.shape == x.shape
    again = loss.backward()
    assert np.array_equal(again, first)
    assert not np.shares_memory(again, first)


@every
@weighted
def test_kept_arrays_change_no_bit(case, weight):
    """In a training loop, with batches of several lengths; the gradient's array is the same one."""
    fresh, x, target, _ = made(case)
    kept = copy.deepcopy(fresh)
    kept._kept = {}
    grads = []
    for rows in (slice(0, 4), slice(4, 6), slice(0, 6), slice(0, 6)):
        w = None if weight is None else weight[rows]
        value = fresh.forward(x[rows], target[rows], w)
        assert kept._forward(x[rows], target[rows], w) == value
        grads.append(kept._backward())
        assert np.array_equal(grads[-1], fresh.backward())
    assert np.shares_memory(grads[-1], grads[-2])


@every
def test_a_loss_serves_one_dtype_after_the_other(case):
    used, x, target, _ = made(case)
    used.forward(*made(case, np.float32)[1:3])
    fresh = made(case)[0]
    assert used.forward(x, target) == fresh.forward(x, target)
    assert np.array_equal(used.backward(), fresh.backward())


@every
def test_layout_does_not_matter(case):
    loss, x, target, _ = made(case)
    value, grad = loss.forward(x, target), loss.backward()
    wide = np.zeros((2 * N, 8))
    wide[::2, ::2] = x
    for other in (np.asfortranarray(x), wide[::2, ::2], x[::-1].copy()[::-1]):
        assert loss.forward(other, np.array(target, order="F")) == pytest.approx(value, rel=1e-14)
        np.testing.assert_allclose(loss.backward(), grad, rtol=1e-13, atol=1e-17)


# ----------------------------------------------------------------------------- weights
@every
def test_weights_are_repetitions(case):
    loss, x, target, _ = made(case)
    times = np.array([1, 3, 0, 2, 1, 4])
    value = loss.forward(x, target, times.astype(float))
    grad = loss.backward()
    assert loss.forward(np.repeat(x, times, axis=0), np.repeat(target, times, axis=0)) == pytest.approx(
        value, rel=1e-13
    )
    starts = np.concatenate([[0], np.cumsum(times[times > 0])[:-1]])
    summed = np.add.reduceat(loss.backward(), starts, axis=0)
    np.testing.assert_allclose(grad[times > 0], summed, rtol=1e-12, atol=1e-16)
    assert not grad[times == 0].any()


@every
@pytest.mark.parametrize("factor", [1e-30, 7.0, 1e30])
def test_only_the_ratio_of_weights_counts(case, factor):
    loss, x, target, _ = made(case)
    value, grad = loss.forward(x, target, WEIGHT), loss.backward()
    assert loss.forward(x, target, WEIGHT * factor) == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(loss.backward(), grad, rtol=1e-13, atol=0)


@every
@floats
def test_no_weight_at_all(case, dtype):
    loss, x, target, _ = made(case, dtype)
    for output in (x, x * dtype(1e4)):
        assert loss.forward(output, target, np.zeros(N, dtype)) == 0.0
        assert not loss.backward().any()


def test_weight_0_hides_an_infinite_loss():
    x = np.array([[1.0], [200.0], [0.5]], np.float32)
    t, w = np.ones((3, 1), np.float32), np.array([1, 0, 2], np.float32)
    loss = nn.Poisson()
    assert loss.forward(x, t) == math.inf
    value, grad = loss.forward(x, t, w), loss.backward()
    assert loss.forward(x[::2], t[::2], w[::2]) == pytest.approx(value, rel=1e-6)
    np.testing.assert_allclose(grad[::2], loss.backward(), rtol=1e-6)
    assert grad[1] == 0
    loss = nn.SoftmaxCrossEntropy()
    x = np.array([[1, 2], [3e38, -3e38]], np.float32)
    assert loss.forward(x, np.array([0, 1])) == math.inf
    assert loss.forward(x, np.array([0, 1]), w[:2]) == pytest.approx(math.log(1 + math.e), rel=1e-6)
    np.testing.assert_allclose(loss.backward()[1], 0)
    for spoiled in ([np.inf, 0], [np.inf, np.inf], [np.nan, 1]):
        x[1] = spoiled
        assert loss.forward(x, np.array([0, 1]), w[:2]) == pytest.approx(math.log(1 + math.e), rel=1e-6)
        np.testing.assert_array_equal(loss.backward()[1], 0)


# ----------------------------------------------------------------------------- extremes
@floats
@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64, np.uint64])
def test_large_logits_do_not_overflow(dtype, kind):
    loss = nn.SoftmaxCrossEntropy()
    big = np.finfo(dtype).max / 4
    x = np.array([[big, -big], [1000, 0], [-1000, -1000]], dtype)
    target = np.array([0, 1, 0], kind)
    expected = np.array([[0, 0], [1, -1], [-0.5, 0.5]]) / 3
    with np.errstate(all="raise"):
        for t in (target, np.eye(2, dtype=dtype)[target.astype(int)]):
            assert loss.forward(x, t) == pytest.approx((1000 + math.log(2)) / 3, rel=1e-6)
            np.testing.assert_allclose(loss.backward(), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("gap", [80, 86, 88, 95, 100, 103, 104, 200, 1e4])
def test_softmax_cross_entropy_where_the_probability_underflows(gap):
    """In float32 the softmax is subnormal from 87.3 on and 0 from 104."""
    x = np.array([[gap, 0], [3, 0]], np.float32)
    w = np.array([1e-3, 1], np.float32)
    for weight in (None, w):
        low = [gap, 3 + math.log1p(math.exp(-3))]
        assert nn.SoftmaxCrossEntropy().forward(x, np.array([1, 1]), weight) == pytest.approx(
            np.average(low, weights=weight), rel=1e-6
        )


def test_many_classes_and_samples_take_the_right_element():
    rng = np.random.default_rng(0)
    x, target = rng.standard_normal((300, 200)), rng.integers(0, 200, 300).astype(np.uint8)
    loss = nn.SoftmaxCrossEntropy()
    expected = np.mean(scipy.special.logsumexp(x, axis=1) - x[np.arange(300), target])
    for n in (300, 300):
        assert loss.forward(x[:n], target[:n]) == pytest.approx(expected, rel=1e-13)
    p = scipy.special.softmax(x, axis=1)
    p[np.arange(300), target] -= 1
    np.testing.assert_allclose(loss.backward(), p / 300, rtol=1e-12, atol=1e-18)


@floats
def test_extreme_binary_logits(dtype):
    x = np.array([[1e4, -1e4], [1e4, -1e4]], dtype)
    target = np.array([[1, 0], [0, 1]])
    loss = nn.BinaryCrossEntropy()
    for t in (target, target > 0, target.astype(dtype)):
        with np.errstate(all="raise"):
            assert loss.forward(x, t) == 1e4
            assert np.array_equal(loss.backward(), [[0, 0], [0.5, -0.5]])


@floats
@pytest.mark.parametrize("weight", [None, [2.0]], ids=["even", "weighted"])
def test_infinite_binary_logits(dtype, weight):
    loss, weight = nn.BinaryCrossEntropy(), weight and np.array(weight, dtype)
    limits = {(1, 1): 0, (1, 0): math.inf, (-1, 0): 0, (-1, 1): math.inf, (1, 0.5): math.inf}
    for (sign, t), expected in limits.items():
        x = np.array([[sign * math.inf, 0]], dtype)
        targets = [np.array([[t, 1]], dtype)]
        if t != 0.5:
            targets += [targets[0].astype(int), targets[0] > 0]
        for target in targets:
            with np.errstate(all="raise"):
                assert loss.forward(x, target, weight) == pytest.approx(expected + math.log(2), rel=1e-6)
                assert np.array_equal(loss.backward(), [[(sign > 0) - t, -0.5]])


@floats
def test_infinite_poisson(dtype):
    loss = nn.Poisson()
    for x, t, expected in ((-math.inf, 0, 0), (-math.inf, 2, math.inf), (math.inf, 0, math.inf)):
        with np.errstate(all="raise"):
            assert loss.forward(np.array([[x], [0]], dtype), np.array([[t], [1]], dtype)) == expected


@floats
def test_extreme_poisson(dtype):
    loss, target = nn.Poisson(), np.array([[0], [3], [np.finfo(dtype).tiny]], dtype)
    with np.errstate(all="raise"):
        value, grad = loss.forward(np.full((3, 1), -1e4, dtype), target), loss.backward()
        assert loss.forward(np.full((3, 1), 1e4, dtype), target) == math.inf
        assert np.isinf(loss.backward()).all()
    assert value == pytest.approx((3e4 + 3 * math.log(3) - 3) / 3, rel=1e-6)
    np.testing.assert_allclose(grad, -target / 3, rtol=1e-6)


@floats
@pytest.mark.parametrize("loss", [nn.AbsoluteError(), nn.Huber(), nn.Quantile()], ids=str)
def test_extreme_errors_have_a_bounded_slope(loss, dtype):
    x, t = np.array([[1e4], [-1e30]], dtype), np.zeros((2, 1), dtype)
    with np.errstate(all="raise"):
        assert math.isfinite(loss.forward(x, t))
        slope = 0.5 if isinstance(loss, nn.Quantile) else 1
        assert np.array_equal(loss.backward(), np.array([[slope], [-slope]], dtype) / 2)


@every
@floats
def test_nan_is_not_hidden(case, dtype):
    loss, x, target, _ = made(case, dtype)
    x[3, 2] = np.nan
    with np.errstate(all="raise"):
        assert math.isnan(loss.forward(x, target))
        loss.backward()


# ----------------------------------------------------------------------------- links and names
@floats
def test_links(dtype):
    x = logits(dtype)
    rtol = 1e-6 if dtype == np.float32 else 1e-14
    for loss, expected in (
        (nn.SoftmaxCrossEntropy(), scipy.special.softmax(x.astype(float), axis=1)),
        (nn.BinaryCrossEntropy(), scipy.special.expit(x.astype(float))),
        (nn.Poisson(), np.exp(x.astype(float))),
        *((kind(), x) for kind in ELEMENTWISE if kind is not nn.Poisson),
        (nn.CallableLoss(quartic), x),
    ):
        y = loss.link(x)
        assert y.dtype == dtype
        np.testing.assert_allclose(y, expected, rtol=rtol, err_msg=str(loss))


NAMES = {
    "cross_entropy": nn.SoftmaxCrossEntropy,
    "binary_cross_entropy": nn.BinaryCrossEntropy,
    "squared_error": nn.SquaredError,
    "absolute_error": nn.AbsoluteError,
    "huber": nn.Huber,
    "poisson": nn.Poisson,
    "quantile": nn.Quantile,
}


@pytest.mark.parametrize("name", NAMES)
def test_loss_by_name(name):
    loss = nn.get_loss(name)
    assert type(loss) is NAMES[name]
    assert loss.name == name
    assert loss is not nn.get_loss(name)
    assert nn.get_loss(loss) is loss
    assert repr(pickle.loads(pickle.dumps(loss))) == repr(loss)


def test_defaults_and_words():
    assert list(map(repr, (nn.get_loss("huber"), nn.get_loss("quantile"), nn.Poisson()))) == [
        "Huber(delta=1)", "Quantile(q=0.5)", "Poisson()",
    ]  # fmt: skip
    loss = nn.get_loss(quartic)
    assert type(loss) is nn.CallableLoss
    assert (loss.name, repr(loss)) == ("quartic", "CallableLoss(quartic)")
    assert pickle.loads(pickle.dumps(loss)).function is quartic


def test_unknown_losses():
    with pytest.raises(ValueError, match=f"unknown loss 'log_loss'; there are {', '.join(NAMES)}"):
        nn.get_loss("log_loss")
    for bad in (None, 3, nn.Huber):
        with pytest.raises(TypeError, match="a loss is a name, a Loss"):
            nn.get_loss(bad)


# ----------------------------------------------------------------------------- errors
BAD_WEIGHTS = [
    (list(WEIGHT), TypeError, "sample_weight must be a NumPy array, got list"),
    (WEIGHT.astype(np.float32), TypeError, "sample_weight must be float64, as the output is, got float32"),
    (WEIGHT.astype(int), TypeError, "sample_weight: dtype must be float32 or float64, got int64"),
    (WEIGHT[:5], ValueError, r"sample_weight must have shape \(6,\), got \(5,\)"),
    (WEIGHT[:, None], ValueError, r"sample_weight must have shape \(6,\), got \(6, 1\)"),
    (WEIGHT - 0.25, ValueError, "sample_weight must be at least 0, got -0.25 in row 2"),
    (np.where(WEIGHT > 1, np.inf, 1), ValueError, "sample_weight must be finite, got inf in row 1"),
    (np.where(TARGET == 2, np.nan, 1), ValueError, "sample_weight must be finite, got nan in row 4"),
    (np.full(N, 1e308), ValueError, "sample_weight must have a finite sum"),
]


@every
@pytest.mark.parametrize(("weight", "error", "words"), BAD_WEIGHTS)
def test_weight_errors(case, weight, error, words):
    loss, x, target, _ = made(case)
    with pytest.raises(error, match=words):
        loss.forward(x, target, weight)
    with pytest.raises(error, match=words):
        loss.check(target, x.shape, x.dtype, weight)


@every
@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        (logits()[0], ValueError, r"output must have shape \(samples, features\), got \(4,\)"),
        (logits().astype(int), TypeError, "output: dtype must be float32 or float64, got int64"),
        (logits().astype(np.float16), TypeError, "output: dtype must be float32 or float64, got float16"),
        (logits().tolist(), TypeError, "output must be a NumPy array, got list"),
    ],
)
def test_output_errors(case, x, error, words):
    loss, _, target, _ = made(case)
    with pytest.raises(error, match=words):
        loss.forward(x, target)


@every
def test_no_samples_and_no_forward(case):
    loss, x, target, _ = made(case)
    with pytest.raises(ValueError, match="backward called before forward"):
        loss.backward()
    with pytest.raises(ValueError, match="at least one sample"):
        loss.forward(x[:0], target[:0])


def spoiled(target: np.ndarray, value: float) -> np.ndarray:
    """The target with `value` in row 3, column 2."""
    target = target.copy()
    target[3, 2] = value
    return target


@pytest.mark.parametrize(
    ("target", "error", "words"),
    [
        (TARGET.astype(float), TypeError, "integer classes, got float64; probabilities have shape"),
        (TARGET > 1, TypeError, "integer classes, got bool"),
        (list(TARGET), TypeError, "integer classes, got list"),
        (TARGET[:5], ValueError, r"target must have shape \(6,\), got \(5,\)"),
        (TARGET[:, None], ValueError, r"target must have shape \(6,\), got \(6, 1\)"),
        (TARGET + 1, ValueError, "classes from 0 to 3, got 4 in row 1"),
        (TARGET - 1, ValueError, "classes from 0 to 3, got -1 in row 0"),
        (soft(np.float32), TypeError, "target must be float64, as the output is, got float32"),
        (soft() > 0.5, TypeError, "target: dtype must be float32 or float64, got bool"),
        (soft()[:, :3], ValueError, r"target must have shape \(6, 4\), got \(6, 3\)"),
        (spoiled(soft(), np.nan), ValueError, "target must be finite, got nan in row 3, column 2"),
        (spoiled(soft(), -0.5), ValueError, "target must be at least 0, got -0.5 in row 3, column 2"),
        (spoiled(soft(), 2.0), ValueError, r"the sum of a target's row must be 1, got 2\.\d+ in row 3"),
    ],
)
def test_softmax_cross_entropy_errors(target, error, words):
    with pytest.raises(error, match=rf"SoftmaxCrossEntropy\(\): .*{words}"):
        nn.SoftmaxCrossEntropy().forward(logits(), target)


@pytest.mark.parametrize(
    ("target", "error", "words"),
    [
        (labels().tolist(), TypeError, "target must be a NumPy array, got list"),
        (labels().astype(str), TypeError, "target: dtype must be float32 or float64, got <U"),
        (fractions(np.float32), TypeError, "target must be float64, as the output is, got float32"),
        (labels()[:, 0], ValueError, r"target must have shape \(6, 4\), got \(6,\)"),
        (fractions()[:5], ValueError, r"target must have shape \(6, 4\), got \(5, 4\)"),
        (spoiled(labels(), 2), ValueError, "target must be 0 or 1, got 2 in row 3, column 2"),
        (spoiled(labels(), -1), ValueError, "target must be 0 or 1, got -1 in row 3, column 2"),
        (spoiled(fractions(), 1.5), ValueError, r"target must be in \[0, 1\], got 1.5 in row 3, column 2"),
        (spoiled(fractions(), -1.0), ValueError, r"target must be in \[0, 1\], got -1.0 in row 3, column 2"),
        (spoiled(fractions(), np.inf), ValueError, "target must be finite, got inf in row 3, column 2"),
    ],
)
def test_binary_cross_entropy_errors(target, error, words):
    with pytest.raises(error, match=rf"BinaryCrossEntropy\(\): {words}"):
        nn.BinaryCrossEntropy().forward(logits(), target)


@pytest.mark.parametrize("loss", [kind() for kind in ELEMENTWISE], ids=str)
@pytest.mark.parametrize(
    ("target", "error", "words"),
    [
        (counts().tolist(), TypeError, "target must be a NumPy array, got list"),
        (labels(), TypeError, "target: dtype must be float32 or float64, got int64"),
        (labels() > 0, TypeError, "target: dtype must be float32 or float64, got bool"),
        (counts(np.float32), TypeError, "target must be float64, as the output is, got float32"),
        (counts()[:, 0], ValueError, r"target must have shape \(6, 4\), got \(6,\)"),
        (counts()[:, :1], ValueError, r"target must have shape \(6, 4\), got \(6, 1\)"),
        (spoiled(counts(), np.nan), ValueError, "target must be finite, got nan in row 3, column 2"),
        (spoiled(counts(), -np.inf), ValueError, "target must be finite, got -inf in row 3, column 2"),
    ],
)
def test_regression_errors(loss, target, error, words):
    with pytest.raises(error, match=words):
        loss.forward(logits(), target)


def test_one_output_has_two_shapes_of_target():
    with pytest.raises(ValueError, match=r"target must have shape \(6, 1\) or \(6,\), got \(6, 4\)"):
        nn.SquaredError().forward(logits(outputs=1), reals())
    with pytest.raises(ValueError, match=r"target must be finite, got nan in row 1$"):
        nn.SquaredError().check(np.array([1, np.nan]), (2, 1))


def test_counts_below_0():
    with pytest.raises(ValueError, match=r"target must be at least 0, got -1\.0 in row 3, column 2"):
        nn.Poisson().forward(logits(), spoiled(counts(), -1))


def test_check_without_a_dtype_takes_either():
    for dtype in (np.float32, np.float64):
        nn.SquaredError().check(reals(dtype), (N, 4))


@pytest.mark.parametrize("delta", [0, -1, math.inf, math.nan])
def test_huber_takes_a_positive_delta(delta):
    with pytest.raises(ValueError, match="Huber: delta must be finite and greater than 0"):
        nn.Huber(delta)


@pytest.mark.parametrize("q", [0, 1, -0.1, math.nan])
def test_quantile_takes_a_share(q):
    with pytest.raises(ValueError, match=r"Quantile: q must be in \(0, 1\)"):
        nn.Quantile(q)


def test_parameters_are_numbers():
    with pytest.raises(TypeError, match="delta must be a real number, got '1'"):
        nn.Huber("1")
    with pytest.raises(TypeError, match="q must be a real number, got None"):
        nn.Quantile(None)


# ----------------------------------------------------------------------------- functions
@pytest.mark.parametrize(
    ("result", "error", "words"),
    [
        (None, TypeError, "must return a tuple of two arrays, got None"),
        ((np.zeros(N),), TypeError, "must return a tuple of two arrays"),
        ((0.0, np.zeros((N, 4))), TypeError, "losses must be an array of float64, got float"),
        ((np.zeros(N, np.float32), np.zeros((N, 4))), TypeError, "losses .* float64, got float32"),
        ((np.zeros(N), np.zeros((N, 4), int)), TypeError, "derivatives .* float64, got int64"),
        ((np.zeros((N, 4)), np.zeros((N, 4))), ValueError, r"losses must have shape \(6,\), got \(6, 4\)"),
        ((np.zeros(N), np.zeros(N)), ValueError, r"derivatives must have shape \(6, 4\), got \(6,\)"),
    ],
)
def test_what_a_function_returns(result, error, words):
    with pytest.raises(error, match=words):
        nn.CallableLoss(lambda output, target: result).forward(logits(), reals())


def test_a_function_cannot_change_the_output():
    def spoil(output, target):
        output -= target
        return output.sum(axis=1), output

    x, t = logits(), reals()
    with pytest.raises(ValueError, match="read-only"):
        nn.CallableLoss(spoil).forward(x, t)
    assert np.array_equal(x, logits())


def test_a_functions_own_arrays_are_not_changed():
    own = np.ones(N), np.ones((N, 4))
    loss = nn.CallableLoss(lambda output, target: own)
    assert loss.forward(logits(), reals(), WEIGHT) == pytest.approx(1)
    loss.backward()
    assert all((a == 1).all() for a in own)


def test_targets_of_a_function_are_its_own_affair():
    def forgiving(output, target):
        d = np.nan_to_num(output[:, 0] - target)
        return abs(d), np.sign(d)[:, None] * np.eye(4)[0]

    t = np.where(TARGET == 1, np.nan, 0.0)
    loss = nn.get_loss(forgiving)
    assert loss.forward(logits(), t) == pytest.approx(np.nanmean(abs(logits()[:, 0] - t)) * 4 / 6)
    with pytest.raises(ValueError, match=r"CallableLoss\(forgiving\): target must have 6 rows, got shape"):
        loss.forward(logits(), t[:5])
    with pytest.raises(TypeError, match="target must be a NumPy array, got list"):
        loss.forward(logits(), list(t))
    with pytest.raises(TypeError, match="function must be callable, got 3"):
        nn.CallableLoss(3)


# ----------------------------------------------------------------------------- use
@pytest.mark.parametrize("name", [n for n in NAMES if n != "cross_entropy"])
def test_a_network_learns_by_each(name):
    """What the link says of a constant input is the statistic that the loss is for."""
    t = np.random.default_rng(0).exponential(2, (101, 1))
    statistic = np.median if name in ("absolute_error", "quantile") else np.mean
    if name == "binary_cross_entropy":
        t = (t > 1).astype(float)
    network = nn.mlp((1, 1), "identity", rng=0, dtype=np.float64)
    loss, x = nn.get_loss(name), np.ones((101, 1))
    if name == "huber":
        loss = nn.Huber(1e3)  # nothing is an outlier
    nn.train(network, x, t, optimizer=nn.SGD(network, 0.01), loss=loss, epochs=600, batch_size=101, rng=0)
    assert loss.link(network.predict(x[:1])).item() == pytest.approx(statistic(t), abs=0.05)


def test_cact_exponential_is_exp():
    np.testing.assert_allclose(cact.exponential(logits()), np.exp(logits()), rtol=1e-15)
