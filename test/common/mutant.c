/* See mutant.h. */
#include "test/common/mutant.h"

#include "protocol/base/check.h"
#include "protocol/group.h"

#include <string.h>

void
mutator_seed(struct mutator *g, const struct field_shape *shape, const char *seed)
{
    g->n_fields = fields_of(shape, g->fields);
    qr_testrng_seed(&g->rng, seed);
}

/* The list's fields of a type. */
static const struct field *
some_field(struct mutator *g, enum qr_msg type)
{
    const struct field *of[FIELDS_MAX];
    size_t n = 0;

    for (size_t k = 0; k < g->n_fields; k++)
        if (g->fields[k].type == type && g->fields[k].n1 > 0 && g->fields[k].len > 0)
            of[n++] = &g->fields[k];
    return n == 0 ? NULL : of[qr_testrng_below(&g->rng, n)];
}

static void
mutate_field(struct mutator *g, struct mutant *m, const struct field *f, const uint8_t *other)
{
    uint8_t *at =
        m->p + field_at(f, qr_testrng_below(&g->rng, f->n1), qr_testrng_below(&g->rng, f->n2));
    size_t len = f->len, from = (size_t)(at - m->p);
    qr_pt P, G;
    qr_fq a;

    switch (qr_testrng_below(&g->rng, 8)) {
    case 0:
    case 1:
    case 2:
        at[qr_testrng_below(&g->rng, len)] ^= (uint8_t)(1u << qr_testrng_below(&g->rng, 8));
        break;
    case 3:
        qr_testrng_fill(&g->rng, at, len);
        break;
    case 4:
        memset(at, qr_testrng_below(&g->rng, 2) ? 0xff : 0, len);
        break;
    case 5: /* a byte of a larger step: off by one, a carry */
        at[len - 1] = (uint8_t)(at[len - 1] + (qr_testrng_below(&g->rng, 2) ? 1 : 255));
        break;
    case 6: /* the same field of another session */
        memcpy(at, other + from, len);
        break;
    default: /* another value of its kind */
        if (f->kind == FIELD_POINT && qr_pt_parse(&P, at) == QR_OK &&
            qr_pt_mul_base(&G, &qr_fq_one) == QR_OK && qr_pt_add(&P, &P, &G) == QR_OK)
            qr_pt_put(at, &P);
        else if (f->kind == FIELD_SCALAR && qr_fq_parse(&a, at) == QR_OK) {
            qr_fq_neg(&a, &a);
            qr_fq_put(at, &a);
        } else {
            at[0] ^= 0x80;
        }
    }
    m->touched_at[m->n_touched] = from;
    m->touched[m->n_touched++] = f;
}

void
mutant_make(struct mutator *g, struct mutant *m, enum qr_msg type, uint16_t from,
            const uint8_t *honest, const uint8_t *other, size_t len)
{
    *m = (struct mutant){.type = type, .from = from, .len = len};
    memcpy(m->p, honest, len);
    switch (qr_testrng_below(&g->rng, 32)) {
    case 0:
        m->len = qr_testrng_below(&g->rng, len + 32);
        m->other_length = m->len != len;
        break;
    case 1:
        m->len = len + (qr_testrng_below(&g->rng, 2) ? 1 : (size_t)-1);
        m->other_length = 1;
        break;
    case 2: {
        static const enum qr_msg types[] = {QR_MSG_PAIR1,    QR_MSG_DKG1,       QR_MSG_DKG3,
                                            QR_MSG_PRESIGN1, QR_MSG_SIGN_SHARE, QR_MSG_ABORT};
        m->type = types[qr_testrng_below(&g->rng, 6)];
        m->other_place = m->type != type;
        break;
    }
    case 3:
        m->from = (uint16_t)(qr_testrng_below(&g->rng, 2) ? 2 : qr_testrng_below(&g->rng, 65536));
        m->other_place = m->from != from;
        break;
    case 4:
        memcpy(m->p, other, len);
        m->all_touched = 1;
        break;
    case 5: { /* a splice: the beginning of one, the end of the other */
        size_t cut = qr_testrng_below(&g->rng, len);
        memcpy(m->p + cut, other + cut, len - cut);
        m->all_touched = 1;
        break;
    }
    case 6: /* two or three fields at once */
    case 7:
        for (size_t k = 0; k < 3; k++)
            mutate_field(g, m, some_field(g, type), other);
        break;
    case 8: /* nothing: the control */
        break;
    default:
        mutate_field(g, m, some_field(g, type), other);
    }
    /* a change may have been no change, or taken back */
    size_t n = 0;
    for (size_t k = 0; k < m->n_touched; k++)
        if (memcmp(m->p + m->touched_at[k], honest + m->touched_at[k], m->touched[k]->len) != 0)
            m->touched[n++] = m->touched[k];
    m->n_touched = n;
}

int
mutant_untouched(const struct mutant *m)
{
    return m->n_touched == 0 && !m->all_touched && !m->other_length && !m->other_place;
}

int
mutant_may_end(const struct mutator *g, const struct mutant *m, qr_err e)
{
    if (mutant_untouched(m))
        return e == QR_OK;
    for (size_t k = 0; k < m->n_touched; k++)
        if (e == QR_ERR_INFINITY && strcmp(m->touched[k]->name, "dkg2.share") == 0)
            return 1; /* a share of zero */
    for (size_t k = 0; k < m->n_touched; k++)
        if (e == m->touched[k]->changed || (e != QR_OK && e == m->touched[k]->malformed))
            return 1;
    for (size_t k = 0; m->all_touched && k < g->n_fields; k++)
        if (g->fields[k].type == m->type &&
            (e == g->fields[k].changed || e == g->fields[k].malformed))
            return 1;
    return m->all_touched && e == QR_OK; /* a splice may have spliced nothing */
}
