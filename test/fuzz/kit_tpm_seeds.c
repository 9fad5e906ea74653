#include "test/fuzz/kit_tpm_seeds.h"

#include "enclave-shim/tpm/tpm_blob.h"
#include "test/common/evgen_ca.h"
#include "test/common/evgen_tpm.h"
#include "test/common/tpmrel.h"

#include <stdio.h>
#include <string.h>

static uint8_t mem[16384];
static qr_seed_fn seed;

static void
script(const char *target, const char *name, const char *bytes, size_t n)
{
    seed(target, name, -1, qr_view_of(bytes, n));
}
#define SCRIPT_OF(target, name, choice, bytes)                                                     \
    seed(target, name, choice, qr_view_of(bytes, sizeof(bytes) - 1))
#define SCRIPT(target, name, bytes) script(target, name, bytes, sizeof(bytes) - 1)

/* Four bytes, little-endian, at a place of a good one. */
static void
patched(const char *target, const char *name, int choice, qr_view good, size_t at, uint32_t v,
        size_t n)
{
    static uint8_t copy[4096];
    memcpy(copy, good.p, good.len);
    evgen_set_le(copy + at, v, n);
    seed(target, name, choice, qr_view_of(copy, good.len));
}

/* One rule broken each. */
static void
tpm_wrong(void)
{
    static const struct {
        uint16_t at;
        uint32_t v;
        uint8_t n;
    } attest[] = {{0, 0, 1},   {4, 0x1780, 2}, {7, 255, 1},  {43, 70, 1},
                  {92, 9, 1},  {104, 9, 1},    {104, 0, 1},  {107, 4, 1},
                  {106, 9, 1}, {108, 0, 3},    {112, 40, 1}, {112, 31, 1}},
      sig[] = {{1, 0x18, 1}, {1, 0x05, 1}, {3, 4, 1}, {3, 0x12, 1}, {5, 1, 1}, {4, 9, 1}},
      pub[] = {{1, 8, 1},  {3, 4, 1},     {4, 0x80, 1}, {5, 1, 1},  {9, 2, 1},
               {11, 6, 1}, {13, 0x10, 1}, {16, 4, 1},   {21, 1, 1}, {23, 9, 1}};
    static struct evtpm q;
    struct evgen_buf b = evgen_buf_over(mem, sizeof mem);
    EVP_PKEY *rsa = evgen_key(EVGEN_RSA2048, 2), *ec = evgen_key(EVGEN_P256, 11);
    char name[] = "wrong_a";

    evtpm_init(&q, rsa);
    evtpm_build(&q);
    for (size_t i = 0; i < sizeof attest / sizeof attest[0]; i++, name[6]++) {
        patched("tpm", name, 0, qr_view_of(q.msg, q.msg_len), attest[i].at, attest[i].v,
                attest[i].n);
    }
    for (unsigned twice = 0; twice < 2; twice++, name[6]++) {
        evtpm_init(&q, rsa);
        q.n_banks = 2;
        q.bank[1] = q.bank[0];
        q.bank[1].alg = twice ? 0x000b : 0x000c;
        evtpm_make(&q);
        seed("tpm", name, 0, qr_view_of(q.msg, q.msg_len));
    }
    evtpm_init(&q, rsa);
    evtpm_build(&q);
    memcpy(name, "wrsig_a", sizeof name);
    for (size_t i = 0; i < sizeof sig / sizeof sig[0]; i++, name[6]++) {
        patched("tpm", name, 1, qr_view_of(q.sig, q.sig_len), sig[i].at, sig[i].v, sig[i].n);
    }
    seed("tpm", "sig_head", 1, qr_view_of(q.sig, 2));
    script("tpm", "sig_no_r", "\x01\x00\x18\x00\x0b\x00\x00\x00\x01\x07", 10);
    struct evtpm_public p = evtpm_public_of(rsa);
    evtpm_put_public(&b, &p);
    memcpy(name, "wrpub_0", sizeof name);
    for (size_t i = 0; i < sizeof pub / sizeof pub[0]; i++, name[6]++) {
        patched("tpm", name, 2, evgen_buf_view(&b), pub[i].at, pub[i].v, pub[i].n);
    }
    b.len = 0;
    p = evtpm_public_of(ec);
    p.curve = 5;
    evtpm_put_public(&b, &p);
    seed("tpm", "public_curve", 2, evgen_buf_view(&b));
    b.len = 0;
    evtpm_put_pem(&b, rsa);
    patched("tpm", "pem_text", 3, evgen_buf_view(&b), 50, '!', 1);
    patched("tpm", "pem_number", 3, evgen_buf_view(&b), 40, 'A', 1);
    seed("tpm", "pem_none", 3, qr_view_str("-----BEGIN PUBLIC KEY-----"));
    for (char how = 0; how < 8; how++) {
        char text[] = {6, how % 2, 2, (char)((1u << how) | (how == 0 ? 8u : 0u))};
        char cert[] = {'c', 'e', 'r', 't', '_', (char)('a' + how), 0};
        script("tpm", cert, text, sizeof text);
    }
    script("tpm", "cert_eku", "\x06\x00\x02\x20", 4);
    script("tpm", "other_slot", "\x07\x02\x00\x02\x02", 5);
    script("tpm", "other_slot_5", "\x07\x02\x00\x02\x05", 5);
    script("tpm", "two_quotes", "\x07\x02\x00\x03\x01\x00\x00", 7);
    script("tpm", "two_answers", "\x07\x02\x00\x03\x01\x00\x01", 7);
    script("tpm", "wrong_bank", "\x07\x02\x00\x03\x01\x02\x00", 7);
    script("tpm", "no_quote_sig", "\x07\x02\x00\x00", 4);
    script("tpm", "pem_same", "\x07\x02\x00\x04\x00", 5);
    script("tpm", "pem_other", "\x07\x02\x00\x04\x01", 5);
    script("tpm", "pem_bad", "\x07\x02\x00\x04\x02", 5);
    script("tpm", "alone", "\x07\x01\x00\x05\x01", 5);
    script("tpm", "alone_asked", "\x07\x01\x00\x05\x00", 5);
    script("tpm", "padded", "\x07\x01\x04\x01\x00\x40", 6);
    script("tpm", "padded_badly", "\x07\x01\x04\x01\x07\x40", 6);
}

