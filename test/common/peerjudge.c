#include "test/common/peerjudge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct peerjudge pj;
static const struct qr_peers_who nobody = {3, "", "op"};

struct qr_peers *
pj_policy(const char *text)
{
    struct qr_peers *p = NULL;
    if (qr_peers_read(qr_view_str(text), &p, pj.why, sizeof pj.why) != QR_OK) {
        fail_msg("%s", pj.why);
    }
    return p;
}

struct qr_peers *
pj_edited(const char *from, const char *to)
{
    peerkit_edit(peerkit_policy(), from, to, pj.text, sizeof pj.text);
    return pj_policy(pj.text);
}

void
pj_refused(const struct qr_peers *p, enum qr_evidence_kind k, int64_t now, enum qr_check check,
           enum qr_reason reason, const char *sentence)
{
    struct qr_peers_domain before = pj.domain;
    assert_int_equal(qr_peers_judge(p, k, 0, &nobody, now, &pj.v, &pj.domain), QR_ERR_ATTESTATION);
    assert_string_equal(pj.v.sentence, sentence);
    assert_int_equal(pj.v.failed, check);
    assert_int_equal(pj.v.reason, reason);
    assert_int_equal(pj.v.check[check], QR_CHECK_FAIL);
    assert_int_not_equal(pj.v.check[QR_CHECK_POLICY], QR_CHECK_PASS);
    assert_memory_equal(&before, &pj.domain, sizeof pj.domain);
}

void
pj_accepted(const struct qr_peers *p, enum qr_evidence_kind k, int64_t now)
{
    if (qr_peers_judge(p, k, 0, &nobody, now, &pj.v, &pj.domain) != QR_OK) {
        fail_msg("%s", pj.v.sentence);
    }
    assert_int_equal(pj.v.reason, QR_REASON_NONE);
    assert_int_equal(pj.v.check[QR_CHECK_POLICY], QR_CHECK_PASS);
    assert_int_equal(pj.v.check[QR_CHECK_MEASUREMENT], QR_CHECK_PASS);
    assert_int_equal(pj.v.check[QR_CHECK_FRESHNESS], QR_CHECK_PASS);
}
