/*
 * What a client asks to have signed: the body of a request, as bytes that it stamped.
 *
 * What: two forms; every party parses the same bytes and derives every digest itself.
 *   native, POST /v1/sign:
 *       {"v":1,"cluster":"<64 hex>","key":"<66 hex>","id":"<16..64 of [A-Za-z0-9_-]>",
 *        "issued_ms":1795251934338,"expires_ms":1795251994338,"path":[0,5],
 *        "items":[{"kind":"eth_tx","preimage":"<hex>"},{"kind":"digest","digest":"<64 hex>"},
 *                 {"kind":"eip712","preimage":"<hex of the JSON document>"},
 *                 {"kind":"btc_bip143","preimage":"<hex of the unsigned transaction>","input":0,
 *                  "prevouts":[{"sat":1000,"script":"<hex>","witness":"<hex>"}]},
 *                 {"kind":"btc_bip143","input":1,"of":3}]}
 *       Every member is required (path may be []); others are refused. `of`: the transaction and
 *       prevouts of that earlier item of the same kind; redeem and witness scripts may be left out.
 *   raw payload (request_raw.c), compatible with the published wire format of that API:
 *       {"type":"ACTIVITY_TYPE_SIGN_RAW_PAYLOAD_V2","timestampMs":"<decimal>","organizationId":…,
 *        "parameters":{"signWith","payload","encoding","hashFunction"}}, and its forms for several
 *       payloads and for transactions. organizationId: the cluster in hex, or its first 16 digits or
 *       more; signWith: the key, or its Ethereum address; id: SHA-256 of the body; it lives 60 s.
 *   The forms cannot be confused: one has "v" and no "type", the other the reverse.
 * request hash = SHA-256("quorate/sign-request/v1" || u32be(len) || body); it is the session
 *       id of the signing, so two parties with different bodies cannot complete.
 * Why kinds: a digest says nothing of what is signed. Only preimages can be judged; kind "digest"
 *       works only where a rule of the policy names it.
 */
#ifndef QR_REQUEST_H
#define QR_REQUEST_H

#include "daemon/preimage_712.h"
#include "daemon/preimage_btc.h"
#include "daemon/preimage_eth.h"
#include "daemon/window.h"
#include "protocol/base/err.h"
#include "protocol/base/limits.h"
#include "protocol/base/view.h"

enum qr_kind {
    QR_KIND_ETH_TX,     /* keccak256 of an unsigned transaction */
    QR_KIND_EIP191,     /* keccak256 of a prefixed message */
    QR_KIND_EIP712,     /* typed data */
    QR_KIND_BTC_LEGACY, /* one input of a Bitcoin transaction, the digest before SegWit */
    QR_KIND_BTC_BIP143, /* the same, SegWit version 0 */
    QR_KIND_KECCAK256,  /* of any bytes: raw payloads; as blind as a digest */
    QR_KIND_SHA256,
    QR_KIND_SHA256D, /* SHA-256 twice */
    QR_KIND_DIGEST,  /* 32 bytes as they are */
    QR_KIND_COUNT
};
const char *qr_kind_name(enum qr_kind k); /* "eth_tx" */
/* QR_ERR_MALFORMED. */
qr_err QR_MUST qr_kind_parse(qr_view name, enum qr_kind *ret);
#define QR_KIND_BIT(k) (1u << (k))

/* Views point into the request's memory and live until it is parsed again or cleared. */
struct qr_request_item {
    enum qr_kind kind;
    uint8_t digest[32];
    qr_view preimage; /* decoded; empty for DIGEST */
    union {
        struct qr_eth_tx eth; /* ETH_TX */
        struct qr_712 typed;  /* EIP712 */
        struct qr_btc btc;    /* BTC_LEGACY, BTC_BIP143 */
    };
};

enum qr_form { QR_FORM_NATIVE, QR_FORM_RAW };

struct qr_request {
    uint8_t hash[32]; /* the request hash */
    enum qr_form form;
    uint8_t cluster[32]; /* the first cluster_len bytes of it (native: 32) */
    size_t cluster_len;
    int by_address; /* 1: address stands for the key, which the party looks up; raw form alone */
    uint8_t address[20];
    uint8_t key[33]; /* zeros when by_address */
    char id[QR_ID_MAX + 1];
    struct qr_window window;
    uint32_t path[QR_PATH_MAX];
    size_t depth;
    unsigned kinds; /* union of QR_KIND_BIT over the items */
    size_t n_items; /* 1..QR_ITEMS_MAX */
    struct qr_request_item items[QR_ITEMS_MAX];
    uint8_t *mem; /* what the views point into; kept from one parse to the next */
    size_t mem_cap;
};

/*
 * Reads a body of either form and derives hash and digests. *ret was zeroed or used by an earlier call (some
 * 20 KiB: keep one). detail (for the client; names the member) is written on errors: MALFORMED,
 * UNKNOWN_FIELD, VERSION, TOO_LARGE (body, items, preimage, path), HARDENED, PREIMAGE, NO_MEMORY.
 * Times are only checked for form (qr_window_valid); qr_window_check is the caller's, as are cluster
 * and key. On an error nothing of *ret is defined but its memory.
 */
qr_err QR_MUST qr_request_parse(qr_view body, struct qr_request *ret, char *detail,
                                size_t detail_cap);
/* Gives the memory back. */
void qr_request_clear(struct qr_request *q);
/* The request hash alone. TOO_LARGE (empty, or above QR_BODY_MAX), NO_MEMORY. */
qr_err QR_MUST qr_request_hash(qr_view body, uint8_t ret[static 32]);
/* The last 20 bytes of Keccak-256 of the uncompressed point. QR_ERR_POINT. */
qr_err QR_MUST qr_eth_address(const uint8_t key[static 33], uint8_t ret[static 20]);

#endif
