"""The order of the rows in an epoch, and its batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

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
        self._X, self._target, self._weight = X, target, weight
        size = max(batch.stop - batch.start for batch in batches)
        some = max(1, min(len(batches), self.AT_A_TIME // (size * X.shape[1])))
        self._batches, self._some = batches, some
        self._space = np.empty((size * some, X.shape[1]), X.dtype) if isinstance(X, np.ndarray) else None

    def __len__(self) -> int:
        return len(self._batches)

    def __call__(self, rows: Array, first: int = 0) -> Iterator[tuple[Any, Array, Array | None]]:
        """X, target and weight of each batch from the first on, of the rows in this order.

        X is overwritten later.
        """
        for i in range(first, len(self), self._some):
            group = self._batches[i : i + self._some]
            start = group[0].start
            chosen = rows[start : group[-1].stop]
            x = self._take(chosen)
            target = self._target[chosen]
            weight = None if self._weight is None else self._weight[chosen]
            for batch in group:
                part = slice(batch.start - start, batch.stop - start)
                yield x[part], target[part], None if weight is None else weight[part]

    def _take(self, rows: Array) -> Any:
        if self._space is None:  # sparse
            return self._X[rows]
        # a mode other than "raise" writes into out directly
        return self._X.take(rows, axis=0, out=self._space[: len(rows)], mode="clip")
