"""The training loop: it learns, repeats to the bit, shuffles, stops, and says what broke."""

from __future__ import annotations

import math

import numpy as np
import pytest

import cact
from cact import nn


def blobs(n: int, seed: int = 0, dtype=np.float32) -> tuple[np.ndarray, np.ndarray]:
    """XOR of four round clouds, which no linear classifier tells apart; 4 sigma from the border."""
    rng = np.random.default_rng(seed)
    corner = rng.choice([-1, 1], size=(n, 2))
    X = corner + rng.standard_normal((n, 2)) / 4
    return X.astype(dtype), (corner[:, 0] == corner[:, 1]).astype(np.int64)


def fit(activation="tanh", *, seed=0, shuffle=0, epochs=3, dtype=np.float32, optimizer=None, **options):
    network = nn.mlp((2, 16, 16, 2), activation, rng=seed, dtype=dtype, **options)
    optimizer = optimizer or (lambda net: nn.SGD(net, 0.1, momentum=0.9))
    X, y = blobs(300, dtype=dtype)
    history = nn.train(
        network, X, y, optimizer=optimizer(network), epochs=epochs, batch_size=20, rng=shuffle,
        validation=blobs(300, seed=1, dtype=dtype),
    )  # fmt: skip
    return network, history


def weights(network: nn.Sequential) -> list[bytes]:
    return [param.tobytes() for _, param, _ in network.parameters()]


# ---------------------------------------------------------------------- learning
LEARNERS = {
    "relu, sgd": ("relu", {}),
    "tanh, sgd": ("tanh", {}),
    "gelu, nesterov": ("gelu", {"optimizer": lambda net: nn.SGD(net, 0.1, momentum=0.9, nesterov=True)}),
    "mish, adam": ("mish", {"optimizer": lambda net: nn.Adam(net, 0.01)}),
    "prelu, adam": ("prelu", {"optimizer": lambda net: nn.Adam(net, 0.01)}),
    "selu, dropout": ("selu", {"dropout": 0.1}),
    "sigmoid, batch norm": ("sigmoid", {"normalization": "batch"}),
    "gelu, layer norm": ("gelu", {"normalization": "layer"}),
    "float64": ("silu", {"dtype": np.float64}),
}


@pytest.mark.parametrize(("activation", "options"), LEARNERS.values(), ids=LEARNERS)
def test_learns_xor(activation, options):
    """The best possible is 0.9999 (Phi(4)^2 + Phi(-4)^2); a linear classifier has at most 0.75."""
    network, history = fit(activation, epochs=20, **options)
    assert history.val_accuracy[-1] >= 0.98
    assert history.train_loss[-1] < 0.25 * history.train_loss[0]
    for layer in network.activations:
        for value in layer.params.values():
            assert value != np.float32(0.25), "a learnable activation trains"


def test_a_linear_network_does_not():
    assert fit("identity", epochs=20)[1].val_accuracy[-1] < 0.8


def test_validation_is_evaluated_after_each_epoch():
    network, history = fit()
    assert history.epochs == len(history.val_loss) == len(history.val_accuracy) == 3
    X, y = blobs(300, seed=1)
    loss, accuracy = nn.evaluate(network, X, y)
    assert (loss, accuracy) == (history.val_loss[-1], history.val_accuracy[-1])
    logits = network.predict(X)
    assert accuracy == np.mean(logits.argmax(axis=1) == y)
    assert loss == pytest.approx(nn.SoftmaxCrossEntropy().forward(logits, y), rel=1e-6)
    assert nn.evaluate(network, X, y, batch_size=7)[0] == pytest.approx(loss, rel=1e-5)


def test_train_loss_is_the_mean_over_samples():
    """With a step too small to move a weight, every epoch's loss is the whole set's."""
    network = nn.mlp((2, 4, 2), "tanh", rng=0, dtype=np.float64)
    X, y = blobs(50, dtype=np.float64)
    expected = nn.evaluate(network, X, y)
    history = nn.train(
        network, X, y, optimizer=nn.SGD(network, 1e-300), epochs=2, batch_size=16, rng=0
    )  # the last batch has 2 rows
    assert history.train_loss == pytest.approx([expected[0]] * 2, rel=1e-13)
    assert history.train_accuracy == [expected[1]] * 2
    assert history.val_loss == history.val_accuracy == []


