#include "daemon/party_audit.h"

#include "daemon/jsonw.h"
#include "daemon/party_audit_int.h"
#include "daemon/party_int.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>

#define META "audit"
#define META_LEN 48u
#define HEAD_EVERY SECOND
#define HEAD_RECORDS 256u
#define QUIET_EVERY (60 * SECOND) /* a head for anchors alone */
#define DETAIL_MAX 200u
#define FETCHER_GONE (5 * SECOND) /* who has not fetched for so long is not waited for */
#define DRAIN_WAIT (3 * SECOND)
#define STALE (30 * SECOND)

qr_err
qr_audit_open(struct qr_party *p)
{
    p->audit = qr_alloc(sizeof *p->audit);
    if (!p->audit) {
        return QR_ERR_NO_MEMORY;
    }
    qr_dbuf_init(&p->audit->text, QR_AUDIT_RECORD_MAX);
    qr_receipt_init(p->audit);
    return QR_OK;
}

void
qr_audit_close(struct qr_party *p)
{
    struct qr_paudit *a = p->audit;
    if (a) {
        qr_receipt_close(a);
        a->log = qr_audit_free(a->log);
        qr_dbuf_free(&a->text);
        p->audit = qr_free(a);
    }
}

/* ---- writing ----------------------------------------------------------------------------- */

/* A new record's members; they end up in a->text. */
static struct qr_jsonw
begin(struct qr_paudit *a)
{
    a->text.len = 0;
    return qr_jsonw_to(&a->text);
}

static void
member(struct qr_jsonw *w, const char *name)
{
    qr_jsonw_raw(w, ",\"");
    qr_jsonw_raw(w, name);
    qr_jsonw_raw(w, "\":");
}

static void
member_u64(struct qr_jsonw *w, const char *name, uint64_t v)
{
    member(w, name);
    qr_jsonw_u64(w, v);
}

static void
member_hex(struct qr_jsonw *w, const char *name, const void *b, size_t n)
{
    member(w, name);
    qr_jsonw_hex(w, b, n);
}

static void
member_str(struct qr_jsonw *w, const char *name, const char *s)
{
    member(w, name);
    qr_jsonw_str(w, qr_view_str(s));
}

static qr_err
add(struct qr_party *p, const char *event, const struct qr_jsonw *w, int news)
{
    struct qr_paudit *a = p->audit;
    uint64_t serial;
    qr_err e = w->err;
    if (e == QR_OK) {
        e = qr_audit_add(a->log, p->wall_ms, event, qr_view_of(a->text.p, a->text.len), &serial);
    }
    if (e != QR_OK) {
        if (!a->said_lost) {
            qr_party_log(QR_LOG_ERROR, "audit_lost", 0, "a record (%s) could not be written: %s",
                         event, qr_err_text(e));
        }
        a->said_lost = 1;
        a->lost++;
        return e;
    }
    if (news) {
        a->news++;
    }
    return QR_OK;
}

/* ---- a boot ------------------------------------------------------------------------------ */

static qr_err
stored_head(struct qr_party *p, struct qr_audit_head *ret)
{
    uint8_t rec[META_LEN];
    struct qr_buf b = qr_buf_over(rec, sizeof rec);
    *ret = (struct qr_audit_head){0};
    qr_err e = qr_store_get(p->env.store, QR_TABLE_META, META, &b);
    if (e == QR_ERR_NOT_FOUND) {
        return QR_OK;
    }
    QR_TRY(e);
    if (b.len != META_LEN) {
        return QR_ERR_STORE_CORRUPT;
    }
    ret->boot = qr_get64(rec);
    ret->serial = qr_get64(rec + 8);
    memcpy(ret->hash, rec + 16, 32);
    return QR_OK;
}

/* The last head before this boot: ours in memory, or the store's. */
static qr_err
begin_log(struct qr_party *p, struct qr_audit_head *ret_last)
{
    struct qr_paudit *a = p->audit;
    if (a->log) {
        qr_audit_head(a->log, ret_last);
        return qr_audit_boot(a->log, p->self, p->boot_counter);
    }
    QR_TRY(stored_head(p, ret_last));
    return qr_audit_new(p->self, p->boot_counter, ret_last, &a->log);
}

