#include "transport/chan.h"

#include "protocol/base/check.h"
#include "protocol/base/hash.h"
#include "protocol/base/mem.h"
#include "protocol/base/secret.h"

#include <stdarg.h>
#include <stdio.h>

#define VERDICT_ACCEPTED 1u

enum state { ST_TLS, ST_HELLO, ST_EVIDENCE, ST_CONFIRM, ST_READY, ST_DEAD };

/* Which frame each state waits for; READY takes what the handshake does not. */
static const struct {
    enum qr_frame wants;
    const char *name;
} stages[] = {
    [ST_TLS] = {QR_FRAME_HELLO, "TLS handshake"},
    [ST_HELLO] = {QR_FRAME_HELLO, "HELLO"},
    [ST_EVIDENCE] = {QR_FRAME_EVIDENCE, "evidence"},
    [ST_CONFIRM] = {QR_FRAME_CONFIRM, "confirmation"},
    [ST_READY] = {QR_FRAME_DATA, "ready"},
};

/* The two sides' contributions, by role. */
enum { CLIENT, SERVER, SIDES };

struct qr_chan {
    const struct qr_chan_env *env;
    struct qr_chan_events ev;
    struct qr_tls *tls;
    enum qr_role role;
    uint16_t expect;
    enum state state, died_in;
    int identified;

    /* handshake */
    struct qr_hello own, peer;
    struct qr_binding binding;
    uint8_t confirm_key[32];
    uint8_t hello_hash[SIDES][32], evidence_hash[SIDES][32];
    struct qr_claims claims;

    /* the frame being received */
    uint8_t head[QR_FRAME_HEAD_LEN];
    size_t head_len, got;
    enum qr_frame kind;
    int zstd;
    struct qr_block *body;
    uint64_t consumed; /* ciphertext read so far */

    /* the record being filled */
    uint8_t *record;
    size_t record_len;
    size_t owed; /* bytes of the frame being written that are still to come */
    size_t record_class[QR_CLASSES_COUNT];
    size_t out_seen; /* output already in the tally */
    struct qr_tally tally;
    struct qr_ledger_peer *row;

    char why[QR_CHAN_WHY_MAX];
};

static size_t
side(enum qr_role r)
{
    return r == QR_ROLE_CLIENT ? CLIENT : SERVER;
}

static size_t
own_side(const struct qr_chan *c)
{
    return side(c->role);
}

static size_t
peer_side(const struct qr_chan *c)
{
    return c->role == QR_ROLE_CLIENT ? SERVER : CLIENT;
}

qr_err
qr_chan_new(const struct qr_chan_env *env, const struct qr_chan_events *ev, enum qr_role role,
            uint16_t expect, struct qr_ledger_peer *row, struct qr_chan **ret)
{
    struct qr_chan *c = qr_alloc(sizeof *c);
    if (!c) {
        return QR_ERR_NO_MEMORY;
    }
    c->env = env;
    c->ev = *ev;
    c->role = role;
    c->expect = expect;
    c->row = row;
    c->own = env->own;
    c->own.role = role;
    c->record = qr_alloc(QR_TLS_RECORD);
    qr_err e = c->record ? qr_tls_new(env->tls, role, &c->tls) : QR_ERR_NO_MEMORY;
    if (e != QR_OK) {
        qr_chan_free(c);
        return e;
    }
    *ret = c;
    return QR_OK;
}

struct qr_chan *
qr_chan_free(struct qr_chan *c)
{
    if (c) {
        qr_tls_free(c->tls);
        qr_block_unref(c->body);
        if (c->record) {
            qr_wipe(c->record, QR_TLS_RECORD); /* plaintext of messages that never left */
        }
        qr_free(c->record);
        qr_wipe(&c->binding, sizeof c->binding);
        qr_wipe(c->confirm_key, sizeof c->confirm_key);
    }
    return qr_free(c);
}

void
qr_chan_row(struct qr_chan *c, struct qr_ledger_peer *row)
{
    c->row = row;
}

qr_err
qr_chan_fail(struct qr_chan *c, qr_err e, const char *format, ...)
{
    if (!c->why[0]) {
        va_list ap;
        va_start(ap, format);
        (void)vsnprintf(c->why, sizeof c->why, format, ap);
        va_end(ap);
    }
    return e;
}

/* Output and its ledger. */

