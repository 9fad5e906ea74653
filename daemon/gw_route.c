#include "daemon/gw_route.h"

#define NO_QUERY ((enum qr_query)0)

static const struct {
    const char *path, *name;
    int post;
    enum qr_query query;
} routes[QR_GW_ROUTES] = {
    [QR_GW_SIGN] = {"/v1/sign", "sign", 1, NO_QUERY},
    [QR_GW_RAW_PAYLOAD] = {"/public/v1/submit/sign_raw_payload", "raw_payload", 1, NO_QUERY},
    [QR_GW_RAW_PAYLOADS] = {"/public/v1/submit/sign_raw_payloads", "raw_payloads", 1, NO_QUERY},
    [QR_GW_RAW_TRANSACTION] = {"/public/v1/submit/sign_transaction", "raw_transaction", 1,
                               NO_QUERY},
    [QR_GW_KEYS] = {"/v1/keys", "keys", 0, QR_QUERY_KEYS},
    [QR_GW_KEY] = {"/v1/keys/", "key", 0, QR_QUERY_KEY},
    [QR_GW_RECEIPT] = {"/v1/receipts/", "receipt", 0, QR_QUERY_RECEIPT},
    [QR_GW_ATTESTATION] = {"/v1/attestation", "attestation", 0, QR_QUERY_ATTESTATION},
    [QR_GW_STATUS] = {"/v1/status", "status", 0, QR_QUERY_STATUS},
    [QR_GW_OPENAPI] = {"/v1/openapi.json", "openapi", 0, NO_QUERY},
    [QR_GW_UPCHECK] = {"/upcheck", "upcheck", 0, NO_QUERY},
    [QR_GW_HEALTHCHECK] = {"/healthcheck", "healthcheck", 0, QR_QUERY_READY},
    [QR_GW_LIVEZ] = {"/livez", "livez", 0, NO_QUERY},
    [QR_GW_READYZ] = {"/readyz", "readyz", 0, QR_QUERY_READY},
    [QR_GW_METRICS] = {"/metrics", "metrics", 0, QR_QUERY_METRICS},
    [QR_GW_NONE] = {"", "none", 0, NO_QUERY},
};

const char *
qr_gw_route_name(enum qr_gw_route r)
{
    return routes[r].name;
}

enum qr_gw_route
qr_gw_route_find(const char *path, qr_view *ret_arg)
{
    *ret_arg = (qr_view){NULL, 0};
    for (size_t r = 0; r < QR_GW_NONE; r++) {
        size_t n = strlen(routes[r].path);
        if (routes[r].path[n - 1] == '/' && strncmp(path, routes[r].path, n) == 0) {
            *ret_arg = qr_view_str(path + n);
            return (enum qr_gw_route)r;
        }
        if (strcmp(path, routes[r].path) == 0) {
            return (enum qr_gw_route)r;
        }
    }
    return QR_GW_NONE;
}

enum qr_gw_method
qr_gw_method_of(const char *method)
{
    if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0) {
        return QR_GW_GET;
    }
    if (strcmp(method, "POST") == 0) {
        return QR_GW_POST;
    }
    return strcmp(method, "OPTIONS") == 0 ? QR_GW_OPTIONS : QR_GW_OTHER;
}

const char *
qr_gw_route_allow(enum qr_gw_route r)
{
    return routes[r].post ? "POST" : "GET, HEAD";
}

int
qr_gw_route_takes(enum qr_gw_route r, enum qr_gw_method m)
{
    return m == QR_GW_OPTIONS || m == (routes[r].post ? QR_GW_POST : QR_GW_GET);
}

enum qr_query
qr_gw_route_query(enum qr_gw_route r)
{
    return routes[r].query;
}
