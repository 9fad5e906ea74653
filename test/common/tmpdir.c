#include "test/common/tmpdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void
tmpdir_new(struct tmpdir *d)
{
    (void)snprintf(d->path, sizeof d->path, "/tmp/quorate-test-XXXXXX");
    assert_non_null(mkdtemp(d->path));
    assert_int_equal(chmod(d->path, 0700), 0);
}

void
tmpdir_remove(struct tmpdir *d)
{
    char file[512];
    DIR *h = opendir(d->path);
    if (h) {
        for (struct dirent *e = readdir(h); e; e = readdir(h)) {
            if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
                (void)snprintf(file, sizeof file, "%s/%s", d->path, e->d_name);
                (void)remove(file);
            }
        }
        (void)closedir(h);
        (void)rmdir(d->path);
    }
}

const char *
tmpdir_file(const struct tmpdir *d, const char *name)
{
    static char ring[4][512];
    static unsigned turn;
    char *out = ring[turn++ % 4];
    (void)snprintf(out, sizeof ring[0], "%s/%s", d->path, name);
    return out;
}

size_t
tmpdir_read(const char *path, uint8_t *out, size_t cap)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        fail_msg("%s cannot be read", path);
    }
    size_t n = fread(out, 1, cap, f);
    assert_int_equal(fgetc(f), EOF);
    (void)fclose(f);
    return n;
}

void
tmpdir_write(const char *path, const uint8_t *p, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), (long)n);
    assert_int_equal(close(fd), 0);
}
