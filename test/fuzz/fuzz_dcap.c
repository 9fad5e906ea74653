/*
 * SGX and TDX evidence whole: quote, PCK chain, collateral. The first byte chooses: genuine evidence
 * with bytes changed; evidence whose fields are changed by a script and signed again; an SGX extension;
 * custom claims; a TCB info; a QE identity: each of these four signed by the throwaway vendor; an event
 * log; custom claims that nothing binds.
 *
 * Beyond "no crash": a refusal is a printable sentence; claims print; what was changed under a signature
 * is never accepted; what is signed anew is accepted only where each rule holds, said here a second time.
 */
#include "test/common/evgen_dcap.h"
#include "test/fuzz/kit_dcap.h"

enum { CHANGED, SIGNED_AGAIN, EXTENSION, CLAIMS, TCB_INFO, QE_IDENTITY, LOG, LOOSE_CLAIMS, MODES };

static struct evgen_dcap_out genuine[EVGEN_DCAP_KINDS], out;
static struct evgen_dcap d;
static struct qr_verdict v;
static struct qr_roots roots;
static struct qr_verify_opts opts;
static struct qr_tcb_exception exception;
static unsigned dropped;
static int spoiled;
static uint8_t no_point[64];

static qr_err
judge(const struct evgen_dcap_out *o, enum qr_part part, qr_view more)
{
    struct qr_evidence all = {.kind = d.kind >= EVGEN_TDX_V4 ? QR_EV_TDX : QR_EV_SGX};
    struct qr_evidence e = {.kind = all.kind};

    evgen_dcap_add(o, &all);
    for (size_t i = 0; i < all.n; i++) {
        if (!(dropped & 1u << i)) {
            FUZZ_MUST(qr_evidence_add(&e, all.item[i].part, 0, all.item[i].bytes) == QR_OK);
        }
    }
    if (more.len > 0 && qr_evidence_add(&e, part, 0, more) != QR_OK) {
        return QR_ERR_ATTESTATION;
    }
    memset(&roots, 0, sizeof roots);
    evgen_dcap_pin(o, &roots);
    opts.roots = &roots;
    qr_err err = qr_verify(&e, &opts, &v, NULL);
    fuzz_dcap_sane(&v, err);
    return err;
}

static void
reset(enum evgen_dcap_kind kind)
{
    evgen_dcap_default(&d, kind);
    opts = (struct qr_verify_opts){.now_ms = EVGEN_NOW_MS};
    dropped = 0;
    spoiled = 0;
}

/* ---- bytes changed ---- */

static void
flip(struct fuzz_in *in, uint8_t *p, size_t len)
{
    size_t at = fuzz_u16(in), n = fuzz_u8(in) % 16u + 1u;
    for (size_t i = 0; i < n; i++) {
        uint8_t x = fuzz_u8(in);
        if (at + i < len) {
            p[at + i] ^= x;
        }
    }
}

static void
changed(struct fuzz_in *in)
{
    enum evgen_dcap_kind kind = (enum evgen_dcap_kind)(fuzz_u8(in) % EVGEN_DCAP_KINDS);
    const struct evgen_dcap_out *g = &genuine[kind];
    struct qr_dcap_quote q;

    reset(kind);
    out = *g;
    while (in->len > 0) {
        switch (fuzz_u8(in) % 10u) {
        case 0:
            flip(in, out.quote, out.quote_len);
            break;
        case 1:
            flip(in, out.tcb, out.tcb_len);
            break;
        case 2:
            flip(in, out.tcb_sig, out.tcb_sig_len);
            break;
        case 3:
            flip(in, out.qe, out.qe_len);
            break;
        case 4:
            flip(in, out.qe_sig, out.qe_sig_len);
            break;
        case 5:
            flip(in, out.tcb_chain, out.tcb_chain_len);
            break;
        case 6:
            flip(in, out.pck_crl.p, out.pck_crl.len);
            break;
        case 7:
            flip(in, out.root_crl.p, out.root_crl.len);
            break;
        case 8:
            if (out.tcb_sig_len < sizeof out.tcb_sig) {
                out.tcb_sig[out.tcb_sig_len++] = fuzz_u8(in);
            }
            break;
        default:
            out.quote_len = 1u + fuzz_u16(in) % g->quote_len;
            break;
        }
    }
    if (judge(&out, QR_PART_NONE, (qr_view){NULL, 0}) == QR_OK) {
        qr_verdict_init(&v);
        FUZZ_MUST(qr_dcap_quote_parse(qr_view_of(g->quote, g->quote_len), kind >= EVGEN_TDX_V4, &v,
                                      &q) == QR_OK);
        FUZZ_MUST(memcmp(out.quote, g->quote, q.covered.len) == 0);
        FUZZ_MUST(memcmp(out.quote + (q.key.p - g->quote), q.key.p, 64) == 0);
        FUZZ_MUST(memcmp(out.quote + (q.qe_report.p - g->quote), q.qe_report.p, 384) == 0);
        FUZZ_MUST(memcmp(out.tcb, g->tcb, g->tcb_len) == 0);
        FUZZ_MUST(memcmp(out.qe, g->qe, g->qe_len) == 0);
    }
}

