"""Files that are complete or as they were."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["write_file"]


def write_file(path: str | Path, write: Callable[[BinaryIO], Any]) -> None:
    """Let `write` fill a file beside `path`, then put it in its place in one step."""
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(beside, "wb") as file:
            write(file)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