qr_err
qr_audit_link(struct qr_party *p)
{
    struct qr_paudit *a = p->audit;
    struct qr_audit_head last, now;
    memset(a->peer, 0, sizeof a->peer); /* indices may mean others under a new roster */
    if (a->log) {
        qr_audit_head(a->log, &now);
        if (now.boot == p->boot_counter) {
            return QR_OK; /* a link that failed, tried again */
        }
    }
    QR_TRY(begin_log(p, &last));
    struct qr_jsonw w = begin(a);
    member_hex(&w, "boot_nonce", p->boot_nonce, 32);
    member_hex(&w, "cluster", p->roster->cluster, 32);
    member_hex(&w, "identity", p->id, 32);
    member_hex(&w, "roster", p->roster->hash, 32);
    member_hex(&w, "policy", qr_policy_hash(p->policy), 32);
    member_str(&w, "platform", qr_platform_name(p->env.tee->platform));
    member_u64(&w, "last_boot", last.boot);
    member_u64(&w, "last_serial", last.serial);
    qr_receipt_forget(a);
    a->told.boot = 0;
    a->durable_at = a->fetched_at = p->now; /* a gateway is about to come */
    a->saved_at = 0;
    a->refused_more = a->strangers = 0;
    return add(p, "boot", &w, 1);
}

static void
save(struct qr_party *p)
{
    struct qr_paudit *a = p->audit;
    const struct qr_audit_head h = a->durable;
    uint8_t rec[META_LEN];
    if (h.serial == 0 || (h.boot == a->saved.boot && h.serial == a->saved.serial)) {
        return;
    }
    qr_put64(rec, h.boot);
    qr_put64(rec + 8, h.serial);
    memcpy(rec + 16, h.hash, 32);
    a->saved = h;
    qr_err e = qr_state_put(p, QR_TABLE_META, META, qr_view_of(rec, sizeof rec));
    (void)e; /* the party has stopped signing and said so */
}

/* ---- heads and anchors ------------------------------------------------------------------- */

/* Our newest signed place to one peer, or all (0). */
static void
send_place(struct qr_party *p, uint16_t to)
{
    const struct qr_paudit *a = p->audit;
    uint8_t buf[QR_CTL_AUDIT_HEAD_LEN], sid[32] = {0};
    struct qr_buf b = qr_buf_over(buf, sizeof buf);
    if (a->told.boot == 0) {
        return;
    }
    qr_ctl_put_audit_head(&b, &a->told);
    for (uint16_t i = 1; i <= p->roster->n; i++) {
        if (i != p->self && (to == 0 || to == i) && qr_net_is_up(p->net, i)) {
            qr_err e = qr_net_send(p->net, i, QR_MSG_AUDIT_HEAD, 0, sid, qr_buf_view(&b));
            (void)e; /* the next one says more */
        }
    }
}

/* 0 on success. */
static int
sign_place(const struct qr_party *p, const struct qr_audit_head *h, struct qr_ctl_audit_head *ret)
{
    uint8_t hash[32];
    *ret = (struct qr_ctl_audit_head){.boot = h->boot, .serial = h->serial};
    memcpy(ret->hash, h->hash, 32);
    memcpy(ret->nonce, p->boot_nonce, 32);
    qr_audit_head_hash(p->roster->cluster, p->self, p->boot_nonce, h, hash);
    return qr_state_sign((void *)(uintptr_t)p, hash, ret->sig);
}

/*
 * The place that the gateway confirmed last goes to the peers, so that what they vouch for is what our host once
 * held: where it is gone, the host lost it. Who confirms nothing for STALE does not hide what there is.
 */
