# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The binding: ufuncs, typed-memoryview kernels and fast calls, made from the C table.

Nothing here names an activation: `inventory` lists what the C table holds.
"""


cimport numpy as cnp
import numpy
from cpython.mem cimport PyMem_Malloc
from libc.stdint cimport uintptr_t

cnp.import_array()
cnp.import_ufunc()

cdef extern from "cact.h" nogil:
    enum: CACT_MAX_PARAMS
    ctypedef enum cact_op:
        CACT_FORWARD, CACT_GRAD, CACT_BACKWARD, CACT_VALUE_AND_GRAD, CACT_PARAM_GRAD
        CACT_GRAD_FROM_OUTPUT, CACT_BACKWARD_FROM_OUTPUT, CACT_GATE, CACT_GATE_BACKWARD
    ctypedef enum cact_type:
        CACT_FLOAT, CACT_DOUBLE, CACT_HALF, CACT_BFLOAT, CACT_BOOL, CACT_INT8, CACT_UINT8, CACT_INT16
        CACT_UINT16, CACT_INT32, CACT_UINT32, CACT_INT64, CACT_UINT64
    int cact_isa_count()
    const char *cact_isa_name(int)
    const char *cact_isa_active()
    int cact_isa_select(const char *)
    int cact_count()
    const char *cact_name(int)
    int cact_params(int)
    int cact_rows(int)
    int cact_has(int, cact_op)
    int cact_inputs(int, cact_op)
    int cact_outputs(int, cact_op)
    void cact_set_threads(int)
    int cact_get_threads()
    void cact_run(int, cact_op, size_t, char **, Py_ssize_t *, cact_type *)
    int cact_run_rows(int, cact_op, size_t, size_t, char **, Py_ssize_t *, Py_ssize_t *, cact_type *)

cdef extern from *:
    """
    #if defined(__clang__)
    #define CACT_COMPILER "clang " __clang_version__
    #else
    #define CACT_COMPILER "gcc " __VERSION__
    #endif
    """
    const char *CACT_COMPILER
    const char *CYTHON_ABI
    void PyErr_NoMemory() noexcept  # only sets the error: NumPy raises it after the loop

cdef extern from "numpy/arrayobject.h":
    object PyArray_NewLikeArray(cnp.ndarray, cnp.NPY_ORDER, void *, bint)

cdef enum:
    MAX_OPERANDS = 10  # dy, x, parameters, outputs


# ---------------------------------------------------------------------- what there is
cdef dict _index = {cact_name(i).decode(): i for i in range(cact_count())}


#: The operations by the names that Python calls them.
cdef dict _operations = {
    "forward": CACT_FORWARD, "grad": CACT_GRAD, "backward": CACT_BACKWARD, "value_and_grad": CACT_VALUE_AND_GRAD,
    "param_grad": CACT_PARAM_GRAD, "grad_from_output": CACT_GRAD_FROM_OUTPUT,
    "backward_from_output": CACT_BACKWARD_FROM_OUTPUT, "gate": CACT_GATE, "gate_backward": CACT_GATE_BACKWARD,
}


def inventory():
    """Name of each activation in the C table -> number of its parameters."""
    return {name: cact_params(i) for name, i in _index.items()}


def has(str name not None, str operation not None):
    """Whether an activation of the C table has an operation."""
    return bool(cact_has(_index[name], _operations[operation]))


def isas():
    """Instruction sets that were built and that this machine can run, best first."""
    return [cact_isa_name(i).decode() for i in range(cact_isa_count())]


def isa():
    """The instruction set in use, or None where the machine has none of them."""
    cdef const char *name = cact_isa_active()
    return None if name == NULL else name.decode()


def set_isa(str name not None):
    """Use another instruction set from now on; ValueError if it cannot run here."""
    if cact_isa_select(name.encode()) != 0:
        raise ValueError(f"instruction set {name!r} is not available here; there is {', '.join(isas())}")


def set_threads(int n):
    """Let n threads, the caller included, work on large arrays."""
    cact_set_threads(n)


def get_threads():
    """How many threads may work."""
    return cact_get_threads()


def build_info():
    """What built the extension."""
    return {"compiler": CACT_COMPILER.decode().strip(), "cython": CYTHON_ABI.decode().replace("_", ".")}


# ---------------------------------------------------------------------- ufuncs
cdef struct Loop:
    int index
    cact_op op
    cact_type types[MAX_OPERANDS]


cdef void elementwise_loop(char **args, cnp.npy_intp *dims, cnp.npy_intp *steps, void *data) noexcept nogil:
    cdef Loop *loop = <Loop *>data
    cact_run(loop.index, loop.op, dims[0], args, <Py_ssize_t *>steps, loop.types)


cdef void rows_loop(char **args, cnp.npy_intp *dims, cnp.npy_intp *steps, void *data) noexcept nogil:
    cdef Loop *loop = <Loop *>data
    cdef int operands = 3 if loop.op == CACT_BACKWARD else 2
    if cact_run_rows(loop.index, loop.op, dims[0], dims[1], args, <Py_ssize_t *>steps,
                     <Py_ssize_t *>steps + operands, loop.types) != 0:
        with gil:
            PyErr_NoMemory()


cdef cact_type type_of(int number):
    """How the C side calls a NumPy type number."""
    cdef int size
    if number == cnp.NPY_FLOAT: return CACT_FLOAT
    if number == cnp.NPY_DOUBLE: return CACT_DOUBLE
    if number == cnp.NPY_FLOAT16: return CACT_HALF
    if number == cnp.NPY_BOOL: return CACT_BOOL
    size = cnp.PyArray_DescrFromType(number).itemsize
    if number in (cnp.NPY_BYTE, cnp.NPY_SHORT, cnp.NPY_INT, cnp.NPY_LONG, cnp.NPY_LONGLONG):
        return {1: CACT_INT8, 2: CACT_INT16, 4: CACT_INT32, 8: CACT_INT64}[size]
    return {1: CACT_UINT8, 2: CACT_UINT16, 4: CACT_UINT32, 8: CACT_UINT64}[size]


# Exact matches come first: a ufunc takes the first loop that its inputs can be cast to safely.
cdef list _types = [
    (cnp.NPY_BOOL, cnp.NPY_DOUBLE), (cnp.NPY_BYTE, cnp.NPY_DOUBLE), (cnp.NPY_UBYTE, cnp.NPY_DOUBLE),
    (cnp.NPY_SHORT, cnp.NPY_DOUBLE), (cnp.NPY_USHORT, cnp.NPY_DOUBLE), (cnp.NPY_INT, cnp.NPY_DOUBLE),
    (cnp.NPY_UINT, cnp.NPY_DOUBLE), (cnp.NPY_LONG, cnp.NPY_DOUBLE), (cnp.NPY_ULONG, cnp.NPY_DOUBLE),
    (cnp.NPY_LONGLONG, cnp.NPY_DOUBLE), (cnp.NPY_ULONGLONG, cnp.NPY_DOUBLE),
    (cnp.NPY_FLOAT16, cnp.NPY_FLOAT16), (cnp.NPY_FLOAT, cnp.NPY_FLOAT), (cnp.NPY_DOUBLE, cnp.NPY_DOUBLE),
]

cdef list _alive = []  # names of ufuncs, which NumPy does not copy


cdef cnp.PyUFuncGenericFunction loop_of(int index):
    return <cnp.PyUFuncGenericFunction>(rows_loop if cact_rows(index) else elementwise_loop)


def ufunc(str name not None, str operation not None):
    """One operation of an activation as a ufunc: inputs of one type, parameters as doubles, outputs.

    Made anew at each call and never freed.  None where the activation has no such operation.
    """
    cdef int index = _index[name]
    cdef cact_op op = _operations[operation]
    if not cact_has(index, op):
        return None
    cdef int inputs = cact_inputs(index, op), params = cact_params(index), outputs = cact_outputs(index, op)
    cdef int operands = inputs + params + outputs, count = len(_types), i, k
    cdef Loop *loops = <Loop *>PyMem_Malloc(count * sizeof(Loop))
    cdef char *types = <char *>PyMem_Malloc(count * operands)
    cdef void **data = <void **>PyMem_Malloc(count * sizeof(void *))
    cdef cnp.PyUFuncGenericFunction *functions = <cnp.PyUFuncGenericFunction *>PyMem_Malloc(
        count * sizeof(cnp.PyUFuncGenericFunction))
    if loops == NULL or types == NULL or data == NULL or functions == NULL:
        raise MemoryError
    for i, (source, result) in enumerate(_types):
        for k in range(operands):
            number = source if k < inputs else cnp.NPY_DOUBLE if k < inputs + params else result
            types[i * operands + k] = number
            loops[i].types[k] = type_of(number)
        loops[i].index, loops[i].op = index, op
        data[i] = &loops[i]
        functions[i] = loop_of(index)
    strings = (name.encode() if op == CACT_FORWARD else f"{name}_{operation}".encode(),
               f"See cact.{name}.".encode(), (b"(n),(n)->(n)" if inputs == 2 else b"(n)->(n)"))
    _alive.append(strings)
    cdef char *c_name = strings[0]
    cdef char *c_doc = strings[1]
    cdef char *signature = strings[2]
    if cact_rows(index):
        return cnp.PyUFunc_FromFuncAndDataAndSignature(
            functions, data, types, count, inputs + params, outputs, cnp.PyUFunc_None, c_name, c_doc, 0, signature)
    return cnp.PyUFunc_FromFuncAndData(
        functions, data, types, count, inputs + params, outputs, cnp.PyUFunc_None, c_name, c_doc, 0)


cdef extern from "numpy/ufuncobject.h":
    int PyUFunc_RegisterLoopForDescr(void *, cnp.PyArray_Descr *, cnp.PyUFuncGenericFunction,
                                     cnp.PyArray_Descr **, void *) except -1


def add_bfloat16(ufunc, str name not None, str operation not None, dtype):
    """Give a ufunc from above a loop for bfloat16, a dtype that another package registers."""
    cdef int index = _index[name], k
    cdef cact_op op = _operations[operation]
    cdef int inputs = cact_inputs(index, op), params = cact_params(index)
    cdef int operands = inputs + params + cact_outputs(index, op)
    cdef cnp.PyArray_Descr *descriptors[MAX_OPERANDS]
    cdef Loop *loop = <Loop *>PyMem_Malloc(sizeof(Loop))
    if loop == NULL:
        raise MemoryError
    double = numpy.dtype(numpy.float64)
    loop.index, loop.op = index, op
    for k in range(operands):
        parameter = inputs <= k < inputs + params
        loop.types[k] = CACT_DOUBLE if parameter else CACT_BFLOAT
        descriptors[k] = <cnp.PyArray_Descr *>(double if parameter else dtype)
    _alive.append((double, dtype))
    PyUFunc_RegisterLoopForDescr(<void *>ufunc, <cnp.PyArray_Descr *>dtype, loop_of(index), descriptors, loop)


# ---------------------------------------------------------------------- fast calls
cdef object _multiply = numpy.multiply, _add_all = numpy.add.reduce, _errstate = numpy.errstate
cdef object _double = numpy.float64
cdef bint _enabled = True


def enable(bint on):
    """Whether calls may take the fast path; off while the NumPy backend is in use."""
    global _enabled
    _enabled = on


cdef inline bint simple(object a):
    """An ndarray (no subclass), native float32 or float64, aligned, in one piece, not 0-d."""
    if type(a) is not cnp.ndarray:
        return False
    cdef cnp.ndarray x = <cnp.ndarray>a
    cdef int number = cnp.PyArray_TYPE(x)
    return ((number == cnp.NPY_FLOAT or number == cnp.NPY_DOUBLE)
            and cnp.PyArray_NDIM(x) > 0
            and cnp.PyArray_ISALIGNED(x) and cnp.PyArray_ISNOTSWAPPED(x)
            and (cnp.PyArray_IS_C_CONTIGUOUS(x) or cnp.PyArray_IS_F_CONTIGUOUS(x)))


cdef inline bint alike(cnp.ndarray a, cnp.ndarray b):
    """Same type, same shape, same order in memory."""
    cdef int i
    if cnp.PyArray_TYPE(a) != cnp.PyArray_TYPE(b) or cnp.PyArray_NDIM(a) != cnp.PyArray_NDIM(b):
        return False
    for i in range(cnp.PyArray_NDIM(a)):
        if cnp.PyArray_DIM(a, i) != cnp.PyArray_DIM(b, i):
            return False
    return ((cnp.PyArray_IS_C_CONTIGUOUS(a) and cnp.PyArray_IS_C_CONTIGUOUS(b))
            or (cnp.PyArray_IS_F_CONTIGUOUS(a) and cnp.PyArray_IS_F_CONTIGUOUS(b)))


cdef inline bint apart(cnp.ndarray a, cnp.ndarray b):
    """The same elements, or no byte in common (for arrays that are `alike`)."""
    cdef uintptr_t p = <uintptr_t>cnp.PyArray_DATA(a), q = <uintptr_t>cnp.PyArray_DATA(b)
    cdef uintptr_t size = cnp.PyArray_NBYTES(a)
    return p == q or p + size <= q or q + size <= p


cdef inline bint in_bounds(object axis):
    """A plain integer that some array's axis could have."""
    return type(axis) is int and -cnp.NPY_MAXDIMS <= axis < cnp.NPY_MAXDIMS


