"""A step of training, and `fit`, beside other libraries: microseconds and ratios of one run.

    python benchmarks/training.py [--threads 1] [--peers numpy,torch,...] [--quick] [--json FILE]

Steps: forward, softmax cross-entropy, backward and Adam on a fixed batch in float32; a step gives its
loss as a number, and the new weights are there when it returns.  The matrix products alone, through
NumPy into preallocated arrays, are the limit of what stands on NumPy (torch and JAX bring products of
their own).  All contenders compute the same: unless the losses of four steps from the same weights
agree with NumPy's in float64 to 1e-4, nothing is printed.  A peer that is not installed is left out.

fit: an epoch of MLPClassifier on the digits, of cact.sklearn, of its bare steps on batches that lie
ready, and of scikit-learn.

Interleaved: in each round every contender starts from the same weights, warms up with two steps, and
runs about 5 ms of steps; the minimum counts.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import warnings
from collections.abc import Iterable
from functools import partial
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from timeit import Timer
from typing import Any

if __name__ == "__main__":  # OpenBLAS reads its variables when NumPy is loaded
    early = argparse.ArgumentParser(add_help=False)
    early.add_argument("--threads", default="1")
    for variable in [v for v in os.environ if v.startswith("OPENBLAS_")]:
        del os.environ[variable]
    os.environ["OPENBLAS_NUM_THREADS"] = early.parse_known_args()[0].threads

import numpy as np

import cact
from cact import nn
from cact._idioms import installed
from cact._measure import environment
from cact._peers import limit_threads
from cact.nn.training import Trainer

Array = np.ndarray[Any, Any]

NETS = {"784-256-128-10": 128, "64-32-32-10": 32}
ACTIVATIONS = ("relu", "gelu")
LR, B1, B2, EPS = 1e-3, 0.9, 0.999, 1e-8
TOLERANCE = 1e-4


class Missing(Exception):
    """What a contender lacks."""


class Problem:
    """A batch, and the weights that everyone starts from."""

    def __init__(self, sizes: list[int], batch: int, activation: str) -> None:
        random = np.random.default_rng(0)
        self.sizes, self.activation = sizes, activation
        self.x = random.normal(0, 1, (batch, sizes[0])).astype(np.float32)
        self.y = random.integers(0, sizes[-1], batch)
        self.y[: sizes[-1]] = np.arange(sizes[-1])[:batch]  # every class occurs
        self.weights, self.biases = [], []
        for n, m in pairwise(sizes):
            self.weights.append(random.normal(0, math.sqrt(2 / n), (n, m)).astype(np.float32))
            self.biases.append(random.normal(0, 0.1, m).astype(np.float32))


class Contender:
    """`start` takes the problem's weights and forgets the moments; `step` gives the loss before it."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    def start(self) -> None:
        pass

    def step(self) -> float:
        raise NotImplementedError

    def run(self, n: int) -> float:
        loss = math.nan
        for _ in range(n):
            loss = self.step()
        return loss


class Products(Contender):
    """The matrix products of forward and backward alone."""

    def __init__(self, problem: Problem) -> None:
        random, sizes = np.random.default_rng(1), problem.sizes
        a = [random.normal(0, 1, (len(problem.x), n)).astype(np.float32) for n in sizes]
        z, dz = ([np.empty_like(one) for one in a] for _ in range(2))
        self.products: list[tuple[Array, Array, Array]] = []
        for i, w in enumerate(problem.weights):
            self.products.append((a[i], w, z[i + 1]))
            self.products.append((a[i].T, a[i + 1], np.empty_like(w)))
            if i:
                self.products.append((a[i + 1], w.T, dz[i]))

    def step(self) -> float:
        for a, b, out in self.products:
            np.matmul(a, b, out=out)
        return math.nan


