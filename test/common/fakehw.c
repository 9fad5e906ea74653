#include "test/common/fakehw.h"

#include "enclave-shim/verify/snp.h"
#include "protocol/base/check.h"
#include "test/common/evgen_dcap.h"
#include "test/common/evgen_snp.h"

static struct evsnp snp;
static struct evgen_dcap dcap;
static struct evgen_dcap_out dcap_out;
static int made;

static void
make_once(void)
{
    static const struct evsnp_tcb tcb = {.bootloader = 10, .tee = 2, .snp = 24, .microcode = 85};

    if (made) {
        return;
    }
    made = 1;
    evsnp_init(&snp, EVSNP_GENOA, 3);
    evsnp_put_tcb(&snp, EVSNP_REPORTED_TCB, &tcb);
    evsnp_put_tcb(&snp, EVSNP_CURRENT_TCB, &tcb);
    evsnp_put_tcb(&snp, EVSNP_COMMITTED_TCB, &tcb);
    evsnp_put_tcb(&snp, EVSNP_LAUNCH_TCB, &tcb);
    evsnp_ext_tcb(&snp, &tcb);
    evsnp_build(&snp);
    evgen_dcap_default(&dcap, EVGEN_TDX_V4);
    dcap.qe_identity.evaluation = dcap.tcb.evaluation;
    evgen_dcap_make(&dcap, &dcap_out);
}

size_t
fakehw_snp_report(const uint8_t data[64], uint8_t *out)
{
    make_once();
    memcpy(snp.report + EVSNP_REPORT_DATA, data, 64);
    evsnp_sign(&snp);
    memcpy(out, snp.report, EVSNP_REPORT_LEN);
    return EVSNP_REPORT_LEN;
}

size_t
fakehw_td_quote(const uint8_t data[64], uint8_t *out)
{
    make_once();
    memcpy(evgen_dcap_report_data(&dcap), data, 64);
    evgen_dcap_make(&dcap, &dcap_out);
    QR_ASSERT(dcap_out.quote_len <= QR_REPORT_OUT_MAX);
    memcpy(out, dcap_out.quote, dcap_out.quote_len);
    return dcap_out.quote_len;
}

static size_t
put_pem_json(char *out, size_t cap, const struct evgen_der *const *cert, size_t n)
{
    static uint8_t pem[20000];
    struct evgen_buf b = evgen_buf_over(pem, sizeof pem);
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        evgen_put_pem(&b, cert[i]);
    }
    for (size_t i = 0; i < b.len; i++) {
        QR_ASSERT(len + 2 < cap);
        if (pem[i] == '\n') {
            out[len++] = '\\';
            out[len++] = 'n';
        } else {
            out[len++] = (char)pem[i];
        }
    }
    return len;
}

size_t
fakehw_thim_json(char *out, size_t cap)
{
    static const char head[] = "{\"vcekCert\":\"", middle[] = "\",\"certificateChain\":\"",
                      tail[] = "\",\"tcbm\":\"5518000000000210\",\"cacheControl\":\"86400\"}";
    const struct evgen_der *leaf[] = {&snp.vek}, *chain[] = {&snp.ask, &snp.ark};
    struct evgen_buf b = evgen_buf_over(out, cap);

    make_once();
    evgen_put_str(&b, head);
    b.len += put_pem_json(out + b.len, cap - b.len, leaf, 1);
    evgen_put_str(&b, middle);
    b.len += put_pem_json(out + b.len, cap - b.len, chain, 2);
    evgen_put_str(&b, tail);
    return b.len;
}

size_t
fakehw_kds_vek(uint8_t *out, size_t cap)
{
    make_once();
    QR_ASSERT(snp.vek.len <= cap);
    memcpy(out, snp.vek.p, snp.vek.len);
    return snp.vek.len;
}

size_t
fakehw_kds_chain(uint8_t *out, size_t cap)
{
    struct evgen_buf b = evgen_buf_over(out, cap);
    make_once();
    evgen_put_pem(&b, &snp.ask);
    evgen_put_pem(&b, &snp.ark);
    return b.len;
}

void
fakehw_id_key(uint8_t out[48])
{
    make_once();
    memcpy(out, snp.report + EVSNP_ID_KEY_DIGEST, 48);
}

