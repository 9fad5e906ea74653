/*
 * The store of a party without a disk: a real store over a real gateway's server, with a man in the middle
 * who changes, cuts and swallows what passes. Whatever he does, a lie is found and nothing is written twice.
 */
#include "daemon/gw_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/log.h"
#include "daemon/store_remote.h"
#include "daemon/store_wire.h"
#include "test/common/storekit.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* What the man in the middle does with the nth exchange after he was told. */
enum trick {
    PASS,
    CUT_BEFORE, /* the question does not arrive; the line drops */
    CUT_AFTER,  /* it arrives; the answer does not */
    TOO_LONG,   /* the answer's length is a lie */
    ZERO_LONG,
    TRAILING, /* a byte more */
    SHORTER,  /* a byte less */
    STATUS,   /* another status, with a text of control bytes */
    FLIP,     /* a bit of the answer's last byte */
    FRESH,    /* the answer to HELLO says that there is nothing */
    AGAIN,    /* the answer to the question before this one */
};

static struct rig {
    pthread_t server_thread, proxy_thread;
    _Atomic int stop_server, stop_proxy;
    struct qr_gw_store *server;
    char file[256], listen[300], where[300], proxy_path[256], server_path[256];
    _Atomic int trick, after; /* after: exchanges that pass before */
    _Atomic unsigned exchanges;
    char why[512];
} rig;

static void *
serve(void *arg)
{
    (void)arg;
    while (!rig.stop_server) {
        struct pollfd p = {.fd = qr_gw_store_fd(rig.server), .events = POLLIN};
        (void)poll(&p, 1, 5);
        qr_gw_store_step(rig.server);
    }
    return NULL;
}

static void
start_server(void)
{
    if (qr_gw_store_new(rig.file, rig.listen, &rig.server, rig.why, sizeof rig.why) != QR_OK) {
        fail_msg("%s", rig.why);
    }
    rig.stop_server = 0;
    assert_int_equal(pthread_create(&rig.server_thread, NULL, serve, NULL), 0);
}

static void
stop_server(void)
{
    if (rig.server) {
        rig.stop_server = 1;
        (void)pthread_join(rig.server_thread, NULL);
        rig.server = qr_gw_store_free(rig.server);
    }
}

static int
unix_connect(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)snprintf(a.sun_path, sizeof a.sun_path, "%.100s", path);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static int
read_full(int fd, uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t r = recv(fd, p, n, 0);
        if (r <= 0) {
            return 0;
        }
        p += r;
        n -= (size_t)r;
    }
    return 1;
}

/* One frame into mem; its length with the length field, or 0. */
static size_t
read_frame(int fd, uint8_t *mem, size_t cap)
{
    if (!read_full(fd, mem, 4) || qr_get32(mem) > cap - 8 ||
        !read_full(fd, mem + 4, qr_get32(mem))) {
        return 0;
    }
    return 4 + qr_get32(mem);
}

static int
write_full(int fd, const uint8_t *p, size_t n)
{
    return send(fd, p, n, MSG_NOSIGNAL) == (ssize_t)n;
}

#define FRAME_CAP (1u << 20)

/* Changes the answer; 0: drop the line. */
static int
spoil(enum trick t, uint8_t *a, size_t *n, const uint8_t *before, size_t n_before)
{
    static const uint8_t status[] = {0, 0, 0, 5, QR_SW_FULL, 'n', '\n', 0x1b, 0xff};
    switch (t) {
    case TOO_LONG:
        qr_put32(a, QR_SW_ANSWER_MAX + 1);
        break;
    case ZERO_LONG:
        qr_put32(a, 0);
        break;
    case TRAILING:
        a[(*n)++] = 0;
        qr_put32(a, (uint32_t)*n - 4);
        break;
    case SHORTER:
        (*n)--;
        qr_put32(a, (uint32_t)*n - 4);
        break;
    case STATUS:
        memcpy(a, status, sizeof status);
        *n = sizeof status;
        break;
    case FLIP:
        a[*n - 1] ^= 1;
        break;
    case FRESH:
        a[5] = 1;
        break;
    case AGAIN:
        memcpy(a, before, n_before);
        *n = n_before;
        break;
    case CUT_AFTER:
        return 0;
    case PASS:
    case CUT_BEFORE:
    default:
        break;
    }
    return 1;
}

