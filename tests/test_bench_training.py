"""`benchmarks/training.py` on tiny nets.  No time is asserted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cact

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import training


@pytest.mark.parametrize("peers", ["", "numpy,sklearn"])
def test_tables_and_file(tmp_path: Path, peers: str) -> None:
    file = tmp_path / "result.json"
    options = ["--quick", "--net", "8-4-3", "--batch", "4", "--peers", peers, "--json", str(file)]
    options += ["--parts", "steps,fit" if peers else "steps"]
    environ = {**os.environ, "PYTHONPATH": str(Path(cact.__file__).parents[1])}
    environ["OPENBLAS_CORETYPE"] = "Prescott"  # which is not to be what is measured
    command = [sys.executable, training.__file__, *options]
    run = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert "Prescott" not in run.stdout
    assert "8-4-3, batch 4" in run.stdout
    assert ("best peer / cact" in run.stdout) == ("fit / steps" in run.stdout) == bool(peers)
    result = json.loads(file.read_text())
    relu, gelu = result["steps"]
    contenders = {"products", "cact", *filter(None, peers.split(","))}
    assert set(relu["us"]) == contenders
    assert set(gelu["us"]) == contenders - {"sklearn"}  # it has no gelu
    assert all(us > 0 for cell in (relu, gelu) for us in cell["us"].values())
    if peers:
        assert relu["ratio"] == min(relu["us"][p] for p in peers.split(",")) / relu["us"]["cact"]
        assert [(c["dtype"], c["batch"]) for c in result["fit"]] == [
            ("float32", 200), ("float32", 32), ("float64", 200), ("float64", 32),
        ]  # fmt: skip


def test_unknown_peer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["training.py", "--peers", "numpy,nobody"])
    with pytest.raises(SystemExit):
        training.main()
    assert "no peer nobody" in capsys.readouterr().err


@pytest.mark.parametrize("activation", training.ACTIVATIONS)
def test_other_mathematics_are_refused(activation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = training.Problem([8, 4, 3], 4, activation)
    contenders: dict[str, Any] = {"cact": training.Cact(problem), "numpy": training.NumPy(problem)}
    training.verify(contenders, problem)
    start = contenders["cact"].start

    def faster() -> None:
        start()
        contenders["cact"].trainer.optimizer.lr *= 2

    monkeypatch.setattr(contenders["cact"], "start", faster)
    with pytest.raises(SystemExit, match="cact computes something else"):
        training.verify(contenders, problem)


def test_erf_without_scipy() -> None:
    x = np.linspace(-3, 3, 7)
    assert np.allclose(training.erf(x, out=np.empty_like(x)), training.math_erf(x, out=np.empty_like(x)))
