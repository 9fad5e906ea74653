/*
 * RLP by hand: a cursor over bytes, one function for an item's head, and one table of fields for
 * each transaction type. Nothing is recursive: the only nested lists are those of an access list.
 */
#include "daemon/preimage_eth.h"

#include "daemon/keccak.h"
#include "protocol/base/enc.h"

#include <stdarg.h>
#include <stdio.h>

struct rlp {
    const uint8_t *p;
    size_t len;
};

struct reader {
    char *why;
    size_t why_cap;
};

static qr_err __attribute__((format(printf, 2, 3)))
refuse(const struct reader *r, const char *format, ...)
{
    va_list ap;
    if (r->why && r->why_cap > 0) {
        va_start(ap, format);
        (void)vsnprintf(r->why, r->why_cap, format, ap);
        va_end(ap);
    }
    return QR_ERR_PREIMAGE;
}

/*
 * Takes the next item off `in`; its content goes to *ret. Canonical only: a single byte below 0x80
 * stands for itself, lengths are minimal and the short form is used up to 55 bytes.
 */
static qr_err
rlp_next(const struct reader *r, struct rlp *in, int want_list, qr_view *ret, const char *name)
{
    if (in->len == 0) {
        return refuse(r, "RLP: %s is missing", name);
    }
    uint8_t head = in->p[0];
    int is_list = head >= 0xc0;
    size_t skip = 1, len = 0;
    uint8_t base = is_list ? 0xc0 : 0x80;

    if (is_list != want_list) {
        return refuse(r, "RLP: %s must be a %s", name, want_list ? "list" : "string");
    }
    if (head < 0x80) {
        skip = 0;
        len = 1;
    } else if (head - base <= 55) {
        len = (size_t)(head - base);
        if (!is_list && len == 1 && in->len > 1 && in->p[1] < 0x80) {
            return refuse(r, "RLP: %s is not canonical (one small byte has no length)", name);
        }
    } else {
        size_t width = (size_t)(head - base) - 55; /* 1..8 */
        if (width > in->len - 1) {
            return refuse(r, "RLP: %s ends too early", name);
        }
        if (in->p[1] == 0 || width > 4) {
            return refuse(r, "RLP: length of %s is not canonical or too large", name);
        }
        for (size_t i = 0; i < width; i++) {
            len = (len << 8) | in->p[1 + i];
        }
        if (len <= 55) {
            return refuse(r, "RLP: length of %s is not canonical (long form)", name);
        }
        skip = 1 + width;
    }
    if (len > in->len - skip) {
        return refuse(r, "RLP: %s ends too early", name);
    }
    *ret = qr_view_of(in->p + skip, len);
    in->p += skip + len;
    in->len -= skip + len;
    return QR_OK;
}

/* An integer of at most `max` bytes, right-aligned into out. */
static qr_err
rlp_integer(const struct reader *r, struct rlp *in, size_t max, uint8_t *out, const char *name)
{
    qr_view v;
    QR_TRY(rlp_next(r, in, 0, &v, name));
    if (v.len > max) {
        return refuse(r, "%s has %zu bytes, at most %zu are allowed", name, v.len, max);
    }
    if (v.len > 0 && v.p[0] == 0) {
        return refuse(r, "RLP: %s has a leading zero byte", name);
    }
    memset(out, 0, max);
    if (v.len > 0) {
        memcpy(out + max - v.len, v.p, v.len);
    }
    return QR_OK;
}

static qr_err
rlp_u64(const struct reader *r, struct rlp *in, uint64_t *ret, const char *name)
{
    uint8_t b[8];
    QR_TRY(rlp_integer(r, in, sizeof b, b, name));
    *ret = qr_get64(b);
    return QR_OK;
}

/* Fields, in the order of each type's list. */
enum field { END, CHAIN_ID, NONCE, TIP, FEE, GAS, TO, VALUE, DATA, ACCESS };

