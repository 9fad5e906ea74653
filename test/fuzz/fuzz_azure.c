/*
 * Composites of Azure and Google. The first byte chooses: Azure's runtime data, hashed and signed by
 * the throwaway processor; the header of its report; a Google guest's key set; genuine evidence of
 * each with changed bytes or parts that are missing, added or another's; a TD's quote beside a report.
 *
 * Beyond "no crash": nothing that was changed under a signature or a hash is accepted.
 */
#include "protocol/base/enc.h"
#include "test/common/evgen_dcap.h"
#include "test/common/evgen_token.h"
#include "test/common/tpmbench.h"
#include "test/fuzz/kit_verdict.h"

enum { RUNTIME, HEADER, KEY_SET, CHANGED, TD, MODES };

static struct tpmbench b;
static struct fuzz_in script;
static int must_fail, other_kind; /* another platform does not read every part */

static void
runtime(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    (void)arg;
    if (s != TB_SPEC) {
        return;
    }
    if (fuzz_u8(&script) % 2) {
        while (script.len > 0) {
            (void)fuzz_xor(&script, (uint8_t *)t->hcl.json, t->hcl.json_len);
        }
    } else if (script.len > 0) {
        qr_view text = fuzz_take(&script, 1300);
        memcpy(t->hcl.json, text.p, text.len);
        t->hcl.json_len = text.len;
    }
}

static void
header(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    (void)arg;
    if (s == TB_SPEC) {
        t->hcl.version ^= fuzz_u8(&script);
        t->hcl.request_type ^= fuzz_u8(&script);
        t->hcl.report_type ^= fuzz_u8(&script);
        t->hcl.hash_type ^= fuzz_u8(&script);
        t->hcl.data_version ^= fuzz_u8(&script);
        t->hcl.var_size_add = (int8_t)fuzz_u8(&script);
        t->hcl.data_size_add = (int8_t)fuzz_u8(&script);
        t->hcl.report_size_add = (int8_t)fuzz_u8(&script);
        must_fail =
            t->hcl.var_size_add != 0 || t->hcl.data_size_add != 0 || t->hcl.report_size_add != 0;
    } else if (s == TB_REPORT) {
        must_fail |= fuzz_xor(&script, t->report_data, sizeof t->report_data);
    }
}

static void
key_set(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    (void)arg;
    if (s != TB_SPEC) {
        return;
    }
    size_t len = strlen(t->key_set);
    if (fuzz_u8(&script) % 2) {
        (void)fuzz_xor(&script, (uint8_t *)t->key_set, len);
    } else if (script.len > 0) {
        qr_view text = fuzz_take(&script, sizeof t->key_set - 1);
        memcpy(t->key_set, text.p, text.len);
        t->key_set[text.len] = 0;
    }
    if (t->key_set[0] == 0) {
        t->key_set[0] = '?';
    }
}

/* A certificate, a copy, a key: what may travel beside, of this machine or another. */
static void
add_witness(struct tpmbench *t)
{
    static struct evak ca;
    struct evgen_buf pem = evgen_buf_over(t->pem, sizeof t->pem);
    uint8_t how = fuzz_u8(&script);
    EVP_PKEY *k = how & 8 ? evgen_key(EVGEN_RSA2048, 0) : t->ak;

    switch (how % 4u) {
    case 0:
        evak_init(&ca, QR_ROOT_MICROSOFT_VTPM, k);
        evak_build(&ca);
        evak_add(&ca, &t->e);
        break;
    case 1:
        evtpm_put_pem(&pem, k);
        evtpm_swap(&t->e, QR_PART_AK_PEM, 0, evgen_buf_view(&pem));
        break;
    case 2:
        evtpm_swap(&t->e, QR_PART_SNP_REPORT, 0, qr_view_of(t->hcl.report, how & 8 ? 1000 : 1184));
        break;
    default:
        evtpm_swap(&t->e, QR_PART_TPM_QUOTE, 0, (qr_view){NULL, 0});
        evtpm_swap(&t->e, QR_PART_TPM_SIG, 0, (qr_view){NULL, 0});
        t->o.binder.p = how & 8 ? NULL : t->o.binder.p;
        other_kind = 1; /* without a quote, who would have signed it does not matter */
        break;
    }
}

