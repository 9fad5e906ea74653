# Quorate. `make help` lists the targets.
CONF  ?= release
BUILD := build/$(CONF)
CC    ?= cc
V     ?= 0
Q     := $(if $(filter 1,$(V)),,@)

LAYERS := protocol/base proto protocol transport enclave-shim daemon
PKGS   := libsecp256k1 libsodium libcrypto libssl libprotobuf-c libzstd jansson inih sqlite3 libseccomp

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
        -Wundef -Wvla -Wcast-qual -Wwrite-strings -Wpointer-arith -Wformat=2 -Wimplicit-fallthrough -Werror
HARD := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fno-strict-aliasing -fno-common -fPIE
OPT_release := -O2 $(HARD)
OPT_asan    := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT_debug   := -O0
CFLAGS_ALL  := -std=c11 -D_GNU_SOURCE -g $(OPT_$(CONF)) $(WARN) -I. -I$(BUILD)/gen $(shell pkg-config --cflags $(PKGS)) $(CFLAGS)
LDFLAGS_ALL := $(if $(filter asan,$(CONF)),-fsanitize=address$(comma)undefined,) $(if $(filter release,$(CONF)),-pie -Wl$(comma)-z$(comma)relro$(comma)-z$(comma)now,) $(LDFLAGS)
comma := ,
LIBS := $(shell pkg-config --libs $(PKGS)) -lnng -lpthread

PROTOS  := $(sort $(wildcard proto/*.proto))
GEN_C   := $(PROTOS:%.proto=$(BUILD)/gen/%.pb-c.c)
GEN_H   := $(GEN_C:.c=.h)
LIB_SRC := $(foreach d,$(LAYERS),$(sort $(wildcard $(d)/*.c)))
# files with main() and the gateway's own (they link libmicrohttpd)
MAIN_SRC := $(wildcard daemon/main_*.c)
GW_SRC   := $(sort $(wildcard daemon/gw_*.c))
CTL_SRC  := $(sort $(wildcard daemon/ctl_*.c))
LIB_OBJ  := $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(MAIN_SRC) $(GW_SRC) $(CTL_SRC),$(LIB_SRC))) $(GEN_C:.c=.o)
LIB      := $(BUILD)/libquorate.a

TEST_SRC := $(sort $(wildcard test/*/test_*.c))
TEST_AUX := $(sort $(wildcard test/common/*.c))
TEST_BIN := $(TEST_SRC:%.c=$(BUILD)/%)
BENCH_SRC := $(sort $(wildcard bench/bench_*.c))
BENCH_BIN := $(BENCH_SRC:%.c=$(BUILD)/%)

.PHONY: all help
all: $(LIB)
	@:

help:
	@echo "make            build"

$(BUILD)/gen/%.pb-c.c $(BUILD)/gen/%.pb-c.h: %.proto
	@mkdir -p $(@D)
	$(Q)protoc-c --c_out=$(BUILD)/gen $<

$(BUILD)/gen/%.o: $(BUILD)/gen/%.c
	$(Q)$(CC) -std=c11 -O2 -g -fPIE $(if $(filter asan,$(CONF)),-fsanitize=address$(comma)undefined) -I$(BUILD)/gen -c -o $@ $<

$(BUILD)/%.o: %.c | $(GEN_H)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(LIB): $(LIB_OBJ)
	$(Q)rm -f $@ && $(AR) crD $@ $^

$(BUILD)/test/%: $(BUILD)/test/%.o $(TEST_AUX:%.c=$(BUILD)/%.o) $(LIB)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ -lcmocka $(LIBS)

$(BUILD)/bench/%: $(BUILD)/bench/%.o $(TEST_AUX:%.c=$(BUILD)/%.o) $(LIB)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
