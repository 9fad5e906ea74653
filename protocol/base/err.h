/*
 * One error type for the whole product, generated from err.def.
 *
 * What: `qr_err` values with a class, an HTTP status, a stable client code and a text.
 * Why: a failure keeps its meaning from the curve check to the operator's log; the class says what
 *      a caller may do with it (only CLASS_TEMPORARY is worth a retry).
 * Rules: every fallible function returns qr_err and is QR_MUST; ret_ parameters are written only on
 *      success. Libraries never log; the daemon logs once per failure.
 */
#ifndef QR_ERR_H
#define QR_ERR_H

#define QR_MUST __attribute__((warn_unused_result))

enum qr_err_class {
    QR_CLASS_OK,
    QR_CLASS_USAGE,
    QR_CLASS_INPUT,
    QR_CLASS_AUTH,
    QR_CLASS_PROTOCOL,
    QR_CLASS_PEER,
    QR_CLASS_TEMPORARY,
    QR_CLASS_STORE,
    QR_CLASS_ATTEST,
    QR_CLASS_INTERNAL,
};

typedef enum qr_err {
#define QR_E(name, value, class, http, code, text) QR_ERR_##name = (value),
#include "protocol/base/err.def"
#undef QR_E
} qr_err;

#define QR_OK QR_ERR_OK

/* "MALFORMED"; "UNKNOWN" for a value outside the list. */
const char *qr_err_name(qr_err e);
/* Sentence fragment for people. */
const char *qr_err_text(qr_err e);
/* Stable lower-case word for clients ("policy_denied"). */
const char *qr_err_code(qr_err e);
int qr_err_http(qr_err e);
enum qr_err_class qr_err_class(qr_err e);

/* Returns from the calling function on error; the only control-flow macro in the tree. */
#define QR_TRY(expr)                                                                               \
    do {                                                                                           \
        qr_err qr_try_e_ = (expr);                                                                 \
        if (qr_try_e_ != QR_OK)                                                                    \
            return qr_try_e_;                                                                      \
    } while (0)

#endif
