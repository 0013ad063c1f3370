# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: embedsignature=True, embedsignature.format=clinic
"""The binding: ufuncs, typed-memoryview kernels and fast calls, made from the C table.

Nothing here names an activation: `inventory` lists what the C table holds.
"""


cimport numpy as cnp
cimport cython
import numpy
from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer)
from cpython.float cimport PyFloat_AS_DOUBLE
from cpython.long cimport PyLong_AsLongAndOverflow
from cpython.mem cimport PyMem_Malloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from libc.stdint cimport int64_t, uint16_t, uintptr_t
from libc.string cimport memcpy

cnp.import_array()
cnp.import_ufunc()

cdef extern from "cact.h" nogil:
    enum: CACT_MAX_PARAMS
    ctypedef enum cact_op:
        CACT_FORWARD, CACT_GRAD, CACT_BACKWARD, CACT_VALUE_AND_GRAD, CACT_PARAM_GRAD
        CACT_GRAD_FROM_OUTPUT, CACT_BACKWARD_FROM_OUTPUT, CACT_GATE, CACT_GATE_BACKWARD, CACT_LEARN
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
    int cact_side(int)
    int cact_has(int, cact_op)
    int cact_inputs(int, cact_op)
    int cact_outputs(int, cact_op)
    uint16_t cact_half_of(cact_type, double)
    int cact_learn(int, size_t, char **, Py_ssize_t *, cact_type *, double *)
    void cact_set_threads(int)
    int cact_get_threads()
    bint cact_apart(size_t, const char *, Py_ssize_t, size_t, const char *, Py_ssize_t, size_t)
    void cact_run(int, cact_op, size_t, char **, Py_ssize_t *, cact_type *)
    void cact_run_in_order(int, cact_op, size_t, char **, Py_ssize_t *, cact_type *)
    void cact_run_stretches(int, cact_op, size_t, size_t, char **, Py_ssize_t *, Py_ssize_t *, cact_type *)
    enum: CACT_MAX_DIMS
    void cact_run_strided(int, cact_op, int, size_t *, char **, void *, cact_type *)
    int cact_run_rows(int, cact_op, size_t, size_t, char **, Py_ssize_t *, Py_ssize_t *, cact_type *)
    enum: CACT_JOINS
    ctypedef enum cact_optimizer:
        CACT_SGD, CACT_MOMENTUM, CACT_NESTEROV, CACT_RMSPROP, CACT_ADAM
    enum: CACT_OPTIMIZER_SCALARS
    void cact_update(cact_optimizer, cact_type, size_t, void *, const void *, void **, const double *)
    double cact_square_sum(cact_type, size_t, const void *)
    int cact_all_finite(cact_type, size_t, const void *)
    ctypedef struct cact_layer:
        int activation
        cact_type type
        size_t rows, n
        const double *p
    ctypedef struct cact_dropout:
        double rate
        void *mask
        void *y
    void cact_layer_forward(const cact_layer *, const void *, void *, void *, const cact_dropout *)
    int cact_layer_backward(const cact_layer *, const void *, const void *, void *, void *, const cact_dropout *, double *)
    void cact_add_row(cact_type, size_t, size_t, const void *, void *)
    void cact_sum_rows(cact_type, size_t, size_t, const void *, void *)
    void cact_double_sums(cact_type, size_t, size_t, const void *, double *)
    double cact_product_of_chosen(cact_type, size_t, size_t, const void *, const int64_t *, double, int64_t *)
    void cact_cross_entropy_slope(cact_type, size_t, size_t, const void *, const int64_t *, const void *, void *)
    void cact_run_pieces(int, cact_op, cact_type, size_t, size_t, size_t, const void *, const void *, void *)

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

cdef enum:
    MAX_OPERANDS = 10  # dy, x, parameters, outputs


# ---------------------------------------------------------------------- what there is
cdef dict _index = {cact_name(i).decode(): i for i in range(cact_count())}


#: The operations by the names that Python calls them.
cdef dict _operations = {
    "forward": CACT_FORWARD, "grad": CACT_GRAD, "backward": CACT_BACKWARD, "value_and_grad": CACT_VALUE_AND_GRAD,
    "param_grad": CACT_PARAM_GRAD, "grad_from_output": CACT_GRAD_FROM_OUTPUT,
    "backward_from_output": CACT_BACKWARD_FROM_OUTPUT, "gate": CACT_GATE, "gate_backward": CACT_GATE_BACKWARD,
    "learn": CACT_LEARN,
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
    cact_run_in_order(loop.index, loop.op, dims[0], args, <Py_ssize_t *>steps, loop.types)


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
    """Give a ufunc from above a loop for bfloat16, a dtype that another package registers; calls know it, too."""
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
    _numbers[<int>CACT_BFLOAT] = dtype.num


# ---------------------------------------------------------------------- calls, and typed memoryviews
include "_calls.pxi"
include "_strided.pxi"
include "_caller.pxi"
include "_views.pxi"
include "_training.pxi"