def test_training_is_forward_backward_step_on_shuffled_batches():
    X, y = blobs(50)
    networks = [nn.mlp((2, 8, 2), "gelu", normalization="batch", rng=0) for _ in range(2)]
    optimizers = [nn.SGD(network, 0.1, momentum=0.9) for network in networks]
    nn.train(networks[0], X, y, optimizer=optimizers[0], epochs=2, batch_size=20, rng=7)
    rng, loss = np.random.default_rng(7), nn.SoftmaxCrossEntropy()
    for _ in range(2):
        order = rng.permutation(50)
        for rows in (order[:20], order[20:40], order[40:]):
            loss.forward(networks[1].forward(X[rows], training=True), y[rows])
            networks[1].backward(loss.backward())
            optimizers[1].step()
    assert weights(networks[0]) == weights(networks[1])


# ---------------------------------------------------------------------- determinism
@pytest.mark.parametrize(
    "options",
    [{"dropout": 0.3}, {"normalization": "batch"}, {"optimizer": lambda net: nn.Adam(net, 0.01)}],
    ids=["dropout", "batch norm", "adam"],
)
def test_same_seeds_same_bits(options):
    first, second = fit("prelu", **options), fit("prelu", **options)
    assert weights(first[0]) == weights(second[0])
    assert first[1] == second[1]


def test_other_seeds_other_weights():
    base = weights(fit()[0])
    assert base != weights(fit(seed=1)[0])
    assert base != weights(fit(shuffle=1)[0])


@pytest.mark.parametrize("activation", ["prelu", "gelu", "sigmoid", "selu"])
def test_float32_is_kept(activation):
    network, _ = fit(activation, epochs=1, normalization="batch", dropout=0.1)
    assert all(a.dtype == np.float32 for a in network.outputs)
    for layer in network.layers:
        arrays = [*layer.params.values(), *layer.grads.values()]
        arrays += [a for a in vars(layer).values() if isinstance(a, np.ndarray)]
        assert all(a.dtype == np.float32 for a in arrays), layer


def test_patience_ends_training_and_asks_the_schedule():
    """A rate this small improves nothing by tol, so the epochs are those of the patience."""
    X, y = np.eye(4), np.arange(4)
    network = nn.mlp((4, 3, 4), "tanh", dtype=np.float64, rng=0)
    history = nn.train(
        network, X, y, optimizer=nn.SGD(network, 1e-9), epochs=50, batch_size=4, patience=3, tol=1e-3
    )
    assert history.epochs == 5  # the first is the best, then more than 3
    adaptive = nn.schedules.Adaptive(1e-9, factor=10, minimum=2e-11)
    optimizer = nn.SGD(network, adaptive)
    history = nn.train(network, X, y, optimizer=optimizer, epochs=50, batch_size=4, patience=3, tol=1e-3)
    assert history.epochs == 5 + 4 + 4  # 1e-9, 1e-10, 1e-11
    assert optimizer.lr == pytest.approx(1e-11)


def test_a_schedule_sets_the_rate_of_each_step():
    network = nn.mlp((4, 3, 4), "tanh", dtype=np.float64, rng=0)
    seen = []

    def rate(step):
        seen.append(step)
        return 0.1 / (1 + step)

    optimizer = nn.SGD(network, rate)
    nn.train(network, np.eye(4), np.arange(4), optimizer=optimizer, epochs=3, batch_size=2, rng=0)
    assert seen == [0, *range(6)]  # the constructor asks for the first
    assert optimizer.lr == 0.1 / 6


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"loss": "cross_entropy"}, "loss must be a Loss, such as .*, got 'cross_entropy'"),
        ({"loss": nn.SoftmaxCrossEntropy}, "loss must be a Loss, such as .*, got <class"),
        ({"optimizer": "adam"}, "optimizer must be an Optimizer, such as .*, got 'adam'"),
        ({"optimizer": nn.Adam}, "optimizer must be an Optimizer, such as .*, got <class"),
    ],
)
def test_names_and_classes_in_place_of_objects(given, words):
    network = nn.mlp((4, 3, 4), "tanh", dtype=np.float64, rng=0)
    with pytest.raises(TypeError, match=words):
        nn.train(
            network,
            np.eye(4),
            np.arange(4),
            **{"optimizer": nn.SGD(network, 0.1), "epochs": 1, "batch_size": 2, **given},
        )


