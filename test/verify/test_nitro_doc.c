/*
 * The form of Nitro documents: what is broken in the COSE array or in the payload is refused by the
 * rule that it breaks, although every document is properly signed.
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

#define BYTES(s) qr_view_of(s, sizeof(s) - 1)

/* ---- the COSE array ---------------------------------------------------------------------------- */

/* Payload and signature as they are, in an array with this head and around it. */
static void
frame(qr_view head, qr_view prot, qr_view unprot, qr_view payload, qr_view sig, qr_view tail)
{
    d->doc.len = 0;
    evgen_put_view(&d->doc, head);
    evgen_put_view(&d->doc, prot);
    evgen_put_view(&d->doc, unprot);
    if (payload.p) {
        evgen_put_view(&d->doc, payload);
    } else {
        evcbor_bytes(&d->doc, evgen_buf_view(&d->payload));
    }
    if (sig.p) {
        evgen_put_view(&d->doc, sig);
    } else {
        evcbor_bytes(&d->doc, qr_view_of(d->sig, d->sig_len));
    }
    evgen_put_view(&d->doc, tail);
}

static void
outer(unsigned k)
{
    static const struct {
        const char *head, *tail;
        size_t head_len, tail_len;
    } t[] = {
#define T(h, e) {h, e, sizeof(h) - 1, sizeof(e) - 1}
        T("\x83", ""),                                 /* 0: four items, three declared */
        T("\x83", ""),                                 /* 1: three items */
        T("\x85", "\xf6"),                             /* 2 */
        T("\x85", ""),                                 /* 3: five declared, four there */
        T("\xa2", ""),                                 /* 4: a map of two pairs */
        T("\x9f", "\xff"),                             /* 5 */
        T("\x98\x04", ""),                             /* 6 */
        T("\xd1\x84", ""),                             /* 7 */
        T("\xd3\x84", ""),                             /* 8 */
        T("\xd2\xd2\x84", ""),                         /* 9 */
        T("\xd8\x12\x84", ""),                         /* 10 */
        T("\xd9\xd9\xf7\x84", ""),                     /* 11: self-described CBOR */
        T("\x84", "\x00"),                             /* 12 */
        T("\x84", "\xff"),                             /* 13 */
        T("\x84", "\x84\x40\xa0\x40\x40"),             /* 14 */
        T("\x9a\xff\xff\xff\xff", ""),                 /* 15 */
        T("\x9b\x00\x00\x00\x01\x00\x00\x00\x00", ""), /* 16 */
        T("\x9b\xff\xff\xff\xff\xff\xff\xff\xff", ""), /* 17 */
        T("\xbb\xff\xff\xff\xff\xff\xff\xff\xff", ""), /* 18 */
        T("\x9c", ""),                                 /* 19: reserved */
        T("\xff", ""),                                 /* 20 */
        T("\x5f", "\xff"),                             /* 21 */
#undef T
    };
    const qr_view none = qr_view_of(NULL, 0);
    frame(qr_view_of(t[k].head, t[k].head_len), d->protected_item,
          k == 1 ? none : d->unprotected_item, none, none, qr_view_of(t[k].tail, t[k].tail_len));
}

static void
empty(unsigned k)
{
    static const char *const t[] = {"\x80", "\x84", "\xf6", "\xd2", "\x60"};
    d->doc.len = 0;
    evgen_put_str(&d->doc, t[k]);
}

