/*
 * Words of Ethereum transactions: chain, receiver, value, and of a call the method and its arguments
 * where it is one of the few that move what people own.
 */
#include "daemon/words_int.h"

#include "protocol/base/enc.h"

#include <stdio.h>

static const struct {
    uint64_t id;
    const char *name, *coin;
} chains[] = {
    {1, "Ethereum", "ETH"},
    {10, "OP Mainnet", "ETH"},
    {56, "BNB Smart Chain", "BNB"},
    {100, "Gnosis", "xDAI"},
    {137, "Polygon", "POL"},
    {324, "ZKsync Era", "ETH"},
    {1337, "a local test chain", "ETH"},
    {5000, "Mantle", "MNT"},
    {8453, "Base", "ETH"},
    {17000, "Holesky, a test chain", "ETH"},
    {31337, "a local test chain", "ETH"},
    {42161, "Arbitrum One", "ETH"},
    {42220, "Celo", "CELO"},
    {43114, "Avalanche C-Chain", "AVAX"},
    {59144, "Linea", "ETH"},
    {81457, "Blast", "ETH"},
    {534352, "Scroll", "ETH"},
    {560048, "Hoodi, a test chain", "ETH"},
    {11155111, "Sepolia, a test chain", "ETH"},
};
#define CHAINS (sizeof chains / sizeof chains[0])

const char *
qr_chain_name(uint64_t chain_id)
{
    for (size_t i = 0; i < CHAINS; i++) {
        if (chains[i].id == chain_id) {
            return chains[i].name;
        }
    }
    return NULL;
}

static const char *
coin_of(const struct qr_eth_tx *tx)
{
    for (size_t i = 0; tx->has_chain_id && i < CHAINS; i++) {
        if (chains[i].id == tx->chain_id) {
            return chains[i].coin;
        }
    }
    return "of the chain's coin";
}

void
qr_words_chain(struct qr_words *w, uint64_t chain_id)
{
    const char *name = qr_chain_name(chain_id);
    qr_words_printf(w, "%s (%llu)", name ? name : "not one we know", (unsigned long long)chain_id);
}

/* Methods whose arguments are shown. a: address, u: number, b: yes or no; 32 bytes each. */
static const struct {
    uint8_t selector[4];
    const char *name, *args;
    const char *label[3];
} methods[] = {
    {{0xa9, 0x05, 0x9c, 0xbb},
     "transfer(address,uint256)",
     "au",
     {"tokens to", "tokens (smallest units)", NULL}},
    {{0x09, 0x5e, 0xa7, 0xb3},
     "approve(address,uint256)",
     "au",
     {"who may take tokens", "up to (smallest units)", NULL}},
    {{0x23, 0xb8, 0x72, 0xdd},
     "transferFrom(address,address,uint256)",
     "aau",
     {"tokens from", "tokens to", "tokens (smallest units, or an id)"}},
    {{0x42, 0x84, 0x2e, 0x0e},
     "safeTransferFrom(address,address,uint256)",
     "aau",
     {"token from", "token to", "token id"}},
    {{0x39, 0x50, 0x93, 0x51},
     "increaseAllowance(address,uint256)",
     "au",
     {"who may take tokens", "more than before (smallest units)", NULL}},
    {{0xa2, 0x2c, 0xb4, 0x65},
     "setApprovalForAll(address,bool)",
     "ab",
     {"who may take all tokens", "from now on", NULL}},
    {{0xd0, 0xe3, 0x0d, 0xb0}, "deposit()", "", {NULL, NULL, NULL}},
    {{0x2e, 0x1a, 0x7d, 0x4d}, "withdraw(uint256)", "u", {"amount (smallest units)", NULL, NULL}},
};
#define METHODS (sizeof methods / sizeof methods[0])

static int
all_are(const uint8_t *p, size_t n, uint8_t v)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != v) {
            return 0;
        }
    }
    return 1;
}

/* The data is exactly this method's arguments, without anything in their padding. */
static int
args_fit(const char *args, qr_view data)
{
    size_t n = strlen(args);

    if (data.len != 4 + 32 * n) {
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        const uint8_t *word = data.p + 4 + 32 * i;
        if ((args[i] == 'a' && !all_are(word, 12, 0)) ||
            (args[i] == 'b' && (!all_are(word, 31, 0) || word[31] > 1))) {
            return 0;
        }
    }
    return 1;
}

