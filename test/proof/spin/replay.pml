/*
 * A trace of the simulator, replayed through the transitions of single_use.pml.
 *
 * The events stand in the file REPLAY_FILE, one a line: op and up to five numbers, as replay.py writes
 * them. Each must be a transition that the model allows where it comes; what is not is reported
 * (`REJECTED event why`) and the rest of its part skipped. There is nothing to choose, so the search
 * is one path; the last line must be `REPLAYED n`, else the search ended early.
 */
#define REPLAY
#define N 8
#define T 2
#define P 24
#define R 7
#define BOOTS 8
#include "single_use.pml"

#define OP_RESET 0
#define OP_BOOT 1     /* party */
#define OP_CRASH 2    /* process */
#define OP_MADE 3     /* presignature, process, owner's process, set */
#define OP_TAKEN 4    /* presignature, process */
#define OP_SHARE 5    /* presignature, process, context */
#define OP_DROPPED 6  /* presignature, process */
#define OP_RELEASED 7 /* process, context */

c_decl {
    \#include <stdio.h>
    \#include <stdlib.h>
    struct event { short op, a, b, c, d; };
    static struct event *ev;
    static int n_ev;
    static void load_events(void)
    {
        const char *name = getenv("REPLAY_FILE");
        FILE *f = fopen(name ? name : "events", "r");
        int op, a, b, c, d, cap = 0;
        if (!f) {
            printf("cannot read the events\n");
            exit(2);
        }
        while (fscanf(f, "%d %d %d %d %d", &op, &a, &b, &c, &d) == 5) {
            if (n_ev == cap) {
                cap = cap ? 2 * cap : 1024;
                ev = realloc(ev, cap * sizeof *ev);
            }
            ev[n_ev++] = (struct event){op, a, b, c, d};
        }
        fclose(f);
    }
}

int at;
byte op, a, b, c;
short d;
bit skipping;

/* Why a step is no transition: 1..6 are the claims. */
#define NO_PROCESS 10  /* the process does not run, or is of no member */
#define NOT_FRESH 11   /* this half was there before */
#define NOT_LAST 12    /* the owner's half before another member's */
#define NOT_HELD 13    /* not in this process's pool */
#define NOT_TAKEN 14   /* a share of what was not taken out of the pool */
#define NOT_ASKED 15   /* the owner did not spend it on this request */
#define NOT_RUNNING 16 /* no attempt of this process at this request */
#define NO_ROOM 17

#define ME pty[b]

inline reset()
{
    nq = 0; np = 0; issued = 0;
    i_ = 0;
    do
    :: i_ < Q -> pty[i_] = 0; alive[i_] = 0; fresh[i_] = 0; i_++
    :: else -> break
    od;
    i_ = 0;
    do
    :: i_ < P -> oq[i_] = 0; set[i_] = 0; sent[i_] = 0; i_++
    :: else -> break
    od;
    at_ = 0;
    do
    :: at_ < P * N -> h[at_] = 0; hp[at_] = 0; cx[at_] = 0; at_++
    :: else -> break
    od;
    at_ = 0;
    do
    :: at_ < Q * R -> rs[at_] = 0; cur[at_] = NOBODY; mv[at_] = 0; at_++
    :: else -> break
    od;
    at_ = 0;
    i_ = 0
}
short at_;

