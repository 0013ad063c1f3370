"""Warnings that point at the line which called."""

from __future__ import annotations

import sys
import warnings

__all__ = ["warn"]

BETWEEN = ("cact", "sklearn", "joblib")


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """`warnings.warn`, at the nearest line of none of these."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
