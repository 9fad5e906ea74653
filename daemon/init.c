#include "daemon/init.h"

#include <errno.h>
#include <linux/random.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MIN_MS 500u
#define WAIT_MAX_MS 30000u
#define STEADY_MS 60000u

/* What every image has. The sockets lie in folders that main_init.c makes. */
static const struct qr_userdata_fixed builtin[] = {
    {"party", "state_dir", "/run/quorate/state"},
    {"party", "listen", "tcp://127.0.0.1:7000"},
    {"party", "gateway_socket", "/run/quorate/party/gateway.sock"},
    {"party", "admin_socket", "/run/quorate/party/admin.sock"},
    {"party", "admin_uid", "991"}, /* PUMP_ID of main_init.c */
    {"tee", "platform", "nitro"},
    {"link", "via", "127.0.0.1:7100"},
    {"store", "socket", "unix:///run/quorate/pump/store.sock"},
    {"log", "format", "json"},
};

static uint64_t
mono_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

static int
wait_for(int fd, short events, uint64_t until)
{
    for (;;) {
        uint64_t now = mono_ms();
        struct pollfd p = {.fd = fd, .events = events};
        if (now >= until) {
            return 0;
        }
        int r = poll(&p, 1, (int)(until - now));
        if (r > 0) {
            return 1;
        }
        if (r < 0 && errno != EINTR) {
            return 0;
        }
    }
}

qr_err
qr_init_heartbeat(int fd, int timeout_ms)
{
    uint64_t until = mono_ms() + (uint64_t)timeout_ms;
    uint8_t beat = QR_INIT_HEARTBEAT, back = 0;

    if (!wait_for(fd, POLLOUT, until)) {
        return QR_ERR_TIMEOUT;
    }
    if (send(fd, &beat, 1, MSG_NOSIGNAL) != 1) {
        return QR_ERR_LINK_CLOSED;
    }
    if (!wait_for(fd, POLLIN, until)) {
        return QR_ERR_TIMEOUT;
    }
    if (recv(fd, &back, 1, 0) != 1) {
        return QR_ERR_LINK_CLOSED;
    }
    return back == QR_INIT_HEARTBEAT ? QR_OK : QR_ERR_MALFORMED;
}

qr_err
qr_init_fetch(int fd, uint8_t *out, size_t cap, size_t *ret_len, int timeout_ms)
{
    uint64_t until = mono_ms() + (uint64_t)timeout_ms;
    size_t n = 0;

    for (;;) {
        uint8_t more;
        if (!wait_for(fd, POLLIN, until)) {
            return QR_ERR_TIMEOUT;
        }
        ssize_t r = n < cap ? recv(fd, out + n, cap - n, 0) : recv(fd, &more, 1, 0);
        if (r < 0 && (errno == EINTR || errno == EAGAIN)) {
            continue;
        }
        if (r < 0 || (r == 0 && n == 0)) {
            return QR_ERR_LINK_CLOSED;
        }
        if (r == 0) {
            *ret_len = n;
            return QR_OK;
        }
        if (n == cap) {
            return QR_ERR_TOO_LARGE;
        }
        n += (size_t)r;
    }
}

/* The image's lines. */

struct fixed {
    struct qr_userdata_fixed row[QR_INIT_FIXED_MAX + 1];
    size_t n;
    char text[QR_INIT_FIXED_BYTES];
};

static char *
trim(char *s)
{
    size_t n;
    while (*s == ' ' || *s == '\t') {
        s++;
    }
    for (n = strlen(s); n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t'); n--) {
        s[n - 1] = 0;
    }
    return s;
}

/* "[section] key = value" in place; 0 if it is not that. */
static int
split_line(char *s, struct qr_userdata_fixed *ret)
{
    char *end = strchr(s, ']'), *eq = strchr(s, '=');

    if (s[0] != '[' || !end || !eq || eq < end) {
        return 0;
    }
    *end = 0;
    *eq = 0;
    ret->section = trim(s + 1);
    ret->key = trim(end + 1);
    ret->value = trim(eq + 1);
    return ret->section[0] && ret->key[0] && strlen(ret->value) < QR_USERDATA_VALUE_MAX;
}

static const struct qr_userdata_fixed *
find(const struct fixed *f, const struct qr_userdata_fixed *x)
{
    for (size_t i = 0; i < f->n; i++) {
        if (strcmp(f->row[i].section, x->section) == 0 && strcmp(f->row[i].key, x->key) == 0) {
            return &f->row[i];
        }
    }
    return NULL;
}

