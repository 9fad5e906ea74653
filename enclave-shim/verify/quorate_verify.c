/*
 * The library's face: handles over the verifier's own structs. A verdict holds its evidence, into which
 * its claims point, so no order of frees leaves a claim hanging.
 */
#include "enclave-shim/verify/quorate_verify.h"

#include "enclave-shim/verify/peers.h"
#include "enclave-shim/verify/sig.h"
#include "enclave-shim/verify/verify.h"
#include "protocol/base/mem.h"

#include <stdatomic.h>
#include <stdio.h>

#define BINDER_MAX 64u
#define AUDIENCE_MAX 256u
#define JSON_MAX (512u * 1024u)
#define CLIENT_LABEL "quorate/client-evidence/v1"

struct quorate_policy {
    struct qr_peers *peers;
    size_t n;
    struct qr_manifest *manifest[QR_PEERS_MANIFESTS];
};

struct quorate_roots {
    struct qr_roots r;
};

struct quorate_memory {
    struct qr_collateral_marks marks;
};

struct quorate_evidence {
    atomic_uint refs;
    struct qr_evidence e; /* views of `copy` */
    uint8_t *copy[QR_ITEMS_OF_EVIDENCE];
    size_t n;
};

struct quorate_request {
    const struct quorate_policy *policy;
    const struct quorate_roots *roots;
    struct quorate_memory *memory;
    int64_t now_ms;
    size_t binder_len;
    uint8_t binder[BINDER_MAX];
    char audience[AUDIENCE_MAX];
    uint16_t index;
    char cloud[QR_NAME_MAX], operator_name[QR_NAME_MAX];
};

struct quorate_verdict {
    struct quorate_evidence *e;
    int genuine, accepted;
    const struct qr_peers *peers; /* by which it was accepted; compared, never followed */
    struct qr_peers_domain domain;
    struct qr_verdict v;
    char *json;
};

unsigned
quorate_verify_version(void)
{
    return QUORATE_VERIFY_VERSION;
}

static enum quorate_status
status_of(qr_err e)
{
    switch (e) {
    case QR_OK:
        return QUORATE_OK;
    case QR_ERR_NO_MEMORY:
        return QUORATE_NO_MEMORY;
    case QR_ERR_TOO_LARGE:
        return QUORATE_TOO_LARGE;
    case QR_ERR_ATTESTATION:
        return QUORATE_REFUSED;
    default:
        return QUORATE_MALFORMED;
    }
}

static void
say(char *err, size_t cap, const char *text)
{
    if (err && cap > 0) {
        (void)snprintf(err, cap, "%s", text);
    }
}

/* ---- policy, roots, memory ---- */

struct quorate_policy *
quorate_policy_read(const void *text, size_t len, char *err, size_t err_cap)
{
    struct quorate_policy *p = qr_alloc(sizeof *p);

    say(err, err_cap, "");
    if (!p || !text) {
        say(err, err_cap, text ? "out of memory" : "no text");
        return qr_free(p);
    }
    if (qr_peers_read(qr_view_of(text, len), &p->peers, err, err_cap) != QR_OK) {
        return qr_free(p);
    }
    return p;
}

enum quorate_status
quorate_policy_add_manifest(struct quorate_policy *p, const void *text, size_t len,
                            const void *signatures, size_t signatures_len, char *err,
                            size_t err_cap)
{
    struct qr_manifest *m = NULL;
    qr_view sigs = qr_view_of(signatures, signatures ? signatures_len : 0);

    say(err, err_cap, "");
    if (!p || !text) {
        return QUORATE_MALFORMED;
    }
    if (p->n == QR_PEERS_MANIFESTS) {
        say(err, err_cap, "too many manifests");
        return QUORATE_TOO_LARGE;
    }
    qr_err e = qr_manifest_parse(qr_view_of(text, len), &m, err, err_cap);
    if (e != QR_OK) {
        return status_of(e);
    }
    e = qr_peers_add_manifest(p->peers, m, sigs, err, err_cap);
    if (e != QR_OK) {
        (void)qr_manifest_free(m);
        return status_of(e);
    }
    p->manifest[p->n++] = m;
    return QUORATE_OK;
}

