"""`save` and `load`: networks and estimators in files (`cact.nn.files`, `cact.sklearn._files`)."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from .nn import files

__all__ = ["load", "save"]


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a network or a fitted estimator to a file, which `load` reads.

    The file is complete or as it was before, also after a crash.  The same model gives the same
    bytes.  What draws random numbers in training is not kept, nor is the optimiser's state.

    Parameters
    ----------
    model : cact.nn.Sequential, cact.sklearn.MLPClassifier or cact.sklearn.MLPRegressor
        A network of the layers of `cact.nn`; or a fitted estimator, one of scikit-learn's two
        too, which is taken over (`MLPClassifier.from_sklearn`).  Own activations are kept by the name
        that `cact.register` gave them, without their code.
    path : str or path
        By custom, with the ending ``.safetensors``.

    Raises
    ------
    TypeError
        For anything else, an own layer, an activation that is not registered, or an estimator whose
        labels or parameters a file does not keep: a callable `loss` or `learning_rate`, own classes.
    ValueError
        For numbers that are not finite, a model too large for the format (10,000 layers, 16 MiB
        of description), or parameters that `fit` would refuse.
    sklearn.exceptions.NotFittedError
        For an estimator that is not fitted (a ValueError).
    OSError
        If the file cannot be written.
    ModuleNotFoundError
        Without the package safetensors.

    Warns
    -----
    UserWarning
        For a `random_state` that is a RandomState, and for functions as `init` or `scoring`: no
        prediction needs them, so the file has the default in their place.

    Notes
    -----
    Of an estimator there are the parameters of its constructor, the network, the labels and the names
    of the features, and the attributes that tell how training went, without `diagnostics_`.  A
    loaded one predicts the same bits.  Training that goes on (`partial_fit`, `warm_start`) starts with
    a new optimiser and with `random_state` anew, which also draws another validation set.

    Examples
    --------
    >>> import cact
    >>> network = cact.nn.mlp((2, 16, 2), "gelu", rng=0)
    >>> cact.save(network, "network.safetensors")  # doctest: +SKIP
    >>> network = cact.load("network.safetensors")  # doctest: +SKIP
    """
    if hasattr(model, "get_params"):  # an estimator; then there is scikit-learn, too
        from .sklearn import _files as estimators

        files.write(path, *estimators.pack(model))
    else:
        files.write(path, "network", *files.pack(model))


def load(path: str | os.PathLike[str]) -> Any:
    """Read the network or the estimator that `save` wrote: the same weights to the bit.

    The file is not trusted: nothing in it runs, all of it is checked, and no more memory is taken than
    the file's size calls for.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    cact.nn.Sequential, cact.sklearn.MLPClassifier or cact.sklearn.MLPRegressor

    Raises
    ------
    ValueError
        For a file that `save` has not written in every detail, one of a newer format, or one with an
        own activation that `cact.register` has not entered here.
    OSError
        If the file cannot be read.
    ModuleNotFoundError
        Without the package safetensors; without scikit-learn, for an estimator.
    """
    plans = {kind: partial(_plan_estimator, kind) for kind in ("MLPClassifier", "MLPRegressor")}
    return files.read(path, {"network": files.plan, **plans})


def _plan_estimator(kind: str, description: Any) -> files.Plan:
    from .sklearn import _files as estimators

    return estimators.plan(kind, description)
