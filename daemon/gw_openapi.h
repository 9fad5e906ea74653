/*
 * The description of the HTTP API, OpenAPI 3.1: daemon/openapi.json, inside the program.
 *
 * What: GET /v1/openapi.json answers these bytes.
 * Why inside: the description that is served is the one of this build. test/check_openapi.sh holds it
 *      against the routes, the problem codes and the limits of the source.
 */
#ifndef QR_GW_OPENAPI_H
#define QR_GW_OPENAPI_H

#include "protocol/base/view.h"

qr_view qr_gw_openapi(void);

#endif
