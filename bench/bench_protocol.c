/*
 * The protocol by itself: CPU of one party, bytes of one ordered pair, rounds; in one process.
 *
 *     bench_protocol                      every case, one JSON object a line
 *     bench_protocol CASE                 cases of this name only
 *     bench_protocol --list               the cases
 *     bench_protocol --instructions CASE[/N/T]
 *         does the work of one case once, inside the function bench_measured, for
 *         valgrind --tool=callgrind --toggle-collect=bench_measured; prints what to divide the count
 *         by to get one party and one signature (or one key generation, one pair).
 *
 * CPU is that of all calls made on behalf of one party (thread clock around each call); the worst
 * party counts: for signing that is the one that also combines and verifies. A batch is 16.
 */
#include "bench/bench.h"
#include "test/common/quorum.h"

#define BATCH 16

static const struct shape {
    uint16_t n, t;
} sign_shapes[] = {{2, 2}, {3, 2}, {5, 3}, {7, 5}}, keygen_shapes[] = {{3, 2}, {5, 3}};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
set_of(uint16_t t, uint16_t *S)
{
    for (uint16_t k = 0; k < t; k++)
        S[k] = (uint16_t)(k + 1);
}

/* CPU since the last call, by party, divided; worst of S. */
static void
take_cpu(struct quorum *q, double *ns, double divisor)
{
    for (uint16_t i = 1; i <= q->n; i++) {
        ns[i] = (double)q->party[i].cpu_ns / divisor;
        q->party[i].cpu_ns = 0;
    }
}

static double
worst(const double *ns, uint16_t n)
{
    double w = 0;

    for (uint16_t i = 1; i <= n; i++)
        if (ns[i] > w)
            w = ns[i];
    return w;
}

static struct quorum *
ready_quorum(struct shape s)
{
    struct quorum *q = quorum_new(s.n, s.t, "bench");
    uint16_t S[QR_MAX_PARTIES];

    set_of(s.t, S);
    QR_ASSERT(quorum_pairs(q, S, s.t) == QR_OK && quorum_dkg(q) == QR_OK);
    return q;
}

static void
sign_batch(struct quorum *q, const uint16_t *S)
{
    for (size_t slot = 0; slot < BATCH; slot++) {
        struct quorum_input in = {.digest = {(uint8_t)slot, 1}, .item = (uint16_t)slot};
        uint8_t sig[64];
        uint16_t blame;
        int recid;

        QR_ASSERT(quorum_sign(q, S, q->t, slot, &in, NULL, NULL, sig, &recid, &blame) == QR_OK);
    }
}

static int
wanted(const char *only, const char *name)
{
    return only == NULL || strcmp(only, name) == 0;
}

