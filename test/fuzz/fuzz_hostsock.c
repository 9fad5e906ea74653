/*
 * The party's sockets for its host, before clients that a script plays: frames whole, in pieces and
 * wrong; many connections; answers at once, late, or to those who left.
 *
 * Must hold: every question that arrives is one the decoder takes, an operator's only from the
 * operator's socket; an answer reaches the connection that asked, with its own id; memory is bounded;
 * when all is said, nothing waits.
 */
#include "daemon/hostsock.h"
#include "daemon/loop.h"
#include "test/fuzz/kit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS 6

static struct qr_loop *loop;
static struct qr_hostsock *host;
static char path[2][96];
static uint64_t waiting[64];
static unsigned n_waiting;
static uint8_t answer_now;

static void
give(uint64_t to)
{
    struct qr_answer a = {.json = qr_view_str("{\"n\":1}")};
    a.detail = qr_view_str(answer_now & 2 ? "a sentence" : "");
    a.error = answer_now & 4 ? QR_ERR_NOT_READY : QR_OK;
    qr_hostsock_answer(host, to, &a);
}

static void
on_ask(void *ctx, int admin, uint64_t to, const struct qr_ask *ask)
{
    struct qr_dbuf d;
    (void)ctx;
    (void)admin;
    FUZZ_MUST(to != 0);
    qr_dbuf_init(&d, QR_ASK_FRAME_MAX + 4);
    FUZZ_MUST(qr_ask_put(&d, ask) == QR_OK);
    qr_dbuf_free(&d);
    if (answer_now & 1 || n_waiting == 64) {
        give(to);
    } else {
        waiting[n_waiting++] = to;
    }
}

static int
dial(int admin)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    FUZZ_MUST(fd >= 0);
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path[admin]);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static void
turn(void)
{
    qr_loop_wait(loop, 0);
    qr_hostsock_flush(host);
}

/* A question that is well formed, but for a byte. */
static void
question(struct fuzz_in *in, int fd, uint8_t op)
{
    struct qr_ask a = {.id = fuzz_u8(in), .what = QR_ASK_QUERY, .query = QR_QUERY_STATUS};
    struct qr_dbuf d;

    qr_dbuf_init(&d, QR_ASK_FRAME_MAX + 4);
    FUZZ_MUST(qr_ask_put(&d, &a) == QR_OK);
    for (unsigned k = 1 + (op & 7u); k > 1; k--) {
        FUZZ_MUST(qr_ask_put(&d, &a) == QR_OK); /* many in one write */
    }
    if (op & 0x20) {
        fuzz_flip(in, d.p, d.len);
    }
    size_t n = op & 0x40 ? fuzz_u8(in) % (d.len + 1) : d.len;
    (void)send(fd, d.p, n, MSG_NOSIGNAL);
    qr_dbuf_free(&d);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_in in = fuzz_in_of(data, size);
    int fd[CLIENTS], closed = 0;
    char why[256];
    uint8_t sink[8192];

    fuzz_mute();
    loop = qr_loop_new();
    FUZZ_MUST(loop);
    for (int i = 0; i < 2; i++) {
        (void)snprintf(path[i], sizeof path[i], "%s/%d.sock", fuzz_dir(), i);
    }
    FUZZ_MUST(qr_hostsock_new(loop, path[0], path[1], on_ask, NULL, &host, why, sizeof why) ==
              QR_OK);
    memset(fd, 0xff, sizeof fd);
    n_waiting = 0;
    answer_now = fuzz_u8(&in);
    for (unsigned n = 0; n < 48 && in.len > 0; n++) {
        uint8_t op = fuzz_u8(&in);
        int *at = &fd[(op >> 5) % CLIENTS];
        qr_view v;
        if (*at < 0) {
            *at = dial(op & 1);
            turn();
            continue;
        }
        switch (op & 7) {
        case 0:
            (void)close(*at);
            *at = -1;
            break;
        case 1:
        case 2:
            v = fuzz_bytes(&in);
            (void)send(*at, v.p, v.len, MSG_NOSIGNAL);
            break;
        case 3:
        case 4:
            question(&in, *at, fuzz_u8(&in));
            break;
        case 5:
            if (n_waiting > 0) {
                give(waiting[--n_waiting]);
            }
            break;
        case 6:
            (void)shutdown(*at, op & 8 ? SHUT_RD : SHUT_WR);
            break;
        default:
            (void)recv(*at, sink, sizeof sink, MSG_DONTWAIT);
            if (op & 8 && !closed) {
                qr_hostsock_stop(host);
                closed = 1;
            }
        }
        turn();
        fuzz_heap_below(64u << 20);
    }
    while (n_waiting > 0) {
        give(waiting[--n_waiting]);
    }
    turn();
    for (int i = 0; i < CLIENTS; i++) {
        if (fd[i] >= 0) {
            (void)close(fd[i]);
        }
    }
    turn();
    turn();
    FUZZ_MUST(n_waiting == 0);
    host = qr_hostsock_free(host);
    loop = qr_loop_free(loop);
    fuzz_heap_below(1u << 16);
    return 0;
}
