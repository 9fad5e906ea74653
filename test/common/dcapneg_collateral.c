/* What can be wrong with collateral, with the platform it is about, and with what it is bound to. */
#include "test/common/dcapkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
enum { OTHER_SLOT = 14 };

/* ---- items ---- */

static void
missing(struct dcapkit *k, unsigned i)
{
    static const enum qr_part part[] = {QR_PART_TCB_INFO, QR_PART_TCB_INFO_SIG, QR_PART_QE_IDENTITY,
                                        QR_PART_QE_IDENTITY_SIG, QR_PART_TCB_CHAIN};
    dcapkit_replace(k, part[i], (qr_view){NULL, 0});
}

static void
missing_crl(struct dcapkit *k, unsigned i)
{
    dcapkit_replace(k, i == 0 ? QR_PART_PCK_CRL : QR_PART_ROOT_CRL, (qr_view){NULL, 0});
}

/* Forms of a signature that are none; i counts through both documents. */
static void
put_signature(struct dcapkit *k, unsigned i)
{
    uint8_t *sig = i % 2 ? k->out.qe_sig : k->out.tcb_sig;
    size_t *len = i % 2 ? &k->out.qe_sig_len : &k->out.tcb_sig_len;
    switch (i / 2) {
    case 0:
        *len = 127;
        break;
    case 1:
        sig[(*len)++] = '0';
        break;
    case 2:
        sig[(*len)++] = ' ';
        break;
    case 3:
        sig[77] = 'g';
        break;
    case 4:
        sig[(*len)++] = '\n';
        sig[(*len)++] = '\n';
        break;
    case 5:
        *len = 63;
        break;
    default:
        *len = 1;
        break;
    }
}

static void
signature_form(struct dcapkit *k, unsigned i)
{
    (void)i;
    k->finish = put_signature;
}

/* The document, with its meaning kept, as somebody's JSON library would write it again. */
static void
reformat(struct dcapkit *k, unsigned i)
{
    uint8_t *text = i % 2 ? k->out.qe : k->out.tcb;
    size_t *len = i % 2 ? &k->out.qe_len : &k->out.tcb_len;
    if (i < 2) {
        json_t *j = json_loadb((const char *)text, *len, 0, NULL);
        char *pretty = json_dumps(j, JSON_INDENT(1));
        assert_non_null(pretty);
        *len = strlen(pretty);
        assert_true(*len < sizeof k->out.qe);
        memcpy(text, pretty, *len);
        free(pretty);
        json_decref(j);
    } else if (i < 4) {
        text[(*len)++] = '\n';
    } else {
        memmove(text + 1, text, *len);
        text[0] = ' ';
        (*len)++;
    }
}

static void
reserialised(struct dcapkit *k, unsigned i)
{
    (void)i;
    k->finish = reformat;
}

static void
signed_by_another(struct dcapkit *k, unsigned i)
{
    EVP_PKEY *keys[] = {evgen_key(EVGEN_P256, OTHER_SLOT), k->d.pck.key, k->d.root.key};
    if (i < 3) {
        k->d.tcb_key = keys[i];
    } else {
        k->d.qe_identity_key = keys[i - 3];
    }
}

/* Each document with the other's signature. */
static void
swap(struct dcapkit *k, unsigned i)
{
    (void)i;
    uint8_t t[160];
    memcpy(t, k->out.tcb_sig, sizeof t);
    memcpy(k->out.tcb_sig, k->out.qe_sig, sizeof t);
    memcpy(k->out.qe_sig, t, sizeof t);
}

static void
swapped_signatures(struct dcapkit *k, unsigned i)
{
    (void)i;
    k->finish = swap;
}

static void
swap_documents(struct dcapkit *k, unsigned i)
{
    static struct evgen_dcap_out o;
    (void)i;
    o = k->out;
    memcpy(k->out.tcb, o.qe, o.qe_len);
    k->out.tcb_len = o.qe_len;
    memcpy(k->out.tcb_sig, o.qe_sig, sizeof o.qe_sig);
    memcpy(k->out.qe, o.tcb, o.tcb_len);
    k->out.qe_len = o.tcb_len;
    memcpy(k->out.qe_sig, o.tcb_sig, sizeof o.tcb_sig);
}

