/*
 * Faults from below: a library put before libc (LD_PRELOAD) in a daemon that knows nothing of it.
 *
 * What: counts every call that can change the store, notes which function of the program made it,
 *       kills the process with SIGKILL at the call it is told, before it, after it, or with half of
 *       its bytes written; lets such calls fail with an errno; and moves the clocks.
 * Why here: the daemons have no hooks and no switches, so faults come from where they come in life,
 *       the system. Signals from outside arrive at times nobody chose; this hits every point.
 * How: QR_FAULT_CONTROL names a file of 64 KiB that is mapped by the test and by the process;
 *       QR_FAULT_STATE is the state folder whose files count. The layout is struct control, read and
 *       written by test/e2e/rig/faults.py. Everything needed is opened before main(), because the
 *       daemon's filter of system calls stands later; that filter lets a process signal its own
 *       threads (abort() does), and by such a signal it is killed here.
 * Clocks: offsets are added to what the system says, and taken off again from the absolute times of
 *       condition variables, so that the process sees one consistent clock, as after a real jump.
 * Threads: counters are atomic; the files of the store belong to one thread.
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define CONTROL_LEN 65536u
#define CALLERS 13
#define RECORDS ((CONTROL_LEN - 64u) / sizeof(struct record))
#define FDS 1024

enum op { OP_WRITE = 1, OP_SYNC, OP_TRUNCATE, OP_CREATE, OP_RENAME, OP_UNLINK, OP_LINK, OP_MODE };
enum file { FILE_OTHER = 1, FILE_DB, FILE_WAL, FILE_KEY, FILE_FOLDER };
enum phase { BEFORE, TORN, AFTER };

struct record {
    uint32_t ordinal;
    uint8_t op, file, n_callers, killed; /* killed: 1 + phase */
    uint32_t len;
    uint32_t caller[CALLERS]; /* from the program's first byte; innermost first */
};

struct control {
    uint32_t magic, pid;
    uint32_t count;   /* calls since the process began */
    uint32_t kill_at; /* how many more calls of the kind below, this one included; 0 never */
    uint32_t phase;
    uint32_t fail_errno; /* 0: none */
    uint32_t failed;     /* how many calls failed so */
    uint32_t died_at;    /* ordinal of the last call of a process that was killed */
    int64_t wall_ns, mono_ns;
    uint32_t kill_op, kill_file, kill_len; /* which calls count for kill_at; 0: all */
    uint32_t kill_caller;                  /* and only for this one among a record's callers */
    struct record record[RECORDS];
};

_Static_assert(sizeof(struct record) == 64, "faults.py reads 64 bytes");
_Static_assert(offsetof(struct control, record) == 64, "faults.py expects records at 64");

static struct control *control;
static char state[4096];
static size_t state_len;
static uint8_t file_of[FDS];
static uintptr_t program, program_end;

static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_cond_timedwait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
static int (*real_cond_clockwait)(pthread_cond_t *, pthread_mutex_t *, clockid_t,
                                  const struct timespec *);

/* ---- beginning --------------------------------------------------------------------------- */

static int
find_program(struct dl_phdr_info *info, size_t size, void *ctx)
{
    (void)size;
    (void)ctx;
    program = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        if (h->p_type == PT_LOAD && program + h->p_vaddr + h->p_memsz > program_end) {
            program_end = program + h->p_vaddr + h->p_memsz;
        }
    }
    return 1; /* the program comes first */
}

static void __attribute__((constructor)) begin(void)
{
    const char *path = getenv("QR_FAULT_CONTROL"), *dir = getenv("QR_FAULT_STATE");
    void *frames[4];

    *(void **)&real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    *(void **)&real_cond_clockwait = dlsym(RTLD_NEXT, "pthread_cond_clockwait");
    /* The first version of this function was another one. */
    void *wait = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    *(void **)&real_cond_timedwait = wait ? wait : dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    if (!path) {
        return;
    }
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    void *m =
        fd < 0 ? MAP_FAILED : mmap(NULL, CONTROL_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (m == MAP_FAILED) {
        static const char text[] = "interpose: QR_FAULT_CONTROL cannot be mapped\n";
        (void)syscall(SYS_write, 2, text, sizeof text - 1);
        _exit(70);
    }
    (void)syscall(SYS_close, fd);
    if (dir && strlen(dir) < sizeof state) {
        state_len = strlen(dir);
        memcpy(state, dir, state_len + 1);
    }
    dl_iterate_phdr(find_program, NULL);
    (void)backtrace(frames, 4); /* loads what it needs */
    ((struct control *)m)->pid = (uint32_t)getpid();
    ((struct control *)m)->count = 0;
    control = m;
}

/* ---- points ------------------------------------------------------------------------------ */

static void
die(struct record *r, enum phase phase)
{
    r->killed = (uint8_t)(1 + phase);
    control->died_at = r->ordinal;
    for (;;) {
        (void)syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGKILL);
    }
}

