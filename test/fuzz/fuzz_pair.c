/*
 * A pair set-up between two parties whose messages a script delivers, changes, repeats, drops and
 * turns round.
 *
 * Prepared once, at three points: PAIR1, PAIR2 or PAIR3 in flight; the first byte chooses. Must hold:
 * untouched messages make an active pair; when both are active, Bob's leaves equal Alice's at all
 * places but the punctured one, and the zero seeds are equal; a machine that failed has no keys.
 */
#include "protocol/base/mem.h"
#include "test/fuzz/kit_quorum.h"

#define STAGES 3
static struct quorum *stage[STAGES];
static const enum qr_msg types[] = {QR_MSG_PAIR1, QR_MSG_PAIR2, QR_MSG_PAIR3, 0};

static struct quorum *
prepare(int messages)
{
    struct quorum *q = quorum_new(2, 2, "fuzz pair");

    for (uint16_t i = 1; i <= 2; i++) {
        struct quorum_party *p = &q->party[i], *peer = &q->party[3 - i];
        struct qr_pair_params prm = {.self = i, .peer = peer->index};
        memcpy(prm.id_self, p->id_pk, 32);
        memcpy(prm.id_peer, peer->id_pk, 32);
        memcpy(prm.nonce_self, p->nonce, 32);
        memcpy(prm.nonce_peer, peer->nonce, 32);
        void *mem = qr_locked_alloc(qr_pair_size(), NULL);
        FUZZ_MUST(mem);
        p->pair[peer->index] = qr_pair_init(mem, &prm);
    }
    for (uint16_t i = 1; i <= 2; i++) {
        struct qr_outbox out = quorum_outbox(&q->party[i]);
        FUZZ_MUST(qr_pair_start(q->party[i].pair[3 - i], &q->party[i].rng, &out) == QR_OK);
    }
    for (int k = 0; k < messages; k++) {
        quorum_deliver(q, quorum_next(q));
    }
    return q;
}

static void
same(const struct quorum *q)
{
    const struct qr_pair_keys *a = qr_pair_keys(q->party[1].pair[2]);
    const struct qr_pair_keys *b = qr_pair_keys(q->party[2].pair[1]);

    FUZZ_MUST(a && b && memcmp(a->zero_seed.b, b->zero_seed.b, 32) == 0);
    for (size_t g = 0; g < QR_PPRF_GROUPS; g++) {
        for (size_t x = 0; x < 256; x++) {
            FUZZ_MUST(x == a->delta.b[g] ||
                      memcmp(a->alice_seed[g][x].b, b->bob_seed[g][x].b, 16) == 0);
            FUZZ_MUST(x == b->delta.b[g] ||
                      memcmp(b->alice_seed[g][x].b, a->bob_seed[g][x].b, 16) == 0);
        }
    }
}

static void
run(const uint8_t *data, size_t size)
{
    struct fuzz_in in = fuzz_in_of(data, size);
    struct quorum *q = stage[fuzz_u8(&in) % STAGES];
    int touched = 0, lost = 0;
    unsigned active = 0;

    for (unsigned steps = 0; in.len > 0 && steps < 64; steps++) {
        uint8_t op = fuzz_u8(&in);
        lost |= (op & 15) == 5;
        if ((op & 15) < FUZZ_QUEUE_OPS) {
            fuzz_queue(q, &in, op, types, &touched);
        } else if ((op & 15) == FUZZ_QUEUE_OPS) {
            struct qr_outbox out = quorum_outbox(&q->party[1]);
            FUZZ_MUST(qr_pair_start(q->party[1].pair[2], &q->party[1].rng, &out) == QR_ERR_STATE);
        } else {
            q->shuffle = op >> 7;
        }
    }
    while (q->head) {
        quorum_deliver(q, quorum_next(q));
    }
    for (uint16_t i = 1; i <= 2; i++) {
        const struct qr_pair *p = q->party[i].pair[3 - i];
        FUZZ_MUST(q->party[i].err == QR_OK || touched);
        FUZZ_MUST(!qr_pair_active(p) || !qr_pair_failed(p));
        FUZZ_MUST(qr_pair_active(p) == (qr_pair_keys(p) != NULL));
        FUZZ_MUST(!qr_pair_failed(p) || q->party[i].err != QR_OK);
        active += (unsigned)qr_pair_active(p);
    }
    FUZZ_MUST(q->outstanding == 0);
    if (active == 2) {
        same(q);
    } else {
        FUZZ_MUST(touched || lost);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!stage[0]) {
        static const int messages[STAGES] = {0, 2, 4};
        fuzz_prepare(1);
        for (int i = 0; i < STAGES; i++) {
            stage[i] = prepare(messages[i]);
        }
        fuzz_prepare(0);
    }
    fuzz_child(run, data, size);
    return 0;
}
