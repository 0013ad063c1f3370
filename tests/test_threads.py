"""Threads change no bit, survive a fork, and are set as documented."""

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from conftest import ELEMENTWISE, GATED, PIECES, ROWS

import cact

N = 300_001  # well above where the pool starts to be used
needs_c = pytest.mark.skipif(cact.info()["isa"] is None, reason="the NumPy backend has no threads")


def same_bits(a, b):
    assert a.dtype == b.dtype
    assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(0, 3, N).astype(np.float32)


@needs_c
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_same_bits_for_any_number(name):
    f = cact.get(name)
    rng = np.random.default_rng(1)
    for dtype, n in ((np.float32, 2_200_003), (np.float64, 1_100_003)):  # above the light kernels' limit too
        x = rng.normal(0, 3, n).astype(dtype)
        dy = x[::-1].copy()
        results = []
        for threads in (1, 2, 3, 7):
            with cact.num_threads(threads):
                backward = f.backward(dy, x)
                results.append(
                    (f(x), f.grad(x), *f.value_and_grad(x), *(backward if f.learnable else (backward,)))
                )
        for other in results[1:]:
            for a, b in zip(results[0], other):
                same_bits(a, b)


@needs_c
@pytest.mark.parametrize(
    ("name", "dtype"), [("relu", "f4"), ("relu", "f8"), ("sigmoid", "f4"), ("hardtanh", "f4")]
)
@pytest.mark.parametrize("offset", [0, 1, 5])
def test_same_bits_past_the_caches(name, dtype, offset):
    """Operands of more than 64 MB, whose results are stored past the caches, aligned or not."""
    f, step = cact.get(name), 1 << 16
    n = (66 << 20) // 2 // np.dtype(dtype).itemsize + 37
    x = np.random.default_rng(3).normal(0, 3, n + offset).astype(dtype)[offset:]
    dy = x[::-1]
    outs = [np.full(n + offset + 1, 7, dtype) for _ in range(2)]
    y, dx = (a[offset:-1] for a in outs)
    for threads in (1, 2):
        with cact.num_threads(threads):
            f(x, out=y)
            f.backward(dy.copy(), x, out=dx)
            with cact.num_threads(1):
                for i in range(0, n, step):
                    same_bits(y[i : i + step], f(x[i : i + step]))
                    same_bits(dx[i : i + step], f.backward(dy[i : i + step].copy(), x[i : i + step]))
            y[:] = dx[:] = 0
            value, g = f.value_and_grad(x)
            with cact.num_threads(1):
                for i in range(0, n, step):
                    same_bits(value[i : i + step], f(x[i : i + step]))
                    same_bits(g[i : i + step], f.grad(x[i : i + step]))
    for a in outs:
        assert (a[:offset] == 7).all()
        assert a[-1] == 7


@needs_c
@pytest.mark.parametrize("name", ROWS)
def test_rows_same_bits(name):
    f = cact.get(name)
    x = np.random.default_rng(2).normal(0, 3, (3001, 57))
    results = []
    for threads in (1, 2, 5):
        with cact.num_threads(threads):
            y = f(x)
            results.append((y, f.backward(x, y)))
    for other in results[1:]:
        for a, b in zip(results[0], other):
            same_bits(a, b)


@needs_c
@pytest.mark.parametrize("name", GATED)
def test_gates_same_bits(name):
    f = cact.get(name)
    x = np.random.default_rng(3).normal(0, 3, (2, N)).astype(np.float32)
    results = []
    for threads in (1, 2, 5):
        with cact.num_threads(threads):
            results.append((f(x, axis=0), f.backward(x[:1], x, axis=0)))
    for other in results[1:]:
        for a, b in zip(results[0], other):
            same_bits(a, b)


