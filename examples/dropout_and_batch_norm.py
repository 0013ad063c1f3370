"""What dropout and batch norm do for a network that is too large, and for one that is too deep.

1. Too large: three layers of 128 units see 300 of the digits, so they can learn them by heart. Dropout makes
   that harder.
2. Too deep: with eight layers of sigmoids next to nothing of the gradient arrives at the first one. Batch
   norm before each activation lets it through.

Expect the training loss of the first network to be several times as large with dropout as without, and its
validation loss the lower of the two; and the second network to be at chance (0.1) without batch norm, its
gradient having shrunk about a million times, and far above with it.

    python examples/dropout_and_batch_norm.py            # prints
    python examples/dropout_and_batch_norm.py --plot     # saves dropout_and_batch_norm.png beside this script
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from cact.sklearn import MLPClassifier

parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
parser.add_argument("--plot", action="store_true", help="save a picture of the validation losses")
arguments = parser.parse_args()

# the number of epochs is fixed, so that the curves compare; that they have not converged is known
warnings.simplefilter("ignore", ConvergenceWarning)

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
few, other, y_few, y_other = train_test_split(X, y, train_size=300, stratify=y, random_state=0)

print("Too large: 3 x 128 gelu, 300 samples, 60 epochs")
print("dropout  training loss  validation loss  validation accuracy")
curves = {}
for dropout in (0.0, 0.3, 0.5):
    model = MLPClassifier(
        (128, 128, 128),
        "gelu",
        dropout=dropout,
        batch_size=32,
        max_iter=60,
        n_iter_no_change=60,
        random_state=0,
    )
    model.fit(few, y_few, X_val=other, y_val=y_other)
    curves[f"dropout {dropout}"] = model.validation_loss_curve_
    loss, val_loss = model.loss_, model.validation_loss_curve_[-1]
    print(f"{dropout:7}  {loss:13.4f}  {val_loss:15.4f}  {model.score(other, y_other):19.3f}")

print("Too deep: 8 x 32 sigmoid, 20 epochs")
print("normalization  gradient first/last  accuracy")
for normalization in (None, "batch"):
    model = MLPClassifier(
        (32,) * 8,
        "sigmoid",
        normalization=normalization,
        learning_rate_init=0.005,
        max_iter=20,
        n_iter_no_change=20,
        diagnostics=True,
        random_state=0,
    )
    model.fit(other, y_other)
    flow = model.diagnostics_[0]["gradient_flow"][0]  # in the first epoch
    print(f"{normalization!s:13}  {flow:19.1e}  {model.score(few, y_few):8.3f}")

if arguments.plot:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    for name, curve in curves.items():
        plt.plot(curve, label=name)
    plt.xlabel("epoch")
    plt.ylabel("validation loss")
    plt.legend()
    plt.savefig(Path(__file__).with_suffix(".png"), dpi=120, bbox_inches="tight")
