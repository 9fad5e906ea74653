/*
 * quorate-load: HTTP in, verified signature out.
 *
 *     quorate-load --gateway http://127.0.0.1:PORT --client FILE.pem --key HEX --cluster HEX
 *                  [--items N] [--concurrency C | --rate R] [--count N | --seconds S]
 *
 * Stamps every request as a client does, over keep-alive connections, and verifies every signature
 * under the key before it counts. Closed loop with C connections, or open loop with R requests a
 * second (latency then counts from when the request was due, not from when it was sent). Plain HTTP.
 * Prints one JSON object: signatures, requests, errors (and by_code: how many of each), bad_signatures,
 * sigs_per_s, p50_us, p90_us, p99_us, cpu_s, seconds, reopened (connections). Exit code 1 if anything was refused or bad.
 * Without --cluster it asks the gateway's /v1/status.
 */
#include "daemon/stamp.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"
#include "protocol/base/mem.h"
#include "protocol/group.h"

#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONNS 256
#define MAX_CODES 16
#define MAX_LATENCIES 4000000u
#define REQ_MAX (32u * 1024u)
#define ANS_MAX (64u * 1024u)
#define REOPEN_MAX 10000u /* more is no crowd at the gateway but a fault */

struct conn {
    int fd, busy;
    uint64_t due;
    size_t out_len, out_done, in_len;
    uint8_t digest[QR_ITEMS_MAX][32];
    char out[REQ_MAX], in[ANS_MAX + 1];
};

struct load {
    struct sockaddr_storage addr;
    socklen_t addr_len;
    char host[128], key_hex[67], cluster_hex[65];
    EVP_PKEY *client;
    qr_pt pk;
    unsigned items, n_conns;
    uint64_t count, rate, seconds;
    int ep, timer;
    struct conn *conn;
    uint64_t sent, done, ok, errors, bad, *lat, n_lat, run_id, reopened;
    char first_error[160];
    struct {
        char code[32];
        uint64_t n;
    } by_code[MAX_CODES]; /* the last counts what found no place */
};

