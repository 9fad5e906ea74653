#include "daemon/ctl_attest.h"

#include "enclave-shim/tee.h"
#include "proto/json_strict.h"
#include "protocol/base/enc.h"

#define ANSWER_MAX (QR_EVIDENCE_MAX * 2u)

struct answer {
    uint64_t party;
    qr_view platform, evidence; /* base64 */
    int insecure_sim;
    uint8_t identity[32], boot_nonce[32], policy_hash[32], roster_hash[32];
};

static qr_err
read_answer(struct qr_json *j, struct answer *a)
{
    struct qr_json_at root = qr_json_root(j);
    uint64_t v = 0;
    const struct qr_json_field fields[] = {
        {"v", QR_JSON_U64, 1, 1, &v, NULL},
        {"party", QR_JSON_U64, 1, QR_MAX_PARTIES, &a->party, NULL},
        {"platform", QR_JSON_NAME, 1, QR_CASE_PLATFORM_MAX - 1, &a->platform, NULL},
        {"insecure_sim", QR_JSON_BOOL, 0, 0, &a->insecure_sim, NULL},
        {"identity", QR_JSON_HEX, 0, 32, a->identity, NULL},
        {"boot_nonce", QR_JSON_HEX, 0, 32, a->boot_nonce, NULL},
        {"policy_hash", QR_JSON_HEX, 0, 32, a->policy_hash, NULL},
        {"roster_hash", QR_JSON_HEX, 0, 32, a->roster_hash, NULL},
        {"evidence", QR_JSON_TEXT, 4, ANSWER_MAX, &a->evidence, NULL},
        {.type = QR_JSON_END},
    };
    return qr_json_fields(&root, fields);
}

/* 1: it is about the party, the roster and the policy that we mean. */
static int
is_ours(const struct answer *a, const struct qr_ctl_asked *asked, struct qr_ctl_attest *ret,
        struct qr_verdict *v)
{
    if (a->party > asked->roster->n) {
        qr_fail(v, QR_CHECK_MACHINE, QR_REASON_IDENTITY_MISMATCH,
                "answer: expected one of %zu parties, found party %u", asked->roster->n,
                (unsigned)a->party);
        return 0;
    }
    ret->party = &asked->roster->party[a->party - 1];
    if (memcmp(ret->party->identity, a->identity, 32) != 0) {
        qr_fail(v, QR_CHECK_MACHINE, QR_REASON_IDENTITY_MISMATCH,
                "answer of party %u: expected the roster's identity key, found another",
                (unsigned)a->party);
    } else if (!qr_view_eq(a->platform, qr_view_str(qr_platform_name(ret->party->platform)))) {
        qr_fail(v, QR_CHECK_MACHINE, QR_REASON_IDENTITY_MISMATCH,
                "answer of party %u: expected platform %s as in the roster, found \"%.*s\"",
                (unsigned)a->party, qr_platform_name(ret->party->platform), (int)a->platform.len,
                (const char *)a->platform.p);
    } else if (memcmp(asked->roster->hash, a->roster_hash, 32) != 0) {
        qr_fail(v, QR_CHECK_POLICY, QR_REASON_POLICY,
                "answer of party %u: expected the roster given with --roster, found another in "
                "force",
                (unsigned)a->party);
    } else if (memcmp(asked->policy_hash, a->policy_hash, 32) != 0) {
        qr_fail(v, QR_CHECK_POLICY, QR_REASON_POLICY,
                "answer of party %u: expected the policy given with --policy, found another in "
                "force",
                (unsigned)a->party);
    }
    return v->reason == QR_REASON_NONE;
}

static int
take_evidence(const struct qr_ctl *c, const struct answer *a, struct qr_ctl_attest *ret,
              struct qr_ctl_case *k, struct qr_verdict *v)
{
    size_t len = 0;

    qr_dbuf_init(&ret->evidence, ANSWER_MAX);
    if (qr_dbuf_reserve(&ret->evidence, a->evidence.len) != QR_OK) {
        return qr_ctl_fail(c, QR_EXIT_INTERNAL, "out of memory");
    }
    qr_err e = qr_b64_decode((const char *)a->evidence.p, a->evidence.len, ret->evidence.p,
                             ret->evidence.cap, &len);
    ret->evidence.len = e == QR_OK ? len : 0;
    if (e == QR_OK && !ret->sim) {
        e = qr_evidence_decode(qr_view_of(ret->evidence.p, len), &k->e);
    }
    if (e != QR_OK) {
        qr_fail(v, QR_CHECK_PARSE,
                e == QR_ERR_TRAILING    ? QR_REASON_TRAILING_DATA
                : e == QR_ERR_TOO_LARGE ? QR_REASON_RESOURCE_LIMIT
                                        : QR_REASON_MALFORMED,
                "answer of party %u: expected encoded evidence: %s", (unsigned)a->party,
                qr_err_text(e));
    } else if (!ret->sim && strcmp(qr_evidence_kind_name(k->e.kind), k->platform) != 0) {
        qr_fail(v, QR_CHECK_MACHINE, QR_REASON_IDENTITY_MISMATCH,
                "answer of party %u: expected evidence of %s, found %s", (unsigned)a->party,
                k->platform, qr_evidence_kind_name(k->e.kind));
    }
    return QR_EXIT_OK;
}

int
qr_ctl_attest_load(const struct qr_ctl *c, const char *path, const struct qr_ctl_asked *asked,
                   struct qr_ctl_attest *ret, struct qr_ctl_case *k, struct qr_verdict *v)
{
    char err[QR_ERR_TEXT_MAX] = "";
    struct answer a = {0};
    struct qr_json j = {0};
    struct qr_dbuf d;

    memset(ret, 0, sizeof *ret);
    memset(k, 0, sizeof *k);
    k->at_ms = -1;
    int code = qr_ctl_read(c, path, ANSWER_MAX, &d);
    if (code != QR_EXIT_OK) {
        return code;
    }
    qr_err e = qr_json_parse(&j, qr_view_of(d.p, d.len), 32, err, sizeof err);
    e = e == QR_OK ? read_answer(&j, &a) : e;
    if (e != QR_OK) {
        code = qr_ctl_fail(c, QR_EXIT_CONFIG, "%s: %s", path, err[0] ? err : qr_err_text(e));
    } else {
        snprintf(k->platform, sizeof k->platform, "%.*s", (int)a.platform.len,
                 (const char *)a.platform.p);
        if (is_ours(&a, asked, ret, v)) {
            ret->sim = ret->party->platform == QR_PLATFORM_SIM;
            qr_client_binder(asked->nonce, a.identity, a.policy_hash, a.roster_hash, a.boot_nonce,
                             ret->binder);
            code = take_evidence(c, &a, ret, k, v);
        }
    }
    qr_json_clear(&j);
    qr_dbuf_free(&d);
    return code;
}
