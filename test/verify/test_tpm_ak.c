/*
 * Attestation keys that are refused: each genuine but for one thing, and certified or signed again.
 *
 * Numbers in brackets are those of the list of hostile evidence that this verifier must refuse.
 */
#include "enclave-shim/verify/tpm.h"
#include "test/common/tpmbench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct tpmbench b;

#define IN(stage)                                                                                  \
    if (s != (stage)) {                                                                            \
        return;                                                                                    \
    }
#define NOTHING ((qr_view){NULL, 0})

/* ---- TPMT_PUBLIC ---- */

/* Not restricted, not fixed to its TPM, not made there, no signing key; or one that decrypts (80). */
static void
attributes(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const uint32_t a[] = {0x00040072, 0x00050070, 0x00050062, 0x00050052,
                                 0x00010072, 0x00070072, 0x000300b2, 0};
    IN(TB_SPEC)
    t->pub.attributes = a[arg];
}

static void
reserved(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const uint8_t bit[] = {0, 3, 8, 9, 12, 13, 14, 15, 20, 25, 30, 31};
    IN(TB_SPEC)
    t->pub.attributes |= 1u << bit[arg];
}

static void
pub_type(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const uint16_t type[] = {0x0000, 0x0008, 0x0025, 0x0100};
    IN(TB_SPEC)
    t->pub.type = type[arg];
}

static void
name_alg(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const uint16_t alg[] = {0x0004, 0x0010, 0x0012, 0};
    IN(TB_SPEC)
    t->pub.name_alg = alg[arg];
}

static void
scheme(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const uint16_t alg[] = {0x0010, 0x0015, 0x0017, 0x0018, 0x0005};
    IN(TB_SPEC)
    if (arg == 5) {
        t->pub.symmetric = 0x0006; /* AES, as a storage key has it */
    } else {
        t->pub.scheme = alg[arg];
    }
}

static void
numbers(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_SPEC)
    switch (arg) {
    case 0:
        t->pub.bits = 1024;
        break;
    case 1:
        t->pub.bits = 4096;
        break;
    case 2:
        t->pub.exponent = 1;
        break;
    case 3:
        t->pub.exponent = 65536;
        break;
    default:
        t->pub.policy_len = 65;
        break;
    }
}

static void
curve(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    if (s == TB_SPEC && arg < 3) {
        static const uint16_t id[] = {0x0005, 0x0004, 0x0020};
        t->pub.curve = id[arg];
    } else if (s == TB_REPORT && arg == 3) {
        t->pub_bytes[t->pub_len - 1] ^= 1; /* y: off the curve */
    } else if (s == TB_REPORT && arg == 4) {
        memset(t->pub_bytes + t->pub_len - 66, 0, 32); /* x of 0 */
    }
}

static void
pub_grows(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_EVIDENCE)
    tb_grow(t, QR_PART_AK_PUBLIC, 0, 0, arg);
}

static void
pub_cut(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const uint16_t n[] = {1, 2, 100, 255, 256, 258, 262, 264, 268, 270, 272, 274, 278};
    IN(TB_EVIDENCE)
    tb_cut(t, QR_PART_AK_PUBLIC, 0, n[arg]);
}

/* ---- several names of one key ---- */

static void
other_key(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    EVP_PKEY *other = evgen_key(EVGEN_RSA2048, 0);
    if (s == TB_SPEC && arg == 0) {
        t->pub.key = other; /* TPMT_PUBLIC against certificate */
    } else if (s == TB_SPEC) {
        struct evgen_buf pem = evgen_buf_over(t->pem, sizeof t->pem);
        evtpm_put_pem(&pem, arg == 1 ? other : evgen_key(EVGEN_P256, 11));
        t->pem_len = pem.len;
    }
}

static void
no_key(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    (void)arg;
    IN(TB_EVIDENCE)
    evtpm_swap(&t->e, QR_PART_AK_PUBLIC, 0, NOTHING);
}

/* The quote is another key's: of the same kind, or of another. */
static void
stranger_signs(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_SPEC)
    t->q.ak = evgen_key(EVGEN_RSA2048, arg);
}

