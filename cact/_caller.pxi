# Included by _kernels.pyx: activations as Python calls them.
#
# By the vectorcall protocol (PEP 590), so that no tuple and no dictionary is made: `out=` as a keyword, of which
# `tp_call` copies a dictionary, else costs more than the kernel on a hundred elements.

cdef extern from "Python.h":
    ctypedef PyObject *(*vectorcallfunc)(PyObject *, PyObject *const *, size_t, PyObject *)
    ctypedef PyObject *(*PyCFunction)(PyObject *, PyObject *)
    ctypedef struct PyMethodDef:
        const char *ml_name
        PyCFunction ml_meth
        int ml_flags
        const char *ml_doc
    ctypedef struct PyTypeObject:
        Py_ssize_t tp_vectorcall_offset
        unsigned long tp_flags
        PyObject *tp_dict
    enum: METH_FASTCALL, METH_KEYWORDS
    unsigned long Py_TPFLAGS_HAVE_VECTORCALL
    Py_ssize_t PyVectorcall_NARGS(size_t)
    object PyVectorcall_Call(object, object, object)
    object PyDescr_NewMethod(PyTypeObject *, PyMethodDef *)
    void PyType_Modified(PyTypeObject *)
    PyObject *item_of "PyTuple_GET_ITEM"(PyObject *, Py_ssize_t)
    Py_ssize_t size_of "PyTuple_GET_SIZE"(PyObject *)

cdef struct Call:
    PyObject *const *args  # those by position, then the values of the keywords
    Py_ssize_t n, keywords
    PyObject *names  # the keywords, a tuple, or NULL


cdef inline Call call_of(PyObject *const *args, Py_ssize_t n, PyObject *names) noexcept:
    cdef Call call
    call.args, call.n, call.names = args, n, names
    call.keywords = 0 if names == NULL else size_of(names)
    return call


cdef tuple positional(Call *call):
    return tuple([<object>call.args[i] for i in range(call.n)])


cdef dict named(Call *call):
    return {<object>item_of(call.names, i): <object>call.args[call.n + i] for i in range(call.keywords)}


# ---------------------------------------------------------------------- what stands beside the inputs
cdef struct Given:
    PyObject *out  # borrowed
    Py_ssize_t axis, k
    double *values  # those bound, or `own`
    double own[CACT_MAX_PARAMS]


cdef bint is_loose(object a):
    """Whether NumPy makes a plain array of it, as it does for a ufunc."""
    return type(a) in (float, int, bool, list, tuple) or isinstance(a, _generic)


