/*
 * Administrator commands: stamped bodies that every party checks for itself.
 *
 * What: {"v":1,"type":"quorate/command","cluster":"<64 hex>","id":"<16..64>","issued_ms":…,
 *        "expires_ms":…,"cmd":"keygen","t":2}
 *       or "cmd":"retire","pair":[1,2], or "cmd":"readmit","pair":[1,2].
 *       command_hash = TH("doc"; "command", bytes); a key generation's transcript holds it.
 * Why: the operator's socket is not authority; m-of-n administrators are.
 * Time and repetition: qr_window_check and a replay table, as for requests.
 */
#ifndef QR_COMMAND_H
#define QR_COMMAND_H

#include "daemon/admins.h"
#include "daemon/window.h"

enum qr_cmd {
    QR_CMD_KEYGEN = 1,
    QR_CMD_RETIRE = 2,
    QR_CMD_READMIT = 3,
};
const char *qr_cmd_name(enum qr_cmd c); /* "keygen" */

struct qr_command {
    uint8_t hash[32];
    uint8_t cluster[32];
    char id[QR_ID_MAX + 1];
    struct qr_window window;
    enum qr_cmd cmd;
    uint16_t t;       /* KEYGEN: 2..QR_MAX_PARTIES; the caller compares with its n */
    uint16_t pair[2]; /* RETIRE, READMIT: 1 <= pair[0] < pair[1] <= QR_MAX_PARTIES */
};

/* Form only; err_text names the member. Errors as qr_json_fields, SET (t, pair). */
qr_err QR_MUST qr_command_parse(qr_view text, struct qr_command *ret, char *err_text,
                                size_t err_cap);

/*
 * Everything a party asks of a command before it acts, in order: administrators' stamps, form,
 * cluster, time. Replay is the caller's. Errors: qr_admins_verify's, qr_command_parse's, CLUSTER,
 * qr_window_check's.
 */
qr_err QR_MUST qr_command_check(const struct qr_admins *admins, const uint8_t cluster[static 32],
                                uint64_t now_ms, uint64_t not_before_ms, qr_view text,
                                const qr_view *stamps, size_t n_stamps, struct qr_command *ret,
                                char *err_text, size_t err_cap);

#endif
