"""A training that is interrupted and resumed has the bits of one that was not.

1. Two fits of 10 epochs with `warm_start`, with a pickle in between, against one of 20.
2. A process that trains with a checkpoint is killed in the middle of an epoch, without a chance to clean up.
   The same call goes on from the file, against one that was never killed. Dropout, the order of the rows
   and Adam's moments all have to go on for that.

Expect "the same bits" twice.

    python examples/resume.py
"""

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from cact.sklearn import MLPClassifier

parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
parser.add_argument("--die", nargs=2, metavar=("CHECKPOINT", "STEP"), help=argparse.SUPPRESS)
arguments = parser.parse_args()

warnings.simplefilter("ignore", ConvergenceWarning)  # so few epochs are meant

X, y = load_digits(return_X_y=True)
X = X / 16
settings = {
    "hidden_layer_sizes": (64, 32),
    "activation": ["gelu", "prelu"],
    "dropout": 0.1,
    "random_state": 0,
}


def rate(step: int) -> float:
    """The learning rate; and, in the process that is to be killed, the end."""
    if arguments.die and step == int(arguments.die[1]):
        os._exit(9)  # as a kill does: nothing is cleaned up
    return 0.005 / (1 + step / 100)


def same_bits(a: MLPClassifier, b: MLPClassifier) -> str:
    pairs = zip(a.network_.parameters(), b.network_.parameters())
    same = all(np.array_equal(mine, its) for (_, mine, _), (_, its, _) in pairs)
    return "the same bits" if same and a.loss_curve_ == b.loss_curve_ else "OTHER BITS"


def train(checkpoint: str | None) -> MLPClassifier:
    """20 epochs of 9 steps, with a checkpoint after every 5 of these."""
    model = MLPClassifier(
        learning_rate=rate, max_iter=20, checkpoint=checkpoint, checkpoint_every=5, **settings
    )
    return model.fit(X, y)


if arguments.die:
    train(arguments.die[0])
    sys.exit("this process should have ended before")

half = MLPClassifier(max_iter=10, warm_start=True, **settings).fit(X, y)
half = pickle.loads(pickle.dumps(half)).fit(X, y)
whole = MLPClassifier(max_iter=20, **settings).fit(X, y)
print(f"warm start, 10 + 10 epochs against 20: {same_bits(half, whole)}")

with tempfile.TemporaryDirectory() as folder:
    file = Path(folder, "training.checkpoint")
    died = subprocess.run([sys.executable, __file__, "--die", str(file), "103"], check=False)
    print(f"killed in step 103, status {died.returncode}; the checkpoint has {file.stat().st_size} bytes")
    resumed = train(str(file))
    print(f"resumed from the checkpoint against never killed: {same_bits(resumed, train(None))}")
    print(f"the checkpoint is {'still there' if file.exists() else 'gone: training is done'}")
