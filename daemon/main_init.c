/*
 * quorate-init: PID 1 of an enclave. Static, libc only; what it does and why is in daemon/init.h.
 *
 * A failure before the programs run ends the enclave after a line on the console: a party without
 * entropy, loopback or configuration is none. Afterwards whatever ends is started again. quorated ending
 * with 0 (it was asked to drain) is the orderly end of the enclave.
 */
#include "build_info.h"
#include "daemon/init.h"
#include "enclave-shim/nitro/nsm.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Users of the image; the sockets between them belong to a group of each. */
#define PARTY_ID 990u
#define PUMP_ID 991u

#define CONNECT_MS 5000
#define FETCH_MS 10000
#define HEARTBEAT_TRIES 5
#define PARTY_STOP_MS 15000u
#define PUMP_STOP_MS 2000u

struct program {
    const char *name, *path, *argv[6];
    unsigned id, friend_id; /* user and group; the other's group, for its sockets */
    pid_t pid;              /* 0: not running */
    uint64_t start_at;      /* ms; when it is not running */
    struct qr_init_backoff backoff;
};

static struct program pump = {
    .name = "quorate-pump",
    .path = "/usr/bin/quorate-pump",
    .argv = {"quorate-pump", "--inside", "--config", "/etc/quorate/pump.conf", NULL},
    .id = PUMP_ID,
    .friend_id = PARTY_ID};
static struct program party = {.name = "quorated",
                               .path = "/usr/bin/quorated",
                               .argv = {"quorated", "--config", "/run/quorate/quorated.conf", NULL},
                               .id = PARTY_ID,
                               .friend_id = PUMP_ID};

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One line on the console. */
static void
say(const char *format, ...)
{
    char line[512];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    (void)dprintf(STDERR_FILENO, "quorate-init: %s\n", line);
}

static uint64_t
mono_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* The enclave ends: under `reboot=k` a restart is the end, and halting would leave it hanging. */
static _Noreturn void
end(void)
{
    sync();
    (void)poll(NULL, 0, 200); /* the console's last line */
    (void)reboot(RB_AUTOBOOT);
    (void)reboot(RB_POWER_OFF);
    for (;;) {
        (void)pause();
    }
}

static _Noreturn void
die(const char *what, const char *why)
{
    say("%s: %s; the enclave ends", what, why);
    end();
}

/* Mounts, console, loopback. */

static void
mount_or_die(const char *type, const char *where, unsigned long flags, const char *data)
{
    (void)mkdir(where, 0755);
    if (mount(type, where, type, flags, data) != 0 && errno != EBUSY) {
        die(where, strerror(errno));
    }
}

static void
node(const char *path, mode_t mode, unsigned major_no, unsigned minor_no)
{
    if (mknod(path, S_IFCHR | mode, makedev(major_no, minor_no)) != 0 && errno != EEXIST) {
        die(path, strerror(errno));
    }
}

static void
open_console(void)
{
    int in = open("/dev/null", O_RDWR | O_CLOEXEC),
        out = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);

    /* From here on 0, 1 and 2 are ours; the kernel had no console if it had no node for one. */
    if (in >= 0) {
        (void)dup2(in, STDIN_FILENO);
    }
    if (out >= 0 || in >= 0) {
        (void)dup2(out >= 0 ? out : in, STDOUT_FILENO);
        (void)dup2(out >= 0 ? out : in, STDERR_FILENO);
    }
    if (in > STDERR_FILENO) {
        (void)close(in);
    }
    if (out > STDERR_FILENO) {
        (void)close(out);
    }
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        (void)fcntl(fd, F_SETFD, 0); /* one of them may be what open gave */
    }
}

