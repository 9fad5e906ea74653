/*
 * The inside of a party: one struct, and the functions its files share.
 *
 * party.c          life cycle, dispatch of network events and asks, timers
 * party_state.c    what survives a restart: identity, documents, keys, retired pairs, peers' serials
 * party_pairs.c    pair set-up, retirement
 * party_batch.c    presigning batches, pools' water marks
 * party_keygen.c   key generation runs, key synchronisation
 * party_secret.c   our secret in pieces at the peers: made, asked back, replaced; party_secret_say.c
 * party_pieces.c   the pieces of the peers' secrets
 * party_attest.c   evidence and its verdict, the quorum's constraints
 * party_stage.c    the time, the age of evidence, the stages that follow from it
 * party_judge.c    is this request allowed? the same code at the coordinator and at every signer
 * party_sign.c     online signatures, as coordinator; party_member.c as another signer
 * party_admin.c    the operator's socket: documents and stamped commands
 * party_collateral.c  vendors' documents for the platform's evidence
 * party_release.c  measurement manifests that the policy refers to
 * party_query.c    status, keys, attestation and metrics as JSON and text
 */
#ifndef QR_PARTY_INT_H
#define QR_PARTY_INT_H

#include "daemon/command.h"
#include "daemon/control.h"
#include "daemon/fresh.h"
#include "daemon/keyjson.h"
#include "daemon/log.h"
#include "daemon/party.h"
#include "daemon/party_audit.h"
#include "daemon/party_limits.h"
#include "daemon/party_secret.h"
#include "daemon/policy.h"
#include "daemon/pool.h"
#include "daemon/qtime.h"
#include "daemon/replay.h"
#include "daemon/request.h"
#include "daemon/roster.h"
#include "daemon/tpmlife.h"
#include "protocol/base/enc.h"
#include "protocol/base/hash.h"
#include "protocol/dkg.h"
#include "protocol/ids.h"
#include "protocol/pair.h"
#include "protocol/sign.h"

#define QR_PEERS (QR_MAX_PARTIES + 1) /* arrays by party index, 0 unused */
#define QR_BATCH_RUNS 32              /* presigning sessions in flight */
#define QR_BATCH_OWN 2                /* of them ours, per pool */
#define QR_BATCH_OWNER 4              /* in flight of one owner, all its pools */
#define QR_BATCH_PEERS 64             /* sum of t - 1 over all sessions in flight */
#define QR_KEYGEN_RUNS 4
#define QR_SIGN_RUNS 4096
#define QR_EARLY 64 /* messages of sessions we have not been told of yet */

#define MS 1000000ull
#define SECOND 1000000000ull
#define SESSION_LIFE (30 * SECOND) /* a presigning or key generation session */
#define PAIR_ATTEMPTS 3
#define REQUEST_LIFE (10 * SECOND) /* a client's request in our hands */
#define QR_POOL_SLOTS 16384        /* presignatures in the slab, all keys and owners */

struct qr_peerslot {
    struct qr_pair *pair;    /* locked; NULL unless set up or being set up */
    struct qr_msg_in *early; /* PAIR1 of an attempt we have not begun */
    uint32_t attempt, failures;
    uint64_t pair_started;
    uint64_t begin_at; /* the pair's set-up begins then; 0: it has */
    uint64_t ctr_seen; /* highest batch counter of this initiator and boot */
    uint16_t retired;  /* bit j-1: the pair (this, j) is retired */
    /* What this peer last proved of its store; refused below it. */
    uint64_t boot_counter, store_serial;
    uint8_t store_root[32];
    uint64_t avoid_until; /* not chosen for a set before this, if there is another choice */
    uint64_t batch_after; /* it refused a batch: none is begun with it before this */
};

struct qr_batchrun {
    int used, ours;
    uint64_t deadline;
    uint8_t sid[32];
    struct qr_pool_id pool;
    struct qr_batch_id id;
    struct qr_presign *m; /* locked */
    struct qr_msg_in *kept[QR_MAX_PARTIES];
    size_t n_kept;
    uint16_t done_mask; /* owner: who holds its half; spendable when it equals the set */
    int local_done;
};