static void
swapped_documents(struct dcapkit *k, unsigned i)
{
    (void)i;
    k->finish = swap_documents;
}

/* ---- whose ---- */

static char *
copy_text(struct dcapkit *k, const char *text)
{
    char *p = (char *)dcapkit_mem(k, strlen(text) + 1);
    memcpy(p, text, strlen(text));
    return p;
}

static void
fmspc_of_tcb_info(struct dcapkit *k, unsigned i)
{
    char *t = copy_text(k, k->d.tcb.fmspc);
    t[2 * i + 1] = t[2 * i + 1] == '1' ? '2' : '1';
    k->d.tcb.fmspc = t;
}

static void
fmspc_of_pck(struct dcapkit *k, unsigned i)
{
    k->d.fmspc[i] ^= 0x11;
}

static void
pce_id(struct dcapkit *k, unsigned i)
{
    if (i < 2) {
        k->d.pce_id[i] = 1;
    } else {
        k->d.tcb.pce_id = i == 2 ? "0001" : "FFFF";
    }
}

/* Collateral of the other platform for this one's quote. */
static void
other_collateral(struct dcapkit *k, unsigned i)
{
    static struct evgen_dcap o;
    evgen_dcap_default(&o, k->j.e.kind == QR_EV_SGX ? EVGEN_TDX_V4 : EVGEN_SGX_V3);
    if (i != 1) {
        k->d.tcb = o.tcb;
    }
    if (i != 0) {
        k->d.qe_identity = o.qe_identity;
    }
}

/* ---- when ---- */

static void
expired(struct dcapkit *k, unsigned i)
{
    static const char *const at[] = {"2025-12-31T23:59:59Z", "2025-12-31T00:00:00Z",
                                     "2025-12-22T00:00:00Z"};
    const char **next = i < 3 ? &k->d.tcb.next : &k->d.qe_identity.next;
    *next = at[i % 3];
}

static void
future(struct dcapkit *k, unsigned i)
{
    static const char *const at[] = {"2026-01-01T00:00:01Z", "2026-01-10T00:00:00Z"};
    const char **issued = i < 2 ? &k->d.tcb.issued : &k->d.qe_identity.issued;
    *issued = at[i % 2];
}

/* Expired and not valid yet at once: what expired is told. */
static void
expired_and_future(struct dcapkit *k, unsigned i)
{
    k->d.tcb.next = "2025-12-30T00:00:00Z";
    if (i == 0) {
        k->d.qe_identity.issued = "2026-01-10T00:00:00Z";
    } else if (i == 1) {
        k->d.pck.from_ms = EVGEN_NOW_MS + EVGEN_DAY_MS;
    } else {
        k->d.pck_crl.this_ms = EVGEN_NOW_MS + EVGEN_DAY_MS;
    }
}

static void
evaluation_number(struct dcapkit *k, unsigned i)
{
    k->j.o.min_tcb_evaluation = 18 + i; /* the QE identity is of 17, the TCB info of 18 */
}

/* Marks as an earlier verdict left them, from collateral that is newer by one in one respect. */
static void
seen_newer(struct dcapkit *k, unsigned i)
{
    static struct dcapkit newer;
    dcapkit_init(&newer, k->d.kind);
    switch (i) {
    case 0:
        newer.d.tcb.evaluation++;
        break;
    case 1:
        newer.d.tcb.issued = "2025-12-20T00:00:01Z";
        break;
    case 2:
        newer.d.qe_identity.evaluation++;
        break;
    default:
        newer.d.qe_identity.issued = "2025-12-21T00:00:01Z";
        break;
    }
    dcapkit_run(&newer, 0);
    evjudge_valid(&newer.j, "newer collateral");
    k->seen = newer.j.out.marks;
    k->j.o.seen = &k->seen;
}

