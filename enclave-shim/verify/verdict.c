#include "enclave-shim/verify/verdict.h"

#include "protocol/base/check.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const reason_words[] = {
#define QR_R(name, text) text,
#include "enclave-shim/verify/reasons.def"
#undef QR_R
};

static const struct {
    const char *name, *meaning;
} checks[] = {
#define QR_C(name, text, meaning) {text, meaning},
#include "enclave-shim/verify/checks.def"
#undef QR_C
};

void
qr_verdict_init(struct qr_verdict *v)
{
    v->reason = QR_REASON_NONE;
    v->failed = QR_CHECK_COUNT;
    v->sentence[0] = 0;
    memset(v->check, QR_CHECK_SKIPPED, sizeof v->check);
    qr_claims_init(&v->claims);
}

void
qr_pass(struct qr_verdict *v, enum qr_check c)
{
    QR_ASSERT((unsigned)c < QR_CHECK_COUNT);
    if (v->check[c] != QR_CHECK_FAIL) {
        v->check[c] = QR_CHECK_PASS;
    }
}

qr_err
qr_fail(struct qr_verdict *v, enum qr_check c, enum qr_reason r, const char *format, ...)
{
    QR_ASSERT((unsigned)c < QR_CHECK_COUNT && r != QR_REASON_NONE && (unsigned)r < QR_REASON_COUNT);
    v->check[c] = QR_CHECK_FAIL;
    if (v->reason == QR_REASON_NONE) {
        va_list ap;
        v->reason = r;
        v->failed = c;
        va_start(ap, format);
        (void)vsnprintf(v->sentence, sizeof v->sentence, format, ap);
        va_end(ap);
    }
    return QR_ERR_ATTESTATION;
}

const char *
qr_reason_word(enum qr_reason r)
{
    return (unsigned)r < QR_REASON_COUNT ? reason_words[r] : "unknown";
}

const char *
qr_check_name(enum qr_check c)
{
    return (unsigned)c < QR_CHECK_COUNT ? checks[c].name : "unknown";
}

const char *
qr_check_meaning(enum qr_check c)
{
    return (unsigned)c < QR_CHECK_COUNT ? checks[c].meaning : "unknown";
}

enum qr_check
qr_check_by_name(qr_view name)
{
    unsigned c = 0;
    while (c < QR_CHECK_COUNT && !qr_view_eq(name, qr_view_str(checks[c].name))) {
        c++;
    }
    return (enum qr_check)c;
}
