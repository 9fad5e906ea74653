#include "test/fuzz/kit_platform_seeds.h"

#include "test/common/evgen_ca.h"
#include "test/common/evgen_tpm.h"
#include "test/common/fakehw.h"

#include <string.h>

static qr_seed_fn seed;

/* u16 length of the report, the report, the certificate table; the fake kernel makes both. */
static void
report(const char *name, int choice, void (*cpu)(struct faketsm *k))
{
    static struct faketsm k;
    static uint8_t mem[2 + QR_REPORT_OUT_MAX + QR_REPORT_AUX_MAX];
    static uint8_t aux[QR_REPORT_AUX_MAX];
    static const uint8_t data[64];
    size_t aux_len = 0;

    faketsm_init(&k);
    cpu(&k);
    size_t n = k.make(k.make_ctx, data, mem + 2, aux, &aux_len);
    qr_put16(mem, (uint16_t)n);
    memcpy(mem + 2 + n, aux, aux_len);
    seed("platform", name, choice, qr_view_of(mem, 2 + n + aux_len));
}

static void
logs(void)
{
    static const enum qr_hash_alg sha384[] = {QR_SHA384}, sha256[] = {QR_SHA256};
    static uint8_t mem[32768];
    struct evlog l;

    evlog_open(&l, mem, sizeof mem - 64, 1, sha384, 1);
    evlog_boot(&l);
    memset(mem + l.b.len, 0xff, 64);
    seed("platform", "cc_log", 0, qr_view_of(mem, l.b.len + 64));
    evlog_open(&l, mem, sizeof mem, 0, sha256, 1);
    evlog_boot(&l);
    seed("platform", "tcg_log", 1, evgen_buf_view(&l.b));
}

static void
certificate(void)
{
    static const char url[] = "http://privateca-content-65cf2318-0000-2408-a9b3-14c14ef06180"
                              ".storage.googleapis.com/64bf42df2a9c15f8c82f/ca.crt";
    uint8_t a[200], b[220], c[240];
    struct evgen_buf in = evgen_buf_over(a, sizeof a), seq = evgen_buf_over(b, sizeof b),
                     ext = evgen_buf_over(c, sizeof c);
    EVP_PKEY *k = evgen_key(EVGEN_P256, 0);
    struct evgen_cert_spec s = evgen_cert_spec_of("CN=a", k, "CN=b", k, 0);
    struct evgen_der der;

    evgen_der_put_oid(&in, "1.3.6.1.5.5.7.48.2");
    evgen_der_put(&in, 0x86, qr_view_str(url));
    evgen_der_put(&seq, 0x30, evgen_buf_view(&in));
    evgen_der_put(&ext, 0x30, evgen_buf_view(&seq));
    evgen_spec_add_ext(&s, "1.3.6.1.5.5.7.1.1", evgen_buf_view(&ext), 0);
    evgen_cert(&s, &der);
    seed("platform", "aia", 4, evgen_view(&der));
}

void
fuzz_seeds_platform(qr_seed_fn fn)
{
    seed = fn;
    logs();
    report("snp", 2, fakehw_snp);
    report("tdx", 3, fakehw_tdx);
    certificate();
    seed("platform", "attributes", 5, qr_view_str("7\nsev_guest\n"));
    seed("platform", "attributes_bad", 5, qr_view_str("4294967296\ntdx guest\n"));
}
