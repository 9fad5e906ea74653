#include "test/common/faketsm.h"

#include "enclave-shim/tsm/sevguest.h"
#include "enclave-shim/verify/le.h"
#include "protocol/base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define FD_BASE 100

static int
ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* 1 and the result, if this call is to fail. */
static int
faulty(struct faketsm *f, enum faketsm_call call, const char *file, long *ret)
{
    for (size_t i = 0; i < f->n_faults; i++) {
        struct faketsm_fault *x = &f->fault[i];
        if (x->call != call || x->times == 0 || !ends_with(file, x->file)) {
            continue;
        }
        if (x->skip > 0) {
            x->skip--;
            continue;
        }
        x->times -= x->times > 0;
        *ret = x->result;
        return 1;
    }
    return 0;
}

/* ---- attributes ---- */

static int
is_entry(const struct faketsm *f, const char *name)
{
    for (unsigned i = 0; i < 4; i++) {
        if (f->entry[i][0] && strcmp(f->entry[i], name) == 0) {
            return 1;
        }
    }
    return 0;
}

/* The kernel makes the report when it is read, unless it has one of this generation. */
static long
make_report(struct faketsm *f)
{
    if (f->in_len == 0) {
        return -EINVAL;
    }
    if (f->out_generation != f->generation) {
        f->aux_len = 0;
        f->out_len = f->make(f->make_ctx, f->in, f->out, f->aux, &f->aux_len);
        f->out_generation = f->generation;
        f->n_reports++;
    }
    return 0;
}

static long
load(struct faketsm *f, const char *file, uint8_t *mem, size_t cap, size_t *len)
{
    int n = -1;
    if (strcmp(file, "provider") == 0) {
        n = snprintf((char *)mem, cap, "%s\n", f->provider_text ? f->provider_text : f->provider);
    } else if (strcmp(file, "generation") == 0) {
        n = f->generation_text ? snprintf((char *)mem, cap, "%s", f->generation_text)
                               : snprintf((char *)mem, cap, "%lu\n", f->generation);
    } else if (strcmp(file, "privlevel_floor") == 0) {
        n = snprintf((char *)mem, cap, "%d\n", f->privlevel_floor);
    }
    QR_ASSERT(n >= 0 && (size_t)n < cap);
    *len = (size_t)n;
    return 0;
}

/* ---- calls ---- */

static int
fake_open(void *ctx, const char *path, int flags)
{
    struct faketsm *f = ctx;
    long r;
    char entry[48];
    const char *file = strrchr(path, '/') + 1;

    if (faulty(f, FAKETSM_OPEN, path, &r)) {
        return (int)r;
    }
    if (strcmp(path, FAKETSM_SEV) == 0) {
        file = FAKETSM_SEV;
    } else {
        size_t root = strlen(FAKETSM_ROOT "/");
        QR_ASSERT(strncmp(path, FAKETSM_ROOT "/", root) == 0);
        (void)snprintf(entry, sizeof entry, "%.*s", (int)(file - 1 - path - (long)root),
                       path + root);
        if (!is_entry(f, entry) ||
            (strcmp(file, "privlevel_floor") == 0 && f->privlevel_floor < 0)) {
            return -ENOENT;
        }
        int writes = strcmp(file, "inblob") == 0 || strcmp(file, "privlevel") == 0;
        QR_ASSERT((flags & O_ACCMODE) == (writes ? O_WRONLY : O_RDONLY));
    }
    for (int i = 0; i < 8; i++) {
        if (!f->fd[i].used) {
            memset(&f->fd[i], 0, sizeof f->fd[i]);
            f->fd[i].used = 1;
            (void)snprintf(f->fd[i].file, sizeof f->fd[i].file, "%s", file);
            f->open_files++;
            return FD_BASE + i;
        }
    }
    QR_ASSERT(0); /* too many open files */
    return -EMFILE;
}

