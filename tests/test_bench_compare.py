"""`cact bench --compare` and `--from`: which cells changed, and bad files.  Times are made up."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from cact import _idioms, _measure, _tables, bench

ABOUT: dict[str, Any] = {
    "cact": {"backend": "c", "isa": "x86-64-v4", "why_not_c": None, "threads": 1},
    "versions": {"cact": "1.2.3", "python": "3.11", "numpy": "2.0", "torch": "2.1"},
    "cpu": "A processor",
    "machine": "x86_64",
    "threads": 1,
    "environment_cleared": [],
}


def cell(function: str, scatter: float = 0.01, **times: float) -> bench.Cell:
    return bench.Cell(
        *(function, "forward", "float32", 64, (64,), 3),
        times={k: {_idioms.LIMIT["forward"] if k == "limit" else k: t} for k, t in times.items()},
        quartiles={k: {k: [t * (1 + scatter), t * 1.5, t * 2]} for k, t in times.items()},
    )


def result(*cells: bench.Cell, **about: Any) -> bench.Result:
    plan = {**dataclasses.asdict(bench.Plan(peers=("numpy", "torch")))}
    return bench.Result(cells, {**ABOUT, **about}, plan)


BEFORE = [
    cell("relu", cact=2, limit=1, numpy=4, torch=6),
    cell("gelu", cact=2, limit=1, numpy=4, torch=6),
    cell("silu", cact=2, limit=1, numpy=4, torch=6),
    cell("mish", scatter=0.3, cact=2, limit=1, numpy=4, torch=6),
    cell("selu", cact=2, limit=1, numpy=4, torch=6),
]
# a machine of half the speed, on which NumPy was 4 % slower once more
AFTER = [
    cell("relu", cact=2, limit=2, numpy=8, torch=12),  # twice as fast
    cell("gelu", cact=8, limit=2, numpy=8, torch=12),  # half as fast
    cell("silu", cact=4.1, limit=2, numpy=8.32, torch=12),  # 2.5 % slower: within 5 %
    cell("mish", cact=5, limit=2, numpy=8, torch=12),  # 25 % slower, but the rounds before scattered by 30 %
    cell("elu", cact=1, limit=1, numpy=4, torch=6),
]
REFERENCES = ["limit", "numpy", "torch"]


def test_change() -> None:
    found = [_tables.change(b, a, "cact", REFERENCES) for b, a in zip(BEFORE[:4], AFTER)]
    assert found == pytest.approx([2.0, 0.5, 4 / 4.1, 0.8])
    assert _tables.change(BEFORE[2], AFTER[2], "numpy", REFERENCES) == pytest.approx(
        1 / 1.04
    )  # to the others
    assert _tables.change(BEFORE[0], AFTER[0], "jax", REFERENCES) is None
    assert _tables.change(BEFORE[0], AFTER[0], "limit", ["limit"]) is None


def test_noise() -> None:
    """Of 20 references 19 stay below it, whichever way the others go."""
    before = [cell("relu", cact=1, limit=1, numpy=1)] * 10
    after = [cell("relu", cact=1, limit=1, numpy=1 + i / 100) for i in range(10)]
    # each pair counts twice, NumPy relative to the limit and the limit to NumPy
    assert _tables.noise(list(zip(before, after)), ["limit", "numpy"]) == pytest.approx(0.09)
    assert _tables.noise(list(zip(before[:9], after)), ["limit", "numpy"]) == pytest.approx(0.08)
    assert _tables.noise([], ["limit"]) == 0


def test_comparison() -> None:
    lines = _tables.comparison(result(*BEFORE), result(*AFTER)).splitlines()
    assert not any("WARNING" in line for line in lines)
    assert "What 19 in 20 of the unchanged stay below here: 64 4.0%." in lines
    faster, slower = lines[lines.index("faster: 1") + 1], lines[lines.index("slower: 1") + 1]
    assert faster == "   2.000 (noise 0.050)  relu forward float32 n=64  2.00 -> 2.00 ns"
    assert slower == "   0.500 (noise 0.050)  gelu forward float32 n=64  2.00 -> 8.00 ns"
    assert "unchanged: 2" in lines
    assert lines[lines.index("only before: 1") + 1] == "  selu forward float32 n=64"
    assert lines[lines.index("only after: 1") + 1] == "  elu forward float32 n=64"


def test_what_also_the_unchanged_do_is_noise() -> None:
    before = [cell("relu", cact=1, limit=1, numpy=1, torch=1)]
    after = [cell("relu", cact=1.2, limit=1, numpy=1.3, torch=1)]
    text = _tables.comparison(result(*before), result(*after))
    assert "64 30.0%." in text
    assert "unchanged: 1" in text


def test_a_peer_of_another_version_is_no_reference() -> None:
    new = {**ABOUT["versions"], "torch": "2.2"}
    text = _tables.comparison(result(BEFORE[0]), result(AFTER[0], versions=new))
    assert "what did not change: limit, NumPy." in text


def test_nothing_in_common() -> None:
    text = _tables.comparison(result(BEFORE[4]), result(AFTER[4]))
    assert "geometric mean of all 0: -" in text


@pytest.mark.parametrize(
    ("about", "warning"),
    [
        ({"cpu": "Another"}, "WARNING: different processors: A processor and Another"),
        ({"threads": 2}, "WARNING: different threads: 1 and 2"),
        ({"spread": 8.0}, "WARNING: different standard deviations of the inputs: 2.0 and 8.0"),
        ({"cact": {**ABOUT["cact"], "isa": "x86-64-v3"}}, "WARNING: different instruction sets: x86-64-v4"),
    ],
)
def test_warnings(about: dict[str, Any], warning: str) -> None:
    assert warning in _tables.comparison(result(*BEFORE), result(*AFTER, **about))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "before.json", tmp_path / "after.json"]
    for path, cells in zip(paths, (BEFORE, AFTER)):
        path.write_text(result(*cells).to_json())
    return paths


def test_the_file_has_it_all(files: list[Path]) -> None:
    found = bench.read(files[0])
    assert [dataclasses.replace(c, shape=tuple(c.shape)) for c in found.cells] == BEFORE
    assert found.about == ABOUT
    assert found.peers == ["numpy", "torch"]


def test_compare(files: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--compare", *map(str, files)]) == 0
    assert "\nslower: 1\n" in capsys.readouterr().out


def test_from(files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    pictures = [tmp_path / "a.png", tmp_path / "b.svg"]
    options = ["--against", "best", "--plot", str(pictures[0]), "--roofline", str(pictures[1])]
    assert bench.main(["--from", str(files[0]), *options]) == 0
    assert "the best peer / cact: geometric mean 2.00" in capsys.readouterr().out
    assert [p.read_bytes()[:4] for p in pictures] == [b"\x89PNG", b"<?xm"]


@pytest.mark.parametrize("option", ["--compare", "--from"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory"),
        ("no JSON", "is no result of cact bench --json"),
        ("[1]", "is no result of cact bench --json"),
        ('{"a": 1}', "is no result of cact bench --json"),
        ('{"format": 2, "cells": [{"a": 1}]}', "is no result of cact bench --json"),
        ('{"format": 2, "cells": [], "environment": {}, "plan": {}}', "is no result of cact bench --json"),
        ('{"cells": []}', "has the format 1 of another version of cact; this one reads 2"),
        ('{"format": 3}', "has the format 3 of another version"),
    ],
)
def test_no_result(
    option: str, content: str | None, message: str, files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    if content is None:
        files[1].unlink()
    else:
        files[1].write_text(content)
    assert bench.main([option, *map(str, files if option == "--compare" else files[1:])]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("cact bench: ")
    assert err.count("\n") == 1
    assert message in err
    assert str(files[1]) in err


def test_another_kind_of_machine(files: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    content = json.loads(files[1].read_text())
    content["environment"]["machine"] = "aarch64"
    files[1].write_text(json.dumps(content))
    assert bench.main(["--compare", *map(str, files)]) == 2
    assert "different machines: x86_64 and aarch64" in capsys.readouterr().err


def test_from_against_what_was_not_measured(files: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--from", str(files[0]), "--against", "numba"]) == 2
    assert "numba was not measured" in capsys.readouterr().err


def test_scatter() -> None:
    assert BEFORE[3].scatter("cact") == pytest.approx(0.3)
    assert _measure.summary(BEFORE, "numpy")["geometric_mean"] == pytest.approx(2)
