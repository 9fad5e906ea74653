/*
 * Whole daemons (test/common/cluster.h): stores, the software TEE, TLS links, key generation, signing,
 * and a restart that reads everything back. Sealing keys, identity keys, generators' states, TLS
 * exporters and all that the protocol draws are secret; see wrap_own.c.
 */
#include "test/ctime/ctime.h"

#include <string.h>

#include "test/common/cluster.h"

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

void
drive_daemon(void)
{
    const uint8_t other[32] = {0};
    struct cluster c;
    uint8_t pk[33];

    cluster_start(&c, 2, NULL);
    cluster_keygen(&c, 2, pk);
    sign(&c, 1, pk, "constant-time-one");
    must(ask(&c, 1)->is_signed, "the same request, answered from memory");
    sign(&c, 2, pk, "constant-time-two");
    questions(&c, pk);
    qr_pairs_on_abort(c.p[1].party, 2, other);
    cluster_kill(&c, 2);
    cluster_boot(&c, 2);
    /* as if the confirmations had not arrived before it was killed: its peer sends them */
    c.p[2].party->key[0].key->state = QR_KEY_PENDING;
    must(cluster_until(&c, 20000, cluster_linked, NULL), "linked again");
    sign(&c, 1, pk, "after-the-restart-1");
    must(c.p[2].party->key[0].key->state == QR_KEY_ACTIVE, "a key that the peer completed");
    refusal(&c, pk);
    cluster_stop(&c);
}