/* ---- fields changed, all of it signed again ---- */

static const char *const dates[] = {"2025-12-20T00:00:00Z", "2026-01-01T00:00:00Z",
                                    "2026-01-01T00:00:01Z", "2026-02-20T00:00:00Z",
                                    "2025-12-31T23:59:59Z", "2025-02-30T00:00:00Z"};
static const char *const statuses[] = {"UpToDate",
                                       "SWHardeningNeeded",
                                       "ConfigurationNeeded",
                                       "ConfigurationAndSWHardeningNeeded",
                                       "OutOfDate",
                                       "OutOfDateConfigurationNeeded",
                                       "Revoked",
                                       "Unknown"};

static const char *
date(struct fuzz_in *in)
{
    return dates[fuzz_u8(in) % (sizeof dates / sizeof dates[0])];
}

static const char *
status(struct fuzz_in *in)
{
    return statuses[fuzz_u8(in) % (sizeof statuses / sizeof statuses[0])];
}

static void
change_quote(struct fuzz_in *in)
{
    int64_t add = (int8_t)fuzz_u8(in);
    switch (fuzz_u8(in) % 13u) {
    case 0:
        d.version = fuzz_u16(in) % 8u;
        break;
    case 1:
        d.att_key_type = fuzz_u8(in);
        break;
    case 2:
        d.tee_type = fuzz_u8(in);
        break;
    case 3:
        d.body_type = fuzz_u8(in) % 5u;
        break;
    case 4:
        d.body_size_add = add;
        break;
    case 5:
        d.sig_len_add = add;
        break;
    case 6:
        d.outer_size_add = add;
        break;
    case 7:
        d.auth_len_add = add;
        break;
    case 8:
        d.cert_size_add = add;
        break;
    case 9:
        d.outer_type = fuzz_u8(in);
        break;
    case 10:
        d.cert_type = fuzz_u8(in);
        break;
    case 11:
        d.vendor[fuzz_u8(in) % 16u] = fuzz_u8(in);
        break;
    default:
        d.auth_len = fuzz_u8(in) % 65u;
        d.trailing_len = fuzz_u8(in);
        break;
    }
}

static void
change_certs(struct fuzz_in *in)
{
    struct evgen_cert_spec *const spec[] = {&d.pck, &d.pck_ca, &d.tcb_signer, &d.root};
    struct evgen_cert_spec *s = spec[fuzz_u8(in) % 4u];
    struct evgen_crl_spec *c = fuzz_u8(in) % 2u ? &d.pck_crl : &d.root_crl;
    int64_t at = EVGEN_NOW_MS + 1000 * (int8_t)fuzz_u8(in);
    switch (fuzz_u8(in) % 11u) {
    case 0:
        s->from_ms = at;
        break;
    case 1:
        s->to_ms = at;
        break;
    case 2:
        s->ca = (int)(fuzz_u8(in) % 3u) - 1;
        break;
    case 3:
        d.chain[fuzz_u8(in) % 3u] = fuzz_u8(in) % 4u;
        break;
    case 4:
        d.tcb_chain[fuzz_u8(in) % 2u] = fuzz_u8(in) % 4u;
        break;
    case 5:
        d.n_chain = fuzz_u8(in) % 6u;
        break;
    case 6:
        c->this_ms = at;
        break;
    case 7:
        c->next_ms = at;
        break;
    case 8:
        c->n_revoked = 1;
        c->revoked[0] = s->serial;
        break;
    case 9:
        s->signer = evgen_key(EVGEN_P256, 14);
        break;
    default:
        d.processor_ca = 1;
        d.has_instance_id = d.has_config = 0;
        break;
    }
}

