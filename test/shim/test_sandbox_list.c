/*
 * The filter as a whole: every system call the kernel has, one after the other, each in a child of
 * its own under the real filter. What is in neither list below ends the child with SIGSYS.
 *
 * The lists stand here a second time on purpose: a call that sandbox.c lets through has to be let
 * through here as well, by somebody who thought about it. What a call may do that is let through
 * under conditions is in test_sandbox.c and at the end of this file.
 */
#include "enclave-shim/sandbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Let through. */
static const char allowed[] =
    " epoll_wait epoll_pwait epoll_pwait2 epoll_ctl epoll_create1 poll ppoll select pselect6 read "
    "readv"
    " write writev recvfrom recvmsg recvmmsg sendto sendmsg sendmmsg accept accept4 bind connect "
    "listen"
    " shutdown getsockname getpeername getsockopt setsockopt socketpair eventfd2 pipe2 "
    "timerfd_create"
    " timerfd_settime timerfd_gettime signalfd4 futex set_robust_list get_robust_list rseq "
    "sched_yield"
    " sched_getaffinity getcpu membarrier clock_gettime clock_getres clock_nanosleep nanosleep"
    " gettimeofday time exit exit_group restart_syscall rt_sigaction rt_sigprocmask rt_sigreturn"
    " rt_sigtimedwait rt_sigpending sigaltstack brk munmap mremap madvise mlock mlock2 munlock "
    "getrandom"
    " umask pread64 pwrite64 preadv pwritev lseek fsync fdatasync ftruncate fallocate fadvise64 "
    "fcntl dup"
    " close fstat fstatfs newfstatat stat lstat statx access faccessat faccessat2 readlink "
    "readlinkat"
    " getcwd getdents64 getpid getppid gettid getuid geteuid getgid getegid getrusage getrlimit "
    "uname"
    " sysinfo mmap mprotect ";
/* clone, open, openat, socket, ioctl, tgkill, prctl and prlimit64 are let through for some arguments,
 * none of which is tried in test_every_call. */
/* Refused with an error. */
static const char soft[] = " clone3 unlink unlinkat ";

/* Let through for the process that asks for reports; the same remark holds. */
static const char reports[] =
    " read write close lseek fstat newfstatat getdents64 mkdir mkdirat rmdir poll ppoll recvfrom"
    " sendto clock_gettime clock_nanosleep nanosleep gettimeofday brk munmap mremap madvise futex"
    " rt_sigaction rt_sigprocmask rt_sigreturn restart_syscall getpid gettid exit exit_group"
    " mmap mprotect ";

#define LAST_CALL 511

static int
listed(const char *list, const char *name)
{
    char word[64];

    return (size_t)snprintf(word, sizeof word, " %s ", name) < sizeof word && strstr(list, word);
}

/* How a child ends that makes this one call under the filter of a role. */
static int
end_of_role(enum qr_sandbox_role role, long nr, const unsigned long a[static 6])
{
    int status = -1;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        char why[256];
        (void)alarm(20); /* a call that waits fails the test */
        if (qr_sandbox_harden(why, sizeof why) != QR_OK ||
            qr_sandbox_enter_as(role, why, sizeof why) != QR_OK) {
            _exit(99);
        }
        (void)syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
        (void)syscall(SYS_exit_group, 0); /* _exit is a sanitizer's, which does more */
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static int
end_of(long nr, const unsigned long a[static 6])
{
    return end_of_role(QR_SANDBOX_PARTY, nr, a);
}

static int
killed(int status)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

static void
test_every_call(void **state)
{
    /* Arguments that no call can use: had one got through, it would do nothing. */
    static const unsigned long none[6] = {~0ul, ~0ul, ~0ul, ~0ul, ~0ul, ~0ul};
    size_t dead = 0, refused = 0, through = 0;

    (void)state;
    for (int nr = 0; nr <= LAST_CALL; nr++) {
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);
        if (!name && nr != LAST_CALL) {
            continue; /* no such call; the last number stands for all of them */
        }
        if (name && listed(allowed, name)) {
            through++;
        } else {
            int status = end_of(nr, none), softly = name && listed(soft, name);
            if (softly ? status != 0 : !killed(status)) {
                fail_msg("%s (%d): status %x", name ? name : "?", nr, (unsigned)status);
            }
            refused += (size_t)softly;
            dead += (size_t)!softly;
        }
        free(name);
    }
    printf("system calls: %zu end the process, %zu are refused, %zu let through\n", dead, refused,
           through);
    assert_true(dead > 200 && refused >= 1 && through > 80);
}