# ---------------------------------------------------------------------- batches
class Recorder(nn.Layer):
    """Passes its input on and remembers the first column of every training batch."""

    def __init__(self):
        super().__init__()
        self.batches = []

    def _forward(self, x, training):
        if training:
            self.batches.append(x[:, 0].tolist())
        return x

    def _backward(self, dy, wanted):
        return dy


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"),
    [
        (10, 5, [5, 5]),
        (10, 4, [4, 4, 2]),
        (10, 3, [3, 3, 4]),
        (5, 100, [5]),
        (5, 4, [5]),
        (3, 1, [1, 1, 1]),
        (1, 4, [1]),
        (2, 1, [1, 1]),
    ],
)
def test_every_sample_once_an_epoch(n, batch_size, sizes):
    recorder = Recorder()
    network = nn.Sequential(recorder, nn.Dense(1, 2, rng=0))
    X = np.arange(n, dtype=np.float32)[:, None]
    nn.train(
        network, X, np.zeros(n, int), optimizer=nn.SGD(network, 1e-6), epochs=2, batch_size=batch_size, rng=0
    )
    assert [len(b) for b in recorder.batches] == sizes * 2
    rows = [row for batch in recorder.batches for row in batch]
    first, second = rows[:n], rows[n:]
    assert sorted(first) == sorted(second) == list(range(n))
    if n == 10:
        assert first != second, "each epoch has its own order"
        assert first != sorted(first)


def test_batch_norm_survives_a_single_row_left_over():
    network = nn.mlp((2, 4, 2), "relu", normalization="batch", rng=0)
    X, y = blobs(21)
    history = nn.train(network, X, y, optimizer=nn.SGD(network, 0.1), epochs=2, batch_size=10, rng=0)
    assert history.epochs == 2


def test_targets_stay_with_their_rows():
    """The class is the sign of x: one Dense layer learns it, and only from matching pairs."""
    network = nn.mlp((1, 2), "relu", rng=0, dtype=np.float64)
    X = np.linspace(-1, 1, 40)[:, None]
    y = (X[:, 0] > 0).astype(int)
    history = nn.train(network, X, y, optimizer=nn.SGD(network, 1.0), epochs=30, batch_size=8, rng=0)
    assert history.train_accuracy[-1] >= 0.95


@pytest.mark.parametrize("true", [bool, np.bool_])
def test_callback_sees_each_epoch_and_can_stop(true):
    network = nn.mlp((2, 4, 2), "relu", rng=0)
    seen = []

    def callback(epoch, net, history):
        assert net is network
        seen.append((epoch, history.epochs))
        return true(epoch == 2)

    X, y = blobs(40)
    history = nn.train(
        network, X, y, optimizer=nn.SGD(network, 0.1), epochs=10, batch_size=10, rng=0, callback=callback
    )
    assert seen == [(0, 1), (1, 2), (2, 3)]
    assert history.epochs == 3


def test_a_callback_can_replace_a_parameter():
    """Also by an array that is not contiguous; one of another shape is refused by its name."""
    X, y = blobs(40)

    def trained(replace):
        network = nn.mlp((2, 4, 2), "relu", rng=0)
        nn.train(
            network, X, y, optimizer=nn.SGD(network, 0.1), epochs=2, batch_size=10, rng=0,
            callback=lambda epoch, net, history: replace(net.layers[0].params),
        )  # fmt: skip
        return weights(network)

    def strided(params):
        params["bias"] = np.repeat(params["bias"], 2)[::2]

    def other(params):
        params["bias"] = np.zeros(3, np.float32)

    assert trained(strided) == trained(lambda params: None)
    with pytest.raises(ValueError, match=r"Dense\(2, 4\): bias must be an array of shape \(4,\)"):
        trained(other)


