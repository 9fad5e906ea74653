/*
 * fakeparty: the party's end of the boundary, in a thread of the test.
 *
 * What: listens on a Unix socket, decodes asks, and hands each to the test's function, which answers
 *       well, badly, late or not at all.
 * Why: gateways and clients must be right whatever the other side does.
 * Thread rules: on_ask runs in the fake's thread; what it shares with the test is the test's care.
 */
#ifndef TEST_FAKEPARTY_H
#define TEST_FAKEPARTY_H

#include "proto/boundary.h"

struct fakeparty;

struct fakeparty *fakeparty_start(const char *path,
                                  void (*on_ask)(void *ctx, struct fakeparty *f,
                                                 const struct qr_ask *ask),
                                  void *ctx);
/* Closes everything and joins. Returns NULL. */
struct fakeparty *fakeparty_stop(struct fakeparty *f);

/* From inside on_ask only: */
void fakeparty_answer(struct fakeparty *f, const struct qr_answer *a);
void fakeparty_raw(struct fakeparty *f, const void *p, size_t n);
/* After what was written so far, close this connection. */
void fakeparty_hang_up(struct fakeparty *f);

/* Asks seen (but NEEDS: nothing, which is answered here) and connections accepted so far. */
unsigned fakeparty_asks(const struct fakeparty *f);
unsigned fakeparty_connections(const struct fakeparty *f);

#endif
