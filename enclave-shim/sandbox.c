/*
 * The list below is what a party's loop, nng's threads, SQLite on open files, OpenSSL and glibc's
 * resolver need after start-up, and no more. Calls with a condition stand in rules of their own.
 */
#include "enclave-shim/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXPLAIN(...) ((void)(err_text ? snprintf(err_text, err_cap, __VA_ARGS__) : 0))

/* Hot ones first: libseccomp turns the order into the order of tests where it cannot use a tree. */
static const int plain_calls[] = {
    /* the loop and its sockets */
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(select),
    SCMP_SYS(pselect6),
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(bind),
    SCMP_SYS(connect),
    SCMP_SYS(listen),
    SCMP_SYS(shutdown),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(socketpair),
    SCMP_SYS(eventfd2),
    SCMP_SYS(pipe2),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(timerfd_gettime),
    SCMP_SYS(signalfd4),
    /* threads and time */
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(get_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(getcpu),
    SCMP_SYS(membarrier),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(restart_syscall),
    /* signals */
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(rt_sigpending),
    SCMP_SYS(sigaltstack),
    /* memory; mmap and mprotect have conditions */
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(mlock),
    SCMP_SYS(mlock2),
    SCMP_SYS(munlock),
    SCMP_SYS(getrandom),
    /* making a Unix socket with the right mode */
    SCMP_SYS(umask),
    /* files that are open */
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(preadv),
    SCMP_SYS(pwritev),
    SCMP_SYS(lseek),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fallocate),
    SCMP_SYS(fadvise64),
    SCMP_SYS(fcntl),
    SCMP_SYS(dup),
    SCMP_SYS(close),
    SCMP_SYS(fstat),
    SCMP_SYS(fstatfs),
    /* names: looking only */
    SCMP_SYS(newfstatat),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(statx),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getcwd),
    SCMP_SYS(getdents64),
    /* who and where am I, what did I use */
    SCMP_SYS(getpid),
    SCMP_SYS(getppid),
    SCMP_SYS(gettid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(getrusage),
    SCMP_SYS(getrlimit),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
};

/* The process that asks for reports: files and folders of configfs, one device, one socket that is open. */
static const int report_calls[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(close),
    SCMP_SYS(lseek),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(getdents64),
    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),
    SCMP_SYS(rmdir),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendto),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(futex),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

/* Devices' requests: linux/nsm.h (32 bytes: two addresses with lengths) and linux/sev-guest.h. */
#define NSM_REQUEST 0xc0200a00u        /* _IOWR(0x0A, 0, struct nsm_raw) */
#define SEV_GET_REPORT 0xc0205300u     /* _IOWR('S', 0, struct snp_guest_request_ioctl) */
#define SEV_GET_EXT_REPORT 0xc0205302u /* _IOWR('S', 2, the same) */
#define OPEN_MAKES ((scmp_datum_t)(O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY)))

/* Bits of open(2) that make or change something. */
#define OPEN_WRITES ((scmp_datum_t)(O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY)))

/* What a thread shares, and the namespaces that it must not leave. */
#define CLONE_SHARED ((scmp_datum_t)(CLONE_THREAD | CLONE_VM))
#define CLONE_AWAY                                                                                 \
    ((scmp_datum_t)(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |  \
                    CLONE_NEWPID | CLONE_NEWNET))

struct conditional {
    uint32_t action;
    int call;
    unsigned n;
    struct scmp_arg_cmp cmp[2];
};

static int
add_rules(scmp_filter_ctx f, const struct conditional *rules, size_t n)
{
    int e = 0;

    for (size_t i = 0; i < n && e == 0; i++) {
        e = seccomp_rule_add_array(f, rules[i].action, rules[i].call, rules[i].n, rules[i].cmp);
    }
    return e;
}

static int
add_calls(scmp_filter_ctx f, const int *calls, size_t n)
{
    int e = 0;

    for (size_t i = 0; i < n && e == 0; i++) {
        e = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
    }
    return e;
}

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static int
add_reports(scmp_filter_ctx f)
{
    const struct conditional rules[] = {
        {SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, {SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)}},
        {SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, {SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)}},
        /* an attribute of configfs is there once its folder is: nothing is created by opening */
        {SCMP_ACT_ALLOW, SCMP_SYS(open), 1, {SCMP_A1(SCMP_CMP_MASKED_EQ, OPEN_MAKES, 0)}},
        {SCMP_ACT_ALLOW, SCMP_SYS(openat), 1, {SCMP_A2(SCMP_CMP_MASKED_EQ, OPEN_MAKES, 0)}},
        /* rmdir, where it is no call of its own */
        {SCMP_ACT_ALLOW, SCMP_SYS(unlinkat), 1, {SCMP_A2(SCMP_CMP_EQ, AT_REMOVEDIR)}},
        {SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, {SCMP_A1(SCMP_CMP_EQ, SEV_GET_REPORT)}},
        {SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, {SCMP_A1(SCMP_CMP_EQ, SEV_GET_EXT_REPORT)}},
        {SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, {SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid())}},
    };
    int e = add_calls(f, report_calls, COUNT(report_calls));

    return e == 0 ? add_rules(f, rules, COUNT(rules)) : e;
}