struct point {
    struct record *record;
    int kill, fail;
    uint32_t phase;
};

static int
matches(const struct record *r)
{
    int called = !control->kill_caller;
    for (unsigned i = 0; i < r->n_callers && !called; i++) {
        called = r->caller[i] == control->kill_caller;
    }
    return called && (!control->kill_op || control->kill_op == r->op) &&
           (!control->kill_file || control->kill_file == r->file) &&
           (!control->kill_len || control->kill_len == r->len);
}

/* A call that is about to change what lies in the state folder. */
static struct point
enter(enum op op, uint8_t file, size_t len)
{
    struct point p = {NULL, 0, 0, BEFORE};
    void *frame[48];
    int saved = errno;

    if (!control || file == 0) {
        return p;
    }
    uint32_t ordinal = __atomic_add_fetch(&control->count, 1, __ATOMIC_SEQ_CST);
    struct record *r = &control->record[(ordinal - 1) % RECORDS];
    memset(r, 0, sizeof *r);
    int n = backtrace(frame, 48);
    for (int i = 1; i < n && r->n_callers < CALLERS; i++) {
        uintptr_t a = (uintptr_t)frame[i];
        if (a >= program && a < program_end) {
            r->caller[r->n_callers++] = (uint32_t)(a - program);
        }
    }
    r->op = (uint8_t)op;
    r->file = file;
    r->len = (uint32_t)len;
    r->ordinal = ordinal;
    p.record = r;
    p.phase = control->phase;
    if (control->kill_at && matches(r)) {
        p.kill = --control->kill_at == 0;
    }
    if (p.kill && (p.phase == BEFORE || (p.phase == TORN && op != OP_WRITE))) {
        die(r, BEFORE);
    }
    /* A full device still syncs, truncates and removes. */
    int full = control->fail_errno == ENOSPC;
    if (control->fail_errno && !p.kill && (!full || op == OP_WRITE || op == OP_CREATE)) {
        p.fail = (int)control->fail_errno;
        control->failed++;
    }
    errno = p.fail ? p.fail : saved;
    return p;
}

static void
leave(const struct point *p)
{
    if (p->kill) {
        die(p->record, AFTER);
    }
}

static uint8_t
classify(int dir, const char *path)
{
    const char *name = path;

    if (!control || state_len == 0 || !path) {
        return 0;
    }
    if (path[0] == '/') {
        if (strncmp(path, state, state_len) != 0 || (path[state_len] && path[state_len] != '/')) {
            return 0;
        }
        name = path + state_len;
        while (*name == '/') {
            name++;
        }
        if (!*name) {
            return FILE_FOLDER;
        }
    } else if (dir < 0 || dir >= FDS || file_of[dir] != FILE_FOLDER) {
        return 0;
    }
    return strcmp(name, "store.db") == 0            ? FILE_DB
           : strcmp(name, "store.db-wal") == 0      ? FILE_WAL
           : strncmp(name, "sim-seal.key", 12) == 0 ? FILE_KEY
                                                    : FILE_OTHER;
}

static uint8_t
known(int fd)
{
    return fd >= 0 && fd < FDS ? file_of[fd] : 0;
}

static int
open_any(int dir, const char *path, int flags, mode_t mode)
{
    uint8_t file = classify(dir, path);
    struct point p = {NULL, 0, 0, BEFORE};

    if (file && (flags & (O_CREAT | O_TRUNC)) && syscall(SYS_faccessat, dir, path, F_OK) != 0) {
        p = enter(OP_CREATE, file, 0);
    }
    int fd = p.fail ? -1 : (int)syscall(SYS_openat, dir, path, flags, mode);
    if (fd >= 0 && fd < FDS) {
        file_of[fd] = file;
    }
    leave(&p);
    return fd;
}

#define OPENS(name, dir_parameter, dir)                                                            \
    int name(dir_parameter const char *path, int flags, ...)                                       \
    {                                                                                              \
        va_list ap;                                                                                \
        va_start(ap, flags);                                                                       \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;                      \
        va_end(ap);                                                                                \
        return open_any(dir, path, flags, mode);                                                   \
    }
#define NOTHING
#define DIR_PARAMETER int dirfd,
OPENS(open, NOTHING, AT_FDCWD)
OPENS(open64, NOTHING, AT_FDCWD)
OPENS(openat, DIR_PARAMETER, dirfd)
OPENS(openat64, DIR_PARAMETER, dirfd)

int
close(int fd)
{
    if (fd >= 0 && fd < FDS) {
        file_of[fd] = 0;
    }
    return (int)syscall(SYS_close, fd);
}

/* at < 0: where the file stands. */
static ssize_t
write_any(int fd, const void *b, size_t n, off_t at)
{
    struct point p = enter(OP_WRITE, known(fd), n);
    size_t part = p.kill && p.phase == TORN ? n / 2 : n;

    if (p.fail) {
        return -1;
    }
    ssize_t r = at < 0 ? syscall(SYS_write, fd, b, part) : syscall(SYS_pwrite64, fd, b, part, at);
    if (p.kill && p.phase == TORN) {
        die(p.record, TORN);
    }
    leave(&p);
    return r;
}

