/*
 * The handshake: HELLO, EVIDENCE, CONFIRM; what we say and what we accept.
 */
#include "transport/chan_int.h"

#include "protocol/base/hash.h"
#include "protocol/base/mem.h"
#include "protocol/base/secret.h"

#include <stdio.h>

#define VERDICT_ACCEPTED 1u

static size_t
side(enum qr_role r)
{
    return r == QR_ROLE_CLIENT ? QR_CHAN_CLIENT : QR_CHAN_SERVER;
}

static size_t
own_side(const struct qr_chan *c)
{
    return side(c->role);
}

static size_t
peer_side(const struct qr_chan *c)
{
    return c->role == QR_ROLE_CLIENT ? QR_CHAN_SERVER : QR_CHAN_CLIENT;
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
    qr_buf_put(&w, c->hello_hash[QR_CHAN_CLIENT], 32);
    qr_buf_put(&w, c->hello_hash[QR_CHAN_SERVER], 32);
    qr_buf_put(&w, c->evidence_hash[QR_CHAN_CLIENT], 32);
    qr_buf_put(&w, c->evidence_hash[QR_CHAN_SERVER], 32);
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

qr_err
qr_chan_hs_begin(struct qr_chan *c)
{
    memcpy(c->binding.spki_client, qr_tls_spki(c->tls, QR_ROLE_CLIENT), 32);
    memcpy(c->binding.spki_server, qr_tls_spki(c->tls, QR_ROLE_SERVER), 32);
    if (qr_tls_export(c->tls, QR_EXPORTER_ATTEST, c->binding.exporter) != QR_OK ||
        qr_tls_export(c->tls, QR_EXPORTER_CONFIRM, c->confirm_key) != QR_OK) {
        return qr_chan_fail(c, QR_ERR_TLS, "TLS exports no key");
    }
    qr_rng_fill(&c->env->rng, c->own.nonce, sizeof c->own.nonce);
    c->state = CHAN_HELLO;
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
    c->state = CHAN_EVIDENCE;
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
    qr_err e = a->verify(a->ctx, c->peer.index, (enum qr_platform)c->peer.platform,
                         c->peer.boot_nonce, evidence, binder, &c->claims, why, sizeof why);
    if (e != QR_OK) {
        return qr_chan_fail(c, e, "%s evidence refused: %s",
                            qr_platform_name((enum qr_platform)c->peer.platform),
                            why[0] ? why : qr_err_text(e));
    }
    c->state = CHAN_CONFIRM;
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
    c->state = CHAN_READY;
    return c->ev.on_ready(c->ev.ctx);
}

qr_err
qr_chan_hs_frame(struct qr_chan *c, qr_view body)
{
    switch (c->state) {
    case CHAN_HELLO:
        return hear_hello(c, body);
    case CHAN_EVIDENCE:
        return hear_evidence(c, body);
    case CHAN_CONFIRM:
        return hear_confirm(c, body);
    case CHAN_TLS:
    case CHAN_READY:
    case CHAN_DEAD:
        break;
    }
    return qr_chan_fail(c, QR_ERR_INTERNAL, "handshake frame in state %d", (int)c->state);
}

qr_err
qr_chan_secret(const struct qr_chan *c, uint8_t out[static 32])
{
    return c->state == CHAN_READY ? qr_tls_export(c->tls, QR_EXPORTER_CHAIN, out) : QR_ERR_STATE;
}
