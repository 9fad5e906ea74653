/*
 * Receipts in the making (receipt.h): the coordinator collects each member's signed record and evidence.
 * A part is judged when it comes and rendered at once, so that what a peer says later changes nothing.
 */
#include "daemon/audit_read.h"
#include "daemon/jsonw.h"
#include "daemon/party_audit_int.h"
#include "daemon/party_int.h"
#include "daemon/receipt.h"

#include <sodium.h>
#include <stdio.h>

#define RUN_LIFE (3 * SECOND)
#define RUNS_BYTES_MAX (24u * 1024u * 1024u)
#define PART_MAX (2u * QR_EVIDENCE_MAX)

_Static_assert(QR_CTL_RECORD_MAX == QR_AUDIT_RECORD_MAX, "a record fits its message");

void
qr_receipt_init(struct qr_paudit *a)
{
    for (size_t i = 0; i <= QR_MAX_PARTIES; i++) {
        qr_dbuf_init(&a->shown[i].evidence, QR_EVIDENCE_MAX);
    }
}

static void
end(struct qr_receiptrun *r)
{
    for (size_t i = 0; i <= QR_MAX_PARTIES; i++) {
        qr_dbuf_free(&r->part[i]);
    }
    r->used = 0;
}

void
qr_receipt_close(struct qr_paudit *a)
{
    for (size_t i = 0; i < QR_RECEIPT_RUNS; i++) {
        end(&a->run[i]);
    }
    qr_receipt_forget(a);
}

void
qr_receipt_forget(struct qr_paudit *a)
{
    for (size_t i = 0; i <= QR_MAX_PARTIES; i++) {
        qr_dbuf_free(&a->shown[i].evidence);
        memset(a->shown[i].digest, 0, 32);
    }
}

/* ---- where records are ------------------------------------------------------------------- */

void
qr_receipt_note(struct qr_paudit *a, const uint8_t request[static 32],
                const struct qr_audit_head *at)
{
    struct qr_receipt_place *b = a->place[qr_get32(request) % QR_RECEIPT_BUCKETS], *to = b;
    for (size_t i = 1; i < QR_RECEIPT_WAYS; i++) {
        if (b[i].boot < to->boot || (b[i].boot == to->boot && b[i].serial < to->serial)) {
            to = &b[i];
        }
    }
    *to = (struct qr_receipt_place){qr_get64(request + 8), at->boot, at->serial};
}

/* The newest record of this request that has `part` in it and is still in memory; empty: none. */
static qr_view
find_record(const struct qr_party *p, const uint8_t request[static 32], const char *part,
            uint64_t *ret_serial)
{
    const struct qr_paudit *a = p->audit;
    const struct qr_receipt_place *b = a->place[qr_get32(request) % QR_RECEIPT_BUCKETS];
    qr_view found = {NULL, 0};
    uint64_t best = 0;
    for (size_t i = 0; i < QR_RECEIPT_WAYS; i++) {
        if (b[i].serial <= best || b[i].tag != qr_get64(request + 8) ||
            b[i].boot != p->boot_counter) {
            continue;
        }
        qr_view line = qr_audit_line(a->log, b[i].boot, b[i].serial);
        if (line.len && memmem(line.p, line.len, part, strlen(part))) {
            found = line;
            best = b[i].serial;
        }
    }
    *ret_serial = best;
    return found;
}

/* The members by which a record is found: as party_audit.c writes them. attempt NULL: any. */
static void
record_part(char *out, size_t cap, const uint8_t request[static 32], uint16_t coordinator,
            const uint32_t *attempt)
{
    char hex[65], last[24] = "";
    qr_hex_encode(qr_view_of(request, 32), hex);
    if (attempt) {
        (void)snprintf(last, sizeof last, "%lu,", (unsigned long)*attempt);
    }
    (void)snprintf(out, cap, ",\"request\":\"%s\",\"coordinator\":%u,\"attempt\":%s", hex,
                   coordinator, last);
}

/* ---- our own part ------------------------------------------------------------------------ */