static void
change_lists(struct fuzz_in *in)
{
    struct evgen_tcb_level *l = &d.tcb.level[fuzz_u8(in) % d.tcb.n_levels];
    struct evgen_tdx_module *m = &d.tcb.modules[fuzz_u8(in) % 2u];
    struct evgen_qe_identity *q = &d.qe_identity;
    uint8_t at = fuzz_u8(in), to = fuzz_u8(in);
    switch (fuzz_u8(in) % 17u) {
    case 0:
        l->sgx[at % 16u] = to;
        break;
    case 1:
        l->tdx[at % 16u] = to;
        break;
    case 2:
        l->pce_svn = to;
        break;
    case 3:
        l->status = status(in);
        break;
    case 4:
        m->level[at % 2u].isv_svn = to;
        m->level[at % 2u].status = status(in);
        break;
    case 5:
        m->mrsigner[at % 48u] = to;
        break;
    case 6:
        m->attributes[at % 8u] = to;
        m->mask[at % 8u] = fuzz_u8(in);
        break;
    case 7:
        q->mrsigner[at % 32u] = to;
        break;
    case 8:
        q->attributes[at % 16u] = to;
        q->attributes_mask[at % 16u] = fuzz_u8(in);
        break;
    case 9:
        q->misc_select[at % 4u] = to;
        q->misc_mask[at % 4u] = fuzz_u8(in);
        break;
    case 10:
        q->isv_prod_id = to;
        break;
    case 11:
        q->level[at % 2u].isv_svn = to;
        q->level[at % 2u].status = status(in);
        break;
    case 12:
        d.tcb.issued = date(in);
        d.tcb.next = date(in);
        break;
    case 13:
        q->issued = date(in);
        q->next = date(in);
        break;
    case 14:
        d.tcb.version = to % 5u;
        break;
    case 15:
        d.tcb.fmspc = to % 2u ? "90c06f000000" : "90C06F000001";
        d.tcb.pce_id = at % 2u ? "0000" : "0001";
        break;
    default:
        d.tcb.n_levels = 1u + at % 3u;
        d.tcb.n_modules = to % 3u;
        break;
    }
}

static void
change_options(struct fuzz_in *in)
{
    switch (fuzz_u8(in) % 5u) {
    case 0:
        opts.now_ms = -1;
        break;
    case 1:
        opts.min_tcb_evaluation = fuzz_u8(in);
        break;
    case 2:
        exception = (struct qr_tcb_exception){.tdx = fuzz_u8(in) % 2u,
                                              .component = fuzz_u8(in),
                                              .min_svn = fuzz_u8(in),
                                              .until_ms = EVGEN_NOW_MS + (int8_t)fuzz_u8(in)};
        memcpy(exception.fmspc, d.fmspc, 6);
        opts.exception = &exception;
        opts.n_exceptions = 1;
        break;
    case 3:
        opts.binder = qr_view_of(evgen_dcap_report_data(&d), fuzz_u8(in) % 65u);
        break;
    default:
        dropped |= 1u << fuzz_u8(in) % 8u;
        break;
    }
}

static void
change_platform(struct fuzz_in *in)
{
    uint16_t at = fuzz_u16(in);
    uint8_t to = fuzz_u8(in);
    switch (fuzz_u8(in) % 6u) {
    case 0:
        d.body[at % d.body_len] = to;
        break;
    case 1:
        d.qe[at % 384u] = to;
        break;
    case 2:
        d.comp[at % 16u] = to;
        break;
    case 3:
        d.pce_svn = to;
        break;
    case 4:
        d.fmspc[at % 6u] = to;
        break;
    default:
        d.sgx_type = to;
        break;
    }
}

