/*
 * Whole quorums in one process (test/common/quorum.h): key generation with 3 parties, pairs, presigning
 * and signing with t = 2 and t = 3, a hostile batch for each of C1, C2 and C3, a dealer that cheats.
 * The wrappers in wrap_own.c make every draw secret.
 */
#include "test/ctime/ctime.h"
#include "test/ctime/poison.h"

#include <string.h>

#include "protocol/base/hash.h"
#include "protocol/derive.h"
#include "test/common/quorum.h"

static struct quorum_input
input(unsigned n)
{
    struct quorum_input in = {.path = {44, 60, 7}, .depth = 3, .item = (uint16_t)n};
    uint8_t b[2];

    qr_put16(b, (uint16_t)n);
    qr_sha256(qr_view_of(b, 2), in.digest);
    qr_sha256(qr_view_of(in.digest, 32), in.request_id);
    qr_sha256(qr_view_of(in.request_id, 32), in.rq);
    return in;
}

/* A byte of the first message of one type changes on its way. */
struct tamper {
    enum qr_msg type;
    size_t at;
    int done;
};

static void
tamper(void *ctx, struct quorum *q, struct quorum_msg *m)
{
    struct tamper *t = ctx;
    (void)q;
    if (m->type == t->type && !t->done) {
        m->p[t->at] ^= 1;
        t->done = 1;
    }
}

static void
identities_are_secret(struct quorum *q)
{
    for (uint16_t i = 1; i <= q->n; i++)
        poison_secret(q->party[i].id_sk, 32);
}

static void
sign(struct quorum *q, const uint16_t *S, uint16_t t)
{
    uint8_t sig[64];
    int recid;
    uint16_t blame;

    must(quorum_presign(q, S, t, 4) == QR_OK, "presigning");
    for (unsigned slot = 0; slot < 2; slot++) {
        struct quorum_input in = input(slot);
        must(quorum_sign(q, S, t, slot, &in, NULL, NULL, sig, &recid, &blame) == QR_OK, "signing");
    }
    /* a slot that was used, and a presignature of another set */
    struct quorum_input in = input(9);
    must(quorum_sign(q, S, t, 0, &in, NULL, NULL, sig, &recid, &blame) == QR_ERR_CONSUMED,
         "a used presignature");
    q->party[S[0]].presig[2].set_mask ^= 8;
    must(quorum_sign(q, S, t, 2, &in, NULL, NULL, sig, &recid, &blame) == QR_ERR_SET,
         "a presignature of another set");
}

static void
bad_batches(struct quorum *q, const uint16_t *S, uint16_t t)
{
    static const struct {
        enum qr_msg type;
        size_t at;
        const char *what;
    } all[] = {
        {QR_MSG_PRESIGN1, 32 + QR_COT_LEN(4) - 1, "C1"},
        {QR_MSG_PRESIGN2, 64 + 164 + 40, "C2"},
        {QR_MSG_PRESIGN2, 64 + 132 + 31, "a changed psi"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct tamper how = {all[i].type, all[i].at, 0};
        q->tap = tamper;
        q->tap_ctx = &how;
        qr_err err = quorum_presign(q, S, t, 4);
        q->tap = NULL;
        /* a changed psi is found out by the signature that it spoils, no earlier */
        must((err == QR_ERR_CHECK) == (i < 2), all[i].what);
    }
}

/* Set-up and key generation that fail, and an outbox that is full. */
static void
failures(struct quorum *q, const uint16_t *S, uint16_t t)
{
    struct tamper pair = {QR_MSG_PAIR2, 64 + QR_OT2_LEN + 5, 0};
    struct tamper share = {QR_MSG_DKG2, QR_DKG2_BCAST_LEN(2) + 31, 0};

    q->tap = tamper;
    q->tap_ctx = &share;
    must(quorum_dkg(q) != QR_OK && share.done, "a share that does not fit");
    q->tap_ctx = &pair;
    must(quorum_pairs(q, S, t) == QR_ERR_SETUP && pair.done, "a tree that does not fit");
    q->tap = NULL;
    q->reserve_fails_after = 1;
    must(quorum_dkg(q) == QR_ERR_BACKPRESSURE, "a full outbox");
    q->reserve_fails_after = SIZE_MAX;
}

void
drive_quorum(void)
{
    static const uint16_t S2[2] = {1, 3}, S3[3] = {1, 2, 3};
    struct quorum *q = quorum_new(3, 2, "ctime");
    uint8_t rsid[4][32];

    identities_are_secret(q);
    must(quorum_pairs_all(q) == QR_OK, "pairs");
    must(quorum_dkg(q) == QR_OK, "key generation, t = 2");
    sign(q, S2, 2);
    bad_batches(q, S2, 2);
    q->t = 3;
    q->dkg.t = 3;
    must(quorum_dkg(q) == QR_OK, "key generation, t = 3");
    sign(q, S3, 3);
    must(qr_presign_rsids(q->party[1].ps, rsid, 4) == 4, "the names of a batch");
    must(qr_pair_attempt(q->party[1].pair[2]) == 0, "the first attempt");
    q->dkg.t = 2;
    failures(q, S2, 2);
    for (uint16_t i = 1; i <= 3; i++)
        qr_dkg_wipe(q->party[i].dkg);
    qr_pair_wipe(q->party[1].pair[2]);
    quorum_free(q);
}
