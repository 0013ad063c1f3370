"""Which activation suits the data? A grid search over names, bound parameters and lists per layer.

scikit-learn's GridSearchCV with cact's classifier in a pipeline, on the breast cancer data. Activations are a
parameter as any other.

Expect a table, best first, whose differences are mostly smaller than the spread over the folds: then the
data do not say which is best. `cact.compare` (python -m cact compare breast_cancer) has a table that judges
this with repeated splits and seeds.

    python examples/choosing_an_activation.py            # prints
    python examples/choosing_an_activation.py --plot     # saves choosing_an_activation.png beside this script
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import cact
from cact.sklearn import MLPClassifier

parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
parser.add_argument("--plot", action="store_true", help="save a picture of the scores")
parser.add_argument("--folds", type=int, default=3)
arguments = parser.parse_args()

X, y = load_breast_cancer(return_X_y=True)
candidates = {
    "identity": "identity",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "leaky_relu 0.2": cact.get("leaky_relu", negative_slope=0.2),
    "gelu": "gelu",
    "mish": "mish",
    "prelu": "prelu",
    "swiglu": "swiglu",
    "gelu, tanh": ["gelu", "tanh"],
}
model = MLPClassifier((32, 16), learning_rate_init=0.005, early_stopping=True, random_state=0)
search = GridSearchCV(
    make_pipeline(StandardScaler(), model),
    {"mlpclassifier__activation": list(candidates.values())},
    scoring="neg_log_loss",
    cv=StratifiedKFold(arguments.folds, shuffle=True, random_state=0),
).fit(X, y)

names = list(candidates)
mean, spread = -search.cv_results_["mean_test_score"], search.cv_results_["std_test_score"]
order = np.argsort(mean)
print(f"log loss over {arguments.folds} folds")
print("activation       mean     sd")
for i in order:
    print(f"{names[i]:14}  {mean[i]:.4f}  {spread[i]:.4f}")
best = order[0]
near = [names[i] for i in order[1:] if mean[i] - mean[best] < spread[best]]
print(f"best: {names[best]}; within one sd of it: {', '.join(near) or 'none'}")

if arguments.plot:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.errorbar(mean[order], np.arange(len(order)), xerr=spread[order], fmt="o")
    plt.yticks(np.arange(len(order)), [names[i] for i in order])
    plt.gca().invert_yaxis()
    plt.xlabel(f"log loss, mean and sd over {arguments.folds} folds")
    plt.savefig(Path(__file__).with_suffix(".png"), dpi=120, bbox_inches="tight")