class Cact(Contender):
    def start(self) -> None:
        problem = self.problem
        network = nn.mlp(problem.sizes, problem.activation, rng=0)
        dense = [layer for layer in network.layers if isinstance(layer, nn.Dense)]
        for layer, w, b in zip(dense, problem.weights, problem.biases):
            layer.params["weight"][...], layer.params["bias"][...] = w, b
        optimizer = nn.Adam(network, LR, (B1, B2), EPS)
        self.trainer = Trainer(network, nn.SoftmaxCrossEntropy(), optimizer)

    def run(self, n: int) -> float:
        x, y, loss = self.problem.x, self.problem.y, math.nan
        with self.trainer:
            for _ in range(n):
                loss = self.trainer.step(x, y)
        return loss


def math_erf(x: Array, out: Array) -> Array:
    """For those who have no SciPy."""
    out[...] = np.vectorize(math.erf, [x.dtype])(x)
    return out


try:
    from scipy.special import erf
except ImportError:
    erf = math_erf


class NumPy(Contender):
    """Everything preallocated; the parameters lie in one array, for Adam; gelu with SciPy's erf."""

    def __init__(self, problem: Problem, dtype: type = np.float32) -> None:
        super().__init__(problem)
        n, sizes = len(problem.x), problem.sizes
        self.x, self.rows = problem.x.astype(dtype), np.arange(n)
        total = sum((i + 1) * o for i, o in pairwise(sizes))
        self.flat, self.grad, self.m, self.v, self.t = (np.empty(total, dtype) for _ in range(5))
        self.params, self.grads = self.views(self.flat), self.views(self.grad)
        self.z, self.a, self.d, self.cdf, self.u = (
            [np.empty((n, k), dtype) for k in sizes[1:]] for _ in range(5)
        )
        self.mask = [np.empty((n, k), bool) for k in sizes[1:]]
        relu = problem.activation == "relu"
        self.f, self.df = (self.relu, self.drelu) if relu else (self.gelu, self.dgelu)

    def views(self, flat: Array) -> list[tuple[Array, Array]]:
        found, start = [], 0
        for n, m in pairwise(self.problem.sizes):
            end = start + n * m
            found.append((flat[start:end].reshape(n, m), flat[end : end + m]))
            start = end + m
        return found

    def start(self) -> None:
        for (w, b), w0, b0 in zip(self.params, self.problem.weights, self.problem.biases):
            w[...], b[...] = w0, b0
        self.m[...] = self.v[...] = 0
        self.steps = 0

    def relu(self, i: int) -> None:
        np.maximum(self.z[i], 0, out=self.a[i])

    def drelu(self, i: int) -> None:
        self.d[i] *= np.greater(self.z[i], 0, out=self.mask[i])

    def gelu(self, i: int) -> None:
        cdf = np.multiply(self.z[i], math.sqrt(0.5), out=self.cdf[i])
        erf(cdf, out=cdf)
        cdf += 1
        cdf *= 0.5
        np.multiply(self.z[i], cdf, out=self.a[i])

    def dgelu(self, i: int) -> None:
        u = np.multiply(self.z[i], self.z[i], out=self.u[i])
        u *= -0.5
        np.exp(u, out=u)
        u *= 1 / math.sqrt(2 * math.pi)
        u *= self.z[i]
        u += self.cdf[i]
        self.d[i] *= u

    def step(self) -> float:
        y, n, inputs = self.problem.y, len(self.x), [self.x, *self.a]
        for i, (w, b) in enumerate(self.params):
            np.matmul(inputs[i], w, out=self.z[i])
            self.z[i] += b
            if i + 1 < len(self.params):
                self.f(i)
        p, d = self.z[-1], self.d[-1]
        np.subtract(p, p.max(axis=1, keepdims=True), out=p)
        np.exp(p, out=d)
        total = d.sum(axis=1, keepdims=True)
        loss = float(np.log(total).mean() - p[self.rows, y].mean())
        d /= total
        d[self.rows, y] -= 1
        d *= 1 / n
        for i in reversed(range(len(self.params))):
            w, (dw, db) = self.params[i][0], self.grads[i]
            np.matmul(inputs[i].T, self.d[i], out=dw)
            self.d[i].sum(axis=0, out=db)
            if i:
                np.matmul(self.d[i], w.T, out=self.d[i - 1])
                self.df(i - 1)
        self.adam()
        return loss

    def adam(self) -> None:
        self.steps += 1
        g, t, root = self.grad, self.t, math.sqrt(1 - B2**self.steps)
        self.m *= B1
        self.m += np.multiply(g, 1 - B1, out=t)
        np.multiply(g, g, out=t)
        t *= 1 - B2
        self.v *= B2
        self.v += t
        np.sqrt(self.v, out=t)
        t += EPS * root
        np.divide(self.m, t, out=t)
        t *= LR * root / (1 - B1**self.steps)
        self.flat -= t