static void
seen_newer_crl(struct dcapkit *k, unsigned i)
{
    static struct dcapkit newer;
    dcapkit_init(&newer, k->d.kind);
    struct evgen_crl_spec *c = i % 2 ? &newer.d.root_crl : &newer.d.pck_crl;
    if (i < 2) {
        c->number++;
    } else {
        c->this_ms += 1000;
    }
    dcapkit_run(&newer, 0);
    evjudge_valid(&newer.j, "newer list");
    k->seen = newer.j.out.marks;
    k->j.o.seen = &k->seen;
}

/* ---- lists ---- */

static struct evgen_crl_spec *
crl(struct dcapkit *k, unsigned i)
{
    return i % 2 ? &k->d.root_crl : &k->d.pck_crl;
}

static void
crl_expired(struct dcapkit *k, unsigned i)
{
    crl(k, i)->next_ms = EVGEN_NOW_MS - (i < 2 ? 1000 : EVGEN_DAY_MS / 2);
}

static void
crl_future(struct dcapkit *k, unsigned i)
{
    crl(k, i)->this_ms = EVGEN_NOW_MS + 1000;
}

static void
crl_endless(struct dcapkit *k, unsigned i)
{
    crl(k, i)->next_ms = -1;
}

static void
crl_signer(struct dcapkit *k, unsigned i)
{
    crl(k, i)->signer = i < 2 ? evgen_key(EVGEN_P256, OTHER_SLOT) : k->d.pck.key;
}

static void
crl_issuer(struct dcapkit *k, unsigned i)
{
    switch (i) {
    case 0: /* a genuine list of the other PCK CA */
        k->d.pck_crl.issuer =
            "CN=Intel SGX PCK Processor CA,O=Intel Corporation,L=Santa Clara,ST=CA,C=US";
        break;
    case 1:
        k->d.root_crl = k->d.pck_crl;
        break;
    case 2:
        k->d.pck_crl = k->d.root_crl;
        break;
    default:
        k->d.root_crl.issuer = k->d.tcb_signer.subject;
        break;
    }
}

static void
revoked(struct dcapkit *k, unsigned i)
{
    struct evgen_crl_spec *c = i == 0 ? &k->d.pck_crl : &k->d.root_crl;
    uint64_t serial[] = {k->d.pck.serial, k->d.pck_ca.serial, k->d.tcb_signer.serial};
    c->n_revoked = 3;
    c->revoked[0] = 7;
    c->revoked[1] = serial[i];
    c->revoked[2] = 9;
}

static void
break_crl(struct dcapkit *k, unsigned i)
{
    struct evgen_der *c = i % 2 ? &k->out.root_crl : &k->out.pck_crl;
    if (i < 2) {
        c->p[0] = 0x31;
    } else if (i < 4) {
        c->len -= 3;
    } else {
        c->len = 1;
    }
}

static void
crl_form(struct dcapkit *k, unsigned i)
{
    (void)i;
    k->finish = break_crl;
}

static void
lengthen_crl(struct dcapkit *k, unsigned i)
{
    struct evgen_der *c = i % 2 ? &k->out.root_crl : &k->out.pck_crl;
    c->p[c->len++] = 0;
}

static void
crl_trailing(struct dcapkit *k, unsigned i)
{
    (void)i;
    k->finish = lengthen_crl;
}

