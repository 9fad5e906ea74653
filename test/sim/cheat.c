/*
 * A party that lies. It runs the product's code; what leaves it is changed on the way out, so that
 * every lie is well formed, in its place and correctly authenticated.
 */
#include "test/sim/cheat.h"

#include "protocol/presign_int.h"

static struct {
    unsigned count[SIM_KINDS], victim[SIM_KINDS];
    uint64_t x;
    /* the batch that is told differently to the victim */
    uint8_t split_sid[32], split_salt[32];
    int split;
    /* a PRESIGN_START to say again */
    uint8_t start[QR_CTL_START_LEN], start_sid[32];
    uint32_t start_epoch;
    uint16_t start_to;
    uint64_t again_at;
} ch;

int sim_cheat_forging;

void
sim_cheat_event(const struct sim_event *e)
{
    ch.x = e->x;
    ch.victim[e->kind] = e->b;
    if (e->kind == SIM_CHEAT_FORGE) {
        sim_cheat_forging = 1;
        sim_client_forge(e->a, 1);
        sim_client_forge(e->a, 0);
        return;
    }
    ch.count[e->kind] += 1 + (unsigned)(e->x % 3);
    if (e->kind == SIM_CHEAT_REPLAY && ch.start_to) {
        ch.again_at = sim.now + 1;
    }
}

static int
pick(enum sim_kind kind, uint16_t to)
{
    if (!ch.count[kind] || (to != ch.victim[kind] && (ch.x & 1))) {
        return 0;
    }
    ch.count[kind]--;
    sim_trace("lie", sim.plan->cheater, "%s to=%u", sim_kind_name[kind], to);
    return 1;
}

static void
flip(uint8_t *p, size_t len)
{
    p[sim_below(len)] ^= (uint8_t)(1u << sim_below(8));
}

static const struct qr_presign *
machine(const struct sim_host *h, const uint8_t sid[32])
{
    for (size_t i = 0; i < QR_BATCH_RUNS; i++) {
        const struct qr_batchrun *r = &h->party->batch[i];
        if (r->m && memcmp(r->sid, sid, 32) == 0) {
            return r->m;
        }
    }
    return NULL;
}

/* Another commitment to the same points, opened to the victim with another salt. */
static void
split(struct sim_host *h, uint16_t to, enum qr_msg type, const uint8_t sid[32], uint8_t *p)
{
    if (type == QR_MSG_PRESIGN1 && !ch.split && ch.count[SIM_CHEAT_SPLIT] &&
        to == ch.victim[SIM_CHEAT_SPLIT]) {
        const struct qr_presign *m = machine(h, sid);
        uint8_t self[2];
        if (!m || m->t < 3) {
            return;
        }
        ch.count[SIM_CHEAT_SPLIT]--;
        ch.split = 1;
        memcpy(ch.split_sid, sid, 32);
        memcpy(ch.split_salt, m->salt, 32);
        ch.split_salt[0] ^= 1;
        qr_put16(self, (uint16_t)h->index);
        qr_th(QR_TAG_COM_R,
              QR_FIELDS(QR_F(sid, 32), QR_F(self, 2), QR_F(m->R33, 33u * m->B),
                        QR_F(ch.split_salt, 32)),
              p);
        sim_trace("lie", h->index, "split view to=%u", to);
    } else if (type == QR_MSG_PRESIGN2 && ch.split && to == ch.victim[SIM_CHEAT_SPLIT] &&
               memcmp(sid, ch.split_sid, 32) == 0) {
        memcpy(p, ch.split_salt, 32);
        ch.split = 0;
    }
}

void
sim_cheat_outgoing(struct sim_host *h, uint16_t to, enum qr_msg type, const uint8_t sid[32],
                   uint8_t *p, size_t len)
{
    if (type == QR_MSG_PRESIGN_START && len == sizeof ch.start) {
        memcpy(ch.start, p, len);
        memcpy(ch.start_sid, sid, 32);
        ch.start_epoch = qr_get32(p + 32);
        ch.start_to = to;
    }
    split(h, to, type, sid, p);
    if (type == QR_MSG_SIGN_SHARE && len > 8 && pick(SIM_CHEAT_SHARE, to)) {
        flip(p + 8, len - 8);
    } else if (type == QR_MSG_PRESIGN1 && pick(SIM_CHEAT_COT, to)) {
        flip(p + 32, len - 32);
    } else if (type == QR_MSG_PRESIGN2 && len > 64 && pick(SIM_CHEAT_RVOLE, to)) {
        flip(p + 64, len - 64);
    } else if (len > 0 && sim_below(4) == 0 && pick(SIM_CHEAT_GARBAGE, to)) {
        for (uint64_t i = 1 + sim_below(8); i > 0; i--) {
            flip(p, len);
        }
    }
}

void
sim_cheat_tick(struct sim_host *h)
{
    if (!sim_cheats(h->index) || !h->party->net) {
        return;
    }
    if (ch.count[SIM_CHEAT_REPLAY] && ch.start_to && sim.now >= ch.again_at) {
        ch.count[SIM_CHEAT_REPLAY]--;
        ch.again_at = sim.now + 300 * SIM_MS;
        sim_trace("lie", h->index, "batch begun again to=%u", ch.start_to);
        qr_err e = qr_net_send(h->party->net, ch.start_to, QR_MSG_PRESIGN_START, ch.start_epoch,
                               ch.start_sid, qr_view_of(ch.start, sizeof ch.start));
        (void)e;
    }
    if (ch.count[SIM_CHEAT_GARBAGE] && sim_below(20) == 0) {
        static const enum qr_msg types[] = {
            QR_MSG_PAIR1,       QR_MSG_PAIR2,         QR_MSG_PAIR3,        QR_MSG_DKG1,
            QR_MSG_DKG3,        QR_MSG_PRESIGN1,      QR_MSG_SIGN_REQUEST, QR_MSG_SIGN_SHARE,
            QR_MSG_ADMIN,       QR_MSG_PRESIGN_START, QR_MSG_ABORT,        QR_MSG_RETIRE,
            QR_MSG_STORE_STATE, QR_MSG_KEY_SYNC,      QR_MSG_PRESIGN_DONE};
        uint8_t junk[300], sid[32];
        size_t len = (size_t)sim_below(sizeof junk);
        for (size_t i = 0; i < sizeof junk; i++) {
            junk[i] = (uint8_t)sim_rand();
        }
        memcpy(sid, sim_below(2) ? ch.start_sid : junk, 32);
        ch.count[SIM_CHEAT_GARBAGE]--;
        qr_err e = qr_net_send(h->party->net, (uint16_t)ch.victim[SIM_CHEAT_GARBAGE],
                               types[sim_below(sizeof types / sizeof types[0])], 0, sid,
                               qr_view_of(junk, len));
        (void)e;
    }
}