static void
tell_place(struct qr_party *p)
{
    struct qr_paudit *a = p->audit;
    struct qr_audit_head h = a->durable;
    struct qr_ctl_audit_head m;
    if (p->now - a->durable_at >= STALE) {
        qr_audit_head(a->log, &h);
    }
    if (h.boot != p->boot_counter || h.serial == 0 ||
        (a->told.boot == h.boot && a->told.serial >= h.serial)) {
        return;
    }
    if (!sign_place(p, &h, &m)) {
        a->told = m;
        a->told_at = p->now;
        send_place(p, 0);
    }
}

/* Signs what there is, as a record of its own. */
static void
make_head(struct qr_party *p)
{
    struct qr_paudit *a = p->audit;
    struct qr_audit_head h;
    struct qr_ctl_audit_head m;
    qr_audit_head(a->log, &h);
    if (!sign_place(p, &h, &m)) {
        struct qr_jsonw w = begin(a);
        member_hex(&w, "boot_nonce", p->boot_nonce, 32);
        member_hex(&w, "signature", m.sig, 64);
        if (a->strangers || a->refused_more || a->lost) {
            member(&w, "unrecorded");
            qr_jsonw_raw(&w, "{\"unknown_clients\":");
            qr_jsonw_u64(&w, a->strangers);
            qr_jsonw_raw(&w, ",\"refused\":");
            qr_jsonw_u64(&w, a->refused_more);
            qr_jsonw_raw(&w, ",\"other\":");
            qr_jsonw_u64(&w, a->lost);
            qr_jsonw_raw(&w, "}");
        }
        if (add(p, "head", &w, 0) == QR_OK) {
            a->strangers = a->refused_more = a->lost = 0;
            a->said_lost = 0;
            a->news = 0;
            a->anchors = 0;
        }
    }
    a->head_at = p->now;
}

/* The newest head of a peer, into our log. */
static void
anchor(struct qr_party *p, uint16_t peer)
{
    struct qr_paudit *a = p->audit;
    struct qr_paudit_peer *s = &a->peer[peer];
    const struct qr_ctl_audit_head *m = &s->next;
    struct qr_audit_head h = {.boot = m->boot, .serial = m->serial};
    uint8_t hash[32];
    memcpy(h.hash, m->hash, 32);
    s->waits = 0;
    qr_audit_head_hash(p->roster->cluster, peer, m->nonce, &h, hash);
    if (crypto_sign_verify_detached(m->sig, hash, 32, p->roster->party[peer - 1].identity) != 0) {
        qr_party_log(QR_LOG_ERROR, "audit_head_refused", peer,
                     "its audit head is not signed by its identity key");
        return;
    }
    int back = h.boot < s->seen.boot || (h.boot == s->seen.boot && h.serial < s->seen.serial);
    int same = h.boot == s->seen.boot && h.serial == s->seen.serial;
    if (same && memcmp(h.hash, s->seen.hash, 32) == 0) {
        return;
    }
    if (back || same) {
        qr_party_log(QR_LOG_ERROR, "audit_head_forked", peer,
                     "its audit log went back: boot %llu, serial %llu after boot %llu, serial "
                     "%llu; both stand in our log",
                     (unsigned long long)h.boot, (unsigned long long)h.serial,
                     (unsigned long long)s->seen.boot, (unsigned long long)s->seen.serial);
    }
    struct qr_jsonw w = begin(a);
    member_u64(&w, "of", peer);
    member_u64(&w, "of_boot", h.boot);
    member_u64(&w, "of_serial", h.serial);
    member_hex(&w, "of_hash", h.hash, 32);
    member_hex(&w, "of_boot_nonce", m->nonce, 32);
    member_hex(&w, "signature", m->sig, 64);
    if (add(p, "anchor", &w, 0) == QR_OK) {
        a->anchors++;
        s->seen = h;
    }
}

