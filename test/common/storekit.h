/*
 * storekit: a store in a folder of its own, over a software platform whose key lies in another.
 *
 * Rules: for cmocka tests: what cannot be done fails the running test. Syncs are left out through
 *        faultvfs until a test calls faultvfs_stop(); storekit_restore() is for tests that change
 *        modes or owners.
 */
#ifndef TEST_STOREKIT_H
#define TEST_STOREKIT_H

#include "daemon/store.h"
#include "test/common/tmpdir.h"

struct storekit {
    struct tmpdir dir, keys; /* the store's, the platform's */
    struct qr_tee tee;
    char why[512], path[256];
};
extern struct storekit kit;

/* Group fixtures, and a test's teardown that puts modes and owners right and removes the store. */
int storekit_setup(void **state);
int storekit_teardown(void **state);
int storekit_restore(void **state);

/* Removes the store's files. */
void kit_wipe(void);
/* Opens; the explanation goes to kit.why. */
qr_err kit_try_open(struct qr_store **ret);
struct qr_store *kit_open(int want_fresh);
void kit_put(struct qr_store *s, enum qr_table t, const char *name, const char *value);
/* value NULL: there must be no such record. */
void kit_expect(struct qr_store *s, enum qr_table t, const char *name, const char *value);

/*
 * A store with key/a (1), key/b (2), meta/m (3), peer/2 and peer/3; kit_victim_grows() makes a new
 * key/a (4) and peer/2.
 */
void kit_victim(void);
void kit_victim_grows(void);
/* The first column of a query, as an SQL literal. */
void kit_literal(const char *query, char *out, size_t cap);
/* SQL from outside, on the closed store. */
void kit_sql(const char *text);

#endif