struct qr_keygenrun {
    int used, persisted;
    uint64_t deadline, started;
    uint64_t ask; /* 0: not ours */
    uint8_t sid[32];
    struct qr_dkg *m; /* locked */
};

/* A request in our hands as coordinator. */
struct qr_signrun {
    int used;
    uint64_t to; /* the waiting ask */
    uint64_t started, deadline, attempt_deadline;
    size_t key;    /* index into keys */
    uint64_t slot; /* replay table */
    char rule[QR_NAME_MAX + 1];
    uint8_t request[32], rq[32];
    uint32_t path[QR_PATH_MAX];
    size_t depth;
    uint16_t n; /* items */
    qr_view body, stamp[QR_STAMPS_MAX];
    size_t n_stamps;
    qr_view who; /* for the audit log */
    /* one block: body, stamps, who, digests, items, shares */
    uint8_t *mem;
    size_t mem_len;
    uint8_t (*digest)[32];
    struct qr_sign_item *item;
    uint8_t *share; /* [(position in set) * n + item] of QR_SIGN_SHARE_LEN */

    uint32_t attempt, moves;
    uint16_t mask;     /* set of this attempt; 0: waiting for presignatures */
    uint16_t want;     /* the set it waits for */
    uint16_t got;      /* members whose shares are in */
    uint16_t excluded; /* parties this request has moved away from */
    qr_err last_err;   /* why the last set was left */
    uint16_t last_party;
    char reason[96];
    struct qr_sign_common common;
    uint64_t out, in;     /* payload bytes to and from the other members, over all attempts */
    uint32_t request_len; /* payload bytes of the last SIGN_REQUEST, to each member the same */
    uint32_t next;        /* chain of its hash bucket */
};

struct qr_keyslot {
    struct qr_key *key; /* locked */
    uint16_t hot;       /* the preferred set */
    uint16_t filled;    /* low mark 0: the set that was filled once */
};

struct qr_judgement {
    struct qr_request req; /* some 20 KiB: a party keeps one verdict and reuses it */
    struct qr_stamp_key client;
    size_t key;
    uint64_t approved; /* bit i: the policy's approver i */
    struct qr_policy_says says;
    char rule[QR_NAME_MAX + 1];
    char detail[256]; /* for the client (coordinator) and the log */
    enum qr_replay_state replay;
    uint64_t slot; /* in the replay table */
};

/* What is known of a peer by its evidence; the next_ ones until the connection that showed it is up. */
struct qr_attest_peer {
    int known;
    struct qr_peers_domain domain, next;
    uint8_t next_boot[32];
    int64_t next_end_ms;
    struct qr_tpmlife tpm, next_tpm; /* of evidence with a TPM's quote */
    enum qr_fresh_stage stage;
    uint64_t age_ms;
    uint64_t heard_at, replied_at; /* its clock; ours in answer */
};

struct qr_attest {
    struct qr_attest_peer peer[QR_PEERS];
    uint64_t shown_at; /* evidence for clients is counted from here; see qr_attest_may_show */
    unsigned shown;
    struct qr_fresh fresh;
    struct qr_qtime time;
    struct qr_qtime_now clock;
    struct qr_fresh_memory memory; /* kept over restarts */
    int memory_grew, agreed;
    int64_t saved_floor_ms;
    uint64_t tell_at, told_wall_ms, told_mono_ms;
    enum qr_fresh_stage stage; /* the party's */
    uint64_t age_ms;
    uint16_t stopped; /* bit i-1: nothing is signed with party i */
    int quorum_broken;
    char quorum_why[QR_SENTENCE_MAX];
    /* our own evidence by our own policy */
    int self_known, self_failed;
    struct qr_claims self;
    struct qr_peers_domain self_domain;
    int64_t self_end_ms;
    uint64_t self_at;
    char self_why[QR_ERR_TEXT_MAX];
    struct qr_links links; /* signatures of vendors' certificates that were good */
    /* of the judgement at hand */
    struct qr_verdict verdict;
    struct qr_verify_out found;
};

