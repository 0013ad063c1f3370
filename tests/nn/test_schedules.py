"""Schedules: their formulas, scikit-learn's rates to the bit, what they keep and refuse."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from cact.nn import schedules

ALL = {
    "constant": lambda: schedules.Constant(0.1),
    "inverse scaling": lambda: schedules.InverseScaling(0.1, power=0.7),
    "adaptive": lambda: schedules.Adaptive(0.1, factor=2, minimum=0.02),
    "step": lambda: schedules.Step(0.1, 10, factor=0.5),
    "cosine": lambda: schedules.Cosine(0.1, 100, minimum=0.001),
    "one cycle": lambda: schedules.OneCycle(0.1, 100, warmup=0.25, start=0.1, end=0.01),
    "warm-up": lambda: schedules.WarmUp(schedules.Adaptive(0.1, minimum=0.001), 5, start=0.2),
    "function": lambda: schedules.get_schedule(lambda step: 0.1 / (1 + step)),
}


# ---------------------------------------------------------------------- formulas
def test_constant():
    assert [schedules.Constant(0.3).lr(step) for step in (0, 1, 10**12)] == [0.3] * 3


def test_step():
    rates = [schedules.Step(0.5, 3, factor=0.5).lr(step) for step in range(8)]
    assert rates == [0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125, 0.125]
    assert schedules.Step(1.0, 10).lr(29) == pytest.approx(0.01, rel=1e-15)
    assert schedules.Step(1.0, 1).lr(10**9) == 0.0


@pytest.mark.parametrize("minimum", [0.0, 0.02])
def test_cosine(minimum):
    schedule = schedules.Cosine(0.2, 40, minimum=minimum)
    for step in range(41):
        expected = minimum + (0.2 - minimum) * (1 + math.cos(math.pi * step / 40)) / 2
        assert schedule.lr(step) == pytest.approx(expected, rel=1e-13, abs=1e-16)
    assert schedule.lr(0) == 0.2
    assert [schedule.lr(step) for step in (40, 41, 10**6)] == [minimum] * 3


def test_cosine_keeps_its_digits_near_the_end():
    """lr * pi^2/4 * (1/steps)^2, one step before the end; 1 + cos(...) would have no digit right."""
    steps = 10**9
    assert schedules.Cosine(1.0, steps).lr(steps - 1) == pytest.approx((math.pi / 2 / steps) ** 2, rel=1e-6)


def test_one_cycle():
    schedule = schedules.OneCycle(0.5, 200, warmup=0.25, start=0.1, end=0.01)
    rates = np.array([schedule.lr(step) for step in range(201)])
    assert rates[0] == pytest.approx(0.05, rel=1e-14)
    assert rates[50] == rates.max() == 0.5
    assert rates[200] == schedule.lr(10**6) == pytest.approx(0.005, rel=1e-14)
    assert (np.diff(rates[:51]) > 0).all()
    assert (np.diff(rates[50:]) < 0).all()
    # half-way up and down a half-cosine is half the height
    assert rates[25] == pytest.approx((0.05 + 0.5) / 2, rel=1e-14)
    assert rates[125] == pytest.approx((0.005 + 0.5) / 2, rel=1e-14)
    # and a quarter of the way is (1 - cos(pi/4))/2 of the height
    quarter = schedules.OneCycle(1.0, 8, warmup=0.5, start=0.25, end=0.0)
    assert quarter.lr(1) == pytest.approx(0.25 + 0.75 * (1 - math.sqrt(0.5)) / 2, rel=1e-14)
    assert quarter.lr(5) == pytest.approx((1 + math.sqrt(0.5)) / 2, rel=1e-14)


def test_one_cycle_without_a_way_up():
    schedule = schedules.OneCycle(0.5, 10, warmup=0)
    cosine = schedules.Cosine(0.5, 10, minimum=0.5e-4)
    assert [schedule.lr(i) for i in range(11)] == pytest.approx([cosine.lr(i) for i in range(11)], rel=1e-14)


def test_warm_up():
    assert [schedules.WarmUp(1.0, 4).lr(step) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert [schedules.WarmUp(1.0, 2, start=0.5).lr(step) for step in range(3)] == [0.75, 1, 1]
    inner = schedules.Cosine(0.2, 50)
    schedule = schedules.WarmUp(inner, 10)
    assert schedule.lr(4) == pytest.approx(inner.lr(4) / 2, rel=1e-15)
    assert [schedule.lr(step) for step in range(9, 60)] == [inner.lr(step) for step in range(9, 60)]


def test_warm_up_hands_on_what_the_loop_says():
    schedule = schedules.WarmUp(schedules.WarmUp(schedules.InverseScaling(1.0), 1), 1)
    schedule.epoch_ended(99, 0.5)
    assert schedule.lr(0) == 0.1
    schedule = schedules.WarmUp(schedules.Adaptive(1.0, minimum=0.1), 2)
    assert [schedule.no_improvement() for _ in range(3)] == [False, False, True]
    assert schedule.lr(0) == 1.0 / 5 / 5 / 2


def test_only_adaptive_has_another_rate_to_try():
    for name, make in ALL.items():
        assert make().no_improvement() is (name not in ("adaptive", "warm-up")), name


def test_inverse_scaling_beyond_the_range():
    schedule = schedules.InverseScaling(1.0, power=400)
    schedule.epoch_ended(10, 0.0)
    assert schedule.lr(0) == 0.0


# ---------------------------------------------------------------------- scikit-learn
def of_scikit_learn(monkeypatch, **options):
    """The rates of every step of a fit, and its losses."""
    neural_network = pytest.importorskip("sklearn.neural_network")
    from sklearn.neural_network import _stochastic_optimizers as optimizers

    rates, update = [], optimizers.SGDOptimizer._get_updates

    def record(self, grads):
        rates.append(self.learning_rate)
        return update(self, grads)

    monkeypatch.setattr(optimizers.SGDOptimizer, "_get_updates", record)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((50, 3)), rng.integers(0, 2, 50)
    model = neural_network.MLPClassifier(
        (4,), solver="sgd", batch_size=20, random_state=0, max_iter=200, **options
    ).fit(X, y)
    return rates, model.loss_curve_


def replay(schedule, losses, patience, tol):
    """The rates of a training loop with scikit-learn's rule for improvement."""
    rates, stopped, best, since = [], [], math.inf, 0
    for epoch, loss in enumerate(losses):
        rates += [schedule.lr(3 * epoch + batch) for batch in range(3)]
        since = since + 1 if loss > best - tol else 0
        best = min(best, loss)
        schedule.epoch_ended(50 * (epoch + 1), loss)
        stopped.append(since > patience and schedule.no_improvement())
        if since > patience:
            since = 0
    return rates, stopped