static void
mount_all(void)
{
    (void)umask(022);
    (void)mkdir("/dev", 0755);
    if (mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755") != 0 &&
        errno != EBUSY) {
        mount_or_die("tmpfs", "/dev", MS_NOSUID | MS_NOEXEC, "mode=0755,size=64k");
        node("/dev/null", 0666, 1, 3);
        node("/dev/random", 0666, 1, 8);
        node("/dev/urandom", 0666, 1, 9);
        node("/dev/console", 0600, 5, 1);
    }
    open_console();
    mount_or_die("proc", "/proc", MS_NOSUID | MS_NOEXEC | MS_NODEV, "hidepid=2");
    mount_or_die("sysfs", "/sys", MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY, NULL);
    mount_or_die("tmpfs", "/run", MS_NOSUID | MS_NOEXEC | MS_NODEV, "mode=0755,size=8m");
}

static void
folder(const char *path, unsigned id, mode_t mode)
{
    if (mkdir(path, mode) != 0 || chmod(path, mode) != 0 || chown(path, id, id) != 0) {
        die(path, strerror(errno));
    }
}

static void
make_folders(void)
{
    folder("/run/quorate", 0, 0755);
    folder("/run/quorate/state", PARTY_ID, 0700);
    folder("/run/quorate/party", PARTY_ID, 0750);
    folder("/run/quorate/pump", PUMP_ID, 0750);
}

static void
loopback_up(void)
{
    struct ifreq r;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    memset(&r, 0, sizeof r);
    memcpy(r.ifr_name, "lo", 3);
    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &r) != 0) {
        die("loopback", strerror(errno));
    }
    r.ifr_flags = (short)(r.ifr_flags | IFF_UP | IFF_RUNNING);
    if (ioctl(fd, SIOCSIFFLAGS, &r) != 0) {
        die("loopback", strerror(errno));
    }
    (void)close(fd);
}

/* Before anything else draws: the module's randomness into the kernel's generator. */
static void
seed_kernel(void)
{
    static struct qr_nsm nsm;
    uint8_t seed[QR_INIT_SEED];
    int fd = open("/dev/random", O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        die("/dev/random", strerror(errno));
    }
    if (qr_nsm_open(QR_NSM_PATH, &nsm) != QR_OK ||
        qr_nsm_random(&nsm, seed, sizeof seed) != QR_OK) {
        die("entropy", nsm.why);
    }
    if (qr_init_seed(fd, seed, sizeof seed) != QR_OK) {
        die("entropy: /dev/random", strerror(errno));
    }
    explicit_bzero(seed, sizeof seed);
    qr_nsm_close(&nsm);
    (void)close(fd);
    /* Evidence is quorated's to ask for, and nobody else's here. */
    if (chown(QR_NSM_PATH, PARTY_ID, PARTY_ID) != 0 || chmod(QR_NSM_PATH, 0600) != 0) {
        die(QR_NSM_PATH, strerror(errno));
    }
    say("the kernel's generator has %u bytes of the security module", QR_INIT_SEED);
}

/* The parent. */

/* A socket connected to the parent, or -1 with errno. */
static int
dial_parent(unsigned port)
{
    const struct sockaddr_vm a = {
        .svm_family = AF_VSOCK, .svm_cid = QR_INIT_PARENT_CID, .svm_port = port};
    struct pollfd p;
    int e = 0;
    socklen_t len = sizeof e;
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return -1;
    }
    if (connect(fd, (const struct sockaddr *)&a, sizeof a) != 0 && errno != EINPROGRESS) {
        e = errno;
    }
    p = (struct pollfd){.fd = fd, .events = POLLOUT};
    if (e == 0 && poll(&p, 1, CONNECT_MS) != 1) {
        e = ETIMEDOUT;
    }
    if (e == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) != 0) {
        e = errno;
    }
    if (e != 0) {
        (void)close(fd);
        errno = e;
        return -1;
    }
    return fd;
}

static void
heartbeat(void)
{
    const char *why = "";
    for (int i = 0; i < HEARTBEAT_TRIES; i++) {
        int fd = dial_parent(QR_INIT_HEARTBEAT_PORT);
        why = fd < 0 ? strerror(errno) : "";
        if (fd >= 0) {
            qr_err e = qr_init_heartbeat(fd, CONNECT_MS);
            (void)close(fd);
            if (e == QR_OK) {
                say("the parent has answered the heartbeat");
                return;
            }
            why = qr_err_text(e);
        }
        (void)poll(NULL, 0, 200);
    }
    die("heartbeat", why);
}

