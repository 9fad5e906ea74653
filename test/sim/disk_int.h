/*
 * disk_int: what disk.c (files, changes, faults) offers disk_vfs.c (SQLite's and the system's face).
 *
 * Rules: not for users of disk.h. Pointers to files hold until sim_disk_reset; a slot belongs to one
 *        name for good.
 */
#ifndef TEST_SIM_DISK_INT_H
#define TEST_SIM_DISK_INT_H

#include "test/sim/disk.h"

#define DISK_FILES 4u /* the store, its log, its journal, one more */
#define DISK_NAME_MAX 32u

struct disk_bytes {
    uint8_t *p;
    size_t len, cap;
};

struct disk_op; /* a change that is not durable */

struct disk_file {
    char name[DISK_NAME_MAX]; /* "" is a free slot */
    int there, durable;       /* its name, as the process sees it and on the device */
    struct disk_bytes now, synced;
    struct disk_op *first, *last;
    size_t pending; /* bytes in the list */
};

struct disk_host {
    struct disk_file f[DISK_FILES];
    uint64_t changes, fault_at, struck;
    uint64_t life; /* raised by a crash: handles of an older life are dead */
    enum sim_disk_fault fault;
    int cut;
    int last_errno;
};

/* What is asked of the device. */
enum disk_kind { DISK_WRITE, DISK_TRUNCATE, DISK_SYNC, DISK_CREATE, DISK_REMOVE };
enum disk_answer { DISK_GO, DISK_HALF, DISK_EIO, DISK_ENOSPC, DISK_EROFS };

struct disk_host *disk_host(unsigned host);
/* The file of that name; make: takes a slot for it, NULL when there is none left. */
struct disk_file *disk_file(struct disk_host *h, const char *name, int make);
/* Counts, asks the callback, looks at the fault. Not DISK_GO or DISK_HALF: nothing may be done. */
enum disk_answer disk_change(unsigned host, enum disk_kind kind);
/* 1: files open for reading only. */
int disk_readonly(const struct disk_host *h);

void disk_create(struct disk_file *f);
void disk_write(struct disk_file *f, const void *p, size_t n, size_t at);
void disk_truncate(struct disk_file *f, size_t size);
void disk_remove(struct disk_file *f);
/* The content; half: the older half of the changes only. */
void disk_sync(struct disk_file *f, int half);
/* All names of the host. */
void disk_sync_names(struct disk_host *h);

/* disk_vfs.c */
void disk_vfs_register(uint64_t seed);
void disk_vfs_unregister(void);
/* Handles open in any life; a run may not end with one. */
unsigned disk_vfs_handles(void);

#endif
