/* Unsigned Ethereum transactions: what is read lies inside the input, and a refusal says why. */
#include "daemon/preimage_eth.h"
#include "test/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qr_eth_tx tx;
    char why[160] = "";

    if (qr_eth_tx_parse(qr_view_of(data, size), &tx, why, sizeof why) == QR_OK) {
        FUZZ_MUST(tx.type <= 2);
        FUZZ_MUST(tx.data.len <= size);
        if (tx.data.len) {
            FUZZ_MUST(tx.data.p >= data && tx.data.p + tx.data.len <= data + size);
        }
        if (tx.has_selector) {
            FUZZ_MUST(tx.has_to && tx.data.len >= 4 && memcmp(tx.selector, tx.data.p, 4) == 0);
        }
    } else {
        FUZZ_MUST(why[0] != 0);
    }
    fuzz_text(why, sizeof why);
    return 0;
}