static void
read_image_file(char *out, size_t cap)
{
    int fd = open(QR_INIT_FIXED_FILE, O_RDONLY | O_CLOEXEC);
    size_t n = 0;
    ssize_t r = 0;

    if (fd < 0 && errno != ENOENT) {
        die(QR_INIT_FIXED_FILE, strerror(errno));
    }
    while (fd >= 0 && n + 1 < cap && (r = read(fd, out + n, cap - 1 - n)) > 0) {
        n += (size_t)r;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (r < 0 || n + 1 >= cap) {
        die(QR_INIT_FIXED_FILE, "cannot be read, or is too long");
    }
    out[n] = 0;
}

static void
write_config(const char *text)
{
    static const char path[] = "/run/quorate/quorated.conf";
    size_t len = strlen(text);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0444);

    if (fd < 0 || write(fd, text, len) != (ssize_t)len || close(fd) != 0) {
        die(path, strerror(errno));
    }
}

/* Asks the parent until it gives a document that can be read: without one there is nothing to run. */
static void
fetch_config(void)
{
    static uint8_t document[QR_USERDATA_MAX];
    static char image[QR_INIT_FIXED_BYTES], conf[QR_USERDATA_CONF_MAX];
    char why[QR_USERDATA_ERR_MAX], last[QR_USERDATA_ERR_MAX] = "";
    unsigned wait = 200;

    read_image_file(image, sizeof image);
    for (;;) {
        size_t len = 0;
        qr_err e = QR_ERR_LINK_CLOSED;
        int fd = dial_parent(QR_INIT_DOCUMENT_PORT);
        (void)snprintf(why, sizeof why, "%s", fd < 0 ? strerror(errno) : "");
        if (fd >= 0) {
            e = qr_init_fetch(fd, document, sizeof document, &len, FETCH_MS);
            (void)close(fd);
            (void)snprintf(why, sizeof why, "%s", qr_err_text(e));
        }
        if (e == QR_OK) {
            e = qr_init_config(document, len, image, conf, sizeof conf, why);
        }
        if (e == QR_OK) {
            break;
        }
        if (e == QR_ERR_CONFIG) {
            die("configuration", why); /* the image's own: another document does not help */
        }
        if (strcmp(why, last) != 0) {
            say("configuration from the parent (port %u): %s; asking again", QR_INIT_DOCUMENT_PORT,
                why);
            memcpy(last, why, sizeof last);
        }
        (void)poll(NULL, 0, (int)wait);
        wait = wait < 5000 ? wait * 2 : wait;
    }
    write_config(conf);
    say("configuration of %zu bytes is written", strlen(conf));
}

/* Programs. */

static _Noreturn void
become(const struct program *p)
{
    static char *const env[] = {NULL};
    const struct rlimit none = {0, 0}, all = {RLIM_INFINITY, RLIM_INFINITY};
    const gid_t groups[] = {p->friend_id};
    char *argv[6];
    sigset_t empty;

    sigemptyset(&empty);
    memcpy(argv, p->argv, sizeof argv);
    if (close_range(STDERR_FILENO + 1, ~0u, 0) != 0 || setsid() < 0 ||
        setrlimit(RLIMIT_CORE, &none) != 0 ||
        (p->id == PARTY_ID && setrlimit(RLIMIT_MEMLOCK, &all) != 0) || setgroups(1, groups) != 0 ||
        setgid(p->id) != 0 || setuid(p->id) != 0 || setuid(0) == 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        sigprocmask(SIG_SETMASK, &empty, NULL) != 0) {
        say("%s cannot be prepared: %s", p->name, strerror(errno));
        _exit(70);
    }
    (void)execve(p->path, argv, env);
    say("%s: %s", p->path, strerror(errno));
    _exit(70);
}

