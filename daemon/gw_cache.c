#include "daemon/gw_cache.h"

#include "daemon/log.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "QRCOLL1\n"
#define MAGIC_LEN 8u

qr_err
qr_cache_check(const char *dir, char *err_text, size_t err_cap)
{
    struct stat st;
    if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode)) {
        (void)snprintf(err_text, err_cap,
                       "the collateral cache %s is no folder: create it, or leave the key empty",
                       dir);
        return QR_ERR_NOT_FOUND;
    }
    if (access(dir, W_OK | X_OK) != 0) {
        (void)snprintf(err_text, err_cap, "the collateral cache %s cannot be written to: %s", dir,
                       strerror(errno));
        return QR_ERR_PERMISSIONS;
    }
    return QR_OK;
}

/* 1: the path fits. */
static int
name_of(const char *dir, const char *url, const char *end, char *out, size_t cap)
{
    uint8_t hash[32];
    char hex[65];
    qr_sha256(qr_view_str(url), hash);
    qr_hex_encode(qr_view_of(hash, sizeof hash), hex);
    return (size_t)snprintf(out, cap, "%s/%s%s", dir, hex, end) < cap;
}

static int
write_all(int fd, qr_view v)
{
    while (v.len > 0) {
        ssize_t n = write(fd, v.p, v.len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return 0;
        }
        v = qr_view_of(v.p + n, v.len - (size_t)n);
    }
    return 1;
}

void
qr_cache_put(const char *dir, const char *url, qr_view header, qr_view body)
{
    char path[512], beside[512];
    uint8_t len[4];

    if (!name_of(dir, url, "", path, sizeof path) ||
        !name_of(dir, url, ".new", beside, sizeof beside)) {
        return;
    }
    qr_put32(len, (uint32_t)header.len);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    int ok = fd >= 0 && write_all(fd, qr_view_str(MAGIC)) && write_all(fd, qr_view_str(url)) &&
             write_all(fd, qr_view_str("\n")) && write_all(fd, qr_view_of(len, 4)) &&
             write_all(fd, header) && write_all(fd, body) && fsync(fd) == 0;
    int why = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (!ok || rename(beside, path) != 0) {
        qr_log(QR_LOG_WARN, "collateral", "cache_write",
               "a document cannot be kept on disk; it is in use all the same",
               QR_LOG_STR("folder", dir), QR_LOG_STR("why", strerror(ok ? errno : why)),
               QR_LOG_END);
        (void)unlink(beside);
    }
}

static qr_err
read_all(const char *path, struct qr_dbuf *mem)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    qr_err e = fd < 0 ? QR_ERR_NOT_FOUND : QR_OK;

    while (e == QR_OK) {
        uint8_t part[4096];
        ssize_t n = read(fd, part, sizeof part);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            e = n < 0 ? QR_ERR_NOT_FOUND : QR_OK;
            break;
        }
        e = qr_dbuf_append(mem, part, (size_t)n);
    }
    if (fd >= 0) {
        close(fd);
    }
    return e;
}

qr_err
qr_cache_get(const char *dir, const char *url, struct qr_dbuf *mem, qr_view *ret_header,
             qr_view *ret_body)
{
    char path[512];
    size_t u = strlen(url), head = MAGIC_LEN + u + 1 + 4;

    if (!name_of(dir, url, "", path, sizeof path)) {
        return QR_ERR_NOT_FOUND;
    }
    QR_TRY(read_all(path, mem));
    if (mem->len < head || memcmp(mem->p, MAGIC, MAGIC_LEN) != 0 ||
        memcmp(mem->p + MAGIC_LEN, url, u) != 0 || mem->p[MAGIC_LEN + u] != '\n') {
        return QR_ERR_NOT_FOUND;
    }
    uint32_t n = qr_get32(mem->p + head - 4);
    if (n > mem->len - head) {
        return QR_ERR_NOT_FOUND;
    }
    *ret_header = qr_view_of(mem->p + head, n);
    *ret_body = qr_view_of(mem->p + head + n, mem->len - head - n);
    return QR_OK;
}