void
qr_audit_on_head(struct qr_party *p, struct qr_msg_in *m)
{
    struct qr_ctl_audit_head h;
    struct qr_paudit_peer *s = &p->audit->peer[m->from];
    if (qr_ctl_get_audit_head(m->payload, &h) != QR_OK) {
        qr_party_log(QR_LOG_WARN, "audit_head_refused", m->from, "its audit head is malformed");
        return;
    }
    s->next = h; /* judged at the tick: however many come, one a second is looked at */
    s->waits = 1;
}

void
qr_audit_tick(struct qr_party *p)
{
    struct qr_paudit *a = p->audit;
    if (!a->log) {
        return;
    }
    for (uint16_t i = 1; i <= p->roster->n; i++) {
        if (a->peer[i].waits && p->now >= a->peer[i].next_at && !p->draining) {
            a->peer[i].next_at = p->now + SECOND;
            anchor(p, i);
        }
    }
    if (p->now - a->told_at >= HEAD_EVERY) {
        tell_place(p);
    }
    if (p->draining && !a->final && qr_sign_running(p) == 0) {
        a->final =
            1; /* the log's last record: nothing is added any more, so that it can be fetched */
        make_head(p);
    }
    int unrecorded = a->strangers || a->refused_more || a->lost;
    if (!a->final && p->now - a->head_at >= HEAD_EVERY &&
        (a->news || unrecorded || (a->anchors && p->now - a->head_at >= QUIET_EVERY))) {
        make_head(p);
    }
    if (a->durable.serial &&
        (p->draining || a->saved_at == 0 || p->now - a->saved_at >= QR_AUDIT_SAVE_MS * MS)) {
        a->saved_at = p->now;
        save(p);
    }
    if (p->now - a->refused_at >= SECOND) {
        a->refused_at = p->now;
        a->refusals = 0;
    }
    int full = !qr_audit_room(a->log, 0);
    if (full != a->full) {
        qr_party_log(full ? QR_LOG_ERROR : QR_LOG_INFO, "audit_full", 0,
                     full ? "the audit log is full: %llu records were not fetched by the gateway; "
                            "requests are refused until they are"
                          : "the audit log takes requests again; %llu records wait",
                     (unsigned long long)qr_audit_waiting(a->log));
    }
    a->full = full;
    qr_receipt_tick(p);
}

const char *
qr_audit_trouble(const struct qr_party *p)
{
    return p->audit && p->audit->full ? ", AUDIT LOG FULL: IS THE GATEWAY FETCHING IT?" : "";
}

void
qr_audit_drain(struct qr_party *p)
{
    struct qr_paudit *a = p->audit;
    if (a->log) {
        qr_audit_event(p, "admin", "drain", 0, "this party stops");
        a->drain_until =
            a->fetched_at && p->now - a->fetched_at < FETCHER_GONE ? p->now + DRAIN_WAIT : p->now;
    }
}

int
qr_audit_drained(const struct qr_party *p)
{
    const struct qr_paudit *a = p->audit;
    return !a->log || p->now >= a->drain_until ||
           (a->final && qr_audit_waiting(a->log) == 0 && a->saved.boot == a->durable.boot &&
            a->saved.serial == a->durable.serial);
}

/* ---- peers ------------------------------------------------------------------------------- */

void
qr_audit_evidence(struct qr_party *p, uint16_t peer, qr_view evidence)
{
    qr_sha256(evidence, p->audit->peer[peer].judging);
}

void
qr_audit_up(struct qr_party *p, const struct qr_peer_info *info)
{
    struct qr_paudit_peer *s = &p->audit->peer[info->index];
    memcpy(s->evidence, s->judging, 32);
    memcpy(s->measurement, info->claims.measurement, 32);
    if (!info->resumed) {
        char nonce[65];
        qr_hex_encode(qr_view_of(info->boot_nonce, 32), nonce);
        qr_audit_event(p, "peer", "up", info->index, "attested; boot nonce %s", nonce);
    }
    send_place(p, info->index);
}

/* ---- records of requests ----------------------------------------------------------------- */

/* The most that the record of a request can take. */
static size_t
signed_max(size_t items, size_t signers)
{
    return 1400 + items * 212 + signers * 320;
}

