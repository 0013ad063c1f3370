"""How exact each function is: every float32 there is, and ten million doubles.

    python benchmarks/sweep.py                    # all functions, f and f': hours
    python benchmarks/sweep.py gelu silu          # two of them: minutes
    python benchmarks/sweep.py gelu --dtypes float32 --lanes    # every float in seconds
    python benchmarks/sweep.py --dtypes float32 --stride 4099   # a sample of the floats: seconds
    python benchmarks/sweep.py --dtypes float64 --samples 20000000
    python benchmarks/sweep.py swish --params beta=0.3
    python benchmarks/sweep.py --other-params --dtypes float32 --stride 41   # 10^8 floats for each of OTHER
    python benchmarks/sweep.py --peers numpy,jax --stride 4099   # other libraries
    python benchmarks/sweep.py --table            # write docs/accuracy.md and the comments of src_c/act

The kernels are those of this tree, built (``CACT_ISA=`` chooses the instruction set).  The reference
(benchmarks/reference.h) is the textbook formula on the C library, compiled here: double or x87 long
double where its error cannot matter, ``__float128`` where it can.  With ``--lanes`` float lanes are judged
by the double lanes beside them (benchmarks/lanes.c) on every float, and by the reference on every 41st.
Errors are in the spacing of the exact result's binade.  Results go to docs/accuracy.json, one entry a
function and dtype, the newest in place of the older.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import ctypes
import datetime
import importlib
import itertools
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # not whatever cact is installed

import cact

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "docs/accuracy.json"
PAGE = HERE.parent / "docs/accuracy.md"
ACTIVATIONS = HERE.parent / "src_c/act"
BLOCK = 1 << 20
#: ULP of f and of f' that may not be exceeded.
BOUNDS = {"float32": (1.0, 1.0), "float64": (1.0, 2.0)}

#: Parameters other than the defaults: usual, of the other sign, large and small.
OTHER: dict[str, tuple[tuple[float, ...], ...]] = {
    "leaky_relu": ((0.2,), (-1.7,), (1e-20,)),
    "prelu": ((0.0013,), (-0.5,), (1e20,)),
    "rrelu": ((0.1, 0.3), (-0.7, 2.9)),
    "thresholded_relu": ((0.1, -20), (-1, 3)),
    "elu": ((0.3,), (7.7,), (1e-20,)),
    "celu": ((0.3,), (7.7,), (1e-20,)),
    "softplus": ((0.3,), (7.7,), (100,), (1e-20,)),
    "hardtanh": ((-0.1, 0.7), (0, 1)),
    "hardsigmoid": ((0.2, 0.5), (0.3, 0.1), (2, -0.3)),
    "hardshrink": ((0.1,), (0,), (3,)),
    "softshrink": ((0.1,), (0,), (3,)),
    "squareplus": ((0.3,), (1,), (1e-10,)),
    "swish": ((0.3,), (1.702,), (-7.7,), (1e-20,)),
    "star_relu": ((1.3, 0.1), (-0.7, 0.3)),
    "snake": ((0.3,), (7.7,), (-50,), (1e-20,)),
    "xielu": ((0.3, 1.7, 0.5), (0.3, 0.4, -0.7)),
    "acon_c": ((1.2, -0.3, 0.7), (0.3, 0.1, 5), (0, 1.3, 2)),
}


class Found(ctypes.Structure):
    """What sweep.c counts for f or f'."""

    _fields_ = [(k, ctypes.c_uint64) for k in ("n", "wrong", "above", "not_nan")] + [
        (k, ctypes.c_double) for k in ("max", "worst")
    ]


def obstacle() -> str | None:
    """Why the reference cannot be compiled here, or None."""
    compiler = os.environ.get("CC", "gcc")
    probe = "#include <quadmath.h>\nint main(void) { return (int)expq(-1); }\n"
    command = [*compiler.split(), "-x", "c", "-", "-o", os.devnull, "-lquadmath", "-lm"]
    try:
        done = subprocess.run(command, input=probe, text=True, capture_output=True)
    except OSError as error:
        return f"no C compiler ({error})"
    return f"{compiler} has no libquadmath" if done.returncode else None


