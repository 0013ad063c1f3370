"""A small multilayer perceptron: layers, losses, optimisers, initial weights, training.

>>> import numpy as np
>>> from cact import nn
>>> network = nn.mlp((2, 16, 2), "gelu", rng=0)
>>> X = np.random.default_rng(0).standard_normal((200, 2), dtype=np.float32)
>>> y = (X[:, 0] * X[:, 1] > 0).astype(int)
>>> history = nn.train(network, X, y, optimizer=nn.Adam(network, 0.02), epochs=30, batch_size=20, rng=0)
>>> bool(history.train_accuracy[-1] > 0.9)
True
"""

from . import init
from .dropout import Dropout
from .layers import Activation, Dense, Layer
from .losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    CallableLoss,
    Huber,
    Loss,
    Poisson,
    Quantile,
    SoftmaxCrossEntropy,
    SquaredError,
    get_loss,
)
from .network import Sequential, mlp
from .normalization import BatchNorm
from .optimizers import SGD, Adam, Optimizer
from .training import History, evaluate, train

__all__ = [
    "SGD",
    "AbsoluteError",
    "Activation",
    "Adam",
    "BatchNorm",
    "BinaryCrossEntropy",
    "CallableLoss",
    "Dense",
    "Dropout",
    "History",
    "Huber",
    "Layer",
    "Loss",
    "Optimizer",
    "Poisson",
    "Quantile",
    "Sequential",
    "SoftmaxCrossEntropy",
    "SquaredError",
    "evaluate",
    "get_loss",
    "init",
    "mlp",
    "train",
]
