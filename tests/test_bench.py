"""`cact bench`: the idioms compute what cact does; tables, options and files.  No time is asserted."""

from __future__ import annotations

import ast
import copy
import json
import math
import os
from typing import Any

import numpy as np
import pytest

import cact
from cact import _idioms, bench

CASES = [
    pytest.param(peer, operation, function, statement, id=f"{peer}-{operation}-{function}-{i}")
    for peer, operations in _idioms.IDIOMS.items()
    for operation, by_function in operations.items()
    for function, statements in by_function.items()
    for i, statement in enumerate(statements)
]

# Errors of the peers' own in float64, relative to the largest result
INEXACT = {
    ("torch", "backward", "hardsigmoid"): 6e-8,  # its 1/6 is float32's
    ("jax", "backward", "telu"): 1e-13,  # x e^x (1 - tanh^2) of a tanh some ULP off
}


def evaluate(statement: str, names: dict[str, Any]) -> Any:
    """The value of the statement's last expression."""
    tree = ast.parse(statement)
    last = tree.body.pop()
    assert isinstance(last, ast.Expr)
    names = dict(names)
    exec(compile(tree, "idiom", "exec"), names)
    return eval(compile(ast.Expression(last.value), "idiom", "eval"), names)


def inputs(function: str, dtype: str, peer: str) -> dict[str, Any]:
    # |x| < 8: no idiom overflows there, and gelu_tanh's 1 + tanh keeps some digits of its tail
    random = np.random.default_rng(1)
    x = np.clip(random.normal(0, 2, 1280), -8, 8).astype(dtype)
    dy = random.normal(0, 2, x.size).astype(dtype)
    if function in _idioms.ROWS:
        x, dy = x.reshape(10, 128), dy.reshape(10, 128)
    return _idioms.namespace(x, dy, np.full_like(x, np.nan), (peer,))


@pytest.mark.parametrize(("peer", "operation", "function", "statement"), CASES)
@pytest.mark.parametrize("dtype", bench.DTYPES)
def test_idiom_agrees_with_cact(peer: str, operation: str, function: str, statement: str, dtype: str) -> None:
    pytest.importorskip(peer)
    names = inputs(function, dtype, peer)
    theirs = evaluate(statement, names)
    theirs = copy.deepcopy(names["out"] if theirs is None else theirs)  # both may write to `out`
    names["out"].fill(np.nan)
    ours = evaluate(_idioms.cact_statement(function, operation), names)
    if not isinstance(theirs, tuple):
        theirs, ours = (theirs,), (ours,)
    assert len(theirs) == len(ours)
    for a, b in zip(theirs, ours):
        a, b = np.asarray(a), np.asarray(b)
        assert a.dtype == dtype
        assert a.shape == b.shape
        # The idioms cancel where 1 + tanh or 1 + erf does: absolute error, of the size of eps.
        # prelu's dweight is a sum over all elements, so its error grows with them.
        scale = np.abs(b).max()
        limit = max(64 * np.finfo(dtype).eps, INEXACT.get((peer, operation, function), 0)) * scale
        np.testing.assert_allclose(a, b, rtol=0, atol=limit)


def test_every_idiom_names_a_function_of_cact() -> None:
    for operations in _idioms.IDIOMS.values():
        for by_function in operations.values():
            assert set(by_function) <= set(cact.names())
    numpy = _idioms.IDIOMS["numpy"]
    assert list(numpy["forward"]) == list(numpy["backward"]) == _idioms.functions()
    assert set(_idioms.COMMON) <= set(_idioms.functions())


def test_erf_without_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_idioms, "installed", lambda peer: False)
    x = np.linspace(-3, 3, 7, dtype=np.float32)
    names = _idioms.namespace(x, x, np.empty_like(x), ("numpy",))
    assert "special" not in names
    erf = names["erf"](x)
    assert erf.dtype == np.float32
    assert erf.tolist() == [np.float32(math.erf(v)) for v in x]


