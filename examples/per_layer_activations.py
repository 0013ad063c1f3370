"""A different activation in each hidden layer, on scikit-learn's digits.

The same network with two hidden layers is trained with several pairs of activations: names, one with its
parameter bound, one that learns, one that is gated and hands on half of its units, and one of our own.

Expect a table of test accuracies, all above 0.95 and too near each other to rank from one run, and the
slopes and factors that the learnable ones have arrived at.

    python examples/per_layer_activations.py            # prints
    python examples/per_layer_activations.py --plot     # saves per_layer_activations.png beside this script
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import cact
from cact.sklearn import MLPClassifier

parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
parser.add_argument("--plot", action="store_true", help="save a picture of the loss curves")
arguments = parser.parse_args()

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

# f and f' of an activation of our own; by name from then on
cact.register("bent", lambda x: x + np.sin(x), lambda x: 1 + np.cos(x))

layers = {
    "relu, relu": "relu",  # one for all, as in scikit-learn
    "gelu, tanh": ["gelu", "tanh"],
    "leaky_relu 0.2, mish": [cact.get("leaky_relu", negative_slope=0.2), "mish"],
    "prelu, swish": ["prelu", "swish"],
    "swiglu, silu": ["swiglu", "silu"],
    "bent, relu": ["bent", "relu"],
}

models = {}
print(f"{'hidden layers':22}  test accuracy  epochs")
for name, activation in layers.items():
    model = MLPClassifier((64, 32), activation, learning_rate_init=0.005, random_state=0)
    models[name] = model.fit(X_train, y_train)
    print(f"{name:22}  {model.score(X_test, y_test):13.3f}  {model.n_iter_:6}")

print("learned:")
for layer in models["prelu, swish"].network_.activations:
    for parameter, value in layer.params.items():
        start = layer.activation.params[parameter]
        print(
            f"  {layer.activation.name} {parameter}: {float(start):.3g} at the start, {float(value):.3g} now"
        )

if arguments.plot:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    for name, model in models.items():
        plt.semilogy(model.loss_curve_, label=name)
    plt.xlabel("epoch")
    plt.ylabel("training loss")
    plt.legend()
    plt.savefig(Path(__file__).with_suffix(".png"), dpi=120, bbox_inches="tight")