qr_err
qr_audit_may_work(const struct qr_party *p, size_t items, char *why, size_t cap)
{
    const struct qr_paudit *a = p->audit;
    size_t runs = qr_sign_running(p);
    /* A request in hand keeps more bytes for its items than its record will have. */
    size_t need = signed_max(items, QR_MAX_PARTIES) + p->sign_bytes + runs * signed_max(0, 4);
    if (a->log && qr_audit_room(a->log, need)) {
        return QR_OK;
    }
    (void)snprintf(why, cap, "this party's audit log is full: %llu records were not fetched",
                   (unsigned long long)(a->log ? qr_audit_waiting(a->log) : 0));
    return QR_ERR_NOT_READY;
}

/* The approvers' names, of those whose approval the rules asked for. */
static void
put_approvers(struct qr_jsonw *w, const struct qr_policy *policy, uint64_t mask)
{
    const char *comma = "";
    qr_jsonw_raw(w, ",\"approvers\":[");
    for (size_t i = 0; i < qr_policy_n_approvers(policy) && i < 64; i++) {
        if (mask >> i & 1) {
            qr_jsonw_raw(w, comma);
            qr_jsonw_str(w, qr_view_str(qr_policy_approver(policy, i)->name));
            comma = ",";
        }
    }
    qr_jsonw_raw(w, "]");
}

static void
put_client(struct qr_jsonw *w, const struct qr_party *p, const struct qr_judgement *v)
{
    const struct qr_client *c;
    if (qr_policy_find_client(p->policy, &v->client, &c) == QR_OK) {
        member_str(w, "client", c->name);
    }
}

size_t
qr_audit_who(const struct qr_party *p, const struct qr_judgement *v,
             char out[static QR_AUDIT_WHO_MAX])
{
    struct qr_paudit *a = p->audit;
    struct qr_jsonw w = begin(a);
    put_client(&w, p, v);
    member_str(&w, "rule", v->rule);
    put_approvers(&w, p->policy, v->says.of);
    member_hex(&w, "policy", qr_policy_hash(p->policy), 32);
    member_u64(&w, "policy_serial", qr_policy_serial(p->policy));
    member_hex(&w, "roster", p->roster->hash, 32);
    if (w.err != QR_OK || a->text.len > QR_AUDIT_WHO_MAX) {
        return 0;
    }
    memcpy(out, a->text.p, a->text.len);
    return a->text.len;
}

static void
put_set(struct qr_jsonw *w, const struct qr_party *p, uint16_t mask)
{
    const char *comma = "";
    qr_jsonw_raw(w, ",\"set\":[");
    for (uint16_t i = 1; i <= p->roster->n; i++) {
        if (!(mask >> (i - 1) & 1)) {
            continue;
        }
        qr_jsonw_raw(w, comma);
        qr_jsonw_raw(w, "{\"party\":");
        qr_jsonw_u64(w, i);
        member_str(w, "platform", qr_platform_name(p->roster->party[i - 1].platform));
        member_hex(w, "measurement",
                   i == p->self ? qr_attest_measurement(p) : p->audit->peer[i].measurement, 32);
        if (i != p->self) {
            member_hex(w, "evidence", p->audit->peer[i].evidence, 32);
        }
        qr_jsonw_raw(w, "}");
        comma = ",";
    }
    qr_jsonw_raw(w, "]");
}

static void
put_links(struct qr_jsonw *w, const struct qr_party *p, const struct qr_audit_sign *s)
{
    const char *comma = "";
    qr_jsonw_raw(w, ",\"links\":[");
    for (uint16_t i = 1; i <= p->roster->n; i++) {
        if (i != p->self && (s->mask >> (i - 1) & 1)) {
            qr_jsonw_raw(w, comma);
            qr_jsonw_raw(w, "{\"party\":");
            qr_jsonw_u64(w, i);
            member_u64(w, "out", s->out);
            member_u64(w, "in", s->in);
            qr_jsonw_raw(w, "}");
            comma = ",";
        }
    }
    qr_jsonw_raw(w, "]");
}

