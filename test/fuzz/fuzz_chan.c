/*
 * A channel at every stage of its handshake, before arbitrary bytes.
 *
 * Prepared once: a server and a client before their first byte; then, with a TLS session that the
 * attacker ended, a server that waits for HELLO, for EVIDENCE, for CONFIRM, and one that is READY. The
 * first byte chooses; the rest are ciphertext, or frames that the attacker writes: arbitrary ones,
 * or the right one with changes. Must hold: READY only after a HELLO, evidence and a confirmation that
 * are right; evidence is made for nobody but a peer that showed its identity; a channel that failed is
 * dead, says why, and reads nothing more; what it holds stays bounded.
 */
#include "protocol/base/hash.h"
#include "protocol/base/mem.h"
#include "test/common/chanrig.h"
#include "test/fuzz/kit.h"

#include <sodium.h>

enum { SERVER, CLIENT, HELLO, EVIDENCE, CONFIRM, READY, STAGES };

struct ready {
    struct duel *d;
    uint8_t hello[QR_HELLO_LEN], evidence[128], confirm[33];
    size_t evidence_len;
};
static struct ready stage[STAGES];
static struct side fresh[2];
static size_t heap_before;

/* What an honest client would say next; made when its time comes. */
static void
make(struct ready *r, int until)
{
    uint8_t hello_s[QR_HELLO_LEN], ev_s[4096], binder[32], msg[131];
    struct raw *w = &r->d->w;
    struct qr_id_signer signer = test_signer(&w->identity);
    struct qr_hello peer;

    FUZZ_MUST(qr_hello_make(&w->own, &w->binding, &signer, r->hello) == QR_OK);
    if (until == HELLO) {
        return;
    }
    raw_frame(w, QR_FRAME_HELLO, qr_view_of(r->hello, sizeof r->hello));
    raw_pump(w, &r->d->s);
    FUZZ_MUST(raw_take(w, QR_FRAME_HELLO, hello_s, sizeof hello_s) == QR_HELLO_LEN);
    FUZZ_MUST(qr_hello_parse(qr_view_of(hello_s, sizeof hello_s), &peer) == QR_OK);
    size_t n = raw_take(w, QR_FRAME_EVIDENCE, ev_s, sizeof ev_s);
    qr_hello_binder(&w->own, &peer, &w->binding, binder);
    r->evidence_len = raw_evidence(binder, r->evidence);
    if (until == EVIDENCE) {
        return;
    }
    raw_frame(w, QR_FRAME_EVIDENCE, qr_view_of(r->evidence, r->evidence_len));
    raw_pump(w, &r->d->s);
    msg[0] = 'C';
    qr_sha256(qr_view_of(r->hello, sizeof r->hello), msg + 1);
    qr_sha256(qr_view_of(hello_s, sizeof hello_s), msg + 33);
    qr_sha256(qr_view_of(r->evidence, r->evidence_len), msg + 65);
    qr_sha256(qr_view_of(ev_s, n), msg + 97);
    msg[129] = msg[130] = 1;
    r->confirm[0] = 1;
    (void)crypto_auth_hmacsha256(r->confirm + 1, msg, sizeof msg, w->confirm_key);
    if (until == CONFIRM) {
        return;
    }
    raw_frame(w, QR_FRAME_CONFIRM, qr_view_of(r->confirm, sizeof r->confirm));
    raw_pump(w, &r->d->s);
    FUZZ_MUST(r->d->s.ready == 1);
}

static void
prepare(void)
{
    size_t blocks;
    FUZZ_MUST(qr_hash_init() == QR_OK);
    for (int i = 0; i < 2; i++) {
        side_init(&fresh[i], (uint16_t)(i == SERVER ? 2 : 1));
        side_open(&fresh[i], i == SERVER ? QR_ROLE_SERVER : QR_ROLE_CLIENT, i == SERVER ? 0 : 2);
    }
    for (int i = HELLO; i < STAGES; i++) {
        stage[i].d = duel_new();
        make(&stage[i], i);
    }
    qr_alloc_stats(&heap_before, &blocks);
}

static void
check(struct side *s)
{
    FUZZ_MUST(s->ready <= 1 && s->identified <= 1 && s->ready <= s->identified);
    FUZZ_MUST(s->attester.made <= s->identified);
    FUZZ_MUST(s->frames == 0 || s->ready == 1);
    fuzz_heap_below(heap_before + 4 * QR_FRAME_MAX);
    if (s->dead != QR_OK) {
        FUZZ_MUST(qr_chan_why(s->chan)[0] != 0);
        fuzz_text(qr_chan_why(s->chan), QR_CHAN_WHY_MAX);
        FUZZ_MUST(qr_chan_input(s->chan, qr_view_str("more")) == QR_ERR_LINK_CLOSED);
    }
}

