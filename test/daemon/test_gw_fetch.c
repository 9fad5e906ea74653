/* Fetching over libcurl from an emulated vendor on this machine, and the whole way to a party's pieces. */
#include "daemon/gw_coll.h"
#include "protocol/base/hash.h"
#include "test/common/vendor.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the vendor: one thread, one connection at a time ---- */

struct emulator {
    pthread_t thread;
    pthread_mutex_t lock;
    int fd, stop;
    unsigned port, requests;
    char last[4096]; /* request line and headers */
    struct vendor v;
};

static void
send_all(int fd, const void *p, size_t n)
{
    for (const uint8_t *b = p; n > 0;) {
        ssize_t k = send(fd, b, n, MSG_NOSIGNAL);
        if (k <= 0) {
            return;
        }
        b += k;
        n -= (size_t)k;
    }
}

static void
answer(struct emulator *m, int fd)
{
    char head[1024], path[1024] = "";
    size_t n = 0;
    ssize_t k;

    pthread_mutex_lock(&m->lock);
    while (n + 1 < sizeof m->last && (k = recv(fd, m->last + n, sizeof m->last - 1 - n, 0)) > 0) {
        n += (size_t)k;
        m->last[n] = '\0';
        if (strstr(m->last, "\r\n\r\n")) {
            break;
        }
    }
    m->requests++;
    size_t len = strcspn(m->last + 4, " ");
    if (n > 4 && len < sizeof path) {
        memcpy(path, m->last + 4, len);
        path[len] = '\0';
    }
    const struct vendor_rule *r = vendor_find(&m->v, path);
    struct vendor_rule copy = r ? *r : (struct vendor_rule){.status = 404};
    pthread_mutex_unlock(&m->lock);
    if (copy.status == 0) {
        return; /* closes without a word */
    }
    n = (size_t)snprintf(head, sizeof head,
                         "HTTP/1.1 %u Word\r\nContent-Length: %zu\r\nConnection: close\r\n"
                         "Location: http://127.0.0.1:%u/elsewhere\r\n",
                         copy.status, copy.body.len, m->port);
    send_all(fd, head, n);
    if (copy.retry_after_s) {
        n = (size_t)snprintf(head, sizeof head, "Retry-After: %u\r\n", copy.retry_after_s);
        send_all(fd, head, n);
    }
    if (copy.header.len) {
        send_all(fd, "TCB-Info-Issuer-Chain: ", 23);
        send_all(fd, copy.header.p, copy.header.len);
        send_all(fd, "\r\n", 2);
    }
    send_all(fd, "\r\n", 2);
    send_all(fd, copy.body.p, copy.body.len);
}

static void *
serve(void *ctx)
{
    struct emulator *m = ctx;
    for (;;) {
        int fd = accept(m->fd, NULL, NULL);
        pthread_mutex_lock(&m->lock);
        int stop = m->stop;
        pthread_mutex_unlock(&m->lock);
        if (fd < 0 || stop) {
            if (fd >= 0) {
                close(fd);
            }
            return NULL;
        }
        answer(m, fd);
        close(fd);
    }
}

static void
emulator_start(struct emulator *m)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;

    *m = (struct emulator){0};
    pthread_mutex_init(&m->lock, NULL);
    vendor_init(&m->v);
    m->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(m->fd >= 0);
    assert_int_equal(bind(m->fd, (const struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(m->fd, 16), 0);
    assert_int_equal(getsockname(m->fd, (struct sockaddr *)&a, &len), 0);
    m->port = ntohs(a.sin_port);
    assert_int_equal(pthread_create(&m->thread, NULL, serve, m), 0);
}

static void
emulator_stop(struct emulator *m)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons((uint16_t)m->port)};
    pthread_mutex_lock(&m->lock);
    m->stop = 1;
    pthread_mutex_unlock(&m->lock);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)connect(fd, (const struct sockaddr *)&a, sizeof a);
    close(fd);
    pthread_join(m->thread, NULL);
    close(m->fd);
    pthread_mutex_destroy(&m->lock);
}

