"""Data sets to train on: those bundled with scikit-learn, and CSV files."""

from __future__ import annotations

import csv
import difflib
import io
import math
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ._need import need

__all__ = ["BUNDLED", "Data", "load"]

Array: TypeAlias = npt.NDArray[Any]

#: Data sets that come with scikit-learn, read from the disk.
BUNDLED = ("digits", "iris", "wine", "breast_cancer")

# "none" may be a class
_NO_LABEL = {"", "na", "n/a", "nan", "?"}
_MISSING = _NO_LABEL | {"null", "none"}


class Data(NamedTuple):
    """Features, classes, and one line about them.

    Attributes
    ----------
    X : ndarray of float64, shape (rows, features)
    y : ndarray of int64, shape (rows,)
        Classes, 0 to classes - 1, in the order of their labels.
    description : str
        Such as ``"digits: 1797 rows, 64 features, 10 classes"``.
    """

    X: Array
    y: Array
    description: str


def load(source: str | Path, target: str | None = None) -> Data:
    """A data set by name, or from a CSV file.

    Parameters
    ----------
    source : str or Path
        ``"digits"``, ``"iris"``, ``"wine"`` or ``"breast_cancer"``, which scikit-learn brings;
        or the path of a CSV file in UTF-8, its columns separated by commas, semicolons or
        tabs, with or without a line of names.  The features are numbers, the class label
        is a number or a text.
    target : str, optional
        The column of the class label, by its name or its number counted from 1; the last one
        by default.  Only for CSV files.

    Returns
    -------
    Data

    Raises
    ------
    ValueError
        For an unknown name, and for a file that is not as described, with the file, line and
        column: text or a missing value in a feature, a single column, lines of different
        lengths, an empty file, a single class, a class with a single row.
    OSError
        If the file cannot be read.
    ModuleNotFoundError
        For a bundled data set without scikit-learn.
    """
    if isinstance(source, str) and source in BUNDLED:
        if target is not None:
            raise ValueError(f"{source}: a target column can only be chosen for a CSV file")
        need("sklearn")
        from sklearn import datasets

        X, y = getattr(datasets, f"load_{source}")(return_X_y=True)
        return _data(source, np.asarray(X, np.float64), np.asarray(y, np.int64))
    path = Path(source)
    if not path.exists():
        near = difflib.get_close_matches(str(source), BUNDLED, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(BUNDLED)}, or a CSV file"
        raise ValueError(f"{source}: no such file, and no bundled data set; {hint}")
    return _read_csv(path, target)


def _data(name: str, X: Array, y: Array) -> Data:
    rows, features = X.shape
    words = f"{name}: {rows} rows, {features} feature{'s' * (features > 1)}, {y.max() + 1} classes"
    return Data(X, y, words)


def _read_csv(path: Path, target: str | None) -> Data:
    rows, lines = _rows(path)
    width = len(rows[0])
    if width == 1:
        raise ValueError(f"{path}, line {lines[0]}: one column, but features and a class label are needed")
    for row, line in zip(rows, lines):
        if len(row) != width:
            raise ValueError(
                f"{path}, line {line}, column {min(len(row), width) + 1}:"
                f" {len(row)} columns, but {width} in line {lines[0]}"
            )
    label, header = _target_column(path, rows[0], target)
    features = [c for c in range(width) if c != label]
    names = [""] * width
    if header or _is_header([rows[0][c] for c in features]):
        names = [f" ({name!r:.60})" for name in rows[0]]
        if "" in rows[0]:
            c = rows[0].index("")
            raise ValueError(
                f"{path}, line {lines[0]}, column {c + 1}: a column without a name; if it numbers the rows,"
                " leave it out"
            )
        rows, lines = rows[1:], lines[1:]
        if not rows:
            raise ValueError(f"{path}, line 2: no rows after the column names")

    X = np.empty((len(rows), len(features)))
    for i, (row, line) in enumerate(zip(rows, lines)):
        for j, c in enumerate(features):
            value = _number(row[c])
            if value is None or not math.isfinite(value):
                missing = row[c].lower() in _MISSING
                what = "a missing value" if missing else f"{row[c]!r:.60} is not a finite number"
                raise ValueError(f"{path}, line {line}, column {c + 1}{names[c]}: {what}")
            X[i, j] = value
        if row[label].lower() in _NO_LABEL:
            raise ValueError(f"{path}, line {line}, column {label + 1}{names[label]}: a missing class label")
    where = f"column {label + 1}{names[label]}"
    return _data(path.stem, X, _classes(path, [row[label] for row in rows], lines, where))


def _rows(path: Path) -> tuple[list[list[str]], list[int]]:
    """The cells of all lines that are not empty, stripped, and the numbers of these lines."""
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line = before.count(b"\n") + 1
        start = before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")
        column = start.count(_delimiter(start)) + 1
        raise ValueError(
            f"{path}, line {line}, column {column}: byte 0x{raw[error.start]:02x} is not UTF-8"
        ) from None
    first = next((line for line in text.splitlines() if line.strip()), "")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(first))
    rows, lines = [], []
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if len(cells) > 1 or any(cells):
                rows.append(cells)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: {error}") from None
    if not rows:
        raise ValueError(f"{path}, line 1: the file is empty")
    return rows, lines


def _delimiter(line: str) -> str:
    return max(",;\t", key=line.count)


def _is_header(cells: list[str]) -> bool:
    """Whether the features of the first line are names: no number, and not all missing."""
    return all(_number(c) is None for c in cells) and any(c.lower() not in _MISSING for c in cells)


def _target_column(path: Path, first: list[str], target: str | None) -> tuple[int, bool]:
    """The index of the label's column, and whether it was found by its name."""
    if target is None:
        return len(first) - 1, False
    if first.count(target) == 1 and _number(target) is None:
        return first.index(target), True
    if first.count(target) > 1:
        raise ValueError(f"{path}, line 1: {first.count(target)} columns are called {target!r}")
    if target.isdecimal() and 1 <= int(target) <= len(first):
        return int(target) - 1, False
    raise ValueError(
        f"{path}, line 1: no column {target!r:.60}; give one of its names, or a number from 1 to {len(first)}"
    )


def _number(cell: str) -> float | None:
    try:
        return None if "_" in cell else float(cell)  # float() takes Python's 1_000
    except ValueError:
        return None


def _classes(path: Path, labels: list[str], lines: list[int], where: str) -> Array:
    """Class numbers, in the order of the labels: as numbers if all are numbers, else as text."""
    numbers = [_number(label) for label in labels]
    keys: list[Any] = labels if None in numbers else numbers
    order = {key: i for i, key in enumerate(sorted(set(keys)))}
    y = np.array([order[key] for key in keys], np.int64)
    counts = np.bincount(y)
    if len(counts) < 2:
        raise ValueError(f"{path}, line {lines[0]}, {where}: a single class, {labels[0]!r:.60}, in all rows")
    if counts.min() < 2:
        i = int(np.flatnonzero(counts[y] < 2)[0])
        words = f"class {labels[i]!r:.60} has one row, at least 2 are needed"
        if len(counts) > len(y) / 10:
            words += f" ({len(counts)} classes in {len(y)} rows: is it a class label?)"
        raise ValueError(f"{path}, line {lines[i]}, {where}: {words}")
    return y
