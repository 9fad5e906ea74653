/*
 * The strict reader of user data: the `quorate:` map of a cloud-init document, and nothing else.
 *
 * What: a cloud hands its guests one text that whoever owns the account may change at any time. Of
 *       it this reader takes one map of addresses, names and sizes and makes the daemons'
 *       configuration files of it:
 *
 *           #cloud-config
 *           runcmd: [ignored, like everything that is not below quorate:]
 *           quorate:
 *             party:
 *               listen: 0.0.0.0:9440
 *               advertise: "party-1.example.net:9440"
 *               cloud: gcp
 *               operator: example
 *             routes:                       # enclaves only: the pump's numbered routes
 *               7001: party-2.example.net:9440
 *
 * Why: cloud-init runs commands, writes files and adds users as it is told; in a TEE that hands the
 *       machine to its host. The same document serves both: stock images let cloud-init read it,
 *       measured images have this reader only.
 * Form: a subset of YAML that real YAML parsers read alike. The first line is "#cloud-config". The
 *       map begins with the line "quorate:" and ends before the next line that does not begin with
 *       a space (blank lines and comments do not end it). In it: sections at two spaces, keys at
 *       four, no other depth; values plain ([A-Za-z0-9] first, no spaces) or in quotes without
 *       escapes; comments. The list of keys is userdata.def.
 * Refused, with the line: a second map, section or key; an unknown one; tabs, carriage returns and
 *       bytes that are not printable ASCII; anchors, aliases, tags, flow and block scalars, merges;
 *       document markers below the map; an empty section; values of a wrong form or too long.
 * Ignored byte for byte: every line outside the map, whatever is in it.
 * Invariants: no allocation, no libraries, no I/O; the input is bounded by QR_USERDATA_MAX and read
 *       once. What comes out cannot name a file, a user, a platform or a rule. A value is not
 *       judged beyond its form: quorated and quorate-gateway check ranges when they read the files.
 * Source: YAML 1.2.2, sections 6.5 to 8.2, of which this is a subset; cloud-init's user-data
 *       formats.
 * Thread rules: pure functions. Not constant time: nothing here is secret.
 */
#ifndef QR_USERDATA_H
#define QR_USERDATA_H

#include "protocol/base/err.h"

#include <stddef.h>
#include <stdint.h>

#define QR_USERDATA_MAX 65536u    /* a whole document; Azure's limit. GCP allows more, we do not. */
#define QR_USERDATA_LINE_MAX 256u /* a line of the map */
#define QR_USERDATA_VALUE_MAX 160u /* a value with its NUL; a line of an INI file holds it */
#define QR_USERDATA_ROUTES_MAX 32u
#define QR_USERDATA_CONF_MAX 8192u /* enough for every INI text made here */
#define QR_USERDATA_ERR_MAX 256u

enum qr_userdata_form {
    QR_USERDATA_ADDRESS,  /* 0.0.0.0:9440 or [::]:9440, numeric */
    QR_USERDATA_HOSTPORT, /* a name or numeric address, and a port */
    QR_USERDATA_IP,       /* numeric, without a port */
    QR_USERDATA_NAME,     /* [A-Za-z0-9._-], up to 63 characters */
    QR_USERDATA_NUMBER,   /* up to nine digits */
    QR_USERDATA_DURATION, /* a number and ms, s or m */
    QR_USERDATA_URL,      /* http:// or https://, then [A-Za-z0-9._~:/?=&%@+-] and [] */
};

enum {
    QR_USERDATA_KEYS = 0
#define KEY(section, key, form, party, gateway) +1
#include "daemon/userdata.def"
#undef KEY
};

/* The pump's route NUMBER leads to `to`: HOST:PORT. */
struct qr_userdata_route {
    uint16_t number; /* 1..65535 */
    char to[QR_USERDATA_VALUE_MAX];
};

struct qr_userdata {
    char value[QR_USERDATA_KEYS]
              [QR_USERDATA_VALUE_MAX]; /* in userdata.def's order; "" if not set */
    struct qr_userdata_route route[QR_USERDATA_ROUTES_MAX]; /* in the document's order */
    size_t n_routes;
};

/*
 * Reads a document of len bytes. MALFORMED, TOO_LARGE, DUPLICATE, UNKNOWN_FIELD: err_text says
 * "line N: what; what is allowed", and *ret is as it was.
 */
qr_err QR_MUST qr_userdata_parse(const uint8_t *text, size_t len, struct qr_userdata *ret,
                                 char err_text[static QR_USERDATA_ERR_MAX]);

/* The value of a key of userdata.def, "" if the document does not set it; NULL for no such key. */
const char *qr_userdata_get(const struct qr_userdata *u, const char *section, const char *key);

enum qr_userdata_role { QR_USERDATA_PARTY, QR_USERDATA_GATEWAY };

/* One line of a configuration file that the image decides, not the document. */
struct qr_userdata_fixed {
    const char *section, *key, *value;
};

/*
 * Writes quorated.conf or quorate-gateway.conf as a NUL-terminated text: `fixed` (an array that a
 * NULL section ends) and what the document sets, each section once. A key that stands in both is
 * the image's, not the document's. NO_SPACE if it does not fit cap.
 */
qr_err QR_MUST qr_userdata_conf(const struct qr_userdata *u, enum qr_userdata_role role,
                                const struct qr_userdata_fixed *fixed, char *out, size_t cap);

#endif