inline step()
{
    if
    :: op == OP_BOOT ->
        if
        :: CAN_BOOT -> boot(a); nq++
        :: else -> why = NO_ROOM
        fi
    :: op == OP_CRASH ->
        if
        :: CAN_CRASH(a) -> crash(a)
        :: else -> why = NO_PROCESS
        fi
    :: op == OP_MADE -> /* a presignature, b process, c owner's process, d set */
        if
        :: a >= P || b >= nq || c >= nq -> why = NO_ROOM
        :: else ->
            if
            :: a == np && b != c && CAN_MADE_FIRST(c, d, ME, b) -> made_first(c, d, ME, b)
            :: a == np && !(b != c && CAN_MADE_FIRST(c, d, ME, b)) ->
                if
                :: b == c -> why = NOT_LAST
                :: else -> why = NO_PROCESS
                fi
            :: a < np && (oq[a] != c || set[a] != d) -> why = NOT_FRESH
            :: a < np && oq[a] == c && set[a] == d && b != c ->
                if
                :: CAN_MADE_HALF(a, ME, b) -> made_half(a, ME, b)
                :: else -> why = NOT_FRESH
                fi
            :: a < np && oq[a] == c && set[a] == d && b == c ->
                count_missing(a);
                if
                :: CAN_MADE_OWNER(a) -> made_owner(a)
                :: else ->
                    if
                    :: missing_ > 0 -> why = NOT_LAST
                    :: else -> why = NOT_FRESH
                    fi
                fi;
                missing_ = 0
            :: a > np -> why = NO_ROOM
            fi
        fi
    :: op == OP_TAKEN -> /* a presignature, b process */
        if
        :: a < np && b < nq && alive[b] && h[I(a, ME)] == HELD && hp[I(a, ME)] == b ->
            take(a, ME)
        :: else -> why = NOT_HELD
        fi
    :: op == OP_SHARE -> /* a presignature, b process, c context */
        if
        :: !(a < np && b < nq && c < R) -> why = NOT_HELD
        :: else ->
            if
            :: h[I(a, ME)] != TAKEN || hp[I(a, ME)] != b ->
                /* Which claim this breaks, if it is one of them. */
                CLAIM(1, cx[I(a, ME)] == 0);
                CLAIM(3, alive[b] && hp[I(a, ME)] == b);
                CLAIM(NOT_TAKEN, false)
            :: h[I(a, ME)] == TAKEN && hp[I(a, ME)] == b && oq[a] == b ->
                /* The coordinator's: leaves what it tried before in this context. */
                if
                :: rs[J(b, c)] == DONE -> why = 6
                :: CAN_MOVE(b, c) -> move(b, c)
                :: CAN_BEGIN(b, c) -> begin(b, c)
                :: else -> skip
                fi;
                answer(a, ME, b, c);
                cur[J(b, c)] = a;
                sent[a] = sent[a] | (1 << c)
            :: h[I(a, ME)] == TAKEN && hp[I(a, ME)] == b && oq[a] != b ->
                /* A member's: the owner asked for it in this context. */
                if
                :: (sent[a] & (1 << c)) && ACCEPTS(b, a, ME) -> answer(a, ME, b, c)
                :: else ->
                    answer(a, ME, b, c);
                    CLAIM(NOT_ASKED, false)
                fi
            fi
        fi
    :: op == OP_DROPPED ->
        if
        :: b < nq && CAN_DROP(a, ME) && hp[I(a, ME)] == b -> drop(a, ME)
        :: else -> why = NOT_HELD
        fi
    :: op == OP_RELEASED -> /* a process, b context */
        if
        :: a < nq && b < R && CAN_RELEASE(a, b) ->
            c = cur[J(a, b)];
            released(a, b, c)
        :: else ->
            if
            :: a < nq && b < R && rs[J(a, b)] == DONE -> why = 6
            :: else -> why = NOT_RUNNING
            fi
        fi
    fi
}

active proctype world()
{
    c_code { load_events(); };
    do
    :: c_expr { now.at < n_ev } ->
        d_step {
            c_code {
                now.op = ev[now.at].op; now.a = ev[now.at].a; now.b = ev[now.at].b;
                now.c = ev[now.at].c; now.d = ev[now.at].d;
            };
            if
            :: op == OP_RESET -> reset(); skipping = 0
            :: op != OP_RESET && !skipping ->
                step();
                if
                :: why ->
                    c_code { printf("REJECTED %d %d\n", now.at, now.why); };
                    skipping = 1; why = 0
                :: else -> skip
                fi
            :: else -> skip
            fi;
            at++
        }
    :: else -> break
    od;
    c_code { printf("REPLAYED %d\n", now.at); }
}
