#include "test/common/fakecloud.h"

#include "enclave-shim/azure/azure.h"
#include "enclave-shim/gcp/gcp.h"
#include "enclave-shim/tpm/tpm.h"
#include "enclave-shim/verify/tpm.h"
#include "protocol/base/check.h"
#include "test/common/fakehw.h"
#include "test/common/swtpm.h"
#include "test/common/tpmrel.h"

#include <stdio.h>
#include <stdlib.h>

#define MASK 0x1a90u /* 4, 7, 9, 11, 12 */
#define AIA(n)                                                                                     \
    "http://privateca-content-65cf2318-0000-2408-a9b3-14c14ef0618" n                               \
    ".storage.googleapis.com/64bf42df2a9c15f8c82f/ca.crt"

static uint8_t td_data[64];
static struct evak google;

static void
must(int ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "fakecloud: %s\n", what);
        abort();
    }
}

static struct qr_tpm *
open_tpm(const char *path)
{
    struct qr_tpm *t = NULL;
    char why[400] = "";
    if (qr_tpm_open(path, 2000, &t, why, sizeof why) != QR_OK) {
        must(0, why);
    }
    return t;
}

static EVP_PKEY *
public_of(const struct qr_tpm_key *k)
{
    static struct qr_verdict v;
    struct qr_tpm_public p = {0};
    qr_verdict_init(&v);
    must(qr_tpm_public_parse(qr_view_of(k->public_area, k->public_len), &v, &p) == QR_OK,
         v.sentence);
    return p.key;
}

static void
write_file(const char *dir, const char *name, const void *p, size_t n)
{
    char path[300];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    must(f && fwrite(p, 1, n, f) == n && fclose(f) == 0, path);
}

void
fakecloud_azure(const char *tpm, int tdx)
{
    static struct evhcl hcl;
    struct qr_tpm_key ak = {0};
    struct qr_tpm *t = open_tpm(tpm);

    must(swtpm_keep_ak(qr_tpm_fd(t), QR_AZURE_AK, SWTPM_AK_ATTRIBUTES) == 0, "attestation key");
    must(qr_tpm_key_at(t, QR_AZURE_AK, &ak) == QR_OK, qr_tpm_error(t));
    EVP_PKEY *k = public_of(&ak);
    evhcl_init(&hcl, tdx ? 4 : 2);
    hcl.total = 2048; /* what a software TPM's index holds */
    evhcl_runtime(&hcl, k);
    memset(td_data, 0, sizeof td_data);
    evhcl_hash(&hcl, td_data);
    if (tdx) {
        uint8_t attributes[8], mrtd[48];
        fakehw_td(attributes, mrtd);
        evhcl_tdreport(&hcl, td_data, attributes, mrtd);
    } else {
        (void)fakehw_snp_report(td_data, hcl.report);
    }
    evhcl_make(&hcl);
    must(qr_tpm_nv_write(t, QR_AZURE_NV_REPORT, qr_view_of(hcl.bytes, hcl.total)) == QR_OK,
         qr_tpm_error(t));
    EVP_PKEY_free(k);
    qr_tpm_key_free(t, &ak);
    qr_tpm_close(t);
}

void
fakecloud_td_data(uint8_t data[64])
{
    memcpy(data, td_data, sizeof td_data);
}

/* AuthorityInfoAccess with one caIssuers address. */
static qr_view
aia(const char *url, uint8_t *mem, size_t cap)
{
    uint8_t inner[300], outer[320];
    struct evgen_buf a = evgen_buf_over(inner, sizeof inner),
                     b = evgen_buf_over(outer, sizeof outer), c = evgen_buf_over(mem, cap);
    evgen_der_put_oid(&a, "1.3.6.1.5.5.7.48.2");
    evgen_der_put(&a, 0x86, qr_view_str(url));
    evgen_der_put(&b, 0x30, evgen_buf_view(&a));
    evgen_der_put(&c, 0x30, evgen_buf_view(&b));
    return evgen_buf_view(&c);
}

void
fakecloud_google(const char *tpm, const char *dir, struct qr_roots *r)
{
    static uint8_t leaf_aia[400], inter_aia[400], pem[20000];
    struct evgen_buf b = evgen_buf_over(pem, sizeof pem);
    uint8_t template[128];
    struct qr_tpm_key ak = {0};
    struct qr_tpm *t = open_tpm(tpm);

    must(qr_tpm_nv_write(t, QR_GCP_NV_ECC_TEMPLATE,
                         qr_view_of(template, swtpm_template(template))) == QR_OK,
         qr_tpm_error(t));
    must(qr_tpm_key_by_template(t, QR_GCP_NV_ECC_TEMPLATE, &ak) == QR_OK, qr_tpm_error(t));
    EVP_PKEY *k = public_of(&ak);
    evak_init(&google, QR_ROOT_GOOGLE_VTPM, k);
    evgen_spec_add_ext(&google.leaf_spec, "1.3.6.1.5.5.7.1.1",
                       aia(AIA("0"), leaf_aia, sizeof leaf_aia), 0);
    evgen_spec_add_ext(&google.inter_spec, "1.3.6.1.5.5.7.1.1",
                       aia(AIA("1"), inter_aia, sizeof inter_aia), 0);
    evak_build(&google);
    must(qr_tpm_nv_write(t, QR_GCP_NV_ECC_CERT, evgen_view(&google.leaf)) == QR_OK,
         qr_tpm_error(t));
    if (r) {
        evak_pin(&google, r);
    }
    if (dir) {
        evgen_put_pem(&b, &google.inter);
        evgen_put_pem(&b, &google.root);
        write_file(dir, "ak_chain.pem", pem, b.len);
    }
    EVP_PKEY_free(k);
    qr_tpm_key_free(t, &ak);
    qr_tpm_close(t);
}

const struct evak *
fakecloud_google_cas(void)
{
    return &google;
}

void
fakecloud_release(const char *tpm, const char *dir)
{
    static struct tpmrel rel;
    uint8_t pcr[QR_TPM_PCRS][32];
    struct qr_tpm *t = open_tpm(tpm);

    must(qr_tpm_pcr_read(t, MASK, pcr) == QR_OK, qr_tpm_error(t));
    tpmrel_of(&rel, EVP_PKEY_dup(evgen_key(EVGEN_P256, 9)));
    tpmrel_sign(&rel, 1, MASK, (const uint8_t(*)[32])pcr);
    write_file(dir, "release.key", rel.r.key.p, rel.r.key.len);
    write_file(dir, "release.stmt", rel.r.statement.p, rel.r.statement.len);
    tpmrel_free(&rel);
    qr_tpm_close(t);
}