qr_err
qr_audit_signed(struct qr_party *p, const struct qr_audit_sign *s)
{
    struct qr_paudit *a = p->audit;
    struct qr_audit_head h;
    if (!a->log) {
        return QR_ERR_NOT_READY;
    }
    struct qr_jsonw w = begin(a);
    member_hex(&w, "request", s->request, 32); /* party_receipt.c looks for these three */
    member_u64(&w, "coordinator", s->coordinator);
    member_u64(&w, "attempt", s->attempt);
    member_hex(&w, "key", s->key, 33);
    member_hex(&w, "child", s->child, 33);
    member_u64(&w, "epoch", s->epoch);
    qr_jsonw_raw(&w, ",\"path\":[");
    for (size_t i = 0; i < s->depth; i++) {
        qr_jsonw_raw(&w, i ? "," : "");
        qr_jsonw_u64(&w, s->path[i]);
    }
    qr_jsonw_raw(&w, "]");
    if (w.err == QR_OK) {
        w.err = qr_dbuf_append(&a->text, s->who.p, s->who.len);
    }
    put_set(&w, p, s->mask);
    qr_jsonw_raw(&w, ",\"digests\":[");
    for (size_t i = 0; i < s->n; i++) {
        qr_jsonw_raw(&w, i ? "," : "");
        qr_jsonw_hex(&w, s->sig ? s->sig[i].digest : s->item[i].digest, 32);
    }
    qr_jsonw_raw(&w, "]");
    if (s->sig) {
        qr_jsonw_raw(&w, ",\"signatures\":[");
        for (size_t i = 0; i < s->n; i++) {
            uint8_t rsv[65];
            memcpy(rsv, s->sig[i].rs, 64);
            rsv[64] = s->sig[i].recid;
            qr_jsonw_raw(&w, i ? "," : "");
            qr_jsonw_hex(&w, rsv, sizeof rsv);
        }
        qr_jsonw_raw(&w, "]");
        put_links(&w, p, s);
        member_u64(&w, "micros", s->micros);
    }
    QR_TRY(add(p, "signed", &w, 1));
    qr_audit_head(a->log, &h);
    qr_receipt_note(a, s->request, &h);
    if (a->news >= HEAD_RECORDS) {
        make_head(p);
    }
    return QR_OK;
}

/* 1: this refusal is worth a record. */
static int
may_refuse(struct qr_paudit *a)
{
    if (!a->log || a->final || a->refusals >= QR_AUDIT_REFUSED_RATE || !qr_audit_room(a->log, 0)) {
        a->refused_more++;
        return 0;
    }
    a->refusals++;
    return 1;
}

static void
put_refusal(struct qr_jsonw *w, qr_err e, const char *detail)
{
    size_t n = strnlen(detail, DETAIL_MAX);
    member_str(w, "code", qr_err_code(e));
    member(w, "detail");
    qr_jsonw_str(w, qr_view_of(detail, n));
}

void
qr_audit_refused(struct qr_party *p, uint16_t from, qr_view body, const struct qr_judgement *v,
                 qr_err e)
{
    struct qr_paudit *a = p->audit;
    const struct qr_client *c;
    uint8_t request[32];
    /* Before the stamp is known to be good, nobody known has asked for anything. */
    int known = p->policy && e != QR_ERR_STAMP_MISSING && e != QR_ERR_STAMP_INVALID &&
                e != QR_ERR_CLIENT_UNKNOWN && v->client.scheme != 0 &&
                qr_policy_find_client(p->policy, &v->client, &c) == QR_OK;
    if (!known) {
        a->strangers++;
        return;
    }
    if (!may_refuse(a)) {
        return;
    }
    struct qr_jsonw w = begin(a);
    if (qr_request_hash(body, request) == QR_OK) {
        member_hex(&w, "request", request, 32);
    }
    member_u64(&w, "coordinator", from);
    put_client(&w, p, v);
    member_str(&w, "rule", v->rule);
    member_hex(&w, "policy", qr_policy_hash(p->policy), 32);
    put_refusal(&w, e, v->detail);
    qr_err lost = add(p, "refused", &w, 1);
    (void)lost; /* counted in the next head */
}

