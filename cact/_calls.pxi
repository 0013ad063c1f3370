# Included by _kernels.pyx: calls of activations on NumPy's own arrays, straight to the kernels.

cdef object _generic = numpy.generic, _asarray = numpy.asarray, _float32 = numpy.float32
cdef object _float64 = numpy.float64
cdef tuple _zeros = (numpy.zeros((), numpy.float32), numpy.zeros((), numpy.float64))  # by CACT_FLOAT, CACT_DOUBLE
cdef bint _enabled = True

cdef enum:
    ALONE = 1024  # elements from where the GIL is released
    NDIM = 64  # NumPy's limit
    ROWS = 1
    GATED = 2
    PIECES = 3
    MOST_PIECES = 0x7fffffff
    MOST_ARGUMENTS = 16  # of a call that is quick
    MOST_COMPARED = 4096  # bytes of parameters that are not checked again if they are the same


def enable(bint on):
    """Whether calls may take the fast path; off while the NumPy backend is in use."""
    global _enabled
    _enabled = on


# ---------------------------------------------------------------------- operands
cdef int[32] _kinds  # of NumPy's type numbers; -1: not ours
# of CACT_FLOAT, CACT_DOUBLE, CACT_HALF, and of CACT_BFLOAT once `add_bfloat16` knows it
cdef int[4] _numbers = [cnp.NPY_FLOAT, cnp.NPY_DOUBLE, cnp.NPY_FLOAT16, -1]
for _i in range(32):
    _kinds[_i] = -1
for _i, _ in _types:
    _kinds[_i] = type_of(_i)


cdef inline int kind_of(object a) noexcept:
    """What a plain array (no subclass, native, aligned) is made of; -1: anything else."""
    if type(a) is not cnp.ndarray:
        return -1
    cdef cnp.ndarray x = <cnp.ndarray>a
    cdef int number = cnp.PyArray_TYPE(x)
    if not cnp.PyArray_ISALIGNED(x) or not cnp.PyArray_ISNOTSWAPPED(x):
        return -1
    if number >= 32:
        return CACT_BFLOAT if number == _numbers[<int>CACT_BFLOAT] else -1
    return _kinds[number]


cdef inline int result_of(int kind) noexcept:
    return kind if kind <= CACT_BFLOAT else CACT_DOUBLE


cdef inline bint of_shape(cnp.ndarray a, int ndim, cnp.npy_intp *shape) noexcept:
    cdef int i
    if cnp.PyArray_NDIM(a) != ndim:
        return False
    for i in range(ndim):
        if cnp.PyArray_DIM(a, i) != shape[i]:
            return False
    return True


cdef inline bint same_shape(cnp.ndarray a, cnp.ndarray b) noexcept:
    return of_shape(a, cnp.PyArray_NDIM(b), cnp.PyArray_DIMS(b))


cdef inline bint spaced(cnp.ndarray a, bint fortran, Py_ssize_t *step) noexcept:
    """Whether the elements, in C or Fortran order, lie evenly spaced, and how many bytes apart."""
    cdef int i
    cdef Py_ssize_t reach = 0
    step[0] = cnp.PyArray_ITEMSIZE(a)
    if fortran or cnp.PyArray_IS_C_CONTIGUOUS(a):
        return not fortran or cnp.PyArray_IS_F_CONTIGUOUS(a)
    for i in range(cnp.PyArray_NDIM(a) - 1, -1, -1):
        if cnp.PyArray_DIM(a, i) == 1:
            continue
        if reach == 0:
            reach = step[0] = cnp.PyArray_STRIDE(a, i)
            if reach == 0:  # broadcast: of one element, and others may follow
                return False
        elif cnp.PyArray_STRIDE(a, i) != reach:
            return False
        reach *= cnp.PyArray_DIM(a, i)
    return reach != 0


