#include "daemon/gw_openapi.h"

/* Made by the Makefile of daemon/openapi.json. */
static const uint8_t text[] = {
#include "openapi.inc"
};

qr_view
qr_gw_openapi(void)
{
    return qr_view_of(text, sizeof text);
}
