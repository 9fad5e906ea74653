/* What only one of the two platforms has: event logs of a TD, custom claims of an enclave. */
#include "test/common/dcapkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- custom claims ---- */

static void
put_claim(struct evgen_buf *b, const char *name, size_t name_len, size_t value_len)
{
    evgen_put_le(b, name_len, 8);
    evgen_put_le(b, value_len, 8);
    evgen_put(b, name, name_len);
    evgen_fill(b, 0x77, value_len);
}

/* Two claims, bound by the report data. */
static struct evgen_buf
good_claims(struct dcapkit *k)
{
    struct evgen_buf b = evgen_buf_over(dcapkit_mem(k, 4096), 4096);
    evgen_put_le(&b, 1, 8);
    evgen_put_le(&b, 2, 8);
    put_claim(&b, "pk", 3, 32);
    put_claim(&b, "config", 7, 5);
    return b;
}

static void
bind_claims(struct dcapkit *k, const struct evgen_buf *b)
{
    evgen_sha256(evgen_buf_view(b), k->d.body + EVGEN_SGX_REPORT_DATA);
    dcapkit_replace(k, QR_PART_CUSTOM_CLAIMS, evgen_buf_view(b));
}

static void
claims_not_bound(struct dcapkit *k, unsigned i)
{
    struct evgen_buf b = good_claims(k);
    evgen_sha256(evgen_buf_view(&b), k->d.body + EVGEN_SGX_REPORT_DATA);
    if (i < 4) {
        static const size_t at[] = {0, 16, 40, 77};
        b.p[at[i]] ^= 1;
    } else if (i == 4) {
        evgen_fill(&b, 0, 1);
    } else if (i == 5) {
        b.len--;
    } else if (i == 6) {
        k->d.body[EVGEN_SGX_REPORT_DATA + 63] = 1;
    } else {
        memset(k->d.body + EVGEN_SGX_REPORT_DATA, 0, 64);
    }
    dcapkit_replace(k, QR_PART_CUSTOM_CLAIMS, evgen_buf_view(&b));
}

static void
claims_too_long(struct dcapkit *k, unsigned i)
{
    static const struct {
        size_t at;
        uint64_t v;
    } set[] = {{16, UINT64_C(1) << 63}, {16, UINT64_MAX}, {16, 65}, {24, UINT64_C(1) << 63},
               {24, UINT64_MAX},        {24, 1000},       {8, 17},  {8, UINT64_MAX}};
    struct evgen_buf b = good_claims(k);
    evgen_patch_le(&b, set[i].at, set[i].v, 8);
    bind_claims(k, &b);
}

static void
claims_malformed(struct dcapkit *k, unsigned i)
{
    struct evgen_buf b = good_claims(k);
    switch (i) {
    case 0:
        evgen_patch_le(&b, 0, 0, 8);
        break;
    case 1:
        evgen_patch_le(&b, 0, 2, 8);
        break;
    case 2:
        evgen_patch_le(&b, 8, 3, 8); /* one more than there are */
        break;
    case 3:
        b.len = 15;
        break;
    case 4:
        b.p[32] = 0x1f; /* first letter of the first name */
        break;
    case 5:
        b.p[34] = 'x'; /* its NUL */
        break;
    case 6:
        evgen_patch_le(&b, 16, 0, 8);
        break;
    default:
        b.p[33] = 0xe9;
        break;
    }
    bind_claims(k, &b);
}

static void
claims_trailing(struct dcapkit *k, unsigned i)
{
    struct evgen_buf b = good_claims(k);
    if (i < 2) {
        evgen_fill(&b, 0, i + 1);
    } else {
        evgen_patch_le(&b, 8, 1, 8); /* the second claim is not counted */
    }
    bind_claims(k, &b);
}

/* ---- event logs ---- */

#define LOG_HASH 0x000c /* SHA-384 */

