#include "daemon/receipt.h"

#include "daemon/audit_read.h"
#include "enclave-shim/tee.h"
#include "proto/json_strict.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"
#include "protocol/group.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>

#define VALUES_MAX 256u
#define EVIDENCE_TEXT_MAX (4u * ((QR_EVIDENCE_MAX + 2u) / 3u))

void
qr_receipt_hash(qr_view record, uint64_t made_ms, const uint8_t nonce[static 32],
                const uint8_t boot_nonce[static 32], const uint8_t evidence[static 32],
                uint8_t ret[static 32])
{
    uint8_t at[8];
    qr_put64(at, made_ms);
    qr_th(QR_TAG_RECEIPT,
          QR_FIELDS(record, QR_F(at, 8), QR_F(nonce, 32), QR_F(boot_nonce, 32), QR_F(evidence, 32)),
          ret);
}

/* ---- what is in it ----------------------------------------------------------------------- */

struct part {
    uint16_t party;
    qr_view record, evidence_text;
    uint8_t signature[64], nonce[32], boot_nonce[32];
    uint64_t made_ms;
    struct qr_audit_record line;
    struct qr_audit_signature said;
    uint8_t measurement[32]; /* of its own evidence */
    struct qr_peers_domain domain;
};

/* Everything of one verification; too large for a stack. */
struct work {
    struct qr_json doc;
    uint8_t request[32], cluster[32];
    size_t n;
    struct part part[QR_MAX_PARTIES];
    uint8_t evidence[QR_EVIDENCE_MAX];
    struct qr_verdict verdict;
    struct qr_verify_out out;
    const struct qr_roster *roster;
    const struct qr_policy *policy;
    char *why;
    size_t cap;
};