static void
put_arg(struct qr_words *w, const char *label, char type, const uint8_t *word)
{
    qr_words_label(w, label);
    if (type == 'a') {
        qr_words_eth_address(w, word + 12);
    } else if (type == 'b') {
        qr_words_put(w, word[31] ? "yes" : "no");
    } else if (all_are(word, 32, 0xff)) {
        qr_words_put(w, "WITHOUT LIMIT (2^256-1)");
    } else {
        qr_words_decimal(w, word, 32, 0);
    }
    qr_words_put(w, "\n");
}

static void
put_data(struct qr_words *w, const char *label, qr_view data)
{
    qr_words_label(w, label);
    qr_words_hex(w, data);
    qr_words_put(w, "\n");
}

static void
put_call(struct qr_words *w, const struct qr_eth_tx *tx)
{
    size_t m = 0;

    if (!tx->has_to) {
        put_data(w, "code", tx->data);
        return;
    }
    if (tx->data.len == 0) {
        qr_words_line(w, "method", "none, value alone");
        return;
    }
    if (!tx->has_selector) {
        put_data(w, "data", tx->data);
        return;
    }
    while (m < METHODS && memcmp(methods[m].selector, tx->selector, 4) != 0) {
        m++;
    }
    qr_words_line(w, "method", "%s, selector 0x%02x%02x%02x%02x",
                  m < METHODS ? methods[m].name : "not one we know", tx->selector[0],
                  tx->selector[1], tx->selector[2], tx->selector[3]);
    if (m < METHODS && args_fit(methods[m].args, tx->data)) {
        for (size_t i = 0; methods[m].args[i]; i++) {
            put_arg(w, methods[m].label[i], methods[m].args[i], tx->data.p + 4 + 32 * i);
        }
        return;
    }
    if (m < METHODS) {
        qr_words_line(w, "WARNING", "the data does not fit this method's arguments");
    }
    put_data(w, "data", tx->data);
}

/* 40 bytes: max_fee of 32, times gas of 8. */
static void
fee_of(const struct qr_eth_tx *tx, uint8_t ret[static 40])
{
    uint64_t carry = 0;
    uint32_t gas[2] = {(uint32_t)tx->gas_limit, (uint32_t)(tx->gas_limit >> 32)};
    uint32_t fee[10] = {0}, out[10] = {0};

    for (size_t i = 0; i < 8; i++) {
        const uint8_t *p = tx->max_fee + 28 - 4 * i;
        fee[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    }
    for (size_t k = 0; k < 2; k++) {
        carry = 0;
        for (size_t i = 0; i + k < 10; i++) {
            uint64_t v = (uint64_t)fee[i] * gas[k] + out[i + k] + carry;
            out[i + k] = (uint32_t)v;
            carry = v >> 32;
        }
    }
    for (size_t i = 0; i < 10; i++) {
        qr_put32(ret + 36 - 4 * i, out[i]);
    }
}

static void
put_wei(struct qr_words *w, const char *label, const uint8_t *be, size_t n, const char *coin)
{
    qr_words_label(w, label);
    qr_words_decimal(w, be, n, 18);
    qr_words_printf(w, " %s (", coin);
    qr_words_decimal(w, be, n, 0);
    qr_words_put(w, " wei)\n");
}

void
qr_words_eth_tx(struct qr_words *w, const struct qr_eth_tx *tx)
{
    static const char *const types[] = {"legacy", "EIP-2930", "EIP-1559"};
    uint8_t fee[40];

    qr_words_label(w, "chain");
    if (tx->has_chain_id) {
        qr_words_chain(w, tx->chain_id);
    } else {
        qr_words_put(w, "ANY: no chain id, it is valid on every chain");
    }
    qr_words_put(w, "\n");
    qr_words_label(w, "to");
    if (tx->has_to) {
        qr_words_eth_address(w, tx->to);
    } else {
        qr_words_put(w, "nobody: it creates a contract");
    }
    qr_words_put(w, "\n");
    put_wei(w, "value", tx->value, 32, coin_of(tx));
    put_call(w, tx);
    fee_of(tx, fee);
    put_wei(w, "fee at most", fee, sizeof fee, coin_of(tx));
    qr_words_line(w, "nonce", "%llu", (unsigned long long)tx->nonce);
    qr_words_line(w, "gas limit", "%llu", (unsigned long long)tx->gas_limit);
    if (tx->access_addresses) {
        qr_words_line(w, "access list", "%u addresses, %u keys", tx->access_addresses,
                      tx->access_keys);
    }
    qr_words_line(w, "type", "%s", types[tx->type]);
}