const struct dcapkit_rule dcapneg_collateral[] = {
    {57, "signed by another key", DCAP_BOTH, 6, signed_by_another, QR_CHECK_COLLATERAL,
     QR_REASON_SIGNATURE, 0},
    {57, "written again", DCAP_BOTH, 6, reserialised, QR_CHECK_COLLATERAL, QR_REASON_SIGNATURE, 0},
    {57, "swapped signatures", DCAP_BOTH, 1, swapped_signatures, QR_CHECK_COLLATERAL,
     QR_REASON_SIGNATURE, 0},
    {0, "form of a signature", DCAP_BOTH, 14, signature_form, QR_CHECK_COLLATERAL,
     QR_REASON_MALFORMED, 0},
    {0, "swapped documents", DCAP_BOTH, 1, swapped_documents, QR_CHECK_COLLATERAL,
     QR_REASON_UNSUPPORTED, 0},
    {58, "FMSPC of the TCB info", DCAP_BOTH, 6, fmspc_of_tcb_info, QR_CHECK_COLLATERAL,
     QR_REASON_COLLATERAL_MISMATCH, 0},
    {58, "FMSPC of the PCK", DCAP_BOTH, 6, fmspc_of_pck, QR_CHECK_COLLATERAL,
     QR_REASON_COLLATERAL_MISMATCH, 0},
    {58, "PCE-ID", DCAP_BOTH, 4, pce_id, QR_CHECK_COLLATERAL, QR_REASON_COLLATERAL_MISMATCH, 0},
    {59, "collateral of the other platform", DCAP_BOTH, 3, other_collateral, QR_CHECK_COLLATERAL,
     QR_REASON_COLLATERAL_MISMATCH, 0},
    {60, "expired", DCAP_BOTH, 6, expired, QR_CHECK_COLLATERAL, QR_REASON_COLLATERAL_EXPIRED, 0},
    {60, "expired, and something of the future", DCAP_BOTH, 3, expired_and_future,
     QR_CHECK_COLLATERAL, QR_REASON_COLLATERAL_EXPIRED, 0},
    {60, "missing", DCAP_BOTH, 5, missing, QR_CHECK_COLLATERAL, QR_REASON_COLLATERAL_MISSING, 0},
    {60, "missing list", DCAP_BOTH, 2, missing_crl, QR_CHECK_CRL, QR_REASON_COLLATERAL_MISSING, 0},
    {60, "expired list", DCAP_BOTH, 4, crl_expired, QR_CHECK_CRL, QR_REASON_COLLATERAL_EXPIRED, 0},
    {0, "of the future", DCAP_BOTH, 4, future, QR_CHECK_COLLATERAL, QR_REASON_NOT_YET_VALID, 0},
    {0, "list of the future", DCAP_BOTH, 2, crl_future, QR_CHECK_CRL, QR_REASON_NOT_YET_VALID, 0},
    {0, "list without an end", DCAP_BOTH, 2, crl_endless, QR_CHECK_CRL, QR_REASON_MALFORMED, 0},
    {61, "older than seen", DCAP_BOTH, 4, seen_newer, QR_CHECK_COLLATERAL,
     QR_REASON_COLLATERAL_ROLLBACK, 0},
    {61, "list older than seen", DCAP_BOTH, 4, seen_newer_crl, QR_CHECK_COLLATERAL,
     QR_REASON_COLLATERAL_ROLLBACK, 0},
    {61, "evaluation number below the least", DCAP_BOTH, 3, evaluation_number, QR_CHECK_COLLATERAL,
     QR_REASON_COLLATERAL_ROLLBACK, 0},
    {62, "list of another issuer", DCAP_BOTH, 4, crl_issuer, QR_CHECK_CRL,
     QR_REASON_COLLATERAL_MISMATCH, 0},
    {0, "list by another key", DCAP_BOTH, 4, crl_signer, QR_CHECK_CRL, QR_REASON_SIGNATURE, 0},
    {0, "revoked", DCAP_BOTH, 3, revoked, QR_CHECK_CRL, QR_REASON_REVOKED, 0},
    {0, "form of a list", DCAP_BOTH, 6, crl_form, QR_CHECK_CRL, QR_REASON_MALFORMED, 0},
    {0, "bytes behind a list", DCAP_BOTH, 2, crl_trailing, QR_CHECK_CRL, QR_REASON_TRAILING_DATA,
     0},
};
const size_t n_dcapneg_collateral = COUNT(dcapneg_collateral);

/* ---- the TCB ---- */

static void
all_levels(struct dcapkit *k, int tdx, unsigned comp, uint8_t svn)
{
    for (size_t i = 0; i < k->d.tcb.n_levels; i++) {
        (tdx ? k->d.tcb.level[i].tdx : k->d.tcb.level[i].sgx)[comp] = svn;
    }
}

static void
sgx_component(struct dcapkit *k, unsigned i)
{
    k->d.comp[i] = 199;
    all_levels(k, 0, i, 200);
}

