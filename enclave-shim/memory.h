/*
 * qr_memory: can this process keep its secrets in memory?
 *
 * What: no swap on the machine, and as much memory that may be locked as a party needs.
 * Why: locked memory is not written to swap, but buffers of libraries, and what the kernel copies, are not
 *      locked. In a TEE, swap is a disk of the host's: so an image has none, and a party that finds some
 *      stops. On a laptop (software TEE) the same sentence is a warning.
 * Invariants: nothing stays locked or mapped after the check.
 * Thread rules: no state; before the filter of system calls.
 */
#ifndef QR_MEMORY_H
#define QR_MEMORY_H

#include "protocol/base/err.h"

#include <stddef.h>

#define QR_MEMORY_SWAPS "/proc/swaps"

/*
 * The first area in a text of /proc/swaps' form, into name (cut at cap); 1: there is one. A text that is
 * none of that form counts as one: its name says so.
 */
int qr_memory_first_swap(const char *text, char *name, size_t cap);

/*
 * swaps: QR_MEMORY_SWAPS. Where there is no such file (a kernel without swap, a /proc that shows
 * processes only), the kernel's total counts. locked: bytes that
 * must be lockable. PLATFORM with err_text: what, how much, what to do.
 */
qr_err QR_MUST qr_memory_check(const char *swaps, size_t locked, char *err_text, size_t err_cap);

#endif
