/* What a party says of itself: JSON for people and programs, text for the metrics collector. */
#include "daemon/jsonw.h"
#include "daemon/party_int.h"

#include "daemon/descriptor.h"
#include "protocol/base/enc.h"

#include <stdarg.h>
#include <stdio.h>

#define TEXT_MAX (1024u * 1024u)
#define EVIDENCE_B64 (4u * ((QR_EVIDENCE_MAX + 2u) / 3u) + 1u)

static void put(struct qr_dbuf *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A full buffer shows as an answer that is not JSON; names in it were checked when they were read. */
static void
put(struct qr_dbuf *d, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (n > 0 &&
        qr_dbuf_append(d, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1) != QR_OK) {
        d->len = 0;
    }
}

static void
put_hex(struct qr_dbuf *d, const char *name, const uint8_t *b, size_t n, const char *after)
{
    char hex[2 * 64 + 1];
    qr_hex_encode(qr_view_of(b, n), hex);
    put(d, "\"%s\":\"%s\"%s", name, hex, after);
}

static const char *
yes(int v)
{
    return v ? "true" : "false";
}

/* ---- status ------------------------------------------------------------------------------ */

static void
put_ledger(struct qr_dbuf *d, const struct qr_ledger_peer *l)
{
    put(d, ",\"link\":\"%s\",\"bytes\":{", qr_link_kind_name(l->kind));
    for (int c = 0; c < QR_CLASSES_COUNT; c++) {
        const struct qr_ledger_row *r = &l->class_[c];
        put(d, "%s\"%s\":{\"out\":%llu,\"in\":%llu,\"messages_out\":%llu,\"messages_in\":%llu}",
            c ? "," : "", qr_class_name((enum qr_class)c), (unsigned long long)r->wire[QR_DIR_OUT],
            (unsigned long long)r->wire[QR_DIR_IN], (unsigned long long)r->messages[QR_DIR_OUT],
            (unsigned long long)r->messages[QR_DIR_IN]);
    }
    put(d, "},\"tcpip_estimate\":{\"out\":%llu,\"in\":%llu}",
        (unsigned long long)l->tcpip_estimate[QR_DIR_OUT],
        (unsigned long long)l->tcpip_estimate[QR_DIR_IN]);
}

static const struct qr_ledger_peer *
ledger_of(const struct qr_party *p, uint16_t peer)
{
    const struct qr_ledger *l = qr_net_ledger(p->net);
    for (size_t i = 0; i < l->n; i++) {
        if (l->peer[i].index == peer) {
            return &l->peer[i];
        }
    }
    return NULL;
}

/* How old is what is known, what that means, and when it will mean more. */
static void
put_fresh(struct qr_dbuf *d, const struct qr_party *p, enum qr_fresh_stage stage, uint64_t age_ms)
{
    uint64_t next = qr_fresh_next_ms(qr_peers_times(qr_policy_peers(p->policy)), age_ms);
    put(d, ",\"freshness\":{\"stage\":\"%s\",\"age_ms\":%llu", qr_fresh_stage_name(stage),
        (unsigned long long)age_ms);
    if (next != UINT64_MAX) {
        put(d, ",\"next\":\"%s\",\"next_in_ms\":%llu",
            qr_fresh_stage_name((enum qr_fresh_stage)(stage + 1)),
            (unsigned long long)(next - age_ms));
    }
    put(d, "}");
}

/* Dates that are not known are absent. */
static void
put_date(struct qr_dbuf *d, const char *name, int64_t ms)
{
    if (ms >= 0 && ms != INT64_MAX) {
        put(d, "%s%lld", name, (long long)ms);
    }
}

static void
put_domain(struct qr_dbuf *d, const struct qr_peers_domain *x)
{
    put(d, ",\"vendor\":\"%s\",\"product\":\"%s\"", x->vendor, x->product);
}

static void
put_time(struct qr_dbuf *d, const struct qr_party *p)
{
    const struct qr_qtime_now *c = &p->attest.clock;
    put(d, ",\"time\":{\"now_ms\":%lld,\"agree\":%s,\"apart_ms\":%llu", (long long)c->now_ms,
        yes(c->agree), (unsigned long long)c->apart_ms);
    put_date(d, ",\"lower_ms\":", c->lower_ms);
    put_date(d, ",\"upper_ms\":", c->upper_ms);
    put_date(d, ",\"floor_ms\":", p->attest.time.floor_ms);
    put(d, "}");
}

static void
put_peer(struct qr_dbuf *d, const struct qr_party *p, uint16_t i)
{
    const struct qr_roster_party *r = &p->roster->party[i - 1];
    put(d,
        "{\"party\":%u,\"self\":%s,\"cloud\":\"%s\",\"operator\":\"%s\",\"platform\":\"%s\","
        "\"address\":\"%s\"",
        i, yes(i == p->self), r->cloud, r->operator_name, qr_platform_name(r->platform),
        r->address);
    if (i == p->self) {
        put(d, ",\"up\":true,\"insecure_sim\":%s,", yes(p->env.tee->insecure));
        put_hex(d, "measurement", qr_attest_measurement(p), 32, "");
        if (p->attest.self_known) {
            put_domain(d, &p->attest.self_domain);
        }
        put_date(d, ",\"collateral_end_ms\":", p->attest.self_end_ms);
    } else if (p->net) {
        const struct qr_peer_info *info = qr_net_info(p->net, i);
        const struct qr_ledger_peer *l = ledger_of(p, i);
        put(d, ",\"up\":%s,\"pair\":\"%s\",\"rtt_us\":%llu,\"queued\":%zu", yes(info != NULL),
            qr_pairs_retired(p, p->self, i) ? "retired"
            : qr_pairs_active(p, i)         ? "active"
                                            : "none",
            (unsigned long long)(qr_net_rtt_ns(p->net, i) / 1000), qr_net_queued(p->net, i));
        if (info) {
            put(d, ",\"insecure_sim\":%s,", yes(info->claims.insecure));
            put_hex(d, "measurement", info->claims.measurement, 32, "");
            put_domain(d, &p->attest.peer[i].domain);
            put_fresh(d, p, p->attest.peer[i].stage, p->attest.peer[i].age_ms);
            put_date(d, ",\"collateral_end_ms\":", p->attest.fresh.peer[i].end_ms);
        }
        if (l) {
            put_ledger(d, l);
        }
    }
    put(d, "}");
}

struct pools {
    struct qr_dbuf *d;
    const struct qr_party *p;
    const uint8_t *key_id; /* NULL: all */
    int first;
};

static void
put_pool(void *ctx, const struct qr_pool_id *id, size_t ready)
{
    struct pools *s = ctx;
    if (s->key_id && memcmp(id->key_id, s->key_id, 32) != 0) {
        return;
    }
    put(s->d, "%s{\"set\":[", s->first ? "" : ",");
    int first = 1;
    for (uint16_t i = 1; i <= QR_MAX_PARTIES; i++) {
        if (id->set_mask >> (i - 1) & 1) {
            put(s->d, "%s%u", first ? "" : ",", i);
            first = 0;
        }
    }
    put(s->d, "],\"owner\":%u,\"ready\":%zu}", id->owner, ready);
    s->first = 0;
}

static void
put_keys(struct qr_dbuf *d, const struct qr_party *p)
{
    put(d, "[");
    for (size_t i = 0; i < p->n_keys; i++) {
        const struct qr_key *k = p->key[i].key;
        struct pools s = {d, p, k->pub.key_id, 1};
        put(d, "%s{", i ? "," : "");
        put_hex(d, "key", k->pub.pk, 33, ",");
        put_hex(d, "key_id", k->pub.key_id, 32, ",");
        put(d, "\"t\":%u,\"n\":%u,\"epoch\":%u,\"state\":\"%s\",\"insecure_sim\":%s,\"pools\":[",
            k->pub.t, k->pub.n, k->pub.epoch, k->state == QR_KEY_ACTIVE ? "active" : "pending",
            yes(k->pub.flags & QR_KEY_INSECURE_SIM));
        qr_pool_each(p->pool, put_pool, &s);
        put(d, "]}");
    }
    put(d, "]");
}

static void
put_indices(struct qr_dbuf *d, const char *name, uint16_t mask)
{
    int first = 1;

    put(d, ",\"%s\":[", name);
    for (uint16_t i = 1; i <= QR_MAX_PARTIES; i++) {
        if (mask >> (i - 1) & 1) {
            put(d, "%s%u", first ? "" : ",", i);
            first = 0;
        }
    }
    put(d, "]");
}

/* Our own secret; of whom we hold pieces. */
static void
put_secret(struct qr_dbuf *d, const struct qr_party *p)
{
    const struct qr_secret *s = &p->secret;
    unsigned held = 0;

    for (uint16_t i = 1; i <= QR_MAX_PARTIES; i++) {
        held |= s->peer[i].newer ? 1u << (i - 1) : 0;
    }
    put(d, ",\"peer_secret\":{\"state\":\"%s\",\"epoch\":%u,\"need\":%u,\"making_epoch\":%u",
        qr_secret_state_name(qr_secret_state(p)), (unsigned)s->now.epoch, s->now.need,
        (unsigned)s->next.epoch);
    put_indices(d, "waits_for", qr_secret_waits(p));
    put_indices(d, "wrong_pieces", s->lied);
    put_indices(d, "holds_of", (uint16_t)held);
    put(d, "}");
}

static void
put_status(struct qr_dbuf *d, const struct qr_party *p)
{
    char line[288];
    int ready = qr_party_ready(p, line, sizeof line);
    put(d, "{\"v\":1,\"party\":%u,\"ready\":%s,\"status\":\"%s\",", p->self, yes(ready), line);
    put_hex(d, "identity", p->id, 32, ",");
    put_hex(d, "boot_nonce", p->boot_nonce, 32, ",");
    put(d, "\"boot_counter\":%llu,\"platform\":\"%s\",\"insecure_sim\":%s,\"store_serial\":%llu",
        (unsigned long long)p->boot_counter, qr_platform_name(p->env.tee->platform),
        yes(p->env.tee->insecure), (unsigned long long)qr_store_serial(p->env.store));
    if (p->roster) {
        put(d, ",\"name\":\"%s\",\"roster_serial\":%llu,", p->roster->name,
            (unsigned long long)p->roster->serial);
        put_hex(d, "cluster", p->roster->cluster, 32, ",");
        put_hex(d, "roster_hash", p->roster->hash, 32, ",");
        put_hex(d, "admin_hash", p->roster->admins.hash, 32, ",\"parties\":[");
        for (uint16_t i = 1; i <= p->roster->n; i++) {
            put(d, i > 1 ? "," : "");
            put_peer(d, p, i);
        }
        put(d, "]");
    }
    if (p->policy) {
        put(d, ",\"policy_serial\":%llu,", (unsigned long long)qr_policy_serial(p->policy));
        put_hex(d, "policy_hash", qr_policy_hash(p->policy), 32, "");
    }
    if (p->net) {
        put_fresh(d, p, p->attest.stage, p->attest.age_ms);
        put_time(d, p);
        put(d, ",\"own_evidence\":%s,\"quorum_constraints\":%s", yes(!p->attest.self_failed),
            yes(!p->attest.quorum_broken));
    }
    put_secret(d, p);
    put(d, ",");
    struct qr_jsonw w = qr_jsonw_to(d);
    qr_limits_status(p, &w);
    put(d, ",\"keys\":");
    put_keys(d, p);
    put(d,
        ",\"limits\":{\"body_bytes\":%u,\"stamp_bytes\":%u,\"approvals\":%u,\"items\":%u,"
        "\"preimage_bytes\":%u,\"path_steps\":%u,\"btc_inputs\":%u,\"id_min\":%u,\"id_max\":%u,"
        "\"request_life_ms\":%u,\"approved_request_life_ms\":%u,\"clock_skew_ms\":%u,"
        "\"keys\":%u,\"presignatures_per_key\":%u}}",
        QR_BODY_MAX, QR_STAMP_MAX, QR_APPROVALS_MAX, QR_ITEMS_MAX, QR_PREIMAGE_MAX, QR_PATH_MAX,
        QR_BTC_INPUTS_MAX, QR_ID_MIN, QR_ID_MAX, QR_REQUEST_LIFE_MS, QR_APPROVAL_LIFE_MS,
        QR_CLOCK_SKEW_MS, QR_KEYS_MAX, QR_PRESIG_PER_KEY);
}

/* ---- metrics ----------------------------------------------------------------------------- */

static void
counter(struct qr_dbuf *d, const char *name, const char *help, uint64_t v)
{
    put(d, "# HELP quorated_%s %s\n# TYPE quorated_%s counter\nquorated_%s %llu\n", name, help,
        name, name, (unsigned long long)v);
}

static void
metric_pool(void *ctx, const struct qr_pool_id *id, size_t ready)
{
    struct pools *s = ctx;
    char key[17];
    qr_hex_encode(qr_view_of(id->key_id, 8), key);
    put(s->d, "quorated_presignatures{key=\"%s\",set=\"%#x\",owner=\"%u\"} %zu\n", key,
        id->set_mask, id->owner, ready);
}

static void
metric_peers(struct qr_dbuf *d, const struct qr_party *p)
{
    put(d, "# TYPE quorated_peer_up gauge\n");
    for (uint16_t i = 1; i <= p->roster->n; i++) {
        if (i != p->self) {
            put(d, "quorated_peer_up{peer=\"%u\"} %d\n", i, qr_net_is_up(p->net, i));
        }
    }
    put(d, "# TYPE quorated_peer_rtt_seconds gauge\n");
    for (uint16_t i = 1; i <= p->roster->n; i++) {
        if (i != p->self) {
            put(d, "quorated_peer_rtt_seconds{peer=\"%u\"} %.6f\n", i,
                (double)qr_net_rtt_ns(p->net, i) / 1e9);
        }
    }
    put(d, "# TYPE quorated_link_bytes_total counter\n");
    const struct qr_ledger *l = qr_net_ledger(p->net);
    for (size_t i = 0; i < l->n; i++) {
        const struct qr_ledger_peer *lp = &l->peer[i];
        for (int c = 0; c <= QR_CLASSES_COUNT; c++) {
            for (int dir = 0; dir < QR_DIRS; dir++) {
                uint64_t v =
                    c < QR_CLASSES_COUNT ? lp->class_[c].wire[dir] : lp->tcpip_estimate[dir];
                put(d,
                    "quorated_link_bytes_total{peer=\"%u\",link=\"%s\",class=\"%s\",direction=\"%"
                    "s\"} %llu\n",
                    lp->index, qr_link_kind_name(lp->kind),
                    c < QR_CLASSES_COUNT ? qr_class_name((enum qr_class)c) : "tcpip_estimate",
                    dir == QR_DIR_OUT ? "out" : "in", (unsigned long long)v);
            }
        }
    }
}

/* Ages stand beside the limits they are measured against, so that an alarm needs no copy of the policy. */
static void
metric_fresh(struct qr_dbuf *d, const struct qr_party *p)
{
    const struct qr_attest *a = &p->attest;
    const struct qr_peers_times *t = qr_peers_times(qr_policy_peers(p->policy));
    const struct {
        enum qr_fresh_stage stage;
        uint64_t ms;
    } limit[] = {{QR_FRESH_WARN, t->warn_ms},
                 {QR_FRESH_NO_PEERS, t->no_peers_ms},
                 {QR_FRESH_NO_KEYS, t->no_keys_ms},
                 {QR_FRESH_STOP, t->stop_ms}};
    put(d,
        "# HELP quorated_freshness_stage 0 ok, 1 warn, 2 no new peers, 3 no new keys, 4 no "
        "signatures.\n# TYPE quorated_freshness_stage gauge\nquorated_freshness_stage %d\n",
        (int)a->stage);
    put(d, "# TYPE quorated_freshness_age_seconds gauge\nquorated_freshness_age_seconds %.3f\n",
        (double)a->age_ms / 1e3);
    put(d, "# TYPE quorated_freshness_limit_seconds gauge\n");
    for (size_t i = 0; i < sizeof limit / sizeof limit[0]; i++) {
        put(d, "quorated_freshness_limit_seconds{stage=\"%s\"} %.3f\n",
            qr_fresh_stage_name(limit[i].stage), (double)limit[i].ms / 1e3);
    }
    put(d, "# TYPE quorated_peer_freshness_stage gauge\n");
    for (uint16_t i = 1; i <= p->roster->n; i++) {
        if (i != p->self) {
            put(d, "quorated_peer_freshness_stage{peer=\"%u\"} %d\n", i, (int)a->peer[i].stage);
        }
    }
    put(d, "# TYPE quorated_peer_freshness_age_seconds gauge\n");
    for (uint16_t i = 1; i <= p->roster->n; i++) {
        if (i != p->self) {
            put(d, "quorated_peer_freshness_age_seconds{peer=\"%u\"} %.3f\n", i,
                (double)a->peer[i].age_ms / 1e3);
        }
    }
    put(d,
        "# HELP quorated_peer_collateral_end_seconds Unix time at which a peer's collateral ends.\n"
        "# TYPE quorated_peer_collateral_end_seconds gauge\n");
    for (uint16_t i = 1; i <= p->roster->n; i++) {
        if (i != p->self && a->fresh.peer[i].known && a->fresh.peer[i].end_ms != INT64_MAX) {
            put(d, "quorated_peer_collateral_end_seconds{peer=\"%u\"} %.3f\n", i,
                (double)a->fresh.peer[i].end_ms / 1e3);
        }
    }
    put(d,
        "# TYPE quorated_own_evidence_ok gauge\nquorated_own_evidence_ok %d\n"
        "# TYPE quorated_quorum_constraints_ok gauge\nquorated_quorum_constraints_ok %d\n"
        "# TYPE quorated_clocks_agree gauge\nquorated_clocks_agree %d\n"
        "# TYPE quorated_clocks_apart_seconds gauge\nquorated_clocks_apart_seconds %.3f\n",
        !a->self_failed, !a->quorum_broken, a->clock.agree, (double)a->clock.apart_ms / 1e3);
}

static void
put_metrics(struct qr_dbuf *d, const struct qr_party *p)
{
    const struct qr_counters *c = &p->c;
    struct pools s = {d, p, NULL, 1};
    char line[288];
    size_t locked = 0, unlocked = 0;
    qr_locked_stats(&locked, &unlocked);
    put(d, "# TYPE quorated_ready gauge\nquorated_ready %d\n",
        qr_party_ready(p, line, sizeof line));
    counter(d, "signatures_total", "Signatures released.", c->sign_ok);
    counter(d, "sign_refused_total", "Requests this party refused.", c->sign_refused);
    counter(d, "sign_moved_total", "Requests moved to another signing set.", c->sign_moved);
    counter(d, "bad_signatures_total", "Assembled signatures that did not verify.", c->sign_bad);
    counter(d, "batches_total", "Presigning batches completed.", c->batches_ok);
    counter(d, "batches_failed_total", "Presigning batches that failed.", c->batches_failed);
    counter(d, "presignatures_made_total", "Presignatures made.", c->presigs_made);
    counter(d, "presignatures_spent_total", "Presignatures consumed.", c->presigs_spent);
    counter(d, "presignatures_burned_total", "Consumed without a signature.", c->presigs_burned);
    counter(d, "presignatures_dropped_total", "Dropped with a peer's process or pair.",
            c->presigs_dropped);
    counter(d, "pair_setups_total", "Pair set-ups completed.", c->pair_setups);
    counter(d, "pair_failures_total", "Pair set-ups failed.", c->pair_failures);
    counter(d, "pairs_retired_total", "Pairs this party retired.", c->retired);
    counter(d, "keygens_total", "Keys made.", c->keygens);
    counter(d, "attestation_failures_total", "Connections refused.", c->attest_refused);
    put(d, "# TYPE quorated_sign_duration_seconds histogram\n");
    for (unsigned b = 0; b < 12; b++) {
        put(d, "quorated_sign_duration_seconds_bucket{le=\"%.3f\"} %llu\n",
            (double)(1u << b) / 1000.0, (unsigned long long)c->sign_us_bucket[b]);
    }
    put(d, "quorated_sign_duration_seconds_bucket{le=\"+Inf\"} %llu\n",
        (unsigned long long)c->sign_us_count);
    put(d, "quorated_sign_duration_seconds_sum %.6f\nquorated_sign_duration_seconds_count %llu\n",
        (double)c->sign_us_sum / 1e6, (unsigned long long)c->sign_us_count);
    put(d,
        "# TYPE quorated_sessions gauge\nquorated_sessions{protocol=\"presign\"} %zu\n"
        "quorated_sessions{protocol=\"sign\"} %zu\n",
        qr_batch_running(p), qr_sign_running(p));
    put(d, "# TYPE quorated_locked_bytes gauge\nquorated_locked_bytes %zu\n", locked);
    put(d, "# TYPE quorated_unlocked_secret_bytes gauge\nquorated_unlocked_secret_bytes %zu\n",
        unlocked);
    put(d, "# TYPE quorated_store_serial gauge\nquorated_store_serial %llu\n",
        (unsigned long long)qr_store_serial(p->env.store));
    put(d,
        "# HELP quorated_peer_secret_state 0 none, 1 making, 2 locked, 3 open, 4 broken.\n"
        "# TYPE quorated_peer_secret_state gauge\nquorated_peer_secret_state %d\n"
        "# TYPE quorated_peer_secret_epoch gauge\nquorated_peer_secret_epoch %u\n",
        (int)qr_secret_state(p), (unsigned)p->secret.now.epoch);
    put(d, "# TYPE quorated_peer_secret_waits gauge\n");
    for (uint16_t i = 1; p->roster && i <= p->roster->n; i++) {
        if (i != p->self) {
            put(d, "quorated_peer_secret_waits{peer=\"%u\"} %d\n", i,
                qr_secret_waits(p) >> (i - 1) & 1);
        }
    }
    qr_audit_metrics(p, d);
    put(d, "# TYPE quorated_presignatures gauge\n");
    qr_pool_each(p->pool, metric_pool, &s);
    if (p->policy) {
        put(d, "# TYPE quorated_policy_serial gauge\nquorated_policy_serial %llu\n",
            (unsigned long long)qr_policy_serial(p->policy));
    }
    if (p->net) {
        metric_fresh(d, p);
        metric_peers(d, p);
    }
}

/* ---- attestation and descriptor ---------------------------------------------------------- */

/* The caller supplies a nonce, never what the platform signs. */
static qr_err
put_attestation(struct qr_dbuf *d, const struct qr_party *p, qr_view nonce)
{
    uint8_t binder[32];
    if (nonce.len != 32 || !p->roster || !p->policy) {
        return nonce.len != 32 ? QR_ERR_LENGTH : QR_ERR_NOT_READY;
    }
    /* Evidence, and behind it the same in base64. */
    uint8_t *mem = qr_alloc(QR_EVIDENCE_MAX + EVIDENCE_B64);
    if (!mem) {
        return QR_ERR_NO_MEMORY;
    }
    char *b64 = (char *)mem + QR_EVIDENCE_MAX;
    struct qr_buf out = qr_buf_over(mem, QR_EVIDENCE_MAX);
    qr_client_binder(nonce.p, p->id, qr_policy_hash(p->policy), p->roster->hash, p->boot_nonce,
                     binder);
    qr_err e = p->env.tee->evidence(p->env.tee->ctx, binder, &out);
    e = e == QR_OK ? out.err : e;
    if (e != QR_OK) {
        qr_free(mem);
        return e;
    }
    qr_b64_encode(qr_buf_view(&out), b64);
    put(d, "{\"v\":1,\"party\":%u,\"platform\":\"%s\",\"insecure_sim\":%s,", p->self,
        qr_platform_name(p->env.tee->platform), yes(p->env.tee->insecure));
    put_hex(d, "identity", p->id, 32, ",");
    put_hex(d, "boot_nonce", p->boot_nonce, 32, ",");
    put_hex(d, "policy_hash", qr_policy_hash(p->policy), 32, ",");
    put_hex(d, "roster_hash", p->roster->hash, 32, ",\"evidence\":\"");
    e = qr_dbuf_append(d, b64, strlen(b64));
    put(d, "\"}");
    qr_free(mem);
    return e;
}

static qr_err
put_descriptor(struct qr_dbuf *d, const struct qr_party *p)
{
    struct qr_descriptor x = {.party = {.platform = p->env.tee->platform}};
    struct qr_id_signer s = {(void *)(uintptr_t)p, qr_state_sign};
    memcpy(x.party.identity, p->id, 32);
    memcpy(x.measurement, qr_attest_measurement(p), 32);
    const char *address = p->cfg.advertise ? p->cfg.advertise : p->cfg.listen;
    /* What does not fit is refused, not shortened. */
    if (snprintf(x.party.address, sizeof x.party.address, "%s", address) >= (int)QR_ADDRESS_MAX ||
        snprintf(x.party.cloud, sizeof x.party.cloud, "%s", p->cfg.cloud) >= (int)QR_NAME_MAX ||
        snprintf(x.party.operator_name, sizeof x.party.operator_name, "%s", p->cfg.operator_name) >=
            (int)QR_NAME_MAX) {
        return QR_ERR_TOO_LARGE;
    }
    return qr_descriptor_build(&x, &s, d);
}

static qr_err
put_key(struct qr_dbuf *d, struct qr_party *p, qr_view pk)
{
    size_t i;
    if (pk.len != 33) {
        return QR_ERR_LENGTH;
    }
    if (!qr_secret_keys_open(p)) {
        return QR_ERR_NOT_READY;
    }
    const struct qr_key *k = qr_state_find_key(p, pk.p, &i);
    return k && k->state == QR_KEY_ACTIVE ? qr_keyjson_put(d, &k->pub) : QR_ERR_KEY_UNKNOWN;
}

void
qr_query_ask(struct qr_party *p, uint64_t to, const struct qr_ask *ask)
{
    struct qr_answer a = {0};
    struct qr_dbuf d;
    char line[288];
    int text = 0;
    qr_err e = QR_OK;
    qr_dbuf_init(&d, TEXT_MAX);
    switch (ask->query) {
    case QR_QUERY_STATUS:
        put_status(&d, p);
        break;
    case QR_QUERY_KEYS:
        put(&d, "{\"v\":1,\"keys\":");
        put_keys(&d, p);
        put(&d, "}");
        break;
    case QR_QUERY_KEY:
        e = put_key(&d, p, ask->body);
        break;
    case QR_QUERY_ATTESTATION:
        e = qr_attest_may_show(p);
        e = e == QR_OK ? put_attestation(&d, p, ask->body) : e;
        break;
    case QR_QUERY_METRICS:
        put_metrics(&d, p);
        text = 1;
        break;
    case QR_QUERY_DESCRIPTOR:
        e = put_descriptor(&d, p);
        break;
    case QR_QUERY_POLICY:
    case QR_QUERY_ROSTER: {
        int roster = ask->query == QR_QUERY_ROSTER;
        qr_view doc = roster ? qr_view_of(p->roster_doc, p->roster_len)
                             : qr_view_of(p->policy_doc, p->policy_len);
        e = doc.len ? qr_dbuf_append(&d, doc.p, doc.len) : QR_ERR_NOT_FOUND;
        text = 1;
        break;
    }
    case QR_QUERY_READY:
        e = qr_party_ready(p, line, sizeof line) ? QR_OK : QR_ERR_NOT_READY;
        put(&d, "{\"ready\":%s,\"status\":\"%s\"}", yes(e == QR_OK), line);
        break;
    case QR_QUERY_NEEDS:
        e = qr_party_needs(p, &d);
        break;
    case QR_QUERY_AUDIT:
        d.max = QR_AUDIT_FETCH_MAX;
        e = qr_audit_query(p, ask->body, &d);
        text = 1;
        break;
    case QR_QUERY_RECEIPT:
        qr_receipt_ask(p, to, ask->body);
        qr_dbuf_free(&d);
        return;
    case QR_QUERY_END_:
    default:
        e = QR_ERR_MALFORMED;
    }
    a.error = e;
    if (e == QR_OK || ask->query == QR_QUERY_READY) {
        *(text ? &a.text : &a.json) = qr_view_of(d.p, d.len);
    }
    if (e != QR_OK) {
        a.detail = qr_view_str(qr_err_text(e));
    }
    p->env.answer(p->env.answer_ctx, to, &a);
    qr_dbuf_free(&d);
}
