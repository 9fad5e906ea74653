/*
 * A key generation by three parties (t = 2) whose messages a script delivers, changes, repeats, drops
 * and turns round; confirmations come when the script says.
 *
 * Prepared once: before the start; DKG1, DKG2, DKG3 or DKG4 in flight; the first byte chooses. Must
 * hold: untouched messages end in one key that checks and whose shares check; two parties that hold a
 * complete key hold the same one, whatever was done to the messages; a machine that failed sends
 * nothing more and its key is not ready.
 */
#include "protocol/base/mem.h"
#include "test/fuzz/kit_quorum.h"

#include <sodium.h>

#define N 3
#define STAGES 5
static struct quorum *stage[STAGES];
static const enum qr_msg types[] = {QR_MSG_DKG1, QR_MSG_DKG2, QR_MSG_DKG3, QR_MSG_DKG4, 0};

static int
id_sign(void *ctx, const uint8_t msg[32], uint8_t sig[64])
{
    const struct quorum_party *p = ctx;
    return crypto_sign_detached(sig, NULL, msg, 32, p->id_sk);
}

static qr_err
confirm(struct quorum_party *p)
{
    struct qr_outbox out = quorum_outbox(p);
    struct qr_id_signer s = {p, id_sign};
    return qr_dkg_confirm(p->dkg, &s, &out);
}

static struct quorum *
prepare(int rounds)
{
    struct quorum *q = quorum_new(N, 2, "fuzz dkg");

    for (uint16_t i = 1; i <= N; i++) {
        struct qr_dkg_params prm = q->dkg;
        void *mem = qr_locked_alloc(qr_dkg_size(), NULL);
        prm.self = i;
        FUZZ_MUST(mem && qr_dkg_init(mem, &prm, &q->party[i].dkg) == QR_OK);
    }
    for (uint16_t i = 1; rounds > 0 && i <= N; i++) {
        struct qr_outbox out = quorum_outbox(&q->party[i]);
        FUZZ_MUST(qr_dkg_start(q->party[i].dkg, &q->party[i].rng, &out) == QR_OK);
    }
    for (int r = 1; r < rounds; r++) {
        for (int k = 0; k < N * (N - 1); k++) {
            quorum_deliver(q, quorum_next(q));
        }
        for (uint16_t i = 1; r == 3 && i <= N; i++) {
            FUZZ_MUST(confirm(&q->party[i]) == QR_OK);
        }
    }
    return q;
}

static void
start(struct quorum_party *p, int touched)
{
    struct qr_outbox out = quorum_outbox(p);
    qr_err e = qr_dkg_start(p->dkg, &p->rng, &out);
    FUZZ_MUST(e == QR_OK || e == QR_ERR_STATE || touched);
}

static void
check(struct quorum *q, int touched, int lost)
{
    const struct qr_key *first = NULL;
    unsigned done = 0;

    for (uint16_t i = 1; i <= N; i++) {
        struct quorum_party *p = &q->party[i];
        uint16_t bad;
        FUZZ_MUST(p->err == QR_OK || touched);
        FUZZ_MUST(!qr_dkg_failed(p->dkg) || (!qr_dkg_ready(p->dkg) && !qr_dkg_done(p->dkg)));
        if (!qr_dkg_done(p->dkg)) {
            continue;
        }
        const struct qr_key *k = qr_dkg_key(p->dkg);
        done++;
        FUZZ_MUST(k->state == QR_KEY_ACTIVE && k->self == i);
        FUZZ_MUST(qr_key_check(&k->pub, &bad) == QR_OK && qr_key_check_share(k) == QR_OK);
        first = first ? first : k;
        FUZZ_MUST(memcmp(&first->pub, &k->pub, sizeof k->pub) == 0);
    }
    FUZZ_MUST(done == N || touched || lost);
    FUZZ_MUST(q->outstanding == 0);
}

static void
run(const uint8_t *data, size_t size)
{
    struct fuzz_in in = fuzz_in_of(data, size);
    struct quorum *q = stage[fuzz_u8(&in) % STAGES];
    int touched = 0, lost = 0;

    for (unsigned steps = 0; in.len > 0 && steps < 128; steps++) {
        uint8_t op = fuzz_u8(&in);
        struct quorum_party *p = &q->party[1 + (op >> 4) % N];
        lost |= (op & 15) == 5;
        if ((op & 15) < FUZZ_QUEUE_OPS) {
            fuzz_queue(q, &in, op, types, &touched);
        } else if ((op & 15) == 11) {
            start(p, touched);
        } else if ((op & 15) == 12) {
            q->shuffle = op >> 7;
        } else {
            qr_err e = confirm(p);
            FUZZ_MUST(e == QR_OK || e == QR_ERR_STATE || touched);
        }
    }
    for (uint16_t i = 1; i <= N; i++) {
        start(&q->party[i], touched);
    }
    for (int busy = 1; busy;) {
        busy = 0;
        while (q->head) {
            quorum_deliver(q, quorum_next(q));
        }
        for (uint16_t i = 1; i <= N; i++) {
            if (qr_dkg_ready(q->party[i].dkg) && confirm(&q->party[i]) == QR_OK) {
                busy = 1;
            }
        }
    }
    check(q, touched, lost);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!stage[0]) {
        fuzz_prepare(1);
        for (int i = 0; i < STAGES; i++) {
            stage[i] = prepare(i);
        }
        fuzz_prepare(0);
    }
    fuzz_child(run, data, size);
    return 0;
}
