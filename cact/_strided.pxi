# Included by _kernels.pyx: calls on arrays that do not lie in one piece, and with parameters of each element.

cdef extern from "numpy/arrayobject.h":
    ctypedef struct Descr "PyArray_Descr"
    Descr *descr_of "PyArray_DescrFromType"(int) except NULL
    object new_like "PyArray_NewLikeArray"(cnp.ndarray, cnp.NPY_ORDER, Descr *, int)  # takes the reference


cdef inline void extent(cnp.ndarray a, char **low, char **high) noexcept:
    """The bytes between which all elements lie."""
    cdef Py_ssize_t reach
    cdef int d
    low[0] = high[0] = <char *>cnp.PyArray_DATA(a)
    high[0] += cnp.PyArray_ITEMSIZE(a)
    for d in range(cnp.PyArray_NDIM(a)):
        reach = (cnp.PyArray_DIM(a, d) - 1) * cnp.PyArray_STRIDE(a, d)
        if reach < 0:
            low[0] += reach
        else:
            high[0] += reach


cdef inline bint same_strides(cnp.ndarray a, cnp.ndarray b) noexcept:
    cdef int d
    for d in range(cnp.PyArray_NDIM(a)):
        if cnp.PyArray_STRIDE(a, d) != cnp.PyArray_STRIDE(b, d) and cnp.PyArray_DIM(a, d) > 1:
            return False
    return True


cdef inline bint no_byte_in_common(cnp.ndarray a, cnp.ndarray b) noexcept:
    """Whether this is certain."""
    cdef char *low_a
    cdef char *high_a
    cdef char *low_b
    cdef char *high_b
    extent(a, &low_a, &high_a)
    extent(b, &low_b, &high_b)
    return high_a <= low_b or high_b <= low_a


cdef inline bint clear_of(cnp.ndarray a, cnp.ndarray b) noexcept:
    """Whether two arrays of one shape are the same elements, or certainly have no byte in common."""
    if cnp.PyArray_DATA(a) == cnp.PyArray_DATA(b) and same_strides(a, b):
        return cnp.PyArray_ITEMSIZE(a) == cnp.PyArray_ITEMSIZE(b)
    return no_byte_in_common(a, b)


cdef inline bint is_result(object out, int own, cnp.ndarray like) noexcept:
    """Whether out is a plain array for results, of another's shape, with a place for each."""
    cdef int d
    if kind_of(out) != own or not cnp.PyArray_ISWRITEABLE(<cnp.ndarray>out) or not same_shape(<cnp.ndarray>out, like):
        return False
    for d in range(cnp.PyArray_NDIM(like)):
        if cnp.PyArray_STRIDE(<cnp.ndarray>out, d) == 0 and cnp.PyArray_DIM(like, d) > 1:
            return False
    return True


cdef object run_strided(int kernel, cact_op op, int ins, PyObject **inputs, int params, double *values,
                        PyObject **arrays, int outs, object out):
    """Elementwise, on arrays of one shape; of the parameters those that are not NULL in `arrays` are arrays of float64.

    `out` is the first result.  Where its order in memory is NumPy's to choose among several, or arrays overlap: None.
    """
    cdef char *args[MAX_OPERANDS]
    cdef Py_ssize_t steps[MAX_OPERANDS][CACT_MAX_DIMS]
    cdef size_t shape[CACT_MAX_DIMS]
    cdef cact_type types[MAX_OPERANDS]
    cdef int i, d, other, skipped, k = ins + params, kind = kind_of(<object>inputs[ins - 1]), own = result_of(kind)
    if kind < 0 or own > CACT_DOUBLE or (out is not None and op == CACT_VALUE_AND_GRAD):
        return None
    cdef cnp.ndarray x = <cnp.ndarray>inputs[ins - 1], a
    cdef Py_ssize_t n = cnp.PyArray_SIZE(x)
    cdef int dims = cnp.PyArray_NDIM(x)
    if n == 0 or dims == 0:
        return None
    for i in range(ins):
        other = kind_of(<object>inputs[i])
        a = <cnp.ndarray>inputs[i] if other >= 0 else x
        if (other != kind and (other != own or other < 0)) or not same_shape(a, x):
            return None
        if out is None and not same_strides(a, x):
            return None
        args[i], types[i] = <char *>cnp.PyArray_DATA(a), <cact_type>other
        for d in range(dims):
            steps[i][d] = cnp.PyArray_STRIDE(a, d)
            if out is None and steps[i][d] == 0 and cnp.PyArray_DIM(a, d) > 1:
                return None
    for i in range(params):
        args[ins + i], types[ins + i] = <char *>&values[i], CACT_DOUBLE
        for d in range(dims):
            steps[ins + i][d] = 0
        if arrays != NULL and arrays[i] != NULL:
            a = <cnp.ndarray>arrays[i]
            skipped = dims - cnp.PyArray_NDIM(a)
            if skipped < 0:
                return None
            args[ins + i] = <char *>cnp.PyArray_DATA(a)
            for d in range(skipped, dims):
                if cnp.PyArray_DIM(a, d - skipped) == cnp.PyArray_DIM(x, d):
                    steps[ins + i][d] = cnp.PyArray_STRIDE(a, d - skipped)
                elif cnp.PyArray_DIM(a, d - skipped) != 1:
                    return None
    if out is not None:
        if not is_result(out, own, x):
            return None
        for i in range(ins):
            if not clear_of(<cnp.ndarray>inputs[i], <cnp.ndarray>out):
                return None
        for i in range(params):  # not the same elements either: one may be read for several rows, or again
            if arrays != NULL and arrays[i] != NULL and not no_byte_in_common(<cnp.ndarray>arrays[i], <cnp.ndarray>out):
                return None
    result = tuple([new_like(x, cnp.NPY_KEEPORDER, descr_of(_numbers[own]), 0) if i or out is None else out
                    for i in range(outs)])
    for i in range(outs):
        a = result[i]
        args[k + i], types[k + i] = <char *>cnp.PyArray_DATA(a), <cact_type>own
        for d in range(dims):
            steps[k + i][d] = cnp.PyArray_STRIDE(a, d)
    for d in range(dims):
        shape[d] = <size_t>cnp.PyArray_DIM(x, d)
    if n < ALONE:
        cact_run_strided(kernel, op, dims, shape, args, steps, types)
    else:
        with nogil:
            cact_run_strided(kernel, op, dims, shape, args, steps, types)
    return result if outs > 1 else result[0]
