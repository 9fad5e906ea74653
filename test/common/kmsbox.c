/* The sockets, TLS and HTTP of kmsbox.h; what is behind them is in kmsbox_kms.c. */
#include "test/common/kmsbox_int.h"

#include "test/common/evgen_ca.h"
#include "test/common/fakensm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MUST(x) ((x) ? (void)0 : must_fail(#x, __LINE__))
#define IN_MAX 65536u
#define OUT_MAX (128u * 1024u)

static void
must_fail(const char *what, int line)
{
    (void)fprintf(stderr, "kmsbox: line %d: %s\n", line, what);
    abort();
}

int64_t
kmsbox_now(const struct kmsbox *b)
{
    struct timespec t;
    if (b->real_time) {
        (void)clock_gettime(CLOCK_REALTIME, &t);
        return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
    }
    return b->now_ms ? *b->now_ms : EVGEN_NOW_MS;
}

/* ---- certificates ---------------------------------------------------------------------------- */

#define ROOT_NAME "CN=kmsbox root"
enum { SLOT_ROOT = 12, SLOT_LEAF = 13, SLOT_STRANGER = 14 };

static void
make_root(unsigned slot, struct evgen_der *ret)
{
    EVP_PKEY *k = evgen_key(EVGEN_P256, slot);
    struct evgen_cert_spec s = evgen_cert_spec_of(ROOT_NAME, k, ROOT_NAME, k, 1);
    evgen_cert(&s, ret);
    fakensm_same_signature(ret, k, QR_SHA256);
}

const struct qr_kms_roots *
kmsbox_roots(void)
{
    static char pem[4096];
    static const char *list[1] = {pem};
    static const struct qr_kms_roots roots = {.n = 1, .pem = list};

    if (pem[0] == 0) {
        struct evgen_der root;
        struct evgen_buf b = evgen_buf_over(pem, sizeof pem - 1);
        make_root(SLOT_ROOT, &root);
        evgen_put_pem(&b, &root);
    }
    return &roots;
}

static void
make_leaf(int64_t now_ms, enum kmsbox_fault f, struct evgen_der *ret)
{
    uint8_t san_mem[128], names_mem[128];
    struct evgen_buf san = evgen_buf_over(san_mem, sizeof san_mem),
                     names = evgen_buf_over(names_mem, sizeof names_mem);
    const char *host = f == KMSBOX_TLS_NAME ? "kms.eu-test-2.amazonaws.com" : KMSBOX_HOST;
    EVP_PKEY *signer = evgen_key(EVGEN_P256, f == KMSBOX_TLS_ROOT ? SLOT_STRANGER : SLOT_ROOT);
    struct evgen_cert_spec s =
        evgen_cert_spec_of("CN=kms", evgen_key(EVGEN_P256, SLOT_LEAF), ROOT_NAME, signer, 0);

    s.from_ms = now_ms - EVGEN_DAY_MS;
    s.to_ms = f == KMSBOX_TLS_EXPIRED ? now_ms - 60000 : now_ms + EVGEN_DAY_MS;
    evgen_der_put(&names, 0x82, qr_view_str(host));
    evgen_der_put(&san, 0x30, evgen_buf_view(&names));
    evgen_spec_add_ext(&s, "2.5.29.17", evgen_buf_view(&san), 0);
    evgen_cert(&s, ret);
}

static SSL_CTX *
server_of(const struct kmsbox *b, enum kmsbox_fault f)
{
    struct evgen_der der;
    make_leaf(kmsbox_now(b), f, &der);
    const unsigned char *p = der.p;
    X509 *x = d2i_X509(NULL, &p, (long)der.len);
    SSL_CTX *c = SSL_CTX_new(TLS_server_method());
    MUST(x && c && SSL_CTX_use_certificate(c, x) == 1 &&
         SSL_CTX_use_PrivateKey(c, evgen_key(EVGEN_P256, SLOT_LEAF)) == 1);
    X509_free(x);
    if (f == KMSBOX_TLS_OLD) {
        SSL_CTX_set_security_level(c, 0);
        MUST(SSL_CTX_set_min_proto_version(c, TLS1_VERSION) == 1 &&
             SSL_CTX_set_max_proto_version(c, TLS1_1_VERSION) == 1);
    } else if (f == KMSBOX_TLS_1_2) {
        MUST(SSL_CTX_set_max_proto_version(c, TLS1_2_VERSION) == 1);
    }
    return c;
}