# ---------------------------------------------------------------------- what breaks
@pytest.mark.skipif(cact.info()["backend"] != "c", reason="only the C backend's threads are limited")
def test_what_stops_training_at_its_door_leaves_nothing_behind(monkeypatch):
    def interrupted(threads):
        raise KeyboardInterrupt

    monkeypatch.setattr(nn.training, "limited", interrupted)
    network, loss, before = nn.mlp((2, 4, 2), "relu", rng=0), nn.SoftmaxCrossEntropy(), np.geterr()
    X, y = blobs(40)
    with pytest.raises(KeyboardInterrupt):
        nn.train(network, X, y, optimizer=nn.SGD(network, 0.1), loss=loss, epochs=1, batch_size=10)
    after = np.geterr()
    np.seterr(**before)
    assert after == before
    assert all(part._kept is None for part in (*network.layers, loss))


def test_momentum_that_begins_before_a_divergence():
    """What is restored stays what it was, though the optimiser has a memory more."""
    network = nn.mlp((2, 4, 2), "relu", normalization="batch", rng=0)
    optimizer = nn.SGD(network, 0.1)

    def callback(epoch, net, history):
        optimizer.momentum = 0.9
        if epoch == 1:
            net.layers[0].params["weight"][...] = np.inf

    X, y = blobs(20)
    with pytest.raises(nn.NonFiniteError, match="epoch 2, step 0"):
        nn.train(network, X, y, optimizer=optimizer, epochs=5, batch_size=20, callback=callback)
    assert all(np.isfinite(param).all() for _, param, _ in network.parameters())
    assert np.isfinite(network.predict(X)).all()


def test_non_finite_loss_names_epoch_step_and_layer():
    network = nn.mlp((2, 4, 4, 2), "relu", rng=0)

    def spoil(epoch, net, history):
        if epoch == 1:
            net.layers[2].params["weight"][0, 0] = np.nan

    X, y = blobs(40)
    with pytest.raises(
        FloatingPointError,
        match=r"epoch 2, step 0: loss is nan; the first output not finite is layer 2's, Dense\(4, 4\)",
    ):
        nn.train(
            network, X, y, optimizer=nn.SGD(network, 0.1), epochs=5, batch_size=10, rng=0, callback=spoil
        )


@pytest.mark.parametrize("activation", ["relu", "prelu", "gelu", "identity"])
def test_divergence_raises_without_warnings(activation):
    network = nn.mlp((2, 8, 8, 2), activation, rng=0)
    X, y = blobs(200)
    with pytest.raises(FloatingPointError, match=r"epoch 0, step \d+: .*layer \d"):
        nn.train(network, X, y, optimizer=nn.SGD(network, 1e12), epochs=3, batch_size=10, rng=0)


def test_a_learnable_parameter_that_is_not_finite():
    network = nn.mlp((2, 4, 2), "prelu", rng=0)
    network.activations[0].params["weight"][...] = np.inf
    X, y = blobs(40)
    with pytest.raises(
        FloatingPointError, match=r"epoch 0, step 0: Activation\(prelu\): weight is not finite"
    ):
        nn.train(network, X, y, optimizer=nn.SGD(network, 0.1), epochs=1, batch_size=10, rng=0)


def test_the_last_step_is_looked_at_too():
    """Its update overflows, and there is no next step to notice."""
    network = nn.Sequential(nn.Dense(1, 2, init=lambda n, m, rng, dtype: np.ones((n, m), dtype), rng=0))
    before = network.layers[0].params["weight"].copy()
    X, y = np.array([[3e30], [-3e30]], np.float32), np.array([0, 1])
    with pytest.raises(nn.NonFiniteError, match=r"epoch 0, step 0: weight of Dense\(1, 2\) is not finite"):
        nn.train(network, X, y, optimizer=nn.SGD(network, 1e30), epochs=1, batch_size=2)
    np.testing.assert_array_equal(network.layers[0].params["weight"], before)


def test_running_averages_that_overflow_are_noticed():
    network = nn.Sequential(nn.BatchNorm(1), nn.Dense(1, 2, rng=0))
    X, y = np.array([[1e20], [-1e20]], np.float32), np.array([0, 1])
    with pytest.raises(nn.NonFiniteError, match=r"running_var of BatchNorm\(1\) is not finite"):
        nn.train(network, X, y, optimizer=nn.SGD(network, 0.1), epochs=1, batch_size=2)


