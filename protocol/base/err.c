#include "protocol/base/err.h"

#include <stddef.h>

struct err_row {
    int value;
    enum qr_err_class class;
    int http;
    const char *name, *code, *text;
};

static const struct err_row rows[] = {
#define QR_E(name, value, class, http, code, text)                                                 \
    {(value), QR_CLASS_##class, (http), #name, (code), (text)},
#include "protocol/base/err.def"
#undef QR_E
};

static const struct err_row unknown = {-1,        QR_CLASS_INTERNAL, 500,
                                       "UNKNOWN", "internal",        "unknown error"};

static const struct err_row *
find(qr_err e)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].value == (int)e) {
            return &rows[i];
        }
    }
    return &unknown;
}

const char *
qr_err_name(qr_err e)
{
    return find(e)->name;
}

const char *
qr_err_text(qr_err e)
{
    return find(e)->text;
}

const char *
qr_err_code(qr_err e)
{
    return find(e)->code;
}

int
qr_err_http(qr_err e)
{
    return find(e)->http;
}

enum qr_err_class
qr_err_class(qr_err e)
{
    return find(e)->class;
}