cdef class Caller:
    """Base of `Activation`: plain arrays go straight to the kernel, all else to `_apply`."""

    cdef int _kernel  # -1: no fast path
    cdef int _shaped  # ROWS, GATED, PIECES: along an axis
    cdef Py_ssize_t _axis, _k
    cdef int _nparams, _learnable
    cdef tuple _keys
    cdef double _values[CACT_MAX_PARAMS]  # bound, where all are numbers
    cdef list _bound  # where some are arrays
    cdef double _good[CACT_MAX_PARAMS]  # the last that were checked
    cdef tuple _good_arrays  # the same of parameters of which some were arrays: numbers, and contents
    cdef str _chooser  # the keyword that chooses another function
    cdef dict _chosen  # its values, where they are strings, and the functions
    cdef vectorcallfunc _vectorcall
    cdef public bint _tells  # whether with the parameters bound the output tells f'

    def __cinit__(self, *args, **kwargs):
        self._vectorcall = <vectorcallfunc><void *>called
        cls = type(self)
        if cls.__call__ is Caller.__call__:  # before Python 3.12 a class does not inherit the flag
            (<PyTypeObject *>cls).tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL
        self._kernel = -1
        self._chosen = {}

    def _prepare(self, name, dict params, int learnable, str chooser, bint gated=False):
        """Allow the fast path, for the parameters bound, of which the first may be `learnable`.

        `name` is that of the kernel, None: not in the C table.
        """
        self._kernel, self._learnable, self._chooser, self._bound = -1, learnable, chooser, None
        if name is None or (gated and cact_params(_index[name])):
            return
        cdef int kernel = _index[name]
        self._shaped = GATED if gated else ROWS if cact_rows(kernel) else PIECES if cact_side(kernel) else 0
        if self._shaped:
            self._keys, self._nparams, self._k = (), 0, 2
            if not is_axis(params["axis"], &self._axis):
                return
            if self._shaped == PIECES and cact_params(kernel):
                self._keys, self._nparams = tuple([key for key in params if key != "axis"]), 1
                if not is_integer(params[self._keys[0]], 1, MOST_PIECES, &self._k):
                    return
        else:
            self._keys, self._nparams = tuple(params), len(params)
            for i, v in enumerate(params.values()):
                if isinstance(v, float):
                    self._values[i] = self._good[i] = v
                elif kind_of(v) == CACT_FLOAT or kind_of(v) == CACT_DOUBLE:
                    self._bound = list(params.values())
                else:
                    return
        self._kernel = kernel

    cdef bint _sort(self, int inputs, Call *call, Given *given) except -1:
        """Sort what was given beside the inputs; False where the slow path must."""
        cdef int i, k, n = <int>call.n, used = inputs
        cdef PyObject *key
        cdef PyObject *value
        given.out, given.axis, given.k, given.values = <PyObject *>None, self._axis, self._k, self._values
        if n > used and self._learnable:
            given.values = self._copy(given)
            while used < n and used - inputs < self._learnable:
                if not is_number(<object>call.args[used], &given.own[used - inputs]):
                    return False
                used += 1
        if n == used + 1:
            given.out = call.args[used]
        elif n != used:
            return False
        for k in range(<int>call.keywords):  # interned, but for those made at run time: the slow path compares
            key, value = item_of(call.names, k), call.args[call.n + k]
            if <object>key is "out" and given.out == <PyObject *>None:
                given.out = value
            elif self._shaped:
                if <object>key is "axis":
                    if not is_axis(<object>value, &given.axis):
                        return False
                elif not (self._nparams and <object>key is self._keys[0]
                          and is_integer(<object>value, 1, MOST_PIECES, &given.k)):
                    return False
            else:
                for i in range(used - inputs if used > inputs else 0, self._nparams):
                    if <object>key is self._keys[i]:
                        break
                else:
                    return False
                if given.values == self._values:
                    given.values = self._copy(given)
                if not is_number(<object>value, &given.own[i]):
                    return False
        if given.values != self._values:
            for i in range(self._nparams):
                if given.own[i] != self._good[i]:
                    self._check([given.own[i] for i in range(self._nparams)])
                    memcpy(self._good, given.own, sizeof(given.own))
                    break
        return True

    cdef double *_copy(self, Given *given) noexcept:
        memcpy(given.own, self._values, sizeof(given.own))
        return given.own

    cdef object _quick(self, cact_op op, str operation, int inputs, int outputs, Call *call):
        """The result; `_apply` has it where this is not one of the common calls."""
        cdef Given given
        cdef PyObject *operands[3]
        cdef int i
        result = None
        if self._chooser is not None:
            for i in range(<int>call.keywords):
                if <object>item_of(call.names, i) == self._chooser:
                    return self._other(op, operation, inputs, outputs, call, i)
        if self._kernel >= 0 and _enabled and (not self._shaped or op == CACT_FORWARD or op == CACT_BACKWARD):
            if self._shaped == GATED:
                result = self._gate(inputs, call)
            elif self._bound is None and self._sort(inputs, call, &given):
                for i in range(inputs):
                    operands[i] = call.args[i]
                if self._shaped == PIECES:
                    result = run_pieces(self._kernel, inputs, operands, given.k, given.axis,
                                        <object>given.out)
                elif self._shaped:
                    result = run_rows(self._kernel, op, inputs, operands, given.axis, <object>given.out)
                else:
                    result = run(self._kernel, op, inputs, operands, self._nparams, given.values, outputs,
                                 <object>given.out)
                    if result is None:
                        result = run_strided(self._kernel, op, inputs, operands, self._nparams, given.values, NULL,
                                             outputs, <object>given.out)
                    if result is None and given.out == <PyObject *>None:
                        result = run_numbers(self._kernel, op, inputs, operands, self._nparams, given.values, outputs)
                if result is None and given.out == <PyObject *>None and self._shaped != PIECES:
                    result = self._run_others(op, operation, positional(call)[:inputs], outputs, &given)
            elif not self._shaped and self._nparams:
                result = self._run_each(operation, inputs, call)
        return self._apply(operation, positional(call), named(call)) if result is None else result

    cdef object _run_others(self, cact_op op, str operation, tuple inputs, int outputs, Given *given):
        """Numbers, lists, and arrays of other layouts, the latter by the ufunc."""
        cdef PyObject *operands[3]
        cdef int i, kind = -1
        try:
            inputs = tuple([_asarray(a) if is_loose(a) else a for a in inputs])
            for i, a in enumerate(inputs):
                operands[i] = <PyObject *>a
                if kind_of(a) < 0 or (i and kind_of(a) != kind):
                    return None
                kind = kind_of(a)
            if self._shaped:
                result = run_rows(self._kernel, op, <int>len(inputs), operands, given.axis, None)
                return self._functions["c"][operation](*inputs, axis=given.axis) if result is None else result
            result = run(self._kernel, op, <int>len(inputs), operands, self._nparams, given.values, outputs, None)
            if result is not None:
                return result
            return self._functions["c"][operation](*inputs, *[given.values[i] for i in range(self._nparams)])
        except Exception:  # `_apply` says better what is wrong
            return None

    cdef object _other(self, cact_op op, str operation, int inputs, int outputs, Call *call, int chooser):
        """The same call of the function that a keyword chooses, without that keyword."""
        cdef PyObject *args[MOST_ARGUMENTS]
        cdef Py_ssize_t i, k = call.n + chooser
        cdef Call other
        value = <object>call.args[k]
        found = self._chosen.get(value) if type(value) is str else None
        if found is None:
            found = self._variant(self._chooser, value)
            if type(value) is str:
                self._chosen[value] = found
        names = tuple([<object>item_of(call.names, i) for i in range(call.keywords) if i != chooser])
        if call.n + call.keywords > MOST_ARGUMENTS:
            return self._apply(operation, positional(call), named(call))
        for i in range(call.n + call.keywords - 1):
            args[i] = call.args[i + (i >= k)]
        other = call_of(args, call.n, <PyObject *>names)
        return (<Caller>found)._quick(op, operation, inputs, outputs, &other)

    cdef object _run_each(self, str operation, int inputs, Call *call):
        """With parameters of which some are arrays; numbers are checked with them."""
        cdef int i, k, used = inputs
        cdef Py_ssize_t bytes = 0
        cdef list params = [self._values[i] for i in range(self._nparams)] if self._bound is None else self._bound[:]
        cdef list contents
        out = None
        if call.n < inputs or call.n > inputs + self._learnable + 1:
            return None
        for used in range(inputs, <int>min(call.n, inputs + self._learnable)):
            params[used - inputs] = <object>call.args[used]
        if call.n == inputs + self._learnable + 1:
            out = <object>call.args[call.n - 1]
        for k in range(<int>call.keywords):
            key, value = <object>item_of(call.names, k), <object>call.args[call.n + k]
            if key == "out" and out is None:
                out = value
            elif key in self._keys and self._keys.index(key) >= call.n - inputs:
                params[self._keys.index(key)] = value
            else:
                return None
        for i, v in enumerate(params):
            if kind_of(v) == CACT_FLOAT or kind_of(v) == CACT_DOUBLE:
                params[i] = v if kind_of(v) == CACT_DOUBLE else v.astype(_float64)
                bytes += cnp.PyArray_NBYTES(<cnp.ndarray>params[i])
            elif not isinstance(v, float):
                return None
        contents = params if bytes > MOST_COMPARED else [v if isinstance(v, float) else v.tobytes() for v in params]
        if bytes > MOST_COMPARED or tuple(contents) != self._good_arrays:
            self._check(params)
            self._good_arrays = None if bytes > MOST_COMPARED else tuple(contents)
        result = self._strided(operation, positional(call)[:inputs], tuple(params), out)
        return result if result is None or operation != "learn" else self._summed(result, params)

    def _strided(self, str operation, tuple inputs, tuple params, out):
        """One operation with parameters that are checked, numbers or arrays of float64; None: not on these arrays."""
        cdef PyObject *operands[3]
        cdef PyObject *arrays[CACT_MAX_PARAMS]
        cdef double values[CACT_MAX_PARAMS]
        cdef cact_op op = _operations[operation]
        cdef int i
        if self._shaped or self._kernel < 0 or not _enabled:
            return None
        if len(inputs) != cact_inputs(self._kernel, op) or len(params) != self._nparams:
            return None
        for i in range(<int>len(inputs)):
            operands[i] = <PyObject *>inputs[i]
        for i in range(self._nparams):
            arrays[i] = NULL
            if kind_of(params[i]) == CACT_DOUBLE:
                arrays[i] = <PyObject *>params[i]
            elif not is_number(params[i], &values[i]):
                return None
        return run_strided(self._kernel, op, <int>len(inputs), operands, self._nparams, values, arrays,
                           cact_outputs(self._kernel, op), out)

    cdef object _gate(self, int inputs, Call *call):
        cdef Given given
        cdef PyObject *operands[3]
        cdef Py_ssize_t n = call.n
        if n == inputs + 1:  # gate and value apart
            if call.keywords > 1 or (call.keywords and <object>item_of(call.names, 0) is not "out"):
                return None
            out = <object>call.args[n] if call.keywords else None
            operands[0], operands[n - 2], operands[n - 1] = call.args[0], call.args[n - 1], call.args[n - 2]
            if n == 2:
                return run(self._kernel, CACT_GATE, 2, operands, 0, NULL, 1, out)
            result = run(self._kernel, CACT_GATE_BACKWARD, 3, operands, 0, NULL, 2, out)
            return None if result is None else (result[1], result[0])
        if not self._sort(inputs, call, &given):
            return None
        operands[0], operands[inputs - 1] = call.args[0], call.args[inputs - 1]
        return run_halves(self._kernel, inputs, operands, given.axis, <object>given.out)

    cdef object _learn(self, Call *call):
        """``(dx, *dparameters)`` for parameters that are numbers."""
        cdef Given given
        cdef PyObject *operands[2]
        cdef double sums[CACT_MAX_PARAMS]
        cdef int k, kind
        if self._kernel < 0 or not _enabled or self._bound is not None or not self._sort(2, call, &given):
            return None
        operands[0], operands[1] = call.args[0], call.args[1]
        x = <object>operands[1]
        kind = kind_of(x)
        if not 0 <= kind <= CACT_BFLOAT or kind_of(<object>operands[0]) != kind or cnp.PyArray_NDIM(<cnp.ndarray>x) == 0:
            return None
        dx = run(self._kernel, CACT_BACKWARD, 2, operands, self._nparams, given.values, 1, <object>given.out, sums)
        if dx is None:
            return None
        result = PyTuple_New(1 + self._nparams)
        Py_INCREF(dx)
        PyTuple_SET_ITEM(result, 0, dx)
        for k in range(self._nparams):
            value = scalar_of(kind, sums[k], <cnp.ndarray>x)
            Py_INCREF(value)
            PyTuple_SET_ITEM(result, 1 + k, value)
        return result

    def __call__(self, *args, **kwargs):
        return PyVectorcall_Call(self, args, kwargs)