cdef inline bint apart(cnp.ndarray a, Py_ssize_t step_a, cnp.ndarray b, Py_ssize_t step_b) noexcept:
    """Whether two arrays of one shape are the same elements or have no byte in common."""
    return cact_apart(cnp.PyArray_SIZE(a), <char *>cnp.PyArray_DATA(a), step_a, cnp.PyArray_ITEMSIZE(a),
                      <char *>cnp.PyArray_DATA(b), step_b, cnp.PyArray_ITEMSIZE(b))


cdef object scalar_of(int kind, double v, cnp.ndarray like):
    """v as a scalar of an array's type."""
    cdef float single = <float>v
    cdef uint16_t half
    if kind == CACT_DOUBLE:
        return cnp.PyArray_ToScalar(&v, like)
    if kind == CACT_FLOAT:
        return cnp.PyArray_ToScalar(&single, like)
    half = cact_half_of(<cact_type>kind, v)
    return cnp.PyArray_ToScalar(&half, like)


cdef object made(int ndim, cnp.npy_intp *shape, int kind, bint fortran):
    return cnp.PyArray_EMPTY(ndim, shape, _numbers[kind], fortran)


cdef inline bint disjoint(cnp.ndarray a, cnp.ndarray b) noexcept:
    """Whether two contiguous arrays have no byte in common."""
    cdef char *p = <char *>cnp.PyArray_DATA(a)
    cdef char *q = <char *>cnp.PyArray_DATA(b)
    return p + cnp.PyArray_NBYTES(a) <= q or q + cnp.PyArray_NBYTES(b) <= p


cdef inline bint is_number(object v, double *into):
    """Whether v is a plain number, and which."""
    cdef int overflow = 0
    if isinstance(v, float):  # np.float64 is one
        into[0] = PyFloat_AS_DOUBLE(v)
        return True
    if type(v) is not int:
        return False
    into[0] = PyLong_AsLongAndOverflow(v, &overflow)
    return not overflow


cdef inline bint is_integer(object v, Py_ssize_t least, Py_ssize_t most, Py_ssize_t *into):
    """Whether v is a plain integer between the two, and which."""
    cdef int overflow = 0
    if type(v) is not int:
        return False
    into[0] = PyLong_AsLongAndOverflow(v, &overflow)
    return not overflow and least <= into[0] <= most


cdef inline bint is_axis(object v, Py_ssize_t *axis):
    """Whether v is a plain integer that some array's axis could be, and which."""
    return is_integer(v, -NDIM, NDIM - 1, axis)