/* Everything that entered the output since the last call: by_class bytes of it are known. */
static void
tally(struct qr_chan *c, const size_t by_class[static QR_CLASSES_COUNT])
{
    size_t now = qr_tls_out(c->tls).len;
    QR_ASSERT(now >= c->out_seen);
    qr_tally_add(&c->tally, now - c->out_seen, by_class);
    c->out_seen = now;
}

static void
tally_as(struct qr_chan *c, enum qr_class class_)
{
    size_t by_class[QR_CLASSES_COUNT] = {0};
    by_class[class_] = qr_tls_out(c->tls).len - c->out_seen;
    tally(c, by_class);
}

qr_view
qr_chan_out(const struct qr_chan *c)
{
    return qr_tls_out(c->tls);
}

void
qr_chan_sent(struct qr_chan *c, size_t n)
{
    if (n > 0) {
        qr_tls_out_done(c->tls, n);
        QR_ASSERT(n <= c->out_seen);
        c->out_seen -= n;
        qr_tally_take(&c->tally, n, c->row);
        qr_ledger_tcpip(c->row, QR_DIR_OUT, n);
    }
}

static qr_err
seal(struct qr_chan *c, qr_view in, const size_t by_class[static QR_CLASSES_COUNT])
{
    tally_as(c, QR_CLASSES_OVERHEAD); /* what reading made TLS say by itself */
    if (qr_tls_write(c->tls, in) != QR_OK) {
        return qr_chan_fail(c, QR_ERR_TLS, "cannot encrypt: %s", qr_tls_why(c->tls));
    }
    tally(c, by_class);
    return QR_OK;
}

qr_err
qr_chan_push(struct qr_chan *c)
{
    if (c->record_len == 0) {
        return QR_OK;
    }
    size_t by_class[QR_CLASSES_COUNT];
    qr_view in = {c->record, c->record_len};
    memcpy(by_class, c->record_class, sizeof by_class);
    memset(c->record_class, 0, sizeof c->record_class);
    c->record_len = 0;
    return seal(c, in, by_class);
}

qr_err
qr_chan_begin(struct qr_chan *c, unsigned kind, enum qr_class class_, size_t body_len)
{
    uint8_t head[QR_FRAME_HEAD_LEN];

    QR_ASSERT(c->owed == 0);
    qr_frame_head_put(head, kind, body_len);
    c->owed = sizeof head + body_len;
    return qr_chan_write(c, class_, (qr_view){head, sizeof head});
}

qr_err
qr_chan_write(struct qr_chan *c, enum qr_class class_, qr_view in)
{
    QR_ASSERT(in.len <= c->owed);
    c->owed -= in.len;
    while (in.len > 0) {
        if (c->record_len == 0 && in.len >= QR_TLS_RECORD) {
            /* Whole records straight from where the message lies. */
            size_t n = in.len - in.len % QR_TLS_RECORD, by_class[QR_CLASSES_COUNT] = {0};
            by_class[class_] = class_ == QR_CLASSES_OVERHEAD ? 0 : n;
            QR_TRY(seal(c, (qr_view){in.p, n}, by_class));
            in.p += n;
            in.len -= n;
            continue;
        }
        size_t room = QR_TLS_RECORD - c->record_len, k = in.len < room ? in.len : room;
        memcpy(c->record + c->record_len, in.p, k);
        c->record_len += k;
        c->record_class[class_] += class_ == QR_CLASSES_OVERHEAD ? 0 : k;
        in.p += k;
        in.len -= k;
        if (c->record_len == QR_TLS_RECORD) {
            QR_TRY(qr_chan_push(c));
        }
    }
    return QR_OK;
}

qr_err
qr_chan_frame(struct qr_chan *c, enum qr_frame kind, enum qr_class class_, qr_view body)
{
    QR_TRY(qr_chan_begin(c, kind, class_, body.len));
    return qr_chan_write(c, class_, body);
}

void
qr_chan_close(struct qr_chan *c, qr_err why)
{
    if (c->state == ST_DEAD) {
        return;
    }
    /* A frame of which a part is out cannot be followed by another. */
    if (c->state != ST_TLS && c->owed == 0 && why != QR_ERR_TLS) {
        uint8_t code = (uint8_t)qr_close_code(why);
        qr_err e = qr_chan_frame(c, QR_FRAME_CLOSE, QR_CLASSES_OVERHEAD, (qr_view){&code, 1});
        if (e == QR_OK && qr_chan_push(c) != QR_OK) {
            c->record_len = 0; /* it dies without a word */
        }
    }
    tally_as(c, c->state == ST_TLS ? QR_CLASSES_HANDSHAKE : QR_CLASSES_OVERHEAD);
    c->died_in = c->state;
    c->state = ST_DEAD;
}