static void
cipher(struct side *s, struct fuzz_in in)
{
    while (in.len > 0 && s->dead == QR_OK) {
        qr_view v = fuzz_bytes(&in);
        s->dead = qr_chan_input(s->chan, v);
        qr_chan_sent(s->chan, qr_chan_out(s->chan).len);
        FUZZ_MUST(!qr_chan_is_ready(s->chan));
        check(s);
    }
}

/*
 * The right frame for the stage, with changes; 1 if what is sent is right all the same: two changes may
 * undo each other, and a cut may leave all of it.
 */
static int
right(struct fuzz_in *in, struct ready *r, int at, uint8_t op)
{
    uint8_t *p = at == HELLO ? r->hello : at == EVIDENCE ? r->evidence : r->confirm;
    size_t len = at == HELLO      ? sizeof r->hello
                 : at == EVIDENCE ? r->evidence_len
                                  : sizeof r->confirm;
    unsigned kind = at == HELLO      ? QR_FRAME_HELLO
                    : at == EVIDENCE ? QR_FRAME_EVIDENCE
                                     : QR_FRAME_CONFIRM;
    uint8_t copy[512];

    size_t sent = len;

    memcpy(copy, p, len);
    for (unsigned k = op >> 5 & 3u; k > 0; k--) {
        fuzz_flip(in, copy, len);
    }
    if (op & 0x80) {
        sent = fuzz_u16(in) % (len + 1);
    }
    raw_frame(&r->d->w, kind, qr_view_of(copy, sent));
    return sent == len && memcmp(copy, p, len) == 0;
}

/* A HELLO of party 1 with other fields, rightly signed. */
static void
signed_hello(struct fuzz_in *in, struct raw *w, uint8_t how)
{
    struct qr_id_signer signer = test_signer(&w->identity);
    struct qr_hello h = w->own;
    uint8_t out[QR_HELLO_LEN];

    switch (how >> 3 & 7) {
    case 0:
        fuzz_flip(in, h.cluster, 32);
        break;
    case 1:
        fuzz_flip(in, h.roster_hash, 32);
        h.roster_serial = fuzz_u8(in);
        break;
    case 2:
        fuzz_flip(in, h.policy_hash, 32);
        h.policy_serial = fuzz_u8(in);
        break;
    case 3:
        h.index = 1 + fuzz_u8(in) % 16;
        break;
    case 4:
        h.role = QR_ROLE_SERVER;
        break;
    case 5:
        h.platform = fuzz_u8(in);
        break;
    case 6:
        h.boot_counter = fuzz_u8(in);
        break;
    default:
        fuzz_flip(in, h.boot_nonce, 32);
    }
    if (qr_hello_make(&h, &w->binding, &signer, out) == QR_OK) {
        raw_frame(w, QR_FRAME_HELLO, qr_view_of(out, sizeof out));
    }
}

static void
run(const uint8_t *data, size_t size)
{
    struct fuzz_in in = fuzz_in_of(data, size);
    int at = fuzz_u8(&in) % STAGES, was_right = at == READY;

    if (at == SERVER || at == CLIENT) {
        cipher(&fresh[at], in);
        return;
    }
    struct ready *r = &stage[at];
    struct side *s = &r->d->s;
    for (unsigned n = 0; n < 32 && in.len > 0 && s->dead == QR_OK; n++) {
        uint8_t op = fuzz_u8(&in);
        uint8_t body[1024];
        qr_view v;
        switch (op & 7) {
        case 0:
            was_right |= right(&in, r, at, op);
            break;
        case 1: /* ciphertext that nobody encrypted */
            s->dead = qr_chan_input(s->chan, fuzz_bytes(&in));
            break;
        case 2: /* plaintext without form */
            v = fuzz_bytes(&in);
            if (qr_tls_write(r->d->w.tls, v) != QR_OK) {
                return;
            }
            break;
        case 3: /* a long frame of one byte's repetition */
            memset(body, fuzz_u8(&in), sizeof body);
            raw_frame(&r->d->w, fuzz_u8(&in), qr_view_of(body, sizeof body));
            break;
        case 4:
            signed_hello(&in, &r->d->w, fuzz_u8(&in));
            break;
        default:
            v = fuzz_bytes(&in);
            raw_frame(&r->d->w, (op >> 3) | (op & 1 ? QR_FRAME_ZSTD : 0u), v);
        }
        if (op & 0x10 || s->dead != QR_OK) {
            raw_pump(&r->d->w, s);
            check(s);
        }
    }
    raw_pump(&r->d->w, s);
    check(s);
    /* from these stages one right frame is not enough, from CONFIRM it is */
    FUZZ_MUST(!s->ready || at == READY || at == CONFIRM);
    FUZZ_MUST(!s->ready || was_right);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!stage[READY].d) {
        fuzz_prepare(1);
        prepare();
        fuzz_prepare(0);
    }
    fuzz_child(run, data, size);
    return 0;
}
