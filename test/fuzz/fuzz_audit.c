/*
 * Audit logs as a host hands them over: lines, judged one by one and as a log.
 *
 * Must hold: a line that is accepted is at most QR_AUDIT_RECORD_MAX bytes, and no two of them with one hash; its
 * hash changes when a byte does; findings are printable sentences; a log of nobody's keys has no good head.
 */
#include "daemon/audit_check.h"
#include "protocol/base/hash.h"
#include "test/fuzz/fuzz.h"

#include <sodium.h>

static struct qr_roster roster;
static int ready;
static struct qr_audit_signature said;

static void
prepare(void)
{
    uint8_t secret[64];
    FUZZ_MUST(qr_hash_init() == QR_OK);
    roster.n = 3;
    for (uint16_t i = 0; i < 3; i++) {
        uint8_t seed[32] = {(uint8_t)(i + 1)};
        roster.party[i].index = (uint16_t)(i + 1);
        FUZZ_MUST(crypto_sign_seed_keypair(roster.party[i].identity, secret, seed) == 0);
    }
    ready = 1;
}

static void
found(void *ctx, const char *where, const char *text)
{
    size_t *n = ctx;
    (void)where;
    (*n)++;
    FUZZ_MUST(text[0] != '\0');
    for (const char *c = text; *c; c++) {
        FUZZ_MUST((unsigned char)*c >= 0x20 && (unsigned char)*c < 0x7f);
    }
}

static void
one_line(qr_view line)
{
    static uint8_t copy[QR_AUDIT_RECORD_MAX];
    struct qr_audit_record r;
    struct qr_audit_boot boot;
    struct qr_audit_signed_head head;
    char why[256] = "";
    uint8_t hash[32];

    if (qr_audit_parse(line, &r, why, sizeof why) != QR_OK) {
        FUZZ_MUST(why[0] != '\0');
        return;
    }
    FUZZ_MUST(line.len <= QR_AUDIT_RECORD_MAX && r.party >= 1 && r.serial >= 1);
    memcpy(copy, line.p, line.len);
    copy[line.len / 2] ^= 1;
    qr_audit_hash(qr_view_of(copy, line.len), hash);
    FUZZ_MUST(memcmp(hash, r.hash, 32) != 0);
    if (qr_audit_read_boot(line, &boot, why, sizeof why) == QR_OK) {
        FUZZ_MUST(strcmp(r.event, "boot") == 0);
    }
    if (qr_audit_read_head(line, &head, why, sizeof why) == QR_OK) {
        FUZZ_MUST(head.party == r.party && head.at.serial + 1 == r.serial);
    }
    if (qr_audit_read_anchor(line, &head, why, sizeof why) == QR_OK) {
        FUZZ_MUST(head.party != r.party);
    }
    if (qr_audit_read_signed(line, &said, why, sizeof why) == QR_OK) {
        FUZZ_MUST(said.n >= 1 && said.n_set >= QR_MIN_THRESHOLD &&
                  said.has_sigs == (said.coordinator == r.party));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qr_audit_check *k;
    struct qr_audit_totals t;
    size_t n = 0;

    if (!ready) {
        prepare();
    }
    FUZZ_MUST(qr_audit_check_new(&roster, 0, size & 1, found, &n, &k) == QR_OK);
    for (int pass = 0; pass < 3; pass++) {
        for (size_t at = 0; at < size;) {
            const uint8_t *nl = memchr(data + at, '\n', size - at);
            size_t len = nl ? (size_t)(nl - (data + at)) : size - at;
            qr_view line = qr_view_of(data + at, len);
            if (pass == 0) {
                one_line(line);
            } else if (pass == 1) {
                FUZZ_MUST(qr_audit_check_collect(k, line) == QR_OK);
            } else {
                qr_audit_check_line(k, "x:1", line);
            }
            at += len + 1;
        }
        if (pass == 1) {
            qr_audit_check_sort(k);
        }
    }
    qr_audit_check_end(k, 1);
    qr_audit_check_totals(k, &t);
    FUZZ_MUST(t.findings == n && t.heads == 0);
    qr_audit_check_free(k);
    return 0;
}
