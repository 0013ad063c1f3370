"""What recorded arrays say about a network: gradient flow, dead units, saturation.

Pure functions.  `z` is the input of an activation on a reference batch and `dz` is dL/dz, as
`cact.nn.Activation` keeps them; `activation` is anything that `cact.get` takes, with a
learnable function's trained values bound.  All is computed in float64, so that neither
leaky_relu's 0.01 nor the square of a vanishing gradient is lost to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ._activation import Activation
from ._lookup import get
from ._shaped import RowActivation

__all__ = ["DEAD", "SATURATED", "dead_units", "gradient_flow", "max_abs_grad", "rms", "saturated"]

Array: TypeAlias = npt.NDArray[Any]

#: A unit of a smooth function is dead where |f'| stays below this.
DEAD = 1e-6
#: An element is saturated where |f'| is below this share of the function's largest |f'|.
SATURATED = 0.01

# Where max_abs_grad looks: beyond 40 every f' of the catalogue has reached its limit, and the
# limits are looked at too.
_GRID = np.concatenate([[-np.inf], np.linspace(-40, 40, 16001), [np.inf]])


def dead_units(activation: Any, z: Array) -> Array:
    """Which units pass no gradient for any row of the batch.

    Dead: |f'(z)| = 0 on every row.  A smooth f, whose f' fades without becoming 0: max |f'(z)|
    below 1e-6 (`DEAD`).

    Parameters
    ----------
    activation : str, Activation or pair of callables
        An elementwise function.
    z : ndarray of shape (rows, units)
        Its input on the reference batch, at least one row.

    Returns
    -------
    ndarray of bool, shape (units,)

    Raises
    ------
    ValueError, TypeError
        As `cact.get`; for a function of whole rows; for another shape of `z`.
    """
    f, g = _abs_grad("dead_units", activation, z)
    largest = g.max(axis=0)
    dead: Array = largest < DEAD if f.smoothness > 0 else largest == 0
    return dead


def saturated(activation: Any, z: Array) -> float:
    """The percentage of a layer's elements with |f'(z)| < 0.01 max |f'|.

    The maximum is the supremum of the function (`max_abs_grad`), not the largest value in the
    batch: a sigmoid layer driven to z = 20 everywhere is saturated throughout, yet measured
    against its own batch it would seem healthy.

    Parameters
    ----------
    activation : str, Activation or pair of callables
        An elementwise function.
    z : ndarray of shape (rows, units)

    Returns
    -------
    float
        0 to 100.

    Raises
    ------
    ValueError, TypeError
        As `dead_units`.
    """
    f, g = _abs_grad("saturated", activation, z)
    return float(100 * np.mean(g < SATURATED * max_abs_grad(f)))


def max_abs_grad(activation: Any) -> Array:
    """The supremum of |f'|, found on a grid over -40 to 40 and at the infinities.

    Parameters
    ----------
    activation : str, Activation or pair of callables
        An elementwise function.

    Returns
    -------
    ndarray of float64, shape () or (units,)
        One value, or one per unit where a parameter is an array.  Where |f'| grows without
        bound there is no maximum to compare with, and 1, the identity's, stands for it.

    Raises
    ------
    ValueError, TypeError
        As `cact.get`; for a function of whole rows.
    """
    f = _elementwise("max_abs_grad", activation)
    # a column against parameters of shape (units,)
    largest = np.fmax.reduce(np.abs(f.grad(_GRID[:, None])), axis=0)
    largest = np.where(np.isfinite(largest), largest, 1.0)
    result: Array = largest if largest.size > 1 else largest.reshape(())
    return result


def gradient_flow(dz: Sequence[Array]) -> list[float]:
    """RMS of dL/dz of each hidden layer, over that of the last one.

    1 throughout is an even flow; a first value far below 1 is a vanishing gradient, far above
    1 an exploding one.

    Parameters
    ----------
    dz : sequence of ndarray
        dL/dz of the hidden layers, first to last; any shapes.

    Returns
    -------
    list of float
        As long as `dz`; the last is 1.  NaN where the last layer's gradient is 0.

    Raises
    ------
    ValueError
        Without layers.
    """
    if not len(dz):
        raise ValueError("gradient_flow: there must be at least one hidden layer")
    values = [rms(layer) for layer in dz]
    return [v / values[-1] if values[-1] else float("nan") for v in values]


def rms(a: Array) -> float:
    """The root of the mean square, in float64.

    Parameters
    ----------
    a : ndarray
        Any shape; at least one element.

    Returns
    -------
    float
    """
    return float(np.sqrt(np.mean(np.square(a, dtype=np.float64))))


def _elementwise(where: str, activation: Any) -> Activation:
    f = get(activation)
    if not f._record.elementwise:
        of = "whole rows" if isinstance(f, RowActivation) else "pieces of rows"
        raise TypeError(f"{where}: {f.name} is a function of {of}, without an elementwise f'")
    return f


def _abs_grad(where: str, activation: Any, z: Any) -> tuple[Activation, Array]:
    f = _elementwise(where, activation)
    z = np.asarray(z, dtype=np.float64)
    if z.ndim != 2 or not z.size:
        raise ValueError(f"{where}: z must have shape (rows, units) and elements, got {z.shape}")
    return f, np.abs(f.grad(z))
