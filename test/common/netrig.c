#include "test/common/netrig.h"

#include "protocol/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void
on_up(void *ctx, const struct qr_peer_info *info)
{
    struct rig_party *p = ctx;
    struct rig_view *v = &p->of[info->index];
    v->ups++;
    v->resumed += (unsigned)info->resumed;
    v->info = *info;
    if (!info->resumed) {
        v->next_number = 0;
    }
}

static void
note(struct rig_view *v, qr_err why, const char *detail)
{
    v->why = why;
    (void)snprintf(v->detail, sizeof v->detail, "%s", detail);
}

static void
on_down(void *ctx, uint16_t peer, qr_err why, const char *detail)
{
    struct rig_party *p = ctx;
    p->of[peer].downs++;
    note(&p->of[peer], why, detail);
}

static void
on_refused(void *ctx, uint16_t peer, qr_err why, const char *detail)
{
    struct rig_party *p = ctx;
    p->of[peer].refused++;
    note(&p->of[peer], why, detail);
}

static uint8_t
byte_of(uint64_t number, size_t at)
{
    return (uint8_t)(number * 7 + at * 13 + (at >> 8));
}

static void
check_numbered(struct rig_party *p, struct qr_msg_in *m)
{
    struct rig_view *v = &p->of[m->from];
    assert_true(m->payload.len >= 8);
    assert_int_equal(qr_get64(m->payload.p), v->next_number);
    for (size_t i = 8; i < m->payload.len; i++) {
        if (m->payload.p[i] != byte_of(v->next_number, i)) {
            fail_msg("byte %zu of message %u is wrong", i, (unsigned)v->next_number);
        }
    }
    v->next_number++;
}

static void
on_message(void *ctx, struct qr_msg_in *m)
{
    struct rig_party *p = ctx;
    struct rig_view *v = &p->of[m->from];
    v->received++;
    v->bytes += m->payload.len;
    if (p->on_message) {
        p->on_message(p, m);
    } else {
        check_numbered(p, m);
    }
}

static void
store_state(void *ctx, uint64_t *serial, uint8_t root[32])
{
    struct rig_party *p = ctx;
    *serial = 100u + p->index;
    memset(root, p->index, 32);
}

static qr_err
check_store(void *ctx, uint16_t peer, uint64_t boot_counter, uint64_t serial,
            const uint8_t root[32])
{
    struct rig_party *p = ctx;
    (void)boot_counter;
    assert_int_equal(serial, 100u + peer);
    assert_int_equal(root[0], peer);
    return p->store_verdict;
}

static struct qr_link *
new_link(void *ctx, const struct qr_link_events *ev)
{
    struct rig_party *p = ctx;
    return qr_link_mem_new(p->rig->mem, ev);
}

void
rig_init(struct rig *r, uint16_t n)
{
    assert_int_equal(qr_hash_init(), QR_OK);
    memset(r, 0, sizeof *r);
    r->mem = qr_link_mem_net_new();
    assert_non_null(r->mem);
    r->n = n;
    r->now = 1000 * RIG_MS;
    qr_testrng_seed(&r->rng, "rig");
    for (uint16_t i = 1; i <= n; i++) {
        struct rig_party *p = &r->party[i];
        p->rig = r;
        p->index = i;
        p->attester.measurement[0] = (uint8_t)i;
        test_params(&p->params, &p->id, &p->attester, i, n, "mem://p%u", 0, 1);
        p->params.rng = qr_testrng_rng(&r->rng);
        p->params.new_link = new_link;
        p->params.new_link_ctx = p;
    }
}

void
rig_start(struct rig *r, uint16_t i)
{
    struct rig_party *p = &r->party[i];
    struct qr_net_events ev = {p, on_up, on_down, on_refused, on_message, store_state, check_store};
    char err[256];
    if (qr_net_new(&p->params, &ev, &p->net, err, sizeof err) != QR_OK) {
        fail_msg("party %u: %s", (unsigned)i, err);
    }
}

void
rig_stop(struct rig *r, uint16_t i)
{
    qr_net_free(r->party[i].net);
    r->party[i].net = NULL;
}

void
rig_restart(struct rig *r, uint16_t i)
{
    struct rig_party *p = &r->party[i];
    rig_stop(r, i);
    p->params.boot_counter++;
    p->params.boot_nonce[1]++;
    memset(p->of, 0, sizeof p->of);
    rig_start(r, i);
}

void
rig_free(struct rig *r)
{
    for (uint16_t i = 1; i < RIG_MAX + 2; i++) {
        rig_stop(r, i);
    }
    qr_link_mem_net_free(r->mem);
}

void
rig_tick(struct rig *r, uint64_t ns)
{
    for (uint16_t i = 1; i < RIG_MAX + 2; i++) {
        if (r->party[i].net) {
            qr_net_step(r->party[i].net, r->now);
        }
    }
    r->now += ns;
}

void
rig_run(struct rig *r, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i++) {
        rig_tick(r, RIG_MS);
    }
}

int
rig_all_up(const struct rig *r)
{
    for (uint16_t i = 1; i <= r->n; i++) {
        for (uint16_t j = 1; j <= r->n; j++) {
            if (i != j && r->party[i].net && r->party[j].net && !qr_net_is_up(r->party[i].net, j)) {
                return 0;
            }
        }
    }
    return 1;
}

int
rig_send(struct rig *r, uint16_t from, uint16_t to, enum qr_msg type, uint64_t number, size_t len)
{
    static const uint8_t sid[32] = {0x51};
    struct qr_net *net = r->party[from].net;
    uint8_t *p = qr_net_reserve(net, to, type, 0, sid, len);
    if (!p) {
        return 0;
    }
    qr_put64(p, number);
    for (size_t i = 8; i < len; i++) {
        p[i] = byte_of(number, i);
    }
    qr_net_commit(net, to, p);
    return 1;
}
