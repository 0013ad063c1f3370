"""The committed hashes: the same bits on every instruction set, number of threads, compiler and processor."""

from __future__ import annotations

import io
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import hashes
import numpy as np
import pytest
from conftest import COMPILED

import cact
from cact import _backend
from cact._registry import RECORDS

pytest.importorskip("ml_dtypes", reason="ml_dtypes, for the hashes of bfloat16, is not installed")
pytestmark = pytest.mark.skipif(not COMPILED, reason="no compiled kernels: the NumPy fallback is exempt")

ROOT = Path(__file__).parents[1]
#: What to build with, and what runs the result: flags, emulator.
COMPILERS = {
    "clang x86-64": ("clang", {"v3": ["-march=x86-64-v3"], "v4": ["-march=x86-64-v4"]}, []),
    "gcc aarch64": ("aarch64-linux-gnu-gcc", {"neon": []}, ["qemu-aarch64"]),
}
HINT = "if the change is meant: python tests/hashes.py --write, and a line in CHANGELOG.md"


def test_the_file_lists_what_there_is() -> None:
    listed = {(n, d, o) for n, found in hashes.committed().items() for d, ops in found.items() for o in ops}
    there = set(hashes.entries()) if COMPILED else listed
    assert listed == there, f"{sorted(listed ^ there)[:5]}: {HINT}"


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", sorted(hashes.committed()))
def test_bits_are_those_committed(name: str, threads: int, engine: str) -> None:
    if engine == "numpy":
        pytest.skip("the NumPy fallback is exempt")
    with cact.num_threads(threads):
        for dtype, operations in hashes.committed()[name].items():
            for operation, wanted in operations.items():
                assert hashes.compute(name, dtype, operation) == wanted, f"{name} {dtype} {operation}: {HINT}"


def build(compiler: str, isas: dict[str, list[str]], folder: Path) -> Path:
    """The driver with the kernels, by another compiler."""
    sys.path.insert(0, str(ROOT))
    flags = ["-O3", "-std=gnu11", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-g0"]
    jobs = []
    for isa, march in isas.items():
        for bits in (32, 64):
            command = [compiler, *flags, *march, f"-DCACT_ISA={isa}", f"-DCACT_REAL={bits}", "-c"]
            command += [str(ROOT / "src_c/kernels.c"), "-o", str(folder / f"{isa}_{bits}.o")]
            jobs.append(subprocess.Popen(command))
    assert all([job.wait() == 0 for job in jobs])
    sources = [ROOT / "tests/driver.c", *(p for p in (ROOT / "src_c").glob("*.c") if p.stem != "kernels")]
    command = [compiler, "-O2", "-std=gnu11", "-static", f"-I{ROOT / 'src_c'}", *map(str, sources)]
    command += [*map(str, sorted(folder.glob("*.o"))), "-pthread", "-o", str(folder / "driver")]
    subprocess.run(command, check=True)
    return folder / "driver"


@pytest.mark.parametrize("what", COMPILERS)
def test_other_compilers_and_processors(what: str, tmp_path: Path) -> None:
    compiler, isas, emulator = COMPILERS[what]
    for tool in (compiler, *emulator):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    if not emulator and platform.machine() != "x86_64":
        pytest.skip("for x86-64")
    program = build(compiler, isas, tmp_path)
    given = io.BytesIO()
    for dtype in hashes.DTYPES:
        for rows in (False, True):
            for x in hashes.inputs(dtype, rows):
                given.write(x.tobytes())
    for name in _backend.compiled.inventory():
        values = [] if not RECORDS[name].elementwise else list(RECORDS[name].defaults.values())
        given.write(np.array([*values, 0, 0, 0, 0][:4], np.float64).tobytes())
    ran = subprocess.run([*emulator, str(program)], input=given.getvalue(), capture_output=True, check=True)
    output, seen = io.BytesIO(ran.stdout), set()
    while header := output.readline():
        name, number, op, size = header.split()
        dtype, operation = hashes.DTYPES[int(number)], hashes.OPERATIONS[int(op)]
        kind = hashes.inputs(dtype, rows=False)[0].dtype
        digest = hashes.digest(np.frombuffer(output.read(int(size)), kind))
        key = (name.decode(), dtype, operation)
        seen.add(key)
        assert digest == hashes.committed()[key[0]][dtype][operation], f"{' '.join(key)} with {what}"
    assert seen == set(hashes.entries())