static void
tpm(void)
{
    static struct evtpm q;
    struct evgen_buf b;
    EVP_PKEY *rsa = evgen_key(EVGEN_RSA2048, 2), *ec = evgen_key(EVGEN_P256, 11);

    for (int i = 0; i < 2; i++) {
        evtpm_init(&q, i ? ec : rsa);
        evtpm_build(&q);
        seed("tpm", i ? "attest_ec" : "attest_rsa", 0, qr_view_of(q.msg, q.msg_len));
        /* the target takes an EC key for odd lengths */
        seed("tpm", i ? "sig_ec" : "sig_rsa", 1,
             qr_view_of(q.sig, q.sig_len - (i && q.sig_len % 2 == 0)));
        struct evtpm_public p = evtpm_public_of(i ? ec : rsa);
        b = evgen_buf_over(mem, sizeof mem);
        evtpm_put_public(&b, &p);
        seed("tpm", i ? "public_ec" : "public_rsa", 2, evgen_buf_view(&b));
        b.len = 0;
        evtpm_put_pem(&b, i ? ec : rsa);
        seed("tpm", i ? "pem_ec" : "pem_rsa", 3, evgen_buf_view(&b));
    }
    evtpm_init(&q, rsa);
    q.form = EVTPM_RAW;
    evtpm_build(&q);
    seed("tpm", "sig_raw", 1, qr_view_of(q.sig, q.sig_len));
    struct evtpm_public p = evtpm_public_of(rsa);
    p.symmetric = 0x0006;
    p.attributes = 0x000300b2;
    b = evgen_buf_over(mem, sizeof mem);
    evtpm_put_public(&b, &p);
    seed("tpm", "public_ek", 2, evgen_buf_view(&b));
    p = evtpm_public_of(ec);
    p.kdf = 0x0020;
    p.scheme = 0x0010;
    b.len = 0;
    evtpm_put_public(&b, &p);
    seed("tpm", "public_kdf", 2, evgen_buf_view(&b));
    SCRIPT("tpm", "fields_none", "\x04\x00");
    SCRIPT("tpm", "fields_raw", "\x04\x00\x08\x01");
    SCRIPT("tpm", "fields_pss", "\x04\x00\x09\x00\x16\x00\x0b");
    SCRIPT("tpm", "fields_sha384", "\x04\x00\x0c\x02\x09\x00\x14\x00\x0c");
    SCRIPT("tpm", "fields_sha1_bank", "\x04\x00\x06\x00\x00\x04\x03\x00\xff");
    SCRIPT("tpm", "fields_two_banks", "\x04\x00\x05\x02\x06\x01\x00\x0c\x03\x00\x01");
    SCRIPT("tpm", "fields_extra", "\x04\x00\x03\x1f");
    SCRIPT("tpm", "fields_digest", "\x04\x00\x07\x20");
    SCRIPT("tpm", "fields_attributes", "\x04\x00\x0a\x00\x02\x00\x00");
    SCRIPT("tpm", "fields_ec", "\x04\x01");
    SCRIPT("tpm", "fields_unknown_bank", "\x04\x00\x06\x00\x00\x12\x03\x00\xff");
    SCRIPT("tpm", "bytes_none", "\x05\x00\x00\x00");
    SCRIPT("tpm", "bytes_extra", "\x05\x00\x00\x00\x00\x2c\x00\x01");
    SCRIPT("tpm", "bytes_cut", "\x05\x00\x00\x40");
    SCRIPT("tpm", "bytes_longer", "\x05\x00\x00\x92");
    SCRIPT("tpm", "instance_changed", "\x06\x01\x01\x00\x02\x00\x13");
    SCRIPT("tpm", "instance_other",
           "\x06\x01\x00\x30\x0f\x0c\x01z\x02\x01\x01\x0c\x01p\x02\x01\x02\x0c\x01n");
    SCRIPT("tpm", "instance_security",
           "\x06\x01\x00\x30\x1d\x0c\x01z\x02\x01\x01\x0c\x01p\x02\x01\x02\x0c\x01n\xa0\x0c\x30\x0a"
           "\xa0"
           "\x03\x02\x01\x00\xa1\x03\x01\x01\xff");
    SCRIPT("tpm", "instance_bad_flag",
           "\x06\x01\x00\x30\x1d\x0c\x01z\x02\x01\x01\x0c\x01p\x02\x01\x02\x0c\x01n\xa0\x0c\x30\x0a"
           "\xa0"
           "\x03\x02\x01\x00\xa1\x03\x01\x01\x02");
    tpm_wrong();
    for (char part = 0; part < 8; part++) {
        for (char how = 0; how < 8; how++) {
            char text[] = {7, (char)(part == 7 ? 2 : part % 2), part, how, 1, 40, 0, 1};
            char name[] = {
                'c', 'h', 'a', 'n', 'g', 'e', 'd', '_', (char)('a' + part), (char)('0' + how), 0};
            script("tpm", name, text, sizeof text);
        }
    }
}