cdef object called(object self, PyObject *const *args, size_t n, PyObject *names):
    cdef Call call = call_of(args, PyVectorcall_NARGS(n), names)
    return (<Caller>self)._quick(CACT_FORWARD, "forward", 1, 1, &call)


cdef object grad(object self, PyObject *const *args, Py_ssize_t n, PyObject *names):
    cdef Call call = call_of(args, n, names)
    return (<Caller>self)._quick(CACT_GRAD, "grad", 1, 1, &call)


cdef object backward(object self, PyObject *const *args, Py_ssize_t n, PyObject *names):
    cdef Call call = call_of(args, n, names)
    if not (<Caller>self)._learnable:
        return (<Caller>self)._quick(CACT_BACKWARD, "backward", 2, 1, &call)
    result = (<Caller>self)._learn(&call)
    if result is None and (<Caller>self)._kernel >= 0 and _enabled:
        result = (<Caller>self)._run_each("learn", 2, &call)
    return (<Caller>self)._apply("backward", positional(&call), named(&call)) if result is None else result


cdef object value_and_grad(object self, PyObject *const *args, Py_ssize_t n, PyObject *names):
    cdef Call call = call_of(args, n, names)
    return (<Caller>self)._quick(CACT_VALUE_AND_GRAD, "value_and_grad", 1, 2, &call)


