"""Checkpoints: files from which a training that was killed goes on, to the same bits.

A file is one of `cact.nn.files`, of the kind ``"checkpoint"``, and holds nothing that could run.

- Its tensors are the network's parameters and buffers, named as there after ``network.``; the
  optimiser's state (``optimizer.first``); and arrays of the training loop (``loop.order``).
- Its description has ``task``, by which another training's checkpoint is told; ``optimizer``: steps,
  rate and the schedule's state; ``generators``: the states of all that draws random numbers; ``loop``:
  the loop's numbers; ``arrays``: the forms of its arrays.  Numbers stand there as JSON has them,
  which keeps every bit of a float; the three that JSON lacks are the strings "inf", "-inf" and "nan".
"""

from __future__ import annotations

import copy
import hashlib
import logging
import math
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from .._files import remove_leftovers
from .._warn import warn
from ._arrays import all_finite
from ._validate import NON_NEGATIVE, Array, count, real
from .files import Plan, read, write
from .network import Sequential
from .optimizers import Optimizer

__all__ = ["Checkpoint", "Keeper", "check", "fingerprint", "permutation", "restored", "state_of", "words"]

logger = logging.getLogger("cact")

#: What a training loop knows of itself: numbers, as a form of `check` describes them, and arrays.
State: TypeAlias = tuple[dict[str, Any], dict[str, Array]]

_TAGS = {"float32": "F32", "float64": "F64", "int64": "I64"}
#: Places in a generator's buffer, which NumPy takes unchecked.
_MOST = {"pos": 624, "buffer_pos": 4}


class Checkpoint:
    """Where and when a training writes down all that it needs to go on.

    The first one is written before the first step, and each takes the place of the one before in
    one step: after a crash there is the old one or the new one, whole.  A training that finds the
    file goes on from there, and says so in the log "cact", at the level INFO; its weights and its
    history are to the bit those that it would have had otherwise.  After the last epoch the file is
    removed.  After an error or Ctrl-C it stays.

    One that cannot be written (a full disk) is reported by a RuntimeWarning; training goes on, and
    tries again when the next one is due.

    A path is for one training at a time.

    Parameters
    ----------
    path : str or path
    every : int or datetime.timedelta, optional
        So many steps, or so much time, after the last one; by default at the end of each epoch.

    Raises
    ------
    TypeError
        For another `path` or `every`.
    ValueError
        For `every` below 1, or no time.

    Examples
    --------
    >>> from datetime import timedelta
    >>> from cact import nn
    >>> nn.Checkpoint("training.safetensors", every=timedelta(minutes=10))
    Checkpoint('training.safetensors', every=datetime.timedelta(seconds=600))
    """

    def __init__(self, path: str | os.PathLike[str], every: int | timedelta | None = None) -> None:
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"Checkpoint: path must be a str or a path, got {path!r:.60}")
        self.path = Path(path)
        if isinstance(every, timedelta):
            if every <= timedelta(0):
                raise ValueError(f"Checkpoint: every must be more than no time, got {every}")
        elif every is not None:
            every = count("Checkpoint", "every", every)
        self.every = every

    def __repr__(self) -> str:
        return f"Checkpoint({str(self.path)!r}, every={self.every!r})"

    @classmethod
    def of(cls, value: Any) -> Checkpoint:
        """`value` itself if it is one, else that of a path."""
        return value if isinstance(value, cls) else cls(value)