# ---------------------------------------------------------------------- runs; None: the slow path must decide
cdef object run(int kernel, cact_op op, int ins, PyObject **inputs, int params, double *values, int outs, object out,
                double *sums=NULL):
    """Elementwise, on arrays of one shape that lie in memory alike; into `sums` those for the parameters, if any."""
    cdef char *args[MAX_OPERANDS]
    cdef Py_ssize_t steps[MAX_OPERANDS]
    cdef cact_type types[MAX_OPERANDS]
    cdef int i, other, failed, k = ins + params, kind = kind_of(<object>inputs[ins - 1]), own = result_of(kind)
    if kind < 0:
        return None
    cdef cnp.ndarray x = <cnp.ndarray>inputs[ins - 1], a
    cdef bint fortran = not cnp.PyArray_IS_C_CONTIGUOUS(x) and cnp.PyArray_IS_F_CONTIGUOUS(x)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(x)
    if not spaced(x, fortran, &steps[ins - 1]):
        return None
    args[ins - 1], types[ins - 1] = <char *>cnp.PyArray_DATA(x), <cact_type>kind
    for i in range(ins - 1):
        other = kind_of(<object>inputs[i])
        if other != kind and (other != own or other < 0):
            return None
        a = <cnp.ndarray>inputs[i]
        if not same_shape(a, x) or not spaced(a, fortran, &steps[i]):
            return None
        args[i], types[i] = <char *>cnp.PyArray_DATA(a), <cact_type>other
    for i in range(params):
        args[ins + i], steps[ins + i], types[ins + i] = <char *>&values[i], 0, CACT_DOUBLE
    if out is not None:
        if outs > 1 or kind_of(out) != own:
            return None
        a = <cnp.ndarray>out
        if not cnp.PyArray_ISWRITEABLE(a) or not same_shape(a, x) or not spaced(a, fortran, &steps[k]):
            return None
        if steps[k] < cnp.PyArray_ITEMSIZE(a):  # backwards, or onto itself
            return None
        args[k], types[k] = <char *>cnp.PyArray_DATA(a), <cact_type>own
        for i in range(ins):
            if not apart(<cnp.ndarray>inputs[i], steps[i], a, steps[k]):
                return None
        result = out
    else:
        result = PyTuple_New(outs) if outs > 1 else None
        for i in range(outs):
            a = made(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), own, fortran)
            args[k + i], steps[k + i] = <char *>cnp.PyArray_DATA(a), cnp.PyArray_ITEMSIZE(a)
            types[k + i] = <cact_type>own
            if outs > 1:
                Py_INCREF(a)
                PyTuple_SET_ITEM(result, i, a)
            else:
                result = a
    if sums != NULL:
        if n < ALONE:
            failed = cact_learn(kernel, n, args, steps, types, sums)
        else:
            with nogil:
                failed = cact_learn(kernel, n, args, steps, types, sums)
        if failed:
            raise MemoryError
    elif n < ALONE:
        cact_run(kernel, op, n, args, steps, types)
    else:
        with nogil:
            cact_run(kernel, op, n, args, steps, types)
    if out is None and cnp.PyArray_NDIM(x) == 0:
        return tuple([b[()] for b in result]) if outs > 1 else result[()]
    return result


cdef inline bint number_of(object v, int *kind, double *into):
    """Whether v is a number that NumPy would compute as a float32 or a float64, and which."""
    cdef float single
    kind[0] = CACT_DOUBLE
    if type(v) is _float32:
        cnp.PyArray_ScalarAsCtype(v, &single)
        kind[0], into[0] = CACT_FLOAT, single
        return True
    return (type(v) in (float, int) or type(v) is _float64) and is_number(v, into)


cdef object run_numbers(int kernel, cact_op op, int ins, PyObject **inputs, int params, double *values, int outs):
    """On numbers of one type, as NumPy's scalars."""
    cdef char *args[MAX_OPERANDS]
    cdef Py_ssize_t steps[MAX_OPERANDS]
    cdef cact_type types[MAX_OPERANDS]
    cdef double numbers[MAX_OPERANDS]  # or a float in the first half of one
    cdef float single
    cdef int i, kind, own = -1, parameter, count = ins + params + outs
    cdef cnp.ndarray like
    for i in range(count):
        if i < ins:
            if not number_of(<object>inputs[i], &kind, &numbers[i]) or (i and kind != own):
                return None
            own = kind
            if own == CACT_FLOAT:
                single = <float>numbers[i]
                memcpy(&numbers[i], &single, sizeof(single))
        parameter = ins <= i < ins + params
        args[i] = <char *>(&values[i - ins] if parameter else &numbers[i])
        types[i], steps[i] = CACT_DOUBLE if parameter else <cact_type>own, 0
    cact_run(kernel, op, 1, args, steps, types)
    like = _zeros[own]
    if outs == 1:
        return cnp.PyArray_ToScalar(args[count - 1], like)
    return tuple([cnp.PyArray_ToScalar(args[i], like) for i in range(count - outs, count)])


