"""The order of the rows in an epoch, and its batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..nn._arrays import empty
from ..nn._validate import Array


class Order:
    """The order of the rows in each epoch: a permutation of the one before, as scikit-learn has it.

    A copy knows how the order came about rather than the order, which is as long as the data.
    """

    def __init__(self, n: int, random_state: Any) -> None:
        self.n, self._random_state = n, random_state
        self._start, self._epochs = random_state.get_state(), 0
        self._rows: Array | None = np.arange(n)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_rows": None}

    def _permuted(self, rows: Array, random_state: Any) -> Array:
        drawn = np.arange(self.n)
        random_state.shuffle(drawn)
        return rows[drawn]

    @property
    def rows(self) -> Array:
        """The order of the last epoch."""
        if self._rows is None:
            self._rows, again = np.arange(self.n), np.random.RandomState()
            again.set_state(self._start)
            for _ in range(self._epochs):
                self._rows = self._permuted(self._rows, again)
        return self._rows

    def draw(self) -> None:
        """Make the order of the next epoch."""
        self._rows = self._permuted(self.rows, self._random_state)
        self._epochs += 1


class Batches:
    """The batches of an epoch, several at a time gathered from the rows into one array."""

    AT_A_TIME = 1 << 18  # elements of X, about: calls are few, and what they gather stays in a cache

    def __init__(self, X: Any, target: Array, weight: Array | None, batches: list[slice]) -> None:
        size = max(batch.stop - batch.start for batch in batches)
        self._some = some = max(1, min(len(batches), self.AT_A_TIME // (size * X.shape[1])))
        self._sources = X, target, weight
        self._spaces = tuple(_space(source, size * some) for source in self._sources)
        self._batches = batches
        starts = [batches[i - i % some].start for i in range(len(batches))]
        parts = [(batch.start - start, batch.stop - start) for batch, start in zip(batches, starts)]
        views = {part: self._views(slice(*part)) for part in set(parts)}  # the same ones in each group
        self._parts = [views[part] for part in parts]

    def __len__(self) -> int:
        return len(self._batches)

    def _views(self, part: slice) -> tuple[slice, tuple[Any, ...]]:
        return part, tuple(None if space is None else space[part] for space in self._spaces)

    def __call__(self, rows: Array, first: int = 0) -> Iterator[tuple[Any, ...]]:
        """X, target and weight (or None) of each batch from the first on, of the rows in this order.

        They are overwritten later.
        """
        for i in range(first - first % self._some, len(self), self._some):
            group = self._batches[i : i + self._some]
            chosen = rows[group[0].start : group[-1].stop]
            x, *_ = map(_gather, self._sources, self._spaces, (chosen,) * 3)
            for part, views in self._parts[max(i, first) : i + self._some]:
                yield views if views[0] is not None else (x[part], *views[1:])


def _space(source: Any, rows: int) -> Array | None:
    """Where so many rows come to lie; None for what is not an array: sparse or not there."""
    return empty((rows, *source.shape[1:]), source.dtype) if isinstance(source, np.ndarray) else None


def _gather(source: Any, space: Array | None, rows: Array) -> Any:
    if space is None:
        return None if source is None else source[rows]
    # a mode other than "raise" writes into out directly
    return source.take(rows, axis=0, out=space[: len(rows)], mode="clip")