ssize_t
write(int fd, const void *b, size_t n)
{
    return write_any(fd, b, n, -1);
}

ssize_t
pwrite(int fd, const void *b, size_t n, off_t at)
{
    return write_any(fd, b, n, at);
}

ssize_t
pwrite64(int fd, const void *b, size_t n, off_t at)
{
    return write_any(fd, b, n, at);
}

/* What needs no more than a number and a file. */
#define SIMPLE(ret, name, op, file, parameters, call)                                              \
    ret name parameters                                                                            \
    {                                                                                              \
        struct point p = enter(op, file, 0);                                                       \
        ret r = p.fail ? -1 : (ret)syscall call;                                                   \
        leave(&p);                                                                                 \
        return r;                                                                                  \
    }
SIMPLE(int, fsync, OP_SYNC, known(fd), (int fd), (SYS_fsync, fd))
SIMPLE(int, fdatasync, OP_SYNC, known(fd), (int fd), (SYS_fdatasync, fd))
SIMPLE(int, ftruncate, OP_TRUNCATE, known(fd), (int fd, off_t n), (SYS_ftruncate, fd, n))
SIMPLE(int, ftruncate64, OP_TRUNCATE, known(fd), (int fd, off_t n), (SYS_ftruncate, fd, n))
SIMPLE(int, fchmod, OP_MODE, known(fd), (int fd, mode_t m), (SYS_fchmod, fd, m))
SIMPLE(int, unlink, OP_UNLINK, classify(AT_FDCWD, a), (const char *a),
       (SYS_unlinkat, AT_FDCWD, a, 0))
SIMPLE(int, unlinkat, OP_UNLINK, classify(d, a), (int d, const char *a, int f),
       (SYS_unlinkat, d, a, f))
SIMPLE(int, linkat, OP_LINK, classify(e, b), (int d, const char *a, int e, const char *b, int f),
       (SYS_linkat, d, a, e, b, f))
SIMPLE(int, rename, OP_RENAME, classify(AT_FDCWD, b), (const char *a, const char *b),
       (SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 0))
SIMPLE(int, renameat, OP_RENAME, classify(e, b), (int d, const char *a, int e, const char *b),
       (SYS_renameat2, d, a, e, b, 0))

/* ---- clocks ------------------------------------------------------------------------------ */

static int64_t
offset_of(clockid_t id)
{
    if (!control) {
        return 0;
    }
    switch (id) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        return __atomic_load_n(&control->wall_ns, __ATOMIC_RELAXED);
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_BOOTTIME:
        return __atomic_load_n(&control->mono_ns, __ATOMIC_RELAXED);
    default:
        return 0;
    }
}

static void
shift(struct timespec *t, int64_t by)
{
    int64_t ns = (int64_t)t->tv_nsec + by % 1000000000;
    t->tv_sec += by / 1000000000;
    if (ns < 0) {
        ns += 1000000000;
        t->tv_sec--;
    } else if (ns >= 1000000000) {
        ns -= 1000000000;
        t->tv_sec++;
    }
    t->tv_nsec = ns;
}

int
clock_gettime(clockid_t id, struct timespec *t)
{
    int r = real_clock_gettime ? real_clock_gettime(id, t) : (int)syscall(SYS_clock_gettime, id, t);
    int64_t by = offset_of(id);
    if (r == 0 && by) {
        shift(t, by);
    }
    return r;
}

int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    struct timespec t;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &t) != 0) {
        return -1;
    }
    tv->tv_sec = t.tv_sec;
    tv->tv_usec = t.tv_nsec / 1000;
    return 0;
}

time_t
time(time_t *ret)
{
    struct timespec t = {0, 0};
    (void)clock_gettime(CLOCK_REALTIME, &t);
    if (ret) {
        *ret = t.tv_sec;
    }
    return t.tv_sec;
}

int
pthread_cond_timedwait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m,
                       const struct timespec *restrict until)
{
    /* Nothing says which clock a condition goes by, but no machine is up for thirty years. */
    struct timespec t = *until;
    shift(&t, -offset_of(t.tv_sec > 1000000000 ? CLOCK_REALTIME : CLOCK_MONOTONIC));
    if (t.tv_sec < 0) {
        t = (struct timespec){0, 0};
    }
    return real_cond_timedwait(c, m, &t);
}

int
pthread_cond_clockwait(pthread_cond_t *c, pthread_mutex_t *m, clockid_t id,
                       const struct timespec *until)
{
    struct timespec t = *until;
    shift(&t, -offset_of(id));
    if (t.tv_sec < 0) {
        t = (struct timespec){0, 0};
    }
    return real_cond_clockwait(c, m, id, &t);
}
