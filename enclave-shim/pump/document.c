/*
 * The document that quorate-init asks its parent for: the file as it is when somebody connects, then the
 * end. It fits the socket's buffer, so nothing waits.
 */
#include "enclave-shim/pump/pump_int.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOG_NS UINT64_C(1000000000)

static const char *
give(const char *path, int to)
{
    static uint8_t text[QR_PUMP_DOCUMENT_MAX + 1];
    size_t n = 0;
    ssize_t r = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) {
        return strerror(errno);
    }
    while (n < sizeof text && (r = read(fd, text + n, sizeof text - n)) > 0) {
        n += (size_t)r;
    }
    (void)close(fd);
    if (r < 0 || n == 0 || n == sizeof text) {
        return "cannot be read, is empty, or has more than 65536 bytes";
    }
    for (size_t at = 0; at < n;) { /* pieces, as on a trunk */
        size_t piece = n - at > QR_PUMP_WRITE ? QR_PUMP_WRITE : n - at;
        ssize_t w = send(to, text + at, piece, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (w <= 0) {
            return "the enclave did not take it";
        }
        at += (size_t)w;
    }
    return NULL;
}

void
qr_document_accept(struct qr_pump *p)
{
    int fd = qr_endpoint_accept(&p->c.document.at, p->document);

    if (fd < 0) {
        return;
    }
    const char *why = give(p->c.document.file, fd);
    (void)close(fd);
    if (!p->document_told || p->now - p->document_told >= LOG_NS) {
        p->document_told = p->now;
        qr_pump_say(p, why ? QR_PUMP_WARN : QR_PUMP_INFO, "document", "%s: %s", p->c.document.file,
                    why ? why : "given to the enclave");
    }
}