/* The signature covers this header, too. */
static void
protected_is(unsigned k)
{
    static const qr_view t[] = {
        {(const uint8_t *)"\x43\xa1\x01\x26", 4},         /* 0: ES256 */
        {(const uint8_t *)"\x44\xa1\x01\x38\x23", 5},     /* 1: ES512 */
        {(const uint8_t *)"\x40", 1},                     /* 2 */
        {(const uint8_t *)"\x41\xa0", 2},                 /* 3 */
        {(const uint8_t *)"\x45\xa1\x18\x01\x38\x22", 6}, /* 4: not the shortest */
        {(const uint8_t *)"\x48\xa1\x01\x65"
                          "ES384",
         9},                                                  /* 5 */
        {(const uint8_t *)"\x43\xa1\x01\x27", 4},             /* 6: EdDSA */
        {(const uint8_t *)"\x44\xa1\x01\x38\x24", 5},         /* 7: PS256 */
        {(const uint8_t *)"\x46\xa2\x01\x38\x22\x04\x40", 7}, /* 8: a kid besides */
        {(const uint8_t *)"\x46\xa2\x01\x38\x22\x02\x80", 7}, /* 9: crit */
        {(const uint8_t *)"\x46\xa2\x01\x38\x22\x01\x26", 7}, /* 10: alg twice */
        {(const uint8_t *)"\x43\xa1\x01\x05", 4},             /* 11: HMAC */
        {(const uint8_t *)"\xa1\x01\x38\x22", 4},             /* 12: the map itself */
        {(const uint8_t *)"\x64\xa1\x01\x38\x22", 5},         /* 13: text, not UTF-8 */
        {(const uint8_t *)"\x5f\x44\xa1\x01\x38\x22\xff", 7}, /* 14 */
        {(const uint8_t *)"\xf6", 1},                         /* 15 */
        {(const uint8_t *)"\x58\x04\xa1\x01\x38\x22", 6},     /* 16: a longer head than needed */
    };
    d->protected_item = t[k];
    if (k == 2) {
        d->unprotected_item = BYTES("\xa1\x01\x38\x22"); /* the algorithm where nobody signed it */
    }
}

static void
unprotected_is(unsigned k)
{
    static const qr_view t[] = {
        {(const uint8_t *)"\x80", 1},
        {(const uint8_t *)"\xf6", 1},
        {(const uint8_t *)"\x40", 1},
        {(const uint8_t *)"\xa1\x01", 2},
        {(const uint8_t *)"\xbf\x01\xff", 3},
        {(const uint8_t *)"\xa1\x01\x5f\x41\x00\xff", 6},
        {(const uint8_t *)"\xba\xff\xff\xff\xff", 5},
        {(const uint8_t *)"\xbb\xff\xff\xff\xff\xff\xff\xff\xff", 9},
    };
    d->unprotected_item = t[k];
}

static void
unprotected_deep(unsigned k)
{
    static const uint8_t open[] = {0x81, 0x9f, 0xd2, 0xa1};
    size_t at = evnitro_item_begin(d);
    evgen_put_be(&d->arena, 0xa1, 1);
    evgen_put_be(&d->arena, 0x01, 1);
    for (unsigned i = 0; i < 1000; i++) {
        evgen_put_be(&d->arena, open[k], 1);
        if (open[k] == 0xa1) {
            evgen_put_be(&d->arena, 0x01, 1);
        }
    }
    evgen_put_be(&d->arena, 0x00, 1);
    evgen_fill(&d->arena, 0xff, open[k] == 0x9f ? 1000 : 0);
    d->unprotected_item = evnitro_item_end(d, at);
}

/* Item after item, none of them deep. */
static void
unprotected_many(unsigned k)
{
    size_t at = evnitro_item_begin(d);
    evgen_put_be(&d->arena, 0xbf, 1);
    for (unsigned i = 0; i < k; i++) {
        evcbor_head(&d->arena, EVCBOR_UINT, i);
        evgen_put_be(&d->arena, 0xf6, 1);
    }
    evgen_put_be(&d->arena, 0xff, 1);
    d->unprotected_item = evnitro_item_end(d, at);
}

static void
payload_is(unsigned k)
{
    size_t at = evnitro_item_begin(d);
    qr_view p = evgen_buf_view(&d->payload);
    switch (k) {
    case 0:
        evgen_put_be(&d->arena, 0xf6, 1); /* detached */
        break;
    case 1:
        evgen_put_view(&d->arena, p); /* the map itself */
        break;
    case 2:
        evgen_put_be(&d->arena, 0x5f, 1);
        evcbor_bytes(&d->arena, p);
        evgen_put_be(&d->arena, 0xff, 1);
        break;
    case 3:
        evcbor_head_wide(&d->arena, EVCBOR_BYTES, p.len, 4);
        evgen_put_view(&d->arena, p);
        break;
    case 4:
        evcbor_bytes(&d->arena, (qr_view){0});
        break;
    case 5:
        evcbor_head(&d->arena, EVCBOR_BYTES, p.len + 200); /* runs over the end */
        evgen_put_view(&d->arena, p);
        break;
    default:
        evcbor_head_wide(&d->arena, EVCBOR_BYTES, UINT64_MAX, 8);
        evgen_put_view(&d->arena, p);
        break;
    }
    frame(d->head, d->protected_item, d->unprotected_item, evnitro_item_end(d, at), (qr_view){0},
          (qr_view){0});
}