cdef object on_output(Caller f, cact_op op, str operation, int inputs, Call *call):
    if f._tells and (not f._nparams or (call.n == inputs and not call.keywords)):
        return f._quick(op, operation, inputs, 1, call)
    return f._apply(operation, positional(call), named(call))


cdef object grad_from_output(object self, PyObject *const *args, Py_ssize_t n, PyObject *names):
    cdef Call call = call_of(args, n, names)
    return on_output(<Caller>self, CACT_GRAD_FROM_OUTPUT, "grad_from_output", 1, &call)


cdef object backward_from_output(object self, PyObject *const *args, Py_ssize_t n, PyObject *names):
    cdef Call call = call_of(args, n, names)
    return on_output(<Caller>self, CACT_BACKWARD_FROM_OUTPUT, "backward_from_output", 2, &call)


cdef PyMethodDef method(const char *name, void *function, const char *doc) noexcept:
    return PyMethodDef(name, <PyCFunction>function, METH_FASTCALL | METH_KEYWORDS, doc)


cdef enum:
    METHODS = 5

# The last two are those of `OutputActivation`, which names them without the underscore.
cdef PyMethodDef[METHODS] _methods = [
    method("grad", <void *>grad, "grad($self, *args, **kwargs)\n--\n\nf'(x); see the class."),
    method("backward", <void *>backward, "backward($self, *args, **kwargs)\n--\n\ndy*f'(x); see the class."),
    method("value_and_grad", <void *>value_and_grad,
           "value_and_grad($self, *args, **kwargs)\n--\n\n(f(x), f'(x)); see the class."),
    method("_grad_from_output", <void *>grad_from_output,
           "_grad_from_output($self, *args, **kwargs)\n--\n\n"
           "f'(x) from y = f(x); see the class for the precision lost."),
    method("_backward_from_output", <void *>backward_from_output,
           "_backward_from_output($self, *args, **kwargs)\n--\n\n"
           "dy*f'(x) from y = f(x); see the class for the precision lost."),
]


cdef void take_vectorcall(type cls, Py_ssize_t place):
    """Let calls of its instances go to the function `place` bytes from their start (Cython has no words for it)."""
    (<PyTypeObject *>cls).tp_vectorcall_offset = place
    (<PyTypeObject *>cls).tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL


cdef void add_methods(PyTypeObject *cls):
    """Those that take arguments as they come, for which it has none either."""
    for i in range(METHODS):
        (<dict>cls.tp_dict)[_methods[i].ml_name.decode()] = PyDescr_NewMethod(cls, &_methods[i])
    PyType_Modified(cls)


cdef Caller _caller = Caller.__new__(Caller)
take_vectorcall(Caller, <char *>&_caller._vectorcall - <char *><PyObject *>_caller)
add_methods(<PyTypeObject *>Caller)
