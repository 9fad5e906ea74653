/* See wiretap.h. The __wrap_ functions stand in front of the real ones (-Wl,--wrap). */
#include "test/common/wiretap.h"

#include "protocol/base/check.h"

#include <string.h>

static struct wiretap *tap;

uint8_t *__real_qr_net_reserve(void *net, uint16_t to, enum qr_msg type, uint32_t epoch,
                               const uint8_t sid[32], size_t len);
void __real_qr_net_commit(void *net, uint16_t to, uint8_t *p);
void __real_qr_net_cancel(void *net, uint16_t to, uint8_t *p);
qr_err __real_qr_net_send(struct qr_net *n, uint16_t to, enum qr_msg type, uint32_t epoch,
                          const uint8_t sid[32], qr_view payload);
qr_err __real_qr_store_put(struct qr_store *s, enum qr_table t, const char *name, qr_view value);
qr_err __real_qr_store_del(struct qr_store *s, enum qr_table t, const char *name);

struct qr_link *__real_qr_link_sock_new(const struct qr_link_events *ev);
struct qr_link *__wrap_qr_link_sock_new(const struct qr_link_events *ev);
qr_err __real_qr_presign_work(struct qr_presign *p, const struct qr_rng *rng,
                              const struct qr_outbox *out, int *ret_more, uint16_t *ret_blame);
void __real_qr_pair_wipe(struct qr_pair *p);
qr_err __real_qr_cot_recv(const uint8_t *rsid, const struct qr_sec16 (*seed)[256],
                          const struct qr_sec16 *delta, uint16_t B, const uint8_t *msg,
                          struct qr_aes *aes, void *scratch, struct qr_sec16 *rows_q);

qr_err __wrap_qr_presign_work(struct qr_presign *p, const struct qr_rng *rng,
                              const struct qr_outbox *out, int *ret_more, uint16_t *ret_blame);
void __wrap_qr_pair_wipe(struct qr_pair *p);
qr_err __wrap_qr_cot_recv(const uint8_t *rsid, const struct qr_sec16 (*seed)[256],
                          const struct qr_sec16 *delta, uint16_t B, const uint8_t *msg,
                          struct qr_aes *aes, void *scratch, struct qr_sec16 *rows_q);
uint8_t *__wrap_qr_net_reserve(void *net, uint16_t to, enum qr_msg type, uint32_t epoch,
                               const uint8_t sid[32], size_t len);
void __wrap_qr_net_commit(void *net, uint16_t to, uint8_t *p);
void __wrap_qr_net_cancel(void *net, uint16_t to, uint8_t *p);
qr_err __wrap_qr_net_send(struct qr_net *n, uint16_t to, enum qr_msg type, uint32_t epoch,
                          const uint8_t sid[32], qr_view payload);
qr_err __wrap_qr_store_put(struct qr_store *s, enum qr_table t, const char *name, qr_view value);
qr_err __wrap_qr_store_del(struct qr_store *s, enum qr_table t, const char *name);

/* Reserved and not yet committed: what the tap must know of it at commit. */
#define RESERVED 512
static struct reserved {
    uint8_t *p;
    enum qr_msg type;
    uint32_t epoch;
    uint8_t sid[32];
    size_t len;
} reserved[RESERVED];

static uint16_t
party_of_net(const void *net)
{
    for (uint16_t i = 1; tap && i <= tap->c->n; i++) {
        if (tap->c->p[i].alive && tap->c->p[i].party->net == net) {
            return i;
        }
    }
    return 0;
}

static uint16_t
party_of_store(const struct qr_store *s)
{
    for (uint16_t i = 1; tap && i <= tap->c->n; i++) {
        if (tap->c->p[i].alive && tap->c->p[i].store == s) {
            return i;
        }
    }
    return 0;
}

static struct wire_event *
add(enum wire_what what, uint16_t from)
{
    struct wire_event *e = &tap->ev[tap->n++ % WIRETAP_EVENTS];
    *e = (struct wire_event){.what = what, .from = from};
    return e;
}

static void
note_sent(const struct wire_msg *m)
{
    struct wire_event *e = add(WIRE_SENT, m->from);
    e->to = m->to;
    e->type = m->type;
    memcpy(e->sid, m->sid, 32);
    if (m->type == QR_MSG_ABORT && m->len == 2) {
        e->code = qr_get16(m->p);
    }
    if (m->type == QR_MSG_SIGN_SHARE && m->len >= 6) {
        e->code = qr_get16(m->p + 4);
    }
    tap->sent++;
}

void
wiretap_on(struct wiretap *w, struct cluster *c,
           void (*on_msg)(void *ctx, struct wiretap *w, struct wire_msg *m), void *ctx)
{
    *w = (struct wiretap){.c = c, .on_msg = on_msg, .ctx = ctx};
    w->ev = qr_alloc(WIRETAP_EVENTS * sizeof *w->ev);
    QR_ASSERT(w->ev != NULL && tap == NULL);
    memset(reserved, 0, sizeof reserved);
    tap = w;
}