/* None of these but the first may end well. */
static void
change_more(struct fuzz_in *in)
{
    uint8_t bound[128];
    unsigned what = fuzz_u8(in) % 9u;
    spoiled |= what > 0;
    switch (what) {
    case 0:
        d.raw_sigs = 1;
        break;
    case 1:
        d.n_tcb_chain = 1 + 2 * (fuzz_u8(in) % 2u);
        break;
    case 2:
        d.pck.subject = "CN=Intel SGX PCK";
        break;
    case 3:
        d.tcb_signer.subject = "CN=Intel SGX TCB";
        break;
    case 4:
        d.tcb_signer.key = evgen_key(EVGEN_P384, 14);
        break;
    case 5:
        d.pck.key = evgen_key(EVGEN_P384, 14);
        break;
    case 6:
        (void)evgen_key_xy(d.att_key, bound);
        memcpy(bound + 64, d.auth, d.auth_len);
        evgen_sha256(qr_view_of(bound, 64 + d.auth_len), d.qe + EVGEN_SGX_REPORT_DATA);
        d.qe[EVGEN_SGX_REPORT_DATA + fuzz_u8(in) % 64u] ^= 1;
        d.qe_report_data_kept = 1;
        break;
    case 7:
        memset(no_point, fuzz_u8(in), sizeof no_point);
        d.att_xy = no_point;
        break;
    default:
        d.no_sgx_ext = 1;
        break;
    }
}

/* Without exceptions: some level is not above the platform. */
static int
some_level(void)
{
    int tdx = d.kind >= EVGEN_TDX_V4;
    for (size_t i = 0; i < d.tcb.n_levels; i++) {
        const struct evgen_tcb_level *l = &d.tcb.level[i];
        size_t above = l->pce_svn > d.pce_svn;
        for (size_t c = 0; c < 16; c++) {
            above += l->sgx[c] > d.comp[c];
            above += tdx && (c > 1 || d.body[1] == 0) && l->tdx[c] > d.body[c];
        }
        if (above == 0) {
            return 1;
        }
    }
    return 0;
}

static void
accepted_means(void)
{
    static const uint8_t vendor[16] = {0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9,
                                       0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07};
    int tdx = d.kind >= EVGEN_TDX_V4;
    const struct evgen_qe_identity *q = &d.qe_identity;

    FUZZ_MUST(d.version >= 3 && d.version <= 5 && d.att_key_type == 2);
    FUZZ_MUST(d.tee_type == (tdx ? 0x81u : 0u) && memcmp(d.vendor, vendor, 16) == 0);
    FUZZ_MUST(!spoiled && dropped == 0 && d.cert_type == 5);
    FUZZ_MUST(d.n_chain == 3 && d.chain[0] == 0 && d.chain[1] == 1 && d.chain[2] == 2);
    FUZZ_MUST(d.tcb_chain[0] == 3 && d.tcb_chain[1] == 2);
    FUZZ_MUST(memcmp(d.fmspc, "\x90\xc0\x6f\0\0\0", 6) == 0);
    FUZZ_MUST(strcmp(d.tcb.fmspc, "90C06F000001") != 0 && strcmp(d.tcb.pce_id, "0000") == 0);
    FUZZ_MUST(memcmp(d.qe + EVGEN_SGX_MRSIGNER, q->mrsigner, 32) == 0);
    FUZZ_MUST((d.qe[EVGEN_SGX_ATTRIBUTES] & 2) == 0);
    for (size_t i = 0; i < 16; i++) {
        FUZZ_MUST((d.qe[EVGEN_SGX_ATTRIBUTES + i] & q->attributes_mask[i]) == q->attributes[i]);
    }
    FUZZ_MUST(opts.min_tcb_evaluation <= 17);
    FUZZ_MUST(opts.n_exceptions > 0 || some_level());
    FUZZ_MUST(!opts.binder.p || v.check[QR_CHECK_BINDER] == QR_CHECK_PASS);
    if (opts.now_ms >= 0) {
        const struct evgen_cert_spec *const spec[] = {&d.pck, &d.pck_ca, &d.tcb_signer, &d.root};
        for (size_t i = 0; i < 4; i++) {
            FUZZ_MUST(spec[i]->from_ms <= EVGEN_NOW_MS && spec[i]->to_ms >= EVGEN_NOW_MS);
            FUZZ_MUST(spec[i]->signer != evgen_key(EVGEN_P256, 14) || i == 3);
        }
        FUZZ_MUST(strcmp(d.tcb.next, "2026-01-01T00:00:00Z") >= 0);
        FUZZ_MUST(strcmp(q->next, "2026-01-01T00:00:00Z") >= 0);
        FUZZ_MUST(strcmp(d.tcb.issued, "2026-01-01T00:00:00Z") <= 0);
        FUZZ_MUST(d.pck_crl.this_ms <= EVGEN_NOW_MS && d.pck_crl.next_ms >= EVGEN_NOW_MS);
    }
}

