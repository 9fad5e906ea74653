/*
 * AWS Nitro: certificates and signatures that must be refused, each in a document that is properly
 * signed but for the one thing that its row names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/common/evbad_nitro.h"

#include <stdio.h>
#include <string.h>

static struct evnitro *const d = &evbad.d;

/* ---- certificates ------------------------------------------------------------------------------ */

static void
other_root(unsigned k)
{
    evbad.pin_genuine = 1;
    switch (k) {
    case 0: /* a look-alike of the same name, and all below it */
        evnitro_set_key(d, EVNITRO_ROOT, evgen_key(EVGEN_P384, 7), EVGEN_ECDSA_SHA384);
        break;
    case 1: /* the same key and name, another issue */
        d->spec[EVNITRO_ROOT].serial++;
        break;
    case 2:
        d->spec[EVNITRO_ROOT].to_ms += EVGEN_DAY_MS;
        break;
    default:
        d->spec[EVNITRO_ROOT].pathlen = 3;
        break;
    }
}

static void
bundle_change(unsigned k)
{
    qr_view b[EVNITRO_BUNDLE];
    memcpy(b, d->bundle, sizeof b);
    evbad.pin_genuine = 1;
    switch (k) {
    case 0: /* reversed: the root is at the end */
        for (size_t i = 0; i < 4; i++) {
            d->bundle[i] = b[3 - i];
        }
        break;
    case 1: /* no zonal CA */
        d->bundle[2] = b[3];
        d->n_bundle = 3;
        break;
    case 2: /* zonal and instance changed places */
        d->bundle[2] = b[3];
        d->bundle[3] = b[2];
        break;
    case 3: /* the instance's CA twice */
        d->bundle[4] = b[3];
        d->n_bundle = 5;
        break;
    case 4: /* the root twice */
        d->bundle[1] = b[0];
        memcpy(&d->bundle[2], &b[1], 3 * sizeof b[0]);
        d->n_bundle = 5;
        break;
    case 5: /* the leaf in the bundle as well */
        d->bundle[4] = d->leaf;
        d->n_bundle = 5;
        break;
    case 6: /* only the root, over a leaf that it did not sign */
        d->n_bundle = 1;
        break;
    case 7: /* the instance's CA as the leaf */
        d->leaf = b[3];
        d->n_bundle = 3;
        break;
    case 8: /* no root */
        memcpy(d->bundle, &b[1], 3 * sizeof b[0]);
        d->n_bundle = 3;
        break;
    case 9: /* the leaf as the only CA */
        d->bundle[0] = d->leaf;
        d->n_bundle = 1;
        break;
    default: /* the instance's CA in place of the root */
        d->bundle[0] = b[3];
        break;
    }
}

/* 17.18: the leaf signs a certificate of its own, and that key signs the document. */
static void
leaf_as_ca(unsigned k)
{
    static struct evgen_der extra;
    struct evgen_cert_spec s =
        evgen_cert_spec_of("CN=below the leaf", evgen_key(EVGEN_P384, 8),
                           d->spec[EVNITRO_LEAF].subject, evgen_key(EVGEN_P384, EVNITRO_LEAF), 0);
    s.from_ms = d->spec[EVNITRO_LEAF].from_ms;
    s.to_ms = d->spec[EVNITRO_LEAF].to_ms;
    evgen_cert(&s, &extra);
    d->bundle[d->n_bundle++] = d->leaf;
    d->leaf = evgen_view(&extra);
    d->key = evgen_key(EVGEN_P384, 8);
    (void)k;
}