void
wiretap_off(struct wiretap *w)
{
    QR_ASSERT(tap == w);
    tap = NULL;
    w->ev = qr_free(w->ev);
}

const struct wire_event *
wiretap_event(const struct wiretap *w, size_t k)
{
    return &w->ev[k % WIRETAP_EVENTS];
}

size_t
wiretap_find_sent(const struct wiretap *w, size_t from, uint16_t party, enum qr_msg type)
{
    for (size_t k = from; k < w->n; k++) {
        const struct wire_event *e = wiretap_event(w, k);
        if (e->what == WIRE_SENT && e->from == party && (type == 0 || e->type == type)) {
            return k;
        }
    }
    return w->n;
}

size_t
wiretap_find(const struct wiretap *w, size_t from, uint16_t party, enum wire_what what)
{
    for (size_t k = from; k < w->n; k++) {
        if (wiretap_event(w, k)->what == what && wiretap_event(w, k)->from == party) {
            return k;
        }
    }
    return w->n;
}

size_t
wiretap_find_stored(const struct wiretap *w, size_t from, uint16_t party, enum qr_table table,
                    const char *name)
{
    for (size_t k = from; k < w->n; k++) {
        const struct wire_event *e = wiretap_event(w, k);
        if (e->what == WIRE_STORED && e->from == party && e->table == table &&
            strcmp(e->name, name) == 0) {
            return k;
        }
    }
    return w->n;
}

void
wiretap_say(struct wiretap *w, uint16_t from, uint16_t to, enum qr_msg type, uint32_t epoch,
            const uint8_t sid[32], qr_view payload)
{
    qr_err e = __real_qr_net_send(w->c->p[from].party->net, to, type, epoch, sid, payload);
    (void)e; /* a queue that is full loses it, as a network might */
}

/* ---- the wrappers ------------------------------------------------------------------------ */

uint8_t *
__wrap_qr_net_reserve(void *net, uint16_t to, enum qr_msg type, uint32_t epoch,
                      const uint8_t sid[32], size_t len)
{
    uint8_t *p = __real_qr_net_reserve(net, to, type, epoch, sid, len);
    for (size_t i = 0; tap && p && i < RESERVED; i++) {
        if (reserved[i].p == NULL) {
            reserved[i] = (struct reserved){.p = p, .type = type, .epoch = epoch, .len = len};
            memcpy(reserved[i].sid, sid, 32);
            break;
        }
    }
    return p;
}

static struct reserved *
forget(const uint8_t *p, struct reserved *ret)
{
    for (size_t i = 0; tap && i < RESERVED; i++) {
        if (reserved[i].p == p) {
            *ret = reserved[i];
            reserved[i] = (struct reserved){0};
            return ret;
        }
    }
    return NULL;
}

void
__wrap_qr_net_cancel(void *net, uint16_t to, uint8_t *p)
{
    struct reserved r;
    (void)forget(p, &r);
    __real_qr_net_cancel(net, to, p);
}

void
__wrap_qr_net_commit(void *net, uint16_t to, uint8_t *p)
{
    struct reserved r;
    uint16_t from = party_of_net(net);
    if (!forget(p, &r) || from == 0) {
        __real_qr_net_commit(net, to, p);
        return;
    }
    struct wire_msg m = {.from = from, .to = to, .type = r.type, .epoch = r.epoch, .len = r.len};
    memcpy(m.sid, r.sid, 32);
    if (tap->on_msg) {
        m.p = qr_alloc(r.len + 64);
        QR_ASSERT(m.p != NULL);
        memcpy(m.p, p, r.len);
        tap->on_msg(tap->ctx, tap, &m);
        if (m.drop || m.to != to || m.type != r.type || m.epoch != r.epoch || m.len != r.len ||
            memcmp(m.sid, r.sid, 32) != 0) {
            __real_qr_net_cancel(net, to, p);
            if (!m.drop) {
                note_sent(&m);
                qr_err e =
                    __real_qr_net_send(net, m.to, m.type, m.epoch, m.sid, qr_view_of(m.p, m.len));
                (void)e;
            }
            qr_free(m.p);
            return;
        }
        memcpy(p, m.p, r.len);
        qr_free(m.p);
    }
    m.p = p;
    note_sent(&m);
    __real_qr_net_commit(net, to, p);
}

qr_err
__wrap_qr_net_send(struct qr_net *n, uint16_t to, enum qr_msg type, uint32_t epoch,
                   const uint8_t sid[32], qr_view payload)
{
    uint16_t from = party_of_net(n);
    if (from == 0) {
        return __real_qr_net_send(n, to, type, epoch, sid, payload);
    }
    struct wire_msg m = {.from = from, .to = to, .type = type, .epoch = epoch, .len = payload.len};
    memcpy(m.sid, sid, 32);
    m.p = qr_alloc(payload.len + 64);
    QR_ASSERT(m.p != NULL);
    if (payload.len) {
        memcpy(m.p, payload.p, payload.len);
    }
    if (tap->on_msg) {
        tap->on_msg(tap->ctx, tap, &m);
    }
    qr_err e = QR_OK;
    if (!m.drop) {
        note_sent(&m);
        e = __real_qr_net_send(n, m.to, m.type, m.epoch, m.sid, qr_view_of(m.p, m.len));
    }
    qr_free(m.p);
    return e;
}

