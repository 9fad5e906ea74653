/*
 * A gateway between clients and a party that a script plays: bytes of requests whole, in pieces and
 * wrong; answers good, wrong, late, never, or bytes that are no frame.
 *
 * Must hold: what a client reads is HTTP/1.1 with a status we give and, where it says JSON, JSON; a
 * question to the party is one that the party's decoder takes; connections that end leave nothing
 * behind; the heap is bounded.
 */
#include "daemon/gw_int.h"
#include "test/fuzz/kit.h"

#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS 3
#define MS UINT64_C(1000000)

static struct qr_gw *gw;
static uint64_t now;
static int listener = -1, party = -1;
static struct qr_frames asks;
static uint64_t ids[32];
static enum qr_ask_what whats[32];
static unsigned n_ids;

static void
prepare(void)
{
    struct qr_config_gateway cfg = {.max_connections = 16,
                                    .header_max = 8192,
                                    .max_per_ip = 16,
                                    .max_in_flight = 4,
                                    .idle_timeout_ms = 5000,
                                    .request_timeout_ms = 2000,
                                    .answer_timeout_ms = 3000,
                                    .drain_timeout_ms = 1000};
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char why[256];

    fuzz_mute();
    (void)snprintf(cfg.listen, sizeof cfg.listen, "127.0.0.1:0");
    (void)snprintf(cfg.cors, sizeof cfg.cors, "https://a.org");
    (void)snprintf(cfg.party_socket, sizeof cfg.party_socket, "%s/party.sock", fuzz_dir());
    memcpy(a.sun_path, cfg.party_socket, strlen(cfg.party_socket) + 1);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    FUZZ_MUST(listener >= 0 && bind(listener, (struct sockaddr *)&a, sizeof a) == 0);
    FUZZ_MUST(listen(listener, 8) == 0);
    FUZZ_MUST(qr_gw_new(&cfg, &gw, why, sizeof why) == QR_OK);
}

/* ---- the party ------------------------------------------------------------------------------ */

/* The answer of a party on the software TEE; another would have the gateway call vendors. */
static void
needs_nothing(uint64_t id)
{
    struct qr_answer a = {.id = id, .json = qr_view_str("{\"v\":1,\"needs\":[]}")};
    struct qr_dbuf d;
    qr_dbuf_init(&d, 256);
    FUZZ_MUST(qr_answer_put(&d, &a) == QR_OK);
    (void)send(party, d.p, d.len, MSG_NOSIGNAL);
    qr_dbuf_free(&d);
}

static void
hear(void)
{
    uint8_t *p;
    size_t room;
    qr_view frame;

    if (party < 0) {
        party = accept(listener, NULL, NULL);
        qr_frames_clear(&asks);
        qr_frames_init(&asks, QR_ASK_FRAME_MAX);
        n_ids = 0;
    }
    while (party >= 0) {
        FUZZ_MUST(qr_frames_room(&asks, &p, &room) == QR_OK);
        ssize_t n = recv(party, p, room, MSG_DONTWAIT);
        if (n <= 0) {
            return;
        }
        qr_frames_added(&asks, (size_t)n);
        for (;;) {
            struct qr_ask *a = NULL;
            FUZZ_MUST(qr_frames_next(&asks, &frame) == QR_OK);
            if (!frame.p) {
                break;
            }
            FUZZ_MUST(qr_ask_decode(frame, &a) == QR_OK);
            FUZZ_MUST(a->what == QR_ASK_SIGN || a->what == QR_ASK_QUERY);
            if (a->what == QR_ASK_QUERY && a->query == QR_QUERY_NEEDS) {
                needs_nothing(a->id);
            } else {
                whats[n_ids % 32] = a->what;
                ids[n_ids++ % 32] = a->id;
            }
            qr_ask_free(a);
        }
    }
}

static void
step(void)
{
    qr_gw_step(gw, now);
    hear();
    qr_gw_step(gw, now);
}