void
qr_audit_failed(struct qr_party *p, const uint8_t request[static 32], qr_view who, qr_err e,
                uint16_t party, const char *detail)
{
    struct qr_paudit *a = p->audit;
    if (!may_refuse(a)) {
        return;
    }
    struct qr_jsonw w = begin(a);
    member_hex(&w, "request", request, 32);
    member_u64(&w, "coordinator", p->self);
    if (w.err == QR_OK && who.len) {
        w.err = qr_dbuf_append(&a->text, who.p, who.len);
    }
    if (party) {
        member_u64(&w, "by", party);
    }
    put_refusal(&w, e, detail);
    qr_err lost = add(p, "refused", &w, 1);
    (void)lost;
}

void
qr_audit_event(struct qr_party *p, const char *event, const char *what, uint16_t peer,
               const char *fmt, ...)
{
    struct qr_paudit *a = p->audit;
    char text[400];
    va_list ap;
    if (!a || !a->log || (p->draining && strcmp(what, "down") == 0) || a->final) {
        return; /* before there is a roster nobody could tell whose log it is */
    }
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    struct qr_jsonw w = begin(a);
    member_str(&w, "what", what);
    if (peer) {
        member_u64(&w, "peer", peer);
    }
    member(&w, "detail");
    qr_jsonw_str(&w, qr_view_str(text));
    qr_err e = add(p, event, &w, 1);
    (void)e; /* counted in the next head */
}

qr_err
qr_audit_query(struct qr_party *p, qr_view arg, struct qr_dbuf *out)
{
    if (arg.len != 16) {
        return QR_ERR_LENGTH;
    }
    struct qr_paudit *a = p->audit;
    uint64_t boot = qr_get64(arg.p), serial = qr_get64(arg.p + 8);
    if (!a->log) {
        return QR_ERR_NOT_READY;
    }
    qr_err e = qr_audit_fetch(a->log, boot, serial, out);
    if (e == QR_ERR_MALFORMED) {
        qr_party_log(QR_LOG_ERROR, "audit_fetch", 0,
                     "the gateway holds boot %llu, serial %llu of our audit log, which is beyond "
                     "it: this party was rolled back, or that is another party's log",
                     (unsigned long long)boot, (unsigned long long)serial);
    }
    QR_TRY(e);
    a->fetched_at = p->now;
    qr_view line = qr_audit_line(a->log, boot, serial);
    if (line.len) {
        a->durable = (struct qr_audit_head){.boot = boot, .serial = serial};
        a->durable_at = p->now;
        qr_audit_hash(line, a->durable.hash);
    }
    return QR_OK;
}

void
qr_audit_metrics(const struct qr_party *p, struct qr_dbuf *d)
{
    const struct qr_paudit *a = p->audit;
    struct qr_audit_head h = {0};
    char text[700];
    if (a->log) {
        qr_audit_head(a->log, &h);
    }
    int n = snprintf(
        text, sizeof text,
        "# HELP quorated_audit_serial Records of this boot.\n# TYPE quorated_audit_serial gauge\n"
        "quorated_audit_serial %llu\n"
        "# HELP quorated_audit_waiting Records that the gateway has not confirmed.\n"
        "# TYPE quorated_audit_waiting gauge\nquorated_audit_waiting %llu\n"
        "# HELP quorated_audit_full 1: no request is taken before the gateway fetches.\n"
        "# TYPE quorated_audit_full gauge\nquorated_audit_full %d\n",
        (unsigned long long)h.serial, (unsigned long long)(a->log ? qr_audit_waiting(a->log) : 0),
        a->full);
    if (qr_dbuf_append(d, text, (size_t)n) != QR_OK) {
        d->len = 0; /* shows as an empty page, as elsewhere on it */
    }
}
