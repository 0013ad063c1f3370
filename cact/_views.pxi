# Included by _kernels.pyx: its operations on typed memoryviews, for Python and for `cimport`.

# ---------------------------------------------------------------------- typed memoryviews
cdef int find(str name) except -1:
    """The number of an elementwise activation, for the functions below; ValueError if unknown."""
    index = _index.get(name)
    if index is None or cact_rows(index):
        raise ValueError(f"no elementwise kernel of the name {name!r}")
    return index


ctypedef fused real:
    float
    double

cdef struct Buffer:
    char *data  # NULL: empty, or not there
    size_t n


cdef inline Buffer buffer_of(const real[::1] a) noexcept nogil:
    cdef Buffer b
    b.n = a.shape[0]
    b.data = <char *>&a[0] if b.n else NULL
    return b


cdef bint overlap(Buffer a, Buffer b, size_t size) noexcept nogil:
    cdef uintptr_t p = <uintptr_t>a.data, q = <uintptr_t>b.data
    return a.n > 0 and b.n > 0 and p < q + b.n * size and q < p + a.n * size


cdef int launch(int kernel, cact_op op, cact_type own, const double *params, int inputs, int outputs,
                Buffer *buffers) except -1 nogil:
    """Refuse what typed memoryviews let through (lengths, misalignment, partial overlap), then run."""
    cdef char *args[MAX_OPERANDS]
    cdef Py_ssize_t steps[MAX_OPERANDS]
    cdef cact_type types[MAX_OPERANDS]
    cdef int i, j, k = 0, nparams = cact_params(kernel)
    cdef Py_ssize_t size = 4 if own == CACT_FLOAT else 8
    for i in range(inputs + outputs):
        if buffers[i].n != buffers[0].n:
            with gil:
                raise ValueError(f"buffers must have the same length, got {buffers[0].n} and {buffers[i].n}")
        if <uintptr_t>buffers[i].data % size:
            with gil:
                raise ValueError("buffers must be aligned to their element size")
        for j in range(inputs, i):
            if overlap(buffers[i], buffers[j], size):
                with gil:
                    raise ValueError("the two outputs overlap")
        for j in range(inputs, inputs + outputs):
            if i < inputs and buffers[i].data != buffers[j].data and overlap(buffers[i], buffers[j], size):
                with gil:
                    raise ValueError("buffers overlap without being the same")
    for i in range(inputs + nparams + outputs):
        if inputs <= i < inputs + nparams:
            args[i], steps[i], types[i] = <char *>&params[i - inputs], 0, CACT_DOUBLE
        else:
            args[i], steps[i], types[i] = buffers[k].data, size, own
            k += 1
    cact_run(kernel, op, buffers[0].n, args, steps, types)
    return 0


cdef class Kernel:
    """One operation of one activation on contiguous buffers: no allocation, the GIL released."""

    cdef int _kernel, _inputs, _outputs
    cdef cact_op _op
    cdef double _defaults[CACT_MAX_PARAMS]
    cdef double _good[CACT_MAX_PARAMS]  # the last that were checked
    cdef tuple _names
    cdef object _on_numpy
    cdef readonly str __name__
    cdef readonly str __doc__
    cdef vectorcallfunc _vectorcall

    def __cinit__(self, *args, **kwargs):
        self._vectorcall = <vectorcallfunc><void *>kernel_called

    def __init__(self, str name, str operation, dict defaults, on_numpy):
        self._kernel = find(name)
        self._on_numpy = on_numpy  # the same call on the NumPy backend; checks parameters for this one
        self._op = _operations[operation]
        self._inputs = cact_inputs(self._kernel, self._op)
        self._outputs = cact_outputs(self._kernel, self._op)
        self._names = tuple(defaults)
        for i, v in enumerate(defaults.values()):
            self._defaults[i] = self._good[i] = v
        self.__name__ = f"{name}_{operation}"
        arguments = {"forward": "x, y", "grad": "x, g", "backward": "dy, x, dx", "value_and_grad": "x, y, g"}
        self.__doc__ = (f"{self.__name__}({arguments[operation]})\n\nOn contiguous float32 or float64 buffers"
                        " of one length; an output may be the same buffer as an input.")

    def __repr__(self):
        return f"<cact kernel {self.__name__}>"

    def __call__(self, *buffers, **params):
        return PyVectorcall_Call(self, buffers, params)

    cdef object _run(self, Call *call):
        cdef Buffer all[4]
        cdef Py_buffer views[4]
        cdef double given[CACT_MAX_PARAMS]
        cdef double *values = self._defaults
        cdef int i, count = self._inputs + self._outputs, held = 0, single = -1
        if not _enabled:
            return self._on_numpy(*positional(call), **named(call))
        if call.n != count:
            raise TypeError(f"{self.__name__} takes {count} buffers, got {call.n}")
        if call.keywords:
            values = given
            self._take(named(call), values)
        try:
            for i in range(count):
                if not plain_buffer(<object>call.args[i], i >= self._inputs, &single, &all[i], views, &held):
                    break
            else:
                return self._launch(single == 1, values, all)
        finally:
            for i in range(held):
                PyBuffer_Release(&views[i])
        self._refuse(positional(call))

    cdef int _take(self, dict params, double *values) except -1:
        """All parameters, those given checked, which is quick for numbers that already were."""
        cdef int i, found = 0
        for i, key in enumerate(self._names):
            values[i] = self._defaults[i]
            if key in params and is_number(params[key], &values[i]) and values[i] == self._good[i]:
                found += 1
        if found < len(params):
            for i, v in enumerate(self._on_numpy.checked(params).values()):
                values[i] = self._good[i] = v
        return 0

    cdef object _launch(self, bint single, double *values, Buffer *all):
        cdef cact_type own = CACT_FLOAT if single else CACT_DOUBLE
        try:
            if all[0].n < ALONE:
                launch(self._kernel, self._op, own, values, self._inputs, self._outputs, all)
            else:
                with nogil:
                    launch(self._kernel, self._op, own, values, self._inputs, self._outputs, all)
        except ValueError as error:
            raise ValueError(f"{self.__name__}: {error}") from None

    cdef object _refuse(self, tuple buffers):
        """Raise what is wrong with one of the buffers."""
        cdef const float[::1] floats
        cdef const double[::1] doubles
        cdef float[::1] new_floats
        cdef double[::1] new_doubles
        cdef int i
        for b in buffers:
            if b is None:
                raise TypeError(f"{self.__name__}: a buffer is None")
        try:
            single = memoryview(buffers[0]).format == "f"
        except TypeError:
            raise TypeError(f"{self.__name__}: a {type(buffers[0]).__name__} is no buffer") from None
        try:
            for i, b in enumerate(buffers):
                if i < self._inputs:
                    if single:
                        floats = b
                    else:
                        doubles = b
                elif single:
                    new_floats = b
                else:
                    new_doubles = b
        except (ValueError, BufferError) as error:
            raise ValueError(f"{self.__name__}: {error}") from None
        except TypeError as error:
            raise TypeError(f"{self.__name__}: {error}") from None
        raise ValueError(f"{self.__name__}: a buffer is not in native order")