class ScikitLearn(Contender):
    """What its fit does with a batch that lies ready: `_backprop`, then the optimiser's `update_params`."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        if problem.activation != "relu" or problem.sizes[-1] < 3:
            raise Missing("has no gelu, and for two classes another output")
        from sklearn.neural_network import MLPClassifier

        hidden = problem.sizes[1:-1]
        self.model = MLPClassifier(hidden, alpha=0.0, batch_size=len(problem.x), random_state=0)
        self.model.partial_fit(problem.x, problem.y, classes=np.arange(problem.sizes[-1]))
        self.y = self.model._label_binarizer.transform(problem.y).astype(bool)

    def start(self) -> None:
        from sklearn.neural_network._stochastic_optimizers import AdamOptimizer

        problem, model = self.problem, self.model
        model.coefs_ = [w.copy() for w in problem.weights]
        model.intercepts_ = [b.copy() for b in problem.biases]
        self.params = model.coefs_ + model.intercepts_
        self.optimizer = AdamOptimizer(self.params, LR, B1, B2, EPS)
        layers = len(problem.weights)
        self.lists: list[list[Any]] = [[None] * layers for _ in range(4)]

    def step(self) -> float:
        deltas, dw, db, activations = self.lists
        x = self.problem.x
        loss, dw, db = self.model._backprop(x, self.y, None, [x, *activations], deltas, dw, db)
        self.optimizer.update_params(self.params, dw + db)
        return float(loss)


class Torch(Contender):
    """torch as its tutorials have it."""

    fused: bool | None = None

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        import torch

        self.torch, self.x, self.y = torch, torch.from_numpy(problem.x), torch.from_numpy(problem.y)

    def start(self) -> None:
        torch, problem = self.torch, self.problem
        activation = {"relu": torch.nn.ReLU, "gelu": torch.nn.GELU}[problem.activation]
        layers: list[Any] = []
        for w, b in zip(problem.weights, problem.biases):
            layers += [torch.nn.Linear(*w.shape), activation()]
            with torch.no_grad():
                layers[-2].weight.copy_(torch.from_numpy(w.T))
                layers[-2].bias.copy_(torch.from_numpy(b))
        self.network = torch.nn.Sequential(*layers[:-1])
        self.optimizer = torch.optim.Adam(self.network.parameters(), LR, (B1, B2), EPS, fused=self.fused)

    def step(self) -> float:
        self.optimizer.zero_grad()
        loss = self.torch.nn.functional.cross_entropy(self.network(self.x), self.y)
        loss.backward()
        self.optimizer.step()
        return float(loss.item())


class TorchFused(Torch):
    """The same with Adam in one kernel."""

    fused = True


class TorchCompile(Torch):
    """The whole step as one graph: gradients by torch.func, Adam in place."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        torch, F = self.torch, self.torch.nn.functional
        f = getattr(F, problem.activation)

        def loss_of(params: Any, x: Any, y: Any) -> Any:
            for w, b in params[:-1]:
                x = f(F.linear(x, w, b))
            return F.cross_entropy(F.linear(x, *params[-1]), y)

        def step(params: Any, first: Any, second: Any, steps: Any, x: Any, y: Any) -> Any:
            grads, loss = torch.func.grad_and_value(loss_of)(params, x, y)
            steps += 1
            root = (1 - B2**steps).sqrt()
            rate = LR * root / (1 - B1**steps)
            for p, g, m, v in zip(*(sum(t, ()) for t in (params, grads, first, second))):
                m.mul_(B1).add_(g, alpha=1 - B1)
                v.mul_(B2).addcmul_(g, g, value=1 - B2)
                p.sub_(rate * m / (v.sqrt() + EPS * root))
            return loss

        torch._dynamo.reset()
        self.compiled = torch.compile(step, fullgraph=True, dynamic=False)

    def start(self) -> None:
        torch, problem = self.torch, self.problem
        pairs = list(zip(problem.weights, problem.biases))
        params = tuple((torch.tensor(w.T.copy()), torch.tensor(b)) for w, b in pairs)
        first, second = (tuple(tuple(map(torch.zeros_like, pair)) for pair in params) for _ in range(2))
        self.state = params, first, second, torch.zeros(())

    def step(self) -> float:
        with self.torch.no_grad():
            return float(self.compiled(*self.state, self.x, self.y).item())


