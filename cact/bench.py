"""``cact bench``: each function and derivative against idiomatic NumPy, SciPy, torch, JAX and others.

What is timed are whole calls through the public Python API, inputs drawn from
normal(0, 2) (``--spread``).  `_measure` says how, `_idioms` and `_peers` what the contenders are.

``OPENBLAS_*`` variables are taken out of the environment at the start.  NumPy is loaded by
then, which does no harm: no contender calls BLAS.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn, TextIO, TypeVar

from . import _idioms
from ._backend import info
from ._bench_plots import ROOFLINE, heat_map, roofline
from ._files import write_file
from ._idioms import COMMON, functions, installed
from ._lookup import get
from ._measure import (
    BEST,
    COLUMNS,
    DTYPES,
    OPERATIONS,
    SIZES,
    Cell,
    Plan,
    Result,
    environment,
    measure,
    read,
    size_name,
)
from ._peers import APART, PEERS, available, limit_threads
from ._tables import comparison, report
from ._threads import num_threads

__all__ = ["main"]

_T = TypeVar("_T")
SAVE_EVERY = 60  # seconds between savings of what is measured


class _UsageError(Exception):
    pass


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(message)


def _list_of(one: Callable[[str], _T]) -> Callable[[str], list[_T]]:
    """The parser of a comma-separated list, from that of one entry."""
    return lambda text: list(dict.fromkeys(one(part.strip()) for part in text.split(",")))


def _one_of(allowed: Sequence[str], what: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise argparse.ArgumentTypeError(f"no {what} {text!r}; there are {', '.join(allowed)}")
        return text

    return parse


def _functions(text: str) -> list[str]:
    return functions() if text == "all" else _list_of(_function)(text)


def _function(text: str) -> str:
    try:
        return _one_of(functions(), "NumPy idiom of")(get(text).name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _against(text: str) -> str:
    return _one_of((BEST, *PEERS), "peer")(text)


def _elements(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,11})([kKmM]?)", text)
    n = int(found[1]) << {"": 0, "k": 10, "m": 20}[found[2].lower()] if found else 0
    if not 1 <= n <= 1 << 36:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of elements (examples: 64, 4K, 16M)")
    return n


def _positive(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < float(text) < 1e30:
            return float(text)
    raise argparse.ArgumentTypeError(f"must be a number above 0, got {text!r}")


def _count(most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (re.fullmatch(r"[0-9]{1,9}", text) and 1 <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"must be an integer from 1 to {most}, got {text!r}")
        return int(text)

    return parse


def _file(text: str) -> Path:
    """A path that can be written: found out before the measurement, not after it."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"cannot write {text!r}: a directory, or not in a writable one")
    return path


def _picture(text: str) -> Path:
    if not installed("matplotlib"):
        raise argparse.ArgumentTypeError("matplotlib is not installed")
    if Path(text).suffix not in (".png", ".svg", ".pdf"):
        raise argparse.ArgumentTypeError(f"{text!r} must end in .png, .svg or .pdf")
    return _file(text)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="cact bench",
        description="Time each activation and derivative against idiomatic NumPy, SciPy, torch, JAX, "
        "torch.compile, onnxruntime, OpenVINO, LiteRT, numexpr and numba: interleaved, as ratios; above 1 "
        "cact is faster. Every library but NumPy is optional.",
    )
    operations = _list_of(_one_of(OPERATIONS, "operation"))
    dtypes, peers = _list_of(_one_of(DTYPES, "dtype")), _list_of(_one_of(PEERS, "peer"))

    add = parser.add_argument_group("what is measured").add_argument
    add(
        "--functions",
        type=_functions,
        metavar="NAMES",
        help=f"all: all {len(functions())}; default: the {len(COMMON)} in most use",
    )
    add("--ops", type=operations, default=OPERATIONS, metavar=",".join(OPERATIONS), help="default: both")
    add("--dtypes", type=dtypes, default=DTYPES, metavar=",".join(DTYPES), help="default: both")
    add("--sizes", type=_list_of(_elements), metavar="64,4K,16M", help="elements; K = 1024, M = 1024K")
    add(
        "--columns",
        type=_list_of(_elements),
        default=(COLUMNS,),
        metavar="10,128,1000",
        help=f"lengths of the rows of softmax and its kin; default: {COLUMNS}",
    )
    add(
        "--peers",
        type=peers,
        metavar="NAMES",
        help=f"of {', '.join(PEERS)}; default: the first {len(_idioms.PEERS)}, as far as installed",
    )
    add(
        "--threads",
        type=_count(1024),
        metavar="N",
        help="of cact and its peers alike (NumPy and SciPy have one); default: what `cact info` says",
    )
    add(
        "--all",
        action="store_true",
        help="all functions, all peers installed, ratios to the best of each cell",
    )
    add(
        "--rounds", type=_count(999999), metavar="N", help="rounds of each cell; default: by time, at least 5"
    )
    add("--quick", action="store_true", help="n = 64, 64K, 1M and few rounds: noisier")
    add(
        "--spread",
        type=_positive,
        default=2.0,
        metavar="S",
        help="standard deviation of the inputs; default: 2. Of wide inputs more are saturated",
    )
    add("--alloc", action="store_true", help="no out=: cact and single ufuncs allocate their results")

    add = parser.add_argument_group("what is made of it").add_argument
    add(
        "--against",
        type=_list_of(_against),
        metavar="NAMES",
        help=f"peers, or {BEST}: the fastest of each cell (LiteRT apart, whose accuracy is another); "
        f"default: each peer, with --all {BEST}. The heat map shows the first",
    )
    add(
        "--json",
        type=_file,
        metavar="FILE",
        help="keep everything measured, also of a run that is interrupted",
    )
    add("--plot", type=_picture, metavar="FILE", help="draw a heat map of the ratios")
    add("--roofline", type=_picture, metavar="FILE", help="draw ns per element by size, beside the copy's")

    add = parser.add_argument_group("of results kept by --json, nothing is measured").add_argument
    add("--from", dest="source", metavar="FILE", help="the tables and pictures of a result")
    add("--compare", nargs=2, metavar=("BEFORE", "AFTER"), help="which cells changed beyond noise")
    return parser