static int
add_nsm(scmp_filter_ctx f)
{
    const struct conditional rule = {
        SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, {SCMP_A1(SCMP_CMP_EQ, NSM_REQUEST)}};
    return add_rules(f, &rule, 1);
}

static int
add_party(scmp_filter_ctx f)
{
    const struct conditional rules[] = {
        /* threads of ours, not processes; the flags of clone3 are out of a filter's sight */
        {SCMP_ACT_ALLOW,
         SCMP_SYS(clone),
         1,
         {SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_SHARED | CLONE_AWAY, CLONE_SHARED)}},
        {SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0, {{0}}},
        /* no executable memory */
        {SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, {SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)}},
        {SCMP_ACT_ERRNO(EACCES),
         SCMP_SYS(mmap),
         1,
         {SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC)}},
        {SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, {SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)}},
        {SCMP_ACT_ERRNO(EACCES),
         SCMP_SYS(mprotect),
         1,
         {SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC)}},
        /* opening to read */
        {SCMP_ACT_ALLOW, SCMP_SYS(open), 1, {SCMP_A1(SCMP_CMP_MASKED_EQ, OPEN_WRITES, 0)}},
        {SCMP_ACT_ALLOW, SCMP_SYS(openat), 1, {SCMP_A2(SCMP_CMP_MASKED_EQ, OPEN_WRITES, 0)}},
        /* a socket file that cannot be removed is tidied at the next start */
        {SCMP_ACT_ERRNO(EPERM), SCMP_SYS(unlink), 0, {{0}}},
        {SCMP_ACT_ERRNO(EPERM), SCMP_SYS(unlinkat), 0, {{0}}},
        /* families; glibc asks the kernel for addresses by netlink and does without */
        {SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, {SCMP_A0(SCMP_CMP_EQ, AF_UNIX)}},
        {SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, {SCMP_A0(SCMP_CMP_EQ, AF_INET)}},
        {SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, {SCMP_A0(SCMP_CMP_EQ, AF_INET6)}},
        {SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, {SCMP_A0(SCMP_CMP_EQ, AF_VSOCK)}},
        {SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1, {SCMP_A0(SCMP_CMP_EQ, AF_NETLINK)}},
        /* questions about descriptors */
        {SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, {SCMP_A1(SCMP_CMP_EQ, FIONREAD)}},
        {SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, {SCMP_A1(SCMP_CMP_EQ, FIONBIO)}},
        {SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, {SCMP_A1(SCMP_CMP_EQ, TCGETS)}},
        /* abort() signals its own thread */
        {SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, {SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid())}},
        {SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, {SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME)}},
        /* reading limits, our own */
        {SCMP_ACT_ALLOW,
         SCMP_SYS(prlimit64),
         2,
         {SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0)}},
    };
    int e = add_calls(f, plain_calls, COUNT(plain_calls));

    return e == 0 ? add_rules(f, rules, COUNT(rules)) : e;
}

qr_err
qr_sandbox_harden(char *err_text, size_t err_cap)
{
    const struct rlimit none = {0, 0};

    if (setrlimit(RLIMIT_CORE, &none) != 0) {
        EXPLAIN("core files cannot be forbidden: %s", strerror(errno));
        return QR_ERR_PLATFORM;
    }
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        EXPLAIN("debuggers cannot be kept out: %s", strerror(errno));
        return QR_ERR_PLATFORM;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        EXPLAIN("new privileges cannot be refused: %s", strerror(errno));
        return QR_ERR_PLATFORM;
    }
    return QR_OK;
}

qr_err
qr_sandbox_enter(char *err_text, size_t err_cap)
{
    return qr_sandbox_enter_as(QR_SANDBOX_PARTY, err_text, err_cap);
}

qr_err
qr_sandbox_enter_as(enum qr_sandbox_role role, char *err_text, size_t err_cap)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int e = f ? 0 : -ENOMEM;

    if (e == 0) {
        e = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    }
    if (e == 0) {
        e = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1); /* threads that run already */
    }
    if (e == 0) {
        e = seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree instead of a list */
    }
    if (e == 0) {
        e = role == QR_SANDBOX_REPORTS ? add_reports(f) : add_party(f);
    }
    if (e == 0 && role == QR_SANDBOX_NITRO) {
        e = add_nsm(f);
    }
    if (e == 0) {
        e = seccomp_load(f);
    }
    seccomp_release(f);
    if (e != 0) {
        EXPLAIN("system call filter: %s; the kernel must have seccomp", strerror(-e));
        return QR_ERR_PLATFORM;
    }
    return QR_OK;
}
