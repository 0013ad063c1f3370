/* threads.c - a small pool for large arrays.
 *
 * Started at the first need, never at load.  A forked child starts its own (libgomp's pool does
 * not survive a fork).  One job at a time: a second caller, from another thread, works alone
 * rather than wait.  Pieces begin at fixed multiples of the grain, so results cannot depend on how
 * many threads there are; where no thread can be started, the caller does all the work. */
#define _GNU_SOURCE
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "threads.h"

#define MOST_THREADS 256
#define SPIN_NS 50000 /* what waking a thread takes: the next call of a training loop finds the workers awake */

static pthread_mutex_t job_lock = PTHREAD_MUTEX_INITIALIZER; /* held by the caller whose job runs */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;     /* guards what follows */
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER, idle = PTHREAD_COND_INITIALIZER;
static atomic_int wanted = 1; /* threads, the caller included */
static int started;           /* workers alive */
static int open_to;           /* workers that may still join the job: those with a lower number */
static atomic_uint joined;    /* workers at work on it */
static atomic_int awake;      /* workers that spin */
static atomic_uint generation;
static _Atomic int64_t last; /* when a call ended that threads could have shared */

static struct {
    cact_piece *piece;
    void *context;
    size_t n, grain;
    uint64_t control; /* the caller's rounding and flush-to-zero modes: all of a job in one mode */
    atomic_size_t next;
} job;

static uint64_t get_control(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_stmxcsr();
#else
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    return control;
#endif
}

static void set_control(uint64_t control)
{
#if defined(__x86_64__)
    __builtin_ia32_ldmxcsr((unsigned)control);
#else
    __asm__ volatile("msr fpcr, %0" : : "r"(control));
#endif
}

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Wait a while for `number` to be other than `value`, or to be it. */
static void spin(const atomic_uint *number, unsigned value, int to_be)
{
    const int64_t until = now() + SPIN_NS;
    do
        for (int i = 0; i < 16; i++) {
            if ((atomic_load_explicit(number, memory_order_acquire) == value) == to_be)
                return;
            relax();
        }
    while (now() < until);
}

static void work(void)
{
    for (;;) {
        size_t begin = atomic_fetch_add_explicit(&job.next, job.grain, memory_order_relaxed);
        if (begin >= job.n)
            return;
        job.piece(job.context, begin, job.n - begin < job.grain ? job.n : begin + job.grain);
    }
}

static void *worker(void *argument)
{
    const int number = (int)(size_t)argument;
    unsigned seen = 0;
    for (;;) {
        atomic_fetch_add(&awake, 1);
        spin(&generation, seen, 0);
        pthread_mutex_lock(&lock);
        atomic_fetch_sub(&awake, 1);
        if (atomic_load(&generation) == seen)
            pthread_cond_wait(&wake, &lock);
        seen = atomic_load(&generation);
        if (number >= open_to) { /* too late, or not wanted: the next job may come soon */
            pthread_mutex_unlock(&lock);
            continue;
        }
        atomic_fetch_add(&joined, 1);
        set_control(job.control);
        pthread_mutex_unlock(&lock);
        work();
        pthread_mutex_lock(&lock);
        if (atomic_fetch_sub(&joined, 1) == 1)
            pthread_cond_signal(&idle);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

/* In a forked child only the forking thread is left: forget the others and any job of theirs. */
static void after_fork(void)
{
    pthread_mutex_init(&job_lock, NULL);
    pthread_mutex_init(&lock, NULL);
    pthread_cond_init(&wake, NULL);
    pthread_cond_init(&idle, NULL);
    started = open_to = 0;
    atomic_store(&joined, 0);
    atomic_store(&awake, 0);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void watch_forks(void) { pthread_atfork(NULL, NULL, after_fork); }

/* With job_lock held: as many workers as asked for, or as can be had. */
static void start(int count)
{
    pthread_attr_t attributes;
    if (started >= count || pthread_attr_init(&attributes))
        return;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 256 * 1024 > PTHREAD_STACK_MIN ? 256 * 1024 : PTHREAD_STACK_MIN);
    /* Signals are for the program's own threads: a worker must not take one that they wait for. */
    sigset_t every, former;
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &former);
    while (started < count) {
        pthread_t thread;
        if (pthread_create(&thread, &attributes, worker, (void *)(size_t)started))
            break;
        started++;
    }
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    pthread_attr_destroy(&attributes);
}

void cact_parallel(size_t n, size_t grain, int waking_pays, cact_piece *piece, void *context)
{
    const size_t pieces = grain ? (n + grain - 1) / grain : 1;
    int threads = atomic_load_explicit(&wanted, memory_order_relaxed);
    if ((size_t)threads > pieces)
        threads = (int)pieces;
    if (threads > 1)
        pthread_once(&once, watch_forks); /* before any lock that a child could inherit */
    if (threads <= 1 || pthread_mutex_trylock(&job_lock)) {
        piece(context, 0, n);
        return;
    }
    if (!waking_pays && !atomic_load(&awake) && now() - atomic_load(&last) > SPIN_NS) {
        pthread_mutex_unlock(&job_lock);
        piece(context, 0, n);
        atomic_store(&last, now());
        return;
    }
    start(threads - 1);
    pthread_mutex_lock(&lock);
    job.piece = piece, job.context = context, job.n = n, job.grain = grain, job.control = get_control();
    atomic_store(&job.next, 0);
    open_to = threads - 1;
    atomic_fetch_add(&generation, 1);
    pthread_cond_broadcast(&wake);
    pthread_mutex_unlock(&lock);
    work();
    /* Nothing is left to begin: wait for those who are at it, not for those who have not woken. */
    pthread_mutex_lock(&lock);
    open_to = 0;
    pthread_mutex_unlock(&lock);
    spin(&joined, 0, 1);
    pthread_mutex_lock(&lock);
    while (joined)
        pthread_cond_wait(&idle, &lock);
    pthread_mutex_unlock(&lock);
    atomic_store(&last, now());
    pthread_mutex_unlock(&job_lock);
}

void cact_set_threads(int n) { atomic_store(&wanted, n < 1 ? 1 : n > MOST_THREADS ? MOST_THREADS : n); }
int cact_get_threads(void) { return atomic_load(&wanted); }
