/*
 * The sandbox, in child processes: each forbidden call ends one with SIGSYS, each soft refusal gives
 * its error, and the ordinary work of a party (sockets, epoll, threads, nng, the store, reading
 * files, resolving names) goes on. Threads that ran before are bound, too.
 */
#include "enclave-shim/sandbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/store.h"
#include "protocol/base/hash.h"
#include "test/common/tmpdir.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

static struct tmpdir dir;
static char why[256];

/* Leaves the child with a number that tells the line; 0 is success. */
#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            (void)dprintf(2, "line %d: %s: %s\n", __LINE__, #cond, strerror(errno));               \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static int
setup(void **state)
{
    (void)state;
    tmpdir_new(&dir);
    tmpdir_write(tmpdir_file(&dir, "file"), (const uint8_t *)"x", 1);
    return qr_hash_init() == QR_OK ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    tmpdir_remove(&dir);
    return 0;
}

static int
in_child(void (*before)(void), void (*body)(void))
{
    int status = -1;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (before) {
            before();
        }
        MUST(qr_sandbox_harden(why, sizeof why) == QR_OK);
        MUST(qr_sandbox_enter(why, sizeof why) == QR_OK);
        body();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static const char *file_path; /* made before the fork */

/* Forbidden. */

static void
do_execve(void)
{
    char *argv[] = {NULL}, *envp[] = {NULL};
    (void)execve("/bin/true", argv, envp);
}

static void
do_fork(void)
{
    (void)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

#ifdef SYS_vfork
static void
do_vfork(void)
{
    (void)syscall(SYS_vfork);
}
#endif

static void
do_ptrace(void)
{
    (void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static void
do_open_write(void)
{
    (void)open(file_path, O_WRONLY);
}

static void
do_open_rdwr(void)
{
    (void)open(file_path, O_RDWR);
}

static void
do_open_create(void)
{
    (void)open(file_path, O_RDONLY | O_CREAT, 0600);
}

static void
do_open_trunc(void)
{
    (void)open(file_path, O_RDONLY | O_TRUNC);
}

static void
do_open_tmpfile(void)
{
    (void)open(dir.path, O_TMPFILE | O_RDWR, 0600);
}

static void
do_rename(void)
{
    (void)rename(file_path, file_path);
}

static void
do_mkdir(void)
{
    (void)mkdir("/tmp/x/y/z", 0700);
}

static void
do_chmod(void)
{
    (void)chmod(file_path, 0666);
}

static void
do_kill(void)
{
    (void)kill(getppid(), 0);
}

static void
do_tgkill(void)
{
    (void)syscall(SYS_tgkill, getppid(), getppid(), 0);
}

static void
do_packet_socket(void)
{
    (void)socket(AF_PACKET, SOCK_RAW, 0);
}

static void
do_dumpable(void)
{
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static void
do_setrlimit(void)
{
    const struct rlimit r = {RLIM_INFINITY, RLIM_INFINITY};
    (void)setrlimit(RLIMIT_CORE, &r);
}

static void
do_readv_of_another(void)
{
    (void)syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
}

static void
do_bpf(void)
{
    (void)syscall(SYS_bpf, 0, NULL, 0);
}

static void
do_io_uring(void)
{
    (void)syscall(SYS_io_uring_setup, 1, NULL);
}

static void
do_memfd(void)
{
    (void)syscall(SYS_memfd_create, "x", 0);
}

static void
do_unshare(void)
{
    (void)unshare(CLONE_NEWUSER);
}

static void
do_setuid(void)
{
    (void)!setuid(0);
}

static void
do_tiocsti(void)
{
    (void)syscall(SYS_ioctl, 0, 0x5412, "x");
}

static void
do_nsm(void)
{
    (void)syscall(SYS_ioctl, 0, 0xc0200a00u, "x"); /* this party is none of Nitro's */
}

static void
do_sev(void)
{
    (void)syscall(SYS_ioctl, 0, 0xc0205300u, "x");
}

static void
do_configfs(void)
{
    (void)mkdir("/sys/kernel/config/tsm/report/quorate", 0700);
}

static void
test_forbidden(void **state)
{
    static const struct {
        const char *name;
        void (*call)(void);
    } calls[] = {
        {"execve", do_execve},
        {"fork", do_fork},
#ifdef SYS_vfork
        {"vfork", do_vfork},
#endif
        {"ptrace", do_ptrace},
        {"open for writing", do_open_write},
        {"open for reading and writing", do_open_rdwr},
        {"open with O_CREAT", do_open_create},
        {"open with O_TRUNC", do_open_trunc},
        {"open with O_TMPFILE", do_open_tmpfile},
        {"rename", do_rename},
        {"mkdir", do_mkdir},
        {"chmod", do_chmod},
        {"kill", do_kill},
        {"tgkill of another", do_tgkill},
        {"AF_PACKET socket", do_packet_socket},
        {"PR_SET_DUMPABLE", do_dumpable},
        {"setrlimit", do_setrlimit},
        {"process_vm_readv", do_readv_of_another},
        {"bpf", do_bpf},
        {"io_uring_setup", do_io_uring},
        {"memfd_create", do_memfd},
        {"unshare", do_unshare},
        {"setuid", do_setuid},
        {"ioctl TIOCSTI", do_tiocsti},
        {"ioctl of the NSM", do_nsm},
        {"ioctl of sev-guest", do_sev},
        {"a folder of configfs", do_configfs},
    };

    (void)state;
    file_path = tmpdir_file(&dir, "file");
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        int status = in_child(NULL, calls[i].call);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS) {
            fail_msg("%s: status %x instead of death by SIGSYS", calls[i].name, status);
        }
    }
}

/* Refused softly. */

static void
soft(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(p != MAP_FAILED);
    MUST(mprotect(p, 4096, PROT_READ | PROT_EXEC) == -1 && errno == EACCES);
    MUST(mprotect(p, 4096, PROT_READ) == 0);
    MUST(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
             MAP_FAILED &&
         errno == EACCES);
    MUST(syscall(SYS_clone3, NULL, 0) == -1 && errno == ENOSYS);
    MUST(socket(AF_NETLINK, SOCK_RAW, 0) == -1 && errno == EAFNOSUPPORT);
    MUST(unlink(file_path) == -1 && errno == EPERM);
    MUST(access(file_path, F_OK) == 0);
    MUST(prctl(PR_SET_NAME, "party", 0, 0, 0) == 0);
}

static void
test_soft(void **state)
{
    (void)state;
    file_path = tmpdir_file(&dir, "file");
    assert_int_equal(in_child(NULL, soft), 0);
}

/* Ordinary work. */

static void *
count_up(void *p)
{
    for (int i = 0; i < 1000; i++) {
        (void)__atomic_add_fetch((int *)p, 1, __ATOMIC_RELAXED);
    }
    free(malloc(300000)); /* an arena, or a mapping, of this thread's own */
    return NULL;
}

static void
threads(void)
{
    pthread_t t[4];
    int n = 0;
    for (int i = 0; i < 4; i++) {
        MUST(pthread_create(&t[i], NULL, count_up, &n) == 0);
    }
    for (int i = 0; i < 4; i++) {
        MUST(pthread_join(t[i], NULL) == 0);
    }
    MUST(n == 4000);
    /* a growing and shrinking heap */
    for (size_t k = 1; k < 64; k++) {
        char *p = malloc(k * 70000);
        MUST(p);
        memset(p, 1, k * 70000);
        p = realloc(p, k * 150000);
        MUST(p);
        free(p);
    }
    void *locked = sodium_malloc(1000);
    MUST(locked);
    sodium_free(locked);
    uint8_t r[64];
    randombytes_buf(r, sizeof r);
}

static void
sockets(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    char b[8];
    int on = 1, l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    MUST(l >= 0 && setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
    MUST(bind(l, (struct sockaddr *)&a, sizeof a) == 0 && listen(l, 5) == 0);
    MUST(getsockname(l, (struct sockaddr *)&a, &len) == 0);

    int e = epoll_create1(EPOLL_CLOEXEC), c = socket(AF_INET, SOCK_STREAM, 0);
    struct epoll_event ev = {.events = EPOLLIN};
    MUST(e >= 0 && epoll_ctl(e, EPOLL_CTL_ADD, l, &ev) == 0);
    MUST(connect(c, (struct sockaddr *)&a, sizeof a) == 0);
    MUST(epoll_wait(e, &ev, 1, 5000) == 1);
    int s = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    MUST(s >= 0 && fcntl(s, F_SETFL, 0) == 0);
    MUST(send(c, "ping", 4, MSG_NOSIGNAL) == 4 && recv(s, b, sizeof b, 0) == 4);
    MUST(shutdown(c, SHUT_WR) == 0 && recv(s, b, sizeof b, 0) == 0);
    MUST(close(c) == 0 && close(s) == 0 && close(l) == 0);

    int u[2], v6 = socket(AF_INET6, SOCK_STREAM, 0);
    MUST(v6 >= 0 || errno == EAFNOSUPPORT); /* a machine without IPv6 */
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, u) == 0);
    MUST(write(u[0], "x", 1) == 1 && read(u[1], b, 1) == 1);

    struct itimerspec in = {.it_value.tv_nsec = 1000000};
    uint64_t n = 0;
    int t = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), f = eventfd(0, 0);
    MUST(t >= 0 && timerfd_settime(t, 0, &in, NULL) == 0 && read(t, &n, sizeof n) == sizeof n);
    n = 1;
    MUST(f >= 0 && write(f, &n, sizeof n) == sizeof n && read(f, &n, sizeof n) == sizeof n);
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    MUST(sigprocmask(SIG_BLOCK, &set, NULL) == 0 && signalfd(-1, &set, SFD_CLOEXEC) >= 0);
}

/* nng's sockets, made before and after. */
static nng_socket nng_before;

static void
nng_start(void)
{
    MUST(nng_pair0_open(&nng_before) == 0);
    MUST(nng_listen(nng_before, "tcp://127.0.0.1:0", NULL, 0) == 0);
}

static void
nng_work(void)
{
    nng_socket a, b;
    nng_listener l;
    int port = 0;
    char url[64], got[8];
    size_t n = sizeof got;

    MUST(nng_pair0_open(&a) == 0 && nng_pair0_open(&b) == 0);
    MUST(nng_listen(a, "tcp://127.0.0.1:0", &l, 0) == 0);
    MUST(nng_listener_get_int(l, NNG_OPT_TCP_BOUND_PORT, &port) == 0);
    (void)snprintf(url, sizeof url, "tcp://127.0.0.1:%d", port);
    MUST(nng_dial(b, url, NULL, 0) == 0);
    (void)snprintf(url, sizeof url, "hello");
    MUST(nng_send(b, url, 5, 0) == 0);
    MUST(nng_recv(a, got, &n, 0) == 0 && n == 5);
    MUST(nng_close(b) == 0 && nng_close(a) == 0 && nng_close(nng_before) == 0);
}

/* Names by /etc/hosts, which is what a container and an enclave have. */
static void
names(void)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *r = NULL;
    char line[64];
    int e = getaddrinfo("localhost", "80", &hints, &r);
    MUST(e == 0 || e == EAI_NONAME || e == EAI_AGAIN);
    if (r) {
        freeaddrinfo(r);
    }
    FILE *f = fopen("/proc/self/status", "r");
    MUST(f && fgets(line, sizeof line, f));
    (void)fclose(f);
    MUST(sysconf(_SC_NPROCESSORS_ONLN) > 0);
    struct rusage u;
    MUST(getrusage(RUSAGE_SELF, &u) == 0);
    (void)isatty(2);
}

