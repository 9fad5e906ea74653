/*
 * SEV-SNP evidence. The first byte chooses: a report alone; a leaf certificate alone; genuine evidence
 * with changed bytes; a changed report and changed extensions, signed again by the throwaway vendor.
 *
 * Beyond "no crash": a refusal is a printable sentence; claims print; what was changed under a signature
 * is never accepted; what is signed anew is accepted only where each rule holds, said here a second time.
 */
#include "enclave-shim/verify/snp.h"
#include "enclave-shim/verify/verify.h"
#include "test/common/evgen_snp.h"
#include "test/fuzz/kit.h"

enum { REPORT, LEAF, CHANGED, SIGNED_AGAIN, MODES };

static struct qr_roots roots;
static struct evsnp genuine, s;
static struct qr_verdict v;
static char json[65536];

static void
sane_verdict(qr_err e)
{
    size_t n = 0;
    FUZZ_MUST((e == QR_OK) == (v.reason == QR_REASON_NONE));
    FUZZ_MUST(e == QR_OK || (e == QR_ERR_ATTESTATION && v.sentence[0] != 0 &&
                             v.check[v.failed] == QR_CHECK_FAIL));
    fuzz_text(v.sentence, sizeof v.sentence);
    FUZZ_MUST(!v.claims.overflow);
    FUZZ_MUST(qr_claims_json(&v.claims, json, sizeof json, &n) == QR_OK && json[n] == 0);
}

static struct qr_verify_opts options;

static qr_err
judge(const struct evsnp *of)
{
    struct qr_evidence e;
    const struct qr_verify_opts o = options;
    evsnp_evidence(of, QR_EV_SNP, &e);
    qr_err err = qr_verify(&e, &o, &v, NULL);
    sane_verdict(err);
    return err;
}

static int
zeros(size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (s.report[i] != 0) {
            return 0;
        }
    }
    return 1;
}

static uint64_t
get(size_t at, size_t n)
{
    uint64_t u = 0;
    while (n-- > 0) {
        u = u << 8 | s.report[at + n];
    }
    return u;
}

/* ---- a report alone: no endorsement, so never accepted ---- */

static void
report_alone(struct fuzz_in *in)
{
    struct qr_evidence e = {.kind = QR_EV_SNP};
    const struct qr_verify_opts o = {.roots = &roots, .now_ms = EVGEN_NOW_MS};
    struct qr_snp_report p;
    qr_view bytes = fuzz_take(in, in->len);

    qr_verdict_init(&v);
    qr_err err = qr_snp_report_parse(bytes, &v, &p);
    sane_verdict(err);
    if (err == QR_OK) {
        for (int line = QR_SNP_UNKNOWN; line <= QR_SNP_TURIN; line++) {
            qr_verdict_init(&v);
            qr_snp_report_claims(&p, (enum qr_snp_line)line, &v.claims);
            sane_verdict(QR_OK);
            err = qr_snp_report_check(&p, (enum qr_snp_line)line, &v);
            FUZZ_MUST(err == QR_OK || line == QR_SNP_TURIN);
        }
    }
    if (bytes.len > 0 && qr_evidence_add(&e, QR_PART_SNP_REPORT, 0, bytes) == QR_OK) {
        err = qr_verify(&e, &o, &v, NULL);
        sane_verdict(err);
        FUZZ_MUST(err == QR_ERR_ATTESTATION);
    }
}

static void
leaf_alone(struct fuzz_in *in)
{
    struct qr_certs certs = {0};
    struct qr_snp_vek k;
    qr_view bytes = fuzz_take(in, in->len);

    qr_verdict_init(&v);
    if (qr_certs_add_der(&certs, bytes, &v, QR_CHECK_CHAIN, "leaf") == QR_OK) {
        qr_snp_vek_read(certs.x[0], &k);
        qr_snp_vek_claims(&k, &v.claims);
        sane_verdict(QR_OK);
        FUZZ_MUST((k.kind == QR_SNP_VCEK) == (k.hwid.p && !k.csp_id.p));
        FUZZ_MUST((k.kind == QR_SNP_VLEK) == (k.csp_id.p && !k.hwid.p));
    }
    qr_certs_free(&certs);
}