static void
carry(int client, int server)
{
    static uint8_t q[FRAME_CAP], a[FRAME_CAP], before[FRAME_CAP];
    size_t n, n_before = 0;

    while (!rig.stop_proxy) {
        struct pollfd p = {.fd = client, .events = POLLIN};
        if (poll(&p, 1, 5) == 0) {
            continue;
        }
        if ((n = read_frame(client, q, sizeof q)) == 0) {
            return;
        }
        int now = rig.trick != PASS && rig.after-- == 0;
        enum trick t = now ? (enum trick)rig.trick : PASS;
        rig.exchanges++;
        if (now) {
            rig.trick = PASS;
        }
        if (t == CUT_BEFORE) {
            return;
        }
        if (!write_full(server, q, n) || (n = read_frame(server, a, sizeof a)) == 0 ||
            !spoil(t, a, &n, before, n_before) || !write_full(client, a, n)) {
            return;
        }
        memcpy(before, a, n);
        n_before = n;
    }
}

static void *
proxy(void *arg)
{
    int listener = *(int *)arg;
    while (!rig.stop_proxy) {
        struct pollfd p = {.fd = listener, .events = POLLIN};
        if (poll(&p, 1, 5) <= 0) {
            continue;
        }
        int client = accept(listener, NULL, NULL), server = unix_connect(rig.server_path);
        if (server >= 0) {
            carry(client, server);
            (void)close(server);
        }
        (void)close(client);
    }
    (void)close(listener);
    return NULL;
}

static int
setup(void **state)
{
    static int listener;
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    (void)state;
    memset(&rig, 0, sizeof rig);
    (void)snprintf(rig.file, sizeof rig.file, "%s", kit.path);
    (void)snprintf(rig.server_path, sizeof rig.server_path, "%s", tmpdir_file(&kit.keys, "s"));
    (void)snprintf(rig.proxy_path, sizeof rig.proxy_path, "%s", tmpdir_file(&kit.keys, "p"));
    (void)snprintf(rig.listen, sizeof rig.listen, "unix://%s", rig.server_path);
    (void)snprintf(rig.where, sizeof rig.where, "unix://%s", rig.proxy_path);
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%.100s", rig.proxy_path);
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(listener, 8), 0);
    start_server();
    return pthread_create(&rig.proxy_thread, NULL, proxy, &listener);
}

static int
teardown(void **state)
{
    (void)state;
    rig.stop_proxy = 1;
    (void)pthread_join(rig.proxy_thread, NULL);
    stop_server();
    (void)unlink(rig.proxy_path);
    kit_wipe();
    return 0;
}

static qr_err
try_open(struct qr_store **ret, int *ret_fresh)
{
    *ret = NULL;
    rig.why[0] = 0;
    return qr_store_open(rig.where, &kit.tee, ret, ret_fresh, rig.why, sizeof rig.why);
}

static struct qr_store *
open_store(int want_fresh)
{
    struct qr_store *s;
    int fresh = -1;
    if (try_open(&s, &fresh) != QR_OK) {
        fail_msg("%s", rig.why);
    }
    assert_int_equal(fresh, want_fresh);
    return s;
}

static void
play_trick(enum trick t, int after)
{
    rig.after = after;
    rig.trick = t;
}

static int
count(void *ctx, const char *name)
{
    (void)name;
    ++*(int *)ctx;
    return 0;
}

static void
test_life(void **state)
{
    uint8_t root[32];
    int n = 0;

    (void)state;
    struct qr_store *s = open_store(1);
    kit_put(s, QR_TABLE_KEY, "a", "one");
    kit_put(s, QR_TABLE_KEY, "b", "two");
    kit_put(s, QR_TABLE_META, "m", "three");
    kit_put(s, QR_TABLE_PEER, "2", "peer");
    kit_put(s, QR_TABLE_KEY, "a", "four");
    assert_int_equal(qr_store_del(s, QR_TABLE_KEY, "b"), QR_OK);
    assert_int_equal(qr_store_serial(s), 5);
    memcpy(root, qr_store_root(s), 32);
    qr_store_close(s);
    for (int k = 0; k < 2; k++) {
        if (k == 1) {
            /* The file is a store like any other: a disk may be found for it. */
            stop_server();
            s = kit_open(0);
        } else {
            s = open_store(0);
        }
        assert_int_equal(qr_store_serial(s), 5);
        assert_memory_equal(qr_store_root(s), root, 32);
        kit_expect(s, QR_TABLE_KEY, "a", "four");
        kit_expect(s, QR_TABLE_KEY, "b", NULL);
        kit_expect(s, QR_TABLE_META, "m", "three");
        kit_expect(s, QR_TABLE_PEER, "2", "peer");
        assert_int_equal(qr_store_scan(s, QR_TABLE_KEY, count, &n), QR_OK);
        qr_store_close(s);
    }
    assert_int_equal(n, 2);
}