static long
fake_read(void *ctx, int fd, void *out, size_t cap)
{
    struct faketsm *f = ctx;
    size_t i = (size_t)(fd - FD_BASE);
    long r;
    const uint8_t *src;
    size_t len;

    QR_ASSERT(i < 8 && f->fd[i].used);
    const char *file = f->fd[i].file;
    if (faulty(f, FAKETSM_READ, file, &r)) {
        return r;
    }
    int is_out = strcmp(file, "outblob") == 0, is_aux = strcmp(file, "auxblob") == 0;
    if (is_out || is_aux) {
        r = make_report(f);
        if (r != 0) {
            return r;
        }
        src = is_out ? f->out : f->aux;
        len = is_out ? f->out_len : f->aux_len;
    } else {
        if (f->fd[i].len == 0) {
            (void)load(f, file, f->fd[i].mem, sizeof f->fd[i].mem, &f->fd[i].len);
        }
        src = f->fd[i].mem;
        len = f->fd[i].len;
    }
    size_t n = len - f->fd[i].at < cap ? len - f->fd[i].at : cap;
    n = f->one_byte && n > 1 ? 1 : n;
    memcpy(out, src + f->fd[i].at, n);
    f->fd[i].at += n;
    if (is_out && n == 0 && f->moves_after_read) {
        f->moves_after_read -= f->moves_after_read > 0;
        f->generation++;
    }
    return (long)n;
}

static long
fake_write(void *ctx, int fd, const void *p, size_t n)
{
    struct faketsm *f = ctx;
    size_t i = (size_t)(fd - FD_BASE);
    long r;

    QR_ASSERT(i < 8 && f->fd[i].used);
    if (faulty(f, FAKETSM_WRITE, f->fd[i].file, &r)) {
        return r;
    }
    if (n > 64) {
        return -EFBIG;
    }
    QR_ASSERT(!f->fd[i].wrote); /* one write */
    memcpy(f->fd[i].mem, p, n);
    f->fd[i].len = n;
    f->fd[i].wrote = 1;
    return (long)n;
}

/* A binary attribute is taken when its file is closed. */
static void
commit(struct faketsm *f, int i)
{
    if (strcmp(f->fd[i].file, "privlevel") == 0) {
        f->privlevel = (unsigned)f->fd[i].mem[0] - '0';
        f->generation++;
    } else if (f->ignores_writes) {
        f->ignores_writes -= f->ignores_writes > 0;
    } else {
        memcpy(f->in, f->fd[i].mem, sizeof f->in);
        f->in_len = f->fd[i].len;
        f->generation++;
        if (f->moves_after_write) {
            f->moves_after_write -= f->moves_after_write > 0;
            memset(f->in, 0xee, sizeof f->in);
            f->generation++;
        }
    }
}

static int
fake_close(void *ctx, int fd)
{
    struct faketsm *f = ctx;
    size_t i = (size_t)(fd - FD_BASE);
    long r = 0;

    QR_ASSERT(i < 8 && f->fd[i].used);
    if (f->fd[i].wrote) {
        commit(f, (int)i);
    }
    f->fd[i].used = 0;
    f->open_files--;
    (void)faulty(f, FAKETSM_CLOSE, f->fd[i].file, &r);
    return (int)r;
}

static void *
pointer(uint64_t a)
{
    return (void *)(uintptr_t)a;
}

static int
fake_ioctl(void *ctx, int fd, unsigned long request, void *arg)
{
    struct faketsm *f = ctx;
    struct qr_snp_guest_request *g = arg;
    size_t i = (size_t)(fd - FD_BASE);
    long r;

    QR_ASSERT(i < 8 && f->fd[i].used && strcmp(f->fd[i].file, FAKETSM_SEV) == 0);
    QR_ASSERT(g->msg_version == 1);
    f->ioctls++;
    g->exitinfo2 = f->exitinfo2;
    if (faulty(f, FAKETSM_IOCTL, "", &r)) {
        return (int)r;
    }
    int ext = request == QR_SNP_GET_EXT_REPORT;
    QR_ASSERT(ext || request == QR_SNP_GET_REPORT);
    if (ext && f->no_ext) {
        return -ENOTTY;
    }
    struct qr_snp_ext_report_req *q = pointer(g->req_data);
    uint8_t *resp = pointer(g->resp_data);
    f->aux_len = 0;
    f->out_len = f->make(f->make_ctx, q->data.user_data, f->out, f->aux, &f->aux_len);
    if (ext) {
        QR_ASSERT(q->certs_address % 4096 == 0 && q->certs_len % 4096 == 0);
        uint32_t need = f->certs_needed ? f->certs_needed : (uint32_t)f->aux_len;
        if (need > q->certs_len || f->certs_needed == 1) {
            q->certs_len = need;
            return -ENOSPC;
        }
        memcpy(pointer(q->certs_address), f->aux, f->aux_len);
    }
    uint32_t size = f->sev_size ? f->sev_size : (uint32_t)f->out_len;
    memset(resp, 0, 32);
    for (unsigned k = 0; k < 4; k++) {
        resp[k] = (uint8_t)(f->sev_status >> (8 * k));
        resp[4 + k] = (uint8_t)(size >> (8 * k));
    }
    memcpy(resp + 32, f->out, f->out_len < 4000 - 32 ? f->out_len : 4000 - 32);
    f->n_reports++;
    return 0;
}