@needs_c
@pytest.mark.parametrize("name", PIECES)
def test_pieces_same_bits(name):
    f = cact.get(name)
    values = np.random.default_rng(4).normal(0, 3, 2700 * 1001).astype(np.float32)
    for shape, axis in (((-1,), 0), ((-1, 6), 1), ((2, -1), 0), ((-1, 2, 1001), 1), ((-1, 2700), 1)):
        x = values.reshape(shape)
        results = []
        for threads in (1, 2, 5):
            with cact.num_threads(threads):
                y = f(x, axis=axis)
                results.append((y, f.backward(y, x, axis=axis)))
        with cact.use_backend("numpy"):
            results.append((f(x, axis=axis), f.backward(y, x, axis=axis)))
        for other in results[1:]:
            for a, b in zip(results[0], other):
                same_bits(a, b)


@needs_c
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_computes(x):
    with cact.num_threads(2):
        wanted = cact.gelu(x)  # the pool is running now
        child = os.fork()
        if child == 0:
            try:
                signal.alarm(60)  # a deadlock is a failure, not a hang
                os._exit(0 if np.array_equal(cact.gelu(x), wanted) else 1)
            finally:
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0
        np.testing.assert_array_equal(cact.gelu(x), wanted)


@needs_c
def test_callers_in_several_threads(x):
    wanted, right = cact.gelu(x), []

    def call():
        right.extend(np.array_equal(cact.gelu(x), wanted) for _ in range(10))

    with cact.num_threads(2):
        callers = [threading.Thread(target=call) for _ in range(4)]
        for t in callers:
            t.start()
        for t in callers:
            t.join()
    assert right == [True] * 40


@needs_c
def test_setting():
    former = cact.get_num_threads()
    try:
        cact.set_num_threads(3)
        assert cact.get_num_threads() == cact.info()["threads"] == 3
        with cact.num_threads(1):
            assert cact.get_num_threads() == 1
            with cact.use_backend("numpy"):
                assert cact.get_num_threads() == cact.info()["threads"] == 1
        assert cact.get_num_threads() == 3
    finally:
        cact.set_num_threads(former)


@pytest.mark.parametrize(
    ("n", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("2", TypeError)]
)
def test_bad_number(n, error):
    before = cact.get_num_threads()
    for call in (cact.set_num_threads, cact.num_threads):
        with pytest.raises(error):
            call(n)
    assert cact.get_num_threads() == before


@needs_c
@pytest.mark.parametrize(
    ("environment", "threads"),
    [
        ({"CACT_NUM_THREADS": "3"}, "3"),
        ({"CACT_NUM_THREADS": "3", "OMP_NUM_THREADS": "1"}, "3"),
        ({"OMP_NUM_THREADS": "1"}, "1"),
        ({"OMP_NUM_THREADS": "1,4"}, "1"),
        ({}, str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())),
    ],
)
def test_environment(environment, threads):
    env = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")} | environment
    code = "import cact; print(cact.get_num_threads())"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.stdout.strip() == threads, done.stderr


def test_bad_environment():
    env = os.environ | {"CACT_NUM_THREADS": "many"}
    done = subprocess.run([sys.executable, "-c", "import cact"], env=env, capture_output=True, text=True)
    assert "ImportError: CACT_NUM_THREADS must be an integer of at least 1, got 'many'" in done.stderr


@needs_c
@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no signal masks on this system")
def test_workers_take_no_signal():
    """A program that blocks a signal and waits for it gets it, though the pool started before."""
    code = (
        "import os, signal, numpy as np, cact\n"
        "cact.set_num_threads(4); cact.gelu(np.ones(1 << 20))\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "print(signal.sigtimedwait({signal.SIGTERM}, 20).si_signo == signal.SIGTERM)\n"
    )
    env = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # NumPy's own workers take signals
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.stdout.strip() == "True", (done.returncode, done.stderr)


@needs_c
@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS is Linux's")
def test_rows_without_memory_raise():
    code = (
        "import resource, numpy as np, cact\n"
        "x = np.zeros(40_000_000, np.float16); y = np.empty_like(x)\n"
        "size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size + (50 << 20),) * 2)\n"
        "try: cact.softmax(x, out=y)\n"
        "except MemoryError: print('MemoryError')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "MemoryError", done.stderr