void
quorate_policy_free(struct quorate_policy *p)
{
    if (p) {
        (void)qr_peers_free(p->peers);
        while (p->n > 0) {
            (void)qr_manifest_free(p->manifest[--p->n]);
        }
        qr_free(p);
    }
}

struct quorate_roots *
quorate_roots_new(void)
{
    return qr_alloc(sizeof(struct quorate_roots));
}

enum quorate_status
quorate_roots_pin(struct quorate_roots *r, const char *vendor, const uint8_t sha256[32])
{
    static const char *const names[QR_ROOT_COUNT] = {
        [QR_ROOT_AWS_NITRO] = "aws-nitro",
        [QR_ROOT_AMD_MILAN] = "amd-milan",
        [QR_ROOT_AMD_GENOA] = "amd-genoa",
        [QR_ROOT_AMD_TURIN] = "amd-turin",
        [QR_ROOT_INTEL] = "intel",
        [QR_ROOT_GOOGLE_VTPM] = "google-vtpm",
        [QR_ROOT_MICROSOFT_VTPM] = "microsoft-vtpm",
        [QR_ROOT_CONFIDENTIAL_SPACE] = "confidential-space",
    };

    if (!r || !vendor || !sha256) {
        return QUORATE_MALFORMED;
    }
    for (size_t i = 0; i < QR_ROOT_COUNT; i++) {
        if (strcmp(names[i], vendor) == 0) {
            if (r->r.of[i].n == QR_ROOT_PINS) {
                return QUORATE_TOO_LARGE;
            }
            memcpy(r->r.of[i].sha256[r->r.of[i].n++], sha256, 32);
            return QUORATE_OK;
        }
    }
    return QUORATE_MALFORMED;
}

void
quorate_roots_free(struct quorate_roots *r)
{
    qr_free(r);
}

struct quorate_memory *
quorate_memory_new(void)
{
    return qr_alloc(sizeof(struct quorate_memory));
}

void
quorate_memory_free(struct quorate_memory *m)
{
    qr_free(m);
}

/* ---- evidence ---- */

static struct quorate_evidence *
evidence_new(enum qr_evidence_kind kind)
{
    struct quorate_evidence *e = kind == QR_EV_NONE ? NULL : qr_alloc(sizeof *e);
    if (e) {
        atomic_init(&e->refs, 1);
        e->e.kind = kind;
    }
    return e;
}

struct quorate_evidence *
quorate_evidence_new(const char *platform)
{
    return platform ? evidence_new(qr_evidence_kind_by_name(qr_view_str(platform))) : NULL;
}

/* A copy of a piece that was found to fit. */
static qr_err
add_copy(struct quorate_evidence *e, enum qr_part part, uint8_t slot, qr_view v)
{
    struct qr_evidence tried = e->e; /* bounds are checked before anything is copied */
    QR_TRY(qr_evidence_add(&tried, part, slot, v));
    uint8_t *copy = qr_alloc(v.len);
    if (!copy) {
        return QR_ERR_NO_MEMORY;
    }
    memcpy(copy, v.p, v.len);
    e->copy[e->n++] = copy;
    return qr_evidence_add(&e->e, part, slot, qr_view_of(copy, v.len));
}

struct quorate_evidence *
quorate_evidence_read(const void *bytes, size_t len)
{
    struct qr_evidence found;

    if (!bytes || qr_evidence_decode(qr_view_of(bytes, len), &found) != QR_OK) {
        return NULL;
    }
    struct quorate_evidence *e = evidence_new(found.kind);
    for (size_t i = 0; e && i < found.n; i++) {
        if (add_copy(e, found.item[i].part, found.item[i].slot, found.item[i].bytes) != QR_OK) {
            quorate_evidence_free(e);
            e = NULL;
        }
    }
    return e;
}

