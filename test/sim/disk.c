/*
 * The model: files, the changes between what is seen and what is durable, crashes and faults.
 *
 * `now` is the process' view. `synced` and `durable` are the device's, and the list holds, in order,
 * what would turn the second into the first. Applying a part of the list to the second is a crash.
 */
#include "test/sim/disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/sim/disk_int.h"

enum op_kind { OP_CREATE, OP_NAME, OP_REMOVE, OP_WRITE, OP_TRUNCATE };

struct disk_op {
    struct disk_op *next;
    enum op_kind kind;
    size_t at, n; /* OP_TRUNCATE: at is the size */
    uint8_t data[];
};

struct sim_disk_image {
    struct {
        char name[DISK_NAME_MAX];
        struct disk_bytes b;
    } f[DISK_FILES];
};

static struct disk_host hosts[SIM_DISKS];
static char paths[SIM_DISKS][32];
static void (*on_change)(void *ctx, unsigned host, uint64_t change_no);
static void *on_change_ctx;

static void
die(const char *what)
{
    (void)fprintf(stderr, "sim disk: %s\n", what);
    abort();
}

/* Bytes. */

static void
bytes_resize(struct disk_bytes *b, size_t len)
{
    if (len > b->cap) {
        size_t cap = b->cap ? b->cap : 8192;
        while (cap < len) {
            cap *= 2;
        }
        b->p = realloc(b->p, cap);
        if (!b->p) {
            die("out of memory");
        }
        b->cap = cap;
    }
    if (len > b->len) {
        memset(b->p + b->len, 0, len - b->len);
    }
    b->len = len;
}

static void
bytes_put(struct disk_bytes *b, const void *p, size_t n, size_t at)
{
    if (at + n > b->len) {
        bytes_resize(b, at + n);
    }
    if (n > 0) {
        memcpy(b->p + at, p, n);
    }
}

static void
bytes_copy(struct disk_bytes *to, const struct disk_bytes *from)
{
    to->len = 0;
    bytes_put(to, from->p, from->len, 0);
}

static void
bytes_free(struct disk_bytes *b)
{
    free(b->p);
    *b = (struct disk_bytes){NULL, 0, 0};
}

/* The list. */

static void
op_add(struct disk_file *f, enum op_kind kind, size_t at, const void *p, size_t n)
{
    struct disk_op *o = malloc(sizeof *o + n);
    if (!o) {
        die("out of memory");
    }
    *o = (struct disk_op){.kind = kind, .at = at, .n = n};
    if (n > 0) {
        memcpy(o->data, p, n);
    }
    *(f->last ? &f->last->next : &f->first) = o;
    f->last = o;
    f->pending += sizeof *o + n;
}

static void
op_drop_first(struct disk_file *f)
{
    struct disk_op *o = f->first;
    f->first = o->next;
    f->last = f->first ? f->last : NULL;
    f->pending -= sizeof *o + o->n;
    free(o);
}

static void
op_drop_all(struct disk_file *f)
{
    while (f->first) {
        op_drop_first(f);
    }
}

/* To the device; n of an OP_WRITE's bytes. */
static void
op_apply(struct disk_file *f, const struct disk_op *o, size_t n)
{
    switch (o->kind) {
    case OP_CREATE:
        f->durable = 1;
        f->synced.len = 0;
        break;
    case OP_NAME:
        f->durable = 1;
        break;
    case OP_REMOVE:
        f->durable = 0;
        f->synced.len = 0;
        break;
    case OP_WRITE:
        bytes_put(&f->synced, o->data, n, o->at);
        break;
    case OP_TRUNCATE:
        bytes_resize(&f->synced, o->at);
        break;
    }
}

/* Changes, as the process makes them. */

void
disk_create(struct disk_file *f)
{
    op_add(f, OP_CREATE, 0, NULL, 0);
    f->there = 1;
    f->now.len = 0;
}

void
disk_write(struct disk_file *f, const void *p, size_t n, size_t at)
{
    op_add(f, OP_WRITE, at, p, n);
    bytes_put(&f->now, p, n, at);
}

void
disk_truncate(struct disk_file *f, size_t size)
{
    op_add(f, OP_TRUNCATE, size, NULL, 0);
    bytes_resize(&f->now, size);
}

void
disk_remove(struct disk_file *f)
{
    op_add(f, OP_REMOVE, 0, NULL, 0);
    f->there = 0;
    f->now.len = 0;
}

