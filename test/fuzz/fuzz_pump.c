/*
 * The pump and PID 1 before a hostile parent.
 *
 * The first byte chooses: frames of the other half between our own, against the rules of a stream (credits
 * and windows stay within their bounds, a number is free only when both ends were said); a whole half over
 * a socket, whose trunk gets the input (it answers or hangs up, holds no stream afterwards, and the heap is
 * as it was); a configuration (refused with a sentence, or read); the document that the parent gives with
 * the image's lines (refused with a sentence, or a configuration in which the image's lines stand).
 */
#include "daemon/init.h"
#include "enclave-shim/pump/pump.h"
#include "protocol/base/mem.h"
#include "test/fuzz/kit.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void
check_lanes(const struct qr_mux *m)
{
    for (unsigned i = 0; i < QR_PUMP_STREAMS; i++) {
        const struct qr_lane *l = &m->lane[i];
        FUZZ_MUST(l->may_recv <= QR_PUMP_WINDOW && l->may_send <= QR_PUMP_WINDOW);
        FUZZ_MUST(l->used || (!l->in_end && !l->out_end && !l->may_send && !l->may_recv));
        FUZZ_MUST(!(l->in_end && l->out_end));
    }
}

/* A move of ours that is allowed now. */
static void
our_move(struct qr_mux *m, struct fuzz_in *in)
{
    uint8_t what = fuzz_u8(in);
    unsigned i = fuzz_u8(in) % QR_PUMP_STREAMS;
    struct qr_lane *l = &m->lane[i];
    struct qr_pump_frame f = {.stream = (uint16_t)i};
    uint32_t credit = QR_PUMP_WINDOW - l->may_recv;

    if (what % 5 == 0) {
        int k = qr_mux_open(m);
        FUZZ_MUST(k < 0 || (m->lane[k].used && (k & 1) == (m->side == QR_PUMP_OUTSIDE)));
        return;
    }
    if (!l->used || l->out_end) {
        return;
    }
    switch (what % 5) {
    case 1:
        f.type = QR_PUMP_DATA;
        f.value = l->may_send < QR_PUMP_DATA_MAX ? l->may_send : QR_PUMP_DATA_MAX;
        if (l->out_fin || f.value == 0) {
            return;
        }
        break;
    case 2:
        f.type = QR_PUMP_CREDIT;
        f.value = credit;
        if (credit == 0) {
            return;
        }
        break;
    case 3:
        f.type = QR_PUMP_FIN;
        if (l->out_fin) {
            return;
        }
        break;
    default:
        f.type = QR_PUMP_END;
        f.arg = l->in_fin && l->out_fin ? QR_PUMP_DONE : QR_PUMP_RESET;
        break;
    }
    qr_mux_sent(m, &f);
}

static void
frames(const uint8_t *data, size_t size)
{
    struct fuzz_in in = fuzz_in_of(data, size);
    struct qr_mux m;
    const char *why = NULL;

    qr_mux_init(&m, fuzz_u8(&in) & 1 ? QR_PUMP_INSIDE : QR_PUMP_OUTSIDE);
    while (in.len > 0) {
        struct qr_pump_frame f;
        uint8_t header[QR_PUMP_HEADER] = {0}, again[QR_PUMP_HEADER];
        if (fuzz_u8(&in) & 1) {
            our_move(&m, &in);
            continue;
        }
        qr_view v = fuzz_take(&in, sizeof header);
        if (v.len > 0) {
            memcpy(header, v.p, v.len);
        }
        if (qr_pump_frame_read(header, &f, &why) != QR_OK) {
            fuzz_text(why, 200);
            return;
        }
        qr_pump_frame_write(&f, again);
        FUZZ_MUST(memcmp(header, again, sizeof header) == 0);
        if (qr_mux_recv(&m, &f, &why) != QR_OK) {
            fuzz_text(why, 200);
            return;
        }
        check_lanes(&m);
    }
}

static void
on_log(void *ctx, enum qr_pump_log level, const char *ev, const char *msg)
{
    (void)ctx;
    (void)level;
    fuzz_text(ev, 64);
    fuzz_text(msg, 512);
}

static struct qr_pump *half;
static char trunk[128];

