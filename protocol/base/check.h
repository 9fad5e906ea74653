/*
 * QR_ASSERT: for our own bugs only, never for input. Kept in release builds: it wipes the secret
 * memory (through the hook that mem.c installs) and aborts.
 */
#ifndef QR_CHECK_H
#define QR_CHECK_H

/* Called once before abort(); mem.c points it at the wiping of all locked memory. */
extern void (*qr_panic_hook)(void);

_Noreturn void qr_panic(const char *file, int line, const char *what);

#define QR_ASSERT(cond) ((cond) ? (void)0 : qr_panic(__FILE__, __LINE__, #cond))

#endif
