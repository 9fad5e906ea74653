/*
 * The commands over audit logs, in two files: ctl_audit.c (verify), ctl_audit_out.c (export, diff).
 *
 * Thread rules: as the command line's.
 */
#ifndef QR_CTL_AUDIT_H
#define QR_CTL_AUDIT_H

#include "daemon/ctl.h"

struct qr_roster;

/* An exit code; 0: *ret is the caller's. */
int qr_ctl_load_roster(const struct qr_ctl *c, const char *path, struct qr_roster **ret);

int qr_ctl_audit_export(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv);
int qr_ctl_audit_diff(struct qr_ctl *c, const struct qr_ctl_cmd *cmd, int argc, char **argv);

#endif