static void
test_every_call_of_reports(void **state)
{
    static const unsigned long none[6] = {~0ul, ~0ul, ~0ul, ~0ul, ~0ul, ~0ul};
    size_t dead = 0, through = 0;

    (void)state;
    for (int nr = 0; nr <= LAST_CALL; nr++) {
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);
        if (name && listed(reports, name)) {
            through++;
        } else if (name || nr == LAST_CALL) {
            int status = end_of_role(QR_SANDBOX_REPORTS, nr, none);
            if (!killed(status)) {
                fail_msg("%s (%d): status %x", name ? name : "?", nr, (unsigned)status);
            }
            dead++;
        }
        free(name);
    }
    printf("system calls of the reports' process: %zu end it, %zu let through\n", dead, through);
    assert_true(dead > 280 && through > 25);
}

/* One call with arguments that the filter looks at. */
struct try_ {
    const char *name;
    long nr;
    unsigned long a[6];
};

static void
test_conditions(void **state)
{
    static const struct try_ tries[] = {
#ifdef SYS_open
        {"open O_WRONLY", SYS_open, {0, O_WRONLY}},
        {"open O_CREAT", SYS_open, {0, O_RDONLY | O_CREAT}},
#endif
        {"openat O_RDWR", SYS_openat, {(unsigned long)AT_FDCWD, 0, O_RDWR}},
        {"openat O_APPEND|O_WRONLY", SYS_openat, {(unsigned long)AT_FDCWD, 0, O_WRONLY | O_APPEND}},
        {"openat O_TRUNC", SYS_openat, {(unsigned long)AT_FDCWD, 0, O_RDONLY | O_TRUNC}},
        {"openat, high bits", SYS_openat, {(unsigned long)AT_FDCWD, 0, 1ul << 40 | O_WRONLY}},
        {"clone without CLONE_VM", SYS_clone, {CLONE_THREAD | CLONE_SIGHAND}},
        {"clone without CLONE_THREAD", SYS_clone, {CLONE_VM | SIGCHLD}},
        {"clone of a thread elsewhere", SYS_clone, {CLONE_THREAD | CLONE_VM | CLONE_NEWNET}},
        {"clone into a namespace", SYS_clone, {CLONE_NEWUSER | SIGCHLD}},
        {"socket AF_ALG", SYS_socket, {AF_ALG, SOCK_SEQPACKET}},
        {"socket AF_KEY", SYS_socket, {AF_KEY, SOCK_RAW}},
        {"socket AF_BLUETOOTH", SYS_socket, {AF_BLUETOOTH, SOCK_RAW}},
        {"ioctl TIOCSTI", SYS_ioctl, {0, TIOCSTI}},
        {"ioctl TIOCLINUX", SYS_ioctl, {0, 0x541c}},
        {"ioctl SIOCGIFCONF", SYS_ioctl, {0, 0x8912}},
        {"prctl PR_SET_DUMPABLE", SYS_prctl, {PR_SET_DUMPABLE, 1}},
        {"prctl PR_SET_PTRACER", SYS_prctl, {PR_SET_PTRACER, ~0ul}},
        {"prctl PR_SET_SECCOMP", SYS_prctl, {PR_SET_SECCOMP}},
        {"prctl PR_SET_MM", SYS_prctl, {PR_SET_MM}},
        {"tgkill of init", SYS_tgkill, {1, 1}},
        {"prlimit64 of another", SYS_prlimit64, {1, RLIMIT_CORE}},
        {"prlimit64 with a new limit", SYS_prlimit64, {0, RLIMIT_CORE, 8}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        int status = end_of(tries[i].nr, tries[i].a);
        if (!killed(status)) {
            fail_msg("%s: status %x instead of death by SIGSYS", tries[i].name, (unsigned)status);
        }
    }
}

#define NSM 0xc0200a00u
#define SEV 0xc0205300u

/* Each role has its own device's requests, and no neighbour of theirs. */
static void
test_devices(void **state)
{
    static const struct {
        const char *name;
        unsigned long request;
        int nitro, reports; /* 1: let through */
    } tries[] = {
        {"NSM", NSM, 1, 0},
        {"NSM, another number", NSM + 1, 0, 0},
        {"NSM, another type", NSM + 0x100, 0, 0},
        {"NSM, another size", NSM + (8u << 16), 0, 0},
        {"NSM, another direction", NSM & ~(1u << 30), 0, 0},
        {"NSM, high bits", NSM | 1ul << 40, 0, 0},
        {"SNP_GET_REPORT", SEV, 0, 1},
        {"SNP_GET_DERIVED_KEY", SEV + 1, 0, 0},
        {"SNP_GET_EXT_REPORT", SEV + 2, 0, 1},
        {"sev-guest, another number", SEV + 3, 0, 0},
        {"TDX_CMD_GET_REPORT0", 0xc4405401u, 0, 0},
        {"TIOCSTI", TIOCSTI, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        const unsigned long a[6] = {~0ul, tries[i].request};
        const int want[] = {[QR_SANDBOX_PARTY] = 0,
                            [QR_SANDBOX_NITRO] = tries[i].nitro,
                            [QR_SANDBOX_REPORTS] = tries[i].reports};
        for (int role = QR_SANDBOX_PARTY; role <= QR_SANDBOX_REPORTS; role++) {
            int status = end_of_role((enum qr_sandbox_role)role, SYS_ioctl, a);
            if (want[role] ? status != 0 : !killed(status)) {
                fail_msg("%s in role %d: status %x", tries[i].name, role, (unsigned)status);
            }
        }
    }
}

/* Files: a report's attribute is opened to write, nothing is made by opening, no socket is made. */
static void
test_reports(void **state)
{
    static const struct try_ dead[] = {
        {"openat O_CREAT", SYS_openat, {(unsigned long)AT_FDCWD, 0, O_WRONLY | O_CREAT}},
        {"openat O_TRUNC", SYS_openat, {(unsigned long)AT_FDCWD, 0, O_WRONLY | O_TRUNC}},
        {"openat O_TMPFILE", SYS_openat, {(unsigned long)AT_FDCWD, 0, O_RDWR | O_TMPFILE}},
        {"unlinkat of a file", SYS_unlinkat, {(unsigned long)AT_FDCWD, 0, 0}},
        {"socket", SYS_socket, {AF_UNIX, SOCK_STREAM}},
        {"mmap executable", SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC}},
        {"tgkill of init", SYS_tgkill, {1, 1}},
    };
    static const struct try_ through[] = {
        {"openat O_WRONLY", SYS_openat, {(unsigned long)AT_FDCWD, 0, O_WRONLY | O_CLOEXEC}},
        {"openat O_RDWR", SYS_openat, {(unsigned long)AT_FDCWD, 0, O_RDWR}},
        {"openat of a folder", SYS_openat, {(unsigned long)AT_FDCWD, 0, O_RDONLY | O_DIRECTORY}},
        {"unlinkat of a folder", SYS_unlinkat, {(unsigned long)AT_FDCWD, 0, AT_REMOVEDIR}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof dead / sizeof dead[0]; i++) {
        int status = end_of_role(QR_SANDBOX_REPORTS, dead[i].nr, dead[i].a);
        if (!killed(status)) {
            fail_msg("%s: status %x instead of death by SIGSYS", dead[i].name, (unsigned)status);
        }
    }
    for (size_t i = 0; i < sizeof through / sizeof through[0]; i++) {
        assert_int_equal(end_of_role(QR_SANDBOX_REPORTS, through[i].nr, through[i].a), 0);
    }
}

#ifdef __x86_64__
/* The kernel's other ways in: the 32-bit table by interrupt, and x32 by a bit of the number. */
static void
test_other_tables(void **state)
{
    static const unsigned long none[6] = {0};
    int status = -1;

    (void)state;
    assert_true(killed(end_of(0x40000000 | SYS_getpid, none)));
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char why[256];
        long r = 20; /* getpid, there */
        if (qr_sandbox_enter(why, sizeof why) != QR_OK) {
            _exit(99);
        }
        __asm__ volatile("int $0x80" : "+a"(r) : : "memory", "r8", "r9", "r10", "r11");
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    /* a kernel without the 32-bit table ends the process by itself */
    assert_true(killed(status) || (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV));
}
#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_call),   cmocka_unit_test(test_every_call_of_reports),
        cmocka_unit_test(test_conditions),   cmocka_unit_test(test_devices),
        cmocka_unit_test(test_reports),
#ifdef __x86_64__
        cmocka_unit_test(test_other_tables),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
