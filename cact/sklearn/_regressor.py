"""`MLPRegressor`."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from ..nn._validate import Array
from ..nn.losses import Loss, Poisson, get_loss
from ._callbacks import fitting, updating
from ._mlp import BaseMLP, given_validation, stochastic

__all__ = ["MLPRegressor"]


class MLPRegressor(RegressorMixin, BaseMLP):  # type: ignore[misc]
    """A multilayer perceptron that predicts numbers; a stand-in for scikit-learn's that can more.

    Parameters are scikit-learn's, with its defaults, unless marked as cact's.

    Parameters
    ----------
    loss : str, Loss or callable, default "squared_error"
        What is learned: "squared_error" (half of it, the mean), "poisson" (the mean of counts, as
        exp of the output), *and cact's:* "absolute_error" (the median), "huber" (delta 1, in units of
        y), "quantile" (the median); a Loss of `cact.nn` with its parameters, such as
        ``cact.nn.Quantile(0.9)``; or ``function(output, target)``, which gives the loss of each sample
        (samples,) and its derivatives (samples, outputs) from arrays of shape (samples, outputs).
    hidden_layer_sizes : int or array-like of int, default (100,)
        Units of each hidden layer, before its activation: glu hands on half of them, crelu twice
        as many.  Empty: a linear model.
    activation : str, Activation, pair of callables, or list of these, default "relu"
        Of the hidden layers: a name or alias that `cact.get` knows, an Activation with its
        parameters bound, or ``(f, grad)``, functions of an array that give f(x) and f'(x).  A list has
        one for each hidden layer.  Learnable ones (prelu, swish) train with the weights.
        *scikit-learn: four names, one for all layers.*
    solver : {"adam", "sgd", "lbfgs", "adamw", "rmsprop"}, default "adam"
        "lbfgs" is SciPy's L-BFGS-B, on all rows at once; the others go by batches.
        *The last two are cact's.*
    alpha : float, default 0.0001
        L2 penalty on the weight matrices, at least 0: a batch's loss has ``alpha / 2 * sum(W**2) / n``
        added, n being its samples (their weights' sum).  With "adamw" it is the decoupled decay
        itself: each step first shrinks weights by the share ``learning rate * alpha``.
    batch_size : int or "auto", default "auto"
        Samples of a step; "auto": 200, or all if they are fewer.  A last batch may be smaller; with
        batch normalisation one last row joins the batch before.
    learning_rate : {"constant", "invscaling", "adaptive"}, Schedule or callable, default "constant"
        How the rate goes.  "invscaling": ``learning_rate_init / (t + 1)**power_t``, t being the samples
        seen up to the epoch; "adaptive": divided by 5 whenever training comes to a halt, until it is
        1e-6.  "adam" is constant under all three names, as in scikit-learn.  *cact's:* a schedule of
        `cact.nn.schedules`, or a function of the step (from 0) that gives the rate; both in place of
        `learning_rate_init`, for every solver but "lbfgs".
    learning_rate_init : float, default 0.001
        The rate at the start, above 0.
    power_t : float, default 0.5
        The exponent of "invscaling", at least 0.
    max_iter : int, default 200
        Epochs (for "lbfgs" iterations) of one `fit`, at most.
    shuffle : bool, default True
        Whether each epoch has the samples in a new order.
    random_state : int, RandomState instance or None, default None
        Draws weights, validation split, order and dropout.
    tol : float, default 1e-4
        What counts as an improvement, in units of the loss, or of the score with early stopping; for
        "lbfgs" the largest element of the gradient at which to stop.
    verbose : bool, default False
        Whether to print the loss of each epoch.
    warm_start : bool, default False
        Whether `fit` goes on where the last one ended; see Notes.
    momentum : float, default 0.9
        For "sgd" and "rmsprop", in [0, 1].
    nesterovs_momentum : bool, default True
        For "sgd": Nesterov's momentum.
    early_stopping : bool, default False
        Whether to stop when the score on a validation set no longer rises, and to go back to the
        weights of the best one.  Not for "lbfgs".
    validation_fraction : float, default 0.1
        The share of the training data, in [0, 1), put aside for that where `fit` gets no `X_val`.
    beta_1, beta_2 : float, default 0.9 and 0.999
        Decay of the gradient's first and second moment in "adam" and "adamw", in [0, 1); "rmsprop" has
        `beta_2` for its mean square, which starts at 0 uncorrected: 0.9 is usual there.
    epsilon : float, default 1e-8
        Added to the root of the second moment, above 0.
    n_iter_no_change : int or inf, default 10
        Training comes to a halt after more than so many epochs in a row without an improvement.
    max_fun : int, default 15000
        Evaluations of the loss in "lbfgs", at most.
    dropout : float or list of float, default 0.0
        *cact's, as all that follow.*  The probability of an element to be dropped after each hidden
        activation, in [0, 1), or a list with one for each layer; after selu it is alpha dropout.
    normalization : {None, "batch", "layer"}, default None
        Normalises what each hidden activation gets.
    init : str or callable, default "auto"
        Initial weights.  "auto": scikit-learn's own draw where all activations are its four
        (identity, logistic, tanh, relu), else what `cact.nn.init.for_activation` has for each.  Or a
        scheme of `cact.nn.init` by name, or a function ``init(n_in, n_out, *, rng, dtype)`` that gives
        the matrix; biases are then 0.
    clip_norm : float or None, default None
        A gradient whose Euclidean norm, over all parameters, is larger is scaled to this one.
        Not for "lbfgs".
    scoring : str, callable or None, default None
        What early stopping looks at: a scorer's name, or ``scorer(estimator, X, y)``; higher is
        better.  None: the coefficient of determination, R².  It gets the samples' weights if it takes
        `sample_weight`.  Only with ``early_stopping=True``.
    progress_bar : bool, default False
        Whether to show a bar (tqdm's, on stderr), one step per epoch.
    diagnostics : bool, default False
        Whether to keep `diagnostics_`; training stays the same to the bit.
    checkpoint : str or path, optional
        A file from which `fit` goes on where it was killed or interrupted, on the same data and with
        the same parameters, to the same bits (see `cact.nn.Checkpoint`).  Each fit that runs at the
        same time needs a path of its own.  With ``warm_start=True`` a fit goes on if the estimator is
        as it was before that fit, or after its interruption.  Not for ``solver="lbfgs"``, whose memory
        is inside SciPy, nor for `partial_fit`.
    checkpoint_every : int or datetime.timedelta, optional
        So many steps, or so much time, between two checkpoints; by default an epoch.

    Attributes
    ----------
    loss_ : float
        The last epoch's loss, with the penalty; the squared error's is the mean over the outputs,
        others are sums.
    best_loss_ : float or None
        The lowest `loss_`; None with early stopping and for "lbfgs".
    loss_curve_ : list of float, one per epoch
        `loss_` of each; for "lbfgs" too, one per iteration.
    validation_loss_curve_ : list of float, one per epoch
        The loss on the validation set after each epoch, without penalty and weights; empty where
        there is none.  *cact's.*
    validation_scores_ : list of float, one per epoch, or None
        With early stopping.
    best_validation_score_ : float or None
        The highest of these.
    diagnostics_ : list of dict, one per epoch
        With ``diagnostics=True``, else empty.  In each dict a list per hidden layer: "gradient_flow",
        the RMS of dL/dz over that of the last hidden layer, in the epoch's last batch; and from the
        first 256 rows, in inference mode, "dead_units", the share (0 to 1) of units that pass no
        gradient, and "saturated", the percentage of elements where |f'| is below a hundredth of its
        maximum (both NaN for functions of rows, such as softmax and glu).  "weight_rms" has the RMS of
        each of `coefs_`.  *cact's*; see `cact.diagnose`.
    coefs_ : list of n_layers_ - 1 ndarrays of shape (features before, units)
        The weight matrices: the network's own arrays.  What is written into them, or put in their
        place, is used by `predict` and by further training.
    intercepts_ : list of n_layers_ - 1 ndarrays of shape (units,)
        The biases; of a normalised layer its beta.
    network_ : cact.nn.Sequential
        The network itself.  *cact's.*
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where X had string names of columns.
    n_iter_ : int
        Epochs (for "lbfgs" iterations) of the last call.
    n_layers_ : int
        Hidden ones, and one each for input and output.
    n_outputs_ : int
    out_activation_ : {"identity", "exp"}
        Of the output.
    t_ : int
        Samples seen in training, those of every epoch counted again.

    Raises
    ------
    ValueError, TypeError
        In `fit`, for settings or data outside what is said here; the message names the setting.
    NonFiniteError
        In `fit`, if training diverges: a ValueError and FloatingPointError that names epoch, step and
        layer.  The estimator keeps the last good weights.

    See Also
    --------
    MLPClassifier : The same for classes.
    sklearn.neural_network.MLPRegressor : What this stands in for.

    Notes
    -----
    Where a setting is scikit-learn's, so are the initial weights, the batches and the loss curve, to
    rounding.  Differences:

    - ``warm_start=True`` resumes: optimiser, order of the rows and random state go on, so that two fits
      of 5 epochs give the bits of one of 10, also through a pickle (after early stopping, from the
      best weights).  Another setting of the optimiser builds a new one; the network stays as it is.
    - `partial_fit` is an epoch of `fit`: the random stream goes on, where scikit-learn begins it
      again in each call.  Callbacks are for `fit`.
    - "lbfgs" with several outputs gets the gradient of the very loss that it minimises, the sum over
      the outputs, as the other solvers do.
    - float32 is kept throughout, and sparse X trains as such.
    - Same seed, same machine, same number of BLAS threads: the same bits.
    - Callbacks (``set_callbacks``, scikit-learn 1.9 and newer) are called at each epoch; one that returns
      True stops training.  Ctrl-C stops it too, with a warning; the model can be used.

    References
    ----------
    Glorot & Bengio 2010, AISTATS (initial weights); He et al. 2015, arXiv:1502.01852 (the same, for
    relu and its kin); Kingma & Ba 2015, arXiv:1412.6980 (Adam); Loshchilov & Hutter 2019,
    arXiv:1711.05101 (AdamW); Tieleman & Hinton 2012, lecture 6.5 (RMSProp); Sutskever et al. 2013, ICML
    (momentum); Byrd, Lu, Nocedal & Zhu 1995, SIAM J. Sci. Comput. 16 (L-BFGS-B); Srivastava et al.
    2014, JMLR 15 (dropout); Ioffe & Szegedy 2015, arXiv:1502.03167 (batch normalisation); Ba, Kiros &
    Hinton 2016, arXiv:1607.06450 (layer normalisation).

    Examples
    --------
    The 90 % quantile of noisy numbers: about that share lies below it.

    >>> import numpy as np
    >>> from cact import nn
    >>> from cact.sklearn import MLPRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, (1000, 1))
    >>> y = np.sin(3 * X[:, 0]) + rng.exponential(0.3, 1000)
    >>> model = MLPRegressor(nn.Quantile(0.9), (16,), "tanh", learning_rate_init=0.01, random_state=0)
    >>> model = model.fit(X[:500], y[:500])
    >>> bool(0.85 < np.mean(y[500:] <= model.predict(X[500:])) < 0.95)
    True
    """

    _default_score = staticmethod(r2_score)
    _losses = ("squared_error", "absolute_error", "huber", "poisson", "quantile")  # by name: those of numbers

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: Any = 0.0,
        normalization: str | None = None,
        init: Any = "auto",
        clip_norm: float | None = None,
        scoring: Any = None,
        progress_bar: bool = False,
        diagnostics: bool = False,
        checkpoint: Any = None,
        checkpoint_every: Any = None,
    ) -> None:
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.normalization = normalization
        self.init = init
        self.clip_norm = clip_norm
        self.scoring = scoring
        self.progress_bar = progress_bar
        self.diagnostics = diagnostics
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every

    # ------------------------------------------------------------------ targets
    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            multi_output=True,
            y_numeric=True,
            dtype=(np.float64, np.float32),
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        outputs = 1 if y.ndim == 1 else y.shape[1]
        if not reset and outputs != self.n_outputs_:
            raise ValueError(f"{type(self).__name__}: y must have {self.n_outputs_} outputs, got {outputs}")
        self.n_outputs_ = outputs
        return X, y

    def _targets(self, y: Array, dtype: Any) -> Array:
        y = y.astype(dtype, copy=False)
        return y[:, None] if y.ndim == 1 else y

    def _make_loss(self) -> tuple[Loss, int, str]:
        name, loss = type(self).__name__, self.loss
        if isinstance(loss, str) and loss not in self._losses:
            raise ValueError(
                f"{name}: loss must be {', '.join(self._losses)}, a Loss or a callable, got {loss!r:.60}"
            )
        try:
            loss = copy.deepcopy(get_loss(loss))
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None
        return loss, self.n_outputs_, "exp" if isinstance(loss, Poisson) else "identity"

    # ------------------------------------------------------------------ public
    @fitting
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None
    ) -> MLPRegressor:
        """Train on X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            float32 is kept; anything but float32 and float64 becomes float64.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Numbers; they get the dtype of X.
        sample_weight : array-like of shape (n_samples,), optional
            At least 0.
        X_val, y_val : array-like, optional
            A validation set: gives `validation_loss_curve_`, and is what early stopping scores
            instead of a part of the training data.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For parameters or data that scikit-learn refuses too, and for those of cact.nn; for a
            checkpoint of another training, or a file that is none.
        NonFiniteError
            If a loss or a gradient is not finite (a ValueError and a FloatingPointError); names
            epoch, step and layer; the estimator keeps the last good weights.
        """
        validation = given_validation(self, X_val, y_val)
        return self._fit(X, y, sample_weight, validation)  # type: ignore[no-any-return]

    @available_if(stochastic)  # type: ignore[untyped-decorator]
    @updating
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Train for one epoch more.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As `fit`; for ``early_stopping=True``; with `checkpoint`, which has no place in a loop
            that is not the estimator's.
        AttributeError
            For ``solver="lbfgs"``.
        """
        return self._fit(X, y, sample_weight, incremental=True)  # type: ignore[no-any-return]

    def predict(self, X: Any) -> Array:
        """The predictions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        return self._predictions(self._output(X))

    def _predictions(self, output: Array) -> Array:
        y = self._loss.link(output)
        return y[:, 0] if y.shape[1] == 1 else y