static void
pem(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    static const char *const text[] = {
        "",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nMFk=\n-----END PUBLIC KEY----- \n",
        "-----BEGIN PUBLIC KEY-----\nProc-Type: 4,ENCRYPTED\n\nMFk=\n-----END PUBLIC KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nMFk!\n-----END PUBLIC KEY-----\n",
    };
    IN(TB_SPEC)
    struct evgen_buf p = evgen_buf_over(t->pem, sizeof t->pem);
    if (arg < 7 && text[arg][0]) {
        evgen_put_str(&p, text[arg]);
    } else {
        evgen_put_str(&p, arg == 8 ? "x" : "");
        evtpm_put_pem(&p, t->ak);
        evgen_put_str(&p, arg == 9 ? "more" : "");
        p.p[40] = arg == 0 ? ' ' : p.p[40];
        p.len -= arg == 10 ? 60 : 0;
    }
    t->pem_len = p.len;
}

/* ---- certificates ---- */

static void
roots(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    if (s == TB_SPEC && arg == 0) {
        t->ca.root_spec.serial++; /* the same name and key, another certificate */
        t->ca_changed = 1;
    } else if (s == TB_SPEC && arg == 1) {
        t->ca.root_spec.key = t->ca.root_spec.signer = evgen_key(EVGEN_RSA2048, 2);
        t->ca.inter_spec.signer = t->ca.root_spec.key;
        t->ca_changed = 1;
    } else if (s == TB_SPEC && arg == 2) { /* pinned, but for another vendor's tokens */
        t->roots.of[QR_ROOT_CONFIDENTIAL_SPACE] = t->roots.of[QR_ROOT_GOOGLE_VTPM];
        t->roots.of[QR_ROOT_GOOGLE_VTPM].n = 0;
    } else if (s == TB_EVIDENCE && arg == 3) {
        evtpm_swap(&t->e, QR_PART_AK_ROOT, 0, evgen_view(&t->ca.inter));
    }
}

static void
missing(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_EVIDENCE)
    evtpm_swap(&t->e, arg ? QR_PART_AK_ROOT : QR_PART_AK_INTERMEDIATE, 0, NOTHING);
}

static void
chain(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_SPEC)
    t->ca_changed = 1;
    switch (arg) {
    case 0: /* a CA of the same name, with another key */
        t->ca.leaf_spec.signer = evgen_key(EVGEN_RSA2048, 2);
        break;
    case 1:
        t->ca.no_ids = 1;
        t->ca.leaf_spec.signer = evgen_key(EVGEN_RSA2048, 2);
        break;
    case 2:
        t->ca.leaf_spec.issuer = "CN=another";
        break;
    case 3:
        t->ca.inter_spec.issuer = "CN=another";
        break;
    case 4:
        t->ca.inter_spec.ca = 0;
        break;
    case 5:
        t->ca.inter_spec.key_usage = EVGEN_KU_SIGN;
        break;
    case 6:
        t->ca.leaf_spec.ca = 1;
        break;
    case 7:
        t->ca.leaf_spec.key_usage = EVGEN_KU_CERT_SIGN;
        break;
    case 8:
        t->ca.leaf_spec.sig = EVGEN_RSA_SHA1;
        break;
    case 9:
        t->ca.inter_spec.signer = evgen_key(EVGEN_RSA2048, 2);
        break;
    case 10:
        t->ca.inter_spec.key_usage = 0;
        break;
    default:
        t->ca.leaf_spec.key_usage = 0;
        break;
    }
}

/* An endorsement key's certificate, of the same authority (80). */
static void
use(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_SPEC)
    t->ca.leaf_spec.key_usage = EVGEN_KU_SIGN | (1u << (2 + arg));
    t->ca_changed = 1;
}

static void
eku(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_SPEC)
    t->ca.eku_len = 0;
    t->ca_changed = 1;
    if (arg > 0) {
        uint8_t mem[32];
        struct evgen_buf in = evgen_buf_over(mem, sizeof mem);
        struct evgen_buf e = evgen_buf_over(t->ca.eku, sizeof t->ca.eku);
        evgen_der_put_oid(&in, arg == 1 ? "2.23.133.8.1" : "2.23.133.8.31");
        evgen_der_put(&e, 0x30, evgen_buf_view(&in));
        t->ca.eku_len = e.len;
    }
}

