"""`to_onnx`: networks and estimators as ONNX models (`cact.nn.export`, `cact.sklearn._export`)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .nn import Sequential, export

if TYPE_CHECKING:
    import onnx

__all__ = ["to_onnx"]


def to_onnx(
    model: Any, path: str | os.PathLike[str] | None = None, *, opset: int | None = None
) -> onnx.ModelProto:
    """A network or a fitted estimator as an ONNX model, in inference mode.

    The input is named ``x`` and has shape (batch, n_in), the output ``y``; both are of the network's
    dtype, float32 where no layer sets one.  The same model gives the same bytes.

    An estimator has the outputs that its methods have.  A regressor's ``y`` has shape (batch,) or
    (batch, n_outputs), as from `predict`.  A classifier has ``label``, as from `predict`: strings
    where the classes are strings, else int64; and ``probabilities``, as from `predict_proba`.

    Layers become the operators that ONNX has: Gemm, BatchNormalization, LayerNormalization, and
    for activations Elu, Gelu, HardSwish, Mish and so on where the operator means exactly the
    activation; other activations are composed of operators, in forms that keep their digits.

    Parameters
    ----------
    model : cact.nn.Sequential, cact.sklearn.MLPClassifier or cact.sklearn.MLPRegressor
        An estimator must be fitted; one of scikit-learn's two is taken over
        (`MLPClassifier.from_sklearn`).
    path : path-like, optional
        Where to write the model, too: a complete file, or none.
    opset : int, default 20
        The version of ONNX's operators, from 18 up to the newest that the installed onnx knows.
        Below 20 Gelu is composed; from 24 on silu, swish and quick_gelu are the operator Swish.

    Returns
    -------
    onnx.ModelProto

    Raises
    ------
    TypeError
        If `model` is none of these, `opset` no integer.
    ValueError
        For an `opset` outside that range, and for what has no ONNX form, naming the layer: own
        functions (`cact.register`, pairs of callables), own layers, rrelu in training, functions
        along another axis than the features, parameters per sample or beyond the dtype; own losses
        with a link, classes that int64 does not hold.
    sklearn.exceptions.NotFittedError
        For an estimator that is not fitted (a ValueError).
    ModuleNotFoundError
        Without the package onnx.
    OSError
        Where the file cannot be written.

    Notes
    -----
    A native operator is as exact as the runtime has it.  In onnxruntime 1.32 Gelu, Sigmoid and Swish
    lose their left tail, and Elu, Celu and Selu their digits near 0: the error is a few 1e-7 of the larger
    of 1 and the output (Swish: 3e-6; gated functions: times the value), but not small beside the output
    there.  Composed activations are within some ULP where they do not cross 0; where an exponential
    multiplies the rounding of its argument (golu's tail), as many more as the argument has.  sparsemax
    and entmax15 of thousands of near-equal features are as exact as the runtime's sums.  At infinite x
    a model may give NaN where cact gives the limit.

    In float64 all are composed but relu, tanh, exponential, softmax, log_softmax and what Clip is:
    onnxruntime has no other operators in float64, and ONNX has no attributes of it.

    Examples
    --------
    >>> import cact
    >>> from cact import nn
    >>> model = cact.to_onnx(nn.mlp((4, 8, 3), "gelu", rng=0))
    >>> [node.op_type for node in model.graph.node]
    ['Gemm', 'Gelu', 'Gemm']
    """
    if isinstance(model, Sequential):
        g, y = export.begin(model, opset)
        g.output("y", y, model.n_out)
        return export.finish(g, "network", f"cact.nn.{model}", path)
    if hasattr(model, "get_params"):  # an estimator; then there is scikit-learn, too
        from .sklearn._export import to_onnx

        return to_onnx(model, path, opset)
    raise TypeError(
        "to_onnx: model must be a cact.nn.Sequential, or a fitted MLPClassifier or MLPRegressor, "
        f"got {model!r:.60}"
    )