static struct qr_tee sim;
static struct qr_store *store;

static void
store_start(void)
{
    int fresh = 0;
    MUST(qr_tee_sim_open(dir.path, &sim, why, sizeof why) == QR_OK);
    qr_err e = qr_store_open(tmpdir_file(&dir, "store"), &sim, &store, &fresh, why, sizeof why);
    if (e != QR_OK) {
        (void)dprintf(2, "%s\n", why);
    }
    MUST(e == QR_OK);
}

/* Enough commits for several checkpoints of the write-ahead log. */
static void
store_work(void)
{
    static uint8_t value[60000], out[60000];
    for (unsigned i = 0; i < 150; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "k%u", i % 7);
        memset(value, (int)i, sizeof value);
        MUST(qr_store_put(store, QR_TABLE_KEY, name, qr_view_of(value, sizeof value)) == QR_OK);
        struct qr_buf b = qr_buf_over(out, sizeof out);
        MUST(qr_store_get(store, QR_TABLE_KEY, name, &b) == QR_OK && b.len == sizeof value);
    }
    MUST(qr_store_del(store, QR_TABLE_KEY, "k3") == QR_OK);
    qr_store_close(store);
    qr_tee_close(&sim);
}

static void
aborting(void)
{
    abort();
}

static void
test_work(void **state)
{
    (void)state;
    file_path = tmpdir_file(&dir, "file");
    assert_int_equal(in_child(NULL, threads), 0);
    assert_int_equal(in_child(NULL, sockets), 0);
    assert_int_equal(in_child(nng_start, nng_work), 0);
    assert_int_equal(in_child(NULL, names), 0);
    assert_int_equal(in_child(store_start, store_work), 0); /* a store that is made */
    assert_int_equal(in_child(store_start, store_work), 0); /* one that was there */
    /* our own panics still end as panics */
    int status = in_child(NULL, aborting);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* A thread that ran before the sandbox is in it. */

static int go[2];

static void *
old_thread(void *p)
{
    char c;
    (void)p;
    MUST(read(go[0], &c, 1) == 1);
    (void)open(file_path, O_WRONLY);
    return NULL;
}

static void
start_old_thread(void)
{
    static pthread_t t;
    MUST(pipe2(go, O_CLOEXEC) == 0);
    MUST(pthread_create(&t, NULL, old_thread, NULL) == 0);
}

static void
release_old_thread(void)
{
    MUST(write(go[1], "x", 1) == 1);
    for (;;) { /* the other thread ends the process */
        (void)poll(NULL, 0, 1000);
    }
}

static void
test_old_threads(void **state)
{
    (void)state;
    file_path = tmpdir_file(&dir, "file");
    int status = in_child(start_old_thread, release_old_thread);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

static void
test_harden(void **state)
{
    int status = -1;
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit r;
        MUST(qr_sandbox_harden(why, sizeof why) == QR_OK);
        MUST(prctl(PR_GET_DUMPABLE) == 0);
        MUST(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
        MUST(getrlimit(RLIMIT_CORE, &r) == 0 && r.rlim_cur == 0 && r.rlim_max == 0);
        MUST(qr_sandbox_harden(why, sizeof why) == QR_OK); /* again is no harm */
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_harden),      cmocka_unit_test(test_forbidden),
        cmocka_unit_test(test_soft),        cmocka_unit_test(test_work),
        cmocka_unit_test(test_old_threads),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
