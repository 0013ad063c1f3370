"""scikit-learn's multilayer perceptrons, with any activation in any layer.

>>> from cact.sklearn import MLPClassifier  # instead of sklearn.neural_network
>>> from sklearn.datasets import load_iris
>>> X, y = load_iris(return_X_y=True)
>>> model = MLPClassifier((32, 32), ["gelu", "tanh"], max_iter=300, random_state=0).fit(X, y)
>>> bool(model.score(X, y) > 0.95)
True
"""

from .._need import need

need("sklearn")

from ._classifier import MLPClassifier  # noqa: E402
from ._regressor import MLPRegressor  # noqa: E402

__all__ = ["MLPClassifier", "MLPRegressor"]
