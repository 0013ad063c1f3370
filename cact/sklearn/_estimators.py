"""`MLPClassifier` and `MLPRegressor`, where pickles look for them."""

from ._classifier import MLPClassifier
from ._regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