static void
test_one_question_a_commit(void **state)
{
    const struct qr_store_change c[] = {
        {.table = QR_TABLE_KEY, .name = "a", .value = qr_view_str("1")},
        {.table = QR_TABLE_KEY, .name = "b", .value = qr_view_str("2")},
        {.table = QR_TABLE_META, .name = "c", .value = qr_view_str("3")},
    };
    (void)state;
    struct qr_store *s = open_store(1);
    unsigned before = rig.exchanges;
    assert_int_equal(qr_store_commit(s, c, 3), QR_OK);
    assert_int_equal(rig.exchanges, before + 2); /* and one to see that the line is alive */
    qr_store_close(s);
}

static void
test_gateway_restarts(void **state)
{
    (void)state;
    struct qr_store *s = open_store(1);
    kit_put(s, QR_TABLE_KEY, "a", "one");
    stop_server();
    start_server();
    kit_expect(s, QR_TABLE_KEY, "a", "one");
    stop_server();
    start_server();
    kit_put(s, QR_TABLE_KEY, "a", "two");
    play_trick(CUT_BEFORE, 0); /* a read that was lost is asked again */
    kit_expect(s, QR_TABLE_KEY, "a", "two");
    play_trick(CUT_AFTER, 0);
    kit_expect(s, QR_TABLE_KEY, "a", "two");
    assert_int_equal(qr_store_writable(s), 1);
    qr_store_close(s);
}

static void
test_outcome_unknown(void **state)
{
    static const enum trick tricks[] = {CUT_BEFORE, CUT_AFTER, TRAILING, TOO_LONG};
    static const int written[] = {0, 1, 1, 1};
    uint64_t serial = 0;

    (void)state;
    for (size_t i = 0; i < sizeof tricks / sizeof tricks[0]; i++) {
        uint8_t out[16];
        struct qr_buf b = qr_buf_over(out, sizeof out);
        struct qr_store *s = open_store(i == 0);
        assert_int_equal(qr_store_serial(s), serial);
        serial += (uint64_t)written[i];
        play_trick(tricks[i], 1);
        assert_int_not_equal(qr_store_put(s, QR_TABLE_KEY, "a", qr_view_str("x")), QR_OK);
        assert_int_equal(qr_store_writable(s), 0);
        if (tricks[i] != TRAILING && !strstr(qr_store_error(s), "is unknown: restart")) {
            fail_msg("%s", qr_store_error(s));
        }
        /* For good: not even a healthy line helps. */
        assert_int_equal(qr_store_put(s, QR_TABLE_KEY, "a", qr_view_str("y")), QR_ERR_STORE);
        assert_int_not_equal(qr_store_get(s, QR_TABLE_KEY, "a", &b), QR_OK);
        qr_store_close(s);
    }
    /* Opened again it shows what became of it. */
    struct qr_store *s = open_store(0);
    kit_expect(s, QR_TABLE_KEY, "a", "x");
    assert_int_equal(qr_store_serial(s), 3);
    qr_store_close(s);
}