static const uint8_t layouts[3][10] = {
    {NONCE, FEE, GAS, TO, VALUE, DATA, END},
    {CHAIN_ID, NONCE, FEE, GAS, TO, VALUE, DATA, ACCESS, END},
    {CHAIN_ID, NONCE, TIP, FEE, GAS, TO, VALUE, DATA, ACCESS, END},
};

static qr_err
read_to(const struct reader *r, struct rlp *in, struct qr_eth_tx *tx)
{
    qr_view v;
    QR_TRY(rlp_next(r, in, 0, &v, "to"));
    if (v.len != 0 && v.len != sizeof tx->to) {
        return refuse(r, "to has %zu bytes; an address has 20", v.len);
    }
    tx->has_to = v.len != 0;
    if (tx->has_to) {
        memcpy(tx->to, v.p, v.len);
    }
    return QR_OK;
}

static qr_err
read_access(const struct reader *r, struct rlp *in, struct qr_eth_tx *tx)
{
    qr_view v;
    QR_TRY(rlp_next(r, in, 1, &v, "access list"));
    struct rlp list = {v.p, v.len};
    while (list.len > 0) {
        QR_TRY(rlp_next(r, &list, 1, &v, "access list entry"));
        struct rlp entry = {v.p, v.len};
        QR_TRY(rlp_next(r, &entry, 0, &v, "access list address"));
        if (v.len != 20) {
            return refuse(r, "access list address has %zu bytes, not 20", v.len);
        }
        QR_TRY(rlp_next(r, &entry, 1, &v, "access list keys"));
        if (entry.len != 0) {
            return refuse(r, "access list entry has more than two fields");
        }
        struct rlp keys = {v.p, v.len};
        while (keys.len > 0) {
            QR_TRY(rlp_next(r, &keys, 0, &v, "access list key"));
            if (v.len != 32) {
                return refuse(r, "access list key has %zu bytes, not 32", v.len);
            }
            tx->access_keys++;
        }
        tx->access_addresses++;
    }
    return QR_OK;
}

static qr_err
read_field(const struct reader *r, enum field f, struct rlp *in, struct qr_eth_tx *tx,
           uint8_t tip[static 32])
{
    switch (f) {
    case CHAIN_ID:
        tx->has_chain_id = 1;
        return rlp_u64(r, in, &tx->chain_id, "chain id");
    case NONCE:
        return rlp_u64(r, in, &tx->nonce, "nonce");
    case TIP:
        return rlp_integer(r, in, 32, tip, "max priority fee");
    case FEE:
        return rlp_integer(r, in, 32, tx->max_fee, tx->type == 2 ? "max fee" : "gas price");
    case GAS:
        return rlp_u64(r, in, &tx->gas_limit, "gas limit");
    case TO:
        return read_to(r, in, tx);
    case VALUE:
        return rlp_integer(r, in, 32, tx->value, "value");
    case DATA:
        return rlp_next(r, in, 0, &tx->data, "data");
    case ACCESS:
        return read_access(r, in, tx);
    case END:
        break;
    }
    return QR_ERR_INTERNAL;
}

/* chainId, 0, 0 at the end of a legacy transaction (EIP-155); or nothing. */
static qr_err
read_eip155(const struct reader *r, struct rlp *in, struct qr_eth_tx *tx)
{
    uint64_t zero = 0;
    if (in->len == 0) {
        return QR_OK;
    }
    QR_TRY(rlp_u64(r, in, &tx->chain_id, "chain id"));
    for (int i = 0; i < 2; i++) {
        QR_TRY(rlp_u64(r, in, &zero, "the zero after the chain id"));
        if (zero != 0) {
            return refuse(r, "this transaction carries a signature; send the unsigned form");
        }
    }
    tx->has_chain_id = 1;
    return QR_OK;
}

