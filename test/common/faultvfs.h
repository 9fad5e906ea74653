/*
 * faultvfs: SQLite on a device that fails, stops, or loses what was not synced.
 *
 * What: becomes SQLite's default file system. Every change of a file (write, sync, truncate,
 *       creation, removal) has a number; at number `at` the planned fault happens. Real syncs are
 *       left out, because only this process looks at the files and it is killed, not the kernel.
 * Rules: one plan at a time; not thread safe; tests only.
 */
#ifndef TEST_FAULTVFS_H
#define TEST_FAULTVFS_H

enum fault {
    FAULT_NONE,
    FAULT_ONCE,        /* this one fails with rc, later ones do not */
    FAULT_FROM_NOW_ON, /* this one and all later ones fail */
    FAULT_KILL,        /* the process ends before the change */
    FAULT_TORN,        /* the process ends after half of the change */
    FAULT_POWER,       /* all that was not synced is undone, then the process ends */
    FAULT_POWER_SOME,  /* a part of it is undone, chosen by `seed` */
};

struct fault_plan {
    enum fault what;
    long at; /* from 1 */
    int rc;  /* SQLITE_IOERR_WRITE, SQLITE_FULL, … */
    unsigned seed;
};

#define FAULT_EXIT 99 /* the exit status of a process that a fault ended */

/* Registers the file system and starts counting from zero. */
void faultvfs_start(const struct fault_plan *plan);
/* Changes seen so far. */
long faultvfs_count(void);
/* SQLite's own file system is the default again. */
void faultvfs_stop(void);

#endif