/* Evidence for receipts, at most once a renewal period and policy. */
static qr_err
own_evidence(struct qr_party *p)
{
    struct qr_paudit *a = p->audit;
    struct qr_shown *s = &a->shown[0];
    uint8_t binder[32], nonce[32];
    uint64_t period = qr_times(p)->reattest_ms;
    period = period > UINT64_MAX / MS ? UINT64_MAX : period * MS;
    if (s->evidence.len && p->now - s->at < period &&
        memcmp(s->policy, qr_policy_hash(p->policy), 32) == 0) {
        return QR_OK;
    }
    s->evidence.len = 0;
    QR_TRY(qr_dbuf_reserve(&s->evidence, QR_EVIDENCE_MAX));
    qr_rng_fill(&p->env.rng, nonce, sizeof nonce);
    struct qr_buf out = qr_buf_over(s->evidence.p, QR_EVIDENCE_MAX);
    qr_client_binder(nonce, p->id, qr_policy_hash(p->policy), p->roster->hash, p->boot_nonce,
                     binder);
    qr_err e = p->env.tee->evidence(p->env.tee->ctx, binder, &out);
    e = e == QR_OK ? out.err : e;
    if (e != QR_OK) {
        qr_party_log(QR_LOG_WARN, "receipt_evidence", 0,
                     "the platform makes no evidence for receipts: %s", qr_tee_why(p->env.tee, e));
        return e;
    }
    /* What is kept has the size it needs. */
    uint8_t *fit = qr_realloc(s->evidence.p, out.len);
    if (fit) {
        s->evidence.p = fit;
        s->evidence.cap = out.len;
    }
    s->evidence.len = out.len;
    memcpy(s->nonce, nonce, 32);
    memcpy(s->policy, qr_policy_hash(p->policy), 32);
    s->at = p->now;
    s->made_ms = p->wall_ms;
    qr_sha256(qr_view_of(s->evidence.p, s->evidence.len), s->digest);
    return QR_OK;
}

/* Record and evidence, signed. NO_RECEIPT: the record is gone, or of a policy that is not in force any more. */
static qr_err
own_part(struct qr_party *p, const uint8_t request[static 32], uint16_t coordinator,
         const uint32_t *attempt, struct qr_ctl_receipt_tell *ret)
{
    struct qr_paudit *a = p->audit;
    char part[160], policy[65 + 12], hex[65];
    uint64_t serial;
    uint8_t hash[32];
    record_part(part, sizeof part, request, coordinator, attempt);
    qr_view line = a->log && p->policy && p->roster ? find_record(p, request, part, &serial)
                                                    : (qr_view){NULL, 0};
    if (!line.len) {
        return QR_ERR_NO_RECEIPT;
    }
    qr_hex_encode(qr_view_of(qr_policy_hash(p->policy), 32), hex);
    (void)snprintf(policy, sizeof policy, "\"policy\":\"%s\"", hex);
    if (!memmem(line.p, line.len, policy, strlen(policy))) {
        return QR_ERR_NO_RECEIPT; /* our evidence would name another policy than our record */
    }
    QR_TRY(own_evidence(p));
    const struct qr_shown *s = &a->shown[0];
    *ret = (struct qr_ctl_receipt_tell){.made_ms = s->made_ms,
                                        .record = line,
                                        .evidence = qr_view_of(s->evidence.p, s->evidence.len)};
    memcpy(ret->nonce, s->nonce, 32);
    memcpy(ret->boot_nonce, p->boot_nonce, 32);
    qr_receipt_hash(line, ret->made_ms, ret->nonce, ret->boot_nonce, s->digest, hash);
    return qr_state_sign(p, hash, ret->sig) == 0 ? QR_OK : QR_ERR_CRYPTO_LIB;
}

void
qr_receipt_on_ask(struct qr_party *p, struct qr_msg_in *m)
{
    struct qr_ctl_receipt_ask ask;
    struct qr_ctl_receipt_tell tell = {0};
    if (qr_ctl_get_receipt_ask(m->payload, &ask) != QR_OK) {
        qr_party_log(QR_LOG_WARN, "receipt_malformed", m->from, "its question is malformed");
        return;
    }
    qr_err e = own_part(p, m->sid, m->from, &ask.attempt, &tell);
    if (e != QR_OK) {
        tell = (struct qr_ctl_receipt_tell){.code = e == QR_ERR_NO_RECEIPT ? QR_ERR_NO_RECEIPT
                                                                           : QR_ERR_NOT_READY};
    } else if (memcmp(ask.have, p->audit->shown[0].digest, 32) == 0) {
        tell.evidence = (qr_view){NULL, 0};
    }
    tell.attempt = ask.attempt;
    size_t len = QR_CTL_RECEIPT_TELL_LEN + tell.record.len + tell.evidence.len;
    uint8_t *out = p->out.reserve(p->out.ctx, m->from, QR_MSG_RECEIPT_TELL, 0, m->sid, len);
    if (out) {
        struct qr_buf b = qr_buf_over(out, len);
        qr_ctl_put_receipt_tell(&b, &tell);
        p->out.commit(p->out.ctx, m->from, out);
    }
}