class Jax(Contender):
    """The whole step jitted, its state donated."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        import jax

        self.jax, jnp = jax, jax.numpy
        f = jax.nn.relu if problem.activation == "relu" else partial(jax.nn.gelu, approximate=False)

        def loss_of(params: Any, x: Any, y: Any) -> Any:
            for w, b in params[:-1]:
                x = f(x @ w + b)
            w, b = params[-1]
            return -jnp.take_along_axis(jax.nn.log_softmax(x @ w + b), y[:, None], 1).mean()

        def step(state: Any, x: Any, y: Any) -> Any:
            params, m, v, steps = state
            loss, grads = jax.value_and_grad(loss_of)(params, x, y)
            steps = steps + 1
            root = jnp.sqrt(1 - B2**steps)
            rate = LR * root / (1 - B1**steps)
            m = jax.tree.map(lambda m, g: B1 * m + (1 - B1) * g, m, grads)
            v = jax.tree.map(lambda v, g: B2 * v + (1 - B2) * g * g, v, grads)
            new = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + EPS * root), params, m, v)
            return (new, m, v, steps), loss

        self.compiled = jax.jit(step, donate_argnums=0)
        self.x, self.y = jnp.array(problem.x), jnp.array(problem.y.astype(np.int32))

    def start(self) -> None:
        jnp, problem = self.jax.numpy, self.problem
        params = [(jnp.array(w), jnp.array(b)) for w, b in zip(problem.weights, problem.biases)]
        first, second = ([(jnp.zeros_like(w), jnp.zeros_like(b)) for w, b in params] for _ in range(2))
        self.state = params, first, second, jnp.float32(0)

    def step(self) -> float:
        self.state, loss = self.jax.block_until_ready(self.compiled(self.state, self.x, self.y))
        return float(loss)


#: The peers: what they need, and their contender.
PEERS: dict[str, tuple[str, type[Contender]]] = {
    "numpy": ("numpy", NumPy),
    "sklearn": ("sklearn", ScikitLearn),
    "torch": ("torch", Torch),
    "torch_fused": ("torch", TorchFused),
    "torch_compile": ("torch", TorchCompile),
    "jax": ("jax", Jax),
}


# ---------------------------------------------------------------------- fit
class Fit:
    """A fit of n epochs by either library, which never ends before."""

    def __init__(self, estimator: type, X: Array, y: Array, batch: int) -> None:
        settings = {"batch_size": batch, "random_state": 0, "tol": 0.0, "n_iter_no_change": 10**6}
        self.make, self.data = partial(estimator, (100,), **settings), (X, y)

    def start(self) -> None:
        pass

    def run(self, n: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not converged
            self.make(max_iter=n).fit(*self.data)


class Steps:
    """The steps of cact's fit alone: the batches lie ready, nothing is shuffled."""

    def __init__(self, X: Array, y: Array, batch: int) -> None:
        starts = range(0, len(X), batch)
        self.batches = [(X[i : i + batch].copy(), y[i : i + batch].copy()) for i in starts]
        self.sizes, self.dtype, self.decay = (X.shape[1], 100, 10), X.dtype, 1e-4 / batch

    def start(self) -> None:
        network = nn.mlp(self.sizes, "relu", rng=0, dtype=self.dtype)
        optimizer = nn.Adam(network, LR, (B1, B2), EPS, weight_decay=self.decay, eps_hat=True)
        self.trainer = Trainer(network, nn.SoftmaxCrossEntropy(), optimizer)

    def run(self, n: int) -> None:
        for _ in range(n):
            with self.trainer:
                for x, y in self.batches:
                    self.trainer.step(x, y)