struct qr_counters {
    uint64_t sign_ok, sign_refused, sign_moved, sign_bad, batches_ok, batches_failed, presigs_made,
        presigs_spent, presigs_dropped, presigs_burned, pair_setups, pair_failures, retired,
        keygens, attest_refused, session_aborts;
    uint64_t sign_us_sum, sign_us_count, sign_us_bucket[12];
};

struct qr_release {
    struct qr_manifest *m;
    char name[32]; /* of its record */
    uint8_t *rec;
    size_t len;
};

struct qr_party {
    struct qr_party_cfg cfg;
    struct qr_party_env env;
    uint64_t now, wall_ms;
    /* When this process began, by the clock that requests are judged by; it is known better later. */
    uint64_t started_ms, started_mono_ms;

    /* identity and documents (party_state.c) */
    uint8_t *id_secret; /* locked: 64-byte Ed25519 secret key */
    uint8_t id[32];
    uint8_t boot_nonce[32];
    uint64_t boot_counter;
    uint16_t self; /* 0 until a roster names us */
    struct qr_roster *roster;
    struct qr_policy *policy;
    struct qr_release release[QR_PEERS_MANIFESTS];
    size_t n_releases;
    uint64_t min_release; /* what our platform was asked for since we started */
    uint8_t *roster_doc, *policy_doc;
    size_t roster_len, policy_len;

    struct qr_net *net;
    struct qr_outbox out;
    struct qr_aes *aes;
    struct qr_peerslot peer[QR_PEERS];
    struct qr_keyslot key[QR_KEYS_MAX];
    size_t n_keys;
    struct qr_pool *pool;
    int pool_locked;

    struct qr_batchrun batch[QR_BATCH_RUNS];
    size_t batch_turn;
    uint64_t batch_ctr;
    struct qr_keygenrun keygen[QR_KEYGEN_RUNS];
    uint64_t key_ask_at, key_ask_wait; /* when the peers are asked about pending keys again */
    struct qr_msg_in *early[QR_EARLY];
    uint64_t early_at[QR_EARLY];

    struct qr_signrun *sign;                                     /* QR_SIGN_RUNS */
    uint32_t sign_free[QR_SIGN_RUNS], sign_bucket[QR_SIGN_RUNS]; /* bucket: by request hash */
    size_t n_sign_free, n_sign_wait, sign_bytes;
    uint32_t sign_attempts; /* over all requests: the same request asked again has new numbers */
    uint64_t sign_sweep;    /* next look at timeouts */
    struct qr_presig *presig_tmp; /* locked, one */
    struct qr_judgement verdict;
    struct qr_replay *replay, *commands;
    struct qr_budget *budget; /* of the policy in force (party_limits.h) */
    uint16_t heard;           /* bit i-1: party i sent something since our start */
    struct qr_paudit *audit;  /* party_audit.h */

    struct qr_attest attest;
    struct qr_secret secret;
    uint64_t next_tick;
    int draining, drain_asked, store_failed;
    struct qr_counters c;
    uint16_t pool_want; /* bit set: refill should be looked at */
};