enum quorate_status
quorate_evidence_add(struct quorate_evidence *e, const char *piece, unsigned slot,
                     const void *bytes, size_t len)
{
    if (!e || !piece || slot > UINT8_MAX) {
        return QUORATE_MALFORMED;
    }
    for (unsigned r = 1; r <= UINT8_MAX; r++) {
        if (qr_part_max((enum qr_part)r) > 0 && strcmp(qr_part_name((enum qr_part)r), piece) == 0) {
            return status_of(add_copy(e, (enum qr_part)r, (uint8_t)slot, qr_view_of(bytes, len)));
        }
    }
    return QUORATE_MALFORMED;
}

void
quorate_evidence_free(struct quorate_evidence *e)
{
    if (e && atomic_fetch_sub(&e->refs, 1) == 1) {
        while (e->n > 0) {
            qr_free(e->copy[--e->n]);
        }
        qr_free(e);
    }
}

/* ---- requests ---- */

struct quorate_request *
quorate_request_new(void)
{
    struct quorate_request *r = qr_alloc(sizeof *r);
    if (r) {
        r->now_ms = -1;
    }
    return r;
}

void
quorate_request_set_policy(struct quorate_request *r, const struct quorate_policy *p)
{
    if (r) {
        r->policy = p;
    }
}

void
quorate_request_set_roots(struct quorate_request *r, const struct quorate_roots *roots)
{
    if (r) {
        r->roots = roots;
    }
}

void
quorate_request_set_memory(struct quorate_request *r, struct quorate_memory *m)
{
    if (r) {
        r->memory = m;
    }
}

void
quorate_request_set_time(struct quorate_request *r, int64_t now_ms)
{
    if (r) {
        r->now_ms = now_ms < 0 ? -1 : now_ms;
    }
}

enum quorate_status
quorate_request_set_binder(struct quorate_request *r, const void *bytes, size_t len)
{
    if (!r || !bytes || len == 0 || len > BINDER_MAX) {
        return QUORATE_MALFORMED;
    }
    memcpy(r->binder, bytes, len);
    r->binder_len = len;
    return QUORATE_OK;
}

/* A text of less than cap bytes; NULL is the empty one. */
static enum quorate_status
keep_text(char *out, size_t cap, const char *text)
{
    size_t n = text ? strlen(text) : 0;
    if (n >= cap) {
        return QUORATE_TOO_LARGE;
    }
    memset(out, 0, cap);
    if (n > 0) {
        memcpy(out, text, n);
    }
    return QUORATE_OK;
}

enum quorate_status
quorate_request_set_audience(struct quorate_request *r, const char *text)
{
    return r ? keep_text(r->audience, sizeof r->audience, text) : QUORATE_MALFORMED;
}

enum quorate_status
quorate_request_set_member(struct quorate_request *r, unsigned index, const char *cloud,
                           const char *operator_name)
{
    if (!r || index == 0 || index > QR_MAX_PARTIES) {
        return QUORATE_MALFORMED;
    }
    enum quorate_status s = keep_text(r->cloud, sizeof r->cloud, cloud);
    if (s == QUORATE_OK) {
        s = keep_text(r->operator_name, sizeof r->operator_name, operator_name);
    }
    if (s == QUORATE_OK) {
        r->index = (uint16_t)index;
    }
    return s;
}

void
quorate_request_free(struct quorate_request *r)
{
    qr_free(r);
}

enum quorate_status
quorate_client_binder(const uint8_t nonce[32], const uint8_t identity[32],
                      const uint8_t policy_hash[32], const uint8_t roster_hash[32],
                      const uint8_t boot_nonce[32], uint8_t ret[32])
{
    if (!nonce || !identity || !policy_hash || !roster_hash || !boot_nonce || !ret) {
        return QUORATE_MALFORMED;
    }
    const qr_view pieces[] = {
        qr_view_str(CLIENT_LABEL),   qr_view_of(nonce, 32),       qr_view_of(identity, 32),
        qr_view_of(policy_hash, 32), qr_view_of(roster_hash, 32), qr_view_of(boot_nonce, 32),
    };
    return qr_hash_of(QR_SHA256, pieces, sizeof pieces / sizeof pieces[0], ret) ? QUORATE_OK
                                                                                : QUORATE_NO_MEMORY;
}

