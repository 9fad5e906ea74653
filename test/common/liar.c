/* See liar.h. */
#include "test/common/liar.h"

#include "protocol/base/check.h"
#include "protocol/base/mem.h"

#include <string.h>

static uint8_t *
liar_reserve(void *ctx, uint16_t to, enum qr_msg type, uint32_t epoch, const uint8_t sid[32],
             size_t len)
{
    struct liar *l = ctx;

    (void)epoch;
    for (size_t i = 0; i < 8; i++)
        if (l->out[i].p == NULL) {
            l->out[i].p = qr_alloc(len);
            l->out[i].to = to;
            l->out[i].type = type;
            l->out[i].len = len;
            memcpy(l->out[i].sid, sid, 32);
            return l->out[i].p;
        }
    return NULL;
}

static void
finish(struct liar *l, uint8_t *p, int send)
{
    for (size_t i = 0; i < 8; i++)
        if (l->out[i].p == p) {
            if (send && l->out[i].to == l->victim)
                quorum_inject(l->q, 1, l->victim, l->out[i].type, l->out[i].sid,
                              qr_view_of(p, l->out[i].len));
            l->out[i].p = qr_free(p);
            return;
        }
}

static void
liar_commit(void *ctx, uint16_t to, uint8_t *p)
{
    (void)to;
    finish(ctx, p, 1);
}

static void
liar_cancel(void *ctx, uint16_t to, uint8_t *p)
{
    (void)to;
    finish(ctx, p, 0);
}

static struct qr_outbox
liar_box(struct liar *l)
{
    return (struct qr_outbox){l, liar_reserve, liar_commit, liar_cancel};
}

/* What is sent to party 1 goes to both of its machines. */
static void
both_hear(void *ctx, struct quorum *q, struct quorum_msg *m)
{
    struct liars *l = ctx;

    (void)q;
    if (m->to != 1)
        return;
    m->drop = 1;
    for (size_t k = 0; k < 2; k++) {
        struct liar *s = &l->story[k];
        uint8_t *copy = qr_alloc(m->len);
        int kept = 0;
        QR_ASSERT(copy != NULL && s->n_kept < 8);
        memcpy(copy, m->p, m->len);
        s->kept[s->n_kept++] = copy;
        qr_err e = qr_presign_recv(s->ps, m->from, m->type, qr_view_of(copy, m->len), &kept);
        (void)e; /* a second word changes nothing */
    }
}

void
liars_start(struct liars *l, struct quorum *q, const struct qr_batch_id *id, int two_seeds)
{
    const struct qr_pair *pairs[QR_MAX_PARTIES] = {NULL, q->party[1].pair[2], q->party[1].pair[3]};

    memset(l, 0, sizeof *l);
    l->q = q;
    QR_ASSERT(quorum_presign_init(q, id) == QR_OK);
    qr_presign_wipe(q->party[1].ps);
    q->party[1].ps = qr_locked_free(q->party[1].ps);
    for (size_t k = 0; k < 2; k++) {
        struct liar *s = &l->story[k];
        void *mem = qr_locked_alloc(qr_presign_size(3, id->B), NULL);
        s->q = q;
        s->victim = (uint16_t)(2 + k);
        s->key = qr_locked_alloc(sizeof *s->key, NULL);
        QR_ASSERT(mem != NULL && s->key != NULL);
        *s->key = q->party[1].key;
        quorum_rng_seed(&s->seed, k && two_seeds ? "story for 3" : "story for 2");
        s->rng = quorum_rng_of(&s->seed);
        QR_ASSERT(qr_presign_init(mem, s->key, id, pairs, q->party[1].aes, &s->ps) == QR_OK);
        struct qr_outbox out = liar_box(s);
        QR_ASSERT(qr_presign_start(s->ps, &s->rng, &out) == QR_OK);
    }
    quorum_presign_start(q, 2);
    quorum_presign_start(q, 3);
}

static int
work(struct liar *s)
{
    struct qr_outbox out = liar_box(s);
    uint16_t blame;
    int more = 0, any = 0;

    while (qr_presign_work(s->ps, &s->rng, &out, &more, &blame) == QR_OK && more)
        any = 1;
    return any;
}

void
liars_run(struct liars *l)
{
    l->q->tap = both_hear;
    l->q->tap_ctx = l;
    do {
        quorum_pump(l->q);
    } while (work(&l->story[0]) | work(&l->story[1]));
    l->q->tap = NULL;
}

void
liars_end(struct liars *l)
{
    for (size_t k = 0; k < 2; k++) {
        struct liar *s = &l->story[k];
        qr_presign_wipe(s->ps);
        s->ps = qr_locked_free(s->ps);
        s->key = qr_locked_free(s->key);
        for (size_t i = 0; i < s->n_kept; i++)
            qr_free(s->kept[i]);
    }
}
