/* The second witness: chosen by its issuer, judged as evidence of its own, compared, and noted. */
#include "enclave-shim/verify/witness.h"

#include "enclave-shim/verify/jws.h"
#include "protocol/base/enc.h"
#include "protocol/base/mem.h"

#include <jansson.h>
#include <stdio.h>

#define VALUE_MAX 64u /* of what is compared, bytes */

/* ---- which service, beside what ---- */

enum qr_evidence_kind
qr_witness_of(qr_view iss)
{
    return qr_cspace_is_issuer(iss) ? QR_EV_CONFIDENTIAL_SPACE
           : qr_maa_is_issuer(iss)  ? QR_EV_MAA
                                    : QR_EV_NONE;
}

int
qr_witness_fits(enum qr_evidence_kind service, enum qr_evidence_kind kind)
{
    switch (kind) {
    case QR_EV_SNP:
    case QR_EV_TDX:
        return service == QR_EV_MAA || service == QR_EV_CONFIDENTIAL_SPACE;
    case QR_EV_AZURE_SNP:
    case QR_EV_AZURE_TDX:
        return service == QR_EV_MAA;
    case QR_EV_GCP_SNP:
    case QR_EV_GCP_TDX:
        return service == QR_EV_CONFIDENTIAL_SPACE;
    default:
        return 0;
    }
}

int
qr_witness_taken(enum qr_evidence_kind kind)
{
    return qr_witness_fits(QR_EV_MAA, kind) || qr_witness_fits(QR_EV_CONFIDENTIAL_SPACE, kind);
}

/* ---- does it speak of this machine? ---- */

static qr_err
mismatch(struct qr_verify_run *r, const char *what, const char *expected, qr_view found)
{
    char q[QR_QUOTE_MAX];
    return qr_fail(r->v, QR_CHECK_COMPOSITE, QR_REASON_IDENTITY_MISMATCH,
                   "second witness: %s: expected %s, found \"%s\"", what, expected,
                   found.p ? qr_quote(q, found) : "(none)");
}

static int
is_tdx(enum qr_evidence_kind k)
{
    return k == QR_EV_TDX || k == QR_EV_AZURE_TDX || k == QR_EV_GCP_TDX;
}

/* A member in lower-case hex against a claim of bytes; one that neither has differs as well. */
static qr_err
same_bytes(struct qr_verify_run *r, const json_t *object, const char *member, const char *claim)
{
    char want[2 * VALUE_MAX + 1];
    qr_view have, found = qr_jws_text(object, member);

    if (!qr_claim_get_hex(&r->v->claims, claim, &have) || have.len > VALUE_MAX) {
        return mismatch(r, member, "evidence that has such a value", found);
    }
    qr_hex_encode(have, want);
    return found.p && qr_view_eq(found, qr_view_str(want))
               ? QR_OK
               : mismatch(r, member, "the value of the evidence", found);
}

/* *ret_same: both name the VM, and it is the same. */
static qr_err
same_vm(struct qr_verify_run *r, const struct qr_jws *j, int *ret_same)
{
    qr_view have, found = qr_jws_text(j->payload.root, "x-ms-azurevm-vmid");

    if (!found.p || !qr_claim_get_text(&r->v->claims, "hcl.vm_configuration.vmUniqueId", &have)) {
        return QR_OK;
    }
    if (!qr_view_eq(found, have)) {
        return mismatch(r, "x-ms-azurevm-vmid", "the VM of the evidence", found);
    }
    *ret_same = 1;
    return QR_OK;
}

static qr_err
compare_maa(struct qr_verify_run *r, const struct qr_jws *j)
{
    static const struct {
        const char *member, *claim;
        int tdx, names; /* names: no other machine has that value */
    } same[] = {
        {"x-ms-sevsnpvm-launchmeasurement", "measurement", 0, 0},
        {"x-ms-sevsnpvm-idkeydigest", "id_key_digest", 0, 0},
        {"x-ms-sevsnpvm-reportdata", "report_data", 0, 1},
        {"tdx_mrtd", "body.mr_td", 1, 0},
        {"tdx_report_data", "body.report_data", 1, 1},
    };
    const json_t *tee = json_object_get(j->payload.root, "x-ms-isolation-tee");
    qr_view type = qr_jws_text(tee, "x-ms-attestation-type");
    int tdx = is_tdx(r->e->kind), named = 0;

    if (!qr_view_eq(type, qr_view_str(tdx ? "tdxvm" : "sevsnpvm"))) {
        return mismatch(r, "x-ms-attestation-type", tdx ? "tdxvm" : "sevsnpvm", type);
    }
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        /* A TD's values were not always in the token; an SNP guest's were. */
        if (same[i].tdx == tdx && (!tdx || json_object_get(tee, same[i].member))) {
            QR_TRY(same_bytes(r, tee, same[i].member, same[i].claim));
            named |= same[i].names;
        }
    }
    QR_TRY(same_vm(r, j, &named));
    return named ? QR_OK
                 : mismatch(r, "token", "report data or the id of a VM that the evidence names",
                            (qr_view){0});
}