/* One log line of module "party": event, peer (0: none), text. */
void qr_party_log(enum qr_log_level level, const char *ev, uint16_t peer, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* party_state.c */
qr_err QR_MUST qr_state_open(struct qr_party *p, char *err_text, size_t err_cap);
void qr_state_close(struct qr_party *p);
/* A new boot nonce and counter, durable. */
qr_err QR_MUST qr_state_boot(struct qr_party *p);
/* Durable put that announces the new serial to the peers; a failure makes the party not ready. */
qr_err QR_MUST qr_state_put(struct qr_party *p, enum qr_table t, const char *name, qr_view v);
/* The same for a record that goes; NOT_FOUND is a failure like any other. */
qr_err QR_MUST qr_state_del(struct qr_party *p, enum qr_table t, const char *name);
/* Several changes, all or none. */
qr_err QR_MUST qr_state_commit(struct qr_party *p, const struct qr_store_change *c, size_t n);
/* All keys of the store into memory; on an error some may be there. */
qr_err QR_MUST qr_state_load_keys(struct qr_party *p, char *err_text, size_t err_cap);
void qr_state_drop_keys(struct qr_party *p);
qr_err QR_MUST qr_state_save_key(struct qr_party *p, const struct qr_key *k);
/* Adds to the table (or replaces the record of the same key_id) in memory. */
qr_err QR_MUST qr_state_add_key(struct qr_party *p, const struct qr_key *k);
struct qr_key *qr_state_find_key(struct qr_party *p, const uint8_t pk[static 33],
                                 size_t *ret_index);
/* The same by its Ethereum address; computed anew, over at most QR_KEYS_MAX keys. */
struct qr_key *qr_state_find_address(struct qr_party *p, const uint8_t address[static 20],
                                     size_t *ret_index);
struct qr_key *qr_state_find_key_id(struct qr_party *p, const uint8_t id[static 32]);
qr_err QR_MUST qr_state_load_roster(struct qr_party *p, qr_view doc, const qr_view *stamps,
                                    size_t n, char *why, size_t cap);
qr_err QR_MUST qr_state_load_policy(struct qr_party *p, qr_view doc, const qr_view *stamps,
                                    size_t n, char *why, size_t cap);
void qr_state_announce(struct qr_party *p);
void qr_state_on_store(struct qr_party *p, struct qr_msg_in *m);
qr_err qr_state_check_store(void *ctx, uint16_t peer, uint64_t boot_counter, uint64_t serial,
                            const uint8_t root[32]);
/* Ed25519 with the identity key. */
int qr_state_sign(void *party, const uint8_t msg[32], uint8_t sig[64]);

/* party_pairs.c */
void qr_pairs_up(struct qr_party *p, uint16_t peer); /* new process at one side */
void qr_pairs_begin(struct qr_party *p);             /* what is due */
uint64_t qr_pairs_deadline(const struct qr_party *p);
void qr_pairs_drop(struct qr_party *p, uint16_t peer);  /* wipes the OT state with it */
void qr_pairs_close(struct qr_party *p, uint16_t peer); /* and what waits for it */
void qr_pairs_on_message(struct qr_party *p, struct qr_msg_in *m);
void qr_pairs_on_abort(struct qr_party *p, uint16_t peer, const uint8_t sid[32]);
void qr_pairs_tick(struct qr_party *p);
int qr_pairs_active(const struct qr_party *p, uint16_t peer);
int qr_pairs_retired(const struct qr_party *p, uint16_t i, uint16_t j);
/* A check failed with this peer: durable, announced, wiped; then the caller may answer. */
void qr_pairs_retire(struct qr_party *p, uint16_t peer);
/* Every retire notice we hold goes to a peer that came up. */
void qr_pairs_tell(struct qr_party *p, uint16_t peer);
void qr_pairs_on_retire(struct qr_party *p, struct qr_msg_in *m);
/* By administrators' command. */
qr_err QR_MUST qr_pairs_set_retired(struct qr_party *p, uint16_t i, uint16_t j, int retired);
/* Every pair inside the mask is not retired, everyone else in it is up, our pairs are active. */
int qr_pairs_set_usable(const struct qr_party *p, uint16_t mask);

/* party_batch.c */
void qr_batch_refill(struct qr_party *p);
void qr_batch_demand(struct qr_party *p, size_t key, uint16_t mask, size_t n);
void qr_batch_on_start(struct qr_party *p, struct qr_msg_in *m);
int qr_batch_on_message(struct qr_party *p, struct qr_msg_in *m); /* 0: no such session */
void qr_batch_on_done(struct qr_party *p, struct qr_msg_in *m);
void qr_batch_on_abort(struct qr_party *p, uint16_t from, const uint8_t sid[32], uint16_t code);
int qr_batch_work(struct qr_party *p);                 /* one quantum; 1: more to do */
void qr_batch_kill(struct qr_party *p, uint16_t mask); /* sessions whose set holds all of mask */
void qr_batch_tick(struct qr_party *p);
size_t qr_batch_running(const struct qr_party *p);
/*
 * Our preference among the sets we are in: rank 0 the hot one, 1 the standby; a mask, or 0 if there is
 * none. The hot one stays until a member is lost, slow or back from a restart.
 */
uint16_t qr_batch_set(struct qr_party *p, size_t key, unsigned rank, uint16_t excluded);

/* party_keygen.c */
/* why: empty, or what to tell whoever asked. */
qr_err QR_MUST qr_keygen_begin(struct qr_party *p, const struct qr_command *cmd, uint64_t ask,
                               char *why, size_t cap);
int qr_keygen_on_message(struct qr_party *p, struct qr_msg_in *m);
void qr_keygen_on_abort(struct qr_party *p, uint16_t from, const uint8_t sid[32]);
void qr_keygen_kill(struct qr_party *p, uint16_t peer);
void qr_keygen_tick(struct qr_party *p);
void qr_keygen_close(struct qr_party *p);
void qr_keygen_sync(struct qr_party *p, uint16_t peer);
void qr_keygen_on_sync(struct qr_party *p, struct qr_msg_in *m);

/* party_attest.c */
qr_err QR_MUST qr_attest_open(struct qr_party *p); /* what was remembered */
void qr_attest_start(struct qr_party *p);          /* before a net is made */
void qr_attest_ages(const struct qr_party *p, uint64_t *ret_reattest_ns, uint64_t *ret_evidence_ns);
/* Another policy came into force: all links are attested anew. */
void qr_attest_policy(struct qr_party *p);
qr_err qr_attest_evidence(void *party, const uint8_t binder[32], struct qr_buf *out);
qr_err qr_attest_verify(void *party, uint16_t peer, enum qr_platform platform,
                        const uint8_t boot_nonce[32], qr_view evidence, const uint8_t binder[32],
                        struct qr_claims *ret, char *why, size_t cap);
void qr_attest_up(struct qr_party *p, const struct qr_peer_info *info);
/*
 * Evidence for a client may be made now: devices answer a few requests a second, some hosts throttle them,
 * and the party waits for each. 16 at once, then two a second. RATE_LIMITED. The software TEE: always.
 */
qr_err QR_MUST qr_attest_may_show(struct qr_party *p);
void qr_attest_tick(struct qr_party *p);
/* Our own, as the peers see it; before our evidence was judged, as the platform tells it. */
const uint8_t *qr_attest_measurement(const struct qr_party *p);
/* STALE or ATTESTATION, with a sentence for whoever asked. */
qr_err QR_MUST qr_attest_may_keygen(const struct qr_party *p, char *why, size_t cap);
qr_err QR_MUST qr_attest_may_sign(const struct qr_party *p, uint16_t mask);

/* party_stage.c */
static inline uint64_t
qr_mono_ms(const struct qr_party *p)
{
    return p->now / MS;
}

static inline const struct qr_peers_times *
qr_times(const struct qr_party *p)
{
    return qr_peers_times(qr_policy_peers(p->policy));
}

/* No clock but ours is known, and the time is not before floor_ms; nobody has an age. */
void qr_stage_start(struct qr_party *p, int64_t floor_ms);
void qr_stage_read_clocks(struct qr_party *p);
/*
 * What requests and commands are judged by: our clock within what the quorum's clocks leave possible. Raises
 * started_ms when the bounds say that our clock was behind at the start.
 */
uint64_t qr_stage_now_ms(struct qr_party *p);
/* From when on nothing that ended before can be accepted again: what replay tables forget by. */
uint64_t qr_stage_floor_ms(const struct qr_party *p);
void qr_stage_watch_clocks(struct qr_party *p); /* reads, and tells when they part or meet */
void qr_stage_watch_ages(struct qr_party *p);
void qr_stage_tell(struct qr_party *p, uint16_t to); /* our clock */
void qr_stage_tell_all(struct qr_party *p);          /* when it is time to, or it was set */
void qr_stage_on_time(struct qr_party *p, struct qr_msg_in *m);
/* STALE, with a sentence: no process that we have not seen comes in now, whatever it shows. */
qr_err QR_MUST qr_stage_may_enter(const struct qr_party *p, char *why, size_t cap);
/* "26 h", "12 min", "30 s" */
void qr_duration_text(uint64_t ms, char out[static 24]);

/* party_judge.c */
void qr_judge_start(struct qr_judgement *v); /* nothing is known of the request */
/* On OK the request stands in the replay table and *v says what it is. */
/* coordinator: 1 keeps room for the answer. */
qr_err QR_MUST qr_judge(struct qr_party *p, int coordinator, qr_view body, const qr_view *stamps,
                        size_t n, struct qr_judgement *v);

/* party_sign.c, party_member.c */
void qr_sign_ask(struct qr_party *p, uint64_t to, qr_view body, const qr_view *stamps, size_t n);
void qr_sign_on_request(struct qr_party *p, struct qr_msg_in *m);
void qr_sign_on_share(struct qr_party *p, struct qr_msg_in *m);
void qr_sign_peer_lost(struct qr_party *p, uint16_t peer, const char *why);
void qr_sign_pool_grew(struct qr_party *p);
void qr_sign_tick(struct qr_party *p);
size_t qr_sign_cached_len(size_t n);
qr_err QR_MUST qr_sign_init(struct qr_party *p);
void qr_sign_close(struct qr_party *p);
size_t qr_sign_running(const struct qr_party *p);

/* party_admin.c, party_query.c */
void qr_admin_ask(struct qr_party *p, uint64_t to, const struct qr_ask *ask);
void qr_admin_on_message(struct qr_party *p, struct qr_msg_in *m);
void qr_query_ask(struct qr_party *p, uint64_t to, const struct qr_ask *ask);

/* party.c */
void qr_party_answer_error(struct qr_party *p, uint64_t to, qr_err e, uint16_t party,
                           const char *detail);
void qr_party_answer_json(struct qr_party *p, uint64_t to, const char *json, size_t len);
void qr_party_abort(struct qr_party *p, uint16_t to, const uint8_t sid[32], enum qr_abort code);
/* Everything shared with a peer's old process is void. */
void qr_party_forget(struct qr_party *p, uint16_t peer, const char *why);
/* (Re)starts the network under the documents in force. */
qr_err QR_MUST qr_party_link(struct qr_party *p, char *err_text, size_t err_cap);

/* ---- party_release.c ---- */

/*
 * Makes a manifest count: body is its text, stamps its signature lines. *ret_same: it did already.
 * USAGE, MALFORMED, TOO_LARGE, ATTESTATION (the policy does not believe it), STORE, NO_MEMORY.
 */
qr_err QR_MUST qr_release_load(struct qr_party *p, const struct qr_ask *ask, int *ret_same,
                               char *why, size_t cap);
/* To a policy that just came into force: what it does not believe is dropped, and told. */
void qr_release_apply(struct qr_party *p);
/* From the store, before the policy is read. STORE_CORRUPT, NO_MEMORY. */
qr_err QR_MUST qr_release_open(struct qr_party *p);
void qr_release_close(struct qr_party *p); /* after the policy that points to them is gone */

/* ---- party_collateral.c ---- */

/* The answer to NEEDS, appended. What the platform says; NO_MEMORY. */
qr_err QR_MUST qr_party_needs(const struct qr_party *p, struct qr_dbuf *out);
/* Answers the question COLLATERAL. */
void qr_party_take_collateral(struct qr_party *p, uint64_t to, const struct qr_ask *ask);

#endif