static qr_err
fixed_fail(char err_text[static QR_USERDATA_ERR_MAX], unsigned line, const char *what)
{
    (void)snprintf(err_text, QR_USERDATA_ERR_MAX, "%s:%u: %s", QR_INIT_FIXED_FILE, line, what);
    return QR_ERR_CONFIG;
}

static qr_err
fixed_read(const char *image, struct fixed *f, char err_text[static QR_USERDATA_ERR_MAX])
{
    size_t len = strlen(image);
    unsigned line = 0;

    if (len >= sizeof f->text) {
        return fixed_fail(err_text, 0, "too long");
    }
    memcpy(f->text, image, len + 1);
    for (char *s = f->text, *next = NULL; s; s = next) {
        struct qr_userdata_fixed row;
        char *end = strchr(s, '\n');
        next = end ? end + 1 : NULL;
        line++;
        if (end) {
            *end = 0;
        }
        s = trim(s);
        if (!*s || *s == '#') {
            continue;
        }
        if (!split_line(s, &row)) {
            return fixed_fail(err_text, line, "is not [section] key = value");
        }
        if (find(f, &row)) {
            return fixed_fail(err_text, line, "stands twice");
        }
        if (f->n >= QR_INIT_FIXED_MAX) {
            return fixed_fail(err_text, line, "too many lines");
        }
        f->row[f->n++] = row;
    }
    for (size_t i = 0; i < sizeof builtin / sizeof builtin[0]; i++) {
        if (find(f, &builtin[i])) {
            continue;
        }
        if (f->n >= QR_INIT_FIXED_MAX) {
            return fixed_fail(err_text, line, "too many lines");
        }
        f->row[f->n++] = builtin[i];
    }
    return QR_OK; /* the rows behind are zero: the array's end */
}

qr_err
qr_init_config(const uint8_t *document, size_t len, const char *image, char *out, size_t cap,
               char err_text[static QR_USERDATA_ERR_MAX])
{
    static struct qr_userdata u; /* some KiB: not for PID 1's stack */
    struct fixed f;

    memset(&f, 0, sizeof f);
    QR_TRY(fixed_read(image, &f, err_text));
    QR_TRY(qr_userdata_parse(document, len, &u, err_text));
    qr_err e = qr_userdata_conf(&u, QR_USERDATA_PARTY, f.row, out, cap);
    if (e != QR_OK) {
        (void)snprintf(err_text, QR_USERDATA_ERR_MAX, "quorated.conf does not fit %zu bytes", cap);
    }
    return e;
}

qr_err
qr_init_seed(int random_fd, const uint8_t *seed, size_t len)
{
    union {
        struct rand_pool_info info;
        uint8_t bytes[sizeof(struct rand_pool_info) + QR_INIT_SEED];
    } pool;

    if (len > QR_INIT_SEED) {
        return QR_ERR_USAGE;
    }
    memset(&pool, 0, sizeof pool);
    pool.info.entropy_count = (int)len * 8;
    pool.info.buf_size = (int)len;
    memcpy(pool.bytes + sizeof pool.info, seed, len);
    int r = ioctl(random_fd, RNDADDENTROPY, &pool);
    explicit_bzero(&pool, sizeof pool);
    return r == 0 ? QR_OK : QR_ERR_PLATFORM;
}

void
qr_init_started(struct qr_init_backoff *b, uint64_t now_ms)
{
    b->started_ms = now_ms;
}

uint32_t
qr_init_ended(struct qr_init_backoff *b, uint64_t now_ms)
{
    if (b->wait_ms == 0 || now_ms - b->started_ms >= STEADY_MS) {
        b->wait_ms = WAIT_MIN_MS;
    } else if (b->wait_ms < WAIT_MAX_MS) {
        b->wait_ms = b->wait_ms * 2 > WAIT_MAX_MS ? WAIT_MAX_MS : b->wait_ms * 2;
    }
    return b->wait_ms;
}

void
qr_init_describe(int wait_status, char *out, size_t cap)
{
    static const struct {
        int code;
        const char *what;
    } codes[] = {{64, "wrong usage"},
                 {70, "internal error"},
                 {75, "will be tried again"},
                 {77, "attestation or authority refused"},
                 {78, "configuration"}};
    const char *what = NULL;

    if (WIFSIGNALED(wait_status)) {
        (void)snprintf(out, cap, "was killed by signal %d", WTERMSIG(wait_status));
        return;
    }
    int code = WEXITSTATUS(wait_status);
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        what = codes[i].code == code ? codes[i].what : what;
    }
    (void)snprintf(out, cap, "exited with %d%s%s%s", code, what ? " (" : "", what ? what : "",
                   what ? ")" : "");
}
