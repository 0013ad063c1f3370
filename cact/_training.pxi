# Included by _kernels.pyx: what a step of training does beside matrix products, for cact.nn.

# Which it is, the least and most arrays of its state, and its scalars.
cdef dict _optimizers = {
    "sgd": (CACT_SGD, 0, 0, 2), "momentum": (CACT_MOMENTUM, 1, 1, 3), "nesterov": (CACT_NESTEROV, 1, 1, 3),
    "rmsprop": (CACT_RMSPROP, 1, 2, 6), "adam": (CACT_ADAM, 2, 2, 7),
}


cdef int reals(cnp.ndarray a, cnp.ndarray like) except -1:
    """CACT_FLOAT or CACT_DOUBLE, of which both are contiguous arrays; ValueError otherwise."""
    cdef int kind = kind_of(a)
    if kind < 0 or kind > CACT_DOUBLE or kind_of(like) != kind or not cnp.PyArray_IS_C_CONTIGUOUS(a):
        raise ValueError("arrays must be contiguous and all of float32 or all of float64")
    return kind


cdef int written(cnp.ndarray a, cnp.ndarray like) except -1:
    if not cnp.PyArray_ISWRITEABLE(a):
        raise ValueError("an array to write into is read-only")
    return reals(a, like)


def update(str which not None, cnp.ndarray p not None, cnp.ndarray g not None, tuple state not None, tuple scalars not None):
    """A step of an optimiser on parameters p with gradients g; training.h names the scalars."""
    cdef void *arrays[2]
    cdef double values[CACT_OPTIMIZER_SCALARS]
    cdef int kind = written(p, g), k, least, most, count
    cdef Py_ssize_t n = cnp.PyArray_SIZE(p)
    cdef cact_optimizer optimizer
    cdef cnp.ndarray array
    optimizer, least, most, count = _optimizers[which]
    reals(g, p)
    arrays[0] = arrays[1] = NULL
    if cnp.PyArray_SIZE(g) != n:
        raise ValueError("the gradients do not fit the parameters")
    if not least <= len(state) <= most or len(scalars) != count:
        raise ValueError(f"{len(state)} arrays of state and {len(scalars)} scalars are not those of {which}")
    for k in range(len(state)):
        array = state[k]
        if array is None or cnp.PyArray_SIZE(array) != n:
            raise ValueError("the state does not fit the parameters")
        written(array, p)
        arrays[k] = cnp.PyArray_DATA(array)
    for k in range(count):
        values[k] = scalars[k]
    with nogil:
        cact_update(optimizer, <cact_type>kind, n, cnp.PyArray_DATA(p), cnp.PyArray_DATA(g), arrays, values)


def square_sum(cnp.ndarray a not None):
    """The sum of an array's squares, in double."""
    return cact_square_sum(<cact_type>reals(a, a), cnp.PyArray_SIZE(a), cnp.PyArray_DATA(a))


cdef class LayerPass:
    """A layer's bias and activation in one pass over the product, and back.

    Parameters
    ----------
    name : str
        An elementwise activation of the C table.
    values : tuple of float
        All its parameters.
    """
    cdef int index
    cdef double values[CACT_MAX_PARAMS]

    def __init__(self, str name not None, tuple values not None):
        cdef int k
        self.index = _index[name]
        if cact_params(self.index) != len(values) or cact_rows(self.index) or cact_side(self.index):
            raise ValueError(f"{name} is no elementwise activation of {len(values)} parameters")
        for k in range(len(values)):
            self.values[k] = values[k]

    def forward(self, cnp.ndarray z not None, cnp.ndarray bias, cnp.ndarray y not None):
        """z += bias; y = f(z), for 2-D arrays."""
        cdef int kind = written(z, y)
        written(y, z)
        cdef void *b = NULL
        if cnp.PyArray_NDIM(z) != 2 or not same_shape(y, z):
            raise ValueError("z and y must be of one 2-D shape")
        if bias is not None:
            if reals(bias, z) != kind or cnp.PyArray_SIZE(bias) != cnp.PyArray_DIM(z, 1):
                raise ValueError("the bias must have an element for each column")
            b = cnp.PyArray_DATA(bias)
        cdef size_t rows = cnp.PyArray_DIM(z, 0), n = cnp.PyArray_DIM(z, 1)
        with nogil:
            cact_layer_forward(self.index, <cact_type>kind, rows, n, self.values, b, cnp.PyArray_DATA(z),
                               cnp.PyArray_DATA(y))

    def backward(self, cnp.ndarray dy not None, cnp.ndarray z not None, cnp.ndarray dz not None, cnp.ndarray dbias):
        """dz = dy f'(z); dbias = the sum of its rows."""
        cdef int kind = written(dz, z)
        reals(dy, z)
        reals(z, z)
        cdef void *b = NULL
        if cnp.PyArray_NDIM(z) != 2 or not same_shape(dy, z) or not same_shape(dz, z):
            raise ValueError("dy, z and dz must be of one 2-D shape")
        if dbias is not None:
            if written(dbias, z) != kind or cnp.PyArray_SIZE(dbias) != cnp.PyArray_DIM(z, 1):
                raise ValueError("dbias must have an element for each column")
            b = cnp.PyArray_DATA(dbias)
        cdef size_t rows = cnp.PyArray_DIM(z, 0), n = cnp.PyArray_DIM(z, 1)
        with nogil:
            cact_layer_backward(self.index, <cact_type>kind, rows, n, self.values, cnp.PyArray_DATA(dy),
                                cnp.PyArray_DATA(z), cnp.PyArray_DATA(dz), b)