/* ---- one connection -------------------------------------------------------------------------- */

/* Reads one request: head, and as much body as Content-Length says. Returns its length, or 0. */
static size_t
read_request(SSL *ssl, char *in, size_t cap, size_t *ret_head)
{
    size_t len = 0, head = 0, body = 0, n;

    while (len < cap - 1) {
        if (SSL_read_ex(ssl, in + len, cap - 1 - len, &n) != 1) {
            return 0;
        }
        len += n;
        in[len] = 0;
        const char *end = head == 0 ? strstr(in, "\r\n\r\n") : NULL;
        if (end) {
            head = (size_t)(end - in) + 4;
            const char *cl = strcasestr(in, "\r\ncontent-length: ");
            body = cl && cl < end ? (size_t)strtoul(cl + 18, NULL, 10) : 0;
        }
        if (head > 0 && len >= head + body) {
            *ret_head = head;
            return len;
        }
    }
    return 0;
}

static void
put_text(struct qr_buf *b, const char *s)
{
    qr_buf_put(b, s, strlen(s));
}

static void
put_head(struct qr_buf *b, int status, enum kmsbox_fault f, size_t body)
{
    char line[128];
    (void)snprintf(line, sizeof line, "HTTP/1.1 %d Reason\r\n", status);
    put_text(b, line);
    put_text(b, "x-amzn-RequestId: 0b7c1c3e\r\nContent-Type: application/x-amz-json-1.1\r\n");
    if (f == KMSBOX_REDIRECT) {
        put_text(b, "Location: https://elsewhere.example/\r\n");
    }
    if (f == KMSBOX_HUGE_HEAD) {
        for (unsigned i = 0; i < 400; i++) {
            put_text(b, "X-Filler: 0123456789abcdef\r\n");
        }
    }
    if (f == KMSBOX_CHUNKED || f == KMSBOX_CHUNK_GARBAGE) {
        put_text(b, "Transfer-Encoding: chunked\r\n");
    } else if (f != KMSBOX_NO_LENGTH) {
        (void)snprintf(line, sizeof line, "Content-Length: %zu\r\n", body);
        put_text(b, line);
    }
    put_text(b, "\r\n");
}

static void
put_chunks(struct qr_buf *b, qr_view body, enum kmsbox_fault f)
{
    char line[32];
    for (size_t at = 0; at < body.len;) {
        size_t n = body.len - at < 100 ? body.len - at : 100;
        (void)snprintf(line, sizeof line,
                       f == KMSBOX_CHUNK_GARBAGE && at > 0 ? "zz\r\n" : "%zX\r\n", n);
        put_text(b, line);
        qr_buf_put(b, body.p + at, n);
        put_text(b, "\r\n");
        at += n;
    }
    put_text(b, "0\r\n\r\n");
}

static void
put_answer(struct qr_buf *b, int status, enum kmsbox_fault f, qr_view body)
{
    static char filler[40000];
    if (f == KMSBOX_HUGE) {
        memset(filler, ' ', sizeof filler);
        body = qr_view_of(filler, sizeof filler);
    } else if (f == KMSBOX_NOT_JSON) {
        body = qr_view_str("<html>");
    }
    if (f == KMSBOX_NOT_HTTP) {
        put_text(b, "SSH-2.0-OpenSSH_9.2\r\n\r\n");
        return;
    }
    put_head(b, f == KMSBOX_REDIRECT ? 302 : status, f, body.len);
    if (f == KMSBOX_CHUNKED || f == KMSBOX_CHUNK_GARBAGE) {
        put_chunks(b, body, f);
    } else {
        qr_buf_put(b, body.p, f == KMSBOX_TRUNCATED ? body.len / 2 : body.len);
    }
    MUST(b->err == QR_OK);
}