static uint64_t
now_ns(clockid_t c)
{
    struct timespec t;
    (void)clock_gettime(c, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void
die(const char *what, const char *why)
{
    (void)fprintf(stderr, "quorate-load: %s: %s\n", what, why);
    exit(64);
}

/* ---- requests ---------------------------------------------------------------------------- */

static void
make_request(struct load *l, struct conn *c)
{
    static char body[REQ_MAX], stamp[QR_STAMP_MAX];
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    uint64_t ms = (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
    int n = snprintf(body, sizeof body,
                     "{\"v\":1,\"cluster\":\"%s\",\"key\":\"%s\",\"id\":\"load-%016llx-%llu\","
                     "\"issued_ms\":%llu,"
                     "\"expires_ms\":%llu,\"path\":[],\"items\":[",
                     l->cluster_hex, l->key_hex, (unsigned long long)l->run_id,
                     (unsigned long long)l->sent, (unsigned long long)ms,
                     (unsigned long long)ms + 15000);
    for (unsigned i = 0; i < l->items; i++) {
        uint8_t pre[16];
        char hex[33];
        qr_put64(pre, l->sent);
        qr_put64(pre + 8, i);
        qr_sha256(qr_view_of(pre, sizeof pre), c->digest[i]);
        qr_hex_encode(qr_view_of(pre, sizeof pre), hex);
        n += snprintf(body + n, sizeof body - (size_t)n,
                      "%s{\"kind\":\"sha256\",\"preimage\":\"%s\"}", i ? "," : "", hex);
    }
    n += snprintf(body + n, sizeof body - (size_t)n, "]}");
    if (qr_stamp_sign(l->client, qr_view_of(body, (size_t)n), stamp, sizeof stamp) != QR_OK) {
        die("stamp", "cannot sign");
    }
    n = snprintf(
        c->out, sizeof c->out,
        "POST /v1/sign HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nX-Stamp: %s\r\n"
        "Content-Length: %d\r\n\r\n%s",
        l->host, stamp, n, body);
    c->out_len = (size_t)n;
    c->out_done = c->in_len = 0;
    l->sent++;
}

static int
open_conn(const struct load *l)
{
    int one = 1, fd = socket(l->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval second = {.tv_sec = 1};
    int tries = 30;
    /* A full queue of connections drops the first packet; the system's own patience is a minute. */
    while (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof second) == 0 &&
           connect(fd, (const struct sockaddr *)&l->addr, l->addr_len) != 0) {
        if ((errno != EINPROGRESS && errno != ETIMEDOUT) || --tries == 0) {
            die("connect", strerror(errno));
        }
        (void)close(fd);
        fd = socket(l->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    }
    if (fd < 0) {
        die("connect", strerror(errno));
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void
watch(struct load *l, struct conn *c, int op, uint32_t events)
{
    struct epoll_event e = {.events = events, .data = {.ptr = c}};
    if (epoll_ctl(l->ep, op, c->fd, &e) != 0) {
        die("epoll", strerror(errno));
    }
}

/*
 * A server may close a connection: it is opened again when it is needed, and what was under way is sent
 * again, the same bytes.
 */
static void
reopen(struct load *l, struct conn *c, const char *why)
{
    if (++l->reopened > REOPEN_MAX) {
        die("gateway closed the connection", why);
    }
    if (c->fd >= 0) {
        (void)close(c->fd);
    }
    c->fd = -1;
    c->out_done = c->in_len = 0;
    if (c->busy) {
        c->fd = open_conn(l);
        watch(l, c, EPOLL_CTL_ADD, (uint32_t)EPOLLIN | EPOLLOUT);
    }
}

static void
flush_out(struct load *l, struct conn *c)
{
    while (c->out_done < c->out_len) {
        ssize_t n = send(c->fd, c->out + c->out_done, c->out_len - c->out_done,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) {
            watch(l, c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            return;
        }
        if (n <= 0) {
            reopen(l, c, strerror(errno));
            return;
        }
        c->out_done += (size_t)n;
    }
}

static void
begin(struct load *l, struct conn *c, uint64_t due)
{
    make_request(l, c);
    c->busy = 1;
    c->due = due;
    if (c->fd < 0) {
        c->fd = open_conn(l);
        watch(l, c, EPOLL_CTL_ADD, EPOLLIN);
    }
    flush_out(l, c);
}

/* ---- answers ----------------------------------------------------------------------------- */

static const char *
hex_after(const char *from, const char *name, uint8_t out[32])
{
    const char *p = from ? strstr(from, name) : NULL;
    if (!p || strlen(p) < strlen(name) + 64) {
        return NULL;
    }
    p += strlen(name);
    return qr_hex_decode(p, 64, out, 32) == QR_OK ? p + 64 : NULL;
}

/* Every item's signature, in order, verifies over the digest we computed ourselves. */
static int
verify(const struct load *l, const struct conn *c, const char *json)
{
    for (unsigned i = 0; i < l->items; i++) {
        uint8_t digest[32], sig[64];
        json = hex_after(json, "\"digest\":\"", digest);
        json = hex_after(json, "\"r\":\"", sig);
        json = hex_after(json, "\"s\":\"", sig + 32);
        if (!json || memcmp(digest, c->digest[i], 32) != 0 ||
            qr_ecdsa_verify(&l->pk, digest, sig) != QR_OK) {
            return 0;
        }
    }
    return 1;
}

/* 1 when a whole answer is in c->in. */
static int
complete(const struct conn *c, const char **ret_body)
{
    const char *end = strstr(c->in, "\r\n\r\n");
    const char *cl = strcasestr(c->in, "\r\nContent-Length:");
    if (!end || !cl || cl > end) {
        return 0;
    }
    *ret_body = end + 4;
    return (size_t)(end + 4 - c->in) + strtoul(cl + 17, NULL, 10) <= c->in_len;
}

/* Counts a refusal under the problem document's code. */
static void
count_error(struct load *l, const char *json)
{
    char code[32] = "none";
    const char *p = strstr(json, "\"code\":\"");
    size_t n = p ? strspn(p + 8, "abcdefghijklmnopqrstuvwxyz_") : 0, i = 0;
    if (n > 0 && n < sizeof code) {
        memcpy(code, p + 8, n);
        code[n] = '\0';
    }
    while (i < MAX_CODES - 1 && l->by_code[i].n && strcmp(l->by_code[i].code, code) != 0) {
        i++;
    }
    if (l->by_code[i].n++ == 0) {
        (void)snprintf(l->by_code[i].code, sizeof l->by_code[i].code, "%s",
                       i < MAX_CODES - 1 ? code : "others");
    }
    if (l->errors++ == 0) {
        (void)snprintf(l->first_error, sizeof l->first_error, "%.150s", json);
    }
}

static void
on_answer(struct load *l, struct conn *c, const char *json)
{
    uint64_t us = (now_ns(CLOCK_MONOTONIC) - c->due) / 1000;
    c->busy = 0;
    l->done++;
    if (strncmp(c->in, "HTTP/1.1 200", 12) != 0) {
        count_error(l, json);
    } else if (!verify(l, c, json)) {
        l->bad++;
    } else {
        l->ok++;
        if (l->n_lat < MAX_LATENCIES) {
            l->lat[l->n_lat++] = us;
        }
    }
}

static void
on_event(struct load *l, struct conn *c, uint32_t events)
{
    const char *json;
    if (events & EPOLLOUT) {
        watch(l, c, EPOLL_CTL_MOD, EPOLLIN);
        flush_out(l, c);
    }
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
        return;
    }
    ssize_t n = recv(c->fd, c->in + c->in_len, ANS_MAX - c->in_len, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) {
        return;
    }
    if (n <= 0) {
        reopen(l, c, n < 0 ? strerror(errno) : "end of stream");
        return;
    }
    c->in_len += (size_t)n;
    c->in[c->in_len] = '\0';
    if (complete(c, &json)) {
        on_answer(l, c, json);
    }
}

/* ---- the run ----------------------------------------------------------------------------- */

static struct conn *
idle(struct load *l)
{
    for (unsigned i = 0; i < l->n_conns; i++) {
        if (!l->conn[i].busy) {
            return &l->conn[i];
        }
    }
    return NULL;
}

static int
more(const struct load *l, uint64_t t0)
{
    return l->count ? l->sent < l->count : now_ns(CLOCK_MONOTONIC) - t0 < l->seconds * 1000000000u;
}

static uint64_t
run(struct load *l)
{
    uint64_t t0 = now_ns(CLOCK_MONOTONIC);
    for (;;) {
        struct epoll_event ev[64];
        uint64_t now = now_ns(CLOCK_MONOTONIC), next = UINT64_MAX;
        struct conn *c;
        while (more(l, t0) && (c = idle(l)) != NULL) {
            uint64_t due = l->rate ? t0 + l->sent * 1000000000u / l->rate : now;
            if (due > now) {
                next = due;
                break;
            }
            begin(l, c, due);
        }
        if (l->done == l->sent && !more(l, t0)) {
            return now_ns(CLOCK_MONOTONIC) - t0;
        }
        if (next != UINT64_MAX) {
            /* A timer descriptor wakes to the microsecond; spinning would take a core from the parties. */
            struct itimerspec at = {
                .it_value = {(time_t)(next / 1000000000u), (long)(next % 1000000000u)}};
            (void)timerfd_settime(l->timer, TFD_TIMER_ABSTIME, &at, NULL);
        }
        int n = epoll_wait(l->ep, ev, 64, 100);
        for (int i = 0; i < n; i++) {
            if (ev[i].data.ptr) {
                on_event(l, ev[i].data.ptr, ev[i].events);
            } else {
                uint64_t ticks;
                (void)!read(l->timer, &ticks, sizeof ticks);
            }
        }
    }
}

static int
by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void
resolve(struct load *l, const char *url)
{
    struct addrinfo *ai = NULL, hint = {.ai_socktype = SOCK_STREAM};
    const char *h = strncmp(url, "http://", 7) == 0 ? url + 7 : NULL;
    const char *colon = h ? strrchr(h, ':') : NULL;
    char name[100];
    if (!colon || (size_t)(colon - h) >= sizeof name) {
        die(url, "give http://HOST:PORT");
    }
    memcpy(name, h, (size_t)(colon - h));
    name[colon - h] = '\0';
    (void)snprintf(l->host, sizeof l->host, "%s", h);
    if (getaddrinfo(name, colon + 1, &hint, &ai) != 0) {
        die(url, "cannot resolve");
    }
    memcpy(&l->addr, ai->ai_addr, ai->ai_addrlen);
    l->addr_len = ai->ai_addrlen;
    freeaddrinfo(ai);
}

static void
ask_cluster(struct load *l)
{
    char buf[65536];
    size_t len = 0;
    ssize_t n;
    int fd = open_conn(l);
    int q = snprintf(buf, sizeof buf,
                     "GET /v1/status HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", l->host);
    if (send(fd, buf, (size_t)q, MSG_NOSIGNAL) != q) {
        die("status", strerror(errno));
    }
    while ((n = recv(fd, buf + len, sizeof buf - 1 - len, 0)) > 0) {
        len += (size_t)n;
    }
    buf[len] = '\0';
    (void)close(fd);
    uint8_t id[32];
    if (!hex_after(buf, "\"cluster\":\"", id)) {
        die("status", "the gateway names no cluster");
    }
    qr_hex_encode(qr_view_of(id, 32), l->cluster_hex);
}

static void
options(struct load *l, int argc, char **argv)
{
    static const struct option opt[] = {
        {"gateway", 1, NULL, 'g'}, {"client", 1, NULL, 'c'}, {"key", 1, NULL, 'k'},
        {"cluster", 1, NULL, 'u'}, {"items", 1, NULL, 'i'},  {"concurrency", 1, NULL, 'n'},
        {"rate", 1, NULL, 'r'},    {"count", 1, NULL, 'N'},  {"seconds", 1, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    const char *gateway = NULL;
    uint8_t pk[33], id[32];
    int o;
    l->items = 1;
    l->n_conns = 16;
    while ((o = getopt_long(argc, argv, "", opt, NULL)) != -1) {
        FILE *f;
        switch (o) {
        case 'g':
            gateway = optarg;
            break;
        case 'c':
            f = fopen(optarg, "re");
            l->client = f ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;
            if (f) {
                (void)fclose(f);
            }
            break;
        case 'k':
            if (qr_hex_decode(optarg, strlen(optarg), pk, 33) != QR_OK ||
                qr_pt_parse(&l->pk, pk) != QR_OK) {
                die(optarg, "not a compressed public key");
            }
            qr_hex_encode(qr_view_of(pk, 33), l->key_hex);
            break;
        case 'u':
            if (qr_hex_decode(optarg, strlen(optarg), id, 32) != QR_OK) {
                die(optarg, "not a cluster id");
            }
            qr_hex_encode(qr_view_of(id, 32), l->cluster_hex);
            break;
        case 'i':
            l->items = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'n':
            l->n_conns = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'r':
            l->rate = strtoull(optarg, NULL, 10);
            break;
        case 'N':
            l->count = strtoull(optarg, NULL, 10);
            break;
        case 's':
            l->seconds = strtoull(optarg, NULL, 10);
            break;
        default:
            die("usage", "see the head of bench/load.c");
        }
    }
    if (!gateway || !l->client || !l->key_hex[0] || l->items < 1 || l->items > QR_ITEMS_MAX ||
        l->n_conns < 1 || l->n_conns > MAX_CONNS || (!l->count && !l->seconds)) {
        die("usage", "--gateway, --client, --key, and --count or --seconds are needed");
    }
    l->count = (l->count + l->items - 1) / l->items; /* signatures asked for, in requests */
    if (l->rate) {
        l->n_conns = MAX_CONNS;
        l->rate = (l->rate + l->items - 1) / l->items;
    }
    resolve(l, gateway);
}

int
main(int argc, char **argv)
{
    static struct load l;
    struct qr_rng rng = qr_rng_system();
    if (sodium_init() < 0 || qr_hash_init() != QR_OK || qr_group_init(&rng) != QR_OK ||
        qr_stamp_init() != QR_OK) {
        die("start", "a cryptographic library does not work");
    }
    options(&l, argc, argv);
    if (!l.cluster_hex[0]) {
        ask_cluster(&l);
    }
    qr_rng_fill(&rng, &l.run_id, sizeof l.run_id);
    l.ep = epoll_create1(EPOLL_CLOEXEC);
    l.conn = qr_alloc(l.n_conns * sizeof *l.conn);
    l.lat = qr_alloc(MAX_LATENCIES * sizeof *l.lat);
    if (l.ep < 0 || !l.conn || !l.lat) {
        die("start", "out of memory");
    }
    struct epoll_event tick = {.events = EPOLLIN, .data = {.ptr = NULL}};
    l.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (l.timer < 0 || epoll_ctl(l.ep, EPOLL_CTL_ADD, l.timer, &tick) != 0) {
        die("timer", strerror(errno));
    }
    for (unsigned i = 0; i < l.n_conns; i++) {
        l.conn[i].fd = open_conn(&l);
        watch(&l, &l.conn[i], EPOLL_CTL_ADD, EPOLLIN);
    }
    uint64_t ns = run(&l);
    qsort(l.lat, l.n_lat, sizeof *l.lat, by_value);
    uint64_t n = l.n_lat ? l.n_lat : 1;
    (void)printf("{\"signatures\":%llu,\"requests\":%llu,\"errors\":%llu,\"by_code\":{",
                 (unsigned long long)(l.ok * l.items), (unsigned long long)l.done,
                 (unsigned long long)l.errors);
    for (size_t i = 0; i < MAX_CODES && l.by_code[i].n; i++) {
        (void)printf("%s\"%s\":%llu", i ? "," : "", l.by_code[i].code,
                     (unsigned long long)l.by_code[i].n);
    }
    (void)printf("},\"bad_signatures\":%llu,\"sigs_per_s\":%.1f,\"p50_us\":%llu,\"p90_us\":%llu,"
                 "\"p99_us\":%llu,\"cpu_s\":%.3f,\"seconds\":%.3f,\"reopened\":%llu}\n",
                 (unsigned long long)l.bad, (double)(l.ok * l.items) * 1e9 / (double)ns,
                 (unsigned long long)l.lat[n / 2], (unsigned long long)l.lat[n * 9 / 10],
                 (unsigned long long)l.lat[n * 99 / 100],
                 (double)now_ns(CLOCK_PROCESS_CPUTIME_ID) / 1e9, (double)ns / 1e9,
                 (unsigned long long)l.reopened);
    if (l.first_error[0]) {
        (void)fprintf(stderr, "first error: %s\n", l.first_error);
    }
    return l.errors || l.bad ? 1 : 0;
}