def build(folder: str) -> ctypes.CDLL:
    """Compile the reference; needs gcc's libquadmath."""
    library = Path(folder, "sweep.so")
    command = [
        *os.environ.get("CC", "gcc").split(),
        "-O2",
        "-ffp-contract=off",
        "-shared",
        "-fPIC",
        str(HERE / "sweep.c"),
    ]
    subprocess.run([*command, "-o", str(library), "-lquadmath", "-lm"], check=True)
    return ctypes.CDLL(str(library))


def functions() -> list[str]:
    """The functions that the reference knows, in its order: the numbers that sweep.c takes."""
    lines = (HERE / "names.inc").read_text().splitlines()
    return [line.removeprefix("NAME(").removesuffix(")") for line in lines]


def constants(name: str, params: dict[str, float]) -> np.ndarray:
    values = {**cact.get(name)._record.defaults, **params}
    return np.array([*values.values(), 0, 0, 0, 0][:4], float)


def other_params(name: str) -> list[dict[str, float]]:
    return [dict(zip(cact.get(name)._record.defaults, values)) for values in OTHER.get(name, ())]


# ---------------------------------------------------------------------- inputs
def floats(stride: int) -> Iterator[np.ndarray]:
    """Every `stride`-th float32 in the order of their bits."""
    for start in range(0, 1 << 32, BLOCK * stride):
        stop = min(start + BLOCK * stride, 1 << 32)
        yield np.arange(start, stop, stride, dtype=np.uint64).astype(np.uint32).view(np.float32)


def steps(center: float, dtype: Any, count: int) -> np.ndarray:
    """The `count` nearest numbers on both sides of one, across zero too."""
    integer = np.int32 if dtype == np.float32 else np.int64
    place = int(np.array([abs(center)], dtype).view(integer)[0]) + np.arange(-count, count + 1)
    sign = np.copysign(dtype(1), np.where(place < 0, -1, 1) * np.copysign(1, center))
    x = np.copysign(np.abs(place).astype(integer).view(dtype), sign.astype(dtype))
    return x[np.isfinite(x)]


def interesting(name: str, params: dict[str, float] | None = None) -> list[float]:
    """Kinks, roots of f and f', and where some function saturates, underflows or changes its method."""
    record = cact.get(name)._record
    values = {**record.defaults, **(params or {})}
    grid = np.linspace(-12, 12, 24001)
    found = []
    with np.errstate(all="ignore"):
        both = record.pair(grid, *values.values())[:2]
    for order, y in enumerate(both):
        with np.errstate(all="ignore"):
            crossing = np.flatnonzero((y[1:] * y[:-1] < 0) & (np.abs(y[1:] - y[:-1]) < 0.1))
        for i in crossing[:40]:
            found.append(bisect(record, order, grid[i], grid[i + 1], values))
    thresholds = [
        -745.1332, -744.44, -708.3964, -103.9721, -103.28, -87.33655, -40.0, -38.5675, -37.5194, -37.4299,
        -36.7368, -22.5, -19.0615, -17.32868, -16.6355, -14.4, -13.5, -9.0109, -6.62, -5.6, -4.67, -4.0, -2.0,
        -1.0, -0.6931472, -0.5, -0.3465736, -1e-6, 0.3465736, 0.5, 0.6931472, 1.0, 2.0, 4.0, 5.6, 9.0109,
        16.6355, 19.0615, 20.0, 37.4299, 40.0, 88.72284, 709.7827, 745.1332,
    ]  # fmt: skip
    return [*record.kinks_at(*values.values()), *found, *thresholds]


def bisect(record: Any, order: int, left: float, right: float, params: dict[str, float]) -> float:
    """A root of f (order 0) or f' (1) between two points where its signs differ."""

    def sign(x: float) -> float:
        return float(np.sign(record.pair(np.array(x), *params.values())[order]))

    side = sign(left)
    while left < (middle := (left + right) / 2) < right:
        left, right = (middle, right) if sign(middle) == side else (left, middle)
    return left