static qr_err
compare_cspace(struct qr_verify_run *r, const struct qr_jws *j)
{
    /* Plain SEV, which the reference calls GCP_AMD_SEV and GCP_AMD_SEV_ES, is not SEV-SNP. */
    const char *model = is_tdx(r->e->kind) ? "GCP_INTEL_TDX" : "GCP_AMD_SEV_SNP";
    const json_t *gce = json_object_get(json_object_get(j->payload.root, "submods"), "gce");
    qr_view found = qr_jws_text(j->payload.root, "hwmodel");
    char want[24];
    uint64_t id = 0;

    if (!found.p || !qr_view_eq(found, qr_view_str(model))) {
        return mismatch(r, "hwmodel", model, found);
    }
    if (!qr_claim_get_uint(&r->v->claims, "ak_cert.instance.instance_id", &id)) {
        return QR_OK;
    }
    (void)snprintf(want, sizeof want, "%llu", (unsigned long long)id);
    found = qr_jws_text(gce, "instance_id");
    return found.p && qr_view_eq(found, qr_view_str(want))
               ? QR_OK
               : mismatch(r, "instance_id", want, found);
}

/* ---- what stays of it ---- */

static void
note(struct qr_verify_run *r, const struct qr_jws *j, enum qr_evidence_kind service,
     const struct qr_verdict *w)
{
    struct qr_claimset *c = &r->v->claims;
    qr_view key;
    int debug = 0;

    qr_claim_text(c, "witness.kind", qr_view_str(qr_evidence_kind_name(service)));
    qr_claim_text_copy(c, "witness.iss", qr_jws_text(j->payload.root, "iss"));
    qr_claim_uint(c, "witness.exp",
                  (uint64_t)json_integer_value(json_object_get(j->payload.root, "exp")));
    if (qr_claim_get_hex(&w->claims, "key_sha256", &key)) {
        qr_claim_hex_copy(c, "witness.key_sha256", key);
    }
    qr_claim_bool(c, "witness.pinned_root", w->check[QR_CHECK_ROOT] == QR_CHECK_PASS);
    if (qr_claim_get_bool(&w->claims, "debug", &debug)) {
        qr_claim_bool(c, "witness.debug", debug);
    }
    qr_pass(r->v, QR_CHECK_TOKEN);
}

/* ---- all of it ---- */

/* The token by the rules of a token alone, into *w. No deeper than once: a token takes no token. */
static qr_err
judge_alone(struct qr_verify_run *r, enum qr_evidence_kind service, struct qr_verdict *w)
{
    struct qr_evidence e = {.kind = service};
    struct qr_verify_out out;
    qr_view keys = qr_evidence_get(r->e, QR_PART_JWKS);

    QR_TRY(qr_evidence_add(&e, QR_PART_TOKEN, 0, qr_evidence_get(r->e, QR_PART_TOKEN)));
    if (keys.p) {
        QR_TRY(qr_evidence_add(&e, QR_PART_JWKS, 0, keys));
    }
    QR_TRY(qr_verify(&e, r->o, w, &out));
    qr_run_ends(r, out.earliest_end_ms);
    return QR_OK;
}

static qr_err
hear(struct qr_verify_run *r, const struct qr_jws *j, struct qr_verdict *w)
{
    char q[QR_QUOTE_MAX];
    qr_view iss = qr_jws_text(j->payload.root, "iss");
    enum qr_evidence_kind service = iss.p ? qr_witness_of(iss) : QR_EV_NONE;

    if (service == QR_EV_NONE) {
        return qr_fail(w, QR_CHECK_TOKEN, QR_REASON_UNTRUSTED_ROOT,
                       "token: expected Azure Attestation or Confidential Space as iss, found "
                       "\"%s\"",
                       iss.p ? qr_quote(q, iss) : "(none)");
    }
    QR_TRY(judge_alone(r, service, w));
    if (!qr_witness_fits(service, r->e->kind)) {
        return mismatch(r, "token", "a service of the cloud that the evidence is of", iss);
    }
    QR_TRY(service == QR_EV_MAA ? compare_maa(r, j) : compare_cspace(r, j));
    note(r, j, service, w);
    return QR_OK;
}

qr_err
qr_witness_part(struct qr_verify_run *r)
{
    qr_view token = qr_evidence_get(r->e, QR_PART_TOKEN);
    struct qr_jws j;

    if (!token.p || !qr_witness_taken(r->e->kind)) {
        return QR_OK;
    }
    struct qr_verdict *w = qr_alloc(sizeof *w);
    if (!w) {
        return QR_ERR_NO_MEMORY;
    }
    qr_verdict_init(w);
    qr_err e = qr_jws_parse(token, w, &j);
    if (e == QR_OK) {
        e = hear(r, &j, w);
        qr_jws_free(&j);
    }
    if (e == QR_ERR_ATTESTATION && w->reason != QR_REASON_NONE) {
        e = qr_fail(r->v, w->failed, w->reason, "second witness: %s", w->sentence);
    }
    qr_free(w);
    return e;
}