/* kind * 8 + level: what a CA may not be. */
static void
ca_is(unsigned k)
{
    static const uint8_t ca_true[] = {0x30, 0x03, 0x01, 0x01, 0xff};
    static const uint8_t sign_only[] = {0x03, 0x02, 0x07, 0x80}, null[] = {0x05, 0x00};
    static const uint8_t cert_sign[] = {0x03, 0x02, 0x02, 0x04};
    struct evgen_cert_spec *s = &d->spec[k % 8];
    switch (k / 8) {
    case 0:
        s->ca = 0;
        s->pathlen = -1;
        break;
    case 1:
        s->ca = -1;
        s->pathlen = -1;
        break;
    case 2:
        s->key_usage = EVGEN_KU_SIGN;
        break;
    case 3:
        s->key_usage = 0;
        break;
    case 4: /* basicConstraints that are not critical */
        s->ca = -1;
        s->pathlen = -1;
        s->key_usage = EVGEN_KU_CERT_SIGN;
        evgen_spec_add_ext(s, "2.5.29.19", qr_view_of(ca_true, sizeof ca_true), 0);
        break;
    case 5: /* an extension that nobody knows, critical */
        evgen_spec_add_ext(s, "1.3.6.1.4.1.99999.1", qr_view_of(null, sizeof null), 1);
        break;
    case 6: /* keyUsage twice */
        evgen_spec_add_ext(s, "2.5.29.15", qr_view_of(sign_only, sizeof sign_only), 1);
        break;
    default: /* no basicConstraints, and yet a keyUsage */
        s->ca = -1;
        s->pathlen = -1;
        s->key_usage = 0;
        evgen_spec_add_ext(s, "2.5.29.15", qr_view_of(cert_sign, sizeof cert_sign), 1);
        break;
    }
}

static void
path_length(unsigned level)
{
    d->spec[level].pathlen = (int)(EVNITRO_INSTANCE - level) - 1;
}

static void
wrong_signer(unsigned level)
{
    d->spec[level].signer = evgen_key(EVGEN_P384, 9);
}

static void
wrong_name(unsigned level)
{
    d->spec[level].issuer = "C=US,O=Amazon,OU=AWS,CN=aws.nitro-enclaves.example";
}

static void
leaf_is(unsigned k)
{
    struct evgen_cert_spec *s = &d->spec[EVNITRO_LEAF];
    static const uint8_t ca_false[] = {0x30, 0x00};
    switch (k) {
    case 0:
        s->ca = 1;
        break;
    case 1:
        s->ca = 1;
        s->key_usage = EVGEN_KU_SIGN;
        break;
    case 2:
        s->ca = -1;
        s->key_usage = EVGEN_KU_SIGN;
        break;
    case 3:
        s->key_usage = 0;
        break;
    case 4:
        s->key_usage = EVGEN_KU_CRL_SIGN;
        break;
    default:
        s->ca = -1;
        s->key_usage = EVGEN_KU_SIGN;
        evgen_spec_add_ext(s, "2.5.29.19", qr_view_of(ca_false, sizeof ca_false), 0);
        break;
    }
}

/* kind * 8 + level: a CA of another kind of key, or of another hash. */
static void
algorithm_of(unsigned k)
{
    enum evnitro_level level = (enum evnitro_level)(k % 8);
    if (k / 8 == 0) {
        evnitro_set_key(d, level, evgen_key(EVGEN_P256, 1), EVGEN_ECDSA_SHA384);
    } else {
        d->spec[level].sig = EVGEN_ECDSA_SHA256;
    }
}

static void
rsa_ca(unsigned level)
{
    evnitro_set_key(d, (enum evnitro_level)level, evgen_key(EVGEN_RSA2048, 0), EVGEN_RSA_SHA384);
}

static void
rsa_leaf(unsigned k)
{
    d->spec[EVNITRO_LEAF].key = k == 0 ? evgen_key(EVGEN_RSA2048, 0) : evgen_key(EVGEN_P256, 2);
}

static uint8_t scratch[EVGEN_DER_MAX];

static void
cert_bytes(unsigned k)
{
    qr_view leaf = d->leaf;
    struct evgen_buf b = evgen_buf_over(scratch, sizeof scratch);
    switch (k) {
    case 0: /* behind the leaf */
        evgen_put_view(&b, leaf);
        evgen_put_be(&b, 0, 1);
        d->leaf = evgen_buf_view(&b);
        break;
    case 1: /* behind a CA */
        evgen_put_view(&b, d->bundle[2]);
        evgen_put_be(&b, 0x3000, 2);
        d->bundle[2] = evgen_buf_view(&b);
        break;
    case 2: /* cut */
        d->leaf.len--;
        break;
    case 3:
        d->bundle[1].len = 40;
        break;
    case 4: /* an indefinite length */
        evgen_put_view(&b, leaf);
        evgen_patch(&b, 1, "\x80", 1);
        d->leaf = evgen_buf_view(&b);
        break;
    default:
        d->leaf = qr_view_str("0");
        break;
    }
}

