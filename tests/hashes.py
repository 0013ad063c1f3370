"""Hashes of the bits that every kernel gives over a fixed set of inputs: bits are part of the interface.

    python tests/hashes.py            # compare with tests/hashes.json
    python tests/hashes.py --write    # after a change that is meant; it wants a line in CHANGELOG.md

One hash for each function, operation and dtype, at the default parameters.  NaN counts as one
number: its sign and payload are the processor's.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import cact
from cact import _backend
from cact._registry import RECORDS

FILE = Path(__file__).with_name("hashes.json")
OPERATIONS = (
    "forward", "grad", "backward", "value_and_grad", "param_grad", "grad_from_output", "backward_from_output",
    "gate", "gate_backward", "learn",
)  # fmt: skip
DTYPES = ("float32", "float64", "float16", "bfloat16")
#: Of functions of pieces the compiled table has these.
PIECES_DTYPES, PIECES_OPERATIONS = DTYPES[:2], ("forward", "backward")
COLUMNS = 251  # of the rows of softmax and its kin
INPUTS = {"backward": 2, "backward_from_output": 2, "gate": 2, "gate_backward": 3, "learn": 2}


def inputs(dtype: str, rows: bool) -> list[np.ndarray]:
    """Three arrays: bits of all exponents beside a ramp from -32 to 32; for rows of the ramp alone.

    Of every other row the ramp is an eighth, and the outputs that backward takes are 0 to 0.4.
    """
    i = np.arange(3 * 8192, dtype=np.uint64)
    wide = dtype == "float64"
    mixed = i * np.uint64(0x9E3779B97F4A7C15) ^ (i * np.uint64(0xBF58476D1CE4E5B9)) >> np.uint64(29)
    bits = mixed.view(np.float64) if wide else (mixed >> np.uint64(32)).astype(np.uint32).view(np.float32)
    ramp = ((i * np.uint64(40503) % np.uint64(1 << 16)).astype(float) / 1024 - 32).astype(bits.dtype)
    if rows:  # numbers of one another's size, with all their digits
        x = ramp * bits.dtype.type(np.pi / 4)
    else:
        x = np.where(i % 2 == 0, np.where(np.isnan(bits), bits.dtype.type(0.5), bits), ramp)
        x[:8] = [0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 0.5]
    parts = x.reshape(3, 8192)
    if rows:
        parts = parts[:, : 8192 - 8192 % COLUMNS].reshape(3, -1, COLUMNS)
        parts[:, 1::2] /= 8
        parts[1, 1::2] = np.maximum(parts[1, 1::2], 0) / 8
    if dtype in ("float16", "bfloat16"):
        parts = narrow(parts.astype(np.float32), dtype)
    return [np.ascontiguousarray(p) for p in parts]


def narrow(x: np.ndarray, dtype: str) -> np.ndarray:
    """float32 in a half type."""
    if dtype == "bfloat16":
        import ml_dtypes

        kind = np.dtype(ml_dtypes.bfloat16)
        _backend.know_bfloat16(kind)
    else:
        kind = np.dtype(np.float16)
    with np.errstate(all="ignore"):
        return x.astype(kind)


def digest(outputs: Any) -> str:
    """Of the bits of arrays, every NaN the same."""
    found = hashlib.sha256()
    for a in outputs if isinstance(outputs, tuple) else (outputs,):
        a = np.ascontiguousarray(a)
        unsigned = a.view(f"u{a.dtype.itemsize}").ravel()
        found.update(np.where(np.isnan(a.ravel()), unsigned.dtype.type(0x7E57), unsigned).tobytes())
    return found.hexdigest()[:16]


def entries() -> Iterator[tuple[str, str, str]]:
    """(function, dtype, operation) of all that the compiled table has."""
    for name in _backend.compiled.inventory():
        for dtype in DTYPES:
            for operation in OPERATIONS:
                pieces = RECORDS[name].pieces and dtype in PIECES_DTYPES and operation in PIECES_OPERATIONS
                if pieces or _backend.compiled.has(name, operation):
                    yield name, dtype, operation


def compute(name: str, dtype: str, operation: str) -> str:
    """With the kernels in use."""
    record = RECORDS[name]
    if record.pieces:
        return compute_pieces(name, dtype, operation)
    count = INPUTS.get(operation, 1)
    arrays = inputs(dtype, rows=not record.elementwise)[:count]
    ufunc = _backend.functions(record)["c"][operation]
    with np.errstate(all="ignore"):
        return digest(ufunc(*arrays, *record.defaults.values()))


def compute_pieces(name: str, dtype: str, operation: str) -> str:
    """The side that has more elements has all of an input, in rows of 128."""
    f = cact.get(name)
    x, dy = (a.reshape(-1, 128) for a in inputs(dtype, rows=False)[:2])
    if f.width(128) > 128:
        x = x.reshape(-1, 64)[: len(dy)]
    else:
        dy = dy[: len(dy) // 2].reshape(len(x), -1)
    return digest(f(x) if operation == "forward" else f.backward(dy, x))


def committed() -> dict[str, dict[str, dict[str, str]]]:
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def current() -> dict[str, dict[str, dict[str, str]]]:
    table: dict[str, dict[str, dict[str, str]]] = {}
    for name, dtype, operation in entries():
        table.setdefault(name, {}).setdefault(dtype, {})[operation] = compute(name, dtype, operation)
    return table


def main() -> int:
    if cact.info()["backend"] != "c":
        sys.exit(f"hashes: the C kernels are not in use ({cact.info()['why_not_c']})")
    table = current()
    if "--write" in sys.argv:
        lines = ",\n".join(f'"{name}": {json.dumps(found)}' for name, found in table.items())
        FILE.write_text(f"{{\n{lines}\n}}\n")
        return 0
    old = committed()
    changed = [key for key in entries() if old.get(key[0], {}).get(key[1], {}).get(key[2]) != compute(*key)]
    print("\n".join(" ".join(key) for key in changed) or "no bit has changed")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