/* ---- the coordinator --------------------------------------------------------------------- */

static void
fail(struct qr_party *p, struct qr_receiptrun *r, qr_err e, uint16_t party, const char *detail)
{
    qr_party_answer_error(p, r->to, e, party, detail);
    end(r);
}

static qr_err
put_part(struct qr_dbuf *d, uint16_t party, const struct qr_ctl_receipt_tell *t, qr_view evidence)
{
    struct qr_jsonw w = qr_jsonw_to(d);
    qr_jsonw_raw(&w, "{\"party\":");
    qr_jsonw_u64(&w, party);
    qr_jsonw_raw(&w, ",\"record\":");
    qr_jsonw_str(&w, t->record);
    qr_jsonw_raw(&w, ",\"signature\":");
    qr_jsonw_hex(&w, t->sig, 64);
    qr_jsonw_raw(&w, ",\"made_ms\":");
    qr_jsonw_u64(&w, t->made_ms);
    qr_jsonw_raw(&w, ",\"nonce\":");
    qr_jsonw_hex(&w, t->nonce, 32);
    qr_jsonw_raw(&w, ",\"boot_nonce\":");
    qr_jsonw_hex(&w, t->boot_nonce, 32);
    qr_jsonw_raw(&w, ",\"evidence\":\"");
    QR_TRY(w.err);
    size_t n = qr_b64_len(evidence.len);
    QR_TRY(qr_dbuf_reserve(d, n + 1));
    qr_b64_encode(evidence, (char *)d->p + d->len);
    d->len += n;
    return qr_dbuf_append(d, "\"}", 2);
}

static void
finish(struct qr_party *p, struct qr_receiptrun *r)
{
    struct qr_dbuf d;
    struct qr_answer a = {0};
    qr_dbuf_init(&d, QR_RECEIPT_MAX - 64 * 1024);
    struct qr_jsonw w = qr_jsonw_to(&d);
    qr_jsonw_raw(&w, "{\"v\":1,\"type\":\"quorate/receipt\",\"request\":");
    qr_jsonw_hex(&w, r->request, 32);
    qr_jsonw_raw(&w, ",\"cluster\":");
    qr_jsonw_hex(&w, p->roster->cluster, 32);
    qr_jsonw_raw(&w, ",\"parties\":[");
    const char *comma = "";
    for (uint16_t i = 1; i <= QR_MAX_PARTIES; i++) {
        if (r->mask >> (i - 1) & 1) {
            qr_jsonw_raw(&w, comma);
            if (w.err == QR_OK) {
                w.err = qr_dbuf_append(&d, r->part[i].p, r->part[i].len);
            }
            comma = ",";
        }
    }
    qr_jsonw_raw(&w, "]}");
    if (w.err == QR_OK) {
        a.json = qr_view_of(d.p, d.len);
        p->env.answer(p->env.answer_ctx, r->to, &a);
        end(r);
    } else {
        fail(p, r, w.err, 0, "the receipt is too large to be handed over");
    }
    qr_dbuf_free(&d);
}

static size_t
runs_bytes(const struct qr_paudit *a)
{
    size_t n = 0;
    for (size_t i = 0; i < QR_RECEIPT_RUNS; i++) {
        for (size_t k = 1; a->run[i].used && k <= QR_MAX_PARTIES; k++) {
            n += a->run[i].part[k].cap;
        }
    }
    return n;
}

static void
part_is_in(struct qr_party *p, struct qr_receiptrun *r, uint16_t party)
{
    r->got |= (uint16_t)(1u << (party - 1));
    if (r->got == r->mask) {
        finish(p, r);
    }
}

