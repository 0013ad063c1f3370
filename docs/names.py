"""Makes docs/names.md, from the records and the tables of `cact._like`:  python docs/names.py"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import cact
from cact._like import LIBRARIES, REQUIRED, Entry, Library

PAGE = Path(__file__).with_name("names.md")

INTRODUCTION = """\
# The names of cact and of other libraries

Made by `python docs/names.py`; do not edit.

`cact.get(name)` takes names and aliases of the first two columns in any case, with or without `_`, `-` or
spaces. `cact.get(name, like="torch")` takes a library's name, parameter names and defaults instead, so that
`cact.get("leaky_relu", like="keras")` has Keras's slope. The spelling of the library always serves; another
serves where it is unambiguous (`leakyrelu` is not in Keras, whose layer and function differ).

The libraries, in the versions that the tables were compared with:
"""

TABLE = """
## By cact's name
Parameters stand behind a library's name where their names or defaults differ from cact's or where they are
required (`name=`). A star: see the rules below.
"""

RULES = """
## Rules
Where the parameters choose among cact's functions, or cact has not all of their values:
"""

FIXED = """
Parameters that are taken at their defaults only:
"""

MISSING = """
## Not here, and why
"""

TRAPS = """
## Traps
- Leaky slope: 0.01 in cact, torch, jax and ONNX; 0.2 in `keras.activations`; 0.3 in the layer of Keras.
- `gelu`: exact in cact, torch, Keras and ONNX; the tanh form in `jax.nn`, unless `approximate=False`.
- `hardsigmoid`: slope 1/6 in cact, torch, jax and Keras 3; 0.2 in ONNX and in Keras 2, for which
  `cact.get("hardsigmoid", slope=0.2)`. `ThresholdedReLU` is a layer of Keras 2.
- `swish`: `silu` in Keras and jax, which have no beta; ONNX's alpha is the beta of cact's `swish`.
- `softmax` and its kin: the last axis in cact, Keras, jax and in ONNX from opset 13 (before, ONNX flattened
  from axis 1 on). torch without `dim` chooses by the number of dimensions and warns: `like="torch"` wants it.
- `sparsemax`: Keras to 3.15 is wrong where more than one element is left (keras-team/keras#23425).
- `prelu`: a weight per channel broadcasts against x as in NumPy, so for images its shape is (C, 1, 1). The
  weight starts at 0.25 in cact and torch, at 0 in Keras.
- `rrelu`: the mean slope, unless `training=True`; in torch the layer follows the mode of the network.
- `softplus`: torch jumps to x above beta x = 20, cact does not.
- `glu`: value first, then the gate, in torch, Keras and jax as in cact; in ONNX's `SwiGLU`, as in cact's
  functions of two arrays, the gate is first.
"""


def targets(entry: Entry) -> tuple[str, bool]:
    """The canonical name of an entry at the defaults of its library, and whether a rule decides."""
    if isinstance(entry.target, str):
        return entry.target, False
    defaults = {p.ours or k: p.default for k, p in entry.parameters.items() if not p.why}
    return entry.target(**defaults)[0], True


def shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else repr(value)


def cell(entry: Entry) -> str:
    """The names of an entry, with the parameters that are not as in cact."""
    name, rule = targets(entry)
    texts = []
    for key, parameter in entry.parameters.items():
        if rule or parameter.why or parameter.default is None:
            continue
        ours, default = parameter.ours or key, parameter.default
        if default is REQUIRED:
            texts.append(f"{key}=")
        elif ours != key or not same(name, ours, default):
            texts.append(f"{key}={shown(default)}")
    behind = f"({', '.join(texts)})" if texts else ""
    return ", ".join(f"`{n}{behind}`" for n in entry.names) + ("*" if rule else "")


def same(name: str, key: str, default: object) -> bool:
    """Whether a parameter has this default in cact."""
    if name not in cact.names():
        return False
    f = cact.get(name)
    if key in f._record.variants:
        return f._record.variants[key][1].get(default) == name
    return key in f.params and f.params[key] == default


def rows() -> Iterator[str]:
    names = [n for n in cact.names() if not cact.get(n)._record.registered]
    cells: dict[tuple[str, str], list[str]] = {}
    for like, library in LIBRARIES.items():
        for entry in library.entries:
            name = targets(entry)[0]
            cells.setdefault((name, like), []).append(cell(entry))
            if name not in names:
                names.append(name)
    yield "| cact | aliases | " + " | ".join(LIBRARIES) + " |"
    yield "|---" * (2 + len(LIBRARIES)) + "|"
    for name in names:
        aliases = ", ".join(cact.get(name).aliases) if name in cact.names() else ""
        others = (", ".join(cells.get((name, like), [])) for like in LIBRARIES)
        yield f"| **{name}** | {aliases} | " + " | ".join(others) + " |"


def rules(like: str, library: Library) -> Iterator[str]:
    for entry in library.entries:
        if not isinstance(entry.target, str):
            parameters = [
                k if p.default is REQUIRED else f"{k}={shown(p.default)}"
                for k, p in entry.parameters.items()
                if not p.why
            ]
            names = ", ".join(f"`{n}({', '.join(parameters)})`" for n in entry.names)
            yield f"- {like}: {names}: {' '.join((inspect.getdoc(entry.target) or '').split())}"


def fixed(like: str, library: Library) -> Iterator[str]:
    found: dict[tuple[str, str], list[str]] = {}
    for entry in library.entries:
        for key, parameter in entry.parameters.items():
            if parameter.why:
                found.setdefault((f"{key}={shown(parameter.default)}", parameter.why), []).append(
                    entry.names[0]
                )
    for (text, why), names in found.items():
        yield f"- {like}: `{text}` of {', '.join(f'`{n}`' for n in names)}: {why}"


def missing(like: str, library: Library) -> Iterator[str]:
    by_reason: dict[str, list[str]] = {}
    for name, why in library.not_here.items():
        by_reason.setdefault(why, []).append(name)
    for why, names in by_reason.items():
        yield f"- {like}: {', '.join(f'`{n}`' for n in names)}: {why}"


def page() -> str:
    lines = [INTRODUCTION]
    lines += [f"- `{like}` {library.version}: {library.title}" for like, library in LIBRARIES.items()]
    lines += [TABLE, *rows()]
    for title, part in ((RULES, rules), (FIXED, fixed), (MISSING, missing)):
        lines += [title, *(line for like, library in LIBRARIES.items() for line in part(like, library))]
    return "\n".join([*lines, TRAPS])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
