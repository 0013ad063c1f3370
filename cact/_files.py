"""Files that are complete or as they were."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["remove_leftovers", "write_file"]


def write_file(path: str | os.PathLike[str], write: Callable[[BinaryIO], Any]) -> None:
    """Let `write` fill a file beside `path`, then put it in its place in one step.

    After a crash there is the old file or the new one, whole.  A link stays one, and permissions
    are those that `open` would have given: the old file's, or the umask's.

    Raises
    ------
    OSError
        Where the file cannot be written.  The old one is as it was then, as after any other error.
    """
    path = Path(os.path.realpath(path))
    beside = path.with_name(f".{_mark(path)}{secrets.token_hex(8)}.tmp")
    try:
        with open(beside, "xb") as file:
            with contextlib.suppress(FileNotFoundError):
                shutil.copymode(path, beside)
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        if error.filename == str(beside):  # which nobody asked for
            error.filename = str(path)
        raise
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
    _sync_folder(path.parent)


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove what `write_file` has left beside `path` where it was killed; nobody may be writing there."""
    path = Path(os.path.realpath(path))
    for left in path.parent.glob(f".{_mark(path)}????????????????.tmp"):
        with contextlib.suppress(OSError):
            left.unlink()


def _mark(path: Path) -> str:
    """Tells whose a file beside is; short: the name itself may be as long as can be."""
    return hashlib.blake2b(os.fsencode(path.name), digest_size=4).hexdigest()


def _sync_folder(folder: Path) -> None:
    """Keep the new name through a power failure, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