/* A peer's part: its own record of this very contribution, signed by the key of the roster. */
static qr_err
judge_part(struct qr_party *p, const struct qr_receiptrun *r, uint16_t from,
           const struct qr_ctl_receipt_tell *t, qr_view *ret_evidence, char *why, size_t cap)
{
    struct qr_shown *s = &p->audit->shown[from];
    struct qr_audit_record rec;
    char part[160];
    uint8_t digest[32], hash[32];
    if (t->evidence.len) {
        qr_sha256(t->evidence, digest);
        *ret_evidence = t->evidence;
    } else if (s->evidence.len) {
        memcpy(digest, s->digest, 32);
        *ret_evidence = qr_view_of(s->evidence.p, s->evidence.len);
    } else {
        (void)snprintf(why, cap, "no evidence came with it");
        return QR_ERR_MALFORMED;
    }
    QR_TRY(qr_audit_parse(t->record, &rec, why, cap));
    record_part(part, sizeof part, r->request, p->self, &r->attempt);
    if (rec.party != from || strcmp(rec.event, "signed") != 0 || rec.members.len < strlen(part) ||
        memcmp(rec.members.p, part, strlen(part)) != 0) {
        (void)snprintf(why, cap, "its record is of something else");
        return QR_ERR_MALFORMED;
    }
    qr_receipt_hash(t->record, t->made_ms, t->nonce, t->boot_nonce, digest, hash);
    if (crypto_sign_verify_detached(t->sig, hash, 32, p->roster->party[from - 1].identity) != 0) {
        (void)snprintf(why, cap, "its signature does not verify");
        return QR_ERR_IDENTITY;
    }
    if (t->evidence.len) {
        s->evidence.len = 0;
        QR_TRY(qr_dbuf_append(&s->evidence, t->evidence.p, t->evidence.len));
        memcpy(s->digest, digest, 32);
        *ret_evidence = qr_view_of(s->evidence.p, s->evidence.len);
    }
    return QR_OK;
}

static struct qr_receiptrun *
find_run(struct qr_paudit *a, const struct qr_receiptrun *after, const uint8_t *request)
{
    for (struct qr_receiptrun *r = after ? &a->run[after - a->run + 1] : a->run;
         r < a->run + QR_RECEIPT_RUNS; r++) {
        if (r->used && memcmp(r->request, request, 32) == 0) {
            return r;
        }
    }
    return NULL;
}

static void
take_part(struct qr_party *p, struct qr_receiptrun *r, uint16_t from,
          const struct qr_ctl_receipt_tell *t)
{
    char why[QR_ERR_TEXT_MAX] = "", text[QR_ERR_TEXT_MAX + 64];
    qr_view evidence = {NULL, 0};
    if (t->code != 0) {
        (void)snprintf(text, sizeof text,
                       t->code == QR_ERR_NO_RECEIPT
                           ? "party %u does not keep its record of this request any more"
                           : "party %u cannot make its part of the receipt now",
                       from);
        fail(p, r, t->code == QR_ERR_NO_RECEIPT ? QR_ERR_NO_RECEIPT : QR_ERR_NOT_READY, from, text);
        return;
    }
    qr_err e = judge_part(p, r, from, t, &evidence, why, sizeof why);
    if (e == QR_OK) {
        qr_dbuf_init(&r->part[from], PART_MAX);
        e = put_part(&r->part[from], from, t, evidence);
    }
    if (e != QR_OK) {
        qr_party_log(QR_LOG_ERROR, "receipt_part", from, "its part of a receipt is not good: %s",
                     why[0] ? why : qr_err_text(e));
        (void)snprintf(text, sizeof text, "party %u's part of the receipt is not good", from);
        fail(p, r, QR_ERR_QUORUM, from, text);
        return;
    }
    part_is_in(p, r, from);
}

void
qr_receipt_on_tell(struct qr_party *p, struct qr_msg_in *m)
{
    struct qr_ctl_receipt_tell t;
    struct qr_receiptrun *r = NULL;
    uint16_t bit = (uint16_t)(1u << (m->from - 1));
    if (qr_ctl_get_receipt_tell(m->payload, &t) != QR_OK) {
        qr_party_log(QR_LOG_WARN, "receipt_malformed", m->from, "its part is malformed");
        return;
    }
    /* Several clients may wait for the same receipt; one answer of a member serves one of them. */
    while ((r = find_run(p->audit, r, m->sid)) != NULL) {
        if (r->attempt == t.attempt && (r->mask & bit) && !(r->got & bit)) {
            take_part(p, r, m->from, &t);
            return;
        }
    }
}

