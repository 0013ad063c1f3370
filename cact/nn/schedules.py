"""Schedules of the learning rate: `lr(step)`, with steps of the optimiser counted from 0.

The rate of Constant, Step, Cosine and OneCycle follows from the step alone.  That of
InverseScaling and Adaptive, which are scikit-learn's, also follows from what the training
loop tells them: it calls `epoch_ended` after each epoch, and `no_improvement` when it finds
that training has come to a halt.  What they were told is their `state_dict`.

>>> from cact.nn import schedules
>>> rate = schedules.WarmUp(schedules.Cosine(0.1, 100), 4)
>>> [round(rate.lr(step), 4) for step in (0, 1, 3, 50, 100)]
[0.025, 0.05, 0.0998, 0.05, 0.0]
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from ._validate import FRACTION, NON_NEGATIVE, POSITIVE, SHARE, SHARE_OR_NONE, count, real

__all__ = [
    "Adaptive",
    "Constant",
    "Cosine",
    "InverseScaling",
    "OneCycle",
    "Schedule",
    "Step",
    "WarmUp",
    "get_schedule",
]

_ABOVE_1: tuple[Callable[[float], bool], str] = (
    lambda v: math.isfinite(v) and v > 1,
    "finite and greater than 1",
)


class Schedule(ABC):
    """Base of the schedules; a subclass defines ``_rate(step)``.

    Raises
    ------
    TypeError, ValueError
        In the constructors, for parameters that are no numbers or outside their domain.
    """

    def lr(self, step: int) -> float:
        """The learning rate of a step.

        Parameters
        ----------
        step : int
            Steps of the optimiser before this one, since training began.

        Returns
        -------
        float
            Finite and at least 0.

        Raises
        ------
        TypeError, ValueError
            If `step` is no integer or negative.
        """
        return self._rate(count(repr(self), "step", step, least=0))

    @abstractmethod
    def _rate(self, step: int) -> float:
        raise NotImplementedError

    def epoch_ended(self, samples_seen: int, loss: float) -> None:  # noqa: B027
        """Called by the training loop after each epoch.

        Parameters
        ----------
        samples_seen : int
            Samples since training began, those of every epoch counted again.
        loss : float
            The epoch's mean training loss.  None of the schedules here looks at it.

        Raises
        ------
        TypeError, ValueError
            If a schedule that looks at `samples_seen` gets no integer or a negative one.
        """

    def no_improvement(self) -> bool:
        """Called by the training loop when its patience has run out.

        Returns
        -------
        bool
            Whether to stop.  True unless the schedule has another rate to try.
        """
        return True

    def state_dict(self) -> dict[str, Any]:
        """What `epoch_ended` and `no_improvement` have changed, for JSON; the parameters are not in it."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the schedule was that gave `state`.

        Parameters
        ----------
        state : dict
            From `state_dict` of a schedule with the same parameters.

        Raises
        ------
        ValueError, TypeError
            For other keys or values than this schedule's; nothing is changed then.
        """
        self._entries(state)

    def _entries(self, state: Mapping[str, Any], *names: str) -> list[Any]:
        """The values of a state that must have these names and no others."""
        if not isinstance(state, Mapping):
            raise TypeError(f"{self}: the state must be a dict, got {state!r:.60}")
        if set(state) != set(names):
            raise ValueError(f"{self}: the state must have the keys {list(names)}, got {list(state)!s:.60}")
        return [state[name] for name in names]


class Constant(Schedule):
    """The same rate at every step.

    Parameters
    ----------
    lr : float
        Positive.
    """

    def __init__(self, lr: float) -> None:
        self.base = real("Constant", "lr", lr, POSITIVE)

    def __repr__(self) -> str:
        return f"Constant({self.base!r})"

    def _rate(self, step: int) -> float:
        return self.base


class InverseScaling(Schedule):
    """``lr / (t + 1)**power``, where t counts the samples up to the end of the last epoch.

    The rate stays the same within an epoch.  This is scikit-learn's ``"invscaling"``, to the
    bit.  Its t are samples, not steps, so it needs the calls of `epoch_ended`; without them
    the rate is `lr`.

    Parameters
    ----------
    lr : float
        Positive.
    power : float, default 0.5
        At least 0.
    """

    def __init__(self, lr: float, power: float = 0.5) -> None:
        self.base = real("InverseScaling", "lr", lr, POSITIVE)
        self.power = real("InverseScaling", "power", power, NON_NEGATIVE)
        self._samples = 0

    def __repr__(self) -> str:
        return f"InverseScaling({self.base!r}, power={self.power!r})"

    def _rate(self, step: int) -> float:
        try:
            return float(self.base / (self._samples + 1) ** self.power)
        except OverflowError:  # of the power; the rate itself is then below the smallest number
            return 0.0

    def epoch_ended(self, samples_seen: int, loss: float) -> None:
        self._samples = count(repr(self), "samples_seen", samples_seen, least=0)

    def state_dict(self) -> dict[str, Any]:
        return {"samples": self._samples}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        (samples,) = self._entries(state, "samples")
        self._samples = count(repr(self), "samples", samples, least=0)


class Adaptive(Schedule):
    """Keeps its rate as long as training improves, and divides it by `factor` when it does not.

    With its defaults this is scikit-learn's ``"adaptive"``, to the bit.  Whether training
    improves is for the training loop to say, which then calls `no_improvement`.

    Parameters
    ----------
    lr : float
        Positive.
    factor : float, default 5
        Greater than 1.
    minimum : float, default 1e-6
        At least 0.  Once the rate is this or less, `no_improvement` says to stop.
    """

    def __init__(self, lr: float, factor: float = 5.0, minimum: float = 1e-6) -> None:
        self.base = self._current = real("Adaptive", "lr", lr, POSITIVE)
        self.factor = real("Adaptive", "factor", factor, _ABOVE_1)
        self.minimum = real("Adaptive", "minimum", minimum, NON_NEGATIVE)

    def __repr__(self) -> str:
        return f"Adaptive({self.base!r}, factor={self.factor!r}, minimum={self.minimum!r})"

    def _rate(self, step: int) -> float:
        return self._current

    def no_improvement(self) -> bool:
        if self._current <= self.minimum:
            return True
        self._current /= self.factor
        return False

    def state_dict(self) -> dict[str, Any]:
        return {"lr": self._current}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        (current,) = self._entries(state, "lr")
        self._current = real(repr(self), "lr", current, NON_NEGATIVE)


class Step(Schedule):
    """``lr * factor**(step // every)``.

    Parameters
    ----------
    lr : float
        Positive.
    every : int
        Steps with the same rate.
    factor : float, default 0.1
        In (0, 1].
    """

    def __init__(self, lr: float, every: int, factor: float = 0.1) -> None:
        self.base = real("Step", "lr", lr, POSITIVE)
        self.every = count("Step", "every", every)
        self.factor = real("Step", "factor", factor, SHARE)

    def __repr__(self) -> str:
        return f"Step({self.base!r}, {self.every}, factor={self.factor!r})"

    def _rate(self, step: int) -> float:
        return float(self.base * self.factor ** (step // self.every))


def _half_cosine(first: float, last: float, t: float) -> float:
    """From `first` at t = 0 to `last` at t = 1, level at both ends."""
    # cos^2(pi t/2) is (1 + cos(pi t))/2, which loses its digits near t = 1
    return last + (first - last) * math.cos(math.pi / 2 * t) ** 2


class Cosine(Schedule):
    """``minimum + (lr - minimum) * (1 + cos(pi*step/steps)) / 2``; `minimum` after `steps` steps.

    Parameters
    ----------
    lr : float
        Positive; the rate at step 0.
    steps : int
        Those of the whole training.
    minimum : float, default 0.0
        From 0 to `lr`.

    Source: Loshchilov & Hutter 2017, arXiv:1608.03983, equation 5, without restarts.
    """

    def __init__(self, lr: float, steps: int, minimum: float = 0.0) -> None:
        self.base = real("Cosine", "lr", lr, POSITIVE)
        self.steps = count("Cosine", "steps", steps)
        self.minimum = real("Cosine", "minimum", minimum, NON_NEGATIVE)
        if self.minimum > self.base:
            raise ValueError(f"Cosine: minimum must be at most lr, {self.base!r}, got {self.minimum!r}")

    def __repr__(self) -> str:
        return f"Cosine({self.base!r}, {self.steps}, minimum={self.minimum!r})"

    def _rate(self, step: int) -> float:
        if step >= self.steps:
            return self.minimum
        return _half_cosine(self.base, self.minimum, step / self.steps)


class OneCycle(Schedule):
    """Up from ``start * lr`` to `lr` and down to ``end * lr``, each along half a cosine.

    Smith & Topin's one cycle has straight lines of equal length, and a third one below where
    it began; with half cosines and a short way up, the way down takes the third one's part.

    Parameters
    ----------
    lr : float
        Positive; the highest rate.
    steps : int
        Those of the whole training; from then on the rate is ``end * lr``.
    warmup : float, default 0.3
        The share of the steps before the highest rate, in [0, 1).
    start : float, default 1/25
        The first rate as a share of `lr`, in (0, 1].
    end : float, default 1e-4
        The last rate as a share of `lr`, in [0, 1].

    Source: Smith & Topin 2017, arXiv:1708.07120.
    """

    def __init__(
        self, lr: float, steps: int, warmup: float = 0.3, start: float = 1 / 25, end: float = 1e-4
    ) -> None:
        self.base = real("OneCycle", "lr", lr, POSITIVE)
        self.steps = count("OneCycle", "steps", steps)
        self.warmup = real("OneCycle", "warmup", warmup, FRACTION)
        self.start = real("OneCycle", "start", start, SHARE)
        self.end = real("OneCycle", "end", end, SHARE_OR_NONE)

    def __repr__(self) -> str:
        return (
            f"OneCycle({self.base!r}, {self.steps}, warmup={self.warmup!r}, "
            f"start={self.start!r}, end={self.end!r})"
        )

    def _rate(self, step: int) -> float:
        if step >= self.steps:
            return self.base * self.end
        t = step / self.steps
        if t < self.warmup:
            return self.base * _half_cosine(self.start, 1.0, t / self.warmup)
        return self.base * _half_cosine(1.0, self.end, (t - self.warmup) / (1 - self.warmup))


class WarmUp(Schedule):
    """Another schedule, whose rate is multiplied by a factor that rises to 1 in the first steps.

    The factor is ``start + (1 - start) * (step + 1)/steps``, and 1 from step ``steps - 1`` on; no
    step is wasted on a factor of 0.  The schedule inside counts these steps too.

    Parameters
    ----------
    schedule : Schedule, float or callable
        Anything that `get_schedule` takes.
    steps : int
        The length of the warm-up.
    start : float, default 0.0
        In [0, 1).

    Source: Goyal et al. 2017, arXiv:1706.02677; as a factor of any schedule, Ma & Yarats 2021,
    arXiv:1910.04209.
    """

    def __init__(self, schedule: Any, steps: int, start: float = 0.0) -> None:
        self.schedule = get_schedule(schedule)
        self.steps = count("WarmUp", "steps", steps)
        self.start = real("WarmUp", "start", start, FRACTION)

    def __repr__(self) -> str:
        return f"WarmUp({self.schedule!r}, {self.steps}, start={self.start!r})"

    def _rate(self, step: int) -> float:
        rate = self.schedule.lr(step)
        if step + 1 >= self.steps:
            return rate
        return rate * (self.start + (1 - self.start) * (step + 1) / self.steps)

    def epoch_ended(self, samples_seen: int, loss: float) -> None:
        self.schedule.epoch_ended(samples_seen, loss)

    def no_improvement(self) -> bool:
        return self.schedule.no_improvement()

    def state_dict(self) -> dict[str, Any]:
        return {"schedule": self.schedule.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        (inner,) = self._entries(state, "schedule")
        self.schedule.load_state_dict(inner)


class _Function(Schedule):
    """A function of the step; what it returns is checked."""

    def __init__(self, function: Callable[[int], float]) -> None:
        self.function = function

    def __repr__(self) -> str:
        return f"schedule {getattr(self.function, '__qualname__', repr(self.function))}"

    def _rate(self, step: int) -> float:
        return real(repr(self), f"lr at step {step}", self.function(step), POSITIVE)


def get_schedule(value: Any) -> Schedule:
    """The schedule that a value stands for.

    Parameters
    ----------
    value : Schedule, float or callable
        A number is a constant rate; a callable takes the step and returns the rate, which must
        be finite and greater than 0 (`Schedule.lr` raises ValueError or TypeError otherwise).

    Returns
    -------
    Schedule
        `value` itself if it is one.

    Raises
    ------
    TypeError
        For anything else, classes among it.
    ValueError
        For a number that is not finite and greater than 0.
    """
    if isinstance(value, Schedule):
        return value
    if callable(value) and not isinstance(value, type):
        return _Function(value)
    try:
        return Constant(value)
    except TypeError:
        raise TypeError(
            "a schedule is a number, a Schedule (an instance, not its class) or a function of the step, "
            f"got {value!r:.60}"
        ) from None
