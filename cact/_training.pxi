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


def all_finite(cnp.ndarray a not None):
    """Whether no element of an array is infinite or NaN."""
    return bool(cact_all_finite(<cact_type>reals(a, a), cnp.PyArray_SIZE(a), cnp.PyArray_DATA(a)))


cdef int matrix_and_row(object a, object row) except -2:
    """Of which both are made, if they are plain contiguous arrays and of more than one column; else -1."""
    cdef int kind = kind_of(a)
    if kind < 0 or kind > CACT_DOUBLE or kind_of(row) != kind:
        return -1
    cdef cnp.ndarray m = a, r = row
    if (cnp.PyArray_NDIM(m) != 2 or cnp.PyArray_NDIM(r) != 1 or cnp.PyArray_DIM(r, 0) != cnp.PyArray_DIM(m, 1)
            or cnp.PyArray_DIM(r, 0) < 2 or not cnp.PyArray_IS_C_CONTIGUOUS(m) or not cnp.PyArray_IS_C_CONTIGUOUS(r)):
        return -1
    return kind


def add_row(a, row):
    """a += row, if these are plain arrays; whether they are."""
    cdef int kind = matrix_and_row(a, row)
    if kind < 0 or not cnp.PyArray_ISWRITEABLE(<cnp.ndarray>a):
        return False
    cdef cnp.ndarray m = a
    cdef void *to = cnp.PyArray_DATA(m)
    cdef const void *b = cnp.PyArray_DATA(<cnp.ndarray>row)
    cdef size_t rows = cnp.PyArray_DIM(m, 0), n = cnp.PyArray_DIM(m, 1)
    with nogil:
        cact_add_row(<cact_type>kind, rows, n, b, to)
    return True


def sum_rows(a, out):
    """out = the sum of a's rows, if these are plain arrays of more than one column, which NumPy sums in another order;
    whether they are."""
    cdef int kind = matrix_and_row(a, out)
    if kind < 0 or not cnp.PyArray_ISWRITEABLE(<cnp.ndarray>out):
        return False
    cdef cnp.ndarray m = a
    cdef const void *b = cnp.PyArray_DATA(m)
    cdef void *to = cnp.PyArray_DATA(<cnp.ndarray>out)
    cdef size_t rows = cnp.PyArray_DIM(m, 0), n = cnp.PyArray_DIM(m, 1)
    with nogil:
        cact_sum_rows(<cact_type>kind, rows, n, b, to)
    return True


def double_sums(a):
    """``a.sum(axis=0, dtype=float64)``, if a is a plain array of more than one column, as in `sum_rows`; else None."""
    cdef int kind = kind_of(a)
    if kind < 0 or kind > CACT_DOUBLE:
        return None
    cdef cnp.ndarray m = a
    if cnp.PyArray_NDIM(m) != 2 or cnp.PyArray_DIM(m, 1) < 2 or not cnp.PyArray_IS_C_CONTIGUOUS(m):
        return None
    cdef cnp.ndarray out = made(1, cnp.PyArray_DIMS(m) + 1, CACT_DOUBLE, False)
    cdef const void *b = cnp.PyArray_DATA(m)
    cdef double *to = <double *>cnp.PyArray_DATA(out)
    cdef size_t rows = cnp.PyArray_DIM(m, 0), n = cnp.PyArray_DIM(m, 1)
    with nogil:
        cact_double_sums(<cact_type>kind, rows, n, b, to)
    return out


cdef const int64_t *classes_of(cnp.ndarray p, cnp.ndarray target) except NULL:
    """The classes of the rows of p; ValueError unless there is one for each, from 0 to the columns - 1."""
    cdef Py_ssize_t rows, n, r
    reals(p, p)
    if (cnp.PyArray_NDIM(p) != 2 or cnp.PyArray_NDIM(target) != 1 or cnp.PyArray_TYPE(target) != cnp.NPY_INT64
            or not cnp.PyArray_IS_C_CONTIGUOUS(target) or not cnp.PyArray_ISBEHAVED_RO(target)
            or cnp.PyArray_DIM(target, 0) != cnp.PyArray_DIM(p, 0)):
        raise ValueError("classes must be a plain contiguous array of int64, one for each row")
    cdef const int64_t *t = <const int64_t *>cnp.PyArray_DATA(target)
    rows, n = cnp.PyArray_DIM(p, 0), cnp.PyArray_DIM(p, 1)
    for r in range(rows):
        if not 0 <= t[r] < n:
            raise ValueError(f"a class must be from 0 to {n - 1}, got {t[r]}")
    return t


def product_of_chosen(cnp.ndarray p not None, cnp.ndarray target not None, double least):
    """The product of p at each row's class: a number from 1 to 2, and a power of 2; NaN if one is below `least`."""
    cdef const int64_t *t = classes_of(p, target)
    cdef int64_t exponent
    cdef double product
    cdef cact_type kind = <cact_type>kind_of(p)
    cdef const void *data = cnp.PyArray_DATA(p)
    cdef size_t rows = cnp.PyArray_DIM(p, 0), n = cnp.PyArray_DIM(p, 1)
    with nogil:
        product = cact_product_of_chosen(kind, rows, n, data, t, least, &exponent)
    return product, exponent