/* Handshake, our side. */

static qr_err
say_hello(struct qr_chan *c)
{
    uint8_t hello[QR_HELLO_LEN];

    c->env->store_state(c->env->ctx, &c->own.store_serial, c->own.store_root);
    if (qr_hello_make(&c->own, &c->binding, &c->env->signer, hello) != QR_OK) {
        return qr_chan_fail(c, QR_ERR_INTERNAL, "our identity key does not sign");
    }
    qr_sha256((qr_view){hello, sizeof hello}, c->hello_hash[own_side(c)]);
    return qr_chan_frame(c, QR_FRAME_HELLO, QR_CLASSES_HANDSHAKE, (qr_view){hello, sizeof hello});
}

/* Makes evidence into mem, packs it into `packed` if that helps, sends whichever is shorter. */
static qr_err
make_evidence(struct qr_chan *c, uint8_t *mem, uint8_t *packed)
{
    uint8_t binder[32];
    struct qr_buf w = qr_buf_over(mem, QR_EVIDENCE_MAX);

    qr_hello_binder(&c->own, &c->peer, &c->binding, binder);
    qr_err e = c->env->attester.evidence(c->env->attester.ctx, binder, &w);
    e = e == QR_OK ? w.err : e;
    if (e != QR_OK || w.len == 0) {
        return qr_chan_fail(c, QR_ERR_PLATFORM, "our platform (%s) makes no evidence: %s",
                            qr_platform_name(c->env->attester.platform), qr_err_text(e));
    }
    qr_sha256(qr_buf_view(&w), c->evidence_hash[own_side(c)]);
    qr_view body = qr_buf_view(&w);
    unsigned kind = QR_FRAME_EVIDENCE;
    size_t n = qr_zip_pack(c->env->zip, body, packed);
    if (n > 0) {
        body = (qr_view){packed, n};
        kind |= QR_FRAME_ZSTD;
    }
    QR_TRY(qr_chan_begin(c, kind, QR_CLASSES_HANDSHAKE, body.len));
    return qr_chan_write(c, QR_CLASSES_HANDSHAKE, body);
}

static qr_err
say_evidence(struct qr_chan *c)
{
    uint8_t *mem = qr_alloc(2 * (size_t)QR_EVIDENCE_MAX);
    if (!mem) {
        return qr_chan_fail(c, QR_ERR_NO_MEMORY, "no memory for our evidence");
    }
    qr_err e = make_evidence(c, mem, mem + QR_EVIDENCE_MAX);
    qr_free(mem);
    return e;
}

/* The MAC that the side `who` sends. */
static void
confirm_mac(const struct qr_chan *c, enum qr_role who, uint8_t out[static 32])
{
    /* Fixed layout: role, HELLOs and evidences client first, verdicts client's first. */
    uint8_t msg[1 + 4 * 32 + 2];
    struct qr_buf w = qr_buf_over(msg, sizeof msg);

    qr_buf_put8(&w, (uint8_t)who);
    qr_buf_put(&w, c->hello_hash[CLIENT], 32);
    qr_buf_put(&w, c->hello_hash[SERVER], 32);
    qr_buf_put(&w, c->evidence_hash[CLIENT], 32);
    qr_buf_put(&w, c->evidence_hash[SERVER], 32);
    qr_buf_put8(&w, VERDICT_ACCEPTED);
    qr_buf_put8(&w, VERDICT_ACCEPTED);
    crypto_auth_hmacsha256(out, msg, w.len, c->confirm_key);
}

static qr_err
say_confirm(struct qr_chan *c)
{
    uint8_t body[33] = {VERDICT_ACCEPTED};
    confirm_mac(c, c->role, body + 1);
    return qr_chan_frame(c, QR_FRAME_CONFIRM, QR_CLASSES_HANDSHAKE, (qr_view){body, sizeof body});
}

/* Handshake, the peer's side. */

