/* See clonerig.h. */
#include "test/common/clonerig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/base/check.h"
#include "protocol/sign.h"

#define SHARES_MAX 4096
#define BODY_MAX 4096

/* ---- what both processes write down ---------------------------------------------------------- */

struct share_seen {
    size_t party;
    uint8_t id[QR_PRESIG_ID_LEN], digest[32], rq[32];
};

struct shares {
    atomic_size_t n;
    struct share_seen of[SHARES_MAX];
};

static struct shares *shares;
static struct cluster *watched;

qr_err __real_qr_sign_share(const struct qr_sign_common *c, const uint8_t digest[static 32],
                            uint16_t item_index, struct qr_presig *presig,
                            uint8_t ret_share[static QR_SIGN_SHARE_LEN], struct qr_sign_item *item);
qr_err __wrap_qr_sign_share(const struct qr_sign_common *c, const uint8_t digest[static 32],
                            uint16_t item_index, struct qr_presig *presig,
                            uint8_t ret_share[static QR_SIGN_SHARE_LEN], struct qr_sign_item *item);

qr_err
__wrap_qr_sign_share(const struct qr_sign_common *c, const uint8_t digest[static 32],
                     uint16_t item_index, struct qr_presig *presig,
                     uint8_t ret_share[static QR_SIGN_SHARE_LEN], struct qr_sign_item *item)
{
    if (shares && watched) {
        size_t at = atomic_fetch_add(&shares->n, 1);
        QR_ASSERT(at < SHARES_MAX);
        struct share_seen *s = &shares->of[at];
        s->party = watched->running;
        memcpy(s->id, presig->id, sizeof s->id);
        memcpy(s->digest, digest, 32);
        memcpy(s->rq, c->rq, 32);
    }
    return __real_qr_sign_share(c, digest, item_index, presig, ret_share, item);
}

/* Locked memory forbids its inheritance; a machine's snapshot does not ask. */
int __real_madvise(void *p, size_t n, int what);
int __wrap_madvise(void *p, size_t n, int what);

int
__wrap_madvise(void *p, size_t n, int what)
{
    return what == MADV_WIPEONFORK ? 0 : __real_madvise(p, n, what);
}

void
clone_watch(struct cluster *c)
{
    if (!shares) {
        shares =
            mmap(NULL, sizeof *shares, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        QR_ASSERT(shares != MAP_FAILED);
    }
    atomic_store(&shares->n, 0);
    watched = c;
}

size_t
clone_used_twice(void)
{
    size_t n = atomic_load(&shares->n), twice = 0;

    for (size_t i = 0; i < n; i++) {
        const struct share_seen *a = &shares->of[i];
        for (size_t j = 0; j < i; j++) {
            const struct share_seen *b = &shares->of[j];
            if (a->party == b->party && memcmp(a->id, b->id, sizeof a->id) == 0 &&
                (memcmp(a->digest, b->digest, 32) != 0 || memcmp(a->rq, b->rq, 32) != 0)) {
                twice++;
                break;
            }
        }
    }
    return twice;
}

size_t
clone_shares(size_t party)
{
    size_t n = atomic_load(&shares->n), mine = 0;
    for (size_t i = 0; i < n; i++) {
        mine += shares->of[i].party == party;
    }
    return mine;
}

/* ---- the copy's descriptors ------------------------------------------------------------------ */

/* Descriptor fd goes on as another file. */
static void
replace(int fd, int by)
{
    QR_ASSERT(by >= 0 && dup2(by, fd) == fd && close(by) == 0);
}

static int
dead_socket(void)
{
    int two[2];
    QR_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, two) == 0);
    (void)close(two[1]);
    return two[0];
}

/* Listens where nobody dials. */
static int
deaf_listener(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    QR_ASSERT(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a.sun_family) == 0 &&
              listen(fd, 8) == 0);
    return fd;
}

/* What an epoll instance watches. */
struct watched_fd {
    int fd;
    struct epoll_event e;
};

static size_t
watches(int epoll, struct watched_fd *w, size_t cap)
{
    char path[64], line[256];
    size_t n = 0;

    (void)snprintf(path, sizeof path, "/proc/self/fdinfo/%d", epoll);
    FILE *f = fopen(path, "re");
    QR_ASSERT(f);
    while (fgets(line, sizeof line, f)) {
        const char *fd = strstr(line, "tfd:"), *ev = strstr(line, "events:"),
                   *data = strstr(line, "data:");
        if (fd && ev && data) {
            QR_ASSERT(n < cap);
            w[n].fd = (int)strtol(fd + 4, NULL, 10);
            w[n].e.events = (uint32_t)strtoul(ev + 7, NULL, 16);
            w[n++].e.data.u64 = strtoull(data + 5, NULL, 16);
        }
    }
    (void)fclose(f);
    return n;
}

/* A fork shares the epoll instance with its parent; this one gets the same entries of its own. */
static void
own_sockets(int epoll)
{
    struct watched_fd w[64];
    size_t n = watches(epoll, w, 64);
    int mine = epoll_create1(EPOLL_CLOEXEC);

    QR_ASSERT(mine >= 0 && n > 0);
    for (size_t i = 0; i < n; i++) {
        replace(w[i].fd, w[i].e.data.u64 == 0 ? deaf_listener() : dead_socket());
        QR_ASSERT(epoll_ctl(mine, EPOLL_CTL_ADD, w[i].fd, &w[i].e) == 0);
    }
    replace(epoll, mine);
}

