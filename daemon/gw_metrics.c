#include "daemon/gw_metrics.h"

#include "build_info.h"
#include "daemon/config.h"

#include <stdarg.h>
#include <stdio.h>

static const unsigned statuses[QR_GW_STATUSES] = {0,   200, 204, 400, 401, 403, 404, 405,
                                                  409, 411, 413, 415, 422, 429, 503, 504};
static const uint64_t bucket_us[QR_GW_BUCKETS] = {
    500, 1000, 2000, 3000, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 10000000};

void
qr_gw_metrics_count(struct qr_gw_metrics *m, enum qr_gw_route r, unsigned status, uint64_t dur_ns)
{
    size_t s = QR_GW_STATUSES - 1, b = 0;

    while (s > 0 && statuses[s] != status) {
        s--;
    }
    m->requests[r][s]++;
    if (r != QR_GW_SIGN || status != 200) {
        return;
    }
    while (b < QR_GW_BUCKETS && dur_ns > bucket_us[b] * 1000) {
        b++;
    }
    m->sign_bucket[b]++;
    m->sign_count++;
    m->sign_sum_ns += dur_ns;
}

struct page {
    struct qr_dbuf *d;
    qr_err err;
};

static void say(struct page *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
say(struct page *p, const char *format, ...)
{
    char line[256];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    if (p->err == QR_OK && n > 0) {
        p->err = qr_dbuf_append(p->d, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
    }
}

static void
head(struct page *p, const char *name, const char *type, const char *help)
{
    say(p, "# HELP quorate_gateway_%s %s\n", name, help);
    say(p, "# TYPE quorate_gateway_%s %s\n", name, type);
}

static void
put_one(struct page *p, const char *name, const char *type, const char *help, uint64_t v)
{
    head(p, name, type, help);
    say(p, "quorate_gateway_%s %llu\n", name, (unsigned long long)v);
}

static void
put_histogram(struct page *p, const struct qr_gw_metrics *m)
{
    uint64_t sum = 0;
    head(p, "sign_duration_seconds", "histogram",
         "Time from a request's header to its answer, for answers with signatures.");
    for (size_t b = 0; b < QR_GW_BUCKETS; b++) {
        sum += m->sign_bucket[b];
        say(p, "quorate_gateway_sign_duration_seconds_bucket{le=\"%g\"} %llu\n",
            (double)bucket_us[b] / 1e6, (unsigned long long)sum);
    }
    say(p, "quorate_gateway_sign_duration_seconds_bucket{le=\"+Inf\"} %llu\n",
        (unsigned long long)m->sign_count);
    say(p, "quorate_gateway_sign_duration_seconds_sum %.6f\n", (double)m->sign_sum_ns / 1e9);
    say(p, "quorate_gateway_sign_duration_seconds_count %llu\n", (unsigned long long)m->sign_count);
}

qr_err
qr_gw_metrics_put(struct qr_dbuf *out, const struct qr_gw_metrics *m, const struct qr_gw_now *now)
{
    struct page p = {.d = out, .err = QR_OK};

    head(&p, "build_info", "gauge", "Version of the gateway; always 1.");
    say(&p, "quorate_gateway_build_info{version=\"%s\",commit=\"%s\",boundary=\"%u\"} 1\n",
        QR_PRODUCT_VERSION, QR_BUILD_COMMIT, QR_BOUNDARY_VERSION);
    head(&p, "requests_total", "counter", "Requests answered, by route and status.");
    for (size_t r = 0; r < QR_GW_ROUTES; r++) {
        for (size_t s = 0; s < QR_GW_STATUSES; s++) {
            if (m->requests[r][s]) {
                say(&p, "quorate_gateway_requests_total{route=\"%s\",status=\"%u\"} %llu\n",
                    qr_gw_route_name((enum qr_gw_route)r), statuses[s],
                    (unsigned long long)m->requests[r][s]);
            }
        }
    }
    put_histogram(&p, m);
    put_one(&p, "connections", "gauge", "Open client connections.", m->connections);
    put_one(&p, "connections_total", "counter", "Client connections accepted.",
            m->connections_total);
    put_one(&p, "slow_connections_closed_total", "counter",
            "Connections closed because a request did not arrive in time.", m->closed_slow_total);
    put_one(&p, "shed_connections_total", "counter",
            "Connections closed because more than max_connections were open.", m->shed_total);
    put_one(&p, "in_flight", "gauge", "Requests waiting for the party.", now->in_flight);
    put_one(&p, "party_up", "gauge", "1 while connected to the party.", now->party_up ? 1 : 0);
    put_one(&p, "party_connects_total", "counter", "Connections made to the party.",
            now->party_connects);
    return p.err;
}