cdef object kernel_called(object self, PyObject *const *args, size_t n, PyObject *names):
    cdef Call call = call_of(args, PyVectorcall_NARGS(n), names)
    return (<Kernel>self)._run(&call)


cdef Kernel _like = Kernel.__new__(Kernel)
take_vectorcall(Kernel, <char *>&_like._vectorcall - <char *><PyObject *>_like)


cdef bint plain_buffer(object a, bint writable, int *single, Buffer *b, Py_buffer *views, int *held):
    """Whether a is a contiguous buffer of the type of the others, and where; `views` keeps what is to release."""
    cdef int own
    cdef Py_buffer *view = views + held[0]
    if type(a) is cnp.ndarray:
        own = kind_of(a)
        x = <cnp.ndarray>a
        if (own < 0 or own > CACT_DOUBLE or cnp.PyArray_NDIM(x) != 1 or not cnp.PyArray_IS_C_CONTIGUOUS(x)
                or (writable and not cnp.PyArray_ISWRITEABLE(x))):
            return False
        own = own == CACT_FLOAT
        b.n, b.data = cnp.PyArray_DIM(x, 0), <char *>cnp.PyArray_DATA(x)
    else:
        try:
            PyObject_GetBuffer(a, view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | (PyBUF_WRITABLE if writable else 0))
        except (BufferError, TypeError, ValueError):
            return False
        held[0] += 1
        own = view.format != NULL and view.format[0] == c"f"
        if view.ndim != 1 or view.format == NULL or view.format[0] not in (c"f", c"d") or view.format[1]:
            return False
        b.n, b.data = view.shape[0], <char *>view.buf
    if b.n == 0:
        b.data = NULL
    if single[0] < 0:
        single[0] = own
    return single[0] == own


# ---------------------------------------------------------------------- for cimport
cdef double *_defaults = <double *>PyMem_Malloc(cact_count() * CACT_MAX_PARAMS * sizeof(double))


def set_defaults(str name not None, tuple values):
    """Tell the functions for `cimport` the default parameters, which the Python records hold."""
    for i, v in enumerate(values):
        _defaults[<int>_index[name] * CACT_MAX_PARAMS + <int>i] = v


cdef int on_defaults(int kernel, cact_op op, const real[::1] dy, const real[::1] x, real[::1] out) except -1 nogil:
    """`launch` with the default parameters; dy is x where there is none."""
    cdef Buffer all[3]
    cdef int inputs = 2 if op == CACT_BACKWARD else 1
    all[0], all[inputs - 1] = buffer_of(dy), buffer_of(x)
    all[inputs].n = out.shape[0]
    all[inputs].data = <char *>&out[0] if out.shape[0] else NULL
    return launch(kernel, op, CACT_FLOAT if real is float else CACT_DOUBLE,
                  &_defaults[kernel * CACT_MAX_PARAMS], inputs, 1, all)


cdef int forward_float(int kernel, const float[::1] x, float[::1] y) except -1 nogil:
    return on_defaults(kernel, CACT_FORWARD, x, x, y)


cdef int forward_double(int kernel, const double[::1] x, double[::1] y) except -1 nogil:
    return on_defaults(kernel, CACT_FORWARD, x, x, y)


cdef int grad_float(int kernel, const float[::1] x, float[::1] g) except -1 nogil:
    return on_defaults(kernel, CACT_GRAD, x, x, g)


cdef int grad_double(int kernel, const double[::1] x, double[::1] g) except -1 nogil:
    return on_defaults(kernel, CACT_GRAD, x, x, g)


cdef int backward_float(int kernel, const float[::1] dy, const float[::1] x, float[::1] dx) except -1 nogil:
    return on_defaults(kernel, CACT_BACKWARD, dy, x, dx)


cdef int backward_double(int kernel, const double[::1] dy, const double[::1] x, double[::1] dx) except -1 nogil:
    return on_defaults(kernel, CACT_BACKWARD, dy, x, dx)
