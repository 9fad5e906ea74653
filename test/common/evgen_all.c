#include "test/common/evgen_all.h"

#include "enclave-shim/verify/cert.h"
#include "enclave-shim/verify/gcp.h"
#include "test/common/evgen_dcap.h"
#include "test/common/evgen_nitro.h"
#include "test/common/evgen_snp.h"
#include "test/common/evgen_token.h"
#include "test/common/evgen_tpm.h"

#include <stdlib.h>

#define MAX 20u

static struct evall list[MAX];
static size_t n;
/* Of the evidence that was begun last. */
#define ROOTS (&list[n - 1].roots)

/* Memory that lives until the program ends; views of evidence point into it. */
static void *
keep(size_t size)
{
    static void *kept[8 * MAX]; /* so that it is seen not to be lost */
    static size_t n_kept;
    void *p = calloc(1, size);

    if (!p || n_kept == sizeof kept / sizeof kept[0]) {
        abort();
    }
    return kept[n_kept++] = p;
}

qr_view
evall_binder(void)
{
    static uint8_t binder[32];
    for (uint8_t i = 0; i < sizeof binder; i++) {
        binder[i] = (uint8_t)(0xb0 + i);
    }
    return qr_view_of(binder, sizeof binder);
}

static struct qr_evidence *
begin(const char *name, enum qr_evidence_kind kind, int binds)
{
    if (n == MAX) {
        abort();
    }
    list[n] = (struct evall){.name = name, .e = {.kind = kind}, .binds = binds};
    evsnp_roots(&list[n].roots);
    return &list[n++].e;
}

static void
add(struct qr_evidence *e, enum qr_part part, qr_view v)
{
    if (qr_evidence_add(e, part, 0, v) != QR_OK) {
        abort();
    }
}

/* ---- platforms ---- */

static void
nitro(void)
{
    struct evnitro *d = keep(sizeof *d);

    evnitro_init(d);
    d->nonce = evall_binder();
    evnitro_build(d);
    add(begin("nitro", QR_EV_NITRO, 1), QR_PART_NITRO_DOCUMENT, evnitro_doc(d));
    evgen_pin(ROOTS, QR_ROOT_AWS_NITRO, &d->cert[EVNITRO_ROOT]);
}

static struct evsnp *
snp_base(enum evsnp_line line, unsigned version, const uint8_t data[static 64])
{
    struct evsnp *s = keep(sizeof *s);

    evsnp_init(s, line, version);
    memcpy(s->report + EVSNP_REPORT_DATA, data, 64);
    return s;
}

static void
snp(const char *name, enum evsnp_line line, unsigned version, int vlek)
{
    uint8_t data[64] = {0};
    memcpy(data, evall_binder().p, 32);
    struct evsnp *s = snp_base(line, version, data);

    if (vlek) {
        evsnp_vlek(s);
    }
    evsnp_build(s);
    evsnp_evidence(s, QR_EV_SNP, begin(name, QR_EV_SNP, 1));
}

static struct evgen_dcap_out *
dcap_made(struct evgen_dcap *d)
{
    struct evgen_dcap_out *o = keep(sizeof *o);

    evgen_dcap_make(d, o);
    evgen_dcap_pin(o, ROOTS);
    return o;
}

static void
dcap(const char *name, enum evgen_dcap_kind which, enum qr_evidence_kind kind)
{
    struct evgen_dcap *d = keep(sizeof *d);

    evgen_dcap_default(d, which);
    memset(evgen_dcap_report_data(d), 0, 64);
    memcpy(evgen_dcap_report_data(d), evall_binder().p, 32);
    struct qr_evidence *e = begin(name, kind, 1);
    evgen_dcap_add(dcap_made(d), e);
}

static struct evtpm *
quote(EVP_PKEY *ak, enum evtpm_form form)
{
    struct evtpm *q = keep(sizeof *q);

    evtpm_init(q, ak);
    evtpm_extra(q, evall_binder().p, 32);
    q->form = form;
    evtpm_build(q);
    return q;
}

/* The key alone, or with what it may be used for. */
static void
tpm(const char *name, int public, uint8_t slot)
{
    EVP_PKEY *ak = evgen_key(EVGEN_RSA2048, 1);
    struct evgen_buf key = evgen_buf_over(keep(2048), 2048);
    struct qr_evidence *e = begin(name, QR_EV_TPM, 1);

    if (public) {
        const struct evtpm_public p = evtpm_public_of(ak);
        evtpm_put_public(&key, &p);
    } else {
        evtpm_put_pem(&key, ak);
    }
    add(e, public ? QR_PART_AK_PUBLIC : QR_PART_AK_PEM, evgen_buf_view(&key));
    evtpm_add(quote(ak, EVTPM_TPMT), slot, e);
}

static const struct evhcl *
hcl(struct evhcl *h, const uint8_t *report, size_t len)
{
    memset(h->report, 0, sizeof h->report);
    memcpy(h->report, report, len);
    evhcl_make(h);
    return h;
}

static void
azure_snp(void)
{
    EVP_PKEY *ak = evgen_key(EVGEN_RSA2048, 1);
    struct evhcl *h = keep(sizeof *h);
    uint8_t data[64] = {0};

    evhcl_init(h, 2);
    evhcl_runtime(h, ak);
    evhcl_hash(h, data);
    struct evsnp *s = snp_base(EVSNP_MILAN, 3, data);
    evsnp_build(s);
    hcl(h, s->report, EVSNP_REPORT_LEN);
    struct qr_evidence *e = begin("azure-snp", QR_EV_AZURE_SNP, 1);
    add(e, QR_PART_HCL_REPORT, qr_view_of(h->bytes, h->total));
    add(e, QR_PART_SNP_VEK, evgen_view(&s->vek));
    add(e, QR_PART_SNP_ASK, evgen_view(&s->ask));
    add(e, QR_PART_SNP_ARK, evgen_view(&s->ark));
    evtpm_add(quote(ak, EVTPM_RAW), 0, e);
}