static void
hcl(void)
{
    static struct evhcl h;
    char n[352], text[1024];
    uint8_t data[64] = {0}, attributes[8] = {0}, mrtd[48] = {7};

    evhcl_init(&h, 2);
    evhcl_runtime(&h, evgen_key(EVGEN_RSA2048, 2));
    h.total = 1236 + h.json_len + 8;
    evhcl_make(&h);
    seed("hcl", "snp", 0, qr_view_of(h.bytes, h.total));
    seed("hcl", "runtime", 2, qr_view_of(h.json, h.json_len));
    for (size_t i = 0; i < 10; i++) {
        static const uint16_t at[] = {4, 8, 12, 16, 20, 1216, 1220, 1224, 1228, 1232};
        char name[] = {'h', 'e', 'a', 'd', '_', (char)('a' + i), 0};
        evhcl_text(&h, "{}");
        h.total = 1240;
        evhcl_make(&h);
        patched("hcl", name, 0, qr_view_of(h.bytes, h.total), at[i], 0x4001, 2);
    }
    evhcl_init(&h, 4);
    evhcl_text(&h, "{\"keys\":[]}");
    h.total = 1236 + h.json_len;
    evhcl_tdreport(&h, data, attributes, mrtd);
    evhcl_make(&h);
    seed("hcl", "tdx", 1, qr_view_of(h.bytes, h.total));
    patched("hcl", "tdx_type", 1, qr_view_of(h.bytes, h.total), 32, 0, 1);
    patched("hcl", "tdx_behind", 1, qr_view_of(h.bytes, h.total), 1200, 1, 1);
    evhcl_modulus(evgen_key(EVGEN_RSA2048, 2), n);
    (void)snprintf(
        text, sizeof text,
        "{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"%s\"}]}", n);
    seed("hcl", "set_rsa", 3, qr_view_str(text));
    seed("hcl", "set_ec", 3,
         qr_view_str("{\"keys\":[{\"kid\":\"HCLAkPub\",\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
                     "\"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY\",\"y\":"
                     "\"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU\"}]}"));
    static const char *const texts[] = {
        "{\"keys\":[{\"kid\":\"HCLAkPub\"},{\"kid\":\"HCLAkPub\"}]}",
        "{\"keys\":[{\"kid\":\"HCLAkPub\",\"key_ops\":[\"encrypt\"],\"kty\":\"RSA\"}]}",
        "{\"keys\":[{\"kid\":\"HCLAkPub\",\"key_ops\":[\"sign\"],\"kty\":\"EC\"}]}",
        "{\"keys\":[{\"kid\":\"HCLAkPub\",\"key_ops\":[\"sign\"],\"kty\":\"RSA\",\"e\":\"AQAB\","
        "\"n\":\"AQAB\"}]}",
        "{\"keys\":[{}],\"keys\":[{}]}",
        "{\"keys\":[[[[[[[[[1]]]]]]]]]}",
        "{\"keys\":[]}",
        "[]",
        "{\"keys\":[{\"kid\":\"a\"}],\"vm-configuration\":{\"a\":1,\"b\":true,\"c\":\"t\","
        "\"d\":null,\"e\":[]},\"user-data\":\"00\"}",
        "{\"keys\":[{\"kid\":\"a\"}],\"vm-configuration\":7}",
        "{\"keys\":[{\"kid\":\"a\"}],\"vm-configuration\":{\"a.b\":1}}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char name[] = {'t', 'e', 'x', 't', '_', (char)('a' + i), 0};
        seed("hcl", name, 2, qr_view_str(texts[i]));
    }
}

