"""A small multilayer perceptron: layers, losses, optimisers, schedules, initial weights, training.

>>> import numpy as np
>>> from cact import nn
>>> network = nn.mlp((2, 16, 2), "gelu", rng=0)
>>> X = np.random.default_rng(0).standard_normal((200, 2), dtype=np.float32)
>>> y = (X[:, 0] * X[:, 1] > 0).astype(int)
>>> history = nn.train(network, X, y, optimizer=nn.Adam(network, 0.02), epochs=30, batch_size=20, rng=0)
>>> bool(history.train_accuracy[-1] > 0.9)
True
"""

from . import init, schedules
from ._validate import NonFiniteError
from .checkpoints import Checkpoint
from .dropout import AlphaDropout, Dropout
from .layers import Activation, Dense, Layer
from .lbfgs import LBFGS
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
from .normalization import BatchNorm, LayerNorm
from .optimizers import SGD, Adam, AdamW, Optimizer, RMSProp
from .training import History, evaluate, train

__all__ = [
    "LBFGS",
    "SGD",
    "AbsoluteError",
    "Activation",
    "Adam",
    "AdamW",
    "AlphaDropout",
    "BatchNorm",
    "BinaryCrossEntropy",
    "CallableLoss",
    "Checkpoint",
    "Dense",
    "Dropout",
    "History",
    "Huber",
    "Layer",
    "LayerNorm",
    "Loss",
    "NonFiniteError",
    "Optimizer",
    "Poisson",
    "Quantile",
    "RMSProp",
    "Sequential",
    "SoftmaxCrossEntropy",
    "SquaredError",
    "evaluate",
    "get_loss",
    "init",
    "mlp",
    "schedules",
    "train",
]