/*
 * A service's token about this machine: Azure's beside an HCL report, else Google's. One member may
 * be another text, or the token another byte; what says something else than the processor is refused.
 */
static void
add_token(struct tpmbench *t)
{
    static const char *const member[] = {"x-ms-sevsnpvm-launchmeasurement",
                                         "x-ms-sevsnpvm-idkeydigest", "x-ms-sevsnpvm-reportdata"};
    static const unsigned at[] = {EVSNP_MEASUREMENT, EVSNP_ID_KEY_DIGEST, EVSNP_REPORT_DATA};
    static struct evtoken token;
    char text[129];
    uint8_t how = fuzz_u8(&script);

    if (t->o.binder.p == NULL || qr_evidence_get(&t->e, QR_PART_TOKEN).p) {
        return;
    }
    (t->base == TB_AZURE ? evtoken_maa : evtoken_oidc)(&token, t->o.binder);
    json_t *in = t->base == TB_AZURE
                     ? json_object_get(token.payload, "x-ms-isolation-tee")
                     : json_object_get(json_object_get(token.payload, "submods"), "gce");
    for (unsigned i = 0; t->base == TB_AZURE && i < 3; i++) {
        qr_hex_encode(qr_view_of(t->hcl.report + at[i], i < 2 ? 48 : 64), text);
        FUZZ_MUST(json_object_set_new(in, member[i], json_string(text)) == 0);
    }
    if (t->base != TB_AZURE) {
        FUZZ_MUST(json_object_set_new(token.payload, "hwmodel", json_string("GCP_AMD_SEV_SNP")) ==
                  0);
        FUZZ_MUST(json_object_set_new(in, "instance_id", json_string("7885236546812373301")) == 0);
    }
    if (how % 4u == 1) { /* no value of a machine is as short */
        const char *name = t->base == TB_AZURE ? member[how / 4u % 3u] : "instance_id";
        FUZZ_MUST(json_object_set_new(in, name, json_string(how & 128 ? "7" : "")) == 0);
        must_fail = 1;
    }
    evtoken_build(&token);
    evtoken_free(&token);
    if (how % 4u == 2) {
        must_fail |= fuzz_xor(&script, token.token.p, token.token.len);
    }
    evtpm_swap(&t->e, QR_PART_TOKEN, 0, evgen_buf_view(&token.token));
    if (how % 4u != 3) {
        evtpm_swap(&t->e, QR_PART_JWKS, 0, evgen_buf_view(&token.keys));
    } else {
        must_fail = 1;
    }
}

/* Parts of which every byte is signed, hashed or compared. */
static void
change(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const enum qr_part part[] = {
        QR_PART_TPM_QUOTE, QR_PART_TPM_SIG,      QR_PART_TPM_PCRS,         QR_PART_SNP_VEK,
        QR_PART_SNP_ASK,   QR_PART_SNP_ARK,      QR_PART_AK_CERT,          QR_PART_AK_INTERMEDIATE,
        QR_PART_AK_ROOT,   QR_PART_RUNTIME_DATA, QR_PART_ATTESTATION_DATA,
    };
    (void)arg;
    if (s == TB_SPEC && script.len > 0) {
        uint8_t how = fuzz_u8(&script);
        t->q.extra_len = how == 1 ? 31 : t->q.extra_len;
        t->o.binder.p = how == 1 ? NULL : t->o.binder.p;
        if (how == 2) { /* another key is certified, and signs */
            t->q.ak = t->ca.leaf_spec.key = evgen_key(EVGEN_RSA2048, 0);
            t->ca_changed = 1;
            must_fail = 1;
        }
    }
    while (s == TB_EVIDENCE && script.len > 0) {
        uint8_t what = fuzz_u8(&script);
        if (what >= 254) {
            (what == 255 ? add_witness : add_token)(t);
            continue;
        }
        enum qr_part p = part[fuzz_u8(&script) % (sizeof part / sizeof part[0])];
        qr_view was = qr_evidence_get(&t->e, p);
        if (what % 4 == 0 && was.p) {
            must_fail |= fuzz_xor(&script, tb_own(t, p, 0), was.len);
            return; /* tb_own has room for one part */
        }
        if (what % 4 == 1 && was.p) {
            evtpm_swap(&t->e, p, 0, (qr_view){NULL, 0});
        } else if (what % 4 == 2 && !was.p) {
            evtpm_swap(&t->e, p, 0, qr_view_str("{}"));
        } else if (what % 4 == 3) {
            t->e.kind = (enum qr_evidence_kind)(fuzz_u8(&script) % 14u);
            other_kind = 1;
        }
    }
}