static void
rule(struct emulator *m, const char *part, unsigned status, unsigned retry, qr_view body)
{
    pthread_mutex_lock(&m->lock);
    vendor_rule(&m->v, part, status, retry, body, qr_view_of(NULL, 0));
    pthread_mutex_unlock(&m->lock);
}

/* ---- the fetcher ---- */

static struct qr_fetch_done
fetch(struct qr_fetcher *f, const char *url, int metadata, const char *header)
{
    static uint64_t id;
    struct qr_fetch_done d;
    struct pollfd p = {.fd = f->fd, .events = POLLIN};

    const struct qr_fetch_ask ask = {.url = url, .metadata = metadata, .want_header = header};
    assert_int_equal(f->start(f->ctx, ++id, &ask), QR_OK);
    while (!f->next(f->ctx, &d)) {
        assert_int_equal(poll(&p, 1, 30000), 1);
    }
    assert_int_equal(d.id, id);
    return d;
}

static const char *
at(const struct emulator *m, const char *path)
{
    static char url[256];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u%s", m->port, path);
    return url;
}

static void
test_an_answer_with_its_header(void **state)
{
    (void)state;
    struct emulator m;
    struct qr_fetcher f;
    emulator_start(&m);
    assert_int_equal(qr_fetch_curl(&f), QR_OK);

    struct qr_fetch_done d =
        fetch(&f, at(&m, "/tdx/certification/v4/tcb?fmspc=1"), 0, "tcb-info-issuer-chain");
    assert_int_equal(d.status, 200);
    assert_true(qr_view_eq(d.body, vendor_tcb_info(NULL)));
    assert_true(qr_view_eq(d.header, vendor_find(&m.v, "/tcb?")->header));
    assert_null(strstr(m.last, "Metadata"));
    d = fetch(&f, at(&m, "/metadata/THIM/amd/certification"), 1, NULL);
    assert_int_equal(d.status, 200);
    assert_int_equal(d.header.len, 0);
    assert_non_null(strstr(m.last, "Metadata: true\r\n"));
    assert_non_null(strstr(m.last, "User-Agent: quorate-gateway/"));
    f.free(f.ctx);
    emulator_stop(&m);
}

static void
test_failures_are_told(void **state)
{
    (void)state;
    static const uint8_t big[QR_DOC_BODY_MAX + 1];
    struct emulator m;
    struct qr_fetcher f;
    emulator_start(&m);
    assert_int_equal(qr_fetch_curl(&f), QR_OK);

    assert_int_equal(fetch(&f, at(&m, "/none"), 0, NULL).status, 404);
    rule(&m, "/busy", 429, 77, qr_view_of(NULL, 0));
    struct qr_fetch_done d = fetch(&f, at(&m, "/busy"), 0, NULL);
    assert_int_equal(d.status, 429);
    assert_int_equal(d.retry_after_s, 77);
    rule(&m, "/moved", 302, 0, qr_view_of(NULL, 0));
    unsigned before = m.requests;
    assert_int_equal(fetch(&f, at(&m, "/moved"), 0, NULL).status, 302);
    assert_int_equal(m.requests, before + 1); /* nobody went elsewhere */
    rule(&m, "/silent", 0, 0, qr_view_of(NULL, 0));
    d = fetch(&f, at(&m, "/silent"), 0, NULL);
    assert_int_equal(d.status, 0);
    assert_true(d.why[0] != '\0');
    const struct qr_fetch_ask ask = {
        .url = at(&m, "/acc/tdquote"), .post = "{\"report\":\"AAAA\"}", .metadata = 1};
    assert_int_equal(f.start(f.ctx, 7000, &ask), QR_OK);
    struct pollfd done = {.fd = f.fd, .events = POLLIN};
    while (!f.next(f.ctx, &d)) {
        assert_int_equal(poll(&done, 1, 30000), 1);
    }
    assert_int_equal(d.id, 7000);
    assert_non_null(strstr(m.last, "POST /acc/tdquote HTTP/1.1"));
    assert_non_null(strstr(m.last, "Content-Type: application/json"));
    assert_non_null(strstr(m.last, "Metadata: true"));
    assert_non_null(strstr(m.last, "Content-Length: 17"));
    d = fetch(&f, at(&m, "/tcb?"), 0, NULL); /* and the next one is a GET again */
    assert_int_equal(strncmp(m.last, "GET ", 4), 0);
    rule(&m, "/big", 200, 0, qr_view_of(big, sizeof big));
    d = fetch(&f, at(&m, "/big"), 0, NULL);
    assert_int_equal(d.status, 0);
    d = fetch(&f, "file:///etc/passwd", 0, NULL);
    assert_int_equal(d.status, 0);
    emulator_stop(&m);
    d = fetch(&f, at(&m, "/tcb?"), 0, NULL); /* nobody listens */
    assert_int_equal(d.status, 0);
    assert_true(d.why[0] != '\0');
    f.free(f.ctx);
}

