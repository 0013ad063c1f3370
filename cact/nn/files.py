"""Networks in files, for `cact.save` and `cact.load`.

A file is in the safetensors format: 8 bytes with the length of the header, the header in JSON, then
numbers in little-endian order.  It holds nothing that could run.

- The tensors are parameters and buffers, float32 or float64, by the layer's place and their own
  name: ``0.weight``, ``0.bias``, ``1.running_mean``, ...
- The metadata has one key, ``cact``, with a JSON object: ``format`` (1), ``kind`` (``"network"``)
  and ``layers``, a list of objects such as
  ``{"type": "Dense", "n_in": 4, "n_out": 3, "bias": true, "dtype": "float32"}``: what the layer is and
  its constructor's arguments.  An activation has its name and bound parameters, arrays as lists.

What draws random numbers (``rng``, ``init``) is not kept, nor is anything of the training.

`pack` and `plan` turn networks into tensors and a description, and back; `write` and `read` do so
with files.  Other kinds of files are built of them, such as `cact.sklearn`'s.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeAlias

import numpy as np

from .._files import write_file
from ._validate import Array
from .dropout import AlphaDropout, Dropout
from .layers import Activation, Dense, Layer
from .network import Sequential
from .normalization import BatchNorm, LayerNorm

__all__ = ["expect", "pack", "plan", "read", "write"]

#: The layers that files know, by name.
LAYERS: dict[str, type[Layer]] = {
    kind.__name__: kind for kind in (Activation, AlphaDropout, BatchNorm, Dense, Dropout, LayerNorm)
}

#: Of the description, in `write`; files with another are refused.
FORMAT = 1
#: Longer headers and networks are refused: their sizes grow with them in memory, and so does the time.
MAX_HEADER = 2**24
MAX_LAYERS = 10_000

#: safetensors' names of the dtypes, and the numbers in a file.
_TAGS = {"float32": "F32", "float64": "F64"}
_NUMBERS: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "I64": np.dtype("<i8"),  # in checkpoints alone
}

#: safetensors' name of the dtype, and the shape.
Form: TypeAlias = tuple[str, tuple[int, ...]]
#: The tensors that a description demands, and what makes the thing described of them.
Plan: TypeAlias = tuple[dict[str, Form], Callable[[Mapping[str, Array]], Any]]


def pack(network: Sequential, prefix: str = "") -> tuple[dict[str, Array], dict[str, Any]]:
    """A network's arrays, by name with a prefix, and its description for JSON.

    Raises
    ------
    TypeError, ValueError
        As `cact.save`.
    """
    if type(network) is not Sequential:
        raise TypeError(
            f"what is saved must be a cact.nn.Sequential or an estimator of cact.sklearn, got "
            f"{type(network).__name__}; the path comes second"
        )
    if len(network.layers) > MAX_LAYERS:
        raise ValueError(f"a file keeps at most {MAX_LAYERS} layers, got {len(network.layers)}")
    tensors: dict[str, Array] = {}
    layers = []
    for i, layer in enumerate(network.layers):
        kind = type(layer).__name__
        if LAYERS.get(kind) is not type(layer):
            raise TypeError(f"layer {i}, {layer}: a file keeps {', '.join(LAYERS)}, not {kind}")
        arrays = {**layer.params, **layer.buffers}
        try:
            layer._check_state()
            config = layer._config()
            if {name: (a.dtype.name, a.shape) for name, a in arrays.items()} != {
                name: (config["dtype"], shape) for name, shape in layer._shapes(config).items()
            }:
                raise ValueError("its arrays are no longer of the shapes and dtype that it was made with")
        except (TypeError, ValueError) as error:
            raise type(error)(f"layer {i}, {layer}: {error}") from error
        tensors.update({f"{prefix}{i}.{name}": array for name, array in arrays.items()})
        layers.append({"type": kind, **config})
    return tensors, {"layers": layers}


def plan(description: Any, prefix: str = "") -> Plan:
    """What a description from `pack` demands, checked; and what makes a network of those tensors.

    Raises
    ------
    TypeError, ValueError
        For any other description; from the second function, where sizes do not fit each other or
        numbers are not finite.
    """
    expect(description, {"layers": (list,)}, "the network")
    if len(description["layers"]) > MAX_LAYERS:
        raise ValueError(f"more than {MAX_LAYERS} layers")
    demanded: dict[str, Form] = {}
    layers: list[tuple[type[Layer], dict[str, Any], list[str]]] = []
    for i, entry in enumerate(description["layers"]):
        kind = entry.get("type") if isinstance(entry, dict) else None
        if not isinstance(kind, str) or kind not in LAYERS:
            raise ValueError(f"layer {i} must be of a type of {', '.join(LAYERS)}, got {kind!r:.60}")
        expect(entry, {"type": (str,), **LAYERS[kind]._arguments}, f"layer {i}")
        config = {key: value for key, value in entry.items() if key != "type"}
        shapes = LAYERS[kind]._shapes(config)
        if shapes and config["dtype"] not in _TAGS:
            raise ValueError(f"layer {i}: dtype must be float32 or float64, got {config['dtype']!r:.60}")
        demanded.update({f"{prefix}{i}.{name}": (_TAGS[config["dtype"]], s) for name, s in shapes.items()})
        layers.append((LAYERS[kind], config, list(shapes)))

    def build(tensors: Mapping[str, Array]) -> Sequential:
        built = []
        for i, (kind, config, names) in enumerate(layers):
            layer = kind._from_config(config)
            if layer._config() != config:
                raise ValueError(f"layer {i}, {layer}: {config!r:.200} is not how it is written")
            arrays = {**layer.params, **layer.buffers}
            for name in names:
                arrays[name][...] = tensors[f"{prefix}{i}.{name}"]
            layer._check_state()
            built.append(layer)
        return Sequential(*built)

    return demanded, build


def write(
    path: str | os.PathLike[str], kind: str, tensors: Mapping[str, Array], description: Mapping[str, Any]
) -> None:
    """Write tensors of float32, float64 and int64 with a description, as a file of some kind.

    Raises
    ------
    ValueError
        For a description that is too long, or has numbers that are not finite.
    OSError, ModuleNotFoundError
        As `cact.save`.
    """
    _safetensors()
    import safetensors.numpy

    about = json.dumps({"format": FORMAT, "kind": kind, **description}, allow_nan=False)
    content = safetensors.numpy.save(
        {name: np.asarray(array, order="C") for name, array in tensors.items()}, {"cact": about}
    )
    if int.from_bytes(content[:8], "little") > MAX_HEADER:
        raise ValueError(f"{path}: its description would be longer than {MAX_HEADER} bytes")
    write_file(path, lambda file: file.write(content))


def read(path: str | os.PathLike[str], plans: Mapping[str, Callable[[Any], Plan]]) -> Any:
    """What a file describes, which must be of one of some kinds; each has its function like `plan`.

    The tensors are read after the header has been found to be as the description demands.

    Raises
    ------
    ValueError, OSError, ModuleNotFoundError
        As `cact.load`.
    """
    safetensors = _safetensors()
    with open(path, "rb") as file:
        try:
            size = os.fstat(file.fileno()).st_size
            start = file.read(8)
            length = int.from_bytes(start, "little")
            if len(start) < 8 or length > min(size - 8, MAX_HEADER):
                raise ValueError("no file of cact.save: no header")
            header = file.read(length)
            demanded, build = _plan(_json(header), size - 8 - length, plans)
            content = start + header + file.read(size - 8 - length)
            # which checks the rest: that offsets and shapes are numbers, and fill the file one by one
            parts = safetensors.deserialize(content)
            del content
            return build(
                {
                    name: np.frombuffer(part["data"], _NUMBERS[demanded[name][0]]).reshape(part["shape"])
                    for name, part in parts
                }
            )
        except (TypeError, ValueError, ArithmeticError, RecursionError, safetensors.SafetensorError) as error:
            raise ValueError(f"{os.fspath(path)!s}: {error}") from error


def _plan(header: Any, room: int, plans: Mapping[str, Callable[[Any], Plan]]) -> Plan:
    """The plan of a file whose header and `room` bytes of tensors are as its description demands."""
    metadata = header.pop("__metadata__", None) if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or metadata.keys() != {"cact"} or not isinstance(metadata["cact"], str):
        raise ValueError("no file of cact.save: it does not say what it keeps")
    description = _json(metadata["cact"])
    if not isinstance(description, dict):
        raise ValueError("no file of cact.save: its description is no object")
    version, kind = description.pop("format", None), description.pop("kind", None)
    if type(version) is not int or version != FORMAT:
        raise ValueError(f"its format is {version!r:.60}; this version of cact reads {FORMAT}")
    if not isinstance(kind, str) or kind not in plans:
        raise ValueError(f"it keeps {kind!r:.60}, expected {' or '.join(map(repr, plans))}")
    demanded, build = plans[kind](description)
    if header.keys() != demanded.keys():
        missing, extra = sorted(demanded.keys() - header.keys()), sorted(header.keys() - demanded.keys())
        raise ValueError(f"tensors missing: {missing!r:.200}; not expected: {extra!r:.200}")
    for name, (tag, shape) in demanded.items():
        entry = header[name]
        expect(entry, {"dtype": (str,), "shape": (list,), "data_offsets": (list,)}, name)
        if entry["dtype"] != tag or entry["shape"] != list(shape):
            found = f"{entry['dtype']} {entry['shape']!r}"
            raise ValueError(f"{name} must be {tag} {list(shape)!r:.60}, got {found:.60}")
    need = sum(_NUMBERS[tag].itemsize * math.prod(shape) for tag, shape in demanded.values())
    if need != room:
        raise ValueError(f"its tensors need {need} bytes, but {room} follow the header")
    return demanded, build


def expect(value: Any, types: Mapping[str, tuple[type, ...]], where: str) -> None:
    """ValueError unless `value` is an object with these keys, and values of these very types."""
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be an object, got {value!r:.60}")
    if value.keys() != types.keys():
        raise ValueError(f"{where} must have the keys {', '.join(types)}, got {list(value)!r:.200}")
    for key, allowed in types.items():
        if type(value[key]) not in allowed:
            words = " or ".join("null" if kind is type(None) else kind.__name__ for kind in allowed)
            raise ValueError(f"{where}: {key} must be {words}, got {value[key]!r:.60}")


def _json(text: str | bytes) -> Any:
    """JSON as the standard has it: UTF-8, each key once, no NaN."""
    if isinstance(text, bytes):
        text = text.decode()
    return json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice in its JSON")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} in its JSON")


def _safetensors() -> Any:
    try:
        import safetensors
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "safetensors, which cact.save and cact.load need, is not installed;"
            ' pip install "cact[learn]" brings it',
            name=error.name,
        ) from None
    return safetensors
