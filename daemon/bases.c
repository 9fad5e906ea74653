#include "daemon/bases.h"

#include <string.h>

int
qr_need_base_ok(const char *url)
{
    const char *p = url;
    if (strncmp(p, "https://", 8) == 0) {
        p += 8;
    } else if (strncmp(p, "http://", 7) == 0) {
        p += 7;
    } else {
        return 0;
    }
    size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]/~");
    return n > 0 && p[n] == '\0' && p[n - 1] != '/' && p[0] != '/';
}
