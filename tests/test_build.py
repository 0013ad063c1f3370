"""The build: adding an activation costs three places, and forgetting one is named; cimport works."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import cact

ROOT = Path(__file__).parent.parent
TOY_C = """/* toy(x) = x/2 */
#ifdef BODIES
ACTIVATION(toy)
{
    return (dual){.f = x / 2, .df = (real)0.5};
}
#endif
ROW(toy, 0, LIGHT)
"""
TOY_INCLUDE = '#include "act/toy.h"\n'
TOY_PYTHON = """

@activation("x/2", reference="this test")
def toy(x):
    return x / 2, np.full_like(x, 0.5)
"""

pytestmark = pytest.mark.skipif(
    cact.info()["isa"] is None or shutil.which("cc") is None or not (ROOT / "setup.py").exists(),
    reason="needs the C backend, a C compiler and the source tree",
)


def run(folder, *arguments):
    env = {k: v for k, v in os.environ.items() if not k.startswith("CACT_")}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=env | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )


def build(folder):
    return run(folder, "setup.py", "--quiet", "build_ext", "--inplace")


def use(folder):
    code = "import cact; print(cact.toy([4.0]), cact.toy.grad(4.0), cact.info()['backend'])"
    return run(folder, "-c", code)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the sources with a 15th function in its three places, built."""
    folder = tmp_path_factory.mktemp("toy") / "cact-toy"
    ignore = shutil.ignore_patterns("*.so", "__pycache__", "_kernels.c")
    for name in ("cact", "src_c"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "src_c/act/toy.h").write_text(TOY_C)
    for name, text in (("src_c/activations.h", TOY_INCLUDE), ("cact/_formulas/piecewise.py", TOY_PYTHON)):
        path = folder / name
        path.write_text(path.read_text() + text)
    built = build(folder)
    assert built.returncode == 0, built.stderr[-2000:]
    return folder


@pytest.fixture
def without(tree):
    """Take one of the three places out, and put it back afterwards."""
    saved = {}

    def remove(name, text):
        path = tree / name
        saved[path] = path.read_text()
        if text is None:
            path.unlink()
        else:
            path.write_text(saved[path].replace(text, ""))

    yield remove
    for path, text in saved.items():
        path.write_text(text)


def test_three_places_make_a_new_activation(tree):
    assert use(tree).stdout.split() == ["[2.]", "0.5", "c"]


def test_a_forgotten_record_is_named(tree, without):
    without("cact/_formulas/piecewise.py", TOY_PYTHON)
    error = use(tree).stderr
    assert "ImportError" in error
    assert "toy: C kernels in src_c/act/toy.h, but no Python record; add one to cact/_formulas/" in error


def test_a_forgotten_include_is_named(tree, without):
    without("src_c/activations.h", TOY_INCLUDE)
    built = build(tree)
    assert built.returncode != 0
    assert 'toy: src_c/act/toy.h is not in the inventory; add #include "act/toy.h"' in built.stderr


def test_a_forgotten_c_file_is_named(tree, without):
    without("src_c/act/toy.h", None)
    built = build(tree)
    assert built.returncode != 0
    assert "act/toy.h: No such file" in built.stderr


def test_a_record_without_c_is_named(tree, without):
    without("src_c/activations.h", TOY_INCLUDE)
    # as for a user who wrote the record alone: the extension in use does not have it
    shutil.copy(
        next((ROOT / "cact").glob("_kernels*" + sysconfig.get_config_var("EXT_SUFFIX"))), tree / "cact"
    )
    error = use(tree).stderr
    assert "ImportError" in error
    assert "toy: a Python record in cact/_formulas/, but no C kernels; add src_c/act/toy.h" in error


def test_cimport_without_the_gil(tmp_path):
    pytest.importorskip("Cython")
    source = tmp_path / "user.pyx"
    source.write_text(
        "from cact.kernels cimport find, forward_float, backward_double\n"
        "cdef int gelu = find('gelu')\n"
        "def forward(const float[::1] x, float[::1] y):\n"
        "    with nogil:\n"
        "        forward_float(gelu, x, y)\n"
        "def backward(const double[::1] dy, const double[::1] x, double[::1] dx):\n"
        "    with nogil:\n"
        "        backward_double(gelu, dy, x, dx)\n"
    )
    (tmp_path / "setup.py").write_text(
        "from setuptools import setup, Extension\n"
        "from Cython.Build import cythonize\n"
        "setup(name='user', ext_modules=cythonize(Extension('user', ['user.pyx'])))\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(cact.__file__).parent.parent)}
    built = subprocess.run(
        [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"],
        cwd=tmp_path, env=env, capture_output=True, text=True,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr[-2000:]
    code = (
        "import numpy as np, user, cact\n"
        "x = np.linspace(-3, 3, 101, dtype='f4'); y = np.empty_like(x)\n"
        "user.forward(x, y); assert (y == cact.gelu(x)).all()\n"
        "x = x.astype('f8'); dx = np.empty_like(x)\n"
        "user.backward(x, x, dx); assert (dx == cact.gelu.backward(x, x)).all()\n"
        "try: user.forward(x[:4].astype('f4'), y)\n"
        "except ValueError as e: print(e)\n"
    )
    used = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert used.returncode == 0, used.stderr
    assert "same length" in used.stdout