static int
fake_mkdir(void *ctx, const char *path)
{
    struct faketsm *f = ctx;
    long r;

    if (faulty(f, FAKETSM_MKDIR, path, &r)) {
        return (int)r;
    }
    if (f->no_root) {
        return -ENOENT;
    }
    if (!f->provider) {
        return -ENXIO;
    }
    const char *name = strrchr(path, '/') + 1;
    if (is_entry(f, name)) {
        return -EEXIST;
    }
    for (unsigned i = 0; i < 4; i++) {
        if (!f->entry[i][0]) {
            (void)snprintf(f->entry[i], sizeof f->entry[i], "%s", name);
            f->n_entries++;
            f->n_mkdir++;
            return 0;
        }
    }
    return -ENOSPC;
}

static int
fake_rmdir(void *ctx, const char *path)
{
    struct faketsm *f = ctx;
    const char *name = strrchr(path, '/') + 1;
    for (unsigned i = 0; i < 4; i++) {
        if (f->entry[i][0] && strcmp(f->entry[i], name) == 0) {
            f->entry[i][0] = '\0';
            f->n_entries--;
            f->n_rmdir++;
            return 0;
        }
    }
    return -ENOENT;
}

static int
fake_list(void *ctx, const char *path, void (*each)(void *to, const char *name), void *to)
{
    struct faketsm *f = ctx;
    char names[4][48];

    (void)path;
    if (f->no_root) {
        return -ENOENT;
    }
    memcpy(names, f->entry, sizeof names);
    for (unsigned i = 0; i < 4; i++) {
        if (names[i][0]) {
            each(to, names[i]);
        }
    }
    return 0;
}

static int
fake_alive(void *ctx, long pid)
{
    return pid != ((struct faketsm *)ctx)->dead_pid;
}

static uint64_t
fake_now(void *ctx)
{
    return ((struct faketsm *)ctx)->now_ms;
}

static void
fake_sleep(void *ctx, unsigned ms)
{
    struct faketsm *f = ctx;
    f->now_ms += ms;
    f->sleeps++;
}

static size_t
plain(void *ctx, const uint8_t data[64], uint8_t *out, uint8_t *aux, size_t *aux_len)
{
    (void)ctx;
    memcpy(out, "report over ", 12);
    memcpy(out + 12, data, 64);
    memset(out + 76, 0x5a, 20);
    memcpy(aux, "certificates", 12);
    *aux_len = 12;
    return 96;
}

void
faketsm_init(struct faketsm *f)
{
    memset(f, 0, sizeof *f);
    f->sys = (struct qr_sys){f,          fake_open,  fake_read, fake_write, fake_close, fake_ioctl,
                             fake_mkdir, fake_rmdir, fake_list, fake_alive, fake_now,   fake_sleep};
    f->make = plain;
    f->provider = "sev_guest";
    f->privlevel_floor = 0;
    f->out_generation = (unsigned long)-1;
    f->dead_pid = -1;
}

void
faketsm_fail(struct faketsm *f, enum faketsm_call call, const char *file, long result, int times)
{
    QR_ASSERT(f->n_faults < FAKETSM_FAULTS);
    f->fault[f->n_faults++] = (struct faketsm_fault){call, file, result, times, 0};
}