static void
say(struct fuzz_in *in, uint8_t op)
{
    struct qr_answer a = {0};
    struct qr_answer_sig sig = {.rs = {1}};
    struct qr_dbuf d;

    if (party < 0 || n_ids == 0) {
        return;
    }
    unsigned k = (n_ids - 1 - (op >> 6) % n_ids) % 32;
    a.id = ids[k] + (op >> 5 & 1);
    if (op & 8) {
        a.error = (qr_err)(fuzz_u8(in) % 90);
        a.detail = fuzz_bytes(in);
        a.rule = qr_view_str("a-rule");
        a.party = op >> 4 & 1;
        a.need = a.retry_s = op >> 5;
        a.n_approvers = op >> 6;
        for (size_t i = 0; i < a.n_approvers; i++) {
            a.approvers[i] = qr_view_str("an \"approver\"");
        }
    } else if (whats[k] == QR_ASK_SIGN) {
        a.is_signed = 1;
        a.sgn.n_sigs = a.sgn.n_signers = 1;
        a.sgn.sigs = &sig;
        a.sgn.signers[0] = 1;
    } else {
        a.json = qr_view_str("{\"ready\":true}");
        a.text = qr_view_str("# text\n");
    }
    qr_dbuf_init(&d, QR_ANSWER_FRAME_MAX + 4);
    if (qr_answer_put(&d, &a) == QR_OK) {
        if (op & 16) {
            fuzz_flip(in, d.p, d.len);
        }
        (void)send(party, d.p, d.len, MSG_NOSIGNAL);
    }
    qr_dbuf_free(&d);
}

/* ---- clients -------------------------------------------------------------------------------- */

static int
dial(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    int fd[2];
    FUZZ_MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (MHD_add_connection(gw->api.mhd, fd[0], (struct sockaddr *)&a, sizeof a) != MHD_YES) {
        (void)close(fd[1]); /* the library closed the other end */
        return -1;
    }
    return fd[1];
}

