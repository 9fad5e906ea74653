#include "daemon/client/client.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Nobody is asked for a passphrase. */
static int
no_passphrase(char *buf, int size, int rwflag, void *u)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)u;
    return -1;
}

qr_err
qr_client_key_file(const char *path, struct evp_pkey_st **ret, char *why, size_t cap)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) != 0) {
        int err = errno;
        if (fd >= 0) {
            close(fd);
        }
        snprintf(why, cap, "%s: %s", path, strerror(err));
        return QR_ERR_CONFIG;
    }
    if ((st.st_mode & 077) != 0) {
        close(fd);
        snprintf(why, cap, "%s: mode %04o lets others use this private key; chmod 0600 it", path,
                 (unsigned)st.st_mode & 07777u);
        return QR_ERR_PERMISSIONS;
    }
    FILE *f = fdopen(fd, "r");
    if (!f) {
        snprintf(why, cap, "%s: %s", path, strerror(errno));
        close(fd);
        return QR_ERR_CONFIG;
    }
    EVP_PKEY *k = PEM_read_PrivateKey(f, NULL, no_passphrase, NULL);
    fclose(f);
    if (!k) {
        snprintf(why, cap, "%s holds no unencrypted PEM private key; make one with quorate key new",
                 path);
        return QR_ERR_CONFIG;
    }
    *ret = k;
    return QR_OK;
}