static void
azure(void)
{
    SCRIPT("azure", "runtime", "\x00\x01");
    SCRIPT("azure", "runtime_changed", "\x00\x01\x00\x20\x00\x01");
    SCRIPT("azure", "runtime_text", "\x00\x00{\"keys\":[]}");
    SCRIPT("azure", "header", "\x01");
    SCRIPT("azure", "header_version", "\x01\x01");
    SCRIPT("azure", "header_var_size", "\x01\x00\x00\x00\x00\x00\x01");
    SCRIPT("azure", "header_data_size", "\x01\x00\x00\x00\x00\x00\x00\x01");
    SCRIPT("azure", "header_report_data", "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05\x00\x01");
    SCRIPT("azure", "set", "\x02\x01");
    SCRIPT("azure", "set_text", "\x02\x00{\"keys\":[]}");
    SCRIPT("azure", "set_changed", "\x02\x01\x00\x30\x00\x01");
    for (char how = 0; how < 4; how++) {
        for (char field = 0; field < (how == 1 ? 3 : 1); field++) {
            char text[] = {4, how, field, 0, 3, 0, 1};
            char name[] = {'t', 'd', '_', (char)('0' + how), (char)('a' + field), 0};
            script("azure", name, text, sizeof text);
        }
    }
    for (char how = 0; how < 12; how++) {
        char text[] = {3, 0, 0, (char)255, how};
        char name[] = {'w', 'i', 't', 'n', 'e', 's', 's', '_', (char)('a' + how), 0};
        script("azure", name, text, sizeof text);
    }
    for (char base = 0; base < 3; base++) {
        for (char how = 0; how < 12; how++) {
            char text[] = {3, base, 0, (char)254, how, 0, 9, 0, 1};
            char name[] = {'t', 'o', 'k', 'e', 'n', '_', (char)('0' + base), (char)('a' + how), 0};
            script("azure", name, text, sizeof text - (how % 4 == 2 ? 0 : 4));
        }
    }
    SCRIPT("azure", "short_extra", "\x03\x01\x01");
    SCRIPT("azure", "other_key", "\x03\x01\x02");
    SCRIPT("azure", "other_key_set", "\x03\x02\x02");
    SCRIPT("azure", "padding", "\x01\x00\x00\x00\x00\x00\xff\xff\xff");
    for (char base = 0; base < 3; base++) {
        for (char part = 0; part < 11; part++) {
            for (char how = 0; how < (base == 0 ? 4 : 2); how++) {
                char text[] = {3, base, 0, how, part, 0, 9, 0, 1};
                char name[] = {'p',
                               'a',
                               'r',
                               't',
                               '_',
                               (char)('0' + base),
                               (char)('a' + part),
                               (char)('0' + how),
                               0};
                script("azure", name, text, sizeof text);
            }
        }
    }
}