/* ---- changes: u8 part, u16 offset, u8 length, bytes that are xored ---- */

static void
change(struct fuzz_in *in, uint8_t *p, size_t len)
{
    size_t at = fuzz_u16(in), n = fuzz_u8(in) % 32u + 1u;
    for (size_t i = 0; i < n; i++) {
        uint8_t x = fuzz_u8(in);
        if (at + i < len) {
            p[at + i] ^= x;
        }
    }
}

static void
changed_evidence(struct fuzz_in *in)
{
    s = genuine;
    while (in->len > 0) {
        switch (fuzz_u8(in) % 6u) {
        case 0:
            change(in, s.report, EVSNP_REPORT_LEN);
            break;
        case 1:
            change(in, s.vek.p, s.vek.len);
            break;
        case 2:
            change(in, s.ask.p, s.ask.len);
            break;
        case 3:
            change(in, s.ark.p, s.ark.len);
            break;
        case 4:
            change(in, s.crl.p, s.crl.len);
            break;
        default:
            s.report_len = fuzz_u16(in) % sizeof s.report + 1u;
            break;
        }
    }
    if (judge(&s) == QR_OK) {
        FUZZ_MUST(memcmp(s.report, genuine.report, EVSNP_SIGNED_LEN) == 0);
        FUZZ_MUST(memcmp(s.vek.p, genuine.vek.p, s.vek.len) == 0);
        FUZZ_MUST(memcmp(s.ask.p, genuine.ask.p, s.ask.len) == 0);
        FUZZ_MUST(memcmp(s.ark.p, genuine.ark.p, s.ark.len) == 0);
    }
}

/* ---- signed again ---- */

static void
accepted_means(void)
{
    uint64_t version = get(EVSNP_VERSION, 4), policy = get(EVSNP_POLICY, 8),
             flags = get(EVSNP_FLAGS, 4);
    const struct evsnp_ext_value *hwid = &s.ext[EVSNP_EXT_HWID], *csp = &s.ext[EVSNP_EXT_CSPID];

    FUZZ_MUST(version >= 2 && version <= 5 && get(EVSNP_ALGO, 4) == 1 && get(EVSNP_VMPL, 4) <= 3);
    FUZZ_MUST((policy >> 17 & 1) == 1 && policy >> 26 == 0);
    FUZZ_MUST(flags >> 5 == 0 && flags >> 2 <= 1);
    FUZZ_MUST((flags >> 2 == 0) == (hwid->len > 0) && (flags >> 2 == 1) == (csp->len > 0));
    FUZZ_MUST(zeros(EVSNP_RESERVED_4C, EVSNP_REPORT_DATA));
    FUZZ_MUST(zeros(version >= 3 ? EVSNP_RESERVED_18B : EVSNP_CPUID, EVSNP_CHIP_ID));
    FUZZ_MUST(zeros(version >= 5 ? EVSNP_RESERVED_208 : EVSNP_LAUNCH_MIT, EVSNP_R));
    FUZZ_MUST(zeros(EVSNP_RESERVED_330, EVSNP_REPORT_LEN));
    for (size_t i = 0; i < 8; i++) {
        FUZZ_MUST(s.report[EVSNP_REPORTED_TCB + i] <= s.report[EVSNP_COMMITTED_TCB + i]);
        FUZZ_MUST(s.report[EVSNP_COMMITTED_TCB + i] <= s.report[EVSNP_CURRENT_TCB + i]);
    }
    if (hwid->len > 0 && !((flags & 2) != 0 && zeros(EVSNP_CHIP_ID, EVSNP_COMMITTED_TCB))) {
        FUZZ_MUST(memcmp(s.report + EVSNP_CHIP_ID, hwid->bytes, hwid->len) == 0);
        FUZZ_MUST(hwid->len == (s.line == EVSNP_TURIN ? 8 : 64));
    }
    /* 217 is what every genuine case is endorsed for: INTEGER 217 is 02 02 00 d9 */
    const struct evsnp_ext_value *ucode = &s.ext[EVSNP_EXT_UCODE];
    FUZZ_MUST(ucode->len >= 3 && ucode->bytes[ucode->len - 1] == s.report[EVSNP_REPORTED_TCB + 7]);
}