static qr_err bad(const struct work *w, qr_err e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static qr_err
bad(const struct work *w, qr_err e, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(w->why, w->cap, fmt, ap);
    va_end(ap);
    return e;
}

static qr_err
read_part(struct work *w, const struct qr_json_at *at, struct part *p)
{
    uint64_t party = 0;
    char why[QR_ERR_TEXT_MAX] = "";
    const struct qr_json_field fields[] = {
        {"party", QR_JSON_U64, 1, QR_MAX_PARTIES, &party, NULL},
        {"record", QR_JSON_UTF8, 1, QR_AUDIT_RECORD_MAX, &p->record, NULL},
        {"signature", QR_JSON_HEX, 0, 64, p->signature, NULL},
        {"made_ms", QR_JSON_U64, 0, INT64_MAX, &p->made_ms, NULL},
        {"nonce", QR_JSON_HEX, 0, 32, p->nonce, NULL},
        {"boot_nonce", QR_JSON_HEX, 0, 32, p->boot_nonce, NULL},
        {"evidence", QR_JSON_TEXT, 4, EVIDENCE_TEXT_MAX, &p->evidence_text, NULL},
        {.type = QR_JSON_END},
    };
    QR_TRY(qr_json_fields(at, fields));
    p->party = (uint16_t)party;
    qr_err e = qr_audit_parse(p->record, &p->line, why, sizeof why);
    if (e == QR_OK) {
        e = qr_audit_read_signed(p->record, &p->said, why, sizeof why);
    }
    if (e != QR_OK) {
        return bad(w, e, "party %u: record: %s", p->party, why[0] ? why : qr_err_text(e));
    }
    if (p->line.party != p->party) {
        return bad(w, QR_ERR_MALFORMED, "party %u: the record is party %u's", p->party,
                   p->line.party);
    }
    return QR_OK;
}

static qr_err
read_receipt(struct work *w, qr_view text)
{
    if (text.len > QR_RECEIPT_MAX) {
        return bad(w, QR_ERR_TOO_LARGE, "a receipt has at most %u bytes", QR_RECEIPT_MAX);
    }
    QR_TRY(qr_json_parse(&w->doc, text, VALUES_MAX, w->why, w->cap));
    struct qr_json_at root = qr_json_root(&w->doc), parties;
    QR_TRY(qr_json_head(&root, "quorate/receipt"));
    const struct qr_json_field fields[] = {
        {"v", QR_JSON_SKIP, 0, 0, NULL, NULL},
        {"type", QR_JSON_SKIP, 0, 0, NULL, NULL},
        {"request", QR_JSON_HEX, 0, 32, w->request, NULL},
        {"cluster", QR_JSON_HEX, 0, 32, w->cluster, NULL},
        {"parties", QR_JSON_ARRAY, QR_MIN_THRESHOLD, QR_MAX_PARTIES, &parties, NULL},
        {.type = QR_JSON_END},
    };
    QR_TRY(qr_json_fields(&root, fields));
    w->n = qr_json_count(&parties);
    for (size_t i = 0; i < w->n; i++) {
        struct qr_json_at e = qr_json_elem(&parties, i);
        QR_TRY(read_part(w, &e, &w->part[i]));
    }
    return QR_OK;
}

/* ---- what it says of the request --------------------------------------------------------- */

/* The part of the one who led, or NULL. */
static const struct part *
leader(const struct work *w)
{
    for (size_t i = 0; i < w->n; i++) {
        if (w->part[i].said.has_sigs) {
            return &w->part[i];
        }
    }
    return NULL;
}

static qr_err
compare(const struct work *w, const struct part *p, const struct part *lead)
{
    const struct qr_audit_signature *a = &p->said, *b = &lead->said;
    const char *what = NULL;
    if (memcmp(a->request, w->request, 32) != 0) {
        what = "request";
    } else if (a->coordinator != lead->party || a->attempt != b->attempt) {
        what = "coordinator or attempt";
    } else if (memcmp(a->key, b->key, 33) != 0 || memcmp(a->child, b->child, 33) != 0 ||
               a->epoch != b->epoch || a->depth != b->depth ||
               memcmp(a->path, b->path, sizeof a->path) != 0) {
        what = "key, path or epoch";
    } else if (a->n != b->n || memcmp(a->digest, b->digest, a->n * 32) != 0) {
        what = "digests";
    } else if (memcmp(a->policy, b->policy, 32) != 0 || strcmp(a->rule, b->rule) != 0 ||
               memcmp(a->roster, b->roster, 32) != 0) {
        what = "policy, roster or rule";
    } else if (strcmp(a->client, b->client) != 0) {
        what = "client";
    } else if (a->n_set != w->n) {
        what = "set";
    }
    for (size_t i = 0; !what && i < w->n; i++) {
        what = a->set[i].party == w->part[i].party ? NULL : "set";
    }
    return what ? bad(w, QR_ERR_MALFORMED, "the records of parties %u and %u do not agree: %s",
                      lead->party, p->party, what)
                : QR_OK;
}

static qr_err
check_records(const struct work *w, const struct part **ret_lead)
{
    const struct part *lead = leader(w);
    if (!lead) {
        return bad(w, QR_ERR_MALFORMED, "no record holds the signatures");
    }
    for (size_t i = 0; i < w->n; i++) {
        QR_TRY(compare(w, &w->part[i], lead));
    }
    if (lead->said.depth == 0 && memcmp(lead->said.key, lead->said.child, 33) != 0) {
        return bad(w, QR_ERR_MALFORMED, "the path is empty, but key and child differ");
    }
    *ret_lead = lead;
    return QR_OK;
}

static qr_err
check_documents(const struct work *w, const struct part *lead)
{
    if (memcmp(w->cluster, w->roster->cluster, 32) != 0 ||
        memcmp(lead->said.roster, w->roster->hash, 32) != 0) {
        return bad(w, QR_ERR_ROSTER_MISMATCH,
                   "the request was signed under another roster than the one given");
    }
    if (memcmp(lead->said.policy, qr_policy_hash(w->policy), 32) != 0) {
        return bad(w, QR_ERR_POLICY_MISMATCH,
                   "the request was signed under another policy (serial %llu) than the one given "
                   "(serial %llu)",
                   (unsigned long long)lead->said.policy_serial,
                   (unsigned long long)qr_policy_serial(w->policy));
    }
    for (size_t i = 0; i < w->n; i++) {
        if (w->part[i].party > w->roster->n) {
            return bad(w, QR_ERR_ROSTER_MISMATCH, "the roster has no party %u", w->part[i].party);
        }
    }
    return QR_OK;
}

static qr_err
check_signatures(const struct work *w, const struct part *lead)
{
    const struct qr_audit_signature *s = &lead->said;
    qr_pt pk;
    if (qr_pt_parse(&pk, s->child) != QR_OK) {
        return bad(w, QR_ERR_BAD_SIGNATURE, "the key is no point of the curve");
    }
    for (size_t i = 0; i < s->n; i++) {
        if (qr_ecdsa_verify(&pk, s->digest[i], s->sig[i]) != QR_OK) {
            return bad(w, QR_ERR_BAD_SIGNATURE,
                       "signature %zu does not verify under the key that the records name", i);
        }
    }
    return QR_OK;
}

/* ---- who it was -------------------------------------------------------------------------- */

static qr_err
check_part(struct work *w, struct part *p)
{
    const struct qr_roster_party *who = &w->roster->party[p->party - 1];
    uint8_t digest[32], hash[32], binder[32];
    size_t len = 0;
    if (qr_b64_decode((const char *)p->evidence_text.p, p->evidence_text.len, w->evidence,
                      sizeof w->evidence, &len) != QR_OK) {
        return bad(w, QR_ERR_MALFORMED, "party %u: evidence is not base64", p->party);
    }
    qr_view evidence = qr_view_of(w->evidence, len);
    qr_sha256(evidence, digest);
    qr_receipt_hash(p->record, p->made_ms, p->nonce, p->boot_nonce, digest, hash);
    if (crypto_sign_verify_detached(p->signature, hash, 32, who->identity) != 0) {
        return bad(w, QR_ERR_IDENTITY,
                   "party %u: its part is not signed by the identity key of the roster", p->party);
    }
    uint64_t t = p->line.time_ms, m = p->made_ms;
    if ((t > m ? t - m : m - t) > QR_RECEIPT_APART_MS) {
        return bad(w, QR_ERR_ATTESTATION,
                   "party %u: its evidence is of another time than its record", p->party);
    }
    const struct qr_peers *peers = qr_policy_peers(w->policy);
    struct qr_verify_opts o = {0};
    struct qr_claims claims;
    char why[QR_ERR_TEXT_MAX] = "";
    int sim = who->platform == QR_PLATFORM_SIM;
    qr_peers_verify_opts(peers, &o);
    o.now_ms = (int64_t)p->made_ms;
    qr_client_binder(p->nonce, who->identity, qr_policy_hash(w->policy), w->roster->hash,
                     p->boot_nonce, binder);
    qr_err e = qr_tee_verify(who->platform, evidence, binder, &o, &w->verdict, &w->out, &claims,
                             why, sizeof why);
    if (e == QR_OK) {
        const struct qr_peers_who judged = {p->party, who->cloud, who->operator_name};
        e = qr_peers_judge(peers, sim ? QR_EV_NONE : (enum qr_evidence_kind)who->platform, sim,
                           &judged, o.now_ms, &w->verdict, &p->domain);
        (void)snprintf(why, sizeof why, "%s", w->verdict.sentence);
    }
    if (e != QR_OK) {
        return bad(w, e, "party %u: evidence: %s", p->party, why[0] ? why : qr_err_text(e));
    }
    memcpy(p->measurement, claims.measurement, 32);
    return QR_OK;
}

/* Each member saw the others as their own evidence shows them. */
static qr_err
check_seen(const struct work *w)
{
    for (size_t i = 0; i < w->n; i++) {
        for (size_t k = 0; k < w->n; k++) {
            const struct qr_audit_member *m = &w->part[i].said.set[k];
            const char *platform =
                qr_platform_name(w->roster->party[w->part[k].party - 1].platform);
            if (memcmp(m->measurement, w->part[k].measurement, 32) != 0 ||
                strcmp(m->platform, platform) != 0) {
                return bad(w, QR_ERR_ATTESTATION,
                           "party %u signed with another measurement of party %u than its evidence "
                           "shows",
                           w->part[i].party, w->part[k].party);
            }
        }
    }
    return QR_OK;
}

static qr_err
check_quorum(const struct work *w)
{
    struct qr_peers_domain d[QR_MAX_PARTIES];
    for (size_t i = 0; i < w->n; i++) {
        d[i] = w->part[i].domain;
    }
    return qr_peers_quorum(qr_policy_peers(w->policy), d, w->n, w->why, w->cap);
}

/* ---- all of it --------------------------------------------------------------------------- */

static void
say(const struct work *w, const struct part *lead, struct qr_receipt_said *ret)
{
    const struct qr_audit_signature *s = &lead->said;
    struct qr_receipt_said r = {.time_ms = UINT64_MAX, .n_signers = w->n, .n_sigs = s->n};
    memcpy(r.request, w->request, 32);
    memcpy(r.key, s->key, 33);
    memcpy(r.rule, s->rule, sizeof r.rule);
    for (size_t i = 0; i < w->n; i++) {
        r.signers[i] = w->part[i].party;
        r.time_ms = w->part[i].line.time_ms < r.time_ms ? w->part[i].line.time_ms : r.time_ms;
    }
    for (size_t i = 0; i < s->n_links; i++) {
        r.bytes += s->link[i].out + s->link[i].in;
    }
    *ret = r;
}

static qr_err
verify(struct work *w, qr_view text, qr_view body, struct qr_receipt_said *ret)
{
    const struct part *lead = NULL;
    uint8_t hash[32];
    QR_TRY(read_receipt(w, text));
    QR_TRY(check_records(w, &lead));
    if (body.len) {
        QR_TRY(qr_request_hash(body, hash));
        if (memcmp(hash, w->request, 32) != 0) {
            return bad(w, QR_ERR_MALFORMED,
                       "the receipt is of another request than the body given");
        }
    }
    QR_TRY(check_documents(w, lead));
    QR_TRY(check_signatures(w, lead));
    for (size_t i = 0; i < w->n; i++) {
        QR_TRY(check_part(w, &w->part[i]));
    }
    QR_TRY(check_seen(w));
    QR_TRY(check_quorum(w));
    say(w, lead, ret);
    return QR_OK;
}

qr_err
qr_receipt_verify(qr_view text, const struct qr_roster *r, const struct qr_policy *p, qr_view body,
                  struct qr_receipt_said *ret, char *why, size_t cap)
{
    why[0] = '\0';
    struct work *w = qr_alloc(sizeof *w);
    if (!w) {
        (void)snprintf(why, cap, "%s", qr_err_text(QR_ERR_NO_MEMORY));
        return QR_ERR_NO_MEMORY;
    }
    w->roster = r;
    w->policy = p;
    w->why = why;
    w->cap = cap;
    qr_err e = verify(w, text, body, ret);
    if (e != QR_OK && why[0] == '\0') {
        (void)snprintf(why, cap, "%s", qr_err_text(e));
    }
    qr_json_clear(&w->doc);
    qr_free(w);
    return e;
}
