/* /dev/sev-guest: one ioctl a report. */
#include "enclave-shim/tsm/sevguest.h"

#include "enclave-shim/verify/le.h"
#include "protocol/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define PAGE 4096u
#define RESP_LEN 4000u
#define REPORT_AT 0x20u /* in the response: u32 status, u32 size, 24 reserved */
#define CERTS_FIRST (4u * PAGE)

_Static_assert(sizeof(struct qr_snp_guest_request) == 32, "the kernel's layout");
_Static_assert(sizeof(struct qr_snp_report_req) == 96, "the kernel's layout");
_Static_assert(sizeof(struct qr_snp_ext_report_req) == 112, "the kernel's layout");
_Static_assert(QR_REPORT_AUX_MAX % PAGE == 0, "whole pages");

struct sev {
    const struct qr_sys *sys;
    int fd;
    uint32_t patience_ms;
    char path[128];
    uint32_t certs_len; /* what the host's table took last time */
    int no_table;
    uint8_t *certs, *mem; /* certs: page aligned, QR_REPORT_AUX_MAX bytes of mem */
    uint8_t resp[RESP_LEN];
    char why[384];
};

static qr_err __attribute__((format(printf, 3, 4)))
fail(struct sev *s, qr_err e, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(s->why, sizeof s->why, format, ap);
    va_end(ap);
    return e;
}

static uint64_t
address(const void *p)
{
    return (uint64_t)(uintptr_t)p;
}

/* One request; 0 or -errno; codes of firmware and host in *ret_info. */
static int
request(struct sev *s, const uint8_t data[QR_REPORT_DATA], uint32_t *certs_len, uint64_t *ret_info)
{
    struct qr_snp_ext_report_req req = {.certs_address = address(s->certs),
                                        .certs_len = *certs_len};
    struct qr_snp_guest_request g = {
        .msg_version = 1, .req_data = address(&req), .resp_data = address(s->resp)};

    memcpy(req.data.user_data, data, QR_REPORT_DATA);
    memset(s->resp, 0, sizeof s->resp);
    memset(s->certs, 0, QR_REPORT_AUX_MAX);
    int e = s->sys->ioctl(s->sys->ctx, s->fd,
                          s->no_table ? QR_SNP_GET_REPORT : QR_SNP_GET_EXT_REPORT, &g);
    *certs_len = req.certs_len;
    *ret_info = g.exitinfo2;
    return e < 0 ? e : 0;
}

static qr_err
refused(struct sev *s, int e, uint64_t info)
{
    const char *hint = e == -EAGAIN
                           ? "; the host throttles requests, or the VM was busy with others"
                       : e == -EACCES || e == -EPERM
                           ? "; give this user the device (a udev rule, mode 0660 and a group)"
                       : e == -ENOTTY ? "; this device does not make reports"
                       : e == -ENODEV || e == -ENXIO
                           ? "; the kernel stopped talking to the firmware: restart the machine"
                           : "";
    return fail(s, e == -EACCES || e == -EPERM ? QR_ERR_PERMISSIONS : QR_ERR_PLATFORM,
                "%s: report: %s (firmware 0x%x, host 0x%x)%s", s->path, strerror(-e),
                (unsigned)(info & UINT32_MAX), (unsigned)(info >> 32), hint);
}

/* 0: done; 1: again after a pause; -1: *ret says why not. */
static int
attempt(struct sev *s, const uint8_t data[QR_REPORT_DATA], qr_err *ret)
{
    uint32_t len = s->certs_len;
    uint64_t info = 0;

    int e = request(s, data, &len, &info);
    if (e == -ENOSPC && !s->no_table) {
        if (len <= s->certs_len || len > QR_REPORT_AUX_MAX) {
            *ret = fail(s, QR_ERR_PLATFORM,
                        "%s: the host's certificate table needs %u bytes, at most %u are taken",
                        s->path, len, QR_REPORT_AUX_MAX);
            return -1;
        }
        s->certs_len = (len + PAGE - 1) / PAGE * PAGE;
        len = s->certs_len;
        e = request(s, data, &len, &info);
    }
    if (e == -ENOTTY && !s->no_table) { /* a kernel without extended requests */
        s->no_table = 1;
        e = request(s, data, &len, &info);
    }
    if (e == 0) {
        return 0;
    }
    *ret = refused(s, e, info);
    return e == -EAGAIN || e == -EBUSY || e == -EINTR ? 1 : -1;
}

