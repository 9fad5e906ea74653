/*
 * The gateway's own numbers, in Prometheus' text format 0.0.4.
 *
 * What: requests by route and status, latency of /v1/sign as a histogram, connections, the state
 *       of the connection to the party. The party's own metrics follow them on the same page.
 * Why: labels come from closed sets, never from a client, so that nobody can fill the memory of the
 *      operator's monitoring.
 */
#ifndef QR_GW_METRICS_H
#define QR_GW_METRICS_H

#include "daemon/gw_route.h"

#define QR_GW_BUCKETS 13u
#define QR_GW_STATUSES 16u /* known ones, and 0 for the rest */

struct qr_gw_metrics {
    uint64_t requests[QR_GW_ROUTES][QR_GW_STATUSES];
    uint64_t sign_bucket[QR_GW_BUCKETS + 1]; /* not cumulative; the last is +Inf */
    uint64_t sign_count, sign_sum_ns;
    uint64_t connections_total, closed_slow_total, shed_total;
    uint64_t connections; /* open now */
};

/* Gauges of the moment. */
struct qr_gw_now {
    int party_up;
    uint32_t in_flight;
    uint64_t party_connects;
};

/* One finished request; dur_ns counts for SIGN with status 200 only. */
void qr_gw_metrics_count(struct qr_gw_metrics *m, enum qr_gw_route r, unsigned status,
                         uint64_t dur_ns);
/* Appends the page. Errors: TOO_LARGE, NO_MEMORY. */
qr_err QR_MUST qr_gw_metrics_put(struct qr_dbuf *out, const struct qr_gw_metrics *m,
                                 const struct qr_gw_now *now);

#endif
