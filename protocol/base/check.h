/*
 * QR_ASSERT: for our own bugs only, never for input. Kept in release builds: it wipes the secret
 * memory (through the hook that locked.c installs) and aborts.
 *
 * QR_VERIFY: the same for invariants that are too hot or too secret to look at in a release build;
 * only `make CONF=verify` compiles it. It may branch on secrets, so that build is for tests.
 */
#ifndef QR_CHECK_H
#define QR_CHECK_H

/* Called once before abort(); locked.c points it at the wiping of all locked memory. */
extern void (*qr_panic_hook)(void);

_Noreturn void qr_panic(const char *file, int line, const char *what);

#define QR_ASSERT(cond) ((cond) ? (void)0 : qr_panic(__FILE__, __LINE__, #cond))

#ifdef QR_VERIFY_BUILD
#define QR_VERIFY(cond) QR_ASSERT(cond)
#else
#define QR_VERIFY(cond) ((void)0)
#endif

#endif