/* A name of a leaf or of its CA. */
static const char *
some_name(struct fuzz_in *in)
{
    static const char *const names[] = {
        "SEV-VCEK",       "SEV-VLEK", "SEV-Milan", "SEV-VLEK-Milan", "SEV-Genoa", "SEV-Turin",
        "SEV-VLEK-Genoa", "SEV-Rome", "ARK-Milan", "SEV-VCEK ?",     "SEV-",      "SEV-VLEK-"};
    return names[fuzz_u8(in) % (sizeof names / sizeof names[0])];
}

static void
set_extension(struct fuzz_in *in, struct evsnp_ext_value *e)
{
    size_t n = fuzz_u8(in);
    qr_view bytes = fuzz_take(in, n % (sizeof e->bytes + 1u));
    if (bytes.len > 0) {
        memcpy(e->bytes, bytes.p, bytes.len);
    }
    e->len = bytes.len;
    e->times = 1 + (int)(n >> 7);
}

static void
set_list(struct fuzz_in *in)
{
    uint64_t serial[4];
    size_t n = fuzz_u8(in) % 4u;
    for (size_t i = 0; i < n; i++) {
        serial[i] = fuzz_u32(in);
    }
    evsnp_crl(&s, serial, n);
}

/* What is done before everything is signed: EVSNP_EXTS extensions, then these. */
enum { NAME_LEAF = EVSNP_EXTS, NAME_CA, LIST, BINDER, RUNTIME_DATA, TIME, REPEAT_EXT };

static void
one_change(struct fuzz_in *in, unsigned what)
{
    static uint8_t binder[64];
    if (what < EVSNP_EXTS) {
        set_extension(in, &s.ext[what]);
    } else if (what == NAME_LEAF) {
        s.vek_spec.subject = evsnp_name(&s, 0, some_name(in));
    } else if (what == NAME_CA) {
        s.ask_spec.subject = evsnp_name(&s, 1, some_name(in));
    } else if (what == LIST) {
        set_list(in);
    } else if (what == BINDER) {
        memcpy(binder, s.report + EVSNP_REPORT_DATA, sizeof binder);
        options.binder = qr_view_of(binder, fuzz_u8(in) % sizeof binder + 1u);
        binder[fuzz_u8(in) % sizeof binder] ^= fuzz_u8(in);
    } else if (what == RUNTIME_DATA) {
        s.runtime_data = fuzz_u8(in) % 2 ? "[]" : "{ }";
    } else if (what == TIME) {
        options.now_ms += ((int64_t)fuzz_u8(in) - 128) * 40 * EVGEN_DAY_MS;
    } else if (what == REPEAT_EXT) {
        s.ext[fuzz_u8(in) % EVSNP_EXTS].times = 2;
    } else {
        change(in, s.report, s.report_len);
    }
}

static void
signed_again(struct fuzz_in *in)
{
    unsigned kind = fuzz_u8(in);
    evsnp_init(&s, (enum evsnp_line)(kind % 3u), 2 + (kind >> 2) % 4u);
    if (kind >> 4 & 1) {
        evsnp_vlek(&s);
    }
    if (kind >> 5 & 1) {
        evsnp_runtime_data(&s, "{}");
    }
    while (in->len > 0) {
        one_change(in, fuzz_u8(in));
    }
    evsnp_build(&s);
    if (judge(&s) == QR_OK) {
        accepted_means();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int started;
    struct fuzz_in in = fuzz_in_of(data, size < 8192 ? size : 8192);

    options = (struct qr_verify_opts){.roots = &roots, .now_ms = EVGEN_NOW_MS};
    if (!started) {
        evsnp_roots(&roots);
        evsnp_init(&genuine, EVSNP_MILAN, 3);
        evsnp_build(&genuine);
        evsnp_crl(&genuine, NULL, 0);
        FUZZ_MUST(judge(&genuine) == QR_OK);
        started = 1;
    }
    switch (fuzz_u8(&in) % MODES) {
    case REPORT:
        report_alone(&in);
        break;
    case LEAF:
        leaf_alone(&in);
        break;
    case CHANGED:
        changed_evidence(&in);
        break;
    default:
        signed_again(&in);
        break;
    }
    return 0;
}