static void
signed_again(struct fuzz_in *in)
{
    reset((enum evgen_dcap_kind)(fuzz_u8(in) % EVGEN_DCAP_KINDS));
    for (unsigned n = 0; n < 32 && in->len > 0; n++) {
        switch (fuzz_u8(in) % 6u) {
        case 0:
            change_quote(in);
            break;
        case 1:
            change_certs(in);
            break;
        case 2:
            change_lists(in);
            break;
        case 3:
            change_options(in);
            break;
        case 5:
            change_more(in);
            break;
        default:
            change_platform(in);
            break;
        }
    }
    evgen_dcap_make(&d, &out);
    if (judge(&out, QR_PART_NONE, (qr_view){NULL, 0}) == QR_OK) {
        accepted_means();
    }
}

/* ---- one piece of the input's own, signed ---- */

static void
extension(qr_view ext)
{
    reset(EVGEN_SGX_V3);
    d.sgx_ext = &ext;
    if (ext.len > 2048) {
        return;
    }
    evgen_dcap_make(&d, &out);
    (void)judge(&out, QR_PART_NONE, (qr_view){NULL, 0});
}

static void
custom_claims(qr_view claims)
{
    reset(EVGEN_SGX_V3);
    evgen_sha256(claims, d.body + EVGEN_SGX_REPORT_DATA);
    evgen_dcap_make(&d, &out);
    (void)judge(&out, QR_PART_CUSTOM_CLAIMS, claims);
}

/* Nothing binds these: a log replays to the body's registers by accident only. */
static void
beside(enum evgen_dcap_kind kind, enum qr_part part, qr_view bytes)
{
    reset(kind);
    evgen_dcap_make(&d, &out);
    qr_err e = judge(&out, part, bytes);
    FUZZ_MUST(e == QR_ERR_ATTESTATION || bytes.len == 0);
}

static void
document(struct fuzz_in *in, int qe)
{
    static char text[8192];
    reset((enum evgen_dcap_kind)(fuzz_u8(in) % EVGEN_DCAP_KINDS));
    qr_view doc = fuzz_take(in, sizeof text - 1);
    if (doc.len == 0 || memchr(doc.p, 0, doc.len)) {
        return; /* the generator signs text */
    }
    memcpy(text, doc.p, doc.len);
    text[doc.len] = 0;
    if (qe) {
        d.qe_identity.text = text;
    } else {
        d.tcb.text = text;
    }
    evgen_dcap_make(&d, &out);
    (void)judge(&out, QR_PART_NONE, (qr_view){NULL, 0});
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int started;
    struct fuzz_in in = fuzz_in_of(data, size < 16384 ? size : 16384);

    for (; started < EVGEN_DCAP_KINDS; started++) {
        reset((enum evgen_dcap_kind)started);
        evgen_dcap_make(&d, &genuine[started]);
        FUZZ_MUST(judge(&genuine[started], QR_PART_NONE, (qr_view){NULL, 0}) == QR_OK);
    }
    switch (fuzz_u8(&in) % MODES) {
    case CHANGED:
        changed(&in);
        break;
    case SIGNED_AGAIN:
        signed_again(&in);
        break;
    case EXTENSION:
        extension(fuzz_take(&in, in.len));
        break;
    case CLAIMS:
        custom_claims(fuzz_take(&in, in.len));
        break;
    case TCB_INFO:
        document(&in, 0);
        break;
    case LOG:
        beside(EVGEN_TDX_V5_10, QR_PART_CC_LOG, fuzz_take(&in, in.len));
        break;
    case LOOSE_CLAIMS:
        beside(EVGEN_SGX_V4, QR_PART_CUSTOM_CLAIMS, fuzz_take(&in, in.len));
        break;
    default:
        document(&in, 1);
        break;
    }
    return 0;
}
