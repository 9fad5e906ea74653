/*
 * The library for wallets: evidence as a party sends it, and policies. Evidence that decodes encodes to
 * the same bytes; nothing that a fuzzer writes is genuine under the built-in roots; a verdict is valid
 * JSON whatever was in it, and says why it refuses in printable text.
 */
#include "enclave-shim/verify/evidence.h"
#include "enclave-shim/verify/quorate_verify.h"
#include "test/fuzz/fuzz.h"

#include <jansson.h>

static void
encode_again(qr_view in)
{
    static uint8_t out[QR_EVIDENCE_TOTAL_MAX + 4096];
    struct qr_evidence e;
    struct qr_buf b = qr_buf_over(out, sizeof out);
    if (qr_evidence_decode(in, &e) == QR_OK) {
        qr_evidence_encode(&e, &b);
        FUZZ_MUST(b.err == QR_OK && qr_view_eq(qr_buf_view(&b), in));
    }
}

/* Evidence that needs no root: a TPM's quote by a key of its own says nothing but that. */
static int
needs_no_root(const struct quorate_verdict *v)
{
    return strstr(quorate_verdict_json(v), "\"platform\":\"tpm2\"") != NULL ||
           strstr(quorate_verdict_json(v), "\"platform\":\"azure-maa\"") != NULL ||
           strstr(quorate_verdict_json(v), "\"platform\":\"gcp-confidential-space\"") != NULL;
}

static void
judge(qr_view in)
{
    json_error_t err;
    struct quorate_evidence *e = quorate_evidence_read(in.p, in.len);
    struct quorate_request *r = quorate_request_new();
    FUZZ_MUST(r);
    quorate_request_set_time(r, INT64_C(1795000000000));
    struct quorate_verdict *v = quorate_verify(e, r);
    FUZZ_MUST((v != NULL) == (e != NULL));
    if (v) {
        /* A text may hold a NUL: "\u0000" is JSON. */
        json_t *j =
            json_loads(quorate_verdict_json(v), JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &err);
        FUZZ_MUST(j);
        json_decref(j);
        FUZZ_MUST(!quorate_verdict_accepted(v));
        FUZZ_MUST(!quorate_verdict_genuine(v) || needs_no_root(v));
        FUZZ_MUST(quorate_verdict_genuine(v) == (quorate_verdict_sentence(v)[0] == 0));
        fuzz_text(quorate_verdict_sentence(v), 256);
    }
    quorate_verdict_free(v);
    quorate_request_free(r);
    quorate_evidence_free(e);
}

static void
policy(qr_view in)
{
    char why[256] = "";
    struct quorate_policy *p = quorate_policy_read(in.p, in.len, why, sizeof why);
    FUZZ_MUST((p == NULL) == (why[0] != 0));
    fuzz_text(why, sizeof why);
    quorate_policy_free(p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned what = fuzz_choice(&data, &size, 2);
    qr_view in = qr_view_of(data, size);
    if (what == 0) {
        encode_again(in);
        judge(in);
    } else {
        policy(in);
    }
    return 0;
}