/* ---- verdicts ---- */

/* Everything but the claims, by the same printer: they are claims about the verdict. */
static qr_err
print_head(const struct quorate_verdict *v, struct qr_claimset *c, char *out, size_t cap,
           size_t *ret_len)
{
    static const char *const words[] = {"skipped", "pass", "fail"};

    qr_claims_init(c);
    qr_claim_text(c, "platform", qr_view_str(qr_evidence_kind_name(v->e->e.kind)));
    qr_claim_text(c, "verdict", qr_view_str(v->genuine ? "valid" : "invalid"));
    qr_claim_bool(c, "accepted", v->accepted);
    qr_claim_text(c, "reason", qr_view_str(qr_reason_word(v->v.reason)));
    qr_claim_text(c, "sentence", qr_view_str(v->v.sentence));
    for (unsigned i = 0; i < QR_CHECK_COUNT; i++) {
        qr_claim_text(c, qr_claim_path(c, "checks.%s", qr_check_name((enum qr_check)i)),
                      qr_view_str(words[v->v.check[i]]));
    }
    return c->overflow ? QR_ERR_TOO_LARGE : qr_claims_json(c, out, cap, ret_len);
}

static qr_err
print_into(const struct quorate_verdict *v, struct qr_claimset *c, char *out, size_t cap)
{
    static const char between[] = ",\"claims\":";
    size_t n = 0, m = 0;

    QR_TRY(print_head(v, c, out, cap, &n));
    n--; /* the closing brace comes last */
    if (cap - n <= sizeof between + 1) {
        return QR_ERR_TOO_LARGE;
    }
    memcpy(out + n, between, sizeof between - 1);
    n += sizeof between - 1;
    QR_TRY(qr_claims_json(&v->v.claims, out + n, cap - n - 1, &m));
    out[n + m] = '}';
    out[n + m + 1] = 0;
    return QR_OK;
}

static qr_err
print(struct quorate_verdict *v)
{
    qr_err e = QR_ERR_TOO_LARGE;
    struct qr_claimset *c = qr_alloc(sizeof *c);

    for (size_t cap = 32768; c && e == QR_ERR_TOO_LARGE && cap <= JSON_MAX; cap *= 2) {
        v->json = qr_free(v->json);
        v->json = qr_alloc(cap);
        e = v->json ? print_into(v, c, v->json, cap) : QR_ERR_NO_MEMORY;
    }
    if (c && e == QR_ERR_TOO_LARGE) { /* half a megabyte of claims is no evidence that one needs */
        v->genuine = v->accepted = 0;
        (void)qr_fail(&v->v, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT,
                      "claims: expected at most %u bytes as JSON, found more", JSON_MAX);
        qr_claims_init(&v->v.claims);
        e = print_into(v, c, v->json, JSON_MAX);
    }
    e = c ? e : QR_ERR_NO_MEMORY;
    qr_free(c);
    return e;
}

static qr_err
judge(struct quorate_verdict *v, const struct quorate_request *r)
{
    const struct qr_peers_who who = {r->index, r->cloud, r->operator_name};
    struct qr_verify_out found;
    struct qr_verify_opts o = {
        .roots = r->roots ? &r->roots->r : NULL,
        .now_ms = r->now_ms,
        .binder = qr_view_of(r->binder_len > 0 ? r->binder : NULL, r->binder_len),
        .seen = r->memory ? &r->memory->marks : NULL,
    };

    if (r->audience[0]) {
        o.audience = qr_view_str(r->audience);
    }
    if (r->policy) {
        qr_peers_verify_opts(r->policy->peers, &o);
    }
    qr_err e = qr_verify(&v->e->e, &o, &v->v, &found);
    if (e != QR_OK) {
        return e;
    }
    v->genuine = 1;
    if (!r->policy) {
        return QR_OK;
    }
    e = qr_peers_judge(r->policy->peers, v->e->e.kind, 0, &who, r->now_ms, &v->v, &v->domain);
    if (e != QR_OK) {
        return e;
    }
    /* A policy cannot ask for less than these two. */
    v->accepted = r->now_ms >= 0 && v->v.check[QR_CHECK_BINDER] == QR_CHECK_PASS &&
                  v->v.reason == QR_REASON_NONE;
    v->peers = r->policy->peers;
    if (v->accepted && r->memory) {
        (void)qr_marks_merge(&r->memory->marks, &found.marks);
    }
    return QR_OK;
}