static void
bench_signing(const char *only, struct shape s)
{
    struct bench_series total = {0}, online = {0}, presign = {0};
    double pre[QUORUM_SLOTS], on[QUORUM_SLOTS], both[QUORUM_SLOTS], ref[3];
    uint16_t S[QR_MAX_PARTIES];
    size_t bytes = 0;

    if (!wanted(only, "cpu_sign_total") && !wanted(only, "cpu_sign_online") &&
        !wanted(only, "cpu_presign") && !wanted(only, "bytes_pair") && !wanted(only, "rounds"))
        return;
    struct quorum *q = ready_quorum(s);
    set_of(s.t, S);
    q->timed = 1;
    /* one run unmeasured: caches, page faults */
    for (int run = -1; run < bench_runs(); run++) {
        memset(q->sent_bytes, 0, sizeof q->sent_bytes);
        memset(q->sent_msgs, 0, sizeof q->sent_msgs);
        take_cpu(q, pre, 1);
        ref[0] = bench_reference_ns();
        QR_ASSERT(quorum_presign(q, S, s.t, BATCH) == QR_OK);
        take_cpu(q, pre, BATCH);
        ref[1] = bench_reference_ns();
        sign_batch(q, S);
        take_cpu(q, on, BATCH);
        ref[2] = bench_reference_ns();
        if (run < 0)
            continue;
        for (uint16_t i = 1; i <= s.n; i++)
            both[i] = pre[i] + on[i];
        bench_add(&presign, worst(pre, s.n), ref[0], ref[1]);
        bench_add(&online, worst(on, s.n), ref[1], ref[2]);
        bench_add(&total, worst(both, s.n), (ref[0] + ref[2]) / 2, ref[1]);
    }
    if (wanted(only, "cpu_sign_total"))
        bench_emit_series("cpu_sign_total", s.n, s.t, &total);
    if (wanted(only, "cpu_sign_online"))
        bench_emit_series("cpu_sign_online", s.n, s.t, &online);
    if (wanted(only, "cpu_presign"))
        bench_emit_series("cpu_presign", s.n, s.t, &presign);

    /* counted by the queue over one batch; the share of the online round is one message to one */
    unsigned rounds = 1;
    for (size_t type = 0; type < COUNT(q->sent_bytes); type++) {
        bytes += q->sent_bytes[type];
        rounds += q->sent_msgs[type] > 0;
    }
    double pairs = (double)s.t * (s.t - 1);
    if (wanted(only, "bytes_pair"))
        bench_emit("bytes_pair", s.n, s.t, (double)bytes / pairs / BATCH + QR_SIGN_SHARE_LEN,
                   "bytes/signature", -1);
    if (wanted(only, "rounds"))
        bench_emit("rounds", s.n, s.t, rounds, "presign+online", -1);
    quorum_free(q);
}

static void
bench_keygen(const char *only, struct shape s)
{
    struct bench_series series = {0};
    double ns[QUORUM_SLOTS], before, after;

    if (!wanted(only, "cpu_keygen"))
        return;
    struct quorum *q = quorum_new(s.n, s.t, "bench");
    q->timed = 1;
    for (int run = -1; run < bench_runs(); run++) {
        take_cpu(q, ns, 1);
        before = bench_reference_ns();
        QR_ASSERT(quorum_dkg(q) == QR_OK);
        take_cpu(q, ns, 1);
        after = bench_reference_ns();
        if (run >= 0)
            bench_add(&series, worst(ns, s.n), before, after);
    }
    bench_emit_series("cpu_keygen", s.n, s.t, &series);
    quorum_free(q);
}

static void
bench_pair_setup(const char *only)
{
    const uint16_t S[] = {1, 2};
    struct bench_series series = {0};
    double ns[QUORUM_SLOTS], before, after;

    if (!wanted(only, "cpu_pair_setup"))
        return;
    struct quorum *q = quorum_new(2, 2, "bench");
    q->timed = 1;
    for (int run = -1; run < bench_runs(); run++) {
        take_cpu(q, ns, 1);
        before = bench_reference_ns();
        QR_ASSERT(quorum_pairs(q, S, 2) == QR_OK);
        take_cpu(q, ns, 1);
        after = bench_reference_ns();
        if (run >= 0)
            bench_add(&series, worst(ns, 2), before, after);
    }
    bench_emit_series("cpu_pair_setup", 2, 2, &series);
    quorum_free(q);
}

/* ---- instruction counts ------------------------------------------------------------------------- */

enum work { WORK_PAIR, WORK_KEYGEN, WORK_PRESIGN, WORK_ONLINE, WORK_TOTAL, WORK_REFERENCE };

void bench_measured(struct quorum *q, const uint16_t *S, enum work work,
                    const struct bench_key *key);