void
fakehw_td(uint8_t attributes[8], uint8_t mrtd[48])
{
    make_once();
    memcpy(attributes, dcap.body + EVGEN_TD_ATTRIBUTES, 8);
    memcpy(mrtd, dcap.body + EVGEN_TD_MR_TD, 48);
}

/* {GUID, offset, length} three times, the zero GUID, certificates. */
static size_t
put_table(uint8_t *out)
{
    static const uint8_t guid[3][16] = {{0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64, 0xad, 0xc5,
                                         0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd},
                                        {0x4a, 0xb7, 0xb3, 0x79, 0xbb, 0xac, 0x4f, 0xe4, 0xa0, 0x2f,
                                         0x05, 0xae, 0xf3, 0x27, 0xc7, 0x82},
                                        {0xc0, 0xb4, 0x06, 0xa4, 0xa8, 0x03, 0x49, 0x52, 0x97, 0x43,
                                         0x3f, 0xb6, 0x01, 0x4c, 0xd0, 0xae}};
    const struct evgen_der *cert[3] = {&snp.vek, &snp.ask, &snp.ark};
    struct evgen_buf b = evgen_buf_over(out, QR_REPORT_AUX_MAX);
    size_t at = 4 * 24;

    for (int i = 0; i < 3; i++) {
        evgen_put(&b, guid[i], 16);
        evgen_put_le(&b, at, 4);
        evgen_put_le(&b, cert[i]->len, 4);
        at += cert[i]->len;
    }
    evgen_fill(&b, 0, 24);
    for (int i = 0; i < 3; i++) {
        evgen_put_view(&b, evgen_view(cert[i]));
    }
    return b.len;
}

static size_t
snp_make(void *ctx, const uint8_t data[64], uint8_t *out, uint8_t *aux, size_t *aux_len)
{
    (void)ctx;
    size_t n = fakehw_snp_report(data, out);
    *aux_len = put_table(aux);
    return n;
}

static size_t
tdx_make(void *ctx, const uint8_t data[64], uint8_t *out, uint8_t *aux, size_t *aux_len)
{
    (void)ctx;
    (void)aux;
    *aux_len = 0;
    return fakehw_td_quote(data, out);
}

void
fakehw_snp(struct faketsm *k)
{
    make_once();
    k->provider = "sev_guest";
    k->make = snp_make;
}

void
fakehw_tdx(struct faketsm *k)
{
    make_once();
    k->provider = "tdx_guest";
    k->privlevel_floor = -1;
    k->make = tdx_make;
}

void
fakehw_roots(struct qr_roots *r)
{
    make_once();
    evsnp_roots(r);
    evgen_dcap_pin(&dcap_out, r);
}

qr_err
fakehw_intel(struct qr_tee *t)
{
    make_once();
    const struct qr_tee_piece p[] = {
        {QR_PART_TCB_INFO, qr_view_of(dcap_out.tcb, dcap_out.tcb_len)},
        {QR_PART_TCB_INFO_SIG, qr_view_of(dcap_out.tcb_sig, dcap_out.tcb_sig_len)},
        {QR_PART_QE_IDENTITY, qr_view_of(dcap_out.qe, dcap_out.qe_len)},
        {QR_PART_QE_IDENTITY_SIG, qr_view_of(dcap_out.qe_sig, dcap_out.qe_sig_len)},
        {QR_PART_TCB_CHAIN, qr_view_of(dcap_out.tcb_chain, dcap_out.tcb_chain_len)},
        {QR_PART_PCK_CRL, evgen_view(&dcap_out.pck_crl)},
        {QR_PART_ROOT_CRL, evgen_view(&dcap_out.root_crl)},
    };
    return t->collateral(t->ctx, qr_view_str("intel-pcs"), p, sizeof p / sizeof p[0]);
}

static qr_err
amd_from(struct qr_tee *t, const char *source)
{
    make_once();
    const struct qr_tee_piece p[] = {{QR_PART_SNP_VEK, evgen_view(&snp.vek)},
                                     {QR_PART_SNP_ASK, evgen_view(&snp.ask)},
                                     {QR_PART_SNP_ARK, evgen_view(&snp.ark)}};
    return t->collateral(t->ctx, qr_view_str(source), p, 3);
}

qr_err
fakehw_amd(struct qr_tee *t)
{
    return amd_from(t, "amd-kds");
}

qr_err
fakehw_thim(struct qr_tee *t)
{
    return amd_from(t, "azure-thim");
}
