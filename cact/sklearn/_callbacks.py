"""scikit-learn's callbacks, where the installed one has them (1.9 and newer)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from sklearn.base import _fit_context

_Method = TypeVar("_Method", bound=Callable[..., Any])

try:
    from sklearn.callback import CallbackSupportMixin
    from sklearn.callback import with_callbacks as _with_callbacks
except ImportError:  # an older one: nothing to call

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands for scikit-learn's."""

    def _with_callbacks(method: Any) -> Any:
        return method


def fitting(method: _Method) -> _Method:
    """A fit method: its parameters are checked first, its callbacks are torn down last."""
    return _with_callbacks(updating(method))  # type: ignore[no-any-return]


def updating(method: _Method) -> _Method:
    """A partial_fit method: its parameters are checked first, and what fails early changes nothing."""
    return _fit_context(prefer_skip_nested_validation=True)(_reversible(method))  # type: ignore[no-any-return]


def _reversible(method: _Method) -> _Method:
    """Give the estimator back its attributes where `method` fails before it sets `_before` to None.

    It does so when training begins: from then on the old network need not be kept.
    """

    @functools.wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        attributes = vars(self)
        self._before = attributes.copy()
        try:
            return method(self, *args, **kwargs)
        except BaseException:
            before = self._before
            if before is not None:
                attributes.clear()
                attributes.update(before)
            raise
        finally:
            attributes.pop("_before", None)

    return wrapper  # type: ignore[return-value]


__all__ = ["CallbackSupportMixin", "Calls", "fitting", "updating"]


class Calls:
    """The hooks of one fit: a task for the whole and one for each epoch.

    Parameters
    ----------
    estimator : estimator
    epochs : int or None
        At most; None for no hooks: scikit-learn has them in fit alone.
    state : callable
        Gives the attributes of the estimator as it could predict now.
    data : dict
        What the hooks are given: X and y.
    """

    def __init__(
        self, estimator: Any, epochs: int | None, state: Callable[[], dict[str, Any]], **data: Any
    ) -> None:
        has = getattr(estimator, "_skl_callbacks", None) or hasattr(estimator, "_parent_callback_ctx")
        called = has and epochs is not None
        self._root = estimator._init_callback_context(max_subtasks=epochs) if called else None
        self._epoch: Any = None
        self._given = {"estimator": estimator, **data}
        self._state = state
        if self._root is not None:
            self._root.call_on_fit_task_begin(**self._given)

    def begin_epoch(self) -> None:
        """Unless one has begun and not ended."""
        if self._root is not None and self._epoch is None:
            self._epoch = self._root.subcontext(task_name="epoch")
            self._epoch.call_on_fit_task_begin(**self._given, reconstruction_attributes=self._state)

    def end_epoch(self) -> bool:
        """Whether a callback wants to stop."""
        if self._root is None:
            return False
        epoch, self._epoch = self._epoch, None
        return bool(epoch.call_on_fit_task_end(**self._given, reconstruction_attributes=self._state))

    def end(self) -> None:
        if self._root is not None:
            self._root.call_on_fit_task_end(**self._given, reconstruction_attributes=self._state)
