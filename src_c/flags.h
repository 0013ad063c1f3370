/* flags.h - the floating-point flags, which are the caller's. */
#ifndef CACT_FLAGS_H
#define CACT_FLAGS_H

/* The kernels raise inexact, underflow and, on clamped lanes, others; none of it is the
 * caller's.  Only the status bits are put back, the control bits are as they were. */
#if defined(__x86_64__)
#define FLAGS_SAVE unsigned flags = __builtin_ia32_stmxcsr()
#define FLAGS_RESTORE __builtin_ia32_ldmxcsr(flags)
#elif defined(__aarch64__)
#define FLAGS_SAVE     \
    uint64_t flags;    \
    __asm__ volatile("mrs %0, fpsr" : "=r"(flags))
#define FLAGS_RESTORE __asm__ volatile("msr fpsr, %0" : : "r"(flags))
#endif

#endif
