/*
 * Routes of the gateway: a path is one of these or it is nothing.
 *
 * What: exact paths, some with a name at their end; methods; the question each route puts to the
 *       party.
 * Why: the table is the whole surface. Nothing is decoded: "%73ign" is not "sign", a trailing
 *      slash is another path.
 */
#ifndef QR_GW_ROUTE_H
#define QR_GW_ROUTE_H

#include "proto/boundary.h"

enum qr_gw_route {
    QR_GW_SIGN,
    QR_GW_RAW_PAYLOAD, /* these three: gw_raw.h */
    QR_GW_RAW_PAYLOADS,
    QR_GW_RAW_TRANSACTION,
    QR_GW_KEYS,
    QR_GW_KEY,
    QR_GW_RECEIPT,
    QR_GW_ATTESTATION,
    QR_GW_STATUS,
    QR_GW_OPENAPI,
    QR_GW_UPCHECK,
    QR_GW_HEALTHCHECK,
    QR_GW_LIVEZ,
    QR_GW_READYZ,
    QR_GW_METRICS,
    QR_GW_NONE, /* no such path */
    QR_GW_ROUTES
};

enum qr_gw_method { QR_GW_GET, QR_GW_POST, QR_GW_OPTIONS, QR_GW_OTHER };

/* Short name for logs and metrics: "sign", "none". */
const char *qr_gw_route_name(enum qr_gw_route r);
/* ret_arg: what follows the path of a route that ends in "/", else empty; a view into path. */
enum qr_gw_route qr_gw_route_find(const char *path, qr_view *ret_arg);
/* HEAD counts as GET. */
enum qr_gw_method qr_gw_method_of(const char *method);
/* For the Allow header: "POST" or "GET, HEAD". */
const char *qr_gw_route_allow(enum qr_gw_route r);
/* OPTIONS is taken everywhere: what a browser asks before a request of another page (gw_cors.h). */
int qr_gw_route_takes(enum qr_gw_route r, enum qr_gw_method m);
/* The query a GET route asks the party; 0 for POST and for routes that the gateway answers. */
enum qr_query qr_gw_route_query(enum qr_gw_route r);

#endif