struct quorate_verdict *
quorate_verify(const struct quorate_evidence *e, const struct quorate_request *r)
{
    struct quorate_verdict *v = e && r ? qr_alloc(sizeof *v) : NULL;

    if (!v) {
        return NULL;
    }
    /* The count of holders is the one thing about evidence that a reader changes. */
    v->e = (struct quorate_evidence *)(uintptr_t)e;
    (void)atomic_fetch_add(&v->e->refs, 1);
    if (judge(v, r) == QR_ERR_NO_MEMORY || print(v) != QR_OK) {
        quorate_verdict_free(v);
        return NULL;
    }
    return v;
}

int
quorate_verdict_accepted(const struct quorate_verdict *v)
{
    return v && v->accepted;
}

int
quorate_verdict_genuine(const struct quorate_verdict *v)
{
    return v && v->genuine;
}

const char *
quorate_verdict_reason(const struct quorate_verdict *v)
{
    return v ? qr_reason_word(v->v.reason) : "unknown";
}

const char *
quorate_verdict_sentence(const struct quorate_verdict *v)
{
    return v ? v->v.sentence : "";
}

int
quorate_verdict_check(const struct quorate_verdict *v, const char *name)
{
    enum qr_check c = v && name ? qr_check_by_name(qr_view_str(name)) : QR_CHECK_COUNT;
    if (c == QR_CHECK_COUNT) {
        return -2;
    }
    return v->v.check[c] == QR_CHECK_PASS ? 1 : v->v.check[c] == QR_CHECK_FAIL ? 0 : -1;
}

int
quorate_verdict_bytes(const struct quorate_verdict *v, const char *path, const uint8_t **ret,
                      size_t *ret_len)
{
    qr_view found;
    if (!v || !path || !ret || !ret_len || !qr_claim_get_hex(&v->v.claims, path, &found)) {
        return 0;
    }
    *ret = found.p;
    *ret_len = found.len;
    return 1;
}

const char *
quorate_verdict_json(const struct quorate_verdict *v)
{
    return v ? v->json : "{}";
}

void
quorate_verdict_free(struct quorate_verdict *v)
{
    if (v) {
        quorate_evidence_free(v->e);
        qr_free(v->json);
        qr_free(v);
    }
}

/* ---- quorums ---- */

enum quorate_status
quorate_quorum(const struct quorate_policy *p, const struct quorate_verdict *const *v, size_t n,
               char *err, size_t err_cap)
{
    struct qr_peers_domain d[QR_MAX_PARTIES];

    say(err, err_cap, "");
    if (!p || !v || n == 0 || n > QR_MAX_PARTIES) {
        say(err, err_cap, "expected 1 to 16 verdicts and a policy");
        return QUORATE_MALFORMED;
    }
    for (size_t i = 0; i < n; i++) {
        if (!v[i] || !v[i]->accepted || v[i]->peers != p->peers || v[i]->domain.index == 0) {
            say(err, err_cap, "expected verdicts on members that this policy accepted");
            return QUORATE_MALFORMED;
        }
        d[i] = v[i]->domain;
        for (size_t k = 0; k < i; k++) {
            if (d[k].index == d[i].index) {
                say(err, err_cap, "expected members with distinct indices");
                return QUORATE_MALFORMED;
            }
        }
    }
    return status_of(qr_peers_quorum(p->peers, d, n, err, err_cap));
}