@pytest.mark.parametrize("power", [0.5, 0.3, 1.0, 0.0])
def test_inverse_scaling_is_that_of_scikit_learn(monkeypatch, power):
    rates, losses = of_scikit_learn(
        monkeypatch, learning_rate="invscaling", learning_rate_init=0.07, power_t=power, n_iter_no_change=3
    )
    assert len(losses) > 4
    assert len(set(rates)) == (len(losses) if power else 1)
    mine, stopped = replay(schedules.InverseScaling(0.07, power=power), losses, 3, 1e-4)
    assert mine == rates
    assert stopped == [False] * (len(losses) - 1) + [True]


@pytest.mark.parametrize("tol", [1e-4, 10.0])
def test_adaptive_is_that_of_scikit_learn(monkeypatch, tol):
    """With a tol that nothing fulfils, and with one where training has a chance."""
    rates, losses = of_scikit_learn(
        monkeypatch, learning_rate="adaptive", learning_rate_init=0.3, n_iter_no_change=2, tol=tol
    )
    schedule = schedules.Adaptive(0.3)
    mine, stopped = replay(schedule, losses, 2, tol)
    assert len(set(rates)) == 9
    assert mine == rates
    assert mine[-1] <= 1e-6 < mine[0]
    assert stopped == [False] * (len(losses) - 1) + [True]


