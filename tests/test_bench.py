"""`cact bench`: tables, pictures, options and files.  No time is asserted."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import signal
import time
from typing import Any

import numpy as np
import pytest

import cact
from cact import _bench_plots, _idioms, _measure, _peers, bench

# ---------------------------------------------------------------------- tables from made-up times
ABOUT: dict[str, Any] = {
    "cact": {"backend": "c", "isa": "x86-64-v4", "why_not_c": None, "threads": 1},
    "versions": {"cact": "1.2.3", "python": "3.11", "numpy": "2.0", "scipy": "1.11"},
    "cpu": "A processor",
    "machine": "x86_64",
    "threads": 1,
    "environment_cleared": [],
}


def cell(function: str, n: int, ours: float, theirs: list[float], operation: str = "forward") -> bench.Cell:
    times = {
        "cact": {"cact": ours},
        "limit": {_idioms.LIMIT[operation]: 0.5},
        "numpy": {f"s{i}": t for i, t in enumerate(theirs)},
    }
    return bench.Cell(function, operation, "float32", n, (n,), 3, times)


CELLS = [
    cell("relu", 64, 2.0, [8.0, 16.0]),  # the faster statement counts: 4
    cell("relu", 1 << 20, 1.0, [0.25]),
    cell("gelu", 64, 1.0, [16.0]),
    cell("gelu", 1 << 20, 2.0, [2.0]),  # exactly 1 is not below
    cell("gelu", 64, 1.0, [0.999], "backward"),
]


def test_ratio() -> None:
    assert [c.ratio("numpy") for c in CELLS] == [4.0, 0.25, 16.0, 1.0, 0.999]
    assert CELLS[0].ratio("scipy") is None
    assert CELLS[0].best("limit") == 0.5


def test_summary() -> None:
    found = _measure.summary(CELLS, "numpy")
    assert found["cells"] == 5
    assert found["geometric_mean"] == pytest.approx((4 * 0.25 * 16 * 0.999) ** (1 / 5))
    assert found["by_table"] == pytest.approx({"forward float32": 2.0, "backward float32": 0.999})
    assert found["below_1"] == [
        {"cell": "relu forward float32 n=1M", "ratio": 0.25, "peer": "numpy"},
        {"cell": "gelu backward float32 n=64", "ratio": 0.999, "peer": "numpy"},
    ]
    assert _measure.summary(CELLS, "scipy")["geometric_mean"] is None


def test_report() -> None:
    lines = bench.report(CELLS, ABOUT, ["numpy", "scipy"]).splitlines()
    assert lines[0] == "cact 1.2.3: C kernels, x86-64-v4, threads: 1"
    assert lines[1] == "Python 3.11, NumPy 2.0, SciPy 1.11; A processor"
    start = lines.index("")
    table = [line.split() for line in lines[start + 1 : start + 5]]
    assert table[0] == ["forward", "float32,", "NumPy", "/", "cact", "64", "1M"]
    assert table[1] == ["relu", "4.00", "(2.00)", "0.25", "(1.00)"]
    assert table[2] == ["gelu", "16", "(1.00)", "1.00", "(2.00)"]
    assert table[3] == ["limit", "(0.500)", "(0.500)"]
    assert "0.99" in next(line for line in lines[start + 5 :] if line.startswith("  gelu"))
    assert "2 of 5 cells below 1.0:" in lines[-4]
    assert lines[-3:] == [
        "  0.250  relu forward float32 n=1M",
        "  0.999  gelu backward float32 n=64",
        "SciPy: nothing measured.",
    ]


def test_report_says_that_the_numpy_backend_runs() -> None:
    about = {**ABOUT, "cact": {"backend": "numpy", "isa": None, "why_not_c": "no compiler", "threads": 1}}
    text = bench.report(CELLS, about, ["numpy"])
    assert "THE NUMPY BACKEND RUNS (no compiler)" in text
    assert "C kernels, x86" not in text


def test_report_names_what_failed() -> None:
    failed = bench.Cell(**{**vars(CELLS[0]), "failed": {"aten.f(tx)": "no such operator"}})
    assert "not measured: aten.f(tx): no such operator" in bench.report([failed], ABOUT, ["numpy"])


@pytest.mark.parametrize("peer", ["torch", "jax"])
def test_a_broken_statement_is_reported_for_torch_and_jax_alone(
    peer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.ones(4)
    names = _idioms.namespace(x, x, x.copy(), ("numpy",))
    plan = bench.Plan(rounds=1, peers=(peer,))
    broken = {p: {"forward": {"relu": ("np.no_such(x)",)}} for p in ("numpy", peer)}
    monkeypatch.setattr(_peers, "IDIOMS", broken)
    times, quartiles, failed, rounds = _measure.measure_cell(plan, "relu", "forward", names)
    assert set(times) == set(quartiles) == {"cact", "limit"}
    assert "no_such" in failed["np.no_such(x)"]
    assert rounds == 1
    with pytest.raises(AttributeError, match="no_such"):
        _measure.measure_cell(bench.Plan(rounds=1, peers=("numpy",)), "relu", "forward", names)


# ---------------------------------------------------------------------- the command
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--functions gelo", "did you mean gelu"),
        ("--functions relu,", "unknown activation ''"),
        ("--ops grad", "no operation 'grad'; there are forward, backward"),
        ("--dtypes float16", "no dtype 'float16'"),
        ("--sizes 4X", "'4X' is no number of elements"),
        ("--sizes 0", "'0' is no number of elements"),
        ("--sizes -1", "--sizes"),
        ("--peers tensorflow", "no peer 'tensorflow'"),
        ("--rounds 0", "must be an integer from 1"),
        ("--threads 0", "must be an integer from 1 to 1024"),
        ("--columns 10,x", "'x' is no number of elements"),
        ("--against torchh", "no peer 'torchh'"),
        ("--peers numpy --against scipy", "scipy is not among the peers measured"),
        ("--roofline a.txt", "'a.txt' must end in .png"),
        ("--compare a.json", "expected 2 arguments"),
        ("--json nowhere/a.json", "cannot write 'nowhere/a.json'"),
        ("--json .", "cannot write '.'"),
        ("--plot a.txt", "'a.txt' must end in .png"),
        ("--bogus", "unrecognized arguments: --bogus"),
    ],
)
def test_bad_option(
    options: str, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "installed", lambda module: True)
    monkeypatch.setattr(bench, "available", lambda peer: True)
    assert bench.main(options.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("cact bench: ")
    assert err.count("\n") == 1
    assert message in err


def test_peer_that_is_not_installed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "available", lambda peer: peer != "torch")
    assert bench.main(["--peers", "numpy,torch"]) == 2
    assert capsys.readouterr().err == "cact bench: argument --peers: torch is not installed\n"


@pytest.mark.parametrize(("text", "n"), [("64", 64), ("4K", 4096), ("4k", 4096), ("16M", 1 << 24)])
def test_sizes(text: str, n: int) -> None:
    assert bench._parser().parse_args(["--sizes", text]).sizes == [n]
    assert _measure.size_name(n) == text.upper()


def test_run(tmp_path: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)  # of xdist's workers: conftest.py
    path = tmp_path / "bench.json"
    path.write_text("old")
    options = ["--sizes", "64", "--rounds", "2", "--peers", "numpy", "--json", str(path)]
    assert bench.main(options) == 0
    assert "OPENBLAS_CORETYPE" not in os.environ
    content = json.loads(path.read_text())
    assert os.listdir(tmp_path) == ["bench.json"]  # no temporary file is left
    assert content["environment"]["cact"] == cact.info()
    assert content["environment"]["environment_cleared"] == ["OPENBLAS_CORETYPE"]
    cells = content["cells"]
    assert {(c["function"], c["operation"], c["dtype"]) for c in cells} == {
        (f, o, d) for f in _idioms.COMMON for o in bench.OPERATIONS for d in bench.DTYPES
    }
    for c in cells:
        assert c["rounds"] == 2
        assert c["shape"] == ([1, 64] if c["function"] == "softmax" else [64])
        assert set(c["times"]) == set(c["quartiles"]) == {"cact", "limit", "numpy"}
        assert c["best_peer"] == "numpy"
        for contender, statements in c["times"].items():
            for statement, least in statements.items():
                low, middle, high = c["quartiles"][contender][statement]
                assert least <= low <= middle <= high
        assert all(0 < t < math.inf for statements in c["times"].values() for t in statements.values())
        assert c["ratios"]["numpy"] == min(c["times"]["numpy"].values()) / min(c["times"]["cact"].values())
    assert content["summary"]["numpy"]["cells"] == len(cells)
    out = capsys.readouterr().out
    assert "Taken out of the environment: OPENBLAS_CORETYPE" in out
    assert f"of {len(cells)} cells below 1.0" in out


@pytest.mark.parametrize(("n", "shape"), [(1, [1, 2]), (63, [1, 62]), (300, [2, 128])])
def test_rows_are_even(n: int, shape: list[int], tmp_path: Any) -> None:
    """For the halves of the gated functions."""
    path = tmp_path / "bench.json"
    options = f"--functions glu,relu,maxout --dtypes float32 --peers numpy --rounds 1 --sizes {n}"
    assert bench.main([*options.split(), "--json", str(path)]) == 0
    for c in json.loads(path.read_text())["cells"]:
        assert c["shape"] == ([n] if c["function"] == "relu" else shape)


def test_all_functions() -> None:
    parse = bench._parser().parse_args
    assert parse(["--functions", "all"]).functions == _idioms.functions()
    assert tuple(bench._plan(parse([])).functions) == _idioms.COMMON
    plan = bench._plan(parse(["--all"]))
    assert list(plan.functions) == cact.names()
    assert list(plan.peers) == [p for p in _peers.PEERS if _peers.available(p)]
    assert list(bench._plan(parse(["--all", "--functions", "relu"])).functions) == ["relu"]


def test_alloc_lets_cact_allocate(tmp_path: Any) -> None:
    path = tmp_path / "bench.json"
    options = "--functions tanh,identity,glu --ops forward --dtypes float32 --peers numpy"
    options += " --sizes 64 --rounds 1 --alloc"
    assert bench.main([*options.split(), "--json", str(path)]) == 0
    tanh, identity, glu = json.loads(path.read_text())["cells"]
    assert list(tanh["times"]["cact"]) == ["cact.tanh(x)"]
    assert list(tanh["times"]["numpy"]) == ["np.tanh(x)"]
    assert list(tanh["times"]["limit"]) == [_idioms.LIMIT["forward"]]
    assert list(identity["times"]["numpy"]) == ["np.positive(x)"]
    assert list(glu["times"]["cact"]) == ["cact.glu(x)"]


def test_spread(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The inputs' standard deviation, which the report names where it is not the usual one."""
    options = "--functions relu --ops forward --dtypes float32 --peers numpy --sizes 64 --rounds 1"
    assert bench.main([*options.split(), "--spread", "8"]) == 0
    assert "Inputs of standard deviation 8." in capsys.readouterr().out
    assert bench.main(options.split()) == 0
    assert "Inputs of" not in capsys.readouterr().out
    drawn = _measure._normal(np.random.default_rng(0), 1 << 16, "float32", 8.0)
    assert 7.9 < drawn.std() < 8.1
    for wrong in ("0", "-1", "nan", "inf", "x"):
        assert bench.main([*options.split(), "--spread", wrong]) == 2
        assert f"must be a number above 0, got '{wrong}'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [(KeyboardInterrupt(), 130, "interrupted"), (MemoryError(), 1, "not enough memory for 16M elements")],
)
def test_what_was_measured_is_kept(
    error: BaseException,
    status: int,
    message: str,
    tmp_path: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken_off(plan: bench.Plan) -> Any:
        yield CELLS[0]
        raise error

    monkeypatch.setattr(bench, "measure", broken_off)
    path = tmp_path / "a.json"
    assert bench.main(["--peers", "numpy", "--json", str(path)]) == status
    out, err = capsys.readouterr()
    assert "relu" in out
    assert "0 of 1 cells below 1.0." in out
    assert message in err
    assert [str(c) for c in bench.read(path).cells] == [str(CELLS[0])]


def test_results_are_kept_from_time_to_time(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"

    def watched(plan: bench.Plan) -> Any:
        yield CELLS[0]
        yield CELLS[1]
        assert len(bench.read(path).cells) == 2
        raise RuntimeError("anything")

    monkeypatch.setattr(bench, "measure", watched)
    monkeypatch.setattr(bench, "SAVE_EVERY", -1)
    with pytest.raises(RuntimeError, match="anything"):
        bench.main(["--peers", "numpy", "--json", str(path)])
    assert len(bench.read(path).cells) == 2


def test_termination_is_an_interrupt(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def terminated(plan: bench.Plan) -> Any:
        yield CELLS[0]
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)

    former = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(bench, "measure", terminated)
    assert bench.main(["--peers", "numpy"]) == 130
    assert signal.getsignal(signal.SIGTERM) == former


def test_threads(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("OMP_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS", "NPROC"):
        monkeypatch.setenv(variable, "77")
    former, seen = cact.get_num_threads(), []

    def watched(plan: bench.Plan) -> Any:
        seen.append(
            (plan.threads, cact.get_num_threads(), os.environ["OMP_NUM_THREADS"], os.environ["NPROC"])
        )
        yield from CELLS

    monkeypatch.setattr(bench, "measure", watched)
    path = tmp_path / "a.json"
    assert bench.main(["--peers", "numpy", "--threads", "3", "--json", str(path)]) == 0
    assert seen == [(3, 3 if cact.info()["backend"] == "c" else 1, "3", "3")]
    assert cact.get_num_threads() == former
    assert bench.read(path).about["threads"] == 3


@pytest.mark.parametrize("n", [64, 4096])
def test_columns(n: int, tmp_path: Any) -> None:
    path = tmp_path / "a.json"
    options = f"--functions softmax,glu --ops forward --dtypes float32 --peers numpy --rounds 1 --sizes {n}"
    assert bench.main([*options.split(), "--columns", "10,100,1000", "--json", str(path)]) == 0
    cells = bench.read(path).cells
    found = [(c.name, tuple(c.shape)) for c in cells]
    glu = ("glu", (max(1, n // 128), min(n, 128)))
    if n == 64:  # no row is longer than there are elements
        assert found == [("softmax[10]", (6, 10)), glu]
    else:
        rows = [("softmax[10]", (409, 10)), ("softmax[100]", (40, 100)), ("softmax[1000]", (4, 1000))]
        assert found == [*rows, glu]
    plan = bench.Plan(("softmax", "glu"), ("forward",), ("float32",), (n,), (10, 100, 1000))
    assert len(plan) == len(cells)


def test_a_row_there_is() -> None:
    assert bench.Plan(columns=(1000, 128)).rows("softmax", 64) == (128,)
    assert bench.Plan(columns=(1000, 128)).rows("relu", 64) == (None,)


def test_progress_without_tqdm(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "installed", lambda module: False)
    monkeypatch.setattr(bench, "available", lambda peer: peer == "numpy")
    monkeypatch.setattr(bench, "measure", lambda plan: iter(CELLS))
    monkeypatch.setattr(bench.Plan, "__len__", lambda self: len(CELLS))
    assert bench.main([]) == 0
    assert capsys.readouterr().err == "cact bench: 5 of 5 cells, gelu backward float32 n=64\n"


def test_a_file_is_whole_or_as_it_was(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(OSError, match="No space"):
            bench.write_file(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]
    bench.write_file(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_plot(suffix: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(bench, "measure", lambda plan: iter(CELLS))
    path = tmp_path / f"bench.{suffix}"
    assert bench.main(["--peers", "numpy", "--plot", str(path)]) == 0
    assert path.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml", b"%PDF-")


def test_heat_map_shows_the_ratios() -> None:
    pytest.importorskip("matplotlib")
    figure = _bench_plots.heat_map(CELLS, ABOUT)
    forward, backward = figure.axes[:2]
    assert [t.get_text() for t in forward.texts] == ["4.00", "0.25", "16", "1.00"]
    assert [t.get_text() for t in backward.texts] == ["0.99"]
    assert [t.get_text() for t in forward.get_xticklabels()] == ["64", "1M"]
    assert [t.get_text() for t in forward.get_yticklabels()] == ["relu", "gelu"]
    assert forward.get_title() == "forward float32: geometric mean 2.00"
    assert "1 thread" in figure.get_suptitle()


# ---------------------------------------------------------------------- the best peer
def with_peers(c: bench.Cell, **peers: float) -> bench.Cell:
    return dataclasses.replace(c, times={**c.times, **{p: {"s": t} for p, t in peers.items()}})


RIVALS = [
    with_peers(CELLS[0], torch=4.0, litert=0.5),  # relu, 64: numpy 8, torch 4, cact 2
    with_peers(CELLS[1], torch=3.0),  # relu, 1M: numpy 0.25, torch 3, cact 1
    with_peers(CELLS[2], onnxruntime=0.5, litert=2.0),  # gelu, 64: numpy 16, onnxruntime 0.5, cact 1
]


def test_best_peer() -> None:
    assert [c.rival(bench.BEST) for c in RIVALS] == ["torch", "numpy", "onnxruntime"]  # never LiteRT
    assert [c.ratio(bench.BEST) for c in RIVALS] == [2.0, 0.25, 0.5]
    alone = dataclasses.replace(CELLS[0], times={"cact": {"s": 1.0}, "litert": {"s": 1.0}})
    assert alone.rival(bench.BEST) is alone.ratio(bench.BEST) is None
    assert alone.ratio("litert") == 1.0
    found = _measure.summary(RIVALS, bench.BEST)
    assert found["geometric_mean"] == pytest.approx(0.25 ** (1 / 3))
    assert found["below_1"] == [
        {"cell": "relu forward float32 n=1M", "ratio": 0.25, "peer": "numpy"},
        {"cell": "gelu forward float32 n=64", "ratio": 0.5, "peer": "onnxruntime"},
    ]


def test_report_against_the_best_peer() -> None:
    lines = bench.report(RIVALS, ABOUT, [bench.BEST, "litert"]).splitlines()
    assert "  relu  2.00  (2.00) torch  0.25  (1.00) NumPy" in [re.sub("  +", "  ", line) for line in lines]
    assert "torch / cact: geometric mean 2.45; 0 of 2 cells below 1.0." in lines
    best = next(
        i for i, line in enumerate(lines) if line.startswith("the best peer / cact: geometric mean 0.630")
    )
    assert lines[best + 1 : best + 3] == [
        "  0.250  relu forward float32 n=1M, NumPy",
        "  0.500  gelu forward float32 n=64, onnxruntime",
    ]
    assert lines[best + 3].startswith("LiteRT (XNNPACK) / cact")


def test_heat_map_names_the_best_peer() -> None:
    pytest.importorskip("matplotlib")
    texts = [t.get_text() for t in _bench_plots.heat_map(RIVALS, ABOUT, bench.BEST).axes[0].texts]
    assert texts == ["2.00", "torch", "0.25", "NumPy", "0.50", "ort"]


def test_roofline_draws_the_times() -> None:
    pytest.importorskip("matplotlib")
    figure = _bench_plots.roofline(RIVALS, ABOUT, ["relu"])
    (panel,) = figure.axes
    lines = [list(zip(*line.get_data())) for line in panel.lines]
    limit, cact_line = [(64, 0.5), (1 << 20, 0.5)], [(64, 2.0), (1 << 20, 1.0)]
    torch, numpy, litert = [(64, 4.0), (1 << 20, 3.0)], [(64, 8.0), (1 << 20, 0.25)], [(64, 0.5)]
    assert lines == [limit, torch, numpy, litert, cact_line]


def test_names_of_rows_are_in_order() -> None:
    names = [("softmax", 1000), ("relu", None), ("softmax", 10), ("softmin", 10)]
    cells = [dataclasses.replace(CELLS[0], function=f, columns=c) for f, c in names]
    assert _measure.row_names(cells) == ["softmax[10]", "softmax[1000]", "relu", "softmin[10]"]
