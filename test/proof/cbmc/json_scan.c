/*
 * PROVES: the scan in front of the JSON parser, for any bytes: memory safety and termination; what it
 *         lets through has, outside strings, no zero byte, and unless any number was allowed no sign, no
 *         point and no digit followed by an exponent, at most QR_JSON_DEPTH open brackets at any point
 *         and at most max_values values (commas and opening brackets counted); no string has a control
 *         character or is left open.
 * BOUND:  texts of exactly 1..6 bytes, all contents; any max_values.
 * SCALE:  proto/json_strict.h s/QR_JSON_DEPTH 8u/QR_JSON_DEPTH 3u/
 * CBMC:   --unwind 8
 * SLOW:   nightly
 * BITE:   proto/json_strict.c s/s->at < s->text.len; s->at++/s->at <= s->text.len; s->at++/
 * BITE:   proto/json_strict.c s/if (++s.depth > QR_JSON_DEPTH)/if (s.depth++ > QR_JSON_DEPTH)/
 * BITE:   proto/json_strict.c s/if (s.at > 0 \&\& text/if (s.at > 1 \&\& text/
 */
#include "proto/json_strict.h"

#include "test/proof/cbmc/proof.h"

#include <stdarg.h>
#include <stdio.h>

/* The words of an error are not part of this. */
#define vsnprintf(...) 0
#define snprintf(...) 0
#include "proto/json_strict.c"

void
proof(void)
{
    size_t len = any_size(5) + 1, max = any_size(8);
    const uint8_t *t = any_bytes(len);
    struct qr_json j = {0};
    int any_number = (int)any_size(1);

    if (scan_text(&j, qr_view_of(t, len), max, any_number) != QR_OK) {
        return;
    }
    size_t depth = 0, values = 1;
    int in = 0, skip = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = t[i];
        if (skip) {
            skip = 0;
        } else if (in) {
            PROVE(c >= 0x20, "no control character in a string");
            in = c != '"';
            skip = c == '\\';
        } else {
            in = c == '"';
            PROVE(c != 0, "no zero byte");
            PROVE(any_number || (c != '-' && c != '+' && c != '.'), "no sign or point");
            PROVE(any_number || (c != 'e' && c != 'E') || i == 0 || t[i - 1] < '0' ||
                      t[i - 1] > '9',
                  "no exponent");
            values += c == ',' || c == '[' || c == '{';
            depth += c == '[' || c == '{';
            depth -= (c == ']' || c == '}') && depth > 0;
            PROVE(depth <= QR_JSON_DEPTH, "not too deep");
        }
    }
    PROVE(!in && !skip, "no string is left open");
    PROVE(values <= max, "not too many values");
}