static void
answer(struct kmsbox *b, SSL *ssl, enum kmsbox_fault f, qr_view request, size_t head)
{
    static uint8_t body_mem[OUT_MAX], out_mem[OUT_MAX];
    struct qr_buf body = qr_buf_over(body_mem, sizeof body_mem),
                  out = qr_buf_over(out_mem, sizeof out_mem);
    size_t n;

    int status = kmsbox_answer(b, f, request, head, &body);
    put_answer(&out, status, f, qr_buf_view(&body));
    if (f == KMSBOX_DRIP) {
        for (size_t i = 0; i < out.len; i++) {
            if (SSL_write_ex(ssl, out.p + i, 1, &n) != 1) {
                return;
            }
        }
    } else if (SSL_write_ex(ssl, out.p, out.len, &n) != 1) {
        return;
    }
    if (f != KMSBOX_TRUNCATED) {
        (void)SSL_shutdown(ssl);
    }
}

/* Until the client goes or the box stops. */
static void
sit(const struct kmsbox *b, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint8_t x[512];
    while (!b->stop) {
        if (poll(&p, 1, 20) > 0 && recv(fd, x, sizeof x, 0) <= 0) {
            return;
        }
    }
}

static void
serve_kms(struct kmsbox *b, int fd, enum kmsbox_fault f)
{
    static char in[IN_MAX];
    size_t head = 0, len;

    if (f == KMSBOX_PLAIN) {
        (void)!read(fd, in, sizeof in); /* unread bytes would turn the end into a reset */
        (void)!write(fd, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", 47);
        return;
    }
    SSL_CTX *ctx = server_of(b, f);
    SSL *ssl = SSL_new(ctx);
    MUST(ssl && SSL_set_fd(ssl, fd) == 1);
    if (f == KMSBOX_HANG_UP || SSL_accept(ssl) != 1) {
        goto out;
    }
    len = read_request(ssl, in, sizeof in, &head);
    if (len == 0) {
        goto out;
    }
    b->requests++;
    if (f == KMSBOX_SLOW) {
        sit(b, fd);
    } else {
        answer(b, ssl, f, qr_view_of(in, len), head);
    }
out:
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}

static void
serve_creds(struct kmsbox *b, int fd, enum kmsbox_fault f)
{
    static char text[20000];
    char until[32];
    int64_t end = (kmsbox_now(b) + (f == KMSBOX_CREDS_EXPIRED ? -60000 : 6 * 3600000)) / 1000;
    time_t t = (time_t)end;
    struct tm tm;

    b->credentials++;
    (void)strftime(until, sizeof until, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
    int n =
        snprintf(text, sizeof text,
                 "{\"Code\":\"Success\",\"Type\":\"AWS-HMAC\",\"AccessKeyId\":\"%s\","
                 "\"SecretAccessKey\":\"%s\",\"Token\":\"%s\",\"Expiration\":\"%s\"}",
                 KMSBOX_KEY_ID, f == KMSBOX_CREDS_WRONG ? "wrongwrongwrongwrong" : KMSBOX_SECRET,
                 KMSBOX_TOKEN, until);
    if (f == KMSBOX_CREDS_GARBAGE) {
        n = snprintf(text, sizeof text, "{\"Code\":\"Success\"");
    } else if (f == KMSBOX_CREDS_EMPTY) {
        n = 0;
    } else if (f == KMSBOX_CREDS_HUGE) {
        memset(text, ' ', sizeof text);
        n = (int)sizeof text;
    }
    (void)!send(fd, text, (size_t)n, MSG_NOSIGNAL);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static int
listen_on(uint16_t port, char route[32])
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    MUST(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
         bind(fd, (struct sockaddr *)&a, n) == 0 && listen(fd, 16) == 0 &&
         getsockname(fd, (struct sockaddr *)&a, &n) == 0);
    (void)snprintf(route, 32, "127.0.0.1:%u", (unsigned)ntohs(a.sin_port));
    return fd;
}

/* A fault belongs to one of the two sockets: only that one's connections use it up. */
static enum kmsbox_fault
take_fault(struct kmsbox *b, int creds)
{
    (void)pthread_mutex_lock(&b->lock);
    enum kmsbox_fault f = b->fault;
    int mine = creds == (f >= KMSBOX_CREDS_EXPIRED);
    if (f != KMSBOX_GOOD && mine && b->fault_times > 0 && --b->fault_times == 0) {
        b->fault = KMSBOX_GOOD;
    }
    (void)pthread_mutex_unlock(&b->lock);
    return mine ? f : KMSBOX_GOOD;
}

static void
loop(struct kmsbox *b)
{
    struct timeval patience = {.tv_sec = 5};
    int on = 1;

    while (!b->stop) {
        struct pollfd p[2] = {{.fd = b->kms_fd, .events = POLLIN},
                              {.fd = b->creds_fd, .events = POLLIN}};
        if (poll(p, 2, 20) <= 0) {
            continue;
        }
        for (int i = 0; i < 2; i++) {
            int fd = p[i].revents & POLLIN ? accept4(p[i].fd, NULL, NULL, SOCK_CLOEXEC) : -1;
            if (fd < 0) {
                continue;
            }
            (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
            (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
            if (i == 0) {
                serve_kms(b, fd, take_fault(b, 0));
            } else {
                serve_creds(b, fd, take_fault(b, 1));
            }
            (void)close(fd);
            if (b->after) {
                b->after(b);
            }
        }
    }
}

void
kmsbox_serve(struct kmsbox *b, uint16_t kms_port, uint16_t creds_port)
{
    (void)signal(SIGPIPE, SIG_IGN);
    MUST(pthread_mutex_init(&b->lock, NULL) == 0);
    b->kms_fd = listen_on(kms_port, b->route);
    b->creds_fd = listen_on(creds_port, b->creds_route);
    printf("kmsbox: kms %s credentials %s\n", b->route, b->creds_route);
    (void)fflush(stdout);
    loop(b);
}

static void *
run(void *ctx)
{
    loop(ctx);
    return NULL;
}

void
kmsbox_start(struct kmsbox *b)
{
    (void)signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to sockets of its own accord here */
    (void)kmsbox_roots();
    (void)fakensm_roots(); /* made before there are two threads */
    MUST(pthread_mutex_init(&b->lock, NULL) == 0);
    b->stop = 0;
    b->kms_fd = listen_on(0, b->route);
    b->creds_fd = listen_on(0, b->creds_route);
    MUST(pthread_create(&b->thread, NULL, run, b) == 0);
}

void
kmsbox_stop(struct kmsbox *b)
{
    b->stop = 1;
    MUST(pthread_join(b->thread, NULL) == 0);
    (void)close(b->kms_fd);
    (void)close(b->creds_fd);
    (void)pthread_mutex_destroy(&b->lock);
}

void
kmsbox_fork(struct kmsbox *b)
{
    (void)signal(SIGPIPE, SIG_IGN);
    (void)kmsbox_roots(); /* the parent's as well: made before there are two */
    MUST(pthread_mutex_init(&b->lock, NULL) == 0);
    b->kms_fd = listen_on(0, b->route);
    b->creds_fd = listen_on(0, b->creds_route);
    b->pid = fork();
    MUST(b->pid >= 0);
    if (b->pid == 0) {
        MUST(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
        loop(b);
        _exit(0);
    }
    (void)close(b->kms_fd);
    (void)close(b->creds_fd);
}

void
kmsbox_kill(struct kmsbox *b)
{
    MUST(kill(b->pid, SIGKILL) == 0 && waitpid(b->pid, NULL, 0) == b->pid);
}

void
kmsbox_set(struct kmsbox *b, enum kmsbox_fault f, unsigned n)
{
    (void)pthread_mutex_lock(&b->lock);
    b->fault = f;
    b->fault_times = n;
    (void)pthread_mutex_unlock(&b->lock);
}
