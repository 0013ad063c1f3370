"""Where layers and losses write their results."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._validate import Array

__all__ = ["Workspace"]


class Workspace:
    """Gives arrays to write results into: new ones, in a training loop those of the last step."""

    #: A dict in a training loop, whose results need not outlive the step.
    _kept: dict[str, Array] | None = None
    #: Attributes that are of the last pass: a copy does not carry the batch along.
    _transient: frozenset[str] = frozenset()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in self._transient}

    def _take(self, key: str, shape: tuple[int, ...], dtype: Any) -> Array:
        """An array of `shape`, not initialised; with `_kept`, the first rows of the one under `key`."""
        if self._kept is None:
            return np.empty(shape, dtype)
        kept = self._kept.get(key)
        if kept is not None and kept.dtype == dtype:
            if kept.shape == shape:
                return kept
            if kept.shape[1:] == shape[1:] and len(kept) >= shape[0]:
                return kept[: shape[0]]
        kept = self._kept[key] = np.empty(shape, dtype)
        return kept