class Keeper:
    """Writes and reads the checkpoints of one training.

    Parameters
    ----------
    checkpoint : Checkpoint
    task : dict
        What makes the training what it is, as JSON has it; the architecture is added.
    optimizer : Optimizer
        Its network's arrays are kept, and the states of the layers' `rng`.
    rng : numpy.random.Generator or RandomState
        The loop's own.
    """

    def __init__(self, checkpoint: Checkpoint, task: dict[str, Any], optimizer: Optimizer, rng: Any) -> None:
        self.path, self._every = checkpoint.path, checkpoint.every
        self._optimizer, self._network = optimizer, optimizer.network
        self._task = {**_architecture(self._network), **task}
        drawing = [getattr(layer, "rng", None) for layer in self._network.layers]
        drawing = [*(one for one in drawing if isinstance(one, np.random.Generator)), rng]
        # layers may share one
        self._generators = list({id(one): one for one in drawing}.values())
        self._places = [next(i for i, g in enumerate(self._generators) if g is one) for one in drawing]
        self._steps, self._time = 0, time.monotonic()
        self._failed = False

    # ------------------------------------------------------------------ when
    def step(self) -> bool:
        """Count a step; whether a checkpoint is due after it."""
        self._steps += 1
        return self._due()

    def epoch(self) -> bool:
        """Whether one is due after an epoch."""
        return self._every is None or self._due()

    def _due(self) -> bool:
        if isinstance(self._every, timedelta):
            return time.monotonic() - self._time >= self._every.total_seconds()
        return self._every is not None and self._steps >= self._every

    # ------------------------------------------------------------------ writing
    def _arrays(self) -> Iterator[tuple[str, Array]]:
        """What training changes in the network and the optimiser."""
        self._network.flat()
        for i, layer in enumerate(self._network.layers):
            for name, array in (*layer.params.items(), *layer.buffers.items()):
                yield f"network.{i}.{name}", array
        for name, array in self._optimizer.state.items():
            yield f"optimizer.{name}", array

    def write(self, loop: State) -> None:
        """Write a checkpoint; where that fails, a warning, and the one before stays as it is.

        Raises
        ------
        ModuleNotFoundError
            Without the package safetensors.
        """
        self._steps, self._time = 0, time.monotonic()
        if not all_finite(self._network.flat().values):
            return  # nothing to go on from; the next step says so
        numbers, arrays = loop
        optimizer = self._optimizer
        schedule = {} if optimizer.schedule is None else optimizer.schedule.state_dict()
        description = {
            "task": self._task,
            "optimizer": {"steps": optimizer.steps, "lr": optimizer.lr, "schedule": schedule},
            "generators": {"places": self._places, "states": list(map(state_of, self._generators))},
            "loop": numbers,
            "arrays": {name: [_TAGS[array.dtype.name], array.shape] for name, array in arrays.items()},
        }
        tensors = {**dict(self._arrays()), **{f"loop.{name}": array for name, array in arrays.items()}}
        try:
            write(self.path, "checkpoint", tensors, _encoded(description))
        except (OSError, ValueError) as error:
            self._report("written", error)
        else:
            self._failed = False

    def remove(self) -> None:
        """Training is done."""
        try:
            os.unlink(os.path.realpath(self.path))
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            self._report("removed", error)

    def _report(self, what: str, error: Exception) -> None:
        """Warn, once until it works again."""
        if not self._failed:
            self._failed = True
            message = f"the checkpoint {self.path} could not be {what}: {error}; training goes on"
            warn(message, RuntimeWarning)

    # ------------------------------------------------------------------ reading
    def resume(self, form: Any, accept: Callable[[dict[str, Any], dict[str, Array]], None]) -> State | None:
        """Set network, optimiser and generators to the checkpoint, if there is one.

        Parameters
        ----------
        form : dict
            That of the loop's numbers, as `check` takes it.
        accept : callable
            Raises ValueError for numbers and arrays that are not its loop's.

        Returns
        -------
        numbers, arrays, or None

        Raises
        ------
        ValueError
            For a file that is no checkpoint, or one of another training, whose differences are
            named.  Nothing is changed then.
        OSError
            If the file cannot be read.
        ModuleNotFoundError
            Without the package safetensors.
        """

        def plan(description: Any) -> Plan:
            return self._plan(description, form, accept)

        try:
            restore = read(self.path, {"checkpoint": plan})
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError as error:
            raise ValueError(
                f"{error}. Remove this file to train from the start, or choose another path"
            ) from error
        finally:
            remove_leftovers(self.path)
        loop: State = restore()
        logger.info("training goes on from %s, after %d steps", self.path, self._optimizer.steps)
        return loop

    def _plan(self, description: Any, form: Any, accept: Callable[..., None]) -> Plan:
        if not isinstance(description, dict) or not isinstance(description.get("task"), dict):
            raise ValueError("it does not say of which training it is")
        self._compare(description.pop("task"))
        found = _decoded(description)
        optimizer: Any = {"steps": int, "lr": float, "schedule": dict}
        generators: Any = {"places": [int], "states": [dict]}
        check(
            found,
            {"optimizer": optimizer, "generators": generators, "loop": form, "arrays": dict},
            "the checkpoint",
        )
        schedule = copy.deepcopy(self._optimizer.schedule)
        if schedule is not None:
            schedule.load_state_dict(found["optimizer"]["schedule"])
        rate = real("optimizer", "lr", found["optimizer"]["lr"], NON_NEGATIVE)
        if found["optimizer"]["steps"] >= 2**63:
            raise ValueError("optimizer: steps are too many")
        if found["generators"]["places"] != self._places:
            raise ValueError("its layers share random generators in another way")
        if len(found["generators"]["states"]) != len(self._generators):
            raise ValueError("it has another number of random generators")
        states = [restored(*pair) for pair in zip(self._generators, found["generators"]["states"])]

        own = dict(self._arrays())
        demanded = {name: (_TAGS[array.dtype.name], array.shape) for name, array in own.items()}
        for name, entry in found["arrays"].items():
            if type(entry) is not list or len(entry) != 2 or entry[0] not in _TAGS.values():
                raise ValueError(f"arrays.{name:.60} must have a dtype and a shape, got {entry!r:.60}")
            check(entry[1], [int], f"arrays.{name:.60}")
            demanded[f"loop.{name}"] = entry[0], tuple(entry[1])

        def build(tensors: Mapping[str, Array]) -> Callable[[], State]:
            for name in own:
                if name.startswith("network.") and not np.isfinite(tensors[name]).all():
                    raise ValueError(f"{name} is not finite")
            # of the machine's byte order, and to write into
            arrays = {
                name: tensors[f"loop.{name}"].astype(tensors[f"loop.{name}"].dtype.newbyteorder("="))
                for name in found["arrays"]
            }
            accept(found["loop"], arrays)

            def restore() -> State:
                for name, array in own.items():
                    array[...] = tensors[name]
                self._optimizer.steps, self._optimizer.lr = found["optimizer"]["steps"], rate
                if self._optimizer.schedule is not None:
                    self._optimizer.schedule.load_state_dict(found["optimizer"]["schedule"])
                for rng, state in zip(self._generators, states):
                    _set_state(rng, state)
                return found["loop"], arrays

            return restore

        return demanded, build

    def _compare(self, task: dict[str, Any]) -> None:
        """ValueError that says what differs, unless the task is this one."""
        ours = _encoded(self._task)
        differences = [
            f"{key} was {_short(task.get(key))}, now it is {_short(ours.get(key))}"
            for key in {**ours, **task}
            if task.get(key) != ours.get(key)
        ]
        if differences:
            more = f"; and {len(differences) - 3} more" if len(differences) > 3 else ""
            raise ValueError(f"it is the checkpoint of another training: {'; '.join(differences[:3])}{more}")