/* A TD's quote and the report that holds its TDREPORT; each may be another's. */
static qr_err
run_td(void)
{
    static struct evgen_dcap d;
    static struct evgen_dcap_out out;
    uint8_t data[64] = {0};
    uint8_t how = fuzz_u8(&script);

    memset(&b, 0, sizeof b);
    evtpm_init(&b.q, evgen_key(EVGEN_RSA2048, 2));
    evtpm_build(&b.q);
    evhcl_init(&b.hcl, 4);
    evhcl_runtime(&b.hcl, b.q.ak);
    evhcl_hash(&b.hcl, data);
    evgen_dcap_default(&d, EVGEN_TDX_V4);
    memcpy(evgen_dcap_report_data(&d), data, 64);
    evgen_dcap_make(&d, &out);
    evhcl_tdreport(&b.hcl, data, d.body + EVGEN_TD_ATTRIBUTES, d.body + EVGEN_TD_MR_TD);
    if (how == 1) { /* report_data, attributes and MRTD are compared, and nothing else */
        static const uint16_t at[] = {128, 512, 528}, len[] = {64, 8, 48};
        unsigned i = fuzz_u8(&script) % 3u;
        must_fail = fuzz_xor(&script, b.hcl.report + at[i], len[i]);
    }
    evhcl_make(&b.hcl);
    evgen_dcap_pin(&out, &b.roots);
    b.o = (struct qr_verify_opts){.roots = &b.roots, .now_ms = EVGEN_NOW_MS};
    b.e.kind = QR_EV_AZURE_TDX;
    evgen_dcap_add(&out, &b.e);
    evtpm_swap(&b.e, QR_PART_HCL_REPORT, 0, qr_view_of(b.hcl.bytes, b.hcl.total));
    evtpm_add(&b.q, 0, &b.e);
    if (how == 2) {
        evtpm_swap(&b.e, QR_PART_QUOTE, 0, (qr_view){NULL, 0});
        must_fail = 1;
    } else if (how == 3) {
        must_fail = fuzz_xor(&script, b.hcl.bytes + 1236, b.hcl.json_len);
    }
    return qr_verify(&b.e, &b.o, &b.v, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const tb_change how[MODES] = {runtime, header, key_set, change, NULL};
    static const enum tb_base bases[] = {TB_AZURE, TB_GCP, TB_GCP_SET};

    must_fail = other_kind = 0;
    script = fuzz_in_of(data, size < 4096 ? size : 4096);
    unsigned mode = fuzz_u8(&script) % MODES;
    enum tb_base base = mode == CHANGED   ? bases[fuzz_u8(&script) % 3u]
                        : mode == KEY_SET ? TB_GCP_SET
                                          : TB_AZURE;
    qr_err e = mode == TD ? run_td() : tb_run(&b, base, how[mode], 0);
    fuzz_verdict(&b.v, e);
    FUZZ_MUST(e != QR_OK || !must_fail || other_kind);
    return 0;
}
