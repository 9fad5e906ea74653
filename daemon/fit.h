/*
 * qr_fit: does a configuration fit the platform it names?
 *
 * What: each line of a platform's profile (enclave-shim/tee.h) against the keys that depend on it.
 * Why: a party that listens where no network is, or keeps its store where nothing survives, would start
 *      and fail later, with shares in it. It is refused before anything is opened, and the key is named.
 * Invariant: only refuses; nothing is adjusted on the quiet.
 */
#ifndef QR_FIT_H
#define QR_FIT_H

#include "daemon/config.h"
#include "enclave-shim/tee.h"

/* Before the platform is opened. CONFIG; err_text: "[section] key: what, why, what to do". */
qr_err QR_MUST qr_fit_before(const struct qr_config_party *c, const struct qr_tee_profile *p,
                             char *err_text, size_t err_cap);
/*
 * Once it is open, and its profile says what it found: a platform that keeps no secrets between starts
 * may not leave a store behind that nothing can open. in_memory: state_dir is a file system in memory.
 * The software TEE keeps its key in a file, and is asked nothing.
 */
qr_err QR_MUST qr_fit_after(const struct qr_config_party *c, const struct qr_tee *t, int in_memory,
                            char *err_text, size_t err_cap);
/* 1: dir is on tmpfs or ramfs. */
int qr_fit_in_memory(const char *dir);

#endif