static void
eventlog(void)
{
    static const enum qr_hash_alg tpm_banks[] = {QR_SHA1, QR_SHA256}, cc[] = {QR_SHA384};
    static struct evlog l;

    evlog_open(&l, mem, sizeof mem, 0, tpm_banks, 2);
    evlog_locality(&l, 3);
    evlog_boot(&l);
    seed("eventlog", "tpm", 0, evgen_buf_view(&l.b));
    evlog_open(&l, mem, sizeof mem, 1, cc, 1);
    evlog_boot(&l);
    evgen_fill(&l.b, 0xff, 40);
    seed("eventlog", "td", 1, evgen_buf_view(&l.b));
    SCRIPT("eventlog", "written", "\x02\x01\x00");
    SCRIPT("eventlog", "written_td", "\x03\x01\x00");
    SCRIPT("eventlog", "written_more", "\x02\x01\x03\x08\x04\x01x\x07\x10\x00\x00\x02\x01y");
    SCRIPT("eventlog", "written_changed", "\x02\x01\x00\x00\x80\x00\x01");
    SCRIPT("eventlog", "written_td_changed", "\x03\x01\x00\x00\x80\x00\x01");
    SCRIPT("eventlog", "late_secure_boot", "\x02\x00\x02\x07\x01\x00\x07\x10\x00");
    SCRIPT("eventlog", "locality", "\x02\x00\x01\x00\x02\x11StartupLocality\x00\x03");
    SCRIPT("eventlog", "wrong_locality", "\x02\x00\x01\x00\x02\x11StartupLocality\x00\x09");
    SCRIPT("eventlog", "count", "\x02\x01\x00\x00\x4d\x00\xff");
    SCRIPT("eventlog", "register", "\x02\x01\x00\x00\x45\x00\xff");
    SCRIPT("eventlog", "head_size", "\x02\x01\x00\x00\x1c\x00\x01");
    SCRIPT("eventlog", "head_count", "\x02\x01\x00\x00\x38\x00\x01");
    SCRIPT("eventlog", "head_zero", "\x02\x01\x00\x00\x38\x00\x02");
    SCRIPT("eventlog", "head_alg", "\x02\x01\x00\x00\x3c\x00\x0f");
    SCRIPT("eventlog", "head_len", "\x02\x01\x00\x00\x3e\x00\x01");
    SCRIPT("eventlog", "head_format", "\x02\x01\x00\x00\x04\x00\x01");
    SCRIPT("eventlog", "head_text", "\x02\x01\x00\x00\x20\x00\x01");
    SCRIPT("eventlog", "head_twice", "\x02\x01\x00\x00\x40\x00\x0f");
    SCRIPT("eventlog", "cut_head", "\x00\x01\x00\x00\x00");
    evlog_open(&l, mem, sizeof mem, 0, tpm_banks, 2);
    size_t first = l.b.len;
    evlog_boot(&l);
    for (size_t i = 0; i < 6; i++) {
        static const uint8_t more[] = {1, 5, 13, 20, 70, 75};
        char name[] = {'c', 'u', 't', '_', (char)('a' + i), 0};
        seed("eventlog", name, 0, qr_view_of(mem, first + more[i]));
    }
    evlog_open(&l, mem, sizeof mem, 0, cc, 1);
    evlog_boot(&l);
    seed("eventlog", "other_bank", 0, evgen_buf_view(&l.b));
    evlog_open(&l, mem, sizeof mem, 0, tpm_banks, 2);
    evgen_put_le(&l.b, 5, 4);
    evgen_put_le(&l.b, 13, 4);
    evgen_put_le(&l.b, 1, 4);
    evgen_put_le(&l.b, 4, 2);
    evgen_fill(&l.b, 0x22, 20);
    evgen_put_le(&l.b, 0, 4);
    seed("eventlog", "one_digest", 0, evgen_buf_view(&l.b));
    SCRIPT("eventlog", "digest_alg", "\x02\x01\x00\x00\x51\x00\x01");
}