# ---------------------------------------------------------------------- state
@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_goes_on_from_its_state(make):
    first, second = make(), make()
    for samples in (30, 60):
        first.epoch_ended(samples, 0.1)
        first.no_improvement()
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert second.state_dict() == first.state_dict()
    assert [second.lr(i) for i in range(120)] == [first.lr(i) for i in range(120)]
    assert second.no_improvement() is first.no_improvement()
    fresh = make()
    if fresh.state_dict():
        assert fresh.lr(50) != first.lr(50), "a state that makes no difference is none"


@pytest.mark.parametrize(
    ("schedule", "state", "error", "words"),
    [
        (
            schedules.Constant(0.1),
            {"lr": 0.1},
            ValueError,
            r"Constant\(0.1\): the state must have the keys \[\]",
        ),
        (schedules.Adaptive(0.1), {}, ValueError, r"the state must have the keys \['lr'\], got \[\]"),
        (schedules.Adaptive(0.1), {"lr": "0.1"}, TypeError, "lr must be a real number, got '0.1'"),
        (schedules.Adaptive(0.1), {"lr": math.nan}, ValueError, "lr must be finite and at least 0, got nan"),
        (schedules.InverseScaling(0.1), {"samples": -1}, ValueError, "samples must be at least 0, got -1"),
        (schedules.InverseScaling(0.1), {"samples": 1.5}, TypeError, "samples must be an integer, got 1.5"),
        (schedules.InverseScaling(0.1), {"samples": True}, TypeError, "samples must be an integer, got True"),
        (schedules.WarmUp(0.1, 3), {"schedule": {"lr": 1}}, ValueError, r"Constant\(0.1\): the state"),
        (schedules.WarmUp(0.1, 3), {"schedule": None}, TypeError, "the state must be a dict, got None"),
        (schedules.Step(0.1, 3), [], TypeError, r"the state must be a dict, got \[\]"),
    ],
)
def test_state_errors(schedule, state, error, words):
    before = schedule.state_dict()
    with pytest.raises(error, match=words):
        schedule.load_state_dict(state)
    assert schedule.state_dict() == before


# ---------------------------------------------------------------------- reprs
@pytest.mark.parametrize("name", [name for name in ALL if name != "function"])
def test_repr_builds_the_same_schedule(name):
    schedule = ALL[name]()
    again = eval(repr(schedule), vars(schedules))
    assert repr(again) == repr(schedule)
    assert [again.lr(i) for i in range(120)] == [schedule.lr(i) for i in range(120)]


# ---------------------------------------------------------------------- get_schedule
def test_get_schedule():
    schedule = schedules.Cosine(0.1, 10)
    assert schedules.get_schedule(schedule) is schedule
    for number in (0.1, np.float64(0.1), 1, np.int64(1)):
        found = schedules.get_schedule(number)
        assert type(found) is schedules.Constant
        assert found.lr(5) == number
    assert schedules.get_schedule(lambda step: np.float32(0.5) / (1 + step)).lr(1) == 0.25


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (0.0, ValueError, "lr must be finite and greater than 0, got 0.0"),
        (math.inf, ValueError, "lr must be finite and greater than 0, got inf"),
        ("cosine", TypeError, "a number, a Schedule .* or a function of the step, got 'cosine'"),
        (None, TypeError, "got None"),
        (True, TypeError, "got True"),
        (schedules.Cosine, TypeError, "a Schedule .an instance, not its class.*schedules.Cosine'>"),
    ],
)
def test_get_schedule_errors(value, error, words):
    with pytest.raises(error, match=words):
        schedules.get_schedule(value)


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (0.0, ValueError, "lr at step 3 must be finite and greater than 0, got 0.0"),
        (-0.1, ValueError, "lr at step 3 must be"),
        (math.nan, ValueError, "greater than 0, got nan"),
        (math.inf, ValueError, "greater than 0, got inf"),
        (None, TypeError, "lr at step 3 must be a real number, got None"),
    ],
)
def test_what_a_function_returns_is_checked(value, error, words):
    def own(step):
        return value if step == 3 else 0.1

    schedule = schedules.get_schedule(own)
    assert schedule.lr(2) == 0.1
    with pytest.raises(error, match=words) as info:
        schedule.lr(3)
    assert "own" in str(info.value), "the message names the function"