static qr_err
tls_done(struct qr_chan *c)
{
    memcpy(c->binding.spki_client, qr_tls_spki(c->tls, QR_ROLE_CLIENT), 32);
    memcpy(c->binding.spki_server, qr_tls_spki(c->tls, QR_ROLE_SERVER), 32);
    if (qr_tls_export(c->tls, QR_EXPORTER_ATTEST, c->binding.exporter) != QR_OK ||
        qr_tls_export(c->tls, QR_EXPORTER_CONFIRM, c->confirm_key) != QR_OK) {
        return qr_chan_fail(c, QR_ERR_TLS, "TLS exports no key");
    }
    qr_rng_fill(&c->env->rng, c->own.nonce, sizeof c->own.nonce);
    c->state = ST_HELLO;
    return c->role == QR_ROLE_CLIENT ? say_hello(c) : QR_OK;
}

static qr_err
hear_hello(struct qr_chan *c, qr_view body)
{
    struct qr_hello h;
    qr_err e = qr_hello_parse(body, &h);

    if (e == QR_ERR_VERSION) {
        return qr_chan_fail(c, e, "speaks protocol version %u, we speak %u: run the same release",
                            body.len ? body.p[0] : 0u, (unsigned)QR_PROTOCOL_VERSION);
    }
    if (e != QR_OK) {
        return qr_chan_fail(c, e, "HELLO of %zu bytes: %s", body.len, qr_err_text(e));
    }
    if (h.role == c->role) {
        return qr_chan_fail(c, QR_ERR_IDENTITY, "HELLO has our own role: a reflection");
    }
    if (h.index == c->own.index) {
        return qr_chan_fail(c, QR_ERR_IDENTITY,
                            "claims our own index %u: an address in the roster leads back here, or "
                            "another party was given our index",
                            (unsigned)h.index);
    }
    if (c->expect != 0 && h.index != c->expect) {
        return qr_chan_fail(c, QR_ERR_IDENTITY,
                            "party %u answers at the address of party %u: check the addresses in "
                            "the roster",
                            (unsigned)h.index, (unsigned)c->expect);
    }
    const uint8_t *id = c->env->identity(c->env->ctx, h.index);
    if (!id) {
        return qr_chan_fail(c, QR_ERR_IDENTITY,
                            "claims index %u, which our roster does not have (it claims roster "
                            "serial %llu, ours is %llu)",
                            (unsigned)h.index, (unsigned long long)h.roster_serial,
                            (unsigned long long)c->own.roster_serial);
    }
    if (qr_hello_verify(body, &c->binding, id) != QR_OK) {
        return qr_chan_fail(c, QR_ERR_IDENTITY,
                            "claims index %u, but its signature is not by that party's identity "
                            "key (it claims roster serial %llu, ours is %llu)",
                            (unsigned)h.index, (unsigned long long)h.roster_serial,
                            (unsigned long long)c->own.roster_serial);
    }
    c->peer = h;
    c->identified = 1;
    qr_sha256(body, c->hello_hash[peer_side(c)]);
    c->ev.on_identified(c->ev.ctx);

    char why[QR_CHAN_WHY_MAX] = "";
    e = qr_hello_match(&c->own, &h, why, sizeof why);
    if (e == QR_OK) {
        e = c->env->judge(c->env->ctx, &h, why, sizeof why);
    }
    if (e != QR_OK) {
        return qr_chan_fail(c, e, "%s", why[0] ? why : qr_err_text(e));
    }
    c->state = ST_EVIDENCE;
    if (c->role == QR_ROLE_SERVER) {
        QR_TRY(say_hello(c));
    }
    return say_evidence(c);
}

static qr_err
judge_evidence(struct qr_chan *c, qr_view evidence)
{
    uint8_t binder[32];
    char why[QR_CHAN_WHY_MAX] = "";
    const struct qr_attester *a = &c->env->attester;

    qr_sha256(evidence, c->evidence_hash[peer_side(c)]);
    qr_hello_binder(&c->peer, &c->own, &c->binding, binder);
    qr_err e = a->verify(a->ctx, c->peer.index, (enum qr_platform)c->peer.platform, evidence,
                         binder, &c->claims, why, sizeof why);
    if (e != QR_OK) {
        return qr_chan_fail(c, e, "%s evidence refused: %s",
                            qr_platform_name((enum qr_platform)c->peer.platform),
                            why[0] ? why : qr_err_text(e));
    }
    c->state = ST_CONFIRM;
    return say_confirm(c);
}