static void
test_lies_at_open(void **state)
{
    static const struct {
        enum trick t;
        int after; /* 0: HELLO, 1 and 2: HEAD, 3 and on: NEXT */
        qr_err e;
        const char *why;
    } cases[] = {
        {TOO_LONG, 0, QR_ERR_STORE, "at most"},
        {ZERO_LONG, 1, QR_ERR_STORE, "at most"},
        {TRAILING, 0, QR_ERR_STORE_CORRUPT, "HELLO"},
        {SHORTER, 0, QR_ERR_STORE_CORRUPT, "HELLO"},
        {FRESH, 0, QR_ERR_STORE_CORRUPT, "no store yet, and shows one"},
        {TRAILING, 1, QR_ERR_STORE_CORRUPT, "HEAD"},
        {SHORTER, 1, QR_ERR_STORE_CORRUPT, "HEAD"},
        {FLIP, 2, QR_ERR_SEAL, "does not open"},
        {STATUS, 2, QR_ERR_STORE_FULL, "the gateway says: n??"},
        {SHORTER, 3, QR_ERR_STORE_CORRUPT, "NEXT"},
        {TRAILING, 4, QR_ERR_STORE_CORRUPT, "NEXT"},
        {FLIP, 3, QR_ERR_STORE_CORRUPT, "was changed from outside"},
        {FLIP, 5, QR_ERR_STORE_CORRUPT, "does not open"}, /* peer/2, not in the chain */
        {AGAIN, 4, QR_ERR_STORE_CORRUPT, ""},             /* the same row again */
        {AGAIN, 3, QR_ERR_STORE_CORRUPT, "NEXT"},         /* a head for a row */
    };
    struct qr_store *s = open_store(1);
    int fresh = 0;

    (void)state;
    kit_put(s, QR_TABLE_KEY, "a", "one");
    kit_put(s, QR_TABLE_KEY, "b", "two");
    kit_put(s, QR_TABLE_PEER, "2", "peer");
    qr_store_close(s);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        play_trick(cases[i].t, cases[i].after);
        qr_err e = try_open(&s, &fresh);
        if (e != cases[i].e || !strstr(rig.why, cases[i].why) || !strstr(rig.why, rig.where)) {
            fail_msg("case %zu: %s: %s", i, qr_err_name(e), rig.why);
        }
        assert_null(s);
    }
    s = open_store(0); /* and no harm was done */
    qr_store_close(s);
}

static void
copy_file(const char *from, const char *to)
{
    static uint8_t mem[1u << 20];
    tmpdir_write(to, mem, tmpdir_read(from, mem, sizeof mem));
}

/* The host puts an older file back while the party runs. */
static void
test_rolled_back_under_us(void **state)
{
    char old[256], log[300];

    (void)state;
    struct qr_store *s = open_store(1);
    kit_put(s, QR_TABLE_KEY, "a", "one");
    (void)snprintf(old, sizeof old, "%s", tmpdir_file(&kit.keys, "old"));
    (void)snprintf(log, sizeof log, "%s-wal", rig.file);
    stop_server();
    copy_file(rig.file, old);
    start_server();
    kit_put(s, QR_TABLE_KEY, "b", "two");
    stop_server();
    (void)unlink(log);
    copy_file(old, rig.file);
    start_server();
    assert_int_equal(qr_store_put(s, QR_TABLE_KEY, "c", qr_view_str("three")),
                     QR_ERR_STORE_CORRUPT);
    assert_non_null(strstr(qr_store_error(s), "the host put back another"));
    assert_int_equal(qr_store_writable(s), 0);
    qr_store_close(s);
    (void)unlink(old);
}

static void
test_two_parties(void **state)
{
    struct qr_store *b = NULL;
    int fresh;

    (void)state;
    struct qr_store *a = open_store(1);
    kit_put(a, QR_TABLE_KEY, "a", "one");
    /* The proxy carries one at a time: the second goes to the server itself. */
    assert_int_equal(qr_store_open(rig.listen, &kit.tee, &b, &fresh, rig.why, sizeof rig.why),
                     QR_OK);
    kit_put(b, QR_TABLE_KEY, "a", "two");
    assert_int_equal(qr_store_put(a, QR_TABLE_KEY, "a", qr_view_str("three")),
                     QR_ERR_STORE_CORRUPT);
    assert_non_null(strstr(qr_store_error(a), "another party has written"));
    kit_expect(b, QR_TABLE_KEY, "a", "two");
    qr_store_close(a);
    qr_store_close(b);
}