static void
test_bad_chain(void **state)
{
    static const struct evbad t[] = {
        {"17.17 cabundle reversed", CERTS, bundle_change, 0, QR_CHECK_CHAIN, QR_REASON_CHAIN},
        {"17.18 leaf used as a CA", CERTS, leaf_as_ca, 0, QR_CHECK_CHAIN, QR_REASON_CHAIN},
        {"cabundle without its root", CERTS, bundle_change, 8, QR_CHECK_ROOT,
         QR_REASON_UNTRUSTED_ROOT},
        {"leaf as the only CA", CERTS, bundle_change, 9, QR_CHECK_ROOT, QR_REASON_UNTRUSTED_ROOT},
        {"instance's CA in place of the root", CERTS, bundle_change, 10, QR_CHECK_ROOT,
         QR_REASON_UNTRUSTED_ROOT},
        {"bytes behind the leaf", CERTS, cert_bytes, 0, QR_CHECK_PARSE, QR_REASON_TRAILING_DATA},
        {"bytes behind a CA", CERTS, cert_bytes, 1, QR_CHECK_PARSE, QR_REASON_TRAILING_DATA},
    };
    struct evbad like = {NULL, SPEC, other_root, 0, QR_CHECK_ROOT, QR_REASON_UNTRUSTED_ROOT};
    (void)state;
    EVBAD_REFUSE(t);
    evbad_refuse_each("17.15 another root of the same name", 0, 4, like);
    like.check = QR_CHECK_CHAIN;
    like.reason = QR_REASON_CHAIN;
    like.change = ca_is;
    for (unsigned kind = 0; kind < 8; kind++) {
        evbad_refuse_each("CA that is none, 8 * kind + level:", kind * 8, kind * 8 + EVNITRO_LEAF,
                          like);
    }
    like.change = path_length;
    evbad_refuse_each("path length too short, level", EVNITRO_ROOT, EVNITRO_INSTANCE, like);
    like.change = wrong_signer;
    evbad_refuse_each("signed by another key, level", EVNITRO_REGIONAL, EVNITRO_CERTS, like);
    like.change = wrong_name;
    evbad_refuse_each("issued by another name, level", EVNITRO_REGIONAL, EVNITRO_CERTS, like);
    like.change = leaf_is;
    evbad_refuse_each("leaf that is no leaf", 0, 6, like);
    like.change = rsa_ca;
    evbad_refuse_each("CA with an RSA key, level", EVNITRO_ROOT, EVNITRO_LEAF, like);
    like.stage = CERTS;
    like.change = bundle_change;
    evbad_refuse_each("cabundle of another order or number", 1, 8, like);
    like = (struct evbad){NULL, CERTS, cert_bytes, 0, QR_CHECK_PARSE, QR_REASON_MALFORMED};
    evbad_refuse_each("bytes that are no certificate", 2, 6, like);
    like = (struct evbad){NULL, SPEC, algorithm_of, 0, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED};
    evbad_refuse_each("CA with a P-256 key, level", EVNITRO_ROOT, EVNITRO_LEAF, like);
    evbad_refuse_each("SHA-256 in a chain, 8 + level", 8 + EVNITRO_ROOT, 8 + EVNITRO_CERTS, like);
    like.change = rsa_leaf;
    evbad_refuse_each("leaf with a key of another kind", 0, 2, like);
}

/* ---- signature --------------------------------------------------------------------------------- */

static void
range(unsigned k)
{
    static const uint8_t n384[48] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                     0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37,
                                     0x2d, 0xdf, 0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a,
                                     0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73};
    uint8_t *half = d->sig + (k % 2) * 48;
    if (k < 2) {
        memset(half, 0, 48);
    } else if (k < 4) {
        memcpy(half, n384, 48);
    } else if (k < 6) {
        memset(half, 0xff, 48);
    } else {
        memset(d->sig, 0, 96);
    }
    evnitro_wrap(d);
}

