#include "protocol/base/check.h"

#include <stdio.h>
#include <stdlib.h>

void (*qr_panic_hook)(void);

void
qr_panic(const char *file, int line, const char *what)
{
    if (qr_panic_hook) {
        qr_panic_hook();
    }
    (void)fprintf(stderr, "quorate: internal error at %s:%d: %s\n", file, line, what);
    abort();
}