static void
signature_is(unsigned k)
{
    uint8_t der[128];
    size_t at = evnitro_item_begin(d), n = 0;
    struct evgen_buf tbs = evgen_buf_over(d->doc_mem, sizeof d->doc_mem);

    switch (k) {
    case 0:
        evcbor_bytes(&d->arena, qr_view_of(d->sig, 95));
        break;
    case 1:
        d->sig[96] = 0;
        evcbor_bytes(&d->arena, qr_view_of(d->sig, 97));
        break;
    case 2:
        evnitro_sig_structure(d, "Signature1", &tbs);
        n = evgen_sign_der(d->key, QR_SHA384, evgen_buf_view(&tbs), der, sizeof der);
        evcbor_bytes(&d->arena, qr_view_of(der, n));
        break;
    case 3:
        evcbor_bytes(&d->arena, (qr_view){0});
        break;
    case 4:
        evcbor_bytes(&d->arena, qr_view_of(d->sig, 64));
        break;
    case 5:
        evgen_put_be(&d->arena, 0xf6, 1);
        break;
    case 6:
        evcbor_head_wide(&d->arena, EVCBOR_BYTES, 96, 2);
        evgen_put(&d->arena, d->sig, 96);
        break;
    case 7:
        evgen_put_be(&d->arena, 0x5f, 1);
        evcbor_bytes(&d->arena, qr_view_of(d->sig, 96));
        evgen_put_be(&d->arena, 0xff, 1);
        break;
    case 8:
        evcbor_head(&d->arena, EVCBOR_ARRAY, 2);
        evcbor_bytes(&d->arena, qr_view_of(d->sig, 48));
        evcbor_bytes(&d->arena, qr_view_of(d->sig + 48, 48));
        break;
    default:
        memmove(d->sig + 1, d->sig, 96); /* r with a zero in front: 97 bytes */
        d->sig[0] = 0;
        evcbor_bytes(&d->arena, qr_view_of(d->sig, 97));
        break;
    }
    frame(d->head, d->protected_item, d->unprotected_item, (qr_view){0}, evnitro_item_end(d, at),
          (qr_view){0});
}

static void
truncated(unsigned k)
{
    d->doc.len = k < 10 ? k + 1 : d->doc.len - (k - 9);
}

static void
too_long(unsigned k)
{
    size_t at = evnitro_item_begin(d);
    evcbor_head(&d->arena, EVCBOR_BYTES, 13000 + k);
    evgen_fill(&d->arena, 0x55, 13000 + k);
    evnitro_add(d, evnitro_text(d, "later"), evnitro_item_end(d, at));
}

/* An unprotected header that is within the document's limit together with a payload that is not. */
static void
payload_too_long(unsigned k)
{
    (void)k;
    evnitro_remove(d, "public_key");
    evnitro_sign(d);
    size_t at = evnitro_item_begin(d), room = 16385 - d->payload.len - 6 - 3;
    evcbor_head(&d->arena, EVCBOR_BYTES, room);
    evgen_fill(&d->arena, 0x55, room);
    evnitro_add(d, evnitro_text(d, "later"), evnitro_item_end(d, at));
}

