/*
 * The body of POST /v1/sign: what a client asks to have signed.
 *
 * What: {"v":1,"cluster":"<64 hex>","key":"<66 hex>","id":"<16..64 of [A-Za-z0-9_-]>",
 *        "issued_ms":1795251934338,"expires_ms":1795251994338,"path":[0,5],
 *        "items":[{"kind":"eth_tx","preimage":"<hex>"},{"kind":"digest","digest":"<64 hex>"}]}
 *       Every party parses the same bytes and derives every digest itself.
 *       request hash = SHA-256("quorate/sign-request/v1" || u32be(len) || body); it is the session
 *       id of the signing, so two parties with different bodies cannot complete.
 * Why kinds: a digest says nothing of what is signed. Only preimages can be judged; kind "digest"
 *       works only where a rule of the policy names it.
 * Every member is required (path may be []); others are refused.
 */
#ifndef QR_REQUEST_H
#define QR_REQUEST_H

#include "daemon/preimage_eth.h"
#include "daemon/window.h"
#include "protocol/base/err.h"
#include "protocol/base/limits.h"
#include "protocol/base/view.h"

enum qr_kind {
    QR_KIND_ETH_TX, /* keccak256 of an unsigned transaction */
    QR_KIND_EIP191, /* keccak256 of a prefixed message */
    QR_KIND_SHA256,
    QR_KIND_SHA256D, /* SHA-256 twice */
    QR_KIND_DIGEST,  /* 32 bytes as they are */
    QR_KIND_COUNT
};
const char *qr_kind_name(enum qr_kind k); /* "eth_tx" */
/* QR_ERR_MALFORMED. */
qr_err QR_MUST qr_kind_parse(qr_view name, enum qr_kind *ret);
#define QR_KIND_BIT(k) (1u << (k))

struct qr_request_item {
    enum qr_kind kind;
    uint8_t digest[32];
    struct qr_eth_tx eth; /* kind ETH_TX only; data is an empty view: the preimage is not kept */
};

struct qr_request {
    uint8_t hash[32]; /* the request hash */
    uint8_t cluster[32];
    uint8_t key[33];
    char id[QR_ID_MAX + 1];
    struct qr_window window;
    uint32_t path[QR_PATH_MAX];
    size_t depth;
    unsigned kinds; /* union of QR_KIND_BIT over the items */
    size_t n_items; /* 1..QR_ITEMS_MAX */
    struct qr_request_item items[QR_ITEMS_MAX];
};

/*
 * Reads a body and derives hash and digests; a struct qr_request is some 15 KiB, so keep one.
 * detail (for the client; names the member) is written on errors: MALFORMED, UNKNOWN_FIELD, VERSION,
 * TOO_LARGE (body, items, preimage, path), HARDENED, PREIMAGE, NO_MEMORY. Times are only checked
 * for form (qr_window_valid); qr_window_check is the caller's, as are cluster and key.
 * On an error *ret is not defined.
 */
qr_err QR_MUST qr_request_parse(qr_view body, struct qr_request *ret, char *detail,
                                size_t detail_cap);
/* The request hash alone. TOO_LARGE (empty, or above QR_BODY_MAX), NO_MEMORY. */
qr_err QR_MUST qr_request_hash(qr_view body, uint8_t ret[static 32]);

#endif
