/*
 * Whole daemons (test/common/cluster.h): stores, the software TEE, TLS links, key generation, signing,
 * and a restart that reads everything back. Sealing keys, identity keys, generators' states, TLS
 * exporters and all that the protocol draws are secret; see wrap_own.c.
 */
#include "test/ctime/ctime.h"

#include <string.h>

#include "test/common/cluster.h"
#include "test/common/secretkit.h"

static char body[65536];

static const struct qr_answer *
ask(struct cluster *c, size_t party)
{
    return cluster_wait(c, cluster_sign(c, party, body), 20000);
}

static void
sign(struct cluster *c, size_t party, const uint8_t pk[33], const char *id)
{
    cluster_body(c, pk, id, "0,5", 2, "sha256", body, sizeof body);
    const struct qr_answer *a = ask(c, party);
    must(a != NULL && a->error == QR_OK && a->is_signed, "a signature by daemons");
}

/* What a client or an operator may ask for. */
static void
questions(struct cluster *c, const uint8_t pk[33])
{
    struct qr_ask keys = {.what = QR_ASK_QUERY, .query = QR_QUERY_KEYS};
    struct qr_ask key = {.what = QR_ASK_QUERY, .query = QR_QUERY_KEY, .body = qr_view_of(pk, 33)};
    char line[256];

    const struct qr_answer *a = cluster_wait(c, cluster_ask(c, 1, 0, &keys), 100);
    must(a != NULL && a->error == QR_OK, "the list of keys");
    a = cluster_wait(c, cluster_ask(c, 1, 0, &key), 100);
    must(a != NULL && a->error == QR_OK, "a key's record");
    must(qr_party_ready(c->p[1].party, line, sizeof line), "ready");
}

/* Party 2 hangs: the request leaves the only set there is, and is refused. */
static void
refusal(struct cluster *c, const uint8_t pk[33])
{
    cluster_body(c, pk, "nobody-answers-here", "", 1, "sha256", body, sizeof body);
    c->p[2].frozen = 1;
    const struct qr_answer *a = ask(c, 1);
    c->p[2].frozen = 0;
    must(a != NULL && a->error != QR_OK, "a signature without a quorum");
}

static qr_err
no_key(void *ctx, uint32_t epoch, const char *label, qr_view ad, struct qr_sec32 *ret)
{
    (void)ctx, (void)epoch, (void)label, (void)ad, (void)ret;
    return QR_ERR_PLATFORM;
}

/* Another peer secret; one that the platform fails; a piece that its holder lost. */
static void
rotation(struct cluster *c)
{
    struct qr_party *p = c->p[1].party;
    uint8_t have[QR_CTL_SECRET_HAVE_LEN] = {0};
    qr_err (*derive)(void *ctx, uint32_t epoch, const char *label, qr_view ad,
                     struct qr_sec32 *ret) = c->p[1].tee.derive;

    must(qr_secret_rotate(p, 7) == QR_OK, "a rotation");
    must(cluster_until(c, 20000, secretkit_open, NULL) && p->secret.now.epoch == 7, "its end");
    c->p[1].tee.derive = no_key;
    must(qr_secret_rotate(p, 8) == QR_OK, "a rotation that fails");
    must(cluster_until(c, 20000, secretkit_open, NULL) && p->secret.now.epoch == 7, "as before");
    c->p[1].tee.derive = derive;
    const struct qr_msg_in m = {.from = 2, .payload = qr_view_of(have, sizeof have)};
    p->secret.peer[2].has = 0;
    qr_secret_on_have(p, &m);
}

/* A piece that its holder has: put once more, and another one in its place. */
static void
put_again(struct cluster *c)
{
    uint8_t mem[QR_CTL_SECRET_PUT_LEN];
    struct qr_ctl_secret_put put = {.epoch = 7};
    struct qr_piece piece;

    must(secretkit_piece(c, 2, 1, 7, &piece), "a piece that is held");
    for (size_t i = 0; i < 2; i++) {
        struct qr_buf b = qr_buf_over(mem, sizeof mem);
        piece.blind.b[0] ^= (uint8_t)i;
        put.need = piece.name.need;
        put.piece = piece.y;
        put.blind = piece.blind;
        qr_piece_commitment(&piece, put.commitment);
        qr_ctl_put_secret_put(&b, &put);
        secretkit_say(c, 1, 2, QR_MSG_SECRET_PUT, qr_buf_view(&b));
    }
    piece.blind.b[0] ^= 1;
    struct qr_piece held;
    must(secretkit_piece(c, 2, 1, 7, &held) &&
             qr_sec_eq(held.blind.b, piece.blind.b, sizeof held.blind.b),
         "the piece that came first");
}

void
drive_daemon(void)
{
    const uint8_t other[32] = {0};
    struct cluster c;
    uint8_t pk[33];

    static const struct cluster_how how = {
        .peers = "{\"insecure_sim\":true,\"peer_secret\":{\"threshold\":2}}"};

    cluster_start_as(&c, 2, &how);
    must(cluster_until(&c, 20000, secretkit_open, NULL), "peer secrets");
    cluster_keygen(&c, 2, pk);
    sign(&c, 1, pk, "constant-time-one");
    must(ask(&c, 1)->is_signed, "the same request, answered from memory");
    sign(&c, 2, pk, "constant-time-two");
    questions(&c, pk);
    qr_pairs_on_abort(c.p[1].party, 2, other);
    cluster_kill(&c, 2);
    cluster_boot(&c, 2);
    must(cluster_until(&c, 20000, secretkit_open, NULL), "the secret that came back");
    /* as if the confirmations had not arrived before it was killed: its peer sends them */
    c.p[2].party->key[0].key->state = QR_KEY_PENDING;
    must(cluster_until(&c, 20000, cluster_linked, NULL), "linked again");
    sign(&c, 1, pk, "after-the-restart-1");
    must(c.p[2].party->key[0].key->state == QR_KEY_ACTIVE, "a key that the peer completed");
    refusal(&c, pk);
    rotation(&c);
    put_again(&c);
    cluster_stop(&c);
}