static void
test_cose(void **state)
{
    static const struct evbad t[] = {
        {"array of three with four items", DOC, outer, 0, QR_CHECK_PARSE, QR_REASON_TRAILING_DATA},
        {"array of three, with four items", DOC, outer, 0, QR_CHECK_PARSE, QR_REASON_TRAILING_DATA},
        {"17.1 array of three", DOC, outer, 1, QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"17.1 array of five", DOC, outer, 2, QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"array of five with four items", DOC, outer, 3, QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"map instead of array", DOC, outer, 4, QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"indefinite outer array", DOC, outer, 5, QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"outer array with a long head", DOC, outer, 6, QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"tag 17, COSE_Mac0", DOC, outer, 7, QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"tag 19", DOC, outer, 8, QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"tag 18 twice", DOC, outer, 9, QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"tag 18 in two bytes", DOC, outer, 10, QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"tag 55799 in front", DOC, outer, 11, QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"17.2 zero byte behind", DOC, outer, 12, QR_CHECK_PARSE, QR_REASON_TRAILING_DATA},
        {"17.2 break behind", DOC, outer, 13, QR_CHECK_PARSE, QR_REASON_TRAILING_DATA},
        {"17.2 second document behind", DOC, outer, 14, QR_CHECK_PARSE, QR_REASON_TRAILING_DATA},
        {"17.4 2^32-1 elements", DOC, outer, 15, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT},
        {"17.4 2^32 elements", DOC, outer, 16, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT},
        {"17.4 2^64-1 elements", DOC, outer, 17, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT},
        {"17.4 2^64-1 pairs", DOC, outer, 18, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT},
        {"reserved head", DOC, outer, 19, QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"break in front", DOC, outer, 20, QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"indefinite bytes around", DOC, outer, 21, QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"17.11 ES256", MEMBERS, protected_is, 0, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED},
        {"ES512", MEMBERS, protected_is, 1, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED},
        {"17.11 algorithm unprotected", MEMBERS, protected_is, 2, QR_CHECK_ALGORITHM,
         QR_REASON_UNSUPPORTED},
        {"17.11 empty map as header", MEMBERS, protected_is, 3, QR_CHECK_ALGORITHM,
         QR_REASON_UNSUPPORTED},
        {"ES384 spelled longer", MEMBERS, protected_is, 4, QR_CHECK_ALGORITHM,
         QR_REASON_UNSUPPORTED},
        {"ES384 as text", MEMBERS, protected_is, 5, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED},
        {"EdDSA", MEMBERS, protected_is, 6, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED},
        {"PS256", MEMBERS, protected_is, 7, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED},
        {"kid besides", MEMBERS, protected_is, 8, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED},
        {"crit besides", MEMBERS, protected_is, 9, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED},
        {"alg twice", MEMBERS, protected_is, 10, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED},
        {"HMAC", MEMBERS, protected_is, 11, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED},
        {"header not in bytes", MEMBERS, protected_is, 12, QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"header as text", MEMBERS, protected_is, 13, QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"header indefinite", MEMBERS, protected_is, 14, QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"header null", MEMBERS, protected_is, 15, QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"header with a long head", MEMBERS, protected_is, 16, QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"17.4 unprotected of 2^32-1", MEMBERS, unprotected_is, 6, QR_CHECK_LIMITS,
         QR_REASON_RESOURCE_LIMIT},
        {"17.4 unprotected of 2^64-1", MEMBERS, unprotected_is, 7, QR_CHECK_LIMITS,
         QR_REASON_RESOURCE_LIMIT},
        {"unprotected of 300 pairs", MEMBERS, unprotected_many, 300, QR_CHECK_LIMITS,
         QR_REASON_RESOURCE_LIMIT},
        {"payload's length runs over the end", DOC, payload_is, 5, QR_CHECK_PARSE,
         QR_REASON_MALFORMED},
        {"document of 17 KiB", MEMBERS, too_long, 0, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT},
        {"payload of 16385 bytes", MEMBERS, payload_too_long, 0, QR_CHECK_LIMITS,
         QR_REASON_RESOURCE_LIMIT},
    };
    struct evbad like = {NULL, DOC, NULL, 0, QR_CHECK_PARSE, QR_REASON_MALFORMED};

    (void)state;
    EVBAD_REFUSE(t);
    like.change = empty;
    evbad_refuse_each("nearly nothing", 0, 5, like);
    like.change = truncated;
    evbad_refuse_each("cut short", 0, 20, like);
    like.change = signature_is;
    evbad_refuse_each("17.12 signature's form", 0, 10, like);
    like.change = payload_is;
    evbad_refuse_each("payload's form", 0, 5, like);
    like.change = payload_is;
    evbad_refuse_each("payload's length 2^64-1", 6, 7, like);
    like.stage = MEMBERS;
    like.change = unprotected_is;
    evbad_refuse_each("unprotected header's form", 0, 6, like);
    like.check = QR_CHECK_LIMITS;
    like.reason = QR_REASON_RESOURCE_LIMIT;
    like.change = unprotected_deep;
    evbad_refuse_each("17.5 unprotected header of depth 1000, kind", 0, 4, like);
}

/* ---- the payload ------------------------------------------------------------------------------- */

static const char *const fields[] = {"module_id", "digest",     "timestamp", "pcrs", "certificate",
                                     "cabundle",  "public_key", "user_data", "nonce"};
#define N_FIELDS 9u
#define N_MANDATORY 6u