static qr_err
type_of(const struct reader *r, qr_view bytes, uint8_t *ret_type)
{
    if (bytes.len == 0) {
        return refuse(r, "transaction is empty");
    }
    uint8_t first = bytes.p[0];
    if (first >= 0xc0) {
        *ret_type = 0;
        return QR_OK;
    }
    if (first == 1 || first == 2) {
        *ret_type = first;
        return QR_OK;
    }
    if (first == 3) {
        return refuse(r, "EIP-4844 blob transactions (type 3) are not supported");
    }
    if (first == 4) {
        return refuse(r, "EIP-7702 set-code transactions (type 4) are not supported");
    }
    return refuse(r, "byte 0x%02x starts no transaction type we know", first);
}

qr_err
qr_eth_tx_parse(qr_view bytes, struct qr_eth_tx *ret, char *why, size_t why_cap)
{
    const struct reader r = {why, why_cap};
    struct qr_eth_tx tx = {0};
    uint8_t tip[32] = {0};
    qr_view body;

    QR_TRY(type_of(&r, bytes, &tx.type));
    struct rlp in = {bytes.p + (tx.type != 0), bytes.len - (tx.type != 0)};
    QR_TRY(rlp_next(&r, &in, 1, &body, "transaction"));
    if (in.len != 0) {
        return refuse(&r, "%zu bytes are left over after the transaction", in.len);
    }
    struct rlp list = {body.p, body.len};
    for (const uint8_t *f = layouts[tx.type]; *f != END; f++) {
        QR_TRY(read_field(&r, (enum field) * f, &list, &tx, tip));
    }
    if (tx.type == 0) {
        QR_TRY(read_eip155(&r, &list, &tx));
    }
    if (list.len != 0) {
        return refuse(&r, "transaction has too many fields");
    }
    if (tx.has_chain_id && tx.chain_id == 0) {
        return refuse(&r, "chain id is zero");
    }
    if (tx.nonce == UINT64_MAX) {
        return refuse(&r, "nonce is above the limit of EIP-2681");
    }
    if (memcmp(tip, tx.max_fee, 32) > 0) {
        return refuse(&r, "max priority fee is above max fee");
    }
    tx.has_selector = tx.has_to && tx.data.len >= 4;
    if (tx.has_selector) {
        memcpy(tx.selector, tx.data.p, 4);
    }
    *ret = tx;
    return QR_OK;
}

qr_err
qr_eth_address_read(qr_view text, uint8_t ret[static 20])
{
    char small[40];
    uint8_t h[32], address[20];
    int upper = 0, mixed = 0;

    if (text.len != 42 || text.p[0] != '0' || text.p[1] != 'x') {
        return QR_ERR_MALFORMED;
    }
    const uint8_t *digit = text.p + 2;
    for (size_t i = 0; i < sizeof small; i++) {
        int is_upper = digit[i] >= 'A' && digit[i] <= 'F';
        small[i] = (char)(is_upper ? digit[i] - 'A' + 'a' : digit[i]);
        upper |= is_upper;
        mixed |= digit[i] >= 'a' && digit[i] <= 'f';
    }
    QR_TRY(qr_hex_decode(small, sizeof small, address, sizeof address));
    qr_keccak256(qr_view_of(small, sizeof small), h);
    for (size_t i = 0; upper && mixed && i < sizeof small; i++) {
        unsigned nibble = i % 2 ? h[i / 2] & 15u : h[i / 2] >> 4;
        int want = small[i] >= 'a' && nibble >= 8;
        if (want != (small[i] != (char)digit[i])) {
            return QR_ERR_MALFORMED;
        }
    }
    memcpy(ret, address, sizeof address);
    return QR_OK;
}

void
qr_eip191_digest(qr_view message, uint8_t ret[static 32])
{
    char head[64];
    struct qr_keccak k;
    int n = snprintf(head, sizeof head,
                     "\x19"
                     "Ethereum Signed Message:\n%zu",
                     message.len);

    qr_keccak_init(&k);
    qr_keccak_put(&k, qr_view_of(head, (size_t)n));
    qr_keccak_put(&k, message);
    qr_keccak_end(&k, ret);
}