void
disk_sync(struct disk_file *f, int half)
{
    int durable = f->durable;
    size_t n = 0, left = 0;

    for (const struct disk_op *o = f->first; o; o = o->next) {
        n++;
    }
    for (left = half ? n - n / 2 : 0; n > left; n--) {
        op_apply(f, f->first, f->first->n);
        op_drop_first(f);
    }
    if (!durable && f->durable) { /* the content is safe, its name is the directory's business */
        f->durable = 0;
        op_add(f, OP_NAME, 0, NULL, 0);
    }
}

/* What was before a file's last creation or removal is another file's, which nothing names now. */
void
disk_sync_names(struct disk_host *h)
{
    for (size_t i = 0; i < DISK_FILES; i++) {
        struct disk_file *f = &h->f[i];
        size_t at = 0, n = 0;
        for (const struct disk_op *o = f->first; o; o = o->next) {
            at++;
            n = o->kind == OP_CREATE || o->kind == OP_REMOVE || o->kind == OP_NAME ? at : n;
        }
        for (; n > 0; n--) {
            op_apply(f, f->first, f->first->n);
            op_drop_first(f);
        }
    }
}

/* Faults. */

static int
in_force(const struct disk_host *h, uint64_t change)
{
    return h->fault != SIM_DISK_NONE && change >= h->fault_at;
}

int
disk_readonly(const struct disk_host *h)
{
    return h->fault == SIM_DISK_READONLY && in_force(h, h->changes + 1);
}

static enum disk_answer
strike(struct disk_host *h, enum disk_kind kind)
{
    switch (h->fault) {
    case SIM_DISK_REFUSE:
        h->fault = SIM_DISK_NONE;
        return DISK_EIO;
    case SIM_DISK_FULL:
        return kind == DISK_WRITE || kind == DISK_CREATE ? DISK_ENOSPC : DISK_GO;
    case SIM_DISK_READONLY:
        return DISK_EROFS;
    case SIM_DISK_TORN:
        h->fault = SIM_DISK_NONE;
        h->cut = 1;
        return DISK_HALF;
    case SIM_DISK_NONE:
        break;
    }
    return DISK_GO;
}

enum disk_answer
disk_change(unsigned host, enum disk_kind kind)
{
    struct disk_host *h = disk_host(host);
    enum disk_answer a = DISK_GO;

    if (h->cut) {
        return DISK_EIO;
    }
    h->changes++;
    if (on_change) {
        on_change(on_change_ctx, host, h->changes);
    }
    if (h->cut) {
        return DISK_EIO;
    }
    if (in_force(h, h->changes)) {
        a = strike(h, kind);
        h->struck += a != DISK_GO;
    }
    return a;
}

/* Crashes. */

static uint64_t
next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static size_t
count_writes(const struct disk_host *h)
{
    size_t n = 0;
    for (size_t i = 0; i < DISK_FILES; i++) {
        for (const struct disk_op *o = h->f[i].first; o; o = o->next) {
            n += o->kind == OP_WRITE && o->n > 1;
        }
    }
    return n;
}

/* Each change is kept or not, for itself; the torn one is kept in part. */
static void
keep_some(struct disk_host *h, uint64_t seed)
{
    size_t writes = count_writes(h), at = 0;
    size_t torn = writes ? (size_t)(next_random(&seed) % writes) : 0;

    for (size_t i = 0; i < DISK_FILES; i++) {
        struct disk_file *f = &h->f[i];
        int unnamed = 0; /* its creation was lost, and all that was written to it */
        for (; f->first; op_drop_first(f)) {
            const struct disk_op *o = f->first;
            uint64_t r = next_random(&seed);
            int keep = (int)(r & 1), is_torn = 0;
            if (o->kind == OP_WRITE && o->n > 1) {
                is_torn = at++ == torn;
            }
            if (o->kind == OP_CREATE) {
                unnamed = !keep;
            }
            if ((keep || is_torn) && !unnamed) {
                op_apply(f, o, is_torn ? 1 + (size_t)(r >> 1) % (o->n - 1) : o->n);
            }
        }
    }
}

static void
revive(struct disk_host *h)
{
    h->life++;
    h->fault = SIM_DISK_NONE;
    h->cut = 0;
    h->last_errno = 0;
}

void
sim_disk_crash(unsigned host, uint64_t seed, enum sim_disk_crash mode)
{
    struct disk_host *h = disk_host(host);

    revive(h);
    if (mode == SIM_DISK_KEEP) {
        return;
    }
    if (mode == SIM_DISK_SOME) {
        keep_some(h, seed);
    }
    for (size_t i = 0; i < DISK_FILES; i++) {
        struct disk_file *f = &h->f[i];
        op_drop_all(f);
        f->there = f->durable;
        if (!f->durable) {
            f->synced.len = 0;
        }
        bytes_copy(&f->now, &f->synced);
    }
}