static void
missing(unsigned k)
{
    evnitro_remove(d, fields[k]);
}

/* The second one is as well-formed as the first. */
static void
twice(unsigned k)
{
    struct evnitro_member m = *evnitro_find(d, fields[k]);
    evnitro_add(d, m.key, m.value);
}

static void
key_is(unsigned k)
{
    static const qr_view t[] = {
        {(const uint8_t *)"\x07", 1},
        {(const uint8_t *)"\x44what", 5},
        {(const uint8_t *)"\xf6", 1},
        {(const uint8_t *)"\x62\xc3\x28", 3},     /* not UTF-8 */
        {(const uint8_t *)"\x62\xc0\x80", 3},     /* an overlong zero */
        {(const uint8_t *)"\x7f\x64what\xff", 7}, /* indefinite */
        {(const uint8_t *)"\x80", 1},
        {(const uint8_t *)"\xc1\x64what", 6},
    };
    evnitro_add(d, t[k], qr_view_str("\x01"));
}

#define N_TYPES 12u
/* field * N_TYPES + type, for types the field may not have. */
static void
type_is(unsigned k)
{
    static const qr_view t[N_TYPES] = {
        {(const uint8_t *)"\x01", 1},             /* unsigned */
        {(const uint8_t *)"\x20", 1},             /* negative */
        {(const uint8_t *)"\x41\x00", 2},         /* bytes */
        {(const uint8_t *)"\x66SHA384", 7},       /* text */
        {(const uint8_t *)"\x81\x41\x00", 3},     /* array */
        {(const uint8_t *)"\xa1\x01\x41\x00", 4}, /* map */
        {(const uint8_t *)"\xf6", 1},             /* null */
        {(const uint8_t *)"\xf5", 1},             /* true */
        {(const uint8_t *)"\xf7", 1},             /* undefined */
        {(const uint8_t *)"\xf9\x00\x00", 3},     /* half float */
        {(const uint8_t *)"\xc1\x01", 2},         /* tagged */
        {(const uint8_t *)"\xe0", 1},             /* simple value 0 */
    };
    evnitro_find(d, fields[k / N_TYPES])->value = t[k % N_TYPES];
}

/* A byte string of every field in two pieces. */
static void
indefinite_string(unsigned k)
{
    static const char *const of[] = {"certificate", "nonce", "user_data", "public_key"};
    size_t at = evnitro_item_begin(d);
    evgen_put_be(&d->arena, 0x5f, 1);
    evcbor_bytes(&d->arena, k == 0 ? d->leaf : BYTES("abcd"));
    evgen_put_be(&d->arena, 0xff, 1);
    evnitro_find(d, of[k])->value = evnitro_item_end(d, at);
}

/* field and length: too short or too long. */
static void
length_is(unsigned k)
{
    static const struct {
        const char *name;
        enum evcbor_major m;
        unsigned len;
    } t[] = {
        {"module_id", EVCBOR_TEXT, 0},    {"module_id", EVCBOR_TEXT, 257},
        {"certificate", EVCBOR_BYTES, 0}, {"certificate", EVCBOR_BYTES, 1025},
        {"public_key", EVCBOR_BYTES, 0},  {"public_key", EVCBOR_BYTES, 1025},
        {"user_data", EVCBOR_BYTES, 513}, {"user_data", EVCBOR_BYTES, 4096},
        {"nonce", EVCBOR_BYTES, 513},     {"nonce", EVCBOR_BYTES, 1024},
    };
    size_t at = evnitro_item_begin(d);
    evcbor_head(&d->arena, t[k].m, t[k].len);
    evgen_fill(&d->arena, 'a', t[k].len);
    evnitro_find(d, t[k].name)->value = evnitro_item_end(d, at);
}

static void
digest_is(unsigned k)
{
    static const char *const t[] = {"SHA256", "SHA512", "sha384", "", "SHA384 ", "SHA-384"};
    evnitro_find(d, "digest")->value = evnitro_text(d, t[k]);
}

static void
timestamp_is(unsigned k)
{
    static const uint64_t t[] = {0, UINT64_C(253402300800000), UINT64_MAX, INT64_MAX,
                                 (uint64_t)INT64_MAX + 1};
    size_t at = evnitro_item_begin(d);
    evcbor_head(&d->arena, EVCBOR_UINT, t[k]);
    evnitro_find(d, "timestamp")->value = evnitro_item_end(d, at);
}