static void
make_half(void)
{
    struct qr_pump_conf c;
    char text[1024], err[256];
    const char *folder = fuzz_file("half", 0, qr_view_of("", 0));

    (void)snprintf(trunk, sizeof trunk, "%.100s-t", folder);
    (void)snprintf(text, sizeof text,
                   "[pump]\nlisten = unix:%s\n[route 1]\nlisten = unix:%s-1\n[route 2]\n"
                   "dial = unix:%s-1\n[route 3]\ndial = unix:%s-nobody\n",
                   trunk, trunk, trunk, trunk);
    FUZZ_MUST(qr_pump_conf_parse(QR_PUMP_INSIDE, "fuzz", qr_view_str(text), &c, err, sizeof err) ==
              QR_OK);
    FUZZ_MUST(qr_pump_new(&c, on_log, NULL, &half, err, sizeof err) == QR_OK);
}

/* Route 2 leads to route 1: what is opened there comes back as a stream of ours. */
static void
whole_half(const uint8_t *data, size_t size)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t before, after, blocks;
    uint8_t got[65536];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (!half) {
        make_half();
    }
    qr_alloc_stats(&before, &blocks);
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%.100s", trunk);
    FUZZ_MUST(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    FUZZ_MUST(send(fd, "\1\1\0\2QRPM", 8, MSG_NOSIGNAL) == 8);
    for (int quiet = 0; quiet < 4;) {
        ssize_t n = size ? send(fd, data, size, MSG_NOSIGNAL) : 0;
        if (n < 0 && errno != EAGAIN) {
            break;
        }
        data += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
        qr_pump_step(half, 0);
        quiet = n > 0 || recv(fd, got, sizeof got, 0) > 0 ? 0 : quiet + 1;
    }
    (void)close(fd);
    for (int i = 0; i < 100 && (qr_pump_is_up(half, 0) || qr_pump_streams(half)); i++) {
        qr_pump_step(half, 0);
    }
    qr_alloc_stats(&after, &blocks);
    FUZZ_MUST(qr_pump_streams(half) == 0 && before == after);
}

static void
conf(const uint8_t *data, size_t size)
{
    static struct qr_pump_conf c;
    enum qr_pump_side side = fuzz_choice(&data, &size, 2) ? QR_PUMP_INSIDE : QR_PUMP_OUTSIDE;
    char err[512] = "", text[QR_ENDPOINT_TEXT_MAX];
    struct qr_endpoint e;

    if (qr_pump_conf_parse(side, "fuzz", qr_view_of(data, size), &c, err, sizeof err) != QR_OK) {
        fuzz_text(err, sizeof err);
        FUZZ_MUST(strncmp(err, "fuzz:", 5) == 0);
        return;
    }
    for (unsigned i = 0; i < QR_PUMP_ROUTES; i++) {
        const struct qr_pump_route *r = &c.route[i];
        if (r->way == QR_PUMP_NOWHERE) {
            continue;
        }
        qr_endpoint_text(&r->at, text);
        FUZZ_MUST(qr_endpoint_parse(text, &e) == QR_OK && memcmp(&e, &r->at, sizeof e) == 0);
        FUZZ_MUST(r->trunk < c.trunks);
        FUZZ_MUST(side == QR_PUMP_OUTSIDE || r->at.kind == QR_ENDPOINT_UNIX ||
                  qr_endpoint_is_loopback(&r->at));
    }
}

static void
init(const uint8_t *data, size_t size)
{
    static char image[QR_INIT_FIXED_BYTES + 64], out[QR_USERDATA_CONF_MAX];
    char err[QR_USERDATA_ERR_MAX] = "";
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    size_t n = end ? (size_t)(end - data) : 0;

    if (n >= sizeof image) {
        return;
    }
    memcpy(image, data, n);
    image[n] = 0;
    data += end ? n + 1 : 0;
    size -= end ? n + 1 : 0;
    if (qr_init_config(data, size, image, out, sizeof out, err) != QR_OK) {
        FUZZ_MUST(err[0] && strnlen(err, sizeof err) < sizeof err);
        return;
    }
    FUZZ_MUST(strnlen(out, sizeof out) < sizeof out);
    FUZZ_MUST(n > 0 ||
              (strstr(out, "listen = tcp://127.0.0.1:7000\n") &&
               strstr(out, "platform = nitro\n") && strstr(out, "via = 127.0.0.1:7100\n")));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    switch (fuzz_choice(&data, &size, 4)) {
    case 0:
        frames(data, size);
        break;
    case 1:
        whole_half(data, size);
        break;
    case 2:
        conf(data, size);
        break;
    default:
        init(data, size);
        break;
    }
    return 0;
}