static void
pce_svn(struct dcapkit *k, unsigned i)
{
    k->d.pce_svn = 4 - i;
}

static void
tdx_component(struct dcapkit *k, unsigned i)
{
    k->d.body[EVGEN_TD_TCB_SVN + 2 + i] = 6;
    all_levels(k, 1, 2 + i, 7);
}

static void
tdx_component_before_15(struct dcapkit *k, unsigned i)
{
    if (i == 0) {
        k->d.body[EVGEN_TD_TCB_SVN] = 4;
    } else {
        all_levels(k, 1, 1, 1);
    }
}

/* The platform lacks component 8, and the exception is not for it. */
static void
exception_misses(struct dcapkit *k, unsigned i)
{
    struct qr_tcb_exception *e = &k->exception;
    k->d.comp[7] = 3;
    *e = (struct qr_tcb_exception){
        .component = 8, .min_svn = 3, .until_ms = EVGEN_NOW_MS + EVGEN_DAY_MS};
    memcpy(e->fmspc, k->d.fmspc, 6);
    switch (i) {
    case 0:
        e->fmspc[2] ^= 1;
        break;
    case 1:
        e->component = 7;
        break;
    case 2:
        e->component = 9;
        break;
    case 3:
        e->min_svn = 4;
        break;
    case 4:
        e->until_ms = EVGEN_NOW_MS;
        break;
    case 5:
        e->until_ms = 0;
        break;
    case 6:
        e->tdx = 1;
        break;
    case 7:
        k->j.o.now_ms = -1; /* without a time, nothing that ends */
        break;
    default:
        k->j.o.n_exceptions = 0;
        k->j.o.exception = e;
        return;
    }
    k->j.o.exception = e;
    k->j.o.n_exceptions = 1;
}

static void
qe_version(struct dcapkit *k, unsigned i)
{
    evgen_set_le(k->d.qe + EVGEN_SGX_SVN, i, 2);
}

static void
qe_identity(struct dcapkit *k, unsigned i)
{
    switch (i) {
    case 0:
        k->d.qe[EVGEN_SGX_ATTRIBUTES] |= 2; /* DEBUG */
        break;
    case 1: /* the same, and the identity's mask would let it pass */
        k->d.qe[EVGEN_SGX_ATTRIBUTES] |= 2;
        k->d.qe_identity.attributes_mask[0] = 0xf9;
        break;
    case 2:
        k->d.qe[EVGEN_SGX_MRSIGNER] ^= 1;
        break;
    case 3:
        k->d.qe[EVGEN_SGX_MRSIGNER + 31] ^= 0x80;
        break;
    case 4:
        memset(k->d.qe + EVGEN_SGX_MRSIGNER, 0, 32);
        break;
    case 5:
        k->d.qe_identity.mrsigner[16] ^= 4;
        break;
    case 6:
        k->d.qe[EVGEN_SGX_MISC_SELECT] = 1;
        break;
    case 7:
        k->d.qe[EVGEN_SGX_MISC_SELECT + 3] = 0x80;
        break;
    case 8:
        k->d.qe_identity.misc_select[3] = 1; /* printed big-endian: the lowest byte */
        break;
    case 9:
        k->d.qe_identity.misc_select[0] = 1;
        k->d.qe_identity.misc_mask[0] = 0; /* wants a bit that it masks */
        break;
    default:
        k->d.qe[EVGEN_SGX_ATTRIBUTES + i - 10] ^= i == 10 ? 0x20 : 0x40;
        break;
    }
}

static void
wrong_qe(struct dcapkit *k, unsigned i)
{
    static const unsigned id[] = {0, 3, 65535};
    unsigned other = k->j.e.kind == QR_EV_SGX ? 2 : 1;
    evgen_set_le(k->d.qe + EVGEN_SGX_PROD_ID, i == 0 ? other : id[i - 1], 2);
}

/* ---- the TDX module ---- */