/* The genuine map with a PCR more, whose index and value are given as CBOR. */
static void
pcr_more(unsigned k)
{
    static const qr_view index[] = {
        {(const uint8_t *)"\x00", 1},                 /* 0 again */
        {(const uint8_t *)"\x05", 1},                 /* 5 again */
        {(const uint8_t *)"\x0f", 1},                 /* 15 again */
        {(const uint8_t *)"\x18\x00", 2},             /* 0 again, in two bytes */
        {(const uint8_t *)"\x61\x30", 2},             /* "0" */
        {(const uint8_t *)"\x18\x20", 2},             /* 32 */
        {(const uint8_t *)"\x1a\xff\xff\xff\xff", 5}, /* 2^32-1 */
        {(const uint8_t *)"\x1b\x00\x00\x00\x01\x00\x00\x00\x00", 9},
        {(const uint8_t *)"\x20", 1}, /* -1 */
        {(const uint8_t *)"\x41\x10", 2},
        {(const uint8_t *)"\xf6", 1},
    };
    size_t at = evnitro_item_begin(d);
    evgen_put_be(&d->arena, 0xbf, 1);
    for (unsigned i = 0; i < 16; i++) {
        evcbor_head(&d->arena, EVCBOR_UINT, i);
        evcbor_bytes(&d->arena, qr_view_of(d->pcr[i], 48));
    }
    evgen_put_view(&d->arena, index[k]);
    evcbor_bytes(&d->arena, qr_view_of(d->pcr[20], 48));
    evgen_put_be(&d->arena, 0xff, 1);
    evnitro_find(d, "pcrs")->value = evnitro_item_end(d, at);
}

/* index * 8 + kind of value. */
static void
pcr_value(unsigned k)
{
    static const unsigned len[] = {47, 49, 0, 32, 64};
    size_t at = evnitro_item_begin(d);
    evgen_put_be(&d->arena, 0xbf, 1);
    for (unsigned i = 0; i < 16; i++) {
        evcbor_head(&d->arena, EVCBOR_UINT, i);
        if (i != k / 8) {
            evcbor_bytes(&d->arena, qr_view_of(d->pcr[i], 48));
        } else if (k % 8 < 5) {
            evcbor_head(&d->arena, EVCBOR_BYTES, len[k % 8]);
            evgen_fill(&d->arena, 0x11, len[k % 8]);
        } else if (k % 8 == 5) {
            evcbor_head(&d->arena, EVCBOR_TEXT, 48);
            evgen_fill(&d->arena, 'a', 48);
        } else if (k % 8 == 6) {
            evgen_put_be(&d->arena, 0xf6, 1);
        } else {
            evgen_put_be(&d->arena, 0x5f, 1);
            evcbor_bytes(&d->arena, qr_view_of(d->pcr[i], 48));
            evgen_put_be(&d->arena, 0xff, 1);
        }
    }
    evgen_put_be(&d->arena, 0xff, 1);
    evnitro_find(d, "pcrs")->value = evnitro_item_end(d, at);
}

static void
pcr_absent(unsigned k)
{
    d->pcr_mask = k < 3 ? d->pcr_mask & ~(1u << k) : 0;
}

static void
bundle_of(unsigned n)
{
    for (unsigned i = 0; i < n && i < EVNITRO_BUNDLE; i++) {
        d->bundle[i] = evgen_view(&d->cert[i % EVNITRO_LEAF]);
    }
    d->n_bundle = n;
}

static void
bundle_entry(unsigned k)
{
    static const uint8_t long_one[1025] = {0x30, 0x82};
    d->bundle[k % 4] = qr_view_of(long_one, k < 4 ? 0 : sizeof long_one);
}

static void
bundle_type(unsigned k)
{
    static const qr_view t[] = {
        {(const uint8_t *)"\x81\xf6", 2},
        {(const uint8_t *)"\x81\x61\x61", 3},
        {(const uint8_t *)"\x81\x5f\x41\x00\xff", 5},
        {(const uint8_t *)"\x81\x81\x41\x00", 4},
    };
    evnitro_find(d, "cabundle")->value = t[k];
}