# ---------------------------------------------------------------------- measuring
def verify(contenders: dict[str, Contender], problem: Problem) -> None:
    """Refuse contenders that compute something else."""

    def losses(contender: Contender) -> Array:
        contender.start()
        return np.array([contender.run(1) for _ in range(4)])

    wanted = losses(NumPy(problem, np.float64))
    for name, contender in contenders.items():
        if name != "products":
            found = losses(contender)
            if not np.allclose(found, wanted, rtol=TOLERANCE, atol=0):
                sys.exit(f"{name} computes something else: losses {found}, not {wanted}")


def measure(contenders: dict[str, Any], rounds: int, title: str, number: int = 0) -> dict[str, float]:
    """us per step (or epoch) of each; `number` of them in a round, or as many as take 5 ms."""
    numbers, best = {}, dict.fromkeys(contenders, math.inf)
    for name, contender in contenders.items():
        contender.start()
        contender.run(2)
        once = Timer(partial(contender.run, 2)).timeit(1) / 2
        numbers[name] = number or max(1, min(100, round(5e-3 / once)))
    for done in range(rounds):
        print(f"\r{title}: round {done + 1} of {rounds} ", end="", file=sys.stderr, flush=True)
        first = done % len(contenders)
        order = [*contenders][first:] + [*contenders][:first]
        for name in reversed(order) if done % 2 else order:  # whom one runs after changes
            contender, n = contenders[name], numbers[name]
            contender.start()
            contender.run(2)
            best[name] = min(best[name], Timer(partial(contender.run, n)).timeit(1) / n * 1e6)
    print("\r" + " " * 60, end="\r", file=sys.stderr)
    return best


def steps(net: str, batch: int, peers: Iterable[str], rounds: int) -> list[dict[str, Any]]:
    """Measure and print a net with each activation."""
    cells = []
    for activation in ACTIVATIONS:
        problem = Problem([int(n) for n in net.split("-")], batch, activation)
        contenders: dict[str, Contender] = {"products": Products(problem), "cact": Cact(problem)}
        for peer in peers:
            try:
                contenders[peer] = PEERS[peer][1](problem)
            except Missing:
                continue
        verify(contenders, problem)
        times = measure(contenders, rounds, f"{net}, {activation}")
        cell = {"net": net, "batch": batch, "activation": activation, "us": times}
        if best := min(contenders.keys() - {"products", "cact"}, key=lambda name: times[name], default=None):
            cell |= {"best_peer": best, "ratio": times[best] / times["cact"]}
        cells.append(cell)
    heads = (f"{c['activation']:>12}{'/ products':>12}" for c in cells)
    print(f"\n{f'{net}, batch {batch}':24}" + "".join(heads))
    for name in ("products", "cact", *peers):
        us = [(c["us"].get(name), c["us"]["products"]) for c in cells]
        texts = (f"{'-':>12}{'':12}" if t is None else f"{t:9.1f} us{t / limit:12.2f}" for t, limit in us)
        print(f"{name:24}" + "".join(texts))
    if "ratio" in cells[0]:
        texts = (f"{c['ratio']:8.2f}  {c['best_peer']:14}" for c in cells if "ratio" in c)
        print(f"{'best peer / cact':24}" + "".join(texts))
    return cells


