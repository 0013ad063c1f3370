"""Imports go one way, and ``import cact`` loads what it needs and no more."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import cact

ROOT = Path(cact.__file__).parent

#: From the bottom up; a module may import those before it.  `kernels` is a face of `_backend`.
ORDER = [
    "_need", "_warn", "_ufunc", "_registry", "_formulas", "_foreign", "_blas", "_backend", "_activation",
    "_shaped", "_like", "_lookup", "_threads", "kernels", "_files", "_idioms", "_models", "_peers",
    "_measure", "_tables", "_bench_plots", "bench", "nn", "diagnose", "sklearn", "_saving", "_to_onnx",
    "_data", "_stats", "_comparison", "_compare", "plots", "cli", "__main__",
]  # fmt: skip


def modules() -> dict[str, Path]:
    """Dotted name below cact -> file."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return found


def imported(name: str, path: Path, known: set[str]) -> set[str]:
    """The modules of cact that a module imports, anywhere in its code."""
    package = ["cact", *name.split(".")]
    if path.name != "__init__.py" or name == "__init__":
        package = package[:-1]
    targets = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            targets |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            full = ".".join([*base, *([node.module] if node.module else [])])
            targets |= {f"{full}.{alias.name}" for alias in node.names} | {full}
    inside = {t.removeprefix("cact.") for t in targets if t.startswith("cact.")}
    return {t for t in inside if t in known} - {name}


GRAPH = {name: imported(name, path, set(modules())) for name, path in modules().items()}


def room(name: str) -> str:
    """nn.layers -> nn."""
    return name.split(".")[0]


def test_the_walk_sees_the_imports() -> None:
    assert {"_registry"} <= GRAPH["_formulas.smooth"]
    assert {"_formulas.smooth"} <= GRAPH["_formulas"]
    assert {"_formulas", "_registry", "_ufunc"} <= GRAPH["_backend"]
    assert {"_backend", "_registry"} <= GRAPH["_activation"]
    assert {"_activation", "_backend"} <= GRAPH["__init__"]


@pytest.mark.parametrize("name", sorted(GRAPH))
def test_imports_go_one_way(name: str) -> None:
    if name == "__init__":  # the front: it may import all that is cheap
        return
    assert room(name) in ORDER, f"say where cact.{name} stands, in ORDER"
    above = set(ORDER[ORDER.index(room(name)) + 1 :])
    wrong = {target for target in GRAPH[name] if room(target) in above}
    assert not wrong, f"cact.{name} imports {sorted(wrong)}, which is above it"


def test_no_circle() -> None:
    """Also among modules that ORDER does not name."""
    left = {name: set(targets) for name, targets in GRAPH.items()}
    while left:
        free = {name for name, targets in left.items() if not targets & left.keys()}
        assert free, f"these import each other: {sorted(left)}"
        for name in free:
            del left[name]


def run(code: str, **environment: str) -> str:
    """What a fresh interpreter prints."""
    paths = os.pathsep.join([str(ROOT.parent), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, **environment},
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("backend", ["", "numpy"])
def test_import_is_light(backend: str) -> None:
    code = (
        "import numpy, sys, json; before = set(sys.modules); import cact;"
        " cact.gelu([1.0]); print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    loaded = json.loads(run(code, CACT_BACKEND=backend))
    assert "cact._activation" in loaded
    heavy = {
        "sklearn",
        "scipy",
        "matplotlib",
        "pandas",
        "torch",
        "onnx",
        "jax",
        "joblib",
        "tqdm",
        "mpmath",
        "concurrent",
    }
    assert not heavy & {m.split(".")[0] for m in loaded}
    own = {m for m in loaded if m.startswith("cact.")}
    upper = {"nn", "diagnose", "_compare", "compare", "plots", "cli", "bench", "kernels", "sklearn"}
    assert not {m for m in own if m.split(".")[1] in upper}


def test_subpackages_on_first_use() -> None:
    out = run("import cact, sys; print('cact.kernels' in sys.modules, cact.kernels.__name__)")
    assert out.split() == ["False", "cact.kernels"]


def test_the_docstring_names_what_is_loaded_on_first_use() -> None:
    for name in ("compare", "load", "nn", "save", "sklearn", "to_onnx"):
        assert name in dir(cact)
        assert f"`cact.{name}`" in str(cact.__doc__)


def test_importing_leaves_the_process_alone() -> None:
    """No thread, no floating-point mode, no signal handler, no warning filter, no seed."""
    code = """
import numpy as np, threading, signal, warnings, random
tiny = np.float64(5e-324)
def state():
    handlers = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    numbers = float(tiny * 1), float(tiny / 2), np.random.get_state()[1].tolist()
    return threading.active_count(), warnings.filters[:], np.geterr(), handlers, numbers
np.random.seed(0)
before = state()
import cact
cact.gelu(np.linspace(-50, 50, 100000))
assert state() == before
print("same")
"""
    assert run(code).split() == ["same"]