static void
declares_too_much(unsigned k)
{
    static const qr_view t[] = {
        {(const uint8_t *)"\xbb\x00\x00\x00\x01\x00\x00\x00\x00", 9},
        {(const uint8_t *)"\x9b\x00\x00\x00\x01\x00\x00\x00\x00", 9},
        {(const uint8_t *)"\x99\x02\x01", 3}, /* 513 */
        {(const uint8_t *)"\xb9\xff\xff", 3},
    };
    static const char *const of[] = {"pcrs", "cabundle", "cabundle", "pcrs"};
    evnitro_find(d, of[k])->value = t[k];
}

static void
deep_member(unsigned k)
{
    static const uint8_t open[] = {0x81, 0x9f, 0xc1, 0xa1};
    size_t at = evnitro_item_begin(d);
    for (unsigned i = 0; i < 1000; i++) {
        evgen_put_be(&d->arena, open[k], 1);
        if (open[k] == 0xa1) {
            evgen_put_be(&d->arena, 0x01, 1);
        }
    }
    evgen_put_be(&d->arena, 0x00, 1);
    evgen_fill(&d->arena, 0xff, open[k] == 0x9f ? 1000 : 0);
    evnitro_add(d, evnitro_text(d, "later"), evnitro_item_end(d, at));
}

static void
wide_member(unsigned k)
{
    size_t at = evnitro_item_begin(d);
    evgen_put_be(&d->arena, 0x9f, 1);
    evgen_fill(&d->arena, 0x00, k);
    evgen_put_be(&d->arena, 0xff, 1);
    evnitro_add(d, evnitro_text(d, "later"), evnitro_item_end(d, at));
}

static void
many_members(unsigned n)
{
    char name[16];
    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(name, sizeof name, "later%u", i);
        evnitro_add(d, evnitro_text(d, name), qr_view_str("\x01"));
    }
}

static void
unknown_twice(unsigned k)
{
    (void)k;
    evnitro_add(d, evnitro_text(d, "later"), qr_view_str("\x01"));
    evnitro_add(d, evnitro_text(d, "later"), qr_view_str("\x01"));
}

static void
tail(unsigned k)
{
    static const char *const t[] = {"\xf6", "\xa0", "\xff", "\x61\x61"};
    d->payload_tail = qr_view_str(t[k]);
}

static void
count_lies(unsigned k)
{
    d->count_lie = k == 0 ? 1 : k == 1 ? -1 : k == 2 ? 20 : -9;
}

static void
payload_no_map(unsigned k)
{
    static const char *const t[] = {"\x80", "\xf6", "\x40", "\x01", "\xd2\xa0"};
    d->payload.len = 0;
    evgen_put_str(&d->payload, t[k]);
    evbad_sign_payload();
}

/* As in a document that was published damaged: a shorter key, and lengths as they were. */
static void
damaged_key(unsigned k)
{
    static const char name[] = "public_key";
    size_t at = evnitro_item_begin(d);
    evcbor_head(&d->arena, EVCBOR_TEXT, sizeof name - 1);
    evgen_put(&d->arena, name, sizeof name - 1 - k);
    evnitro_find(d, name)->key = evnitro_item_end(d, at);
}

static void
unclosed(unsigned k)
{
    d->indefinite = 1;
    evnitro_payload(d);
    evnitro_sign(d);
    d->payload.len -= k;
    evbad_sign_payload();
}

/* Types that a field may have: the columns of type_is. */
static int
may_be(unsigned field, unsigned type)
{
    static const unsigned own[N_FIELDS] = {3, 3, 0, 5, 2, 4, 2, 2, 2};
    return type == own[field] || (field >= N_MANDATORY && type == 6);
}