/* A signature over something else, or by somebody else. */
static void
signed_otherwise(unsigned k)
{
    static uint8_t mem[EVNITRO_DOC_MAX];
    struct evgen_buf tbs = evgen_buf_over(mem, sizeof mem);
    EVP_PKEY *key = d->key;
    enum qr_hash_alg h = QR_SHA384;
    uint8_t half[48];

    switch (k) {
    case 0: /* the payload alone */
        evgen_put_view(&tbs, evgen_buf_view(&d->payload));
        break;
    case 1: /* of another kind of COSE message */
        evnitro_sig_structure(d, "Signature", &tbs);
        break;
    case 2:
        evnitro_sig_structure(d, "CounterSignature", &tbs);
        break;
    case 3: /* with an external_aad */
        evcbor_head(&tbs, EVCBOR_ARRAY, 4);
        evcbor_text(&tbs, "Signature1");
        evgen_put_view(&tbs, d->protected_item);
        evcbor_bytes(&tbs, qr_view_str("aad"));
        evcbor_bytes(&tbs, evgen_buf_view(&d->payload));
        break;
    case 4:
        h = QR_SHA256;
        break;
    case 5:
        h = QR_SHA512;
        break;
    case 6:
        key = evgen_key(EVGEN_P384, EVNITRO_INSTANCE);
        break;
    case 7:
        key = evgen_key(EVGEN_P384, EVNITRO_ROOT);
        break;
    case 8:
        key = evgen_key(EVGEN_P384, 9);
        break;
    default:
        break;
    }
    if (k >= 4) {
        evnitro_sig_structure(d, "Signature1", &tbs);
    }
    d->sig_len = evgen_sign_raw(key, h, evgen_buf_view(&tbs), d->sig);
    if (k == 9) { /* s before r */
        memcpy(half, d->sig, 48);
        memmove(d->sig, d->sig + 48, 48);
        memcpy(d->sig + 48, half, 48);
    } else if (k == 10) { /* little-endian */
        for (size_t i = 0; i < 24; i++) {
            for (size_t at = 0; at < 96; at += 48) {
                uint8_t x = d->sig[at + i];
                d->sig[at + i] = d->sig[at + 47 - i];
                d->sig[at + 47 - i] = x;
            }
        }
    }
    evnitro_wrap(d);
}

/* The signature of a genuine document over another one's payload. */
static void
signature_kept(unsigned k)
{
    uint8_t kept[96];
    memcpy(kept, d->sig, sizeof kept);
    if (k == 0) {
        d->indefinite = !d->indefinite; /* the same values, another encoding */
    } else if (k == 1) {
        d->pcr[0][0] ^= 1;
    } else if (k == 2) {
        d->timestamp_ms++;
    } else if (k == 3) {
        d->user_data = qr_view_str("mine");
    } else {
        d->module_id = "i-00000000000000000-enc0123456789abcdef";
    }
    evnitro_payload(d);
    evnitro_sign(d);
    memcpy(d->sig, kept, sizeof kept);
    evnitro_wrap(d);
}

/* 17.16: the certificate of another enclave on the same machine. */
static void
sibling_leaf(unsigned k)
{
    static struct evgen_der der;
    struct evgen_cert_spec s = d->spec[EVNITRO_LEAF];
    s.key = evgen_key(EVGEN_P384, 6);
    s.subject = "CN=i-0123456789abcdef0-enc0000000000000000.eu-test-1.aws";
    evgen_cert(&s, &der);
    if (k == 0) {
        d->leaf = evgen_view(&der);
    } else {
        d->key = evgen_key(EVGEN_P384, 6);
    }
}

static void
test_bad_signature(void **state)
{
    struct evbad like = {NULL, DOC, range, 0, QR_CHECK_SIGNATURE, QR_REASON_SIGNATURE};
    (void)state;
    evbad_refuse_each("17.13 r or s out of range", 0, 7, like);
    like.change = signature_kept;
    evbad_refuse_each("17.14 another payload, signature kept", 0, 5, like);
    like.change = signed_otherwise;
    evbad_refuse_each("signature of another kind", 0, 11, like);
    like.stage = CERTS;
    like.change = sibling_leaf;
    evbad_refuse_each("17.16 sibling's certificate or signature", 0, 2, like);
}

static void
test_count(void **state)
{
    static const enum qr_check own[] = {QR_CHECK_PARSE, QR_CHECK_ALGORITHM, QR_CHECK_ROOT,
                                        QR_CHECK_CHAIN, QR_CHECK_SIGNATURE};
    (void)state;
    printf("Nitro documents of bad certificates or signatures: %zu\n", evbad_count());
    assert_true(evbad_count() >= 100);
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        assert_true(evbad_hits(own[i]) >= 3);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_chain),
        cmocka_unit_test(test_bad_signature),
        cmocka_unit_test(test_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