static void
azure_tdx(void)
{
    EVP_PKEY *ak = evgen_key(EVGEN_RSA2048, 1);
    struct evhcl *h = keep(sizeof *h);
    struct evgen_dcap *d = keep(sizeof *d);
    uint8_t data[64] = {0};

    evhcl_init(h, 4);
    evhcl_runtime(h, ak);
    evhcl_hash(h, data);
    evgen_dcap_default(d, EVGEN_TDX_V4);
    memcpy(evgen_dcap_report_data(d), data, 64);
    evhcl_tdreport(h, data, d->body + EVGEN_TD_ATTRIBUTES, d->body + EVGEN_TD_MR_TD);
    evhcl_make(h);
    struct qr_evidence *e = begin("azure-tdx", QR_EV_AZURE_TDX, 1);
    add(e, QR_PART_HCL_REPORT, qr_view_of(h->bytes, h->total));
    evgen_dcap_add(dcap_made(d), e);
    evtpm_add(quote(ak, EVTPM_RAW), 0, e);
}

static struct evak *
google(EVP_PKEY *ak)
{
    struct evak *a = keep(sizeof *a);

    evak_init(a, QR_ROOT_GOOGLE_VTPM, ak);
    evak_build(a);
    evak_pin(a, ROOTS);
    return a;
}

/* What report_data must hold, so that it names key and quote. */
static void
gcp_data(EVP_PKEY *ak, uint8_t out[static 64])
{
    uint8_t key[32];

    if (!qr_key_sha256(ak, key) || !qr_gcp_report_data(key, evall_binder().p, out)) {
        abort();
    }
}

static void
gcp_snp(void)
{
    EVP_PKEY *ak = evgen_key(EVGEN_RSA2048, 1);
    uint8_t data[64] = {0};

    gcp_data(ak, data);
    struct evsnp *s = snp_base(EVSNP_GENOA, 3, data);
    evsnp_build(s);
    struct qr_evidence *e = begin("gcp-snp", QR_EV_GCP_SNP, 1);
    evsnp_evidence(s, QR_EV_GCP_SNP, e);
    evak_add(google(ak), e);
    evtpm_add(quote(ak, EVTPM_TPMT), 0, e);
}

static void
gcp_tdx(void)
{
    EVP_PKEY *ak = evgen_key(EVGEN_RSA2048, 1);
    struct evgen_dcap *d = keep(sizeof *d);

    evgen_dcap_default(d, EVGEN_TDX_V4);
    gcp_data(ak, evgen_dcap_report_data(d));
    struct qr_evidence *e = begin("gcp-tdx", QR_EV_GCP_TDX, 1);
    evgen_dcap_add(dcap_made(d), e);
    evak_add(google(ak), e);
    evtpm_add(quote(ak, EVTPM_TPMT), 0, e);
}

static void
gcp_ak(void)
{
    struct qr_evidence *e = begin("gcp-ak", QR_EV_GCP_AK, 0);
    evak_add(google(evgen_key(EVGEN_RSA2048, 1)), e);
}

static void
token(const char *name, enum qr_evidence_kind kind, void (*make)(struct evtoken *t, qr_view binder))
{
    struct evtoken *t = keep(sizeof *t);
    struct qr_evidence *e = begin(name, kind, 1);

    make(t, evall_binder());
    evtoken_build(t);
    add(e, QR_PART_TOKEN, evgen_buf_view(&t->token));
    if (t->keys.len) {
        add(e, QR_PART_JWKS, evgen_buf_view(&t->keys));
    }
    if (t->pki) {
        evgen_pin(ROOTS, QR_ROOT_CONFIDENTIAL_SPACE, &t->cert[EVTOKEN_ROOT]);
    }
    evtoken_free(t);
}

/* ---- the list ---- */

static void
make_all(void)
{
    if (n) {
        return;
    }
    nitro();
    snp("snp-milan-v2", EVSNP_MILAN, 2, 0);
    snp("snp-genoa-v3", EVSNP_GENOA, 3, 0);
    snp("snp-turin-v5", EVSNP_TURIN, 5, 0);
    snp("snp-milan-vlek", EVSNP_MILAN, 3, 1);
    dcap("tdx-v4", EVGEN_TDX_V4, QR_EV_TDX);
    dcap("tdx-v5", EVGEN_TDX_V5_15, QR_EV_TDX);
    dcap("sgx-v3", EVGEN_SGX_V3, QR_EV_SGX);
    tpm("tpm", 0, 2);
    tpm("tpm-public", 1, 0);
    azure_snp();
    azure_tdx();
    gcp_snp();
    gcp_tdx();
    gcp_ak();
    token("maa", QR_EV_MAA, evtoken_maa);
    token("cs-oidc", QR_EV_CONFIDENTIAL_SPACE, evtoken_oidc);
    token("cs-pki", QR_EV_CONFIDENTIAL_SPACE, evtoken_pki);
}

size_t
evall_n(void)
{
    make_all();
    return n;
}

const struct evall *
evall_get(size_t i)
{
    make_all();
    return &list[i];
}

struct qr_verify_opts
evall_opts(size_t i)
{
    return (struct qr_verify_opts){.roots = &evall_get(i)->roots, .now_ms = EVGEN_NOW_MS};
}