# ---------------------------------------------------------------------- what a task is
def fingerprint(data: Any) -> str | None:
    """The dtype, shape and hash of an array, dense or sparse."""
    if data is None:
        return None
    if hasattr(data, "tocsr"):
        data = data.tocsr()
        kind, parts = "sparse ", [data.data, data.indices, data.indptr]
    else:
        kind, parts = "", [data]
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(np.ascontiguousarray(part).data)
    return f"{kind}{data.dtype} {data.shape} with hash {digest.hexdigest()}"


def _architecture(network: Sequential) -> dict[str, str]:
    """What each layer is, as far as it is known."""
    layers = {}
    for i, layer in enumerate(network.layers):
        try:
            known: Any = layer._config()
        except (TypeError, ValueError, NotImplementedError):  # an own function or layer
            known = {key: value.shape for key, value in layer.params.items()}
        layers[f"layer {i}"] = f"{words(layer)} {words(known)}"
    return layers


def words(value: Any) -> str:
    """How a value is written, without the addresses of objects, which no two processes share."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


# ---------------------------------------------------------------------- numbers
def _encoded(value: Any) -> Any:
    """A value as JSON has it; what JSON lacks are strings."""
    if isinstance(value, Mapping):
        return {key: _encoded(one) for key, one in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_encoded(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value


def _decoded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _decoded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_decoded(one) for one in value]
    return float(value) if value in ("inf", "-inf", "nan") else value


def check(value: Any, form: Any, where: str) -> None:
    """ValueError unless a value has a form.

    Parameters
    ----------
    value
    form
        A type, whose integers are at least 0; ``[form]``, a list of such values; ``(form,)``, such a
        value or None; ``{key: form}``, a dict with exactly these keys.
    where : str
        What the value is, for the message.

    Raises
    ------
    ValueError
        Names the place.
    """
    if isinstance(form, tuple):
        if value is not None:
            check(value, form[0], where)
    elif isinstance(form, list):
        check(value, list, where)
        for one in value:
            check(one, form[0], where)
    elif isinstance(form, dict):
        check(value, dict, where)
        if value.keys() != form.keys():
            raise ValueError(f"{where} must have the keys {', '.join(form)}, got {list(value)!r:.200}")
        for key in form:
            check(value[key], form[key], f"{where}: {key}")
    elif type(value) is not form or (form is int and value < 0):
        raise ValueError(f"{where} must be {form.__name__}, got {value!r:.60}")


def permutation(order: Array, n: int) -> None:
    """ValueError unless an array has the numbers below n, each once."""
    if order.dtype != np.int64 or not np.array_equal(np.sort(order), np.arange(n)):
        raise ValueError(f"its order is none of {n} rows")


# ---------------------------------------------------------------------- random generators
def state_of(rng: Any) -> dict[str, Any]:
    """The state of a numpy.random.Generator or RandomState."""
    state: dict[str, Any]
    if isinstance(rng, np.random.Generator):
        state = dict(rng.bit_generator.state)
    else:
        state = rng.get_state(legacy=False)
    return state


def restored(rng: Any, value: Any) -> dict[str, Any]:
    """A state from a file, for a generator of the same kind.

    Raises
    ------
    ValueError, TypeError, ArithmeticError
        For what is none.
    """
    state: dict[str, Any] = _as(state_of(rng), value, "the generator")
    _set_state(copy.deepcopy(rng), state)
    return state


def _as(example: Any, value: Any, where: str) -> Any:
    """`value` with the types and shapes of the example."""
    if isinstance(example, dict):
        check(value, {key: _type(one) for key, one in example.items()}, where)
        return {key: _as(example[key], value[key], f"{where}: {key}") for key in example}
    if isinstance(example, np.ndarray):
        array = np.array(value, example.dtype)  # OverflowError for what is too large
        if array.shape != example.shape:
            raise ValueError(f"{where} must have {example.size} numbers, got {array.size}")
        return array
    if isinstance(example, str) and value != example:
        raise ValueError(f"{where} must be {example}, got {value:.60}")
    most = _MOST.get(where.rpartition(": ")[2])
    if most is not None and value > most:
        raise ValueError(f"{where} must be at most {most}, got {value}")
    return value


def _type(example: Any) -> Any:
    """The form of what stands for the example in a file."""
    return [int] if isinstance(example, np.ndarray) else type(example)


def _set_state(rng: Any, state: dict[str, Any]) -> None:
    if isinstance(rng, np.random.Generator):
        rng.bit_generator.state = state
    else:
        rng.set_state(state)
