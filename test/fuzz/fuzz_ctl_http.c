/*
 * What a gateway or a party says to the command line: an HTTP response, an answer on the operator's
 * socket, in pieces. It is refused with a sentence, or read within its bounds.
 *
 * The first byte chooses. The ends of the connections are the target's: --wrap of qr_stream_open (a
 * stream over a socket pair that holds the input) and of connect.
 */
#include "daemon/client/check.h"
#include "daemon/client/http.h"
#include "daemon/client/stream.h"
#include "daemon/ctl.h"
#include "daemon/ctl_sock.h"
#include "daemon/loop.h"
#include "test/fuzz/kit.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static qr_view said;
static int far_end = -1;

/* A socket whose other end has said everything and closed. */
static int
speaker(void)
{
    int fd[2], size = 4 << 20;
    FUZZ_MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0);
    (void)setsockopt(fd[1], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    (void)send(fd[1], said.p, said.len, MSG_NOSIGNAL);
    FUZZ_MUST(shutdown(fd[1], SHUT_WR) == 0);
    far_end = fd[1];
    return fd[0];
}

qr_err __wrap_qr_stream_open(struct qr_stream *s, const struct qr_http_url *u, const char *ca_file,
                             uint64_t deadline, char *why, size_t cap);
int __wrap_connect(int fd, const struct sockaddr *a, socklen_t len);

qr_err
__wrap_qr_stream_open(struct qr_stream *s, const struct qr_http_url *u, const char *ca_file,
                      uint64_t deadline, char *why, size_t cap)
{
    (void)u;
    (void)ca_file;
    (void)why;
    (void)cap;
    *s = (struct qr_stream){.fd = speaker(), .deadline = deadline};
    return QR_OK;
}

int
__wrap_connect(int fd, const struct sockaddr *a, socklen_t len)
{
    (void)a;
    (void)len;
    int s = speaker();
    FUZZ_MUST(dup3(s, fd, O_CLOEXEC) == fd);
    (void)close(s);
    return 0;
}

static void
http(int post)
{
    struct qr_http_url u = {.host = "h", .port = "1"};
    struct qr_http_request q = {.method = post ? "POST" : "GET",
                                .path = "/v1/sign",
                                .stamp = post ? "c3Q" : NULL,
                                .body = qr_view_of("{}", post ? 2 : 0),
                                .timeout_ms = 5000};
    struct qr_http_response r;
    char why[512] = "";

    if (qr_http_do(&u, &q, &r, why, sizeof why) != QR_OK) {
        FUZZ_MUST(why[0]);
        fuzz_text(why, sizeof why);
        return;
    }
    FUZZ_MUST(r.status >= 200 && r.status <= 599 && r.body.len <= said.len);
    FUZZ_MUST(r.body.len == 0 || memcmp(r.body.p, said.p + said.len - r.body.len, r.body.len) == 0);
    qr_dbuf_free(&r.body);
}

static void
ask(void)
{
    struct qr_ask a = {.what = QR_ASK_QUERY, .query = QR_QUERY_STATUS};
    struct qr_answer *r = NULL;
    char why[512] = "";

    if (qr_ctl_ask("/run/party.sock", &a, 5000, &r, why, sizeof why) != QR_OK) {
        FUZZ_MUST(why[0] && !r);
        fuzz_text(why, sizeof why);
        return;
    }
    FUZZ_MUST(r->id == a.id);
    qr_answer_free(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned which = fuzz_choice(&data, &size, 3);

    said = qr_view_of(data, size < 100000 ? size : 100000);
    if (which == 2) {
        ask();
    } else {
        http((int)which);
    }
    if (far_end >= 0) {
        (void)close(far_end);
        far_end = -1;
    }
    return 0;
}
