/* HCL reports and runtime data. */
#include "test/common/evgen_tpm.h"

#include "protocol/base/check.h"
#include "protocol/base/enc.h"

#include <stdio.h>

void
evhcl_modulus(EVP_PKEY *ak, char out[static 352])
{
    uint8_t n[512];
    size_t len = evgen_key_modulus(ak, n);
    QR_ASSERT(qr_b64url_len(len) < 352);
    qr_b64url_encode(qr_view_of(n, len), out);
}

void
evhcl_text(struct evhcl *h, const char *json)
{
    h->json_len = strlen(json);
    QR_ASSERT(h->json_len < sizeof h->json);
    memcpy(h->json, json, h->json_len);
}

void
evhcl_runtime(struct evhcl *h, EVP_PKEY *ak)
{
    char n[352], zeros[129];
    evhcl_modulus(ak, n);
    memset(zeros, '0', 128);
    zeros[128] = 0;
    int len = snprintf(
        h->json, sizeof h->json,
        "{\"keys\":[{\"kid\":\"HCLAkPub\",\"key_ops\":[\"sign\"],\"kty\":\"RSA\",\"e\":\"AQAB\","
        "\"n\":\"%s\"},{\"kid\":\"HCLEkPub\",\"key_ops\":[\"encrypt\"],\"kty\":\"RSA\",\"e\":"
        "\"AQAB\",\"n\":\"AQAB\"}],\"vm-configuration\":{\"console-enabled\":true,"
        "\"secure-boot\":true,\"tpm-enabled\":true,\"vmUniqueId\":"
        "\"390CBCF5-6C67-4D9B-98EF-C3F1699CC8FC\"},\"user-data\":\"%s\"}",
        n, zeros);
    QR_ASSERT(len > 0 && (size_t)len < sizeof h->json);
    h->json_len = (size_t)len;
}

void
evhcl_init(struct evhcl *h, uint32_t report_type)
{
    *h = (struct evhcl){
        .version = 2,
        .request_type = 2,
        .data_version = 1,
        .report_type = report_type,
        .hash_type = 1,
        .magic = "HCLA",
        .total = 2600,
    };
}

void
evhcl_hash(const struct evhcl *h, uint8_t out[static 32])
{
    evgen_sha256(qr_view_of(h->json, h->json_len), out);
}

void
evhcl_tdreport(struct evhcl *h, const uint8_t data[static 64], const uint8_t attributes[static 8],
               const uint8_t mrtd[static 48])
{
    memset(h->report, 0, sizeof h->report);
    h->report[0] = 0x81;
    memcpy(h->report + 128, data, 64);
    memcpy(h->report + 512, attributes, 8);
    memcpy(h->report + 528, mrtd, 48);
}

void
evhcl_make(struct evhcl *h)
{
    struct evgen_buf b = evgen_buf_over(h->bytes, sizeof h->bytes);
    uint32_t len = (uint32_t)h->json_len;

    evgen_put(&b, h->magic, 4);
    evgen_put_le(&b, h->version, 4);
    evgen_put_le(&b, 1236u + len + (uint32_t)h->report_size_add, 4);
    evgen_put_le(&b, h->request_type, 4);
    evgen_put_le(&b, h->status, 4);
    evgen_put(&b, h->reserved, 12);
    evgen_put(&b, h->report, sizeof h->report);
    evgen_put_le(&b, 20u + len + (uint32_t)h->data_size_add, 4);
    evgen_put_le(&b, h->data_version, 4);
    evgen_put_le(&b, h->report_type, 4);
    evgen_put_le(&b, h->hash_type, 4);
    evgen_put_le(&b, len + (uint32_t)h->var_size_add, 4);
    evgen_put(&b, h->json, h->json_len);
    QR_ASSERT(b.len <= h->total);
    evgen_fill(&b, 0, h->total - b.len);
}
