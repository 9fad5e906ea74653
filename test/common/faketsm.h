/*
 * faketsm: a kernel with configfs-tsm and /dev/sev-guest, in memory, that fails when it is told to.
 *
 * What: the system calls of enclave-shim/tsm/report.h over virtual files that behave as Linux 6.7 and
 *       later do: a write to inblob counts when its file is closed, close tells nothing, generation
 *       counts settings, outblob is made by reading it, EFBIG beyond 64 bytes. Virtual time: sleeping
 *       advances it.
 * How: faketsm_init, set `make`, add faults, hand `sys` to the code under test; look at the counters.
 * One thread.
 */
#ifndef TEST_FAKETSM_H
#define TEST_FAKETSM_H

#include "enclave-shim/tsm/report.h"

#define FAKETSM_ROOT "/tsm"
#define FAKETSM_SEV "/sev"
#define FAKETSM_FAULTS 8u

enum faketsm_call {
    FAKETSM_OPEN = 1,
    FAKETSM_READ,
    FAKETSM_WRITE,
    FAKETSM_CLOSE,
    FAKETSM_IOCTL,
    FAKETSM_MKDIR,
};

struct faketsm_fault {
    enum faketsm_call call;
    const char *file; /* the path's end; "": any */
    long result;      /* what the call returns instead */
    int times;        /* -1: always */
    int skip;         /* calls that go well first */
};

struct faketsm {
    struct qr_sys sys;
    /* The report over data; certificates in aux. Return its length. */
    size_t (*make)(void *ctx, const uint8_t data[64], uint8_t *out, uint8_t *aux, size_t *aux_len);
    void *make_ctx;
    const char *provider;
    int no_root, privlevel_floor; /* -1: no such file */
    size_t one_byte;              /* 1: reads give one byte at a time */
    size_t n_faults;
    struct faketsm_fault fault[FAKETSM_FAULTS];
    /* A stranger's setting: after our write, after our read of outblob; how often. */
    int moves_after_write, moves_after_read, ignores_writes;
    const char *generation_text, *provider_text; /* not NULL: this is read */
    /* /dev/sev-guest */
    uint32_t sev_status, sev_size; /* size 0: the report's */
    uint32_t certs_needed;         /* what ENOSPC tells; 0: the table's length */
    uint64_t exitinfo2;
    int no_ext; /* ENOTTY for extended requests */
    /* Seen. */
    unsigned long generation;
    unsigned n_entries, n_reports, n_mkdir, n_rmdir, open_files, ioctls, sleeps, privlevel;
    uint64_t now_ms;
    char entry[4][48];
    long dead_pid; /* the only process that is not alive */
    /* inside */
    uint8_t in[64], out[QR_REPORT_OUT_MAX + 64], aux[QR_REPORT_AUX_MAX + 64];
    size_t in_len, out_len, aux_len;
    unsigned long out_generation;
    struct {
        int used, wrote;
        char file[32];
        size_t at, len;
        uint8_t mem[80];
    } fd[8];
};

/* A report of 96 bytes: "report over " and the data, 20 bytes "certificates". */
void faketsm_init(struct faketsm *f);
void faketsm_fail(struct faketsm *f, enum faketsm_call call, const char *file, long result,
                  int times);

#endif
