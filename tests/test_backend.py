"""Choosing what computes: `use_backend`, the environment, `info`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import BASE, COMPILED, ELEMENTWISE, current

import cact
from cact import _backend

needs_c = pytest.mark.skipif(not COMPILED, reason="no compiled kernels")


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(cact.__file__).parent.parent)
    env = {k: v for k, v in os.environ.items() if not k.startswith("CACT_")}
    env["PYTHONPATH"] = os.pathsep.join([root, env.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, env=env | environment, check=False)


INFO = "import cact, json; print(json.dumps(cact.info()))"


def test_info() -> None:
    info = cact.info()
    assert set(info) >= {"backend", "why_not_c", "isa", "isas", "threads", "versions", "platform"}
    assert info["backend"] in ("c", "numpy")
    assert info["versions"]["cact"] == cact.__version__
    assert info["versions"]["numpy"] == np.__version__
    assert (info["isa"] is None) == (info["backend"] == "numpy")
    assert info["isa"] is None or info["isa"] in info["isas"]
    assert info["threads"] >= 1


@needs_c
def test_use_backend_is_a_context_manager() -> None:
    """The former choice comes back, also from an error, also where it was not the first."""
    before = current()
    with cact.use_backend("numpy"):
        assert cact.info()["backend"] == "numpy"
        assert cact.info()["isa"] is None
        with cact.use_backend("c"):
            assert cact.info()["backend"] == "c"
        assert cact.info()["backend"] == "numpy"
    assert current() == before
    with pytest.raises(KeyError), cact.use_backend("numpy"):
        raise KeyError
    assert current() == before


@needs_c
def test_use_backend_takes_effect_at_once() -> None:
    """Bits that the two compute differently tell which one runs, in every kind of call."""
    x = np.linspace(-30, 5, 2001)
    f = cact.get("gelu_tanh")

    def calls() -> list[bytes]:
        y, g = f.value_and_grad(x)
        return [a.tobytes() for a in (f(x), f.grad(x), f.backward(x, x), y, g, f(x[::2]), f(x.astype(">f8")))]

    with cact.use_backend("c"):
        c = calls()
        with cact.use_backend("numpy"):
            plain = calls()
        assert calls() == c
    assert all(a != b for a, b in zip(c, plain))


@needs_c
def test_an_activation_follows_the_backend() -> None:
    """Made under one backend, used under the other; bound parameters too."""
    with cact.use_backend("numpy"):
        f = cact.get("softplus", beta=1.5)
        plain = f(BASE)
    with cact.use_backend("c"):
        np.testing.assert_allclose(f(BASE), plain, rtol=1e-14)
        np.testing.assert_array_equal(f(BASE), cact.softplus(BASE, beta=1.5))


@needs_c
def test_set_isa() -> None:
    before = _backend.compiled.isa()
    for isa in _backend.compiled.isas():
        _backend.compiled.set_isa(isa)
        assert cact.info()["isa"] == isa
    with pytest.raises(ValueError, match="'no-such-isa' is not available here; there is"):
        _backend.compiled.set_isa("no-such-isa")
    _backend.compiled.set_isa(before)


# ------------------------------------------------------------------ the environment
def test_environment_numpy() -> None:
    result = run(INFO, CACT_BACKEND="numpy")
    info = json.loads(result.stdout)
    assert info["backend"] == "numpy"
    assert info["why_not_c"] == "CACT_BACKEND=numpy"
    assert info["isas"] == []


@needs_c
def test_environment_c_and_isa() -> None:
    for engine in COMPILED:
        isa = engine.removeprefix("c:")
        info = json.loads(run(INFO, CACT_BACKEND="c", CACT_ISA=isa).stdout)
        assert (info["backend"], info["isa"]) == ("c", isa)
    assert json.loads(run(INFO).stdout)["isa"] == COMPILED[0].removeprefix("c:")


def test_environment_wrong() -> None:
    result = run("import cact", CACT_BACKEND="cuda")
    assert result.returncode != 0
    assert result.stderr.splitlines()[-1] == "ImportError: CACT_BACKEND must be 'c' or 'numpy', got 'cuda'"


@needs_c
def test_environment_wrong_isa() -> None:
    result = run("import cact", CACT_ISA="pentium")
    assert result.returncode != 0
    assert "pentium" in result.stderr.splitlines()[-1]


#: Runs with the extension out of reach, as where no C compiler was at hand.
WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "cact._kernels":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
"""


def test_without_the_extension() -> None:
    info = json.loads(run(WITHOUT + INFO).stdout)
    assert info["backend"] == "numpy"
    assert "not installed" in info["why_not_c"]
    code = WITHOUT + "import cact\ntry: cact.use_backend('c')\nexcept RuntimeError as e: print(e)"
    assert "the C backend cannot be used: the compiled extension is not installed" in run(code).stdout
    result = run(WITHOUT + "import cact", CACT_BACKEND="c")
    assert "ImportError: CACT_BACKEND=c, but the compiled extension is not installed" in result.stderr


def test_a_broken_extension_is_not_hidden() -> None:
    """Only its absence means NumPy; a missing module inside it is an error."""
    code = WITHOUT.replace("name=name", "name='something_else'") + "import cact"
    result = run(code)
    assert result.returncode != 0
    assert "ModuleNotFoundError" in result.stderr


def test_the_two_agree() -> None:
    """Within a few ULP where both are sure of themselves; test_accuracy.py has the bounds."""
    if not COMPILED:
        pytest.skip("no compiled kernels")
    for name in ELEMENTWISE:
        f = cact.get(name)
        results: list[Any] = []
        for backend in ("c", "numpy"):
            with cact.use_backend(backend):
                results.append((f(BASE), f.grad(BASE)))
        for a, b in zip(*results):
            np.testing.assert_allclose(a, b, rtol=1e-14, atol=1e-15)


def at_once(function: Callable[[], Any], n: int = 8) -> list[Any]:
    """The results of n threads that start together."""
    barrier = threading.Barrier(n)
    with ThreadPoolExecutor(n) as pool:
        return [t.result() for t in [pool.submit(lambda: (barrier.wait(), function())[1]) for _ in range(n)]]


def test_threads_share_what_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def slow(record: Any, operation: str) -> object:
        time.sleep(0.02)
        made.append(operation)
        return object()

    monkeypatch.setattr(_backend, "numpy_function", slow)
    operations = _backend.Operations(cact.gelu._record, "numpy")
    assert len(set(at_once(lambda: operations["forward"]))) == 1
    assert made == ["forward"]


def test_threads_add_bfloat16_once(monkeypatch: pytest.MonkeyPatch) -> None:
    added = []

    class Compiled:
        @staticmethod
        def add_bfloat16(*entry: Any) -> None:
            time.sleep(0.01)
            added.append(entry)

    monkeypatch.setattr(_backend, "compiled", Compiled)
    monkeypatch.setattr(_backend, "_bfloat16", None)
    monkeypatch.setattr(_backend, "_made", [(object(), "gelu", "forward"), (object(), "gelu", "grad")])
    seen = at_once(lambda: (_backend.know_bfloat16(np.dtype(np.float16)), len(added))[1])
    assert seen == [2] * 8, "a thread went on before the loops were there"


def test_first_example_of_the_readme() -> None:
    code = "import cact, numpy as np; print(*cact.gelu(np.float32([-6, 0, 6])))"
    for environment in ({}, {"CACT_BACKEND": "numpy"}):
        left, *rest = run(code, **environment).stdout.split()
        assert np.float32(left) == np.float32(-5.9195259e-09)
        assert rest == ["0.0", "6.0"]
