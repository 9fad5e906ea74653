/*
 * vendor: documents as the vendors' services give them, made with throwaway keys; and a fetcher that
 * plays such a service without a network.
 *
 * What: a VCEK, a PEM chain, lists, signed JSON with its header, Azure's JSON, a key set; then a
 *       qr_fetcher whose answers a test scripts by a piece of the URL.
 */
#ifndef TEST_VENDOR_H
#define TEST_VENDOR_H

#include "daemon/gw_fetch.h"
#include "protocol/base/mem.h"

/* Bodies live until the program ends. issued: "2026-01-01T00:00:00Z"; NULL: that one. */
qr_view vendor_vek(void);
qr_view vendor_amd_chain(void);
qr_view vendor_crl(int64_t this_ms);
qr_view vendor_tcb_info(const char *issued);
qr_view vendor_tcb_header(void);
qr_view vendor_qe_identity(const char *issued);
qr_view vendor_thim(void);
qr_view vendor_jwks(void);

/* The needs of a machine with everything; see gw_need.h. */
extern const char vendor_needs_amd[], vendor_needs_intel[], vendor_needs_all[];

#define VENDOR_RULES 16u
struct vendor_rule {
    const char *part; /* of the URL; the last rule that matches answers */
    unsigned status, retry_after_s;
    qr_view body, header;
};

struct vendor {
    size_t n;
    struct vendor_rule rule[VENDOR_RULES];
    unsigned asked; /* jobs that were started */
    char last_url[QR_URL_MAX];
    char last_post[QR_POST_MAX];
    int last_metadata;
    size_t n_queued;
    struct {
        uint64_t id;
        char url[QR_URL_MAX];
    } queue[QR_FETCH_JOBS];
};

/* Everything answers 200 with a right document. */
void vendor_init(struct vendor *v);
void vendor_rule(struct vendor *v, const char *part, unsigned status, unsigned retry_after_s,
                 qr_view body, qr_view header);
struct qr_fetcher vendor_fetcher(struct vendor *v);
/* The last rule for this URL; NULL: none. */
const struct vendor_rule *vendor_find(const struct vendor *v, const char *url);

#endif