/* Not inlined and not static: callgrind finds it by name. */
__attribute__((noinline)) void
bench_measured(struct quorum *q, const uint16_t *S, enum work work, const struct bench_key *key)
{
    if (work == WORK_PAIR)
        QR_ASSERT(quorum_pairs(q, S, 2) == QR_OK);
    if (work == WORK_KEYGEN)
        QR_ASSERT(quorum_dkg(q) == QR_OK);
    if (work == WORK_PRESIGN || work == WORK_TOTAL)
        QR_ASSERT(quorum_presign(q, S, q->t, BATCH) == QR_OK);
    if (work == WORK_ONLINE || work == WORK_TOTAL)
        sign_batch(q, S);
    if (work == WORK_REFERENCE)
        bench_reference_work(key, BATCH);
}

static const struct {
    const char *name;
    enum work work;
} works[] = {{"cpu_pair_setup", WORK_PAIR},  {"cpu_keygen", WORK_KEYGEN},
             {"cpu_presign", WORK_PRESIGN},  {"cpu_sign_online", WORK_ONLINE},
             {"cpu_sign_total", WORK_TOTAL}, {"reference", WORK_REFERENCE}};

static int
instructions(const char *arg)
{
    char name[32];
    unsigned n = 2, t = 2;
    uint16_t S[QR_MAX_PARTIES];
    size_t len = strcspn(arg, "/"), k = 0;

    if (len >= sizeof name)
        return 2;
    memcpy(name, arg, len);
    name[len] = '\0';
    if (arg[len] == '/') {
        char *end;
        n = (unsigned)strtoul(arg + len + 1, &end, 10);
        t = *end == '/' ? (unsigned)strtoul(end + 1, &end, 10) : 0;
        if (*end != '\0' || t < 2 || t > n || n > QR_MAX_PARTIES)
            return 2;
    }
    while (k < COUNT(works) && strcmp(works[k].name, name) != 0)
        k++;
    if (k == COUNT(works))
        return 2;

    enum work work = works[k].work;
    struct shape s = {(uint16_t)n, (uint16_t)t};
    struct quorum *q = work == WORK_PRESIGN || work == WORK_ONLINE || work == WORK_TOTAL
                           ? ready_quorum(s)
                           : quorum_new(s.n, s.t, "bench");
    set_of(s.t, S);
    if (work == WORK_ONLINE)
        QR_ASSERT(quorum_presign(q, S, s.t, BATCH) == QR_OK);
    struct bench_key key = bench_key_make();
    bench_measured(q, S, work, &key);
    quorum_free(q);
    unsigned divisor = work == WORK_PAIR        ? 2
                       : work == WORK_KEYGEN    ? n
                       : work == WORK_REFERENCE ? BATCH
                                                : t * BATCH;
    printf("{\"case\":\"%s\",\"n\":%u,\"t\":%u,\"divide_by\":%u}\n", name, n, t, divisor);
    return 0;
}

int
main(int argc, char **argv)
{
    const char *only = argc == 2 ? argv[1] : NULL;

    if (argc == 3 && strcmp(argv[1], "--instructions") == 0) {
        int r = instructions(argv[2]);
        if (r != 0)
            fprintf(stderr, "bench_protocol: no such case: %s (see --list)\n", argv[2]);
        return r;
    }
    if (only != NULL && strcmp(only, "--list") == 0) {
        for (size_t k = 0; k < COUNT(works) && works[k].work != WORK_REFERENCE; k++)
            printf("%s\n", works[k].name);
        printf("bytes_pair\nrounds\n");
        return 0;
    }
    if (argc > 2 || (only != NULL && only[0] == '-')) {
        fprintf(stderr, "usage: bench_protocol [CASE | --list | --instructions CASE[/N/T]]\n");
        return 2;
    }
    /* starts the libraries before the first reference */
    quorum_free(quorum_new(2, 2, "bench"));
    for (size_t k = 0; k < COUNT(sign_shapes); k++)
        bench_signing(only, sign_shapes[k]);
    for (size_t k = 0; k < COUNT(keygen_shapes); k++)
        bench_keygen(only, keygen_shapes[k]);
    bench_pair_setup(only);
    return 0;
}
