/*
 * qr_ctl_logs: the files of audit logs that a command was given.
 *
 * What: files, or folders with audit-*.jsonl in them, read whole and put into order of party, boot and
 *       first serial, as their first records say (names are not believed); and a walk over their lines.
 * Bounds: QR_CTL_LOGS_MAX files, QR_CTL_LOG_MAX bytes each.
 * Thread rules: as the command line's.
 */
#ifndef QR_CTL_LOGS_H
#define QR_CTL_LOGS_H

#include "daemon/audit_read.h"
#include "daemon/ctl.h"

#define QR_CTL_LOGS_MAX 16384u
#define QR_CTL_LOG_MAX (256u * 1024u * 1024u)

struct qr_ctl_log {
    char *path;
    uint16_t party;        /* 0: no line of it is a record */
    uint64_t boot, serial; /* of its first record */
    size_t size;
};

struct qr_ctl_logs {
    struct qr_ctl_log *log;
    size_t n, cap;
};

/* Finds and orders them. An exit code, or 0. The caller frees in any case. */
int qr_ctl_logs_open(const struct qr_ctl *c, const struct qr_ctl_list *paths,
                     struct qr_ctl_logs *ret);
void qr_ctl_logs_free(struct qr_ctl_logs *l);
/*
 * Each line of a file. ended: 0 for a last line without its newline (a file that was copied while it was written).
 * Stops at a line function's answer that is not 0, and returns it; or an exit code of its own.
 */
int qr_ctl_logs_lines(const struct qr_ctl *c, const struct qr_ctl_log *log,
                      int (*line)(void *ctx, const struct qr_ctl_log *log, size_t number,
                                  qr_view text, int ended),
                      void *ctx);

#endif
