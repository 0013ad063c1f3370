# `from cact.kernels cimport find, forward_float`: see the docstring of cact/kernels.py.

cdef int find(str name) except -1
cdef int forward_float(int kernel, const float[::1] x, float[::1] y) except -1 nogil
cdef int forward_double(int kernel, const double[::1] x, double[::1] y) except -1 nogil
cdef int grad_float(int kernel, const float[::1] x, float[::1] g) except -1 nogil
cdef int grad_double(int kernel, const double[::1] x, double[::1] g) except -1 nogil
cdef int backward_float(int kernel, const float[::1] dy, const float[::1] x, float[::1] dx) except -1 nogil
cdef int backward_double(int kernel, const double[::1] dy, const double[::1] x, double[::1] dx) except -1 nogil
