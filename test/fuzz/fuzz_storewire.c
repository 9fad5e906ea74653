/*
 * Between a party without a disk and the gateway that keeps its store, each before a hostile other.
 *
 * The first byte chooses. The gateway: a greeted connection that sends the input, then an honest party,
 * which must find a store that it can read from end to end. The party: answers that the input makes up,
 * with a right length or their own; whatever is accepted is within bounds and in order, and an error is a
 * sentence. The clock runs on when the answers are used up, and pauses are none, so nobody waits.
 */
#include "daemon/gw_store.h"
#include "daemon/store_remote.h"
#include "daemon/store_wire.h"
#include "test/fuzz/kit.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static _Atomic int used_up; /* the answers are */
static _Atomic uint64_t skipped;

uint64_t __real_qr_mono_ns(void);
uint64_t __wrap_qr_mono_ns(void);
uint64_t
__wrap_qr_mono_ns(void)
{
    if (used_up) {
        skipped += UINT64_C(20000000000);
    }
    return __real_qr_mono_ns() + skipped;
}

/* Nobody sleeps between two tries. */
int __real_poll(struct pollfd *p, nfds_t n, int timeout);
int __wrap_poll(struct pollfd *p, nfds_t n, int timeout);
int
__wrap_poll(struct pollfd *p, nfds_t n, int timeout)
{
    return n == 0 ? 0 : __real_poll(p, n, timeout);
}

static int
dial(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    (void)snprintf(a.sun_path, sizeof a.sun_path, "%.100s", path);
    FUZZ_MUST(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    return fd;
}

static _Atomic int serving;

static void *
serve(void *arg)
{
    struct qr_gw_store *s = arg;
    while (serving) {
        struct pollfd p = {.fd = qr_gw_store_fd(s), .events = POLLIN};
        (void)poll(&p, 1, 1);
        qr_gw_store_step(s);
    }
    return NULL;
}

static qr_err
any_row(void *ctx, const struct qr_db_row *row)
{
    unsigned *n = ctx;
    FUZZ_MUST(strlen(row->name) >= 1 && strlen(row->name) <= QR_DB_NAME_MAX);
    FUZZ_MUST(row->sealed.len >= 1 && row->sealed.len <= QR_DB_SEALED_MAX);
    return ++*n > 4 * QR_DB_ROWS_MAX ? QR_ERR_STORE_FULL : QR_OK;
}

static void
gateway(const uint8_t *data, size_t size)
{
    char file[160], listen_at[160], log[176], why[512];
    const char *base = fuzz_file("kept", 0, qr_view_of("", 0));
    struct qr_gw_store *s = NULL;
    struct qr_db *db = NULL;
    pthread_t thread;
    unsigned rows = 0;
    int fresh;

    (void)snprintf(file, sizeof file, "%.120s.db", base);
    (void)snprintf(log, sizeof log, "%s-wal", file);
    (void)snprintf(listen_at, sizeof listen_at, "unix://%.100s.s", base);
    (void)unlink(file);
    (void)unlink(log);
    FUZZ_MUST(qr_gw_store_new(file, listen_at, &s, why, sizeof why) == QR_OK);
    int fd = dial(listen_at + 7);
    FUZZ_MUST(send(fd, "\0\0\0\6\1QRST1", 10, MSG_NOSIGNAL) == 10);
    qr_gw_store_step(s);
    while (size > 0) {
        uint8_t got[4096];
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        qr_gw_store_step(s);
        if (n <= 0) {
            break;
        }
        data += n;
        size -= (size_t)n;
        while (recv(fd, got, sizeof got, 0) > 0) {
        }
    }
    for (int i = 0; i < 4; i++) {
        qr_gw_store_step(s);
    }
    (void)close(fd);
    serving = 1;
    FUZZ_MUST(pthread_create(&thread, NULL, serve, s) == 0);
    FUZZ_MUST(qr_db_remote_open(listen_at, &db, &fresh, why, sizeof why) == QR_OK);
    FUZZ_MUST(qr_db_each(db, any_row, &rows) == QR_OK);
    FUZZ_MUST(qr_db_begin(db) == QR_OK && qr_db_put_head(db, qr_view_str("h")) == QR_OK &&
              qr_db_commit(db) == QR_OK);
    qr_db_close(db);
    serving = 0;
    (void)pthread_join(thread, NULL);
    qr_gw_store_free(s);
}

struct answers {
    int listener;
    struct fuzz_in in;
};

/* One answer for each question; the connection ends with the input. */
static void *
answer(void *arg)
{
    struct answers *a = arg;
    for (;;) {
        uint8_t q[65536], frame[4];
        int fd = accept(a->listener, NULL, NULL);
        if (fd < 0) {
            return NULL;
        }
        while (a->in.len > 0 && recv(fd, q, sizeof q, 0) > 0) {
            int honest = fuzz_u8(&a->in) & 1; /* about its length */
            qr_view v = fuzz_bytes(&a->in);
            qr_put32(frame, (uint32_t)v.len);
            if ((honest && send(fd, frame, 4, MSG_NOSIGNAL) != 4) ||
                (v.len > 0 && send(fd, v.p, v.len, MSG_NOSIGNAL) != (ssize_t)v.len) || !honest) {
                break; /* behind a wrong length nobody knows whose turn it is */
            }
        }
        used_up = a->in.len == 0;
        (void)close(fd);
    }
}

static void
party(const uint8_t *data, size_t size)
{
    struct answers a = {.in = fuzz_in_of(data, size)};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char where[160], why[512] = "";
    struct qr_db *db = NULL;
    struct qr_dbuf out;
    pthread_t thread;
    unsigned rows = 0;
    uint64_t serial;
    int fresh = 7;

    (void)snprintf(where, sizeof where, "unix://%.100s.p", fuzz_file("lies", 0, qr_view_of("", 0)));
    (void)snprintf(un.sun_path, sizeof un.sun_path, "%.100s", where + 7);
    (void)unlink(un.sun_path);
    a.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    FUZZ_MUST(bind(a.listener, (struct sockaddr *)&un, sizeof un) == 0 &&
              listen(a.listener, 8) == 0);
    used_up = size == 0;
    FUZZ_MUST(pthread_create(&thread, NULL, answer, &a) == 0);
    qr_dbuf_init(&out, QR_DB_SEALED_MAX);
    if (qr_db_remote_open(where, &db, &fresh, why, sizeof why) != QR_OK) {
        fuzz_text(why, sizeof why);
        FUZZ_MUST(why[0] && fresh == 7);
    } else {
        FUZZ_MUST(fresh == 0 || fresh == 1);
        if (qr_db_each(db, any_row, &rows) != QR_OK) {
            fuzz_text(qr_db_error(db), 512);
        }
        if (qr_db_get(db, 1, "a", &serial, &out) == QR_OK) {
            FUZZ_MUST(out.len >= 1 && out.len <= QR_DB_SEALED_MAX);
        }
        if (qr_db_begin(db) != QR_OK || qr_db_put_head(db, qr_view_str("h")) != QR_OK ||
            qr_db_commit(db) != QR_OK) {
            fuzz_text(qr_db_error(db), 512);
        }
        qr_db_close(db);
    }
    qr_dbuf_free(&out);
    (void)shutdown(a.listener, SHUT_RDWR);
    (void)pthread_join(thread, NULL);
    (void)close(a.listener);
    used_up = 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_mute();
    if (fuzz_choice(&data, &size, 2)) {
        party(data, size);
    } else {
        gateway(data, size);
    }
    return 0;
}
