/*
 * disk: the disks of a simulated world, in memory, under the product's own store.
 *
 * What: SQLite's default file system, and the system calls that daemon/store_db.c makes, answered
 *       from memory for the paths of sim_disk_path(). SIM_DISKS hosts, each with one disk that can be
 *       cut, refused, filled, rolled back and cloned. A program that uses it is linked with
 *       $(SIM_DISK_WRAP), which routes stat, lstat, open, fchmod, close and fsync through here;
 *       every other path and descriptor goes to the system.
 * Model: a file is what the running process sees (all writes) and what the device surely has
 *       (the writes up to the last sync), with the ordered list of changes between the two. Power
 *       loss keeps any part of that list; the end of a process loses none of it. A file's name is
 *       durable once its directory was synced, as SQLite and the store do it.
 *       Overwriting a part of a page spares the rest of it (SQLITE_IOCAP_POWERSAFE_OVERWRITE), as on
 *       the devices SQLite assumes by default; nothing else is promised.
 * Changes: write, truncation, sync, creation, removal and sync of the directory count, each host for
 *       itself, from 1. Before each of them the callback is asked and then the fault is looked at.
 * Determinism: no clock and no system randomness; equal calls and seeds make equal bytes, but for
 *       what the caller's sealing puts into them.
 * Rules: single-threaded. A host whose power was cut (sim_disk_cut, SIM_DISK_TORN) fails every
 *       operation until sim_disk_crash or sim_disk_restore. These two also make every handle that is
 *       open then a dead one: it fails and changes nothing, so that closing the dead process' store
 *       afterwards is harmless. Crash first, close then, open again last. Do not longjmp out of the
 *       callback: SQLite holds locks of the whole process there; call sim_disk_cut in it.
 */
#ifndef TEST_SIM_DISK_H
#define TEST_SIM_DISK_H

#include <stddef.h>
#include <stdint.h>

#define SIM_DISKS 17u /* hosts 0..16 */

enum sim_disk_fault {
    SIM_DISK_NONE,
    SIM_DISK_REFUSE,   /* one change fails with an error of the device, later ones do not */
    SIM_DISK_FULL,     /* writes and creations fail: no space, until cleared */
    SIM_DISK_READONLY, /* every change fails, files open for reading only, until cleared */
    SIM_DISK_TORN,     /* half of one change is done and told as failed; then the power is off */
};

enum sim_disk_crash {
    SIM_DISK_LOSE, /* power loss: nothing that was not synced is there */
    SIM_DISK_KEEP, /* the process ended: everything is there, still not synced */
    SIM_DISK_SOME, /* power loss: a seeded part is there, one write torn in its middle */
};

struct sim_disk_image;

/* First of all, and again for a new run with another seed; every handle must be closed by then. */
void sim_disk_init(uint64_t seed);
/* Empties all disks, forgets faults and callback. SQLite has its own file system again. */
void sim_disk_reset(void);

/* For qr_store_open; static. host < SIM_DISKS, here and everywhere. */
const char *sim_disk_path(unsigned host);

/* Takes a fault away that is still planned; ends a cut. The seed is for SIM_DISK_SOME. */
void sim_disk_crash(unsigned host, uint64_t seed, enum sim_disk_crash mode);
/* From now on every operation of the host fails. */
void sim_disk_cut(unsigned host);
int sim_disk_is_cut(unsigned host);

/*
 * Everything the process sees on the disk, copied; and put back, on the same host (a rollback) or on
 * another (a clone), all of it durable. The caller frees it; NULL is taken. An image of a disk that
 * was never used is an empty disk.
 */
struct sim_disk_image *sim_disk_snapshot(unsigned host);
void sim_disk_restore(unsigned host, const struct sim_disk_image *image);
void sim_disk_image_free(struct sim_disk_image *image);

/* In force after that many more changes (0: the next one). NONE clears; a new fault replaces the old. */
void sim_disk_fault(unsigned host, enum sim_disk_fault what, uint64_t after_changes);
/* Faults that have struck on this host since sim_disk_init: changes refused or torn. */
uint64_t sim_disk_struck(unsigned host);

/* Before every change; may call sim_disk_cut, _fault. NULL: nobody. */
void sim_disk_on_change(void (*fn)(void *ctx, unsigned host, uint64_t change_no), void *ctx);

/* Changes asked for so far. */
uint64_t sim_disk_changes(unsigned host);
/* Memory held for the host: both views of its files and the changes between. */
size_t sim_disk_bytes(unsigned host);

#endif