static void
dates(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_SPEC)
    struct evgen_cert_spec *spec[] = {&t->ca.leaf_spec, &t->ca.inter_spec, &t->ca.root_spec};
    if (arg < 3) {
        spec[arg]->to_ms = EVGEN_NOW_MS - 1000;
    } else {
        spec[arg - 3]->from_ms = EVGEN_NOW_MS + 1000;
    }
    t->ca_changed = 1;
}

/* The root's dates change the root. */
static void
repin(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    dates(t, s, arg);
    if (s == TB_REPORT) {
        t->roots.of[t->ca.vendor].n = 0;
        evak_pin(&t->ca, &t->roots);
    }
}

/* NV padding that is not all zeros (96). */
static void
padding(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_EVIDENCE)
    tb_grow(t, QR_PART_AK_CERT, 0, 0, 100);
    size_t len = qr_evidence_get(&t->e, QR_PART_AK_CERT).len;
    static const uint8_t back[] = {1, 50, 100};
    t->scratch[len - back[arg]] = arg == 1 ? 0x30 : 1;
}

static void
cert_cut(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_EVIDENCE)
    if (arg < 3) {
        tb_cut(t, QR_PART_AK_CERT, 0, 1 + 300 * arg);
    } else {
        tb_own(t, QR_PART_AK_CERT, 0)[arg == 3 ? 0 : 4] ^= 1;
    }
}

static void
ca_bytes(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    IN(TB_EVIDENCE)
    tb_grow(t, arg ? QR_PART_AK_ROOT : QR_PART_AK_INTERMEDIATE, 0, 0, 1);
}

/* The instance that a certificate is for. */
static void
instance(struct tpmbench *t, enum tb_stage s, unsigned arg)
{
    struct evak_instance i = {.zone = "z", .project = "p", .name = "n", .number = 1, .id = 2};
    uint8_t mem[400];
    struct evgen_buf v = evgen_buf_over(mem, sizeof mem);

    IN(TB_SPEC)
    i.has_security = 1;
    i.is_production = arg == 0 ? 1 : 0xff;
    i.zone = arg == 1 ? "\xff\xfe" : arg == 2 ? "\xed\xa0\x80" : "z";
    i.name = arg == 3 ? "\xc0\xaf" : "n";
    evak_put_instance(&v, &i);
    switch (arg) {
    case 4: /* zone of another type */
        mem[2] = 0x13;
        break;
    case 5: /* a negative number */
        mem[7] = 0x80;
        break;
    case 6: /* another container */
        mem[0] = 0x31;
        break;
    case 7: /* bytes behind it */
        evgen_fill(&v, 0, 1);
        break;
    case 8: /* less than it says */
        v.len--;
        break;
    case 9: /* it ends behind the project */
        mem[1] = 9;
        v.len = 11;
        break;
    default:
        break;
    }
    memcpy(t->ca.instance, mem, v.len);
    t->ca.instance_len = v.len;
    t->ca_changed = 1;
}

#define ROW(name, base, change, from, to, check, reason)                                           \
    {                                                                                              \
        name, base, change, from, to, QR_CHECK_##check, QR_REASON_##reason                         \
    }