static void
put_spec_event(struct evgen_buf *b)
{
    evgen_put_le(b, 0, 4);
    evgen_put_le(b, 3, 4); /* EV_NO_ACTION */
    evgen_fill(b, 0, 20);
    evgen_put_le(b, 33, 4);
    evgen_put(b, "Spec ID Event03", 16);
    evgen_put_le(b, 0, 4);
    evgen_put(b, "\x00\x02\x00\x02", 4); /* version 2.0, errata 0, 8-byte integers */
    evgen_put_le(b, 1, 4);
    evgen_put_le(b, LOG_HASH, 2);
    evgen_put_le(b, 48, 2);
    evgen_fill(b, 0, 1);
}

static void
extend(uint8_t reg[48], const uint8_t digest[48])
{
    uint8_t both[96];
    memcpy(both, reg, 48);
    memcpy(both + 48, digest, 48);
    evgen_sha384(qr_view_of(both, sizeof both), reg);
}

/* Two events for each of the first three registers; the registers go to the body. */
static struct evgen_buf
good_log(struct dcapkit *k)
{
    struct evgen_buf b = evgen_buf_over(dcapkit_mem(k, 8192), 8192);
    put_spec_event(&b);
    memset(k->d.body + EVGEN_TD_RTMR0, 0, 4 * 48);
    for (unsigned i = 0; i < 6; i++) {
        uint8_t digest[48];
        memset(digest, (int)(0x31 + i), sizeof digest);
        evgen_put_le(&b, 1 + i / 2, 4); /* register 1 is RTMR0 */
        evgen_put_le(&b, 0x80000001, 4);
        evgen_put_le(&b, 1, 4);
        evgen_put_le(&b, LOG_HASH, 2);
        evgen_put(&b, digest, sizeof digest);
        evgen_put_le(&b, 4, 4);
        evgen_put(&b, "boot", 4);
        extend(k->d.body + EVGEN_TD_RTMR0 + 48 * (i / 2), digest);
    }
    return b;
}

/* That of another boot. */
static void
other_log(struct dcapkit *k, unsigned i)
{
    struct evgen_buf b = good_log(k);
    k->d.body[EVGEN_TD_RTMR0 + 48 * i] ^= 1;
    dcapkit_replace(k, QR_PART_CC_LOG, evgen_buf_view(&b));
}

static void
short_log(struct dcapkit *k, unsigned i)
{
    static const size_t less[] = {1, 20, 60};
    struct evgen_buf b = good_log(k);
    b.len -= less[i];
    dcapkit_replace(k, QR_PART_CC_LOG, evgen_buf_view(&b));
}

const struct dcapkit_rule dcapneg_platform[] = {
    {76, "custom claims not bound", DCAP_SGX, 8, claims_not_bound, QR_CHECK_RUNTIME_DATA,
     QR_REASON_KEY_BINDING, 0},
    {77, "lengths of custom claims", DCAP_SGX, 8, claims_too_long, QR_CHECK_RUNTIME_DATA,
     QR_REASON_RESOURCE_LIMIT, 0},
    {0, "form of custom claims", DCAP_SGX, 8, claims_malformed, QR_CHECK_RUNTIME_DATA,
     QR_REASON_MALFORMED, 0},
    {0, "bytes behind custom claims", DCAP_SGX, 3, claims_trailing, QR_CHECK_RUNTIME_DATA,
     QR_REASON_TRAILING_DATA, 0},
    {71, "event log of another boot", DCAP_TDX, 3, other_log, QR_CHECK_EVENT_LOG,
     QR_REASON_MEASUREMENT, 0},
    {0, "event log cut", DCAP_TDX, 3, short_log, QR_CHECK_EVENT_LOG, QR_REASON_MALFORMED, 0},
};
const size_t n_dcapneg_platform = COUNT(dcapneg_platform);

void
dcapneg_good_claims(struct dcapkit *k)
{
    struct evgen_buf b = good_claims(k);
    bind_claims(k, &b);
}

void
dcapneg_good_log(struct dcapkit *k)
{
    struct evgen_buf b = good_log(k);
    dcapkit_replace(k, QR_PART_CC_LOG, evgen_buf_view(&b));
}