# ---------------------------------------------------------------------- errors
@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
@pytest.mark.parametrize(
    ("step", "error", "words"),
    [
        (-1, ValueError, "step must be at least 0, got -1"),
        (1.0, TypeError, "step must be an integer, got 1.0"),
        (None, TypeError, "step must be an integer, got None"),
    ],
)
def test_step_errors(make, step, error, words):
    with pytest.raises(error, match=words):
        make().lr(step)
    assert make().lr(np.int64(2)) == make().lr(2)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: schedules.Constant(-1),
            ValueError,
            "Constant: lr must be finite and greater than 0, got -1",
        ),
        (lambda: schedules.Constant("0.1"), TypeError, "Constant: lr must be a real number, got '0.1'"),
        (
            lambda: schedules.InverseScaling(0.1, power=-1),
            ValueError,
            "power must be finite and at least 0, got -1",
        ),
        (
            lambda: schedules.InverseScaling(0.1).epoch_ended(-1, 0.0),
            ValueError,
            "samples_seen must be at least 0",
        ),
        (
            lambda: schedules.InverseScaling(0.1).epoch_ended(1.0, 0.0),
            TypeError,
            "samples_seen must be an integer",
        ),
        (lambda: schedules.Adaptive(0), ValueError, "Adaptive: lr must be"),
        (
            lambda: schedules.Adaptive(1, factor=1),
            ValueError,
            "factor must be finite and greater than 1, got 1",
        ),
        (
            lambda: schedules.Adaptive(1, factor=math.inf),
            ValueError,
            "factor must be finite and greater than 1",
        ),
        (
            lambda: schedules.Adaptive(1, minimum=-1),
            ValueError,
            "minimum must be finite and at least 0, got -1",
        ),
        (lambda: schedules.Step(0.1, 0), ValueError, "Step: every must be at least 1, got 0"),
        (lambda: schedules.Step(0.1, 2.5), TypeError, "Step: every must be an integer, got 2.5"),
        (lambda: schedules.Step(0.1, 2, factor=0), ValueError, r"Step: factor must be in \(0, 1\], got 0"),
        (lambda: schedules.Cosine(0.1, 0), ValueError, "Cosine: steps must be at least 1, got 0"),
        (
            lambda: schedules.Cosine(0.1, 9, minimum=0.2),
            ValueError,
            "minimum must be at most lr, 0.1, got 0.2",
        ),
        (
            lambda: schedules.Cosine(0.1, 9, minimum=-1),
            ValueError,
            "Cosine: minimum must be finite and at least 0",
        ),
        (lambda: schedules.OneCycle(0.1, None), TypeError, "OneCycle: steps must be an integer, got None"),
        (
            lambda: schedules.OneCycle(0.1, 9, warmup=1),
            ValueError,
            r"OneCycle: warmup must be in \[0, 1\), got 1",
        ),
        (
            lambda: schedules.OneCycle(0.1, 9, start=0),
            ValueError,
            r"OneCycle: start must be in \(0, 1\], got 0",
        ),
        (
            lambda: schedules.OneCycle(0.1, 9, end=1.5),
            ValueError,
            r"OneCycle: end must be in \[0, 1\], got 1.5",
        ),
        (lambda: schedules.WarmUp("0.1", 9), TypeError, "a schedule is a number, a Schedule .* a function"),
        (lambda: schedules.WarmUp(0.1, 0), ValueError, "WarmUp: steps must be at least 1, got 0"),
        (lambda: schedules.WarmUp(0.1, 9, start=1), ValueError, r"WarmUp: start must be in \[0, 1\), got 1"),
        (lambda: schedules.Schedule(), TypeError, "abstract"),
    ],
)
def test_constructor_errors(make, error, words):
    with pytest.raises(error, match=words):
        make()