/* The table's length is the host's to say: what follows the last byte that is not zero is padding. */
static size_t
table_len(const struct sev *s)
{
    size_t n = s->no_table ? 0 : s->certs_len;
    while (n > 0 && s->certs[n - 1] == 0) {
        n--;
    }
    /* A terminator may be all that follows the last certificate, and the last may end in zeros. */
    return n == 0 ? 0 : s->certs_len;
}

static qr_err
take(struct sev *s, struct qr_report *ret)
{
    uint32_t status = qr_le32(s->resp), size = qr_le32(s->resp + 4);

    if (status != 0) {
        return fail(s, QR_ERR_PLATFORM, "%s: the firmware answers status 0x%x%s", s->path, status,
                    status == 0x16 ? " (a privilege level above ours, or bad parameters)" : "");
    }
    if (size == 0 || size > RESP_LEN - REPORT_AT) {
        return fail(s, QR_ERR_PLATFORM, "%s: a report of %u bytes, expected 1 to %u", s->path, size,
                    RESP_LEN - REPORT_AT);
    }
    memcpy(ret->out, s->resp + REPORT_AT, size);
    ret->out_len = size;
    ret->aux_len = table_len(s);
    memcpy(ret->aux, s->certs, ret->aux_len);
    return QR_OK;
}

static qr_err
sev_get(void *ctx, const uint8_t data[QR_REPORT_DATA], struct qr_report *ret)
{
    struct sev *s = ctx;
    struct qr_patience p = qr_patience_of(s->sys, s->patience_ms);
    qr_err e = QR_OK;
    int again;

    s->why[0] = '\0';
    do {
        again = attempt(s, data, &e);
    } while (again > 0 && qr_patience_wait(s->sys, &p));
    if (again > 0) {
        size_t n = strlen(s->why);
        (void)snprintf(s->why + n, sizeof s->why - n, "; tried for %u ms", s->patience_ms);
    }
    return again == 0 ? take(s, ret) : e;
}

static const char *
sev_why(void *ctx)
{
    return ((struct sev *)ctx)->why;
}

static void
sev_free(void *ctx)
{
    struct sev *s = ctx;
    if (s->fd >= 0) {
        (void)s->sys->close(s->sys->ctx, s->fd);
    }
    qr_free(s->mem);
    qr_free(s);
}

static qr_err
open_device(struct sev *s)
{
    struct qr_patience p = qr_patience_of(s->sys, s->patience_ms);
    do {
        s->fd = s->sys->open(s->sys->ctx, s->path, O_RDWR);
    } while ((s->fd == -EBUSY || s->fd == -EINTR || s->fd == -EAGAIN) &&
             qr_patience_wait(s->sys, &p));
    if (s->fd >= 0) {
        return QR_OK;
    }
    int e = s->fd;
    return fail(s,
                e == -ENOENT                  ? QR_ERR_NOT_FOUND
                : e == -EACCES || e == -EPERM ? QR_ERR_PERMISSIONS
                                              : QR_ERR_PLATFORM,
                "%s: %s%s", s->path, strerror(-e),
                e == -ENOENT ? "; load the module sev-guest; is this an SEV-SNP guest?"
                : e == -EACCES || e == -EPERM
                    ? "; give this user the device (a udev rule, mode 0660 and a group)"
                    : "");
}

qr_err
qr_sevguest_open(const char *path, uint32_t patience_ms, const struct qr_sys *sys,
                 struct qr_report_src *ret, char *err_text, size_t err_cap)
{
    struct sev *s = qr_alloc(sizeof *s);
    if (!s) {
        return QR_ERR_NO_MEMORY;
    }
    *s = (struct sev){.sys = sys, .fd = -1, .patience_ms = patience_ms, .certs_len = CERTS_FIRST};
    s->mem = qr_alloc(QR_REPORT_AUX_MAX + PAGE);
    (void)snprintf(s->path, sizeof s->path, "%s", path && path[0] ? path : QR_SEVGUEST_PATH);
    qr_err e = s->mem ? open_device(s) : fail(s, QR_ERR_NO_MEMORY, "out of memory");
    if (e != QR_OK) {
        if (err_text) {
            (void)snprintf(err_text, err_cap, "%s", s->why);
        }
        sev_free(s);
        return e;
    }
    s->certs = s->mem + (PAGE - address(s->mem) % PAGE) % PAGE;
    *ret = (struct qr_report_src){s, sev_get, sev_why, sev_free, s->fd};
    return QR_OK;
}