def _plan(options: argparse.Namespace) -> Plan:
    for peer in options.peers or ():
        if not available(peer):
            raise _UsageError(f"argument --peers: {peer} is not installed")
    peers = options.peers or [p for p in (PEERS if options.all else _idioms.PEERS) if available(p)]
    for peer in options.against or ():
        if peer not in (BEST, *peers):
            raise _UsageError(f"argument --against: {peer} is not among the peers measured")
    return Plan(
        functions=options.functions or (functions() if options.all else COMMON),
        operations=options.ops,
        dtypes=options.dtypes,
        sizes=options.sizes or ((64, 65536, 1 << 20) if options.quick else SIZES),
        columns=options.columns,
        peers=peers,
        threads=options.threads or info()["threads"],
        rounds=options.rounds,
        min_rounds=3 if options.quick else 5,
        seconds=0.08 if options.quick else 0.5,
        allocate=options.alloc,
        spread=options.spread,
    )


def _progress(cells: Iterator[Cell], total: int, stream: TextIO) -> Iterator[Cell]:
    """A tqdm bar where tqdm is installed, else a line now and then."""
    if installed("tqdm"):
        from tqdm import tqdm

        with tqdm(total=total, unit="cell", file=stream, leave=False) as bar:
            for cell in cells:
                bar.set_postfix_str(str(cell), refresh=False)
                bar.update()
                yield cell
        return
    for done, cell in enumerate(cells, 1):
        if done % 20 == 0 or done == total:
            print(f"cact bench: {done} of {total} cells, {cell}", file=stream, flush=True)
        yield cell


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional
        The options, without the command's name; default ``sys.argv[1:]``.

    Returns
    -------
    int
        Exit status: 0; 1 if a file cannot be written or memory is short; 2 for a bad
        option or file to read; 130 if interrupted.  What was measured until an interrupt
        or lack of memory is reported and kept.
    """
    try:
        options = _parser().parse_args(argv)
        if options.compare:
            print(comparison(*map(read, options.compare)))
            return 0
        if options.source:
            result, status = read(options.source), 0
            for peer in options.against or ():
                if peer not in (BEST, *result.peers):
                    raise _UsageError(f"argument --against: {peer} was not measured")
        else:
            plan = _plan(options)
            result, status = _measured(plan, options.json)
    except (_UsageError, ValueError) as error:
        print(f"cact bench: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"cact bench: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2 if error.filename in (options.source, *(options.compare or ())) else 1
    if not result.cells:
        return status
    apart = [p for p in APART if p in result.peers]
    against = options.against or ([BEST, *apart] if options.all else result.peers)
    print(report(result.cells, result.about, against))
    try:
        if options.plot:
            _draw(heat_map(result.cells, result.about, against[0]), options.plot)
        if options.roofline:
            given = options.functions if options.functions and len(options.functions) <= 6 else ROOFLINE
            _draw(roofline(result.cells, result.about, given), options.roofline)
    except OSError as error:
        print(f"cact bench: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return status


def _draw(figure: Any, path: Path) -> None:
    write_file(path, lambda file: figure.savefig(file, format=path.suffix[1:], dpi=150))


def _measured(plan: Plan, path: Path | None) -> tuple[Result, int]:
    """Run the plan; the result, of which `path` is kept up to date, and the exit status."""
    # Before SciPy, torch or JAX load: a pinned BLAS kernel must not decide a comparison
    cleared = sorted(v for v in os.environ if v.startswith("OPENBLAS_"))
    for variable in cleared:
        del os.environ[variable]
    limit_threads(plan.threads)
    with num_threads(plan.threads), _terminable():
        cells: list[Cell] = []
        about = {**environment(plan.peers, cleared, plan.threads), "spread": plan.spread}
        result = Result(cells, about, asdict(plan))
        status, saved = 0, time.monotonic()
        try:
            for cell in _progress(measure(plan), len(plan), sys.stderr):
                cells.append(cell)  # one by one, for an interrupt
                if path and time.monotonic() - saved > SAVE_EVERY:
                    _save(result, path)
                    saved = time.monotonic()
        except KeyboardInterrupt:
            print("cact bench: interrupted; what was measured until here:", file=sys.stderr)
            status = 130
        except MemoryError:
            print(
                f"cact bench: not enough memory for {size_name(max(plan.sizes))} elements;"
                " what was measured until here:",
                file=sys.stderr,
            )
            status = 1
        finally:
            if path and cells:
                _save(result, path)
        return result, status


def _save(result: Result, path: Path) -> None:
    document = result.to_json().encode()
    write_file(path, lambda file: file.write(document))


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let a polite kill end the measurement as an interrupt does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


if __name__ == "__main__":
    sys.exit(main())
