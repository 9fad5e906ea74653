#include "transport/hello.h"

#include "protocol/base/buf.h"
#include "protocol/base/check.h"
#include "protocol/base/hash.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

static void
digest(const struct qr_binding *b, const uint8_t *body, uint8_t out[static 32])
{
    /* The role is inside the body, too; as a field of its own it needs no parsing to be read. */
    qr_th(QR_TAG_HELLO,
          QR_FIELDS(QR_F(b->exporter, 32), QR_F(b->spki_client, 32), QR_F(b->spki_server, 32),
                    QR_F(body + 3, 1), QR_F(body, QR_HELLO_BODY_LEN)),
          out);
}

qr_err
qr_hello_make(const struct qr_hello *h, const struct qr_binding *b,
              const struct qr_id_signer *signer, uint8_t out[static QR_HELLO_LEN])
{
    uint8_t msg[32];
    struct qr_buf w = qr_buf_over(out, QR_HELLO_BODY_LEN);

    qr_buf_put8(&w, QR_PROTOCOL_VERSION);
    qr_buf_put16(&w, h->index);
    qr_buf_put8(&w, (uint8_t)h->role);
    qr_buf_put(&w, h->cluster, 32);
    qr_buf_put(&w, h->roster_hash, 32);
    qr_buf_put(&w, h->policy_hash, 32);
    qr_buf_put64(&w, h->roster_serial);
    qr_buf_put64(&w, h->policy_serial);
    qr_buf_put(&w, h->boot_nonce, 32);
    qr_buf_put64(&w, h->boot_counter);
    qr_buf_put(&w, h->nonce, 32);
    qr_buf_put8(&w, h->platform);
    qr_buf_put64(&w, h->store_serial);
    qr_buf_put(&w, h->store_root, 32);
    QR_ASSERT(w.err == QR_OK && w.len == QR_HELLO_BODY_LEN);
    digest(b, out, msg);
    return signer->sign(signer->ctx, msg, out + QR_HELLO_BODY_LEN) == 0 ? QR_OK : QR_ERR_INTERNAL;
}

qr_err
qr_hello_parse(qr_view in, struct qr_hello *ret)
{
    struct qr_hello h;
    struct qr_buf r = qr_buf_read(in);

    /* First of all: the rest of the layout is this version's. */
    if (qr_buf_get8(&r) != QR_PROTOCOL_VERSION) {
        return QR_ERR_VERSION;
    }
    if (in.len != QR_HELLO_LEN) {
        return QR_ERR_LENGTH;
    }
    h.index = qr_buf_get16(&r);
    uint8_t role = qr_buf_get8(&r);
    qr_buf_get(&r, h.cluster, 32);
    qr_buf_get(&r, h.roster_hash, 32);
    qr_buf_get(&r, h.policy_hash, 32);
    h.roster_serial = qr_buf_get64(&r);
    h.policy_serial = qr_buf_get64(&r);
    qr_buf_get(&r, h.boot_nonce, 32);
    h.boot_counter = qr_buf_get64(&r);
    qr_buf_get(&r, h.nonce, 32);
    h.platform = qr_buf_get8(&r);
    h.store_serial = qr_buf_get64(&r);
    qr_buf_get(&r, h.store_root, 32);
    (void)qr_buf_take(&r, QR_IDSIG_LEN);
    QR_TRY(qr_buf_end(&r));
    if ((role != QR_ROLE_CLIENT && role != QR_ROLE_SERVER) || h.index < 1 ||
        h.index > QR_MAX_PARTIES) {
        return QR_ERR_MALFORMED;
    }
    h.role = (enum qr_role)role;
    *ret = h;
    return QR_OK;
}

qr_err
qr_hello_verify(qr_view in, const struct qr_binding *b, const uint8_t id[static QR_IDKEY_LEN])
{
    uint8_t msg[32];

    if (in.len != QR_HELLO_LEN) {
        return QR_ERR_LENGTH;
    }
    digest(b, in.p, msg);
    return crypto_sign_ed25519_verify_detached(in.p + QR_HELLO_BODY_LEN, msg, sizeof msg, id) == 0
               ? QR_OK
               : QR_ERR_IDENTITY;
}

/* One sentence on two versions of a document. */
static void
explain(const char *what, uint64_t theirs, uint64_t ours, char *why, size_t cap)
{
    if (theirs < ours) {
        (void)snprintf(why, cap,
                       "%s serial %" PRIu64 " is behind ours (%" PRIu64 "): load the new %s there",
                       what, theirs, ours, what);
    } else if (theirs > ours) {
        (void)snprintf(why, cap,
                       "%s serial %" PRIu64 " is ahead of ours (%" PRIu64 "): load the new %s here",
                       what, theirs, ours, what);
    } else {
        (void)snprintf(why, cap,
                       "%s serial %" PRIu64
                       " is the same as ours, but the documents differ: compare "
                       "them and issue one with a higher serial",
                       what, theirs);
    }
}

qr_err
qr_hello_match(const struct qr_hello *own, const struct qr_hello *peer, char *why, size_t why_cap)
{
    if (memcmp(own->cluster, peer->cluster, 32) != 0) {
        (void)snprintf(why, why_cap, "belongs to another cluster");
        return QR_ERR_CLUSTER;
    }
    if (memcmp(own->roster_hash, peer->roster_hash, 32) != 0) {
        explain("roster", peer->roster_serial, own->roster_serial, why, why_cap);
        return QR_ERR_ROSTER_MISMATCH;
    }
    if (memcmp(own->policy_hash, peer->policy_hash, 32) != 0) {
        explain("policy", peer->policy_serial, own->policy_serial, why, why_cap);
        return QR_ERR_POLICY_MISMATCH;
    }
    /* The same bytes under two serials: someone's bookkeeping is wrong, and serials guard rollback. */
    if (own->roster_serial != peer->roster_serial) {
        explain("roster", peer->roster_serial, own->roster_serial, why, why_cap);
        return QR_ERR_ROSTER_MISMATCH;
    }
    if (own->policy_serial != peer->policy_serial) {
        explain("policy", peer->policy_serial, own->policy_serial, why, why_cap);
        return QR_ERR_POLICY_MISMATCH;
    }
    return QR_OK;
}

void
qr_hello_binder(const struct qr_hello *prover, const struct qr_hello *verifier,
                const struct qr_binding *b, uint8_t out[static 32])
{
    uint8_t role = (uint8_t)prover->role;
    int client = prover->role == QR_ROLE_CLIENT;
    const uint8_t *own = client ? b->spki_client : b->spki_server;
    const uint8_t *other = client ? b->spki_server : b->spki_client;

    qr_th(QR_TAG_BINDER,
          QR_FIELDS(QR_F(&role, 1), QR_F(&prover->platform, 1), QR_F(b->exporter, 32),
                    QR_F(own, 32), QR_F(other, 32), QR_F(verifier->nonce, 32),
                    QR_F(prover->nonce, 32), QR_F(prover->roster_hash, 32),
                    QR_F(prover->policy_hash, 32), QR_F(prover->boot_nonce, 32)),
          out);
}