def cross_entropy_slope(cnp.ndarray p not None, cnp.ndarray target not None, cnp.ndarray share not None,
                        cnp.ndarray grad not None):
    """grad = share (p - 1 at each row's class)."""
    cdef const int64_t *t = classes_of(p, target)
    cdef int kind = written(grad, p)
    if reals(share, p) != kind or not same_shape(grad, p) or cnp.PyArray_SIZE(share) != cnp.PyArray_DIM(p, 0):
        raise ValueError("shares must be one for each row, and the gradient of p's shape")
    cdef const void *data = cnp.PyArray_DATA(p)
    cdef const void *shares = cnp.PyArray_DATA(share)
    cdef void *to = cnp.PyArray_DATA(grad)
    cdef size_t rows = cnp.PyArray_DIM(p, 0), n = cnp.PyArray_DIM(p, 1)
    with nogil:
        cact_cross_entropy_slope(<cact_type>kind, rows, n, data, t, shares, to)


cdef class LayerPass:
    """A layer's bias and activation, and the dropout after them, in one pass over the product, and back.

    Parameters
    ----------
    name : str
        An elementwise activation of the C table.
    values : tuple of float
        All its parameters.
    """
    cdef int index
    cdef double values[CACT_MAX_PARAMS]

    def __cinit__(self, str name not None, tuple values not None):
        cdef int k
        self.index = _index[name]
        if cact_params(self.index) != len(values) or cact_rows(self.index) or cact_side(self.index):
            raise ValueError(f"{name} is no elementwise activation of {len(values)} parameters")
        self.bind(values)

    def bind(self, tuple values not None):
        """Other values of the parameters."""
        cdef int k
        if cact_params(self.index) != len(values):
            raise ValueError(f"{len(values)} values for {cact_params(self.index)} parameters")
        for k in range(len(values)):
            self.values[k] = values[k]

    cdef cact_layer layer(self, tuple arrays, cnp.ndarray row) except *:
        """For 2-D arrays of which the first is z; ValueError unless all fit it."""
        cdef cnp.ndarray z = arrays[0], array
        for array in arrays:
            if array is not None:
                reals(array, z)
                if cnp.PyArray_NDIM(z) != 2 or not same_shape(array, z):
                    raise ValueError("z and all arrays that go with it must be of one 2-D shape")
        if row is not None:
            reals(row, z)
            if cnp.PyArray_SIZE(row) != cnp.PyArray_DIM(z, 1):
                raise ValueError("bias and dbias must have an element for each column")
        return cact_layer(self.index, <cact_type>kind_of(z), cnp.PyArray_DIM(z, 0), cnp.PyArray_DIM(z, 1), &self.values[0])

    def forward(self, cnp.ndarray z not None, cnp.ndarray bias, cnp.ndarray y not None, cnp.ndarray mask=None,
                cnp.ndarray dropped=None, double rate=0):
        """z += bias; y = f(z); with a mask of numbers in [0, 1): mask = its factors of dropout, dropped = y mask."""
        cdef cnp.ndarray array
        if (mask is None) != (dropped is None):
            raise ValueError("mask and dropped go together")
        cdef cact_layer layer = self.layer((z, y, mask, dropped), bias)
        for array in (z, y, mask, dropped):
            if array is not None:
                written(array, z)
        cdef cact_dropout dropout
        if mask is not None:
            dropout = cact_dropout(rate, cnp.PyArray_DATA(mask), cnp.PyArray_DATA(dropped))
        cdef void *b = NULL if bias is None else cnp.PyArray_DATA(bias)
        cdef const cact_dropout *p = NULL if mask is None else &dropout
        with nogil:
            cact_layer_forward(&layer, b, cnp.PyArray_DATA(z), cnp.PyArray_DATA(y), p)

    def backward(self, dy not None, cnp.ndarray z not None, cnp.ndarray dz not None, cnp.ndarray dbias,
                 cnp.ndarray mask=None, bint learn=False):
        """dz = dy mask f'(z), with the mask that forward left; dbias = the sum of its rows.  dy may be any array.

        To `learn` the gradients of the parameters are returned as well, before their rounding to z's dtype.
        """
        if kind_of(dy) != kind_of(z) or not cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>dy):
            dy = numpy.require(dy, z.dtype, "CAE")
        cdef cact_layer layer = self.layer((z, dy, dz, mask), dbias)
        written(dz, z)
        if dbias is not None:
            written(dbias, z)
        cdef const void *slopes = cnp.PyArray_DATA(<cnp.ndarray>dy)
        cdef cact_dropout dropout
        if mask is not None:
            dropout = cact_dropout(0, cnp.PyArray_DATA(mask), NULL)
        cdef void *b = NULL if dbias is None else cnp.PyArray_DATA(dbias)
        cdef const cact_dropout *p = NULL if mask is None else &dropout
        cdef double sums[CACT_MAX_PARAMS]
        cdef int failed
        with nogil:
            failed = cact_layer_backward(&layer, slopes, cnp.PyArray_DATA(z), cnp.PyArray_DATA(dz), b, p,
                                         sums if learn else NULL)
        if failed:
            raise MemoryError
        return tuple([sums[k] for k in range(cact_params(self.index))]) if learn else None