static qr_err
hear_evidence(struct qr_chan *c, qr_view body)
{
    if (!c->zstd) {
        if (body.len > QR_EVIDENCE_MAX) {
            return qr_chan_fail(c, QR_ERR_TOO_LARGE, "evidence of %zu bytes", body.len);
        }
        return judge_evidence(c, body);
    }
    size_t n;
    qr_err e = qr_zip_size(body, QR_EVIDENCE_MAX, &n);
    if (e != QR_OK) {
        return qr_chan_fail(c, e, "packed evidence: %s", qr_err_text(e));
    }
    uint8_t *mem = qr_alloc(n);
    if (!mem) {
        return qr_chan_fail(c, QR_ERR_NO_MEMORY, "no memory for %zu bytes of evidence", n);
    }
    e = qr_zip_unpack(c->env->zip, body, mem, n);
    e = e == QR_OK ? judge_evidence(c, (qr_view){mem, n})
                   : qr_chan_fail(c, e, "packed evidence: %s", qr_err_text(e));
    qr_free(mem);
    return e;
}

static qr_err
hear_confirm(struct qr_chan *c, qr_view body)
{
    uint8_t mac[32];

    confirm_mac(c, c->peer.role, mac);
    if (body.len != 33 || body.p[0] != VERDICT_ACCEPTED || !qr_sec_eq(mac, body.p + 1, 32)) {
        return qr_chan_fail(c, QR_ERR_ATTESTATION,
                            "confirmation does not match: we did not see the same handshake");
    }
    qr_wipe(&c->binding, sizeof c->binding);
    qr_wipe(c->confirm_key, sizeof c->confirm_key);
    c->state = ST_READY;
    return c->ev.on_ready(c->ev.ctx);
}

/* Input. */

static qr_err
dispatch(struct qr_chan *c)
{
    qr_view body = {c->body->p, c->body->len};
    enum state was = c->state;

    if (c->kind == QR_FRAME_CLOSE) {
        return qr_chan_fail(c, QR_ERR_LINK_CLOSED, "%s", qr_close_text(body.p[0]));
    }
    if (was != ST_READY || c->kind == QR_FRAME_RESUME) {
        qr_ledger_in(c->row, QR_CLASSES_HANDSHAKE, QR_FRAME_HEAD_LEN + body.len);
    } else {
        c->row->frames[QR_DIR_IN]++;
    }
    switch (was) {
    case ST_HELLO:
        return hear_hello(c, body);
    case ST_EVIDENCE:
        return hear_evidence(c, body);
    case ST_CONFIRM:
        return hear_confirm(c, body);
    case ST_READY:
        return c->ev.on_frame(c->ev.ctx, c->kind, body, c->body);
    case ST_TLS:
    case ST_DEAD:
        break;
    }
    return qr_chan_fail(c, QR_ERR_INTERNAL, "frame in state %d", (int)was);
}

/* Is this the frame that the state waits for? Before memory is taken for its body. */
static qr_err
check_kind(struct qr_chan *c)
{
    int handshake = c->kind <= QR_FRAME_CONFIRM;

    if (c->kind == QR_FRAME_CLOSE ||
        (c->state == ST_READY ? !handshake : c->kind == stages[c->state].wants)) {
        return QR_OK;
    }
    return qr_chan_fail(c, QR_ERR_STATE, "frame of kind %d while waiting for %s%s", (int)c->kind,
                        c->state == ST_READY ? "messages" : stages[c->state].name,
                        handshake && c->state == ST_READY ? ": a handshake message again" : "");
}

static qr_err
read_head(struct qr_chan *c)
{
    size_t n;
    QR_TRY(qr_tls_read(c->tls, c->head + c->head_len, sizeof c->head - c->head_len, &n));
    c->head_len += n;
    if (c->head_len < sizeof c->head) {
        return QR_OK;
    }
    size_t len;
    qr_err e = qr_frame_head_get(c->head, &c->kind, &c->zstd, &len);
    if (e != QR_OK) {
        return qr_chan_fail(c, e, "frame of kind %u, %u bytes: %s", (unsigned)c->head[4],
                            (unsigned)qr_get32(c->head), qr_err_text(e));
    }
    QR_TRY(check_kind(c));
    c->body = qr_block_new(len);
    if (!c->body) {
        return qr_chan_fail(c, QR_ERR_NO_MEMORY, "no memory for a frame of %zu bytes", len);
    }
    c->got = 0;
    return QR_OK;
}

