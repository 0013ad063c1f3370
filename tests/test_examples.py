"""The examples run as they are, without a warning, and find what their docstrings say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cact

pytest.importorskip("sklearn", "1.7")

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py"))
if not NAMES:
    pytest.skip("the examples are not here", allow_module_level=True)


def run(name: str, *arguments: str, script: Path | None = None) -> str:
    """What an example prints."""
    root = str(Path(cact.__file__).parent.parent)
    paths = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    result = subprocess.run(
        [sys.executable, "-W", "error", str(script or EXAMPLES / f"{name}.py"), *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": paths, "PYTHONIOENCODING": "utf-8"},
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


def test_all_are_tested() -> None:
    assert {f"test_{name}" for name in NAMES} <= globals().keys()


@pytest.mark.parametrize("name", NAMES)
def test_each_says_what_it_shows(name: str) -> None:
    text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    assert text.startswith('"""')
    docstring = text.split('"""')[1]
    assert "\nExpect " in docstring
    assert f"python examples/{name}.py" in docstring


def test_per_layer_activations(tmp_path: Path) -> None:
    # a copy: the picture goes beside the script
    pytest.importorskip("matplotlib")
    script = tmp_path / "per_layer_activations.py"
    script.write_bytes((EXAMPLES / script.name).read_bytes())
    out = run("per_layer_activations", "--plot", script=script)
    rows = re.findall(r"^(\S.*\S) +(0\.\d+) +\d+$", out, re.MULTILINE)
    assert len(rows) == 6
    assert all(float(accuracy) > 0.95 for _, accuracy in rows), rows
    learned = re.findall(r"(prelu weight|swish beta): (\S+) at the start, (\S+) now", out)
    assert [name for name, *_ in learned] == ["prelu weight", "swish beta"]
    assert all(start != now for _, start, now in learned)
    assert script.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_dropout_and_batch_norm() -> None:
    out = run("dropout_and_batch_norm")
    rows = re.findall(r"^ +(0\.\d) +(\S+) +(\S+) +(\S+)$", out, re.MULTILINE)
    (_, loss, validation, _), *_, (_, loss_5, validation_5, _) = [tuple(map(float, row)) for row in rows]
    assert loss_5 > 3 * loss
    assert validation_5 < validation
    (flow, accuracy), (flow_batch, accuracy_batch) = (
        map(float, re.search(rf"^{kind} +(\S+) +(\S+)$", out, re.MULTILINE).groups())  # type: ignore[union-attr]
        for kind in ("None", "batch")
    )
    assert flow < 1e-4 < 0.1 < flow_batch
    assert accuracy < 0.2
    assert accuracy_batch > 0.9


def test_resume() -> None:
    pytest.importorskip("safetensors")
    out = run("resume")
    assert out.count(": the same bits\n") == 2, out
    assert "status 9;" in out
    assert "gone" in out


def test_onnx_export(tmp_path: Path) -> None:
    out = run("onnx_export", "--save", str(tmp_path / "digits.onnx"))
    if out.startswith("skipped: "):
        pytest.skip(out)
    assert "labels that differ: 0 of 450" in out
    assert "Gelu" in out
    assert float(out.split()[-1]) < 1e-5
    assert (tmp_path / "digits.onnx").stat().st_size > 0


def test_onnx_export_without_onnxruntime(tmp_path: Path) -> None:
    code = (
        "import runpy, sys; sys.modules['onnxruntime'] = None; "
        f"runpy.run_path({str(EXAMPLES / 'onnx_export.py')!r}, run_name='__main__')"
    )
    script = tmp_path / "without.py"
    script.write_text(code, encoding="utf-8")
    out = run("onnx_export", script=script)
    assert out.startswith("skipped: ")
    assert "is not installed" in out


def test_choosing_an_activation() -> None:
    out = run("choosing_an_activation")
    rows = re.findall(r"^(\S.*\S) +(\d\.\d+) +(\d\.\d+)$", out, re.MULTILINE)
    assert len(rows) == 10
    means = [float(mean) for _, mean, _ in rows]
    assert means == sorted(means)
    assert means[0] < 0.3
    assert f"best: {rows[0][0]};" in out
