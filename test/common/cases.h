/*
 * cases: real evidence, one folder a case, for tests and benches.
 *
 * What: the folders <platform>/<sample>/ with a case.json under $QUORATE_EVIDENCE (default
 *       ../shared/evidence, as seen from the repository's root), sorted.
 * Why: they are other people's machines' output and are not committed. A run without them must say
 *      so, and where they were promised (the variable is set) it must fail: test/run sees to it by the
 *      line `real cases: N` that a test prints.
 * Rules: what cannot be read is not a case; nothing here fails a test.
 */
#ifndef TEST_CASES_H
#define TEST_CASES_H

#include <jansson.h>

#define CASES_MAX 512u

struct a_case {
    char dir[512];  /* its folder */
    char name[160]; /* "platform/sample" */
    json_t *json;   /* of case.json */
};

struct cases {
    size_t n;
    struct a_case v[CASES_MAX];
};

/* The folder all cases lie in. */
const char *cases_root(void);
/* Never NULL; freed with cases_free. */
struct cases *cases_open(void);
void cases_free(struct cases *c);

#endif