/* ---- a TPM's answers, statements, sealed secrets ---- */

void
fuzz_tpm_release(struct tpmrel *r)
{
    tpmrel_of(r, evgen_key(EVGEN_P256, 15));
}

static void
tpm_device(void)
{
    static const uint8_t frame[] = {3, 0x80, 1, 0, 2,    0,   0,   5,  0x0d,
                                    0, 0,    0, 0, 0xff, 'a', 'b', 'c'};
    static const uint8_t more[] = {12, 0x80, 1, 0, 0, 0, 11, 0, 0, 0, 0, 'a', 'b'};
    static uint8_t too_long[QR_TPM_STATEMENT_MAX + 1] = {'Q', 'R'};
    static const uint8_t long_one[] = {10, 0x80, 2, 0, 0, 0x10, 1, 0, 0, 0, 0};
    static struct tpmrel rel;
    uint8_t pcr[QR_TPM_PCRS][32] = {{1}, {2}, {3}};
    struct qr_tpm_blob o = {.scale = {3, 9}, .private_area = qr_view_str("a private area")};
    struct qr_buf b = qr_buf_over(mem, sizeof mem);

    seed("tpm_device", "frame", 0, qr_view_of(frame, sizeof frame));
    seed("tpm_device", "frame_more", 0, qr_view_of(more, sizeof more));
    seed("tpm_device", "statement_long", 1, qr_view_of(too_long, sizeof too_long));
    seed("tpm_device", "blob_long", 2, qr_view_of(too_long, sizeof too_long));
    seed("tpm_device", "frame_long", 0, qr_view_of(long_one, sizeof long_one));
    fuzz_tpm_release(&rel);
    tpmrel_sign(&rel, 7, 0x1a90, (const uint8_t(*)[32])pcr);
    seed("tpm_device", "statement", 1, rel.r.statement);
    tpmrel_sign(&rel, 1, 1, (const uint8_t(*)[32])pcr);
    seed("tpm_device", "statement_one", 1, rel.r.statement);
    patched("tpm_device", "statement_version", 1, rel.r.statement, 4, 2, 1);
    patched("tpm_device", "statement_zero", 1, rel.r.statement, 12, 0, 1);
    patched("tpm_device", "statement_changed", 1, rel.r.statement, 12, 9, 1);
    patched("tpm_device", "statement_der", 1, rel.r.statement, 51, 0, 1);
    seed("tpm_device", "statement_cut", 1, qr_view_of(rel.r.statement.p, rel.r.statement.len - 5));
    qr_tpm_blob_write_head(&o, &b);
    qr_buf_put16(&b, 6);
    qr_buf_put(&b, "secret", 6);
    seed("tpm_device", "blob", 2, qr_buf_view(&b));
    patched("tpm_device", "blob_magic", 2, qr_buf_view(&b), 0, 9, 1);
    patched("tpm_device", "blob_version", 2, qr_buf_view(&b), 4, 9, 1);
    patched("tpm_device", "blob_zero", 2, qr_buf_view(&b), 80, 0, 1);
    seed("tpm_device", "blob_cut", 2, qr_view_of(mem, b.len - 2));
    SCRIPT_OF("tpm_device", "signed", 3, "\0\0\0\7\0\0\x1a\x90\1\2\3\4\5\6\7");
    SCRIPT_OF("tpm_device", "unfit", 3, "\0\0\0\0\0\0\0\1");
}

void
fuzz_seeds_tpm(qr_seed_fn fn)
{
    seed = fn;
    tpm();
    tpm_device();
    hcl();
    azure();
    eventlog();
}