def fits(quick: bool, rounds: int) -> list[dict[str, Any]]:
    """Measure and print the fits on the digits."""
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    import cact.sklearn

    X, y = load_digits(return_X_y=True)
    X = (X - X.mean(axis=0)) / np.where(X.std(axis=0) > 0, X.std(axis=0), 1)
    epochs, cells = 2 if quick else 40, []
    heads = ("fit", "fit / steps", "sklearn's fit", "/ cact's")
    print(f"\n{'digits, 64-100-10, relu':24}{'steps':>12}" + "".join(f"{head:>15}" for head in heads))
    for dtype in ("float32", "float64"):
        for batch in (200, 32):
            data = X.astype(dtype)
            contenders = {
                "steps": Steps(data, y, batch),
                "fit": Fit(cact.sklearn.MLPClassifier, data, y, batch),
                "sklearn": Fit(MLPClassifier, data, y, batch),
            }
            us = measure(contenders, rounds, f"fit, {dtype}, batch {batch}", epochs)
            bare, ours, theirs = us.values()
            times = f"{bare:9.0f} us{ours:12.0f} us{ours / bare:15.2f}{theirs:12.0f} us{theirs / ours:15.2f}"
            print(f"{f'{dtype}, batch {batch}':24}{times}")
            ratios = {"fit / steps": ours / bare, "sklearn / fit": theirs / ours}
            cells.append({"dtype": dtype, "batch": batch, "epochs": epochs, "us": us, "ratios": ratios})
    return cells


def about(peers: Iterable[str], threads: int) -> dict[str, Any]:
    """The environment, with the peers' versions and the BLAS libraries that are loaded."""
    found = environment(threads=threads)
    modules = ["scipy", "sklearn", *dict.fromkeys(PEERS[peer][0] for peer in peers)]
    packages = {"sklearn": "scikit-learn"}
    found["versions"] |= {m: metadata.version(packages.get(m, m)) for m in modules if installed(m)}
    found["blas"] = []
    if installed("threadpoolctl"):
        from threadpoolctl import threadpool_info

        keys = ("internal_api", "version", "architecture", "num_threads")
        pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
        for pool in pools:  # the wheels keep theirs in numpy.libs and scipy.libs
            place = Path(pool["filepath"]).parent.name.removesuffix(".libs")
            found["blas"].append({"of": place, **{key: pool.get(key) for key in keys}})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=1, help="of cact and of every peer; default: 1")
    parser.add_argument("--peers", default=",".join(PEERS), help="default: %(default)s; empty for none")
    parser.add_argument("--net", help="another net, such as 64-100-10, in place of the two")
    parser.add_argument("--batch", type=int, default=32, help="of that net; default: 32")
    parser.add_argument("--parts", default="steps,fit", help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=40, help="of steps, twice those of fit; default: 40")
    parser.add_argument("--quick", action="store_true", help="3 rounds, fits of 2 epochs")
    parser.add_argument("--json", metavar="FILE", help="keep the result")
    options = parser.parse_args()
    rounds = 3 if options.quick else max(1, options.rounds)
    asked = [p for p in options.peers.split(",") if p]
    if unknown := [p for p in asked if p not in PEERS]:
        parser.error(f"no peer {', '.join(unknown)}; there are {', '.join(PEERS)}")
    peers = [p for p in asked if installed(PEERS[p][0])]
    parts = options.parts.split(",")

    limit_threads(options.threads)
    cact.set_num_threads(options.threads)
    if "torch" in [PEERS[p][0] for p in peers]:
        import torch

        torch.set_num_threads(options.threads)
    result = {"environment": about(peers, options.threads), "rounds": rounds, "steps": [], "fit": []}
    environ = result["environment"]
    print(f"{environ['cpu']}; threads: {options.threads}; cact's kernels: {environ['cact']['isa']}")
    print(", ".join(f"{name} {version}" for name, version in environ["versions"].items()))
    for pool in environ["blas"]:
        print("BLAS of {of}: {internal_api} {version}, {architecture}, threads: {num_threads}".format(**pool))
    if left := [p for p in asked if p not in peers]:
        print(f"not installed: {', '.join(left)}")
    if "steps" in parts:
        nets = {options.net: options.batch} if options.net else NETS
        for net, batch in nets.items():
            result["steps"] += steps(net, batch, peers, rounds)
    if "fit" in parts:
        if installed("sklearn"):
            result["fit"] = fits(options.quick, max(3, rounds // 2))
        else:
            print("\nfit: scikit-learn is not installed")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
