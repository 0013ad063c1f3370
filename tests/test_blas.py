"""What is said of the BLAS behind NumPy, and that its threads are limited with the kernels'."""

from __future__ import annotations

import numpy as np
import pytest

import cact
from cact import _blas, nn

threadpoolctl = pytest.importorskip("threadpoolctl")


def pool(architecture, threads=4):
    return {
        "user_api": "blas",
        "internal_api": "openblas",
        "version": "0.3",
        "architecture": architecture,
        "num_threads": threads,
    }


def test_info_says_which_kernels_run():
    found = cact.info()["blas"]
    names = {p["internal_api"] for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"}
    assert {blas["library"] for blas in found} == names
    assert all(blas["threads"] >= 1 for blas in found)


@pytest.mark.parametrize(
    ("architecture", "isas", "coretype", "words"),
    [
        ("Haswell", ["x86-64-v4", "x86-64-v3"], None, "Haswell kernels on a processor with AVX-512"),
        ("Haswell", ["x86-64-v4"], "Haswell", "OPENBLAS_CORETYPE=Haswell is set"),
        ("Haswell", ["x86-64-v3"], "Haswell", None),
        ("SkylakeX", ["x86-64-v4"], None, None),
        ("neoversen1", ["aarch64"], None, None),
    ],
)
def test_kernels_below_the_processor(monkeypatch, architecture, isas, coretype, words):
    monkeypatch.setattr(threadpoolctl, "threadpool_info", lambda: [pool(architecture)])
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    if coretype:
        monkeypatch.setenv("OPENBLAS_CORETYPE", coretype)
    (blas,) = _blas.describe(isas)
    assert blas["kernels"] == architecture
    assert blas["below"] is None if words is None else words in blas["below"]


def of_blas() -> list[int]:
    return [p["num_threads"] for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"]


def test_limited():
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = of_blas()
        with _blas.limited(1):
            assert set(of_blas()) == {1}
        assert of_blas() == before
        with _blas.limited(64):
            assert of_blas() == before


@pytest.mark.parametrize("second", [1, 2])
def test_limits_of_two_threads(second):
    """Whichever leaves first: the limit stays for the other, and then all is as it was."""
    with threadpoolctl.threadpool_limits(3, user_api="blas"):
        before = of_blas()
        if set(before) != {3}:
            pytest.skip("this BLAS has no 3 threads")
        first, other = _blas.limited(2), _blas.limited(second)
        first.__enter__()
        other.__enter__()
        first.__exit__(None, None, None)
        assert set(of_blas()) == {second}
        other.__exit__(None, None, None)
        assert of_blas() == before


@pytest.mark.skipif(cact.info()["backend"] != "c", reason="the NumPy backend has no threads of its own")
def test_training_takes_no_more_threads_than_the_kernels():
    network, seen = nn.mlp((4, 3, 2), "relu", rng=0), []

    class Watching(nn.SoftmaxCrossEntropy):
        def _forward(self, output, target, sample_weight):
            seen.extend(of_blas())
            return super()._forward(output, target, sample_weight)

    X, y = np.eye(4, dtype=np.float32), np.array([0, 1, 0, 1])
    with threadpoolctl.threadpool_limits(2, user_api="blas"), cact.num_threads(1):
        before = of_blas()
        nn.train(network, X, y, optimizer=nn.SGD(network, 0.1), loss=Watching(), epochs=1, batch_size=2)
        assert of_blas() == before
    assert set(seen) == {1}
