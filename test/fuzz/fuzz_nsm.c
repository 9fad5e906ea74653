/*
 * Answers of an NSM. The first byte chooses the question; the rest is the answer, or changes to a
 * genuine one.
 *
 * Beyond "no crash": a refusal is a printable sentence and changes nothing of the caller's; what is
 * accepted lies within its bounds, is found in the answer, and is not accepted with a byte behind it.
 */
#include "enclave-shim/nitro/nsm.h"
#include "test/common/fakensm.h"
#include "test/fuzz/kit.h"

enum {
    DESCRIBE,
    RANDOM,
    PCR,
    EXTEND,
    LOCK,
    ATTEST,
    QUESTIONS,
    CHANGED = QUESTIONS,
    MODES = 2 * QUESTIONS
};

static struct fakensm fake;
static struct qr_nsm nsm;
static uint8_t answer[QR_NSM_ANSWER_MAX], genuine[QR_NSM_ANSWER_MAX], doc[QR_NSM_ANSWER_MAX];

static qr_err
describe(void)
{
    struct qr_nsm_info i, was;
    memset(&i, 0xa5, sizeof i);
    was = i;
    qr_err e = qr_nsm_describe(&nsm, &i);
    if (e == QR_OK) {
        fuzz_text(i.module_id, sizeof i.module_id);
        FUZZ_MUST(i.max_pcrs >= 1 && i.max_pcrs <= QR_NSM_PCRS);
        FUZZ_MUST(i.max_pcrs == QR_NSM_PCRS || i.locked >> i.max_pcrs == 0);
    } else {
        FUZZ_MUST(memcmp(&i, &was, sizeof i) == 0);
    }
    return e;
}

/* `len` bytes at `out` are a part of the answer that was given by hand. */
static void
is_inside(const uint8_t *out, size_t len)
{
    FUZZ_MUST(!fake.raw.p || memmem(fake.raw.p, fake.raw.len, out, len) != NULL);
}

static qr_err
ask(unsigned what)
{
    uint8_t r[QR_NSM_PCR_LEN] = {0};
    int locked = 7;
    struct qr_buf b = qr_buf_over(doc, sizeof doc);
    qr_err e;

    switch (what) {
    case DESCRIBE:
        return describe();
    case RANDOM:
        e = qr_nsm_random(&nsm, r, 1);
        FUZZ_MUST(e == QR_OK || r[0] == 0);
        return e;
    case PCR:
        e = qr_nsm_pcr(&nsm, 4, r, &locked);
        FUZZ_MUST(e == QR_OK ? locked == 0 || locked == 1 : locked == 7);
        break;
    case EXTEND:
        e = qr_nsm_extend(&nsm, 17, qr_view_str("data"), r);
        break;
    case LOCK:
        return qr_nsm_lock(&nsm, 17);
    default:
        e = qr_nsm_attest(&nsm, qr_view_of(NULL, 0), qr_view_str("nonce"), qr_view_of(NULL, 0), &b);
        FUZZ_MUST(e == QR_OK ? b.len > 0 : b.len == 0);
        if (e == QR_OK) {
            is_inside(b.p, b.len);
        }
        return e;
    }
    if (e == QR_OK) {
        is_inside(r, sizeof r);
    }
    return e;
}

static void
judge(unsigned what, qr_view bytes)
{
    fake.raw = bytes;
    nsm.why[0] = 0;
    qr_err e = ask(what);
    FUZZ_MUST(e == QR_OK || e == QR_ERR_PLATFORM);
    fuzz_text(nsm.why, sizeof nsm.why);
    FUZZ_MUST(e == QR_OK || nsm.why[0] != 0);
    if (e == QR_OK && bytes.len < sizeof answer) {
        answer[bytes.len] = 0;
        fake.raw = qr_view_of(answer, bytes.len + 1);
        FUZZ_MUST(ask(what) != QR_OK);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned mode = fuzz_choice(&data, &size, MODES), what = mode % QUESTIONS;
    struct fuzz_in in = fuzz_in_of(data, size);
    size_t n = size < sizeof answer ? size : sizeof answer;

    fakensm_init(&fake);
    struct qr_nsm_dev dev = fakensm_dev(&fake);
    qr_nsm_over(&nsm, &dev);
    if (mode < CHANGED) {
        memcpy(answer, data, n);
        judge(what, qr_view_of(answer, n));
        return 0;
    }
    /* A genuine answer: offset, count of bytes, what to xor them with. */
    FUZZ_MUST(ask(what) == QR_OK);
    size_t asked = fake.request_len;
    fakensm_init(&fake);
    n = fakensm_answer(&fake, qr_view_of(nsm.request, asked), genuine, sizeof genuine);
    memcpy(answer, genuine, n);
    while (in.len > 0) {
        uint16_t at = fuzz_u16(&in);
        qr_view x = fuzz_take(&in, 1u + fuzz_u8(&in) % 8u);
        for (size_t i = 0; i < x.len; i++) {
            answer[(at + i) % n] ^= x.p[i];
        }
    }
    judge(what, qr_view_of(answer, n));
    return 0;
}