static void
start(struct program *p)
{
    qr_init_started(&p->backoff, mono_ms());
    pid_t pid = fork();
    if (pid == 0) {
        become(p);
    }
    if (pid < 0) {
        p->start_at = mono_ms() + qr_init_ended(&p->backoff, mono_ms());
        say("%s cannot be started: %s", p->name, strerror(errno));
        return;
    }
    p->pid = pid;
    say("%s started, process %ld", p->name, (long)pid);
}

static void
on_end(struct program *p, int status, int stopping)
{
    char what[96];
    uint64_t now = mono_ms();

    p->pid = 0;
    qr_init_describe(status, what, sizeof what);
    if (stopping) {
        say("%s %s", p->name, what);
        return;
    }
    uint32_t wait = qr_init_ended(&p->backoff, now);
    p->start_at = now + wait;
    say("%s %s; it is started again in %u ms", p->name, what, wait);
}

/* Children that ended, ours and those that were left to us. Returns 1 if the party ended with 0. */
static int
reap(int stopping)
{
    int status, drained = 0;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == party.pid) {
            drained = WIFEXITED(status) && WEXITSTATUS(status) == 0;
            on_end(&party, status, stopping || drained);
        } else if (pid == pump.pid) {
            on_end(&pump, status, stopping);
        }
    }
    return drained;
}

static void
stop(const struct program *p, unsigned patience_ms)
{
    uint64_t until = mono_ms() + patience_ms;

    if (p->pid > 0) {
        (void)kill(p->pid, SIGTERM);
    }
    while (p->pid > 0 && mono_ms() < until) {
        (void)poll(NULL, 0, 20);
        (void)reap(1);
    }
    if (p->pid > 0) {
        say("%s does not stop; it is killed", p->name);
        (void)kill(p->pid, SIGKILL);
    }
}

static _Noreturn void
shut_down(const char *why)
{
    say("%s: stopping", why);
    stop(&party, PARTY_STOP_MS);
    stop(&pump, PUMP_STOP_MS); /* last: the party's last words go through it */
    (void)kill(-1, SIGKILL);
    say("stopped");
    end();
}

static _Noreturn void
supervise(const sigset_t *signals)
{
    struct program *const programs[] = {&pump, &party};

    for (;;) {
        uint64_t now = mono_ms(), next = now + 60000;
        for (size_t i = 0; i < 2; i++) {
            struct program *p = programs[i];
            if (p->pid == 0 && now >= p->start_at) {
                start(p);
            }
            if (p->pid == 0 && p->start_at < next) {
                next = p->start_at;
            }
        }
        now = mono_ms();
        uint64_t wait = next > now ? next - now : 1;
        const struct timespec t = {.tv_sec = (time_t)(wait / 1000),
                                   .tv_nsec = (long)(wait % 1000) * 1000000};
        int sig = sigtimedwait(signals, NULL, &t);
        if (reap(0)) {
            shut_down("the party has drained");
        }
        if (sig == SIGTERM || sig == SIGINT || sig == SIGPWR) {
            shut_down("asked to stop");
        }
    }
}

int
main(int argc, char **argv)
{
    sigset_t signals;

    (void)argv;
    if (getpid() != 1 || argc > 64) {
        (void)dprintf(STDERR_FILENO, "quorate-init is process 1 of an enclave; it does nothing "
                                     "elsewhere\n");
        return 64;
    }
    sigfillset(&signals);
    (void)sigprocmask(SIG_SETMASK, &signals, NULL);
    (void)reboot(RB_DISABLE_CAD);
    mount_all();
    say("quorate %s", QR_BUILD_COMMIT);
    make_folders();
    loopback_up();
    seed_kernel();
    heartbeat();
    fetch_config();
    if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL) != 0) {
        say("the root cannot be made read-only: %s", strerror(errno));
    }
    supervise(&signals);
}
