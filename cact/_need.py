"""What an extra brings, and what to say where it is missing."""

from __future__ import annotations

import importlib

__all__ = ["need"]


def need(*modules: str) -> None:
    """Raise a ModuleNotFoundError that says what to install unless all can be imported."""
    for module in modules:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            name = {"sklearn": "scikit-learn"}.get(str(error.name), error.name)
            raise ModuleNotFoundError(
                f'{name} is not installed; pip install "cact[learn]" brings it', name=error.name
            ) from None