static void
test_the_queue_is_bounded(void **state)
{
    (void)state;
    struct emulator m;
    struct qr_fetcher f;
    struct qr_fetch_done d;
    unsigned started = 0, got = 0;
    emulator_start(&m);
    assert_int_equal(qr_fetch_curl(&f), QR_OK);
    while (f.start(f.ctx, started, &(struct qr_fetch_ask){.url = at(&m, "/certs")}) == QR_OK) {
        started++;
    }
    assert_int_equal(started, QR_FETCH_JOBS);
    struct pollfd p = {.fd = f.fd, .events = POLLIN};
    while (got < started) {
        if (f.next(f.ctx, &d)) {
            assert_int_equal(d.id, got);
            assert_int_equal(d.status, 200);
            got++;
        } else {
            assert_int_equal(poll(&p, 1, 30000), 1);
        }
    }
    /* Freed with work under way. */
    assert_int_equal(f.start(f.ctx, 1, &(struct qr_fetch_ask){.url = at(&m, "/certs")}), QR_OK);
    f.free(f.ctx);
    emulator_stop(&m);
}

/* ---- the whole ---- */

struct taken {
    unsigned n;
    size_t pieces;
};

static qr_err
on_hand(void *ctx, const char *source, const struct qr_doc_piece *piece, size_t n)
{
    struct taken *t = ctx;
    (void)source;
    (void)piece;
    t->n++;
    t->pieces += n;
    return QR_OK;
}

static void
test_every_need_from_the_emulator(void **state)
{
    (void)state;
    struct emulator m;
    struct taken t = {0};
    struct qr_coll *c = NULL;
    struct qr_coll_cfg cfg = {.cache = "", .refresh_ms = 86400000, .ctx = &t, .hand = on_hand};
    char err[256] = "", base[64];
    emulator_start(&m);
    (void)snprintf(base, sizeof base, "http://127.0.0.1:%u", m.port);
    char *const where[] = {cfg.bases.amd_kds, cfg.bases.intel_pcs, cfg.bases.intel_crl,
                           cfg.bases.azure_thim, cfg.bases.jwks};
    for (size_t i = 0; i < sizeof where / sizeof where[0]; i++) {
        (void)snprintf(where[i], QR_BASE_MAX, "%s", base);
    }
    assert_int_equal(qr_fetch_curl(&cfg.fetcher), QR_OK);
    assert_int_equal(qr_coll_new(&cfg, &c, err, sizeof err), QR_OK);
    assert_int_equal(qr_coll_need(c, qr_view_str(vendor_needs_all), 0, err, sizeof err), QR_OK);
    for (int i = 0; i < 300 && t.n < 4; i++) {
        struct pollfd p = {.fd = qr_coll_fd(c), .events = POLLIN};
        qr_coll_step(c, 1);
        (void)poll(&p, 1, 1000);
    }
    assert_in_range(t.n, 4, 5); /* AMD's once more if its list came behind the certificate */
    assert_true(t.pieces >= 4 + 7 + 3 + 1);
    qr_coll_free(c);
    emulator_stop(&m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answer_with_its_header),
        cmocka_unit_test(test_failures_are_told),
        cmocka_unit_test(test_the_queue_is_bounded),
        cmocka_unit_test(test_every_need_from_the_emulator),
    };
    if (qr_hash_init() != QR_OK || signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