static void
unknown_module(struct dcapkit *k, unsigned i)
{
    if (i < 3) {
        static const uint8_t v[] = {2, 4, 0xff};
        k->d.body[EVGEN_TD_TCB_SVN + 1] = v[i];
    } else if (i == 3) {
        k->d.tcb.n_modules = 0;
    } else if (i == 4) {
        k->d.tcb.n_modules = 1;
    } else {
        k->d.tcb.modules[1].id = i == 5 ? "TDX_1" : "TDX_001";
    }
}

static void
old_module(struct dcapkit *k, unsigned i)
{
    k->d.body[EVGEN_TD_TCB_SVN] = (uint8_t)i;
}

static void
module_signer(struct dcapkit *k, unsigned i)
{
    static const uint8_t at[] = {0, 1, 23, 46, 47};
    if (i < 5) {
        k->d.body[EVGEN_TD_MR_SIGNER_SEAM + at[i]] = 1;
    } else {
        k->d.tcb.modules[1].mrsigner[at[i - 5]] = 1;
    }
}

static void
module_attributes(struct dcapkit *k, unsigned i)
{
    if (i < 8) {
        k->d.body[EVGEN_TD_SEAM_ATTRIBUTES + i] = 1;
    } else {
        k->d.tcb.modules[1].attributes[i - 8] = 1;
    }
}

static void
module_before_15(struct dcapkit *k, unsigned i)
{
    if (i == 0) {
        k->d.body[EVGEN_TD_MR_SIGNER_SEAM + 5] = 1;
    } else if (i == 1) {
        k->d.body[EVGEN_TD_SEAM_ATTRIBUTES] = 1;
    } else if (i == 2) {
        k->d.tcb.module.mrsigner[5] = 1;
    } else {
        k->d.tcb.module.attributes[7] = 1;
    }
}

const struct dcapkit_rule dcapneg_tcb[] = {
    {64, "SGX component too old for all levels", DCAP_BOTH, 16, sgx_component, QR_CHECK_TCB,
     QR_REASON_TCB, 0},
    {64, "PCESVN too old for all levels", DCAP_BOTH, 4, pce_svn, QR_CHECK_TCB, QR_REASON_TCB, 0},
    {64, "TDX component too old for all levels", DCAP_TDX, 14, tdx_component, QR_CHECK_TCB,
     QR_REASON_TCB, 0},
    {64, "first TDX components before 1.5", DCAP_TDX, 2, tdx_component_before_15, QR_CHECK_TCB,
     QR_REASON_TCB, EVGEN_TDX_V4_PRE15 + 1},
    {64, "exception for something else", DCAP_BOTH, 9, exception_misses, QR_CHECK_TCB,
     QR_REASON_TCB, 0},
    {55, "QE identity", DCAP_BOTH, 18, qe_identity, QR_CHECK_QE_IDENTITY,
     QR_REASON_IDENTITY_MISMATCH, 0},
    {56, "wrong QE", DCAP_BOTH, 4, wrong_qe, QR_CHECK_QE_IDENTITY, QR_REASON_IDENTITY_MISMATCH, 0},
    {0, "QE too old for all levels", DCAP_BOTH, 4, qe_version, QR_CHECK_QE_IDENTITY, QR_REASON_TCB,
     0},
    {65, "unknown TDX module", DCAP_TDX, 7, unknown_module, QR_CHECK_TDX_MODULE, QR_REASON_TCB, 0},
    {0, "TDX module too old for all levels", DCAP_TDX, 2, old_module, QR_CHECK_TDX_MODULE,
     QR_REASON_TCB, 0},
    {70, "signer of the TDX module", DCAP_TDX, 10, module_signer, QR_CHECK_TDX_MODULE,
     QR_REASON_IDENTITY_MISMATCH, 0},
    {70, "attributes of the TDX module", DCAP_TDX, 16, module_attributes, QR_CHECK_TDX_MODULE,
     QR_REASON_IDENTITY_MISMATCH, 0},
    {70, "TDX module before 1.5", DCAP_TDX, 4, module_before_15, QR_CHECK_TDX_MODULE,
     QR_REASON_IDENTITY_MISMATCH, EVGEN_TDX_V4_PRE15 + 1},
};
const size_t n_dcapneg_tcb = COUNT(dcapneg_tcb);