cdef object run_rows(int kernel, cact_op op, int ins, PyObject **inputs, Py_ssize_t axis, object out):
    """Rows along the last axis of arrays in C order, or of one evenly spaced."""
    cdef char *args[3]
    cdef Py_ssize_t steps[3]
    cdef Py_ssize_t inner[3]
    cdef cact_type types[3]
    cdef int i, other, kind = kind_of(<object>inputs[ins - 1]), own = result_of(kind), failed = 0
    if kind < 0:
        return None
    cdef cnp.ndarray x = <cnp.ndarray>inputs[ins - 1], a
    cdef Py_ssize_t size = cnp.PyArray_SIZE(x), n
    if cnp.PyArray_NDIM(x) == 0 or size == 0 or (axis != -1 and axis != cnp.PyArray_NDIM(x) - 1):
        return None
    if out is not None and kind_of(out) != own:
        return None
    n = cnp.PyArray_DIM(x, cnp.PyArray_NDIM(x) - 1)
    for i in range(ins + 1):
        other = own
        if i == ins - 1:
            other, a = kind, x
        elif i < ins:
            other, a = kind_of(<object>inputs[i]), <cnp.ndarray>inputs[i]
            if other != kind and (other != own or other < 0):
                return None
        else:
            a = made(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), own, False) if out is None else out
        if (i != ins - 1 and not same_shape(a, x)) or not spaced(a, False, &inner[i]):
            return None
        args[i], steps[i], types[i] = <char *>cnp.PyArray_DATA(a), n * inner[i], <cact_type>other
    if out is not None:
        if not cnp.PyArray_ISWRITEABLE(a) or inner[ins] < cnp.PyArray_ITEMSIZE(a):
            return None
        for i in range(ins):
            if not apart(<cnp.ndarray>inputs[i], inner[i], a, inner[ins]):
                return None
    if size < ALONE:
        failed = cact_run_rows(kernel, op, size // n, n, args, steps, inner, types)
    else:
        with nogil:
            failed = cact_run_rows(kernel, op, size // n, n, args, steps, inner, types)
    if failed:
        raise MemoryError
    return a


cdef object run_halves(int kernel, int ins, PyObject **inputs, Py_ssize_t axis, object out):
    """a*gate(b) of the halves of x along an axis, or the derivative; arrays in C order."""
    cdef char *args[5]
    cdef Py_ssize_t steps[5]
    cdef Py_ssize_t between[5]
    cdef cact_type types[5]
    cdef cact_op op = CACT_GATE if ins == 1 else CACT_GATE_BACKWARD
    cdef cnp.npy_intp whole[NDIM]
    cdef cnp.npy_intp halved[NDIM]
    cdef int i, kind = kind_of(<object>inputs[ins - 1]), own = result_of(kind), operands = 5 if ins == 2 else 3
    if kind < 0:
        return None
    cdef cnp.ndarray x = <cnp.ndarray>inputs[ins - 1], y, a
    cdef int ndim = cnp.PyArray_NDIM(x)
    axis = axis + ndim if axis < 0 else axis
    if not cnp.PyArray_IS_C_CONTIGUOUS(x) or not 0 <= axis < ndim or cnp.PyArray_DIM(x, <int>axis) % 2:
        return None
    cdef Py_ssize_t half = 1, size = cnp.PyArray_SIZE(x), count, step = cnp.PyArray_ITEMSIZE(x)
    for i in range(ndim):
        whole[i] = halved[i] = cnp.PyArray_DIM(x, i)
    halved[axis] //= 2
    for i in range(<int>axis, ndim):
        half *= halved[i]
    cdef cnp.npy_intp *shape = &whole[0]
    if ins == 1:
        shape = &halved[0]
    if out is None:
        y = made(ndim, shape, own, False)
    else:
        y = <cnp.ndarray>out
        if not (kind_of(out) == own and cnp.PyArray_ISWRITEABLE(y) and of_shape(y, ndim, shape)
                and cnp.PyArray_IS_C_CONTIGUOUS(y) and disjoint(y, x)):
            return None
    # forward: a, b, y; backward: dy, a, b, da, db
    for i in range(operands):
        types[i] = <cact_type>(kind if ins - 1 <= i <= ins else own)
        steps[i] = step if ins - 1 <= i <= ins else cnp.PyArray_ITEMSIZE(y)
    args[ins - 1] = <char *>cnp.PyArray_DATA(x)
    args[ins] = args[ins - 1] + half * step
    args[ins + 1] = <char *>cnp.PyArray_DATA(y)
    if ins == 2:
        i = kind_of(<object>inputs[0])
        if i != kind and (i != own or i < 0):
            return None
        a = <cnp.ndarray>inputs[0]
        if not (cnp.PyArray_IS_C_CONTIGUOUS(a) and of_shape(a, ndim, halved) and (out is None or disjoint(y, a))):
            return None
        args[0], types[0], steps[0] = <char *>cnp.PyArray_DATA(a), <cact_type>i, cnp.PyArray_ITEMSIZE(a)
        args[4] = args[3] + half * steps[3]
    for i in range(operands):  # what is cut in halves is twice as far apart
        between[i] = half * steps[i] * (1 if (i == 2 if operands == 3 else i == 0) else 2)
    count = size // (2 * half) if half else 0
    if size < ALONE:
        cact_run_stretches(kernel, op, count, half, args, between, steps, types)
    else:
        with nogil:
            cact_run_stretches(kernel, op, count, half, args, between, steps, types)
    return y


cdef object run_pieces(int kernel, int ins, PyObject **inputs, Py_ssize_t k, Py_ssize_t axis, object out):
    """Of k elements of x one, or k of one, along an axis, or the derivative; floats or doubles in C order."""
    cdef cnp.npy_intp[2][NDIM] shapes  # of the side of the one, of that of the k
    cdef int i, kind = kind_of(<object>inputs[ins - 1]), x_many = cact_side(kernel) == CACT_JOINS
    cdef int y_many = (ins == 2) == x_many
    if not 0 <= kind <= CACT_DOUBLE:
        return None
    cdef cnp.ndarray x = <cnp.ndarray>inputs[ins - 1], y, dy = None
    cdef int ndim = cnp.PyArray_NDIM(x)
    cdef Py_ssize_t n = 1, size = cnp.PyArray_SIZE(x)
    axis = axis + ndim if axis < 0 else axis
    if not cnp.PyArray_IS_C_CONTIGUOUS(x) or not 0 <= axis < ndim or size == 0:
        return None
    if x_many and cnp.PyArray_DIM(x, <int>axis) % k:
        return None
    for i in range(ndim):
        shapes[0][i] = shapes[1][i] = cnp.PyArray_DIM(x, i)
        if i > axis:
            n *= shapes[0][i]
    if x_many:
        shapes[0][axis] //= k
        size //= k
    else:
        n *= shapes[0][axis]
        shapes[1][axis] *= k
    if out is None:
        y = made(ndim, shapes[y_many], kind, False)
    else:
        y = <cnp.ndarray>out
        if not (kind_of(out) == kind and cnp.PyArray_ISWRITEABLE(y) and of_shape(y, ndim, shapes[y_many])
                and cnp.PyArray_IS_C_CONTIGUOUS(y)
                and (disjoint(y, x) or (ins == 2 and cnp.PyArray_DATA(y) == cnp.PyArray_DATA(x)))):
            return None
    if ins == 2:
        if kind_of(<object>inputs[0]) != kind:
            return None
        dy = <cnp.ndarray>inputs[0]
        if not (cnp.PyArray_IS_C_CONTIGUOUS(dy) and of_shape(dy, ndim, shapes[not x_many])
                and (out is None or disjoint(y, dy))):
            return None
    cdef void *upstream = NULL if dy is None else cnp.PyArray_DATA(dy)
    cdef void *source = cnp.PyArray_DATA(x)
    cdef void *result = cnp.PyArray_DATA(y)
    cdef cact_op op = CACT_FORWARD if ins == 1 else CACT_BACKWARD
    if size < ALONE:
        cact_run_pieces(kernel, op, <cact_type>kind, size // n, n, k, upstream, source, result)
    else:
        with nogil:
            cact_run_pieces(kernel, op, <cact_type>kind, size // n, n, k, upstream, source, result)
    return y
