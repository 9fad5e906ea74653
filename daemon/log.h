/*
 * Logging: one event, one line on stderr.
 *
 * What: JSON lines {"ts","lvl","mod","ev","msg",fields...}; ts is RFC 3339 UTC with milliseconds,
 *       ev a stable snake_case name that operators search for, msg a sentence. A tty gets a format
 *       for people instead (QR_LOG_AUTO).
 * Why: journald, Docker and enclave consoles all take lines; nothing else has to be understood.
 * Rules: the daemon logs, libraries do not; one line per failure, where it is handled. Fields are
 *       typed; there is no formatter for secret types and nobody may add one. Text is escaped, so
 *       that input cannot forge a line; at most 1 KiB of a string and 64 bytes of hex are shown.
 * Rate: per (mod, ev) a burst of 50, then 5 a second; what was held back is counted in the
 *       "suppressed" member of that event's next line. Debug lines are not limited.
 * Thread rules: every function from any thread; a line is one write(2).
 */
#ifndef QR_LOG_H
#define QR_LOG_H

#include "protocol/base/err.h"
#include "protocol/base/view.h"

enum qr_log_level { QR_LOG_DEBUG, QR_LOG_INFO, QR_LOG_WARN, QR_LOG_ERROR };
enum qr_log_format { QR_LOG_AUTO, QR_LOG_JSON, QR_LOG_HUMAN };

enum qr_log_kind {
    QR_LOG_K_END,
    QR_LOG_K_U64,
    QR_LOG_K_I64,
    QR_LOG_K_BOOL,
    QR_LOG_K_STR,  /* NULL prints as null */
    QR_LOG_K_VIEW, /* text that is not NUL-terminated */
    QR_LOG_K_HEX,
};

struct qr_log_field {
    enum qr_log_kind kind;
    const char *name; /* snake_case literal */
    uint64_t u;
    int64_t i;
    const char *s;
    qr_view v;
};

#define QR_LOG_END ((struct qr_log_field){.kind = QR_LOG_K_END})
#define QR_LOG_U64(n, val) ((struct qr_log_field){.kind = QR_LOG_K_U64, .name = (n), .u = (val)})
#define QR_LOG_I64(n, val) ((struct qr_log_field){.kind = QR_LOG_K_I64, .name = (n), .i = (val)})
#define QR_LOG_BOOL(n, val)                                                                        \
    ((struct qr_log_field){.kind = QR_LOG_K_BOOL, .name = (n), .u = !!(val)})
#define QR_LOG_STR(n, val) ((struct qr_log_field){.kind = QR_LOG_K_STR, .name = (n), .s = (val)})
#define QR_LOG_TEXT(n, val) ((struct qr_log_field){.kind = QR_LOG_K_VIEW, .name = (n), .v = (val)})
/* Public bytes (ids, hashes, public keys). */
#define QR_LOG_HEX(n, ptr, len)                                                                    \
    ((struct qr_log_field){.kind = QR_LOG_K_HEX, .name = (n), .v = qr_view_of((ptr), (len))})
/* "err":"POLICY_DENIED". */
#define QR_LOG_ERR(e) QR_LOG_STR("err", qr_err_name(e))

/* Before the first line; without it: INFO, AUTO. level_name of the config: qr_log_level_parse. */
void qr_log_init(enum qr_log_level min, enum qr_log_format format);
/* 1 if lines of this level are written: to skip work, never to skip a check. */
int qr_log_on(enum qr_log_level level);

/*
 * qr_log(QR_LOG_INFO, "net", "peer_up", "peer 2 is up", QR_LOG_U64("peer", 2), QR_LOG_END);
 * The list always ends with QR_LOG_END. Never fails: a stderr that cannot be written is ignored.
 */
#define qr_log(level, mod, ev, msg, ...)                                                           \
    qr_log_write((level), (mod), (ev), (msg), (const struct qr_log_field[]){__VA_ARGS__})

void qr_log_write(enum qr_log_level level, const char *mod, const char *ev, const char *msg,
                  const struct qr_log_field *fields);

/* Tests: lines go to fn (without the newline) instead of stderr; NULL restores. */
void qr_log_sink(void (*fn)(void *ctx, const char *line, size_t len), void *ctx);

#endif
