/*
 * Receipts as anybody may hand them over, against a roster whose keys signed nothing.
 *
 * Must hold: none is valid; the reason is a printable sentence.
 */
#include "daemon/receipt.h"
#include "daemon/stamp.h"
#include "protocol/base/hash.h"
#include "protocol/group.h"
#include "test/fuzz/fuzz.h"

#include <sodium.h>

static struct qr_roster roster;
static int ready;
static struct qr_policy *policy;

static void
prepare(void)
{
    char text[1024], why[QR_ERR_TEXT_MAX] = "";
    uint8_t secret[64];
    FUZZ_MUST(qr_hash_init() == QR_OK && qr_stamp_init() == QR_OK);
    roster.n = 3;
    for (uint16_t i = 0; i < 3; i++) {
        uint8_t seed[32] = {(uint8_t)(i + 1)};
        roster.party[i].index = (uint16_t)(i + 1);
        roster.party[i].platform = QR_PLATFORM_SIM;
        FUZZ_MUST(crypto_sign_seed_keypair(roster.party[i].identity, secret, seed) == 0);
    }
    int n =
        snprintf(text, sizeof text,
                 "{\"v\":1,\"type\":\"quorate/policy\",\"cluster\":\"%064d\",\"serial\":1,"
                 "\"peers\":{\"insecure_sim\":true},\"requests\":{\"clients\":[],\"rules\":[]}}",
                 0);
    FUZZ_MUST(qr_policy_parse(qr_view_of(text, (size_t)n), &policy, why, sizeof why) == QR_OK);
    ready = 1;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qr_receipt_said said;
    char why[QR_ERR_TEXT_MAX] = "";
    size_t body = size && (data[size - 1] & 1) ? size / 2 : 0;

    if (!ready) {
        prepare();
    }
    FUZZ_MUST(qr_receipt_verify(qr_view_of(data, size), &roster, policy, qr_view_of(data, body),
                                &said, why, sizeof why) != QR_OK);
    FUZZ_MUST(why[0] != '\0');
    for (const char *c = why; *c; c++) {
        FUZZ_MUST((unsigned char)*c >= 0x20 && (unsigned char)*c < 0x7f);
    }
    return 0;
}
