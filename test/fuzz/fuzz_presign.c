/*
 * A batch of presignatures between two parties (t = 2, B = 4) whose messages a script delivers,
 * changes, repeats, drops, swaps and invents; then they sign.
 *
 * Three batches are prepared once: nothing said; PRESIGN1 in flight; PRESIGN2 in flight. The first
 * byte chooses one; the rest is the script. Must hold: a batch that nobody touched ends well; a
 * signature that comes out verifies, also by OpenSSL; a machine that failed holds no result, has
 * taken back what it reserved and stays silent; CHECK names the peer.
 */
#include "test/fuzz/kit_quorum.h"

enum { FRESH, FIRST, SECOND, STAGES };
#define B 4

static struct quorum *stage[STAGES];
static const uint16_t S[2] = {1, 2};

static struct quorum *
prepare(int until)
{
    struct quorum *q = quorum_new(2, 2, "fuzz presign");
    struct qr_batch_id id;

    FUZZ_MUST(quorum_pairs_all(q) == QR_OK && quorum_dkg(q) == QR_OK);
    quorum_batch_id(q, S, 2, B, &id);
    FUZZ_MUST(quorum_presign_init(q, &id) == QR_OK);
    if (until >= FIRST) {
        quorum_presign_start(q, 1);
        quorum_presign_start(q, 2);
    }
    if (until >= SECOND) {
        /* all of round 1, and our own messages of round 2 */
        while (q->sent_msgs[QR_MSG_PRESIGN2] < 2) {
            struct quorum_msg *m = q->head && q->head->type == QR_MSG_PRESIGN1 ? quorum_next(q) : 0;
            if (m) {
                quorum_deliver(q, m);
            }
            for (uint16_t i = 1; i <= 2; i++) {
                struct qr_outbox out = quorum_outbox(&q->party[i]);
                uint16_t blame;
                int more;
                FUZZ_MUST(qr_presign_work(q->party[i].ps, &q->party[i].rng, &out, &more, &blame) ==
                          QR_OK);
            }
        }
    }
    return q;
}

/* One quantum of one party. */
static void
work(struct quorum *q, uint16_t i, int touched)
{
    struct quorum_party *p = &q->party[i];
    struct qr_outbox out = quorum_outbox(p);
    int more;
    uint16_t blame = 0;
    size_t n;

    if (p->err != QR_OK) {
        return;
    }
    qr_err e = qr_presign_work(p->ps, &p->rng, &out, &more, &blame);
    if (e == QR_ERR_STATE) {
        return; /* not started */
    }
    if (e != QR_OK) {
        p->err = e;
        FUZZ_MUST(touched);
        FUZZ_MUST(e != QR_ERR_CHECK || blame == 3 - i);
        FUZZ_MUST(!qr_presign_done(p->ps) && !qr_presign_result(p->ps, &n) && n == 0);
        /* and for good */
        FUZZ_MUST(qr_presign_work(p->ps, &p->rng, &out, &more, &blame) == QR_ERR_STATE);
        FUZZ_MUST(qr_presign_start(p->ps, &p->rng, &out) == QR_ERR_STATE);
    }
}

static void
sign(struct quorum *q)
{
    struct quorum_input in = {.digest = {0xd1}, .request_id = {1}, .rq = {2}};
    struct quorum_party *p = &q->party[1];

    for (uint16_t i = 1; i <= 2; i++) {
        const struct qr_presig *r = qr_presign_result(q->party[i].ps, &q->party[i].n_presig);
        FUZZ_MUST(r && q->party[i].n_presig == B);
        memcpy(q->party[i].presig, r, B * sizeof *r);
    }
    for (size_t slot = 0; slot < B; slot++) {
        uint8_t sig[64];
        int recid;
        uint16_t blame;
        qr_err e = quorum_sign(q, S, 2, slot, &in, NULL, NULL, sig, &recid, &blame);
        FUZZ_MUST(e == QR_OK);
        FUZZ_MUST(quorum_openssl_verify(p->key.pub.pk, in.digest, sig));
        FUZZ_MUST(quorum_sign(q, S, 2, slot, &in, NULL, NULL, sig, &recid, &blame) ==
                  QR_ERR_CONSUMED);
    }
}

static const enum qr_msg types[] = {QR_MSG_PRESIGN1, QR_MSG_PRESIGN2, 0};

static void
run(const uint8_t *data, size_t size)
{
    struct fuzz_in in = fuzz_in_of(data, size);
    struct quorum *q = stage[fuzz_u8(&in) % STAGES];
    int touched = 0; /* a byte differs from what its sender computed */
    unsigned steps = 0;

    while (in.len > 0 && steps++ < 256) {
        uint8_t op = fuzz_u8(&in);
        uint16_t i = (uint16_t)(1 + (op >> 7));
        if ((op & 15) < FUZZ_QUEUE_OPS) {
            fuzz_queue(q, &in, op, types, &touched);
            continue;
        }
        switch (op & 15) {
        case 11: {
            struct qr_outbox out = quorum_outbox(&q->party[i]);
            qr_err e = qr_presign_start(q->party[i].ps, &q->party[i].rng, &out);
            if (e != QR_OK && e != QR_ERR_STATE) {
                FUZZ_MUST(touched);
                q->party[i].err = e;
            }
            break;
        }
        case 12: /* the pair is set up anew, or retired, meanwhile */
            qr_pair_wipe(q->party[i].pair[3 - i]);
            touched = 1;
            break;
        case 13:
            q->shuffle = op >> 7;
            break;
        default:
            for (unsigned k = 1 + (op >> 4 & 7u); k > 0; k--) {
                work(q, i, touched);
            }
        }
    }
    /* What is left arrives, unless the script cut it off. */
    for (int busy = 1; busy;) {
        busy = 0;
        if (q->head) {
            quorum_deliver(q, quorum_next(q));
            busy = 1;
        }
        for (uint16_t i = 1; i <= 2; i++) {
            size_t before = q->outstanding;
            if (q->party[i].err == QR_OK && !qr_presign_done(q->party[i].ps)) {
                struct quorum_party *p = &q->party[i];
                struct qr_outbox out = quorum_outbox(p);
                int more = 1;
                uint16_t blame;
                while (more && p->err == QR_OK) {
                    qr_err e = qr_presign_work(p->ps, &p->rng, &out, &more, &blame);
                    if (e != QR_OK) {
                        FUZZ_MUST(touched || e == QR_ERR_STATE);
                        p->err = e;
                    }
                }
            }
            busy |= q->outstanding != before;
        }
    }
    for (uint16_t i = 1; i <= 2; i++) {
        FUZZ_MUST(q->party[i].err == QR_OK || touched || q->party[i].err == QR_ERR_STATE);
    }
    if (qr_presign_done(q->party[1].ps) && qr_presign_done(q->party[2].ps)) {
        sign(q);
    }
    qr_presign_wipe(q->party[1].ps);
    qr_presign_wipe(q->party[2].ps);
    FUZZ_MUST(q->outstanding == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!stage[FRESH]) {
        fuzz_prepare(1);
        for (int i = 0; i < STAGES; i++) {
            stage[i] = prepare(i);
        }
        fuzz_prepare(0);
    }
    fuzz_child(run, data, size);
    return 0;
}
