"""The command: ``cact compare DATA``, ``cact list``, ``cact info``, ``cact bench``."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from . import __version__
from ._backend import info
from ._data import BUNDLED, load
from ._lookup import get, names
from ._need import need

__all__ = ["main"]


class _UsageError(Exception):
    """A mistake in the arguments."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(message)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; default ``sys.argv[1:]``.

    Returns
    -------
    int
        Exit status: 0; 2 for an error, with one line ``cact: error: ...`` on standard error;
        130 if interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # the table has a "±"
    try:
        if arguments[:1] == ["bench"]:
            # its options are its own; by name, since it is loaded for this command alone
            return int(importlib.import_module(".bench", __package__).main(arguments[1:]))
        options = _parser().parse_args(arguments)
        options.run(options)
        sys.stdout.flush()
        return 0
    except KeyboardInterrupt:
        print("cact: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # the reader of the output has gone; nor may the interpreter flush it at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}")
    except (_UsageError, ValueError, TypeError, ModuleNotFoundError, MemoryError) as error:
        return _fail(str(error) or "not enough memory")


def _fail(message: str) -> int:
    print(f"cact: error: {' '.join(message.split())}", file=sys.stderr)
    return 2


def _compare(options: argparse.Namespace) -> None:
    # what is missing shows before minutes of training, not after
    need("sklearn", "scipy", "joblib", "tqdm", "threadpoolctl", "matplotlib")
    from . import _compare, plots

    data = load(options.data, options.target)
    given = None if options.activations is None else _names(options.activations)
    chosen = _compare.configurations(given)
    name = options.data if options.data in BUNDLED else Path(options.data).stem
    folder = options.out if options.out is not None else Path(f"cact-compare-{name}")
    folder.mkdir(parents=True, exist_ok=True)
    picture, numbers = folder / "comparison.png", folder / "comparison.json"
    for path in (picture, numbers):
        _writable(path)
    result = _compare.compare(
        data.X,
        data.y,
        chosen,
        options.depths,
        options.repeats,
        width=options.width,
        epochs=options.epochs,
        batch_size=options.batch_size,
        optimizer=options.optimizer,
        lr=options.lr,
        seed=options.seed,
        n_jobs=options.jobs,
        description=data.description,
    )
    print(result.table())
    plots.save(result, picture)
    result.to_json(numbers)
    print(f"\n{picture}\n{numbers}")


def _writable(path: Path) -> None:
    """Raise an OSError now if `path` cannot be written in the end."""
    from ._files import write_file

    if path.is_dir():
        raise IsADirectoryError(21, "is a folder", str(path))
    probe = path.with_name(f".{path.name}.probe")
    write_file(probe, lambda file: None)
    probe.unlink()


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _list(options: argparse.Namespace) -> None:
    width = max(map(len, names()))
    for name in names():
        f = get(name)
        params = ", ".join(f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}" for k, v in f.params.items())
        also = f"  (also {', '.join(f.aliases)})" if f.aliases else ""
        print(f"{name:{width}}  {f.formula}" + (f"  [{params}]" if params else "") + also)


def _info(options: argparse.Namespace) -> None:
    for key, value in info().items():
        if isinstance(value, dict):
            value = ", ".join(f"{k} {v}" for k, v in value.items())
        elif isinstance(value, (list, tuple)):
            value = ", ".join(map(str, value))
        print(f"{key:10}  {'-' if value in (None, '') else value}")


def _number(kind: Callable[[str], Any], test: Callable[[Any], bool], words: str) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        try:
            value = kind(text)
            if not test(value):
                raise ValueError
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be {words}, got {text!r}") from None
        return value

    return convert


_COUNT = _number(int, lambda n: n >= 1, "a whole number of at least 1")


def _depths(text: str) -> list[int]:
    depths = [_COUNT(part) for part in text.split(",")]
    if len(set(depths)) < len(depths):
        raise argparse.ArgumentTypeError(f"must be different numbers, got {text!r}")
    return depths


def _cpus() -> int:
    """The CPUs that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="cact",
        description="Activation functions for NumPy: compare them on your data, list them, time them.",
    )
    parser.add_argument("--version", action="version", version=f"cact {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    compare = commands.add_parser(
        "compare",
        help="train the same network with each activation, and say which ones can be told apart",
        description="Train the same network with each activation, at each depth, over several splits and"
        " seeds. Prints a table; writes comparison.png and comparison.json.",
    )
    add = compare.add_argument
    add("data", metavar="DATA", help=f"a CSV file, or one of {', '.join(BUNDLED)}")
    add(
        "--activations",
        metavar="A,B,...",
        help="names from `cact list`; with +bn behind it, with batch normalisation"
        "; or all: every elementwise one (default: the usual ones, and sigmoid+bn)",
    )
    add(
        "--depths",
        type=_depths,
        default="3,10",
        metavar="N,N,...",
        help="numbers of hidden layers (default: %(default)s)",
    )
    add(
        "--repeats",
        type=_COUNT,
        default=5,
        metavar="N",
        help="splits and seeds per configuration (default: %(default)s)",
    )
    add(
        "--epochs",
        type=_COUNT,
        default=50,
        metavar="N",
        help="passes over the training part (default: %(default)s)",
    )
    add("--width", type=_COUNT, default=64, metavar="N", help="units per hidden layer (default: %(default)s)")
    add(
        "--optimizer",
        choices=("sgd", "adam"),
        default="sgd",
        help="sgd has momentum 0.9 (default: %(default)s)",
    )
    add(
        "--lr",
        type=_number(float, lambda v: 0 < v < float("inf"), "a number greater than 0"),
        metavar="X",
        help="learning rate (default: 0.005 for sgd, 0.001 for adam)",
    )
    add("--batch-size", type=_COUNT, default=32, metavar="N", help="rows per step (default: %(default)s)")
    add(
        "--seed",
        type=_number(int, lambda n: n >= 0, "a whole number of at least 0"),
        default=0,
        metavar="N",
        help="the same seed gives the same numbers (default: %(default)s)",
    )
    add(
        "--jobs",
        "--n-jobs",  # as in Python
        type=_COUNT,
        default=_cpus(),
        metavar="N",
        help="processes (default: one per CPU, here %(default)s)",
    )
    add(
        "--target",
        metavar="COLUMN",
        help="the class label in a CSV file: a name, or a number from 1 (default: the last column)",
    )
    add(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="where the files go (default: cact-compare-DATA, here)",
    )
    compare.set_defaults(run=_compare)

    commands.add_parser("list", help="the activation functions and their formulas").set_defaults(run=_list)
    commands.add_parser("info", help="what runs here: backend, instruction set, versions").set_defaults(
        run=_info
    )
    commands.add_parser("bench", help="time the functions (`cact bench --help`)", add_help=False)
    return parser