void
sim_disk_cut(unsigned host)
{
    disk_host(host)->cut = 1;
}

int
sim_disk_is_cut(unsigned host)
{
    return disk_host(host)->cut;
}

/* Images. */

struct sim_disk_image *
sim_disk_snapshot(unsigned host)
{
    const struct disk_host *h = disk_host(host);
    struct sim_disk_image *image = calloc(1, sizeof *image);

    if (!image) {
        die("out of memory");
    }
    for (size_t i = 0; i < DISK_FILES; i++) {
        if (h->f[i].there) {
            memcpy(image->f[i].name, h->f[i].name, DISK_NAME_MAX);
            bytes_copy(&image->f[i].b, &h->f[i].now);
        }
    }
    return image;
}

void
sim_disk_restore(unsigned host, const struct sim_disk_image *image)
{
    struct disk_host *h = disk_host(host);

    revive(h);
    for (size_t i = 0; i < DISK_FILES; i++) {
        op_drop_all(&h->f[i]);
        h->f[i].there = h->f[i].durable = 0;
        h->f[i].now.len = h->f[i].synced.len = 0;
    }
    for (size_t i = 0; i < DISK_FILES; i++) {
        if (image->f[i].name[0]) {
            struct disk_file *f = disk_file(h, image->f[i].name, 1);
            if (!f) {
                die("too many files");
            }
            f->there = f->durable = 1;
            bytes_copy(&f->now, &image->f[i].b);
            bytes_copy(&f->synced, &image->f[i].b);
        }
    }
}

void
sim_disk_image_free(struct sim_disk_image *image)
{
    for (size_t i = 0; image && i < DISK_FILES; i++) {
        bytes_free(&image->f[i].b);
    }
    free(image);
}

/* The rest. */

struct disk_host *
disk_host(unsigned host)
{
    if (host >= SIM_DISKS) {
        die("no such host");
    }
    return &hosts[host];
}

struct disk_file *
disk_file(struct disk_host *h, const char *name, int make)
{
    struct disk_file *found = NULL;

    for (size_t i = 0; i < DISK_FILES; i++) {
        struct disk_file *f = &h->f[i];
        if (strcmp(f->name, name) == 0) {
            return f;
        }
        if (make && !found && !f->name[0]) {
            found = f;
        }
    }
    if (found && strlen(name) < DISK_NAME_MAX) {
        memcpy(found->name, name, strlen(name) + 1);
        return found;
    }
    return NULL;
}

static void
wipe(void)
{
    if (disk_vfs_handles() != 0) {
        die("a store is still open");
    }
    for (size_t i = 0; i < SIM_DISKS; i++) {
        for (size_t k = 0; k < DISK_FILES; k++) {
            op_drop_all(&hosts[i].f[k]);
            bytes_free(&hosts[i].f[k].now);
            bytes_free(&hosts[i].f[k].synced);
        }
        hosts[i] = (struct disk_host){.changes = 0};
    }
    on_change = NULL;
    on_change_ctx = NULL;
}

void
sim_disk_init(uint64_t seed)
{
    wipe();
    disk_vfs_register(seed);
}

void
sim_disk_reset(void)
{
    wipe();
    disk_vfs_unregister();
}

const char *
sim_disk_path(unsigned host)
{
    (void)disk_host(host);
    (void)snprintf(paths[host], sizeof paths[host], "/sim-disk/%02u/store.db", host);
    return paths[host];
}

void
sim_disk_fault(unsigned host, enum sim_disk_fault what, uint64_t after_changes)
{
    struct disk_host *h = disk_host(host);
    h->fault = what;
    h->fault_at = h->changes + 1 + after_changes;
}

uint64_t
sim_disk_struck(unsigned host)
{
    return disk_host(host)->struck;
}

void
sim_disk_on_change(void (*fn)(void *ctx, unsigned host, uint64_t change_no), void *ctx)
{
    on_change = fn;
    on_change_ctx = ctx;
}

uint64_t
sim_disk_changes(unsigned host)
{
    return disk_host(host)->changes;
}

size_t
sim_disk_bytes(unsigned host)
{
    const struct disk_host *h = disk_host(host);
    size_t n = 0;
    for (size_t i = 0; i < DISK_FILES; i++) {
        n += h->f[i].now.cap + h->f[i].synced.cap + h->f[i].pending;
    }
    return n;
}