/* The other parties' connections must end when those parties end them. */
static void
no_sockets(int epoll)
{
    struct watched_fd w[64];
    size_t n = watches(epoll, w, 64);

    for (size_t i = 0; i < n; i++) {
        (void)close(w[i].fd);
    }
    (void)close(epoll);
}

static int
copy_of(int fd, const char *path)
{
    char to[PATH_MAX + 32], buf[4096];
    ssize_t n;
    off_t at = 0;

    (void)snprintf(to, sizeof to, "%s.copy-%d", path, (int)getpid());
    int out = open(to, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    QR_ASSERT(out >= 0);
    while ((n = pread(fd, buf, sizeof buf, at)) > 0) {
        QR_ASSERT(pwrite(out, buf, (size_t)n, at) == n);
        at += n;
    }
    return out;
}

/* The copy's store is a copy of the disk. */
static void
own_files(const char *dir)
{
    char link[64], path[PATH_MAX];
    DIR *d = opendir("/proc/self/fd");

    QR_ASSERT(d);
    for (struct dirent *e; (e = readdir(d));) {
        int fd = (int)strtol(e->d_name, NULL, 10);
        (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t n = e->d_name[0] == '.' ? -1 : readlink(link, path, sizeof path - 1);
        if (n <= 0 || fd == dirfd(d)) {
            continue;
        }
        path[n] = '\0';
        struct stat st;
        if (strncmp(path, dir, strlen(dir)) == 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
            replace(fd, copy_of(fd, path));
        }
    }
    (void)closedir(d);
}

/* ---- the copy's life ------------------------------------------------------------------------- */

struct clone {
    struct cluster *c;
    pid_t pid;
    int fd;
};

static void
put(int fd, const void *p, size_t n)
{
    QR_ASSERT(write(fd, p, n) == (ssize_t)n);
}

static void
get(int fd, void *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t k = read(fd, (uint8_t *)p + at, n - at);
        QR_ASSERT(k > 0);
        at += (size_t)k;
    }
}

static void
say_answer(struct cluster *c, uint64_t ask, int fd)
{
    uint8_t reply[65] = {0};
    const struct qr_answer *a = ask ? cluster_answer(c, ask) : NULL;

    if (a) {
        reply[0] = a->error == QR_OK && a->is_signed ? 1 : 2;
        if (reply[0] == 1) {
            memcpy(reply + 1, a->sgn.sigs[0].rs, 64);
        }
    }
    put(fd, reply, sizeof reply);
}

static void
live(struct cluster *c, size_t who, int fd)
{
    static char body[BODY_MAX];
    uint64_t ask = 0;
    uint8_t op, arg;
    uint16_t len;

    for (size_t i = 1; i <= c->n; i++) {
        if (c->p[i].alive && i != who) {
            no_sockets(qr_party_fd(c->p[i].party));
        }
        c->p[i].alive = i == who;
    }
    own_sockets(qr_party_fd(c->p[who].party));
    own_files(c->p[who].dir);
    put(fd, "r", 1);
    while (read(fd, &op, 1) == 1) {
        switch (op) {
        case 't':
            cluster_turn(c);
            put(fd, "t", 1);
            break;
        case 'u':
            get(fd, &arg, 1);
            arg = (uint8_t)(c->p[who].party->net && qr_net_is_up(c->p[who].party->net, arg));
            put(fd, &arg, 1);
            break;
        case 's':
            get(fd, &len, sizeof len);
            QR_ASSERT(len < sizeof body);
            get(fd, body, len);
            body[len] = '\0';
            ask = cluster_sign(c, who, body);
            put(fd, "s", 1);
            break;
        case 'a':
            say_answer(c, ask, fd);
            break;
        default:
            _exit(3);
        }
    }
    _exit(0);
}

struct clone *
clone_make(struct cluster *c, size_t who)
{
    int two[2];
    struct clone *k = qr_alloc(sizeof *k);

    QR_ASSERT(k && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, two) == 0);
    (void)fflush(NULL);
    *k = (struct clone){.c = c, .pid = fork(), .fd = two[0]};
    QR_ASSERT(k->pid >= 0);
    if (k->pid == 0) {
        (void)close(two[0]);
        live(c, who, two[1]);
    }
    (void)close(two[1]);
    char ready;
    get(k->fd, &ready, 1); /* before that the two share sockets */
    return k;
}

void
clone_end(struct clone *k)
{
    int status = 0;
    (void)close(k->fd);
    assert_int_equal(waitpid(k->pid, &status, 0), k->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    qr_free(k);
}

void
clone_turns(struct clone *k, enum clone_run which, size_t n)
{
    char t;

    for (size_t i = 0; i < n; i++) {
        if (which & CLONE_ORIGINAL) {
            cluster_turn(k->c);
        }
        if (which & CLONE_COPY) {
            put(k->fd, "t", 1);
            get(k->fd, &t, 1);
        }
    }
}

int
clone_up(struct clone *k, uint16_t peer)
{
    uint8_t op[2] = {'u', (uint8_t)peer}, up;
    put(k->fd, op, 2);
    get(k->fd, &up, 1);
    return up;
}

void
clone_sign(struct clone *k, const char *body)
{
    uint16_t len = (uint16_t)strlen(body);
    char ok;
    put(k->fd, "s", 1);
    put(k->fd, &len, sizeof len);
    put(k->fd, body, len);
    get(k->fd, &ok, 1);
}

int
clone_answer(struct clone *k, uint8_t sig[64])
{
    uint8_t reply[65];
    put(k->fd, "a", 1);
    get(k->fd, reply, sizeof reply);
    memcpy(sig, reply + 1, 64);
    return reply[0] == 2 ? -1 : reply[0];
}
