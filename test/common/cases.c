#include "test/common/cases.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *
cases_root(void)
{
    const char *root = getenv("QUORATE_EVIDENCE");
    return root && *root ? root : "../shared/evidence";
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(((const struct a_case *)a)->name, ((const struct a_case *)b)->name);
}

static void
add(struct cases *c, const char *platform, const char *sample)
{
    char path[640];
    json_error_t err;
    struct a_case *one = &c->v[c->n];

    if (c->n == CASES_MAX || sample[0] == '.' ||
        (size_t)snprintf(one->dir, sizeof one->dir, "%s/%s/%s", cases_root(), platform, sample) >=
            sizeof one->dir ||
        (size_t)snprintf(one->name, sizeof one->name, "%s/%s", platform, sample) >=
            sizeof one->name) {
        return;
    }
    snprintf(path, sizeof path, "%s/case.json", one->dir);
    one->json = json_load_file(path, 0, &err);
    c->n += one->json != NULL;
}

static void
add_platform(struct cases *c, const char *platform)
{
    char path[512];

    snprintf(path, sizeof path, "%s/%s", cases_root(), platform);
    DIR *d = platform[0] == '.' ? NULL : opendir(path);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        add(c, platform, e->d_name);
    }
    if (d) {
        closedir(d);
    }
}

struct cases *
cases_open(void)
{
    struct cases *c = calloc(1, sizeof *c);
    DIR *d = opendir(cases_root());

    if (!c) {
        abort();
    }
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        add_platform(c, e->d_name);
    }
    if (d) {
        closedir(d);
    }
    qsort(c->v, c->n, sizeof c->v[0], by_name);
    return c;
}

void
cases_free(struct cases *c)
{
    for (size_t i = 0; c && i < c->n; i++) {
        json_decref(c->v[i].json);
    }
    free(c);
}