static void
test_keep(void **state)
{
    static uint8_t big[QR_TEE_KEEP_MAX + 1];
    struct qr_tee_keep k = {0};
    struct qr_dbuf out;
    struct qr_store *s = open_store(1);

    (void)state;
    qr_dbuf_init(&out, QR_TEE_KEEP_MAX);
    kit_put(s, QR_TABLE_KEY, "a", "one");
    qr_store_close(s);
    assert_int_equal(qr_tee_keep_remote(rig.listen, &k, rig.why, sizeof rig.why), QR_OK);
    assert_int_equal(k.load(k.ctx, "wrapped", &out), QR_ERR_NOT_FOUND);
    assert_int_equal(k.save(k.ctx, "wrapped", qr_view_str("one")), QR_OK);
    assert_int_equal(k.save(k.ctx, "wrapped", qr_view_str("two")), QR_OK);
    assert_int_equal(k.load(k.ctx, "wrapped", &out), QR_OK);
    assert_true(qr_view_eq(qr_view_of(out.p, out.len), qr_view_str("two")));
    assert_int_equal(k.save(k.ctx, "Bad", qr_view_str("x")), QR_ERR_USAGE);
    assert_int_equal(k.save(k.ctx, "big", qr_view_of(big, sizeof big)), QR_ERR_TOO_LARGE);
    assert_int_equal(k.save(k.ctx, "big", qr_view_of(big, sizeof big - 1)), QR_OK);
    assert_int_equal(k.load(k.ctx, "big", &out), QR_OK);
    assert_int_equal(out.len, sizeof big - 1);
    qr_tee_keep_close(&k);
    qr_dbuf_free(&out);
    assert_int_equal(qr_tee_keep_remote("/a/path", &k, rig.why, sizeof rig.why), QR_ERR_ADDRESS);
    s = open_store(0); /* and a store with such values beside it is whole */
    kit_expect(s, QR_TABLE_KEY, "a", "one");
    qr_store_close(s);
}

/* Questions that no party asks: the line is closed, the file is as it was. */
static void
test_bad_questions(void **state)
{
#define GREET "\0\0\0\6\1QRST1"
    static const struct {
        const char *bytes;
        size_t n;
    } cases[] = {
        {"\0\0\0\0", 4},
        {"\377\377\377\377", 4},
        {"\1\0\0\2\1", 5},
        {"\0\0\0\1\2", 5}, /* before HELLO */
        {"\0\0\0\6\1QRST2", 10},
        {"\0\0\0\7\1QRST1x", 11},
        {GREET "\0\0\0\1\11", 15},           /* no such op */
        {GREET "\0\0\0\2\2x", 16},           /* HEAD with more */
        {GREET "\0\0\0\3\3\0\2", 17},        /* GET without a name */
        {GREET "\0\0\0\5\3\0\2\1\n", 19},    /* a name of control bytes */
        {GREET "\0\0\0\4\3\0\2\0", 18},      /* an empty name */
        {GREET "\0\0\0\4\4\2\0\0", 18},      /* NEXT: first is 2 */
        {GREET "\0\0\0\1\5", 15},            /* an empty COMMIT */
        {GREET "\0\0\0\3\6\1A", 17},         /* answered: no such value */
        {GREET "\0\0\0\7\7\1a\0\0\0\0", 21}, /* KEEP_SAVE of nothing */
    };
    uint8_t answer[64];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int fd = unix_connect(rig.server_path), greeted = cases[i].n > 11;
        ssize_t n;
        assert_true(write_full(fd, (const uint8_t *)cases[i].bytes, cases[i].n));
        if (greeted) {
            assert_true(read_full(fd, answer, 6));
            assert_memory_equal(answer, "\0\0\0\2\0\1", 6);
        }
        if (i == 13) {
            assert_true(read_full(fd, answer, 5));
            assert_int_equal(answer[4], QR_SW_NOT_FOUND);
            assert_int_equal(shutdown(fd, SHUT_WR), 0);
        }
        n = recv(fd, answer, sizeof answer, 0);
        if (n > 0 || (n < 0 && errno != ECONNRESET)) {
            fail_msg("case %zu: %zd", i, n);
        }
        (void)close(fd);
    }
    struct qr_store *s = open_store(1);
    qr_store_close(s);
}

static void
test_nobody_there(void **state)
{
    struct qr_db *db = NULL;
    int fresh;

    (void)state;
    assert_int_equal(qr_db_open("tcp://nowhere.example:1", &db, &fresh, rig.why, sizeof rig.why),
                     QR_ERR_ADDRESS);
    assert_int_equal(qr_gw_store_new(rig.file, rig.listen, &rig.server, rig.why, sizeof rig.why),
                     QR_ERR_STORE); /* the file has one owner */
    assert_non_null(strstr(rig.why, "another quorated uses this store"));
}

static void
quiet(void *ctx, const char *line, size_t len)
{
    (void)ctx;
    (void)line;
    (void)len;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(test_life),
        T(test_one_question_a_commit),
        T(test_gateway_restarts),
        T(test_outcome_unknown),
        T(test_lies_at_open),
        T(test_rolled_back_under_us),
        T(test_two_parties),
        T(test_keep),
        T(test_bad_questions),
        T(test_nobody_there),
    };
    qr_log_sink(quiet, NULL);
    return cmocka_run_group_tests(tests, storekit_setup, storekit_teardown);
}
