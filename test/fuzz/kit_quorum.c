#include "test/fuzz/kit_quorum.h"

static enum qr_msg
type_of(const enum qr_msg *types, unsigned k)
{
    unsigned n = 0;
    while (types[n] != 0) {
        n++;
    }
    return types[k % n];
}

static void
changed(struct quorum *q, struct fuzz_in *in, uint8_t op, const enum qr_msg *types)
{
    struct quorum_msg *m = q->head;
    uint16_t from = m->from;

    switch (op & 15) {
    case 2:
        fuzz_flip(in, m->p, m->len);
        break;
    case 3:
        for (unsigned k = 2 + (op >> 4); k > 0; k--) {
            fuzz_flip(in, m->p, m->len);
        }
        break;
    case 6:
        if (from >= 1 && from <= q->n) { /* an invented one may come from nobody */
            m->from = m->to;
            m->to = from;
        }
        break;
    case 7:
        m->type = type_of(types, op >> 4);
        break;
    default:
        m->len = m->len ? fuzz_u32(in) % m->len : 0;
    }
}

void
fuzz_queue(struct quorum *q, struct fuzz_in *in, uint8_t op, const enum qr_msg *types, int *touched)
{
    struct quorum_msg *m = q->head;
    uint16_t n = q->n;

    switch (op & 15) {
    case 0:
    case 1:
        if (m) {
            quorum_deliver(q, quorum_next(q));
        }
        break;
    case 2:
    case 3:
    case 6:
    case 7:
    case 8:
        if (m) {
            changed(q, in, op, types);
            *touched = 1;
        }
        break;
    case 4:
        if (m) {
            uint8_t sid[32];
            memcpy(sid, m->sid, 32);
            quorum_inject(q, m->from, m->to, m->type, sid, qr_view_of(m->p, m->len));
        }
        break;
    case 5:
        if (m) {
            m = quorum_next(q);
            m->drop = 1;
            quorum_deliver(q, m);
        }
        break;
    case 9: {
        uint8_t who = fuzz_u8(in);
        uint16_t from = (uint16_t)(who & 15u), to = (uint16_t)(1u + (who >> 4) % n);
        uint8_t sid[32] = {0};
        if (q->party[to].pair[from <= n ? from : 1]) {
            memcpy(sid, qr_pair_sid(q->party[to].pair[from <= n ? from : 1]), 32);
        }
        quorum_inject(q, from <= n ? from : 1, to, type_of(types, op >> 4), sid, fuzz_bytes(in));
        *touched = 1;
        break;
    }
    default:
        q->reserve_fails_after = op >> 4;
        *touched = 1;
    }
}