static const struct tb_row keys[] = {
    ROW("a key that could sign anything (80)", TB_PUB, attributes, 0, 7, AK, KEY_BINDING),
    ROW("the same beside a certificate (80)", TB_CERT, attributes, 0, 7, AK, KEY_BINDING),
    ROW("reserved attributes", TB_PUB, reserved, 0, 11, PARSE, MALFORMED),
    ROW("another type of key", TB_PUB, pub_type, 0, 3, ALGORITHM, UNSUPPORTED),
    ROW("a weak name", TB_PUB, name_alg, 0, 3, ALGORITHM, UNSUPPORTED),
    ROW("no scheme of its own", TB_PUB, scheme, 0, 5, ALGORITHM, UNSUPPORTED),
    ROW("numbers of no key", TB_PUB, numbers, 0, 4, PARSE, MALFORMED),
    ROW("a point of no curve", TB_EC, curve, 0, 4, PARSE, MALFORMED),
    ROW("bytes behind a TPMT_PUBLIC", TB_PUB, pub_grows, 1, 3, PARSE, TRAILING_DATA),
    ROW("a cut TPMT_PUBLIC", TB_PUB, pub_cut, 0, 12, PARSE, MALFORMED),
    ROW("two keys", TB_CERT, other_key, 0, 2, AK, KEY_BINDING),
    ROW("two keys", TB_PUB, other_key, 1, 2, AK, KEY_BINDING),
    ROW("no key", TB_PUB, no_key, 0, 0, AK, COLLATERAL_MISSING),
    ROW("another key's quote (80)", TB_CERT, stranger_signs, 0, 1, QUOTE, SIGNATURE),
    ROW("another key's quote", TB_PUB, stranger_signs, 0, 1, QUOTE, SIGNATURE),
    ROW("no PEM key", TB_PUB, pem, 0, 6, PARSE, MALFORMED),
    ROW("more or less than a PEM key", TB_PUB, pem, 8, 10, PARSE, MALFORMED),
    ROW("another root (104)", TB_CERT, roots, 0, 3, ROOT, UNTRUSTED_ROOT),
    ROW("no issuer", TB_CERT, missing, 0, 0, CHAIN, COLLATERAL_MISSING),
    ROW("no root", TB_CERT, missing, 1, 1, ROOT, COLLATERAL_MISSING),
    ROW("a broken chain", TB_CERT, chain, 0, 11, CHAIN, CHAIN),
    ROW("a broken chain", TB_MSFT, chain, 0, 11, CHAIN, CHAIN),
    ROW("an endorsement key (80)", TB_CERT, use, 0, 2, AK, KEY_BINDING),
    ROW("no attestation key of Microsoft's", TB_MSFT, eku, 0, 2, AK, KEY_BINDING),
    ROW("expired", TB_CERT, dates, 0, 1, VALIDITY, EXPIRED),
    ROW("an expired root", TB_CERT, repin, 2, 2, VALIDITY, EXPIRED),
    ROW("not yet valid", TB_CERT, dates, 3, 4, VALIDITY, NOT_YET_VALID),
    ROW("a root of tomorrow", TB_CERT, repin, 5, 5, VALIDITY, NOT_YET_VALID),
    ROW("padding of something (96)", TB_CERT, padding, 0, 2, PARSE, MALFORMED),
    ROW("no certificate", TB_CERT, cert_cut, 0, 4, PARSE, MALFORMED),
    ROW("bytes behind a CA", TB_CERT, ca_bytes, 0, 1, PARSE, TRAILING_DATA),
    ROW("an instance that is none", TB_CERT, instance, 0, 9, PARSE, MALFORMED),
};

#undef ROW

static unsigned documents, hits[QR_CHECK_COUNT];

static void
test_keys(void **state)
{
    (void)state;
    assert_int_equal(tb_run_rows(&b, keys, sizeof keys / sizeof keys[0], &documents, hits), 0);
}

static void
test_how_many(void **state)
{
    static const enum qr_check of_keys[] = {QR_CHECK_PARSE, QR_CHECK_ALGORITHM, QR_CHECK_ROOT,
                                            QR_CHECK_CHAIN, QR_CHECK_VALIDITY,  QR_CHECK_AK,
                                            QR_CHECK_QUOTE};
    (void)state;
    print_message("%u documents\n", documents);
    assert_true(documents >= 120);
    for (size_t i = 0; i < sizeof of_keys / sizeof of_keys[0]; i++) {
        if (hits[of_keys[i]] < 3) {
            print_error("%s refused %u\n", qr_check_name(of_keys[i]), hits[of_keys[i]]);
        }
        assert_true(hits[of_keys[i]] >= 3);
    }
}

/* An RSA key of 0 bits ends with the length of its modulus: there is no first byte to look at. */
static void
test_modulus_of_no_bytes(void **state)
{
    static const uint8_t pub[] = {0x00, 0x01, 0x00, 0x0b, 0x00, 0x05, 0x00, 0x72,
                                  0x00, 0x00, 0x00, 0x10, 0x00, 0x14, 0x00, 0x0b,
                                  0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};
    static struct qr_verdict v;
    struct qr_tpm_public p;
    uint8_t *alone = malloc(sizeof pub); /* so that a byte behind it is noticed */

    (void)state;
    assert_non_null(alone);
    memcpy(alone, pub, sizeof pub);
    qr_verdict_init(&v);
    assert_int_equal(qr_tpm_public_parse(qr_view_of(alone, sizeof pub), &v, &p),
                     QR_ERR_ATTESTATION);
    assert_int_equal(v.reason, QR_REASON_MALFORMED);
    free(alone);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modulus_of_no_bytes),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_how_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