def test_non_finite_loss_of_finite_outputs():
    network = nn.mlp((1, 2), "relu", rng=0)
    network.layers[0].params["weight"][:] = [[3e38, -3e38]]
    with pytest.raises(
        FloatingPointError, match="evaluate: loss is inf, though every layer's output is finite"
    ):
        nn.evaluate(network, np.ones((1, 1), np.float32), np.array([1]))


def test_non_finite_validation_loss():
    network = nn.mlp((2, 4, 2), "relu", rng=0)
    X, y = blobs(40)
    network.layers[0].params["weight"][:] = 1e30
    far = np.full((3, 2), 1e30, np.float32)
    with pytest.raises(FloatingPointError, match=r"epoch 0, validation: loss is nan.*layer 0"):
        nn.train(
            network, X / 1e30, y, optimizer=nn.SGD(network, 1e-3), epochs=1, batch_size=10, rng=0,
            validation=(far, y[:3]),
        )  # fmt: skip


X, Y = blobs(20)
BAD = {
    "features": (dict(X=X[:, :1]), ValueError, "train: X must have 2 features, as the network has, got 1"),
    "dtype": (dict(X=X.astype(float)), TypeError, "train: X must be float32, as the network is, got float64"),
    "list": (dict(X=X.tolist()), TypeError, "train: X must be a NumPy array, got list"),
    "nan": (
        dict(X=np.where(np.arange(40).reshape(20, 2) == 7, np.float32(np.nan), X)),
        ValueError,
        "train: X must be finite, got nan in row 3, column 1",
    ),
    "length": (dict(y=Y[:5]), ValueError, r"train: .*target must have shape \(20,\), got \(5,\)"),
    "class": (dict(y=Y + 1), ValueError, "train: .*target must be classes from 0 to 1, got 2"),
    "float target": (dict(y=Y.astype(float)), TypeError, "train: .*integer classes, got float64"),
    "empty": (dict(X=X[:0], y=Y[:0]), ValueError, "train: .*at least one sample"),
    "weights, list": (
        dict(sample_weight=[1.0] * 20), TypeError, "train: .*sample_weight must be a NumPy array, got list",
    ),
    "weights, dtype": (
        dict(sample_weight=np.ones(20)), TypeError, "train: .*sample_weight must be float32",
    ),
    "weights, length": (
        dict(sample_weight=np.ones(21, np.float32)), ValueError, r"train: .*weight must have shape \(20,\)",
    ),
    "weights below 0": (
        dict(sample_weight=-np.ones(20, np.float32)), ValueError, "train: .*sample_weight must be at least 0",
    ),
    "epochs": (dict(epochs=0), ValueError, "train: epochs must be at least 1, got 0"),
    "batch size": (dict(batch_size=2.5), TypeError, "train: batch_size must be an integer, got 2.5"),
    "validation": (dict(validation=X), TypeError, r"train: validation must be a pair \(X, y\)"),
    "validation features": (
        dict(validation=(X[:, :1], Y)), ValueError, "train: validation: X must have 2 features",
    ),
    "validation class": (
        dict(validation=(X, Y - 1)), ValueError, "train: validation: .*from 0 to 1, got -1",
    ),
    "optimizer": (
        dict(optimizer=nn.SGD(nn.mlp((2, 2), "relu"), 0.1)), ValueError, "not one of this network",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "error", "words"), BAD.values(), ids=BAD)
def test_errors_come_before_anything_changes(change, error, words):
    network = nn.mlp((2, 4, 2), "relu", rng=0)
    before = weights(network)
    rng = np.random.default_rng(0)
    state = rng.bit_generator.state
    given = dict(X=X, y=Y, optimizer=nn.SGD(network, 0.1), epochs=1, batch_size=5, rng=rng) | change
    with pytest.raises(error, match=words):
        nn.train(network, given.pop("X"), given.pop("y"), **given)
    assert weights(network) == before
    assert rng.bit_generator.state == state


def test_evaluate_errors():
    network = nn.mlp((2, 4, 2), "relu", rng=0)
    with pytest.raises(ValueError, match="evaluate: X must have 2 features"):
        nn.evaluate(network, X[:, :1], Y)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        nn.evaluate(network, X, Y, batch_size=0)
    assert not math.isnan(nn.evaluate(network, X, Y)[0])