# ---------------------------------------------------------------------- tables from made-up times
ABOUT: dict[str, Any] = {
    "cact": {"backend": "c", "isa": "x86-64-v4", "why_not_c": None, "threads": 1},
    "versions": {"cact": "1.2.3", "python": "3.11", "numpy": "2.0", "scipy": "1.11"},
    "cpu": "A processor",
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
    found = bench.summary(CELLS, "numpy")
    assert found["cells"] == 5
    assert found["geometric_mean"] == pytest.approx((4 * 0.25 * 16 * 0.999) ** (1 / 5))
    assert found["by_table"] == pytest.approx({"forward float32": 2.0, "backward float32": 0.999})
    assert found["below_1"] == [
        {"cell": "relu forward float32 n=1M", "ratio": 0.25},
        {"cell": "gelu backward float32 n=64", "ratio": 0.999},
    ]
    assert bench.summary(CELLS, "scipy")["geometric_mean"] is None


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
    monkeypatch.setattr(bench, "IDIOMS", broken)
    times, failed, rounds = bench._measure_cell(plan, "relu", "forward", names)
    assert set(times) == {"cact", "limit"}
    assert "no_such" in failed["np.no_such(x)"]
    assert rounds == 1
    with pytest.raises(AttributeError, match="no_such"):
        bench._measure_cell(bench.Plan(rounds=1, peers=("numpy",)), "relu", "forward", names)


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
        ("--json nowhere/a.json", "cannot write 'nowhere/a.json'"),
        ("--json .", "cannot write '.'"),
        ("--plot a.txt", "'a.txt' must end in .png"),
        ("--bogus", "unrecognized arguments: --bogus"),
    ],
)
def test_bad_option(
    options: str, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "installed", lambda peer: True)
    assert bench.main(options.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("cact bench: ")
    assert err.count("\n") == 1
    assert message in err


def test_peer_that_is_not_installed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "installed", lambda peer: peer != "torch")
    assert bench.main(["--peers", "numpy,torch"]) == 2
    assert capsys.readouterr().err == "cact bench: argument --peers: torch is not installed\n"


@pytest.mark.parametrize(("text", "n"), [("64", 64), ("4K", 4096), ("4k", 4096), ("16M", 1 << 24)])
def test_sizes(text: str, n: int) -> None:
    assert bench._parser().parse_args(["--sizes", text]).sizes == [n]
    assert bench._size(n) == text.upper()


def test_run(tmp_path: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
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
        assert set(c["times"]) == {"cact", "limit", "numpy"}
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
    options = f"--functions glu,relu,softmax --dtypes float32 --peers numpy --rounds 1 --sizes {n}"
    assert bench.main([*options.split(), "--json", str(path)]) == 0
    for c in json.loads(path.read_text())["cells"]:
        assert c["shape"] == ([n] if c["function"] == "relu" else shape)


def test_all_functions() -> None:
    parse = bench._parser().parse_args
    assert parse(["--functions", "all"]).functions == _idioms.functions()
    assert tuple(parse([]).functions) == _idioms.COMMON


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


def test_interrupt_reports_what_was_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(plan: bench.Plan) -> Any:
        yield CELLS[0]
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "measure", interrupted)
    assert bench.main(["--peers", "numpy"]) == 130
    out, err = capsys.readouterr()
    assert "relu" in out
    assert "0 of 1 cells below 1.0." in out
    assert "interrupted" in err


def test_progress_without_tqdm(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "installed", lambda module: module == "numpy")
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


def test_plot_shows_the_ratios() -> None:
    pytest.importorskip("matplotlib")
    figure = bench.plot(CELLS, ABOUT)
    forward, backward = figure.axes[:2]
    assert [t.get_text() for t in forward.texts] == ["4.00", "0.25", "16", "1.00"]
    assert [t.get_text() for t in backward.texts] == ["0.99"]
    assert [t.get_text() for t in forward.get_xticklabels()] == ["64", "1M"]
    assert [t.get_text() for t in forward.get_yticklabels()] == ["relu", "gelu"]
    assert forward.get_title() == "forward float32: geometric mean 2.00"