/* Asks the others of the set; the first that cannot be asked ends it. */
static void
ask_members(struct qr_party *p, struct qr_receiptrun *r)
{
    for (uint16_t i = 1; i <= p->roster->n; i++) {
        if (i == p->self || !(r->mask >> (i - 1) & 1)) {
            continue;
        }
        uint8_t buf[QR_CTL_RECEIPT_ASK_LEN];
        struct qr_buf b = qr_buf_over(buf, sizeof buf);
        struct qr_ctl_receipt_ask ask = {.attempt = r->attempt};
        memcpy(ask.have, p->audit->shown[i].digest, 32);
        qr_ctl_put_receipt_ask(&b, &ask);
        qr_err e = qr_net_is_up(p->net, i)
                       ? qr_net_send(p->net, i, QR_MSG_RECEIPT_ASK, 0, r->request, qr_buf_view(&b))
                       : QR_ERR_QUORUM;
        if (e != QR_OK) {
            char text[96];
            (void)snprintf(text, sizeof text, "party %u, a member of the set, is not reachable", i);
            fail(p, r, QR_ERR_QUORUM, i, text);
            return;
        }
    }
}

void
qr_receipt_ask(struct qr_party *p, uint64_t to, qr_view arg)
{
    struct qr_paudit *a = p->audit;
    struct qr_receiptrun *r = NULL;
    struct qr_ctl_receipt_tell own;
    char why[QR_ERR_TEXT_MAX] = "";
    if (arg.len != 32 || !p->net) {
        qr_party_answer_error(p, to, p->net ? QR_ERR_LENGTH : QR_ERR_NOT_READY, 0,
                              p->net ? "a request hash has 32 bytes" : "this party is not linked");
        return;
    }
    qr_err e = own_part(p, arg.p, p->self, NULL, &own);
    if (e != QR_OK) {
        qr_party_answer_error(p, to, e, 0,
                              e == QR_ERR_NO_RECEIPT
                                  ? "this party keeps no record of having led this request under "
                                    "the policy in force: "
                                    "ask the gateway that answered it, soon after"
                                  : qr_err_text(e));
        return;
    }
    for (size_t i = 0; i < QR_RECEIPT_RUNS && !r; i++) {
        r = a->run[i].used ? NULL : &a->run[i];
    }
    struct qr_audit_signature *s = r ? qr_alloc(sizeof *s) : NULL;
    if (!r || !s || runs_bytes(a) > RUNS_BYTES_MAX) {
        qr_party_answer_error(p, to, r && !s ? QR_ERR_NO_MEMORY : QR_ERR_BUSY, 0,
                              "too many receipts are being made; try again");
        qr_free(s);
        return;
    }
    e = qr_audit_read_signed(own.record, s, why, sizeof why);
    *r = (struct qr_receiptrun){.used = 1, .to = to, .deadline = p->now + RUN_LIFE};
    memcpy(r->request, arg.p, 32);
    for (size_t i = 0; e == QR_OK && i < s->n_set; i++) {
        r->mask |= (uint16_t)(1u << (s->set[i].party - 1));
    }
    r->attempt = s->attempt;
    qr_free(s);
    if (e == QR_OK) {
        qr_dbuf_init(&r->part[p->self], PART_MAX);
        e = put_part(&r->part[p->self], p->self, &own, own.evidence);
    }
    if (e != QR_OK) {
        fail(p, r, e, 0, why[0] ? why : qr_err_text(e));
        return;
    }
    ask_members(p, r);
    if (r->used) {
        part_is_in(p, r, p->self);
    }
}

void
qr_receipt_tick(struct qr_party *p)
{
    struct qr_paudit *a = p->audit;
    for (size_t i = 0; i < QR_RECEIPT_RUNS; i++) {
        struct qr_receiptrun *r = &a->run[i];
        if (r->used && p->now >= r->deadline) {
            uint16_t late = 0;
            for (uint16_t k = 1; k <= QR_MAX_PARTIES && !late; k++) {
                late = (r->mask & ~r->got) >> (k - 1) & 1 ? k : 0;
            }
            fail(p, r, QR_ERR_TIMEOUT, late, "a member of the set did not answer in time");
        }
    }
}