/* One step of frame assembly; *ret_more = 0 when TLS has no more plaintext. */
static qr_err
read_frame(struct qr_chan *c, int *ret_more)
{
    if (c->head_len < sizeof c->head) {
        QR_TRY(read_head(c));
        *ret_more = c->head_len == sizeof c->head;
        return QR_OK;
    }
    size_t n;
    QR_TRY(qr_tls_read(c->tls, c->body->p + c->got, c->body->len - c->got, &n));
    c->got += n;
    *ret_more = c->got == c->body->len;
    if (!*ret_more) {
        return QR_OK;
    }
    qr_err e = dispatch(c);
    c->body = qr_block_unref(c->body);
    c->head_len = 0;
    return e;
}

static qr_err
tls_step(struct qr_chan *c, int *ret_more)
{
    size_t before = qr_tls_fed(c->tls);
    qr_err e = qr_tls_handshake(c->tls, ret_more);

    tally_as(c, QR_CLASSES_HANDSHAKE);
    qr_ledger_in(c->row, QR_CLASSES_HANDSHAKE, before - qr_tls_fed(c->tls));
    if (e != QR_OK) {
        return qr_chan_fail(c, e, "TLS handshake failed: %s", qr_tls_why(c->tls));
    }
    return *ret_more ? tls_done(c) : QR_OK;
}

static qr_err
input(struct qr_chan *c, size_t len)
{
    uint64_t before = c->consumed;
    int more = 1;

    while (more) {
        if (c->state == ST_TLS) {
            QR_TRY(tls_step(c, &more));
        } else {
            qr_err e = read_frame(c, &more);
            if (e != QR_OK) {
                return qr_chan_fail(c, e, "%s",
                                    e == QR_ERR_TLS || e == QR_ERR_LINK_CLOSED ? qr_tls_why(c->tls)
                                                                               : qr_err_text(e));
            }
        }
        c->consumed = before + len - qr_tls_fed(c->tls);
        if (c->state < ST_READY && c->consumed > QR_CHAN_HANDSHAKE_MAX) {
            return qr_chan_fail(c, QR_ERR_TOO_LARGE, "more than %u bytes before it was accepted",
                                (unsigned)QR_CHAN_HANDSHAKE_MAX);
        }
    }
    return QR_OK;
}

qr_err
qr_chan_input(struct qr_chan *c, qr_view in)
{
    if (c->state == ST_DEAD) {
        c->row->class_[QR_CLASSES_OVERHEAD].wire[QR_DIR_IN] += in.len;
        return QR_ERR_LINK_CLOSED;
    }
    c->row->class_[QR_CLASSES_OVERHEAD].wire[QR_DIR_IN] += in.len;
    qr_ledger_tcpip(c->row, QR_DIR_IN, in.len);
    qr_tls_feed(c->tls, in);
    int handshaking = c->state < ST_READY;
    qr_err e = input(c, in.len);
    if (e == QR_OK && handshaking) {
        e = qr_chan_push(c); /* later, the owner pushes what it has gathered */
    }
    if (e != QR_OK) {
        qr_chan_close(c, e);
    }
    return e;
}

qr_err
qr_chan_start(struct qr_chan *c)
{
    int done;
    QR_ASSERT(c->role == QR_ROLE_CLIENT && c->state == ST_TLS);
    qr_err e = qr_tls_handshake(c->tls, &done);
    tally_as(c, QR_CLASSES_HANDSHAKE);
    return e == QR_OK ? e : qr_chan_fail(c, e, "cannot start TLS: %s", qr_tls_why(c->tls));
}

int
qr_chan_is_ready(const struct qr_chan *c)
{
    return c->state == ST_READY;
}

const struct qr_hello *
qr_chan_peer(const struct qr_chan *c)
{
    return c->identified ? &c->peer : NULL;
}

const struct qr_claims *
qr_chan_claims(const struct qr_chan *c)
{
    return &c->claims;
}

const char *
qr_chan_why(const struct qr_chan *c)
{
    return c->why[0] ? c->why : "no reason known";
}

const char *
qr_chan_stage(const struct qr_chan *c)
{
    return stages[c->state == ST_DEAD ? c->died_in : c->state].name;
}