static void
test_payload(void **state)
{
    static const struct evbad t[] = {
        {"17.6 unknown member twice", MEMBERS, unknown_twice, 0, QR_CHECK_PARSE,
         QR_REASON_DUPLICATE_KEY},
        {"33 members", MEMBERS, many_members, 24, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT},
        {"600 items", MEMBERS, wide_member, 600, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT},
        {"cabundle of eight", CERTS, bundle_of, 8, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT},
        {"cabundle of sixteen", CERTS, bundle_of, 16, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT},
        {"cabundle of none", CERTS, bundle_of, 0, QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"17.3 null behind the map", MEMBERS, tail, 0, QR_CHECK_PARSE, QR_REASON_TRAILING_DATA},
        {"17.3 map behind the map", MEMBERS, tail, 1, QR_CHECK_PARSE, QR_REASON_TRAILING_DATA},
        {"17.3 break behind the map", MEMBERS, tail, 2, QR_CHECK_PARSE, QR_REASON_TRAILING_DATA},
        {"17.3 text behind the map", MEMBERS, tail, 3, QR_CHECK_PARSE, QR_REASON_TRAILING_DATA},
        {"one member too few declared", MEMBERS, count_lies, 1, QR_CHECK_PARSE,
         QR_REASON_TRAILING_DATA},
        {"no member declared", MEMBERS, count_lies, 3, QR_CHECK_PARSE, QR_REASON_TRAILING_DATA},
        {"one member too many declared", MEMBERS, count_lies, 0, QR_CHECK_PARSE,
         QR_REASON_MALFORMED},
        {"twenty members too many declared", MEMBERS, count_lies, 2, QR_CHECK_PARSE,
         QR_REASON_MALFORMED},
        {"map never closed", DOC, unclosed, 1, QR_CHECK_PARSE, QR_REASON_MALFORMED},
        {"map cut in its last value", DOC, unclosed, 2, QR_CHECK_PARSE, QR_REASON_MALFORMED},
    };
    struct evbad like = {NULL, MEMBERS, NULL, 0, QR_CHECK_PARSE, QR_REASON_MALFORMED};

    (void)state;
    EVBAD_REFUSE(t);
    like.change = missing;
    evbad_refuse_each("mandatory member missing", 0, N_MANDATORY, like);
    like.change = key_is;
    evbad_refuse_each("name of a member, kind", 0, 8, like);
    like.change = length_is;
    evbad_refuse_each("length out of bounds", 0, 10, like);
    like.change = indefinite_string;
    evbad_refuse_each("17.10 indefinite byte string", 0, 4, like);
    like.change = timestamp_is;
    evbad_refuse_each("timestamp out of bounds", 0, 5, like);
    like.change = pcr_more;
    evbad_refuse_each("17.7 index of a PCR", 0, 11, like);
    like.change = bundle_type;
    evbad_refuse_each("cabundle's element", 0, 4, like);
    like.change = damaged_key;
    evbad_refuse_each("17.24 public_key shortened by", 1, 5, like);
    like.change = pcr_value;
    evbad_refuse_each("17.8 value of PCR0, kind", 0, 8, like);
    evbad_refuse_each("17.8 value of PCR8 (8 * 8 and kind)", 64, 72, like);
    for (unsigned k = 0; k < N_FIELDS * N_TYPES; k++) {
        like.change = type_is;
        if (!may_be(k / N_TYPES, k % N_TYPES)) {
            evbad_refuse_each("type of a member (12 * member + type)", k, k + 1, like);
        }
    }
    like.stage = SPEC;
    like.change = pcr_absent;
    evbad_refuse_each("PCR not there (3: none at all)", 0, 4, like);
    like.stage = CERTS;
    like.change = bundle_entry;
    evbad_refuse_each("certificate of a bad length (entry, or 4 + entry)", 0, 8, like);
    like.stage = DOC;
    like.change = payload_no_map;
    evbad_refuse_each("payload that is no map", 0, 5, like);

    like = (struct evbad){NULL, MEMBERS, twice, 0, QR_CHECK_PARSE, QR_REASON_DUPLICATE_KEY};
    evbad_refuse_each("17.6 duplicate member", 0, N_FIELDS, like);
    like = (struct evbad){NULL, MEMBERS, digest_is, 0, QR_CHECK_ALGORITHM, QR_REASON_UNSUPPORTED};
    evbad_refuse_each("17.9 digest", 0, 6, like);
    like = (struct evbad){NULL, MEMBERS, deep_member, 0, QR_CHECK_LIMITS, QR_REASON_RESOURCE_LIMIT};
    evbad_refuse_each("17.5 member of depth 1000, kind", 0, 4, like);
    like.change = declares_too_much;
    evbad_refuse_each("17.4 member that declares too much", 0, 4, like);
}

/* ---- what there was ---------------------------------------------------------------------------- */

static void
test_count(void **state)
{
    (void)state;
    printf("Nitro documents of a bad form: %zu\n", evbad_count());
    assert_true(evbad_count() >= 200);
    assert_true(evbad_hits(QR_CHECK_LIMITS) >= 3);
    assert_true(evbad_hits(QR_CHECK_PARSE) >= 3);
    assert_true(evbad_hits(QR_CHECK_ALGORITHM) >= 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cose),
        cmocka_unit_test(test_payload),
        cmocka_unit_test(test_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