/* A request in good form that the script may change. */
static void
request(struct fuzz_in *in, int fd, uint8_t op)
{
    static const char *const head[] = {
        "POST /v1/sign HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nX-Stamp: c3Q\r\n"
        "Content-Length: 7\r\n\r\n{\"v\":1}",
        "GET /v1/keys HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET "
        "/v1/attestation?nonce=0000000000000000000000000000000000000000000000000000000000000001 "
        "HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /v1/keys/020000000000000000000000000000000000000000000000000000000000000001 "
        "HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /v1/status HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /healthcheck HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        "GET /readyz HTTP/1.0\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n",
        "HEAD /livez HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /upcheck HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /public/v1/submit/sign_raw_payload HTTP/1.1\r\nHost: h\r\nX-Stamp: c3Q\r\n"
        "Content-Type: application/json\r\nContent-Length: 72\r\n\r\n"
        "{\"type\":\"ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2\",\"organizationId\":\"01234567\"}",
        "POST /v1/sign HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nX-Stamp: c3Q\r\n"
        "X-Approval: YQ\r\nX-Approval: Yg\r\nContent-Length: 7\r\n\r\n{\"v\":1}",
        "OPTIONS /v1/sign HTTP/1.1\r\nHost: h\r\nOrigin: https://a.org\r\n"
        "Access-Control-Request-Method: POST\r\n\r\n",
        "GET /v1/openapi.json HTTP/1.1\r\nHost: h\r\nOrigin: https://a.org\r\n\r\n",
        "POST /v1/sign HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\n",
        "POST /v1/sign HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    };
    char text[512];
    const char *h = head[fuzz_u8(in) % (sizeof head / sizeof head[0])];
    size_t n = strlen(h);
    memcpy(text, h, n);
    for (unsigned k = op >> 4 & 3u; k > 0; k--) {
        fuzz_flip(in, (uint8_t *)text, n);
    }
    size_t cut = op & 0x40 ? fuzz_u8(in) % (n + 1) : n;
    (void)send(fd, text, cut, MSG_NOSIGNAL);
    if (op & 0x40) {
        step();
        (void)send(fd, text + cut, n - cut, MSG_NOSIGNAL);
    }
}

/* The text after this name in the head that ends at `end`, or NULL. */
static const char *
field(const char *head, const char *end, const char *name)
{
    const char *at = strstr(head, name);
    return at && at < end ? at + strlen(name) : NULL;
}

/*
 * Judges the reply at p, of which n bytes are there and a NUL behind them; returns its length, 0 if
 * nothing can be said of what follows.
 */
static size_t
judge_reply(const char *p, size_t n)
{
    FUZZ_MUST(strncmp(p, "HTTP/1.", n < 7 ? n : 7) == 0);
    const char *end = strstr(p, "\r\n\r\n");
    if (!end) {
        return 0; /* the rest is still to come */
    }
    unsigned long status = strtoul(p + 9, NULL, 10);
    FUZZ_MUST((status >= 200 && status <= 505) || status == 100);
    const char *body = end + 4, *length = field(p, end, "\r\nContent-Length: ");
    size_t want = length ? (size_t)strtoul(length, NULL, 10) : 0, left = n - (size_t)(body - p);
    /* The reply to HEAD has the length of a body that is not sent: the next one follows the head. */
    if (left >= 7 && memcmp(body, "HTTP/1.", 7) == 0) {
        want = 0;
    }
    if (left < want) {
        return 0;
    }
    if (want > 0 && field(p, end, "\r\nContent-Type: application/")) {
        json_t *j = json_loadb(body, want, JSON_ALLOW_NUL, NULL);
        FUZZ_MUST(j != NULL || status == 200); /* a party's JSON is passed on as it came */
        json_decref(j);
    }
    /*
     * A client reads no more after this. The library needs it: up to 0.9.77 it says the head of its
     * own refusals twice (no Host, a length that is no number), so that a body is cut.
     */
    return field(p, end, "\r\nConnection: close") ? 0 : (size_t)(body - p) + want;
}

static void
read_replies(int fd)
{
    static char mem[1 << 20];
    size_t len = 0, used = 0;
    ssize_t n;
    while (len + 1 < sizeof mem &&
           (n = recv(fd, mem + len, sizeof mem - 1 - len, MSG_DONTWAIT)) > 0) {
        len += (size_t)n;
    }
    mem[len] = '\0';
    /* in the middle of a reply that was begun before, nothing can be said */
    if (strncmp(mem, "HTTP/1.", 7) != 0) {
        return;
    }
    for (size_t at = 0; at < len; at += used) {
        used = judge_reply(mem + at, len - at);
        if (used == 0) {
            return;
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_in in = fuzz_in_of(data, size);
    int fd[CLIENTS];

    if (!gw) {
        prepare();
    }
    memset(fd, 0xff, sizeof fd);
    now += 2000 * MS; /* past the backoff of a party that was lost */
    step();
    for (unsigned n = 0; n < 32 && in.len > 0; n++) {
        uint8_t op = fuzz_u8(&in);
        int *at = &fd[op % CLIENTS];
        qr_view v;
        if (*at < 0) {
            *at = dial();
        }
        switch (op >> 3 & 7) {
        case 0:
            v = fuzz_bytes(&in);
            (void)send(*at, v.p, v.len, MSG_NOSIGNAL);
            break;
        case 1:
        case 2:
        case 3:
            request(&in, *at, fuzz_u8(&in));
            break;
        case 4:
            say(&in, fuzz_u8(&in));
            break;
        case 5: /* no frame at all, or the party goes */
            v = fuzz_bytes(&in);
            if (party >= 0) {
                (void)send(party, v.p, v.len, MSG_NOSIGNAL);
                if (op & 0x80) {
                    (void)close(party);
                    party = -1;
                }
            }
            break;
        case 6:
            now += (uint64_t)fuzz_u8(&in) * 50 * MS;
            break;
        default:
            if (op & 0x80) {
                read_replies(*at);
            } else {
                (void)close(*at);
                *at = -1;
            }
        }
        step();
        fuzz_heap_below(64u << 20);
    }
    for (int i = 0; i < CLIENTS; i++) {
        if (fd[i] >= 0) {
            read_replies(fd[i]);
            (void)close(fd[i]);
        }
    }
    for (int i = 0; i < 8 && (gw->conns || qr_gw_party_in_flight(gw->party) > 0); i++) {
        now += 3500 * MS; /* questions without an answer run out */
        step();
    }
    FUZZ_MUST(!gw->conns && gw->count.connections == 0);
    FUZZ_MUST(qr_gw_party_in_flight(gw->party) == 0);
    return 0;
}