static void
note_store(enum wire_what what, const struct qr_store *s, enum qr_table t, const char *name)
{
    uint16_t from = party_of_store(s);
    if (from) {
        struct wire_event *e = add(what, from);
        e->table = t;
        (void)snprintf(e->name, sizeof e->name, "%s", name);
    }
}

qr_err
__wrap_qr_store_put(struct qr_store *s, enum qr_table t, const char *name, qr_view value)
{
    qr_err e = __real_qr_store_put(s, t, name, value);
    if (e == QR_OK) {
        note_store(WIRE_STORED, s, t, name);
    }
    return e;
}

qr_err
__wrap_qr_store_del(struct qr_store *s, enum qr_table t, const char *name)
{
    qr_err e = __real_qr_store_del(s, t, name);
    if (e == QR_OK) {
        note_store(WIRE_DELETED, s, t, name);
    }
    return e;
}

/* ---- verdicts ---------------------------------------------------------------------------- */

static uint16_t working; /* whose machine is at work; 0: nobody's that is tapped */

static uint16_t
party_of_machine(const struct qr_presign *m)
{
    for (uint16_t i = 1; tap && i <= tap->c->n; i++) {
        for (size_t k = 0; tap->c->p[i].alive && k < QR_BATCH_RUNS; k++) {
            if (tap->c->p[i].party->batch[k].used && tap->c->p[i].party->batch[k].m == m) {
                return i;
            }
        }
    }
    return 0;
}

qr_err
__wrap_qr_presign_work(struct qr_presign *p, const struct qr_rng *rng, const struct qr_outbox *out,
                       int *ret_more, uint16_t *ret_blame)
{
    working = party_of_machine(p);
    qr_err e = __real_qr_presign_work(p, rng, out, ret_more, ret_blame);
    if (e != QR_OK && working) {
        struct wire_event *ev = add(e == QR_ERR_CHECK ? WIRE_CHECK : WIRE_FAILED, working);
        ev->to = *ret_blame;
        ev->code = (uint16_t)e;
    }
    working = 0;
    return e;
}

qr_err
__wrap_qr_cot_recv(const uint8_t *rsid, const struct qr_sec16 (*seed)[256],
                   const struct qr_sec16 *delta, uint16_t B, const uint8_t *msg, struct qr_aes *aes,
                   void *scratch, struct qr_sec16 *rows_q)
{
    qr_err e = __real_qr_cot_recv(rsid, seed, delta, B, msg, aes, scratch, rows_q);
    if (working) {
        add(WIRE_C1, working)->code = (uint16_t)e;
    }
    return e;
}

void
__wrap_qr_pair_wipe(struct qr_pair *p)
{
    uint16_t owner = 0;
    for (uint16_t i = 1; tap && i <= tap->c->n; i++) {
        for (uint16_t j = 1; tap->c->p[i].alive && j <= QR_MAX_PARTIES; j++) {
            owner = tap->c->p[i].party->peer[j].pair == p ? i : owner;
        }
    }
    __real_qr_pair_wipe(p);
    if (owner) {
        const uint8_t *b = (const uint8_t *)p;
        size_t left = 0;
        /* its sid and attempt stay readable by contract; nothing longer may */
        for (size_t k = 0; k < qr_pair_size(); k++) {
            left += b[k] != 0;
        }
        add(WIRE_WIPED, owner)->code = left <= 256 && qr_pair_keys(p) == NULL;
    }
}

/* ---- bytes on the links ------------------------------------------------------------------ */

static const struct qr_link_ops *real_ops;
static struct qr_link_ops noisy_ops;

static size_t
noisy_send(struct qr_conn *c, qr_view data)
{
    uint8_t copy[4096];
    if (!tap || tap->corrupt == 0 || data.len == 0) {
        return real_ops->send(c, data);
    }
    tap->corrupt--;
    size_t n = data.len < sizeof copy ? data.len : sizeof copy;
    memcpy(copy, data.p, n);
    copy[n / 2] ^= 0x10;
    return real_ops->send(c, qr_view_of(copy, n));
}

struct qr_link *
__wrap_qr_link_sock_new(const struct qr_link_events *ev)
{
    struct qr_link *l = __real_qr_link_sock_new(ev);
    if (l) {
        real_ops = l->ops;
        noisy_ops = *l->ops;
        noisy_ops.send = noisy_send;
        l->ops = &noisy_ops;
    }
    return l;
}
