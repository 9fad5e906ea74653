/*
 * qr_utf8: is this UTF-8?
 *
 * What: length of the sequence at a place, by the table of well-formed sequences.
 * Why: text of evidence reaches logs and JSON; overlong forms and surrogates are how filters are
 *      passed.
 * Source: RFC 3629, section 4.
 */
#ifndef QR_UTF8_H
#define QR_UTF8_H

#include "protocol/base/view.h"

/* Bytes (1..4) of the well-formed sequence that starts at `at` < v.len; 0: there is none. */
size_t qr_utf8_next(qr_view v, size_t at);
/* 1: all of it is well-formed; the empty text is. */
int qr_utf8_valid(qr_view v);

#endif