cdef class Caller:
    """Base of `Activation`: plain arrays go straight to the kernel, all else to `_apply`."""

    cdef int _kernel  # -1: no fast path
    cdef bint _rows
    cdef Py_ssize_t _axis
    cdef int _nparams
    cdef bint _learnable
    cdef double _values[CACT_MAX_PARAMS]

    def __cinit__(self, *args, **kwargs):
        self._kernel = -1

    def _prepare(self, name, tuple values, bint learnable):
        """Allow the fast path, for the parameters bound; `name` None: not in the C table."""
        self._kernel = -1
        self._learnable = learnable
        if name is None:
            return
        self._rows = cact_rows(_index[name])
        if self._rows:
            if not in_bounds(values[0]):
                return
            self._axis = values[0]
        elif all(isinstance(v, float) for v in values):
            for i, v in enumerate(values):
                self._values[i] = v
            self._nparams = len(values)
        else:
            return
        self._kernel = _index[name]

    cdef object _fast_rows(self, cact_op op, object dy, object x, object out, Py_ssize_t axis):
        """Rows along the last axis of plain C-ordered arrays; None where the slow path must decide."""
        cdef char *args[3]
        cdef Py_ssize_t steps[3]
        cdef Py_ssize_t inner[3]
        cdef cact_type types[3]
        cdef int k, operands = 2, ndim, failed
        cdef size_t n, rows
        if not _enabled or self._kernel < 0 or not simple(x):
            return None
        cdef cnp.ndarray a = <cnp.ndarray>x, b
        ndim = cnp.PyArray_NDIM(a)
        if (axis != -1 and axis != ndim - 1) or not cnp.PyArray_IS_C_CONTIGUOUS(a) or cnp.PyArray_SIZE(a) == 0:
            return None
        if op == CACT_BACKWARD:
            if not simple(dy) or not alike(<cnp.ndarray>dy, a) or not cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>dy):
                return None
            args[0], args[1] = <char *>cnp.PyArray_DATA(<cnp.ndarray>dy), <char *>cnp.PyArray_DATA(a)
            operands = 3
        else:
            args[0] = <char *>cnp.PyArray_DATA(a)
        if out is None:
            b = PyArray_NewLikeArray(a, cnp.NPY_CORDER, NULL, 0)
        else:
            if not simple(out):
                return None
            b = <cnp.ndarray>out
            if (not cnp.PyArray_ISWRITEABLE(b) or not alike(b, a) or not cnp.PyArray_IS_C_CONTIGUOUS(b)
                    or not apart(b, a) or (op == CACT_BACKWARD and not apart(b, <cnp.ndarray>dy))):
                return None
        args[operands - 1] = <char *>cnp.PyArray_DATA(b)
        n = cnp.PyArray_DIM(a, ndim - 1)
        rows = cnp.PyArray_SIZE(a) // <Py_ssize_t>n
        for k in range(operands):
            inner[k] = cnp.PyArray_ITEMSIZE(a)
            steps[k] = n * inner[k]
            types[k] = CACT_FLOAT if inner[k] == 4 else CACT_DOUBLE
        with nogil:
            failed = cact_run_rows(self._kernel, op, rows, n, args, steps, inner, types)
        if failed:
            raise MemoryError
        return b

    cdef object _fast(self, cact_op op, object dy, object x, object out):
        """The result, or None where the slow path must decide."""
        cdef char *args[MAX_OPERANDS]
        cdef Py_ssize_t steps[MAX_OPERANDS]
        cdef cact_type types[MAX_OPERANDS]
        cdef int k = 0, i
        cdef size_t n
        if not _enabled or self._kernel < 0 or not simple(x):
            return None
        cdef cnp.ndarray a = <cnp.ndarray>x, b, c
        cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(a)
        cdef cact_type own = CACT_FLOAT if size == 4 else CACT_DOUBLE
        if op == CACT_BACKWARD:
            if not simple(dy) or not alike(<cnp.ndarray>dy, a):
                return None
            args[0], steps[0], types[0] = <char *>cnp.PyArray_DATA(<cnp.ndarray>dy), size, own
            k = 1
        args[k], steps[k], types[k] = <char *>cnp.PyArray_DATA(a), size, own
        k += 1
        for i in range(self._nparams):
            args[k], steps[k], types[k] = <char *>&self._values[i], 0, CACT_DOUBLE
            k += 1
        if out is None:
            b = PyArray_NewLikeArray(a, cnp.NPY_KEEPORDER, NULL, 0)
        else:
            if not simple(out):
                return None
            b = <cnp.ndarray>out
            if not cnp.PyArray_ISWRITEABLE(b) or not alike(b, a) or not apart(b, a):
                return None
            if op == CACT_BACKWARD and not apart(b, <cnp.ndarray>dy):
                return None
        args[k], steps[k], types[k] = <char *>cnp.PyArray_DATA(b), size, own
        k += 1
        result = b
        if op == CACT_VALUE_AND_GRAD:
            c = PyArray_NewLikeArray(a, cnp.NPY_KEEPORDER, NULL, 0)
            args[k], steps[k], types[k] = <char *>cnp.PyArray_DATA(c), size, own
            result = (b, c)
        n = cnp.PyArray_SIZE(a)
        if n < 1024:
            cact_run(self._kernel, op, n, args, steps, types)
        else:
            with nogil:
                cact_run(self._kernel, op, n, args, steps, types)
        return result

    cdef object _quick(self, cact_op op, int inputs, tuple args, dict kwargs):
        """`_fast` for the two common shapes of a call, ``f(x)`` and ``f(x, out)``; else None."""
        cdef Py_ssize_t n = len(args), axis = self._axis, used = 0
        out = None
        if self._kernel < 0 or n < inputs:
            return None
        if kwargs:
            if self._rows and "axis" in kwargs and in_bounds(kwargs["axis"]):
                axis = kwargs["axis"]
                used = 1
            if "out" in kwargs and n == inputs:
                out = kwargs["out"]
                used += 1
            if used != len(kwargs):
                return None
        if n == inputs + 1 and not self._learnable and out is None:
            out = args[inputs]
        elif n != inputs:
            return None
        dy = args[0] if inputs == 2 else None
        if self._rows:
            return self._fast_rows(op, dy, args[inputs - 1], out, axis)
        return self._fast(op, dy, args[inputs - 1], out)

    def __call__(self, *args, **kwargs):
        result = self._quick(CACT_FORWARD, 1, args, kwargs)
        return self._apply("forward", args, kwargs) if result is None else result

    def grad(self, *args, **kwargs):
        """f'(x); see the class."""
        result = None if self._rows else self._quick(CACT_GRAD, 1, args, kwargs)
        return self._apply("grad", args, kwargs) if result is None else result

    def backward(self, *args, **kwargs):
        """dy*f'(x); see the class."""
        if not self._learnable:
            result = self._quick(CACT_BACKWARD, 2, args, kwargs)
        elif self._nparams == 1 and len(args) == 2 and (not kwargs or (len(kwargs) == 1 and "out" in kwargs)):
            result = self._learn(args[0], args[1], kwargs.get("out"))
        else:
            result = None
        return self._apply("backward", args, kwargs) if result is None else result

    cdef object _learn(self, object dy, object x, object out):
        """``(dx, dparameter)`` for one scalar parameter."""
        part = self._fast(CACT_PARAM_GRAD, None, x, None)
        if part is None or not simple(dy) or not alike(<cnp.ndarray>dy, <cnp.ndarray>x):
            return None
        with _errstate(all="ignore"):  # before `out`, which may be x or dy, is written
            total = part.dtype.type(_add_all(_multiply(dy, part, part), None, _double))
        dx = self._fast(CACT_BACKWARD, dy, x, out)
        return None if dx is None else (dx, total)

    def value_and_grad(self, *args, **kwargs):
        """(f(x), f'(x)); see the class."""
        if kwargs or self._rows or len(args) != 1:
            return self._apply("value_and_grad", args, kwargs)
        result = self._fast(CACT_VALUE_AND_GRAD, None, args[0], None)
        return self._apply("value_and_grad", args, kwargs) if result is None else result


# ---------------------------------------------------------------------- typed memoryviews, for cimport
include "_views.pxi"