def published() -> np.ndarray:
    """Hard inputs of exp, expm1, log1p and tanh, as NumPy has them, and what an activation makes of them."""
    folder = Path(np.__file__).parent / "_core/tests/data"
    lines = itertools.chain.from_iterable(
        path.read_text().splitlines()
        for f in ("exp", "expm1", "log1p", "tanh")
        if (path := folder / f"umath-validation-set-{f}.csv").exists()  # not in every build of NumPy
    )
    bits = [int(line.split(",")[1], 16) for line in lines if line.startswith("np.float64,")]
    x = np.array(bits, np.uint64).view(np.float64)
    a = np.abs(x)
    with np.errstate(all="ignore"):
        y = np.concatenate(
            [a, a / 2, np.log(a), np.sqrt(a) * np.sqrt(2)]
        )  # e^x, tanh, log1p(e^x), e^(-x^2/2)
    y = y[np.isfinite(y)]
    return np.concatenate([y, -y])


def doubles(
    name: str, samples: int, params: dict[str, float] | None = None, seed: int = 1
) -> Iterator[np.ndarray]:
    """All exponents, the usual ranges, and dense about what is hard."""
    hard = interesting(name, params)
    yield published()
    rng = np.random.default_rng(seed)
    dense = max(1000, samples // (8 * len(hard)))
    for center in hard:
        scale = max(abs(center), 1e-3)
        distance = scale * 2.0 ** rng.uniform(-52, -2, dense) * rng.choice([-1, 1], dense)
        yield np.concatenate([steps(center, np.float64, 500), center + distance])
    rest = max(samples - len(hard) * (dense + 1000), BLOCK // 4)
    for start in range(0, rest, BLOCK):
        n = min(BLOCK, rest - start) // 4 + 1
        bits = rng.integers(0, 1 << 64, n, dtype=np.uint64)
        with np.errstate(all="ignore"):
            yield np.concatenate(
                [
                    bits.view(np.float64),
                    rng.normal(0, 3, n),
                    rng.uniform(-760, 60, n),
                    2.0 ** rng.uniform(-80, 8, n) * rng.choice([-1, 1], n),
                ]
            )


# ---------------------------------------------------------------------- the sweep
def judge(library: ctypes.CDLL, name: str, blocks: Iterator[np.ndarray], params: dict[str, float],
          progress: Any = None) -> list[Found]:  # fmt: skip
    """The kernels' f and f' on all blocks, on both cores, against the reference."""
    which, values = functions().index(name), constants(name, params)
    kernel = getattr(cact.kernels, f"{name}_value_and_grad")

    def one(x: np.ndarray) -> Any:
        f, d = np.empty_like(x), np.empty_like(x)
        kernel(x, f, d, **params)
        result = (Found * 2)()
        compare = library.sweep_float if x.dtype == np.float32 else library.sweep_double
        pointers = [a.ctypes.data_as(ctypes.c_void_p) for a in (x, f, d, values)]
        compare(which, ctypes.c_size_t(x.size), *pointers, result)
        return result

    total = [Found(max=0.0), Found(max=0.0)]
    workers = os.cpu_count() or 1
    with cact.num_threads(1), concurrent.futures.ThreadPoolExecutor(workers) as pool:
        running: list[Any] = []

        def take() -> None:
            added(total, running.pop(0).result())
            if progress is not None:
                progress.update()

        for x in blocks:
            running.append(pool.submit(one, x))
            if len(running) > 2 * workers:
                take()
        while running:
            take()
    return total


def by_lanes(folder: str, name: str, params: dict[str, float]) -> list[Found]:
    """float32 f and f' of every float, against the double lanes."""
    values = constants(name, params)
    native = ["-O3", "-std=gnu11", "-march=native", "-mprefer-vector-width=512"]
    flags = [*native, "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-w"]
    library = Path(folder, "lanes.so")
    if not library.exists():
        kernels = ["-DCACT_ISA=here", "-DCACT_REAL=32", str(HERE.parent / "src_c/kernels.c")]
        commands = [[*flags, *kernels, "-c", "-o", f"{folder}/kernels.o"]]
        commands += [[*flags, "-I", str(HERE.parent / "src_c"), "-shared", str(HERE / "lanes.c"),
                      f"{folder}/kernels.o", "-o", str(library)]]  # fmt: skip
        for command in commands:
            subprocess.run([*os.environ.get("CC", "gcc").split(), *command], check=True)
    loaded = ctypes.CDLL(str(library))
    table = ctypes.addressof(ctypes.c_char.in_dll(loaded, "cact_here_32"))
    pieces, size = 64, (1 << 32) // 64

    def one(i: int) -> Any:
        result = (Found * 2)()
        pointer = values.ctypes.data_as(ctypes.c_void_p)
        args = (ctypes.c_void_p(table), ctypes.c_uint32(i * size), ctypes.c_uint64(size), pointer, result)
        if loaded.by_lanes(name.encode(), *args):
            raise ValueError(name)
        return result

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return added([Found(max=0.0), Found(max=0.0)], *pool.map(one, range(pieces)))


def added(total: list[Found], *parts: Any) -> list[Found]:
    for part in parts:
        for sum_, p in zip(total, part):
            for key in ("n", "wrong", "above", "not_nan"):
                setattr(sum_, key, getattr(sum_, key) + getattr(p, key))
            if p.max > sum_.max or (p.not_nan and not sum_.worst):
                sum_.max, sum_.worst = max(p.max, sum_.max), p.worst
    return total


def entry(name: str, dtype: str, total: list[Found], params: dict[str, float], about: dict[str, Any],
          seconds: float) -> dict[str, Any]:  # fmt: skip
    kind = np.dtype(dtype).type
    result: dict[str, Any] = {"function": name, "dtype": dtype, "params": params, **about}
    result["seconds"] = round(seconds, 1)
    for key, found in zip(("f", "grad"), total):
        result[key] = {
            "inputs": found.n,
            "max_ulp": round(found.max, 5),
            "worst": float(kind(found.worst)).hex(),
            "correctly_rounded_percent": round(100 * (1 - found.wrong / max(found.n, 1)), 4),
            "above_1_ulp": found.above,
            "nan_wrong": found.not_nan,
        }
    return result


def about(command: str) -> dict[str, Any]:
    info = cact.info()
    return {
        "date": datetime.date.today().isoformat(),
        "isa": info["isa"] or "numpy",
        "compiler": info["versions"].get("compiler", ""),
        "machine": cpu(),
        "command": command,
    }


def cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def within(e: dict[str, Any]) -> bool:
    """Whether an entry keeps its bounds."""
    parts = zip((e["f"], e["grad"]), BOUNDS[e["dtype"]])
    return all(
        p["max_ulp"] <= bound and not p["nan_wrong"] and not (bound == 1 and p["above_1_ulp"])
        for p, bound in parts
    )


def load() -> list[dict[str, Any]]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def save(new: dict[str, Any]) -> None:
    def key(e: dict[str, Any]) -> list[Any]:
        library, *version = e["isa"].split()  # the kernels' bits are the same on every instruction set
        kernels = not version and library != "numpy"
        return [e["function"], e["dtype"], e["params"], "kernels" if kernels else library]

    old = load()
    kept = [e for e in old if key(e) != key(new)]
    if any(e["f"]["inputs"] > new["f"]["inputs"] for e in old if e not in kept):
        print("not saved: there is a result of more inputs", file=sys.stderr)
        return
    order = cact.names()

    def place(e: dict[str, Any]) -> tuple[Any, ...]:
        return order.index(e["function"]), e["dtype"], str(e["params"]), "has" in e, e["isa"]

    entries = sorted([*kept, new], key=place)
    temporary = RESULTS.with_suffix(".tmp")
    lines = ",\n".join(json.dumps(e) for e in entries)
    temporary.write_text(f"[\n{lines}\n]\n")
    temporary.replace(RESULTS)


def tables() -> None:
    """Write what is made of the results."""
    import accuracy_page

    entries = load()
    PAGE.write_text(accuracy_page.page(entries))
    for name in dict.fromkeys(e["function"] for e in entries):
        if (path := ACTIVATIONS / f"{name}.h").exists():  # the gated ones have none
            own = [e for e in entries if e["function"] == name]
            path.write_text(accuracy_page.comment(path.read_text(), own))


def peer_entry(library: ctypes.CDLL, peer: str, name: str, stride: int) -> dict[str, Any]:
    """The same for the expression that users of another library write (cact/_idioms.py), in float32.

    A kink, where the derivative is a convention, is moved to the next float.
    """
    from cact._idioms import IDIOMS, namespace

    which, values = functions().index(name), constants(name, {})
    forward, backward = (IDIOMS[peer][op].get(name, ("",))[0] for op in ("forward", "backward"))
    total = [Found(max=0.0), Found(max=0.0)]
    became_nan = [0, 0]
    for x in floats(stride):
        at_kink = np.isin(x, np.array(cact.get(name)._record.kinks_at(), np.float32))
        x[at_kink] = np.nextafter(x[at_kink], np.float32(np.inf))
        one = np.ones_like(x)
        results = []
        for statement in (forward, backward):
            with np.errstate(all="ignore"):
                out = np.full((1, x.size), np.nan, x.dtype)
                names = namespace(x.reshape(1, -1), one.reshape(1, -1), out, [peer], name)
            *before, last = statement.split("; ")
            with np.errstate(all="ignore"):
                if statement:
                    exec("; ".join(before), names)
                    y = eval(last, names)
                    y = names["out"] if y is None else y[0] if isinstance(y, tuple) else y
                else:
                    y = names["out"]
            results.append(np.ascontiguousarray(np.asarray(y, np.float32).ravel()))
        part = (Found * 2)()
        pointers = [a.ctypes.data_as(ctypes.c_void_p) for a in (x, *results, values)]
        library.sweep_float(which, ctypes.c_size_t(x.size), *pointers, part)
        for k, (sum_, p, y) in enumerate(zip(total, part, results)):
            for key in ("n", "wrong", "above", "not_nan"):
                setattr(sum_, key, getattr(sum_, key) + getattr(p, key))
            if p.max > sum_.max:
                sum_.max, sum_.worst = p.max, p.worst
            became_nan[k] += int(np.count_nonzero(np.isnan(y) & np.isfinite(x)))
    command = f"python benchmarks/sweep.py --peers {peer} --stride {stride}"
    e = entry(name, "float32", total, {}, about(command), 0)
    for part, count in zip(("f", "grad"), became_nan):
        e[part]["became_nan"] = count  # of the numbers; the rest of nan_wrong are NaN that did not stay
    version = importlib.import_module(peer).__version__
    return {**e, "isa": f"{peer} {version}", "has": [bool(forward), bool(backward)]}


def describe(e: dict[str, Any]) -> str:
    parts = [
        f"{what} {p['max_ulp']:.4f} ULP at {float.fromhex(p['worst']):.9g}"
        f" ({p['correctly_rounded_percent']:.2f} % correctly rounded)"
        for what, p in (("f", e["f"]), ("f'", e["grad"]))
    ]
    params = "".join(f" {k}={v}" for k, v in e["params"].items())
    mark = "" if within(e) else "   ABOVE THE BOUND"
    return f"{e['function']}{params} {e['dtype']}: {'; '.join(parts)}; {e['seconds']} s{mark}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("functions", nargs="*", help="default: all elementwise ones")
    parser.add_argument("--dtypes", default="float32,float64")
    parser.add_argument("--stride", type=int, default=1, help="float32: take every so many-th")
    parser.add_argument(
        "--lanes", action="store_true", help="float32: all by the double lanes, a 41st by the reference"
    )
    parser.add_argument("--samples", type=int, default=12_000_000, help="float64: inputs a function")
    parser.add_argument("--params", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--other-params", action="store_true", help="those of the table OTHER")
    parser.add_argument(
        "--peers",
        default="",
        metavar="numpy,scipy,torch,jax",
        help="measure these libraries instead, float32",
    )
    parser.add_argument("--no-save", action="store_true", help="leave docs/accuracy.json alone")
    parser.add_argument(
        "--table", action="store_true", help="write docs/accuracy.md and the comments of src_c/act, and stop"
    )
    args = parser.parse_args()
    if args.table:
        tables()
        return 0
    if cact.info()["backend"] != "c":
        sys.exit(f"sweep: the C kernels are not in use ({cact.info()['why_not_c']})")
    given = {k: float(v) for k, v in (p.split("=") for p in args.params)}
    try:
        chosen = [cact.get(n).name for n in args.functions] or [n for n in functions() if n in cact.names()]
    except ValueError as error:
        sys.exit(f"sweep: {error}")
    if strange := [n for n in chosen if n not in functions()]:
        sys.exit(f"sweep: the reference has elementwise functions only, not {', '.join(strange)}")
    command = "python benchmarks/sweep.py " + " ".join(sys.argv[1:])
    good = True
    if args.peers:
        from cact._idioms import IDIOMS, installed

        for peer in (peers := args.peers.split(",")):
            if peer not in IDIOMS or not installed(peer):
                sys.exit(f"sweep: {peer!r} is not installed, or not one of {', '.join(IDIOMS)}")
        with tempfile.TemporaryDirectory() as folder:
            library = build(folder)
            for peer in peers:
                for name in chosen:
                    if name in IDIOMS[peer]["forward"] or name in IDIOMS[peer]["backward"]:
                        e = peer_entry(library, peer, name, args.stride)
                        print(peer, describe(e), flush=True)
                        save(e)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        library = build(folder)
        for name in chosen:
            sets = other_params(name) if args.other_params else [given]
            for params, dtype in itertools.product(sets, args.dtypes.split(",")):
                start = time.perf_counter()
                if dtype == "float32":
                    stride = 41 if args.lanes else args.stride
                    blocks, count = floats(stride), math.ceil((1 << 32) / (BLOCK * stride))
                    if stride > 1:
                        near = [steps(t, np.float32, 1 << 12) for t in interesting(name, params)]
                        blocks, count = itertools.chain(blocks, [np.concatenate(near)]), count + 1
                else:
                    blocks, count = doubles(name, args.samples, params), None
                fast = args.lanes and dtype == "float32"
                with bar(f"{name} {dtype}", count) as progress:
                    total = judge(library, name, blocks, params, progress)
                if fast:
                    here = by_lanes(folder, name, params)
                    for sum_, all_ in zip(total, here):  # counts of all of them, the larger of the maxima
                        sum_.n, sum_.wrong = all_.n, all_.wrong
                        if all_.max > sum_.max:
                            sum_.max, sum_.worst = all_.max, all_.worst
                        sum_.above, sum_.not_nan = (
                            max(sum_.above, all_.above),
                            max(sum_.not_nan, all_.not_nan),
                        )
                e = entry(name, dtype, total, params, about(command), time.perf_counter() - start)
                if fast:
                    e["by"] = "double lanes"
                print(describe(e), flush=True)
                good &= within(e)
                if not args.no_save:
                    save(e)
    return 0 if good else 1


class Dots:
    """What tqdm shows, without it."""

    def __init__(self, what: str, count: int | None) -> None:
        self.what, self.count, self.done = what, count, 0

    def update(self) -> None:
        self.done += 1
        print(f"\r{self.what}: {self.done}/{self.count or '?'}", end="", file=sys.stderr, flush=True)


@contextlib.contextmanager
def bar(what: str, count: int | None) -> Iterator[Any]:
    """Progress in blocks, where someone looks."""
    if not sys.stderr.isatty():
        yield None
        return
    try:
        from tqdm import tqdm
    except ImportError:
        yield Dots(what, count)
        print("\r\033[K", end="", file=sys.stderr)
    else:
        with tqdm(total=count, desc=what, unit="M", leave=False) as progress:
            yield progress


if __name__ == "__main__":
    sys.exit(main())
