# Quorate. `make help` lists the targets and the variables.
#
# One Makefile, not recursive. The layers stand in dependency order in LAYERS; a source file is built
# because it lies in its layer's folder. Everything goes to build/, nothing to the source tree.
# Compiler flags and libraries are asked for once (deploy/probe.sh, cached in build/probe-*.mk).

SHELL := /bin/bash
comma := ,
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules --no-print-directory
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
# As many jobs as processors, unless the command line says otherwise.
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(JOBS)
endif

CONF  ?= release
ifeq ($(origin CC),default)
CC    := cc
endif
ifeq ($(origin AR),default)
AR    := ar
endif
V     ?= 0
Q     := $(if $(filter 1,$(V)),,@)
COMMA := ,
WERROR ?= -Werror
BUILD ?= build/$(CONF)
# The release binaries stand where README says; those of other configurations beside their objects.
BIN   := $(if $(filter build/release,$(BUILD)),build/bin,$(BUILD)/bin)

ifeq ($(filter $(CONF),release debug asan tsan cov verify fuzz msan int),)
$(error CONF=$(CONF) is none of release, debug, asan, tsan, cov, verify, fuzz, msan, int)
endif
ifeq ($(wildcard .git),)
SOURCE_DATE_EPOCH ?= 0
else
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
endif
export SOURCE_DATE_EPOCH

.PHONY: all
all: ## build the library and the programs (the default)

# ---- dependencies and probing ---------------------------------------------------------------------
# Made before anything else is: make builds this file, then starts over with it. Its rule installs
# missing packages first, so that a new machine needs no more than git and make.
PROBE := build/probe-$(notdir $(firstword $(CC))).mk
NO_PROBE := help demo-stop clean deps format format-check nightly
ifneq ($(if $(MAKECMDGOALS),$(filter-out $(NO_PROBE),$(MAKECMDGOALS)),all),)
include $(PROBE)
endif

# A package installed, upgraded or removed is a reason to ask again; asking takes half a second, and
# the file is only written when an answer changed.
$(PROBE): deploy/probe.sh deploy/deps.sh $(wildcard /var/lib/dpkg/status)
	@mkdir -p $(@D)
	@deploy/deps.sh build
	@new=$@.$$$$; deploy/probe.sh '$(CC)' > $$new || { rm -f $$new; exit 1; }; \
	 cmp -s $$new $@ && rm $$new && touch $@ || mv $$new $@

# ---- flags ----------------------------------------------------------------------------------------
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
        -Wold-style-definition -Wundef -Wvla -Wcast-qual -Wwrite-strings -Wpointer-arith -Wformat=2 \
        -Wnull-dereference -Wimplicit-fallthrough -Wdouble-promotion -Wdate-time \
        -Wno-missing-field-initializers $(PROBED_WARN) \
        $(WERROR)
# All of it together costs 1 to 2 % of a signature's CPU (gcc 12, t = 2, both halves), so that no file
# is exempt. A file that needs a flag of its own gets CFLAGS_NAME := ... here, with the reason.
HARD := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 $(PROBED_HARD)

SAN_asan := -fsanitize=address,undefined -fno-sanitize-recover=all
SAN_tsan := -fsanitize=thread
# int: clang only. Wrapping that is meant stands in test/integer.list, with the reason.
SAN_int  := -fsanitize=undefined,integer,implicit-conversion,nullability -fno-sanitize=unsigned-shift-base \
            -fsanitize-ignorelist=test/integer.list
SAN_cov  := --coverage
# clang's; for `make ctime` alone, because it must not see uninstrumented libraries (test/ctime).
SAN_msan := -fsanitize=memory
SAN_fuzz := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
OPT_release := -O2 $(HARD)
OPT_debug   := -O0
OPT_verify  := -O1 -DQR_VERIFY_BUILD=1
OPT_asan    := -O1 -fno-omit-frame-pointer
OPT_tsan    := -O1 -fno-omit-frame-pointer
OPT_int     := -O1 -fno-omit-frame-pointer
OPT_cov     := -O0
OPT_msan    := -O2 -fno-omit-frame-pointer -include test/ctime/msan.h
OPT_fuzz    := -O1 -fno-omit-frame-pointer -DQR_VERIFY_BUILD=1

# Flags that generated code gets as well; WARN is for our own files only.
BASE_CFLAGS := -std=c11 -D_GNU_SOURCE -g -fPIE -fno-strict-aliasing -fno-common \
               -ffile-prefix-map=$(CURDIR)=. $(OPT_$(CONF)) $(SAN_$(CONF))
CFLAGS_ALL  := $(BASE_CFLAGS) $(WARN) -I. -I$(BUILD)/gen $(PKG_CFLAGS) $(CFLAGS)
LDFLAGS_ALL  = -pie $(PROBED_LINK) $(SAN_$(CONF)) $(LDFLAGS)
NNG         := -lnng
LIBS         = $(PKG_LIBS) $(NNG) -lpthread

# ---- sources --------------------------------------------------------------------------------------
LAYERS    := protocol/base proto protocol transport enclave-shim/verify enclave-shim \
             $(addprefix enclave-shim/,eif pump tpm tsm sim nitro snp tdx azure gcp) daemon daemon/client daemon/facade
PROTOS    := $(sort $(wildcard proto/*.proto))
GEN_C     := $(PROTOS:%.proto=$(BUILD)/gen/%.pb-c.c)
GEN_H     := $(GEN_C:.c=.h)
LIB_SRC   := $(foreach d,$(LAYERS),$(sort $(wildcard $(d)/*.c)))
# Not in the library: files with main(), the gateway's own (they alone know libmicrohttpd), the CLI's.
MAIN_SRC  := $(sort $(wildcard daemon/main_*.c))
GW_SRC    := $(sort $(wildcard daemon/gw_*.c))
CTL_SRC   := $(sort $(wildcard daemon/ctl_*.c))
UD_SRC    := $(sort $(wildcard daemon/ud_*.c))
LOAD_SRC  := $(sort $(wildcard bench/load*.c))
LIB_OBJ   := $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(MAIN_SRC) $(GW_SRC) $(CTL_SRC) $(UD_SRC),$(LIB_SRC))) \
             $(GEN_C:.c=.o)
LIB       := $(BUILD)/libquorate.a
TEST_SRC  := $(filter-out test/swtpm/% test/vm/%,$(sort $(wildcard test/*/test_*.c)))
# Need a swtpm or a guest; test-swtpm, test-vm and test-nitro run them, `make test` does not.
SWTPM_SRC := $(sort $(wildcard test/swtpm/test_*.c))
VM_SRC    := $(sort $(wildcard test/vm/test_*.c))
# The template back end is the tests' alone: no program may contain it (test/check_link.sh).
TEST_AUX  := $(sort $(wildcard test/common/*.c enclave-shim/template/*.c))
TEST_LIB  := $(BUILD)/libtest.a
TEST_BIN  := $(TEST_SRC:%.c=$(BUILD)/%)
SWTPM_BIN := $(SWTPM_SRC:%.c=$(BUILD)/%)
VM_BIN    := $(VM_SRC:%.c=$(BUILD)/%)
BENCH_SRC := $(sort $(wildcard bench/bench_*.c))
BENCH_AUX := $(sort $(wildcard bench/common_*.c))
BENCH_BIN := $(BENCH_SRC:%.c=$(BUILD)/%)
FUZZ_SRC  := $(sort $(wildcard test/fuzz/fuzz_*.c))
FUZZ_AUX  := $(sort $(wildcard test/fuzz/kit*.c))
FUZZ_BIN  := $(FUZZ_SRC:%.c=$(BUILD)/%)
OWN_SRC   := $(wildcard test/sim/*.c test/daemon/anomaly_*.c) $(LIB_SRC) $(TEST_SRC) $(SWTPM_SRC) $(VM_SRC) $(TEST_AUX) $(BENCH_SRC) $(BENCH_AUX) $(LOAD_SRC) $(FUZZ_SRC) $(FUZZ_AUX)
FORMATTED := $(sort $(wildcard $(addsuffix /*.[ch],$(LAYERS) enclave-shim/template test/* test/vm/* bench)))

# ---- programs -------------------------------------------------------------------------------------
# $(call program,NAME,SOURCES,LIBRARIES): a program exists once its main file does.
define program
ifneq ($(strip $(2)),)
PROGRAMS += $(BIN)/$(1)
$(BIN)/$(1): $(patsubst %.c,$(BUILD)/%.o,$(2)) $(LIB)
	@mkdir -p $$(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $$@ $$^ $$(LIBS) $(3)
endif
endef
PROGRAMS :=
# The party has nng inside it, without nng's TLS: transport/nng_no_tls.c says why.
$(BIN)/quorated: NNG := -l:libnng.a
$(eval $(call program,quorated,$(wildcard daemon/main_party.c) transport/nng_no_tls.c))
$(eval $(call program,quorate-gateway,$(and $(wildcard daemon/main_gateway.c),daemon/main_gateway.c $(GW_SRC)),$(PKG_LIBS_HTTP)))
$(eval $(call program,quorate,$(and $(wildcard daemon/main_ctl.c),daemon/main_ctl.c $(CTL_SRC)),$(PKG_LIBS_HTTP)))
$(eval $(call program,quorate-userdata,$(and $(wildcard daemon/main_userdata.c),daemon/main_userdata.c $(UD_SRC)),$(PKG_LIBS_HTTP)))
$(eval $(call program,quorate-pump,$(wildcard daemon/main_pump.c)))
$(eval $(call program,quorate-load,$(LOAD_SRC)))

# PID 1 of an enclave: static, of libc alone.
ifneq ($(wildcard daemon/main_init.c),)
PROGRAMS += $(BIN)/quorate-init
$(BIN)/quorate-init: $(BUILD)/daemon/main_init.o $(LIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -pie,$(LDFLAGS_ALL)) $(if $(SAN_$(CONF)),-pie,-static-pie) -o $@ $^
endif

# ---- the library for wallets ----------------------------------------------------------------------
# The verifier, and of proto/ and protocol/base/ what it needs, without libsodium. Nothing but
# quorate_verify.h's functions can be seen; the archive is one object, so that its other names cannot
# meet those of a wallet.
LIBDIR     := $(if $(filter build/release,$(BUILD)),build/lib,$(BUILD)/lib)
WALLET_SRC := $(sort $(wildcard enclave-shim/verify/*.c) $(wildcard proto/json_*.c) \
              $(addprefix protocol/base/,buf.c check.c enc.c err.c mem.c))
WALLET_OBJ := $(WALLET_SRC:%.c=$(BUILD)/pic/%.o)
WALLET_MAP := enclave-shim/verify/quorate_verify.map
WALLET_SO  := $(LIBDIR)/libquorate-verify.so.1
WALLET_A   := $(LIBDIR)/libquorate-verify.a
WALLET_EX  := $(BUILD)/enclave-shim/verify/example/wallet

# The client's library, in the same manner: what `quorate sign` is made of, without the verifier.
CLIENT_SRC := $(sort $(wildcard daemon/client/*.c)) proto/json_line.c proto/json_strict.c transport/address.c transport/attest_if.c \
              $(addprefix daemon/,addr.c admins.c btc_wire.c jsonw.c keccak.c keyjson.c loop.c preimage_712.c preimage_712_types.c \
              preimage_btc.c preimage_eth.c request.c request_item.c request_raw.c ripemd160.c roster.c stamp.c window.c) \
              $(addprefix protocol/,derive.c fq.c group.c ids.c key.c poly.c) \
              $(addprefix protocol/base/,buf.c check.c enc.c err.c hash.c mem.c rng.c secret.c)
CLIENT_OBJ := $(CLIENT_SRC:%.c=$(BUILD)/pic/%.o)
CLIENT_MAP := daemon/client/quorate_client.map
CLIENT_SO  := $(LIBDIR)/libquorate-client.so.1
CLIENT_A   := $(LIBDIR)/libquorate-client.a
CLIENT_LIBS := -lsecp256k1 -lsodium -lssl -lcrypto -ljansson -lpthread
CLIENT_EX  := $(BUILD)/daemon/client/example/sign

all: $(LIB) $(PROGRAMS) $(WALLET_SO) $(WALLET_A) $(CLIENT_SO) $(CLIENT_A)
	@:

# ---- rules ----------------------------------------------------------------------------------------
# Rewritten only when the compiler or its flags change; every object depends on it.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(CC) $(CFLAGS_ALL)' | cmp -s - $@ || printf '%s\n' '$(CC) $(CFLAGS_ALL)' > $@

# What `--version` and the benches print. The commit is marked "+" when the tree has changes. QR_COMMIT:
# said by who builds from a copy without .git.
$(BUILD)/gen/build_info.h: FORCE
	@mkdir -p $(@D)
	@{ c=$$QR_COMMIT; [ -n "$$c" ] || { c=$$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown); \
	  git diff --quiet HEAD 2>/dev/null || c=$$c+; }; \
	  echo '/* Made by the Makefile. */'; \
	  echo "#define QR_BUILD_COMMIT \"$$c\""; \
	  echo '#define QR_BUILD_CONF "$(CONF)"'; } > $@.$$$$; \
	cmp -s $@.$$$$ $@ && rm $@.$$$$ || mv $@.$$$$ $@

$(BUILD)/gen/%.pb-c.c $(BUILD)/gen/%.pb-c.h: %.proto | $(PROBE)
	@mkdir -p $(@D)
	$(Q)out=$$(protoc-c --c_out=$(BUILD)/gen $< 2>&1) || { echo "$$out"; exit 1; }

$(BUILD)/gen/%.o: $(BUILD)/gen/%.c $(BUILD)/flags
	$(Q)$(CC) $(BASE_CFLAGS) -I$(BUILD)/gen -c -o $@ $<

$(BUILD)/%.o: %.c $(BUILD)/flags | $(GEN_H) $(BUILD)/gen/build_info.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(CFLAGS_$(basename $(notdir $<))) -MMD -MP -c -o $@ $<

# Renamed into place, so that a build beside this one never links half an archive.
define archive
$(Q)rm -f $@.$$$$ && $(AR) crD $@.$$$$ $^ && mv $@.$$$$ $@
endef
$(LIB): $(LIB_OBJ)
	$(archive)

# Measured through libquorate.a already: no --coverage here.
$(BUILD)/pic/%.o: %.c $(BUILD)/flags | $(GEN_H) $(BUILD)/gen/build_info.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -fPIE $(SAN_cov),$(CFLAGS_ALL)) -fPIC -MMD -MP -c -o $@ $<

$(WALLET_SO): $(WALLET_OBJ) $(WALLET_MAP)
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -pie $(SAN_cov),$(LDFLAGS_ALL)) -shared -Wl,-soname,$(@F) \
	    -Wl,--version-script=$(WALLET_MAP) $(if $(SAN_$(CONF)),,-Wl,-z,defs) \
	    -o $@ $(WALLET_OBJ) -lcrypto -lcbor -ljansson
	$(Q)ln -sf $(@F) $(@:.1=)

$(WALLET_A): $(WALLET_OBJ)
	@mkdir -p $(@D)
	$(Q)ld -r -o $@.$$$$.o $^ && objcopy --wildcard --keep-global-symbol='quorate_*' $@.$$$$.o $(BUILD)/pic/quorate_verify.o && \
	    rm $@.$$$$.o && rm -f $@ && $(AR) crD $@ $(BUILD)/pic/quorate_verify.o

# Against the shared library alone, as a wallet is.
$(CLIENT_SO): $(CLIENT_OBJ) $(CLIENT_MAP)
	@mkdir -p $(@D)
	$(Q)$(CC) $(filter-out -pie $(SAN_cov),$(LDFLAGS_ALL)) -shared -Wl,-soname,$(@F) \
	    -Wl,--version-script=$(CLIENT_MAP) $(if $(SAN_$(CONF)),,-Wl,-z,defs) \
	    -o $@ $(CLIENT_OBJ) $(CLIENT_LIBS)
	$(Q)ln -sf $(@F) $(@:.1=)

$(CLIENT_A): $(CLIENT_OBJ)
	$(Q)ld -r -o $@.$$$$.o $^ && objcopy --wildcard --keep-global-symbol='quorate_*' $@.$$$$.o $(BUILD)/pic/quorate_client.o && \
	    rm $@.$$$$.o && rm -f $@ && $(AR) crD $@ $(BUILD)/pic/quorate_client.o

$(CLIENT_EX): daemon/client/example/sign.c daemon/client/quorate_client.h $(CLIENT_SO)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -Idaemon/client $(LDFLAGS_ALL) -o $@ $< -L$(LIBDIR) -lquorate-client

$(WALLET_EX): enclave-shim/verify/example/wallet.c enclave-shim/verify/quorate_verify.h $(WALLET_SO)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -Ienclave-shim/verify $(LDFLAGS_ALL) -o $@ $< -L$(LIBDIR) -lquorate-verify
$(BUILD)/test/verify/test_wallet: | $(WALLET_EX)

# The tests' and benches' helpers; an archive, so that a binary links those it uses.
$(TEST_LIB): $(TEST_AUX:%.c=$(BUILD)/%.o)
	$(archive)

# Fuzz targets. All may keep locked memory across fork (kit.h); some put themselves in the place of
# what stands below the code they test.
FUZZ_WRAP_party := qr_net_new qr_net_free qr_net_step qr_net_fd qr_net_deadline qr_net_is_up \
    qr_net_info qr_net_rtt_ns qr_net_queued qr_net_reserve qr_net_commit qr_net_cancel qr_net_send \
    qr_net_set_policy qr_net_ledger qr_msg_ref qr_msg_unref qr_store_open qr_store_close \
    qr_store_serial qr_store_root qr_store_put qr_store_del qr_store_commit qr_store_get \
    qr_store_scan qr_store_writable qr_store_error qr_tee_rng
FUZZ_WRAP_ctl_http := qr_stream_open connect
FUZZ_WRAP_ctl_file := qr_ctl_fail qr_ctl_warn
FUZZ_WRAP_case := qr_ctl_fail
FUZZ_WRAP_storewire := qr_mono_ns poll
FUZZ_WRAP_sigv4 := qr_client_key qr_client_sign qr_sigv4_check
FUZZ_WRAP_rpc := qr_client_key qr_client_sign
FUZZ_LIB := $(BUILD)/libfuzz.a
$(FUZZ_LIB): $(FUZZ_AUX:%.c=$(BUILD)/%.o) $(GW_SRC:%.c=$(BUILD)/%.o) $(CTL_SRC:%.c=$(BUILD)/%.o)
	$(archive)

$(BUILD)/test/fuzz/fuzz_%: $(BUILD)/test/fuzz/fuzz_%.o $(FUZZ_LIB) $(TEST_LIB) $(LIB)
	$(Q)$(CC) $(LDFLAGS_ALL) -fsanitize=fuzzer -Wl,-u,__wrap_madvise \
	    $(addprefix -Wl$(COMMA)--wrap=,madvise $(FUZZ_WRAP_$*)) \
	    -o $@ -Wl,--start-group $^ -Wl,--end-group $(PKG_LIBS_TEST) $(LIBS) $(PKG_LIBS_HTTP)

$(BUILD)/test/fuzz/seeds: $(BUILD)/test/fuzz/seeds.o $(FUZZ_LIB) $(TEST_LIB) $(LIB)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ -Wl,--start-group $^ -Wl,--end-group $(PKG_LIBS_TEST) $(LIBS) $(PKG_LIBS_HTTP)

# The API's description, as the numbers of an array: the gateway serves it.
$(BUILD)/gen/openapi.inc: daemon/openapi.json
	@mkdir -p $(@D)
	$(Q)od -An -v -tu1 $< | awk '{ for (i = 1; i <= NF; i++) printf "%s,", $$i; print "" }' > $@.$$$$ && mv $@.$$$$ $@
$(BUILD)/daemon/gw_openapi.o: | $(BUILD)/gen/openapi.inc

# Tests of the gateway and of the command line link those programs' own objects as well.
$(BUILD)/test/daemon/test_gw_%: $(BUILD)/test/daemon/test_gw_%.o $(GW_SRC:%.c=$(BUILD)/%.o) $(TEST_LIB) $(LIB)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS_TEST) $(LIBS) $(PKG_LIBS_HTTP)

$(BUILD)/test/daemon/test_ctl_%: $(BUILD)/test/daemon/test_ctl_%.o $(CTL_SRC:%.c=$(BUILD)/%.o) $(BUILD)/daemon/gw_render.o $(TEST_LIB) $(LIB)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS_TEST) $(LIBS) $(PKG_LIBS_HTTP)

# What answers a client comes from the gateway's writer.
$(BUILD)/test/daemon/test_client_%: $(BUILD)/test/daemon/test_client_%.o $(BUILD)/daemon/gw_render.o $(TEST_LIB) $(LIB)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS_TEST) $(LIBS)

$(BUILD)/test/daemon/test_facade_%: $(BUILD)/test/daemon/test_facade_%.o $(BUILD)/daemon/gw_render.o $(TEST_LIB) $(LIB)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS_TEST) $(LIBS) $(PKG_LIBS_HTTP)

# What quorate-userdata alone has.
$(BUILD)/test/daemon/test_ud_%: $(BUILD)/test/daemon/test_ud_%.o $(UD_SRC:%.c=$(BUILD)/%.o) $(TEST_LIB) $(LIB)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS_TEST) $(LIBS) $(PKG_LIBS_HTTP)

# The published cases go the way of `quorate verify`.
CASE_OBJ := $(addprefix $(BUILD)/daemon/,ctl_case.o ctl_report.o ctl_out.o)
$(BUILD)/test/verify/test_cases: $(BUILD)/test/verify/test_cases.o $(CASE_OBJ) $(TEST_LIB) $(LIB)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS_TEST) $(LIBS)
# Its wrappers time the signature checks inside a verification.
SIGNATURE_WRAP := $(addprefix -Wl$(comma)--wrap=,qr_evp_ecdsa_verify qr_evp_rsa_verify X509_verify X509_CRL_verify)
$(BUILD)/bench/bench_verify: $(BUILD)/bench/bench_verify.o $(CASE_OBJ) $(TEST_LIB) $(LIB)
	$(Q)$(CC) $(LDFLAGS_ALL) $(SIGNATURE_WRAP) -o $@ $^ $(PKG_LIBS_TEST) $(LIBS)

# What reaches the disks in memory of test/sim/disk.h instead of the system.
SIM_DISK      := $(BUILD)/test/sim/disk.o $(BUILD)/test/sim/disk_vfs.o
SIM_DISK_WRAP := $(addprefix -Wl$(comma)--wrap=,stat lstat open fchmod close fsync)
# The simulator stands between the daemon's files at these functions: test/sim/watch.c.
SIM_OBJ  := $(patsubst %.c,$(BUILD)/%.o,$(filter-out test/sim/test_%.c,$(wildcard test/sim/*.c)))
SIM_WRAP := $(addprefix -Wl$(comma)--wrap=,qr_net_new qr_net_reserve qr_net_commit qr_net_cancel \
    qr_net_send qr_presign_start qr_presign_recv qr_presign_work qr_cot_recv qr_pairs_retire qr_state_put qr_pool_add \
    qr_pool_take qr_pool_drop_parties qr_sign_share qr_policy_check_stamp \
    crypto_core_ristretto255_is_valid_point crypto_core_ristretto255_add \
    crypto_core_ristretto255_sub crypto_core_ristretto255_from_hash \
    crypto_scalarmult_ristretto255 crypto_scalarmult_ristretto255_base)
$(BUILD)/test/sim/sim: $(SIM_OBJ) $(TEST_LIB) $(LIB)
	$(Q)$(CC) $(LDFLAGS_ALL) $(SIM_DISK_WRAP) $(SIM_WRAP) -o $@ $^ $(PKG_LIBS_TEST) $(LIBS)

$(BUILD)/test/sim/test_%: $(BUILD)/test/sim/test_%.o $(SIM_DISK) $(TEST_LIB) $(LIB)
	$(Q)$(CC) $(LDFLAGS_ALL) $(SIM_DISK_WRAP) -o $@ $^ $(PKG_LIBS_TEST) $(LIBS)

# A life in which one thing fails; see test/daemon/anomaly_life.h.
ANOMALY      := $(patsubst %.c,$(BUILD)/%.o,$(wildcard test/daemon/anomaly_*.c))
ANOMALY_WRAP := $(addprefix -Wl$(comma)--wrap=,qr_locked_alloc qr_lib_alloc qr_lib_free qr_panic qr_sign_share \
    crypto_scalarmult_ristretto255 crypto_scalarmult_ristretto255_base \
    $(addprefix crypto_core_ristretto255_,from_hash add sub is_valid_point))
$(BUILD)/test/daemon/test_anomaly_%: $(BUILD)/test/daemon/test_anomaly_%.o $(ANOMALY) $(SIM_DISK) $(TEST_LIB) $(LIB)
	$(Q)$(CC) $(LDFLAGS_ALL) $(SIM_DISK_WRAP) $(ANOMALY_WRAP) -o $@ $^ $(PKG_LIBS_TEST) $(LIBS)

$(BUILD)/test/%: $(BUILD)/test/%.o $(TEST_LIB) $(LIB)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS_TEST) $(LIBS)

# One table of two hundred rows that clang instruments for minutes, when it optimises.
ifeq ($(CONF),fuzz)
$(BUILD)/test/common/fields.o: private CFLAGS_ALL += -O0
endif

# The suite over back ends has the gateway read what they need.
$(BUILD)/test/shim/test_conform $(BUILD)/test/shim/test_conform_nitro $(patsubst %.c,$(BUILD)/%,$(wildcard test/swtpm/test_conform*.c)): $(BUILD)/daemon/gw_need.o

# The parent's side of vsock for guests, and the smallest enclave's only program.
VSOCKD := $(BUILD)/test/vm/vsockd
$(VSOCKD): $(patsubst %.c,$(BUILD)/%.o,$(wildcard test/vm/vsock/*.c))
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^
PROBE_INIT := $(BUILD)/test/vm/probe
$(PROBE_INIT): $(patsubst %.c,$(BUILD)/%.o,test/vm/probe.c enclave-shim/nitro/nsm.c enclave-shim/nitro/nsm_dev.c protocol/base/buf.c protocol/base/err.c)
	@mkdir -p $(@D)
	$(Q)$(CC) -static -s -o $@ $^
# In the place of quorated, to see what quorate-init gives it.
$(BUILD)/test/vm/standin: $(BUILD)/test/vm/standin.o
	@mkdir -p $(@D)
	$(Q)$(CC) -static -s -o $@ $^
VM_BIN += $(VSOCKD) $(PROBE_INIT) $(BUILD)/test/vm/standin

# A party that believes throwaway roots (test/vm/testparty.c), and the key service it talks to.
TESTPARTY_WRAP := $(addprefix -Wl$(comma)--wrap=,qr_tee_nitro_open qr_report_open qr_roots_builtin qr_kms_roots_builtin)
$(BUILD)/test/vm/testparty: NNG := -l:libnng.a
$(BUILD)/test/vm/testparty: $(BUILD)/daemon/main_party.o $(BUILD)/transport/nng_no_tls.o \
    $(BUILD)/test/vm/testparty.o $(TEST_LIB) $(LIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) $(TESTPARTY_WRAP) -o $@ $^ $(PKG_LIBS_TEST) $(LIBS)
$(BUILD)/test/vm/kmsbox $(BUILD)/test/vm/sealer: $(BUILD)/test/vm/%: $(BUILD)/test/vm/%.o $(TEST_LIB) $(LIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS_TEST) $(LIBS)
$(BUILD)/test/vm/vtpmbox: $(BUILD)/test/vm/vtpmbox.o $(TEST_LIB) $(LIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS_TEST) $(LIBS)
$(BUILD)/test/vm/tsmguest: $(BUILD)/test/vm/tsmguest.o $(TEST_LIB) $(LIB)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS_TEST) $(LIBS)
VM_BIN += $(addprefix $(BUILD)/test/vm/,testparty vtpmbox kmsbox sealer tsmguest)
SWTPM_BIN += $(BUILD)/test/vm/testparty $(BUILD)/test/vm/vtpmbox

# The constant-time test: the linker puts a wrapper before each function in these two tables.
CTIME_SRC  := $(sort $(filter-out test/ctime/dudect%,$(wildcard test/ctime/*.c)))
CTIME_WRAP := $(shell sed -n 's/^\([a-zA-Z0-9_]\+\) .*/-Wl,--wrap=\1/p' test/ctime/boundary test/ctime/public)
$(BUILD)/test/ctime/ctime: $(CTIME_SRC:%.c=$(BUILD)/%.o) $(TEST_LIB) $(LIB)
	$(Q)$(CC) $(LDFLAGS_ALL) $(CTIME_WRAP) -o $@ $^ $(PKG_LIBS_TEST) $(LIBS)
$(BUILD)/test/ctime/dudect: $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard test/ctime/dudect*.c))) $(LIB)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS) -lm

# The calls that test/common/wiretap.c stands in front of, for the programs that use it.
WIRETAP_LINK := $(foreach f,qr_net_reserve qr_net_commit qr_net_cancel qr_net_send qr_store_put \
    qr_store_del qr_presign_work qr_pair_wipe qr_cot_recv \
    qr_link_sock_new,-Wl,--wrap=$(f))
# What test/common/clonerig.c stands in front of: a copied process keeps its memory, shares are counted.
CLONE_LINK := -Wl,--wrap=madvise -Wl,--wrap=qr_sign_share
$(BUILD)/test/attacks/%: LDFLAGS += $(WIRETAP_LINK) $(CLONE_LINK)
$(BUILD)/test/daemon/test_party_clone: LDFLAGS += $(CLONE_LINK)
$(BUILD)/test/daemon/test_party_ban% $(BUILD)/test/daemon/test_party_siege $(BUILD)/test/daemon/test_party_limits: LDFLAGS += $(WIRETAP_LINK)
$(BUILD)/test/shim/test_pump: LDFLAGS += -Wl,--wrap=send
$(BUILD)/test/verify/test_cert: LDFLAGS += -Wl,--wrap=X509_verify
$(BUILD)/test/daemon/test_party_admin: LDFLAGS += -Wl,--wrap=qr_store_put -Wl,--wrap=qr_store_del
$(BUILD)/test/daemon/test_platforms: LDFLAGS += -Wl,--wrap=qr_hello_binder

$(BUILD)/test/shim/test_tee_rng: LDFLAGS += -Wl,--wrap=qr_cpurand

# An RSA key takes a tenth of a second to make.
$(BUILD)/test/shim/test_nitro_tee $(BUILD)/test/shim/test_conform_nitro: LDFLAGS += -Wl,--wrap=EVP_PKEY_Q_keygen

# A verifier that forgets a check.
$(BUILD)/test/verify/test_verify: LDFLAGS += -Wl,--wrap=qr_verify_nitro

# Put before libc in the daemons that test/e2e/fault_*.py torment; not of the sanitizers.
INTERPOSE := $(BUILD)/test/e2e/rig/interpose.so
$(INTERPOSE): test/e2e/rig/interpose.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -O2 -g -fPIC -shared $(WARN) -o $@ $< -ldl -lpthread

$(BUILD)/bench/bench_%: $(BUILD)/bench/bench_%.o $(BENCH_AUX:%.c=$(BUILD)/%.o) $(TEST_LIB) $(LIB)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS_TEST) $(LIBS)

.PHONY: FORCE
FORCE:

-include $(wildcard $(patsubst %.c,$(BUILD)/%.d,$(OWN_SRC)) $(WALLET_OBJ:.o=.d) $(CLIENT_OBJ:.o=.d))

# ---- everything else is a phony target ------------------------------------------------------------
.PHONY: sim help deps proofs tests test check test-clients test-swtpm test-vm test-nitro artefacts gates demo demo-stop bench instructions asan tsan ctime dudect mutants fuzz fuzz-bins fuzz-coverage fuzz-seeds coverage nightly \
        format format-check lint clean install
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '%s\n' '' 'Variables:' \
	  '  CONF=release     or debug, asan, tsan, cov, verify' \
	  '  CC=cc            or gcc, clang' \
	  '  V=1              show the commands' \
	  '  JOBS=2           tests at a time, and jobs if there is no -j (default: processors)' \
	  '  WERROR=          warnings do not stop the build' \
	  '  TESTS="a b"      for test and check: only those whose path holds one of these words' \
	  '  KEEP=1           for demo: leave the quorum running' \
	  '  QUORATE_VECTORS  folder of the Wycheproof vectors (default ../shared/vectors)' \
	  '  QUORATE_EVIDENCE folder of real evidence (default ../shared/evidence)'

deps: ## install the Debian packages that are missing (needs root or sudo)
	@deploy/deps.sh build

tests: $(TEST_BIN) $(BUILD)/test/e2e/rig/interpose.so $(CLIENT_EX)

test: all tests ## build and run every test: units, model, end to end
	@BUILD=$(BUILD) BIN=$(BIN) JOBS=$(JOBS) test/run $(TESTS)

check: all tests ## the quick set only: units, under a minute
	@BUILD=$(BUILD) BIN=$(BIN) JOBS=$(JOBS) test/run --quick $(TESTS)

test-clients: all ## real clients against real daemons: the TypeScript package, unmodified others, a browser
	@BIN=$(BIN) JOBS=$(JOBS) test/clients/run.sh $(TESTS)

# The ladder of deploy/README.md. What is missing fails and says how to make it; nothing is skipped.
test-swtpm: all $(SWTPM_BIN) ## against a software TPM: quotes, sealing, certificates (swtpm)
	@deploy/deps.sh dev
	@BUILD=$(BUILD) BIN=$(BIN) JOBS=$(JOBS) test/run --set swtpm $(TESTS)

# One at a time: a guest has all processors, and its start is a figure.
test-vm: all $(VM_BIN) ## guests: measured boot, configfs-tsm, user data; needs `make artefacts`
	@deploy/deps.sh vm
	@BUILD=$(BUILD) BIN=$(BIN) JOBS=1 test/run --set vm $(TESTS)

test-nitro: all $(VM_BIN) ## our .eif in QEMU's nitro-enclave machine, and a quorum of three platforms; needs `make artefacts`
	@deploy/deps.sh vm
	@BUILD=$(BUILD) BIN=$(BIN) JOBS=1 test/run --set nitro $(TESTS)

artefacts: all ## QEMU, kernels and images for the guests, each once for its recipe, in build/artefacts
	@deploy/deps.sh vm
	@BUILD=$(BUILD) BIN=$(BIN) test/artefacts.sh $(TESTS)

gates: all ## includes, banned calls, headers, documents, what the programs link
	@export BUILD=$(BUILD) BIN=$(BIN); for g in test/check_*.sh; do "$$g" || bad="$$bad $$g"; done; \
	 [ -z "$$bad" ] || { echo "failed:$$bad"; exit 1; }

demo: all ## three parties make a key and sign; openssl verifies. KEEP=1 leaves them running
	@BIN=$(BIN) KEEP=$(KEEP) test/demo.sh

demo-stop: ## stop what `make demo KEEP=1` left running
	@BIN=$(BIN) sh -c '. test/quorum.sh && quorum_stop build/demo && rm -rf build/demo'

bench: all $(BENCH_BIN) ## measure; build/bench/*.jsonl
	@BUILD=$(BUILD) BIN=$(BIN) bench/run.sh

CHECK ?=
AGAINST ?=
instructions: ## count a signature's instructions; CHECK=1 against bench/instructions.base, AGAINST=REVISION
	@deploy/deps.sh dev
	@$(MAKE) $(BUILD)/bench/bench_protocol
	@BUILD=$(BUILD) CC='$(CC)' bench/instructions.sh $(if $(AGAINST),--against $(AGAINST),$(if $(CHECK),--check))

asan: ## the quick set under AddressSanitizer and UBSan
	@$(MAKE) CONF=asan check

tsan: ## the quick set under ThreadSanitizer, and a quorum's life; libraries' own races: test/tsan.supp
	@TSAN_OPTIONS='suppressions=$(CURDIR)/test/tsan.supp' $(MAKE) CONF=tsan check
	@PATIENCE=6 test/sanitized.sh tsan

integer: ## the units of base, proto and protocol under clang's checks of integer arithmetic
	@deploy/deps.sh dev
	@UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 $(MAKE) CONF=int CC=clang check TESTS="base/ proto/ protocol/"

# Compilers and optimisation levels; test/ctime/README.md.
CTIME ?= gcc-O2 clang-O3
ctime: ## what depends on secrets, as CTIME="gcc-O2 clang-O3" compile it; also gcc-O3, clang-O2, msan
	@deploy/deps.sh dev
	@SOURCES='$(filter-out $(MAIN_SRC) $(GW_SRC) $(CTL_SRC) $(UD_SRC),$(LIB_SRC))' JOBS=$(JOBS) test/ctime/run.sh $(CTIME)

DUDECT ?= 2000
dudect: ## time of secret-handling code, two classes of secrets compared; DUDECT=2000 samples a class
	@$(MAKE) $(BUILD)/test/ctime/dudect
	@$(BUILD)/test/ctime/dudect $(DUDECT)

# FUZZ_TOTAL=300: five minutes for all targets together, instead of FUZZ_SECONDS for each.
SEEDS ?= 200
sim: $(BUILD)/test/sim/sim ## whole quorums under SEEDS=200 plans of faults; or SEEDS=A..B
	@case '$(SEEDS)' in *..*) s='$(SEEDS)';; *) s=0..$$(($(SEEDS) - 1));; esac; \
	 $< --seeds "$$s" --jobs $(JOBS)

FUZZ_SECONDS ?= 60
FUZZ_TOTAL   ?=
FUZZ_TARGETS ?=
fuzz: ## each libFuzzer target for FUZZ_SECONDS=60, or all within FUZZ_TOTAL=; FUZZ_TARGETS="a b" (clang)
	@deploy/deps.sh dev
	@$(MAKE) CONF=fuzz CC=clang fuzz-bins
	@BUILD=build/fuzz SECONDS_EACH=$(FUZZ_SECONDS) TOTAL=$(FUZZ_TOTAL) TARGETS='$(FUZZ_TARGETS)' test/fuzz/run.sh

fuzz-coverage: ## lines of each parser's file that the fuzz targets' inputs reach (clang)
	@deploy/deps.sh dev
	@$(MAKE) CONF=fuzz CC=clang BUILD=build/fuzzcov SAN_fuzz='-fprofile-instr-generate -fcoverage-mapping' \
	    OPT_fuzz=-O0 WERROR= fuzz-bins
	@BUILD=build/fuzzcov test/fuzz/coverage.sh

fuzz-seeds: $(BUILD)/test/fuzz/seeds ## write the named seeds to test/fuzz/corpus again
	@$< test/fuzz/corpus

fuzz-bins: $(FUZZ_BIN)

MUTANTS ?=
mutants: $(BUILD)/test/sim/sim $(BUILD)/test/attacks/attack_demo ## protections removed one at a time: does the simulator notice? MUTANTS="a b"
	@BUILD=$(BUILD) JOBS=$(JOBS) SIM_LINK='$(CC) $(LDFLAGS_ALL) $(SIM_DISK_WRAP) $(SIM_WRAP)' \
	    SIM_OBJS='$(SIM_OBJ)' DEMO_LINK='$(CC) $(LDFLAGS_ALL) $(WIRETAP_LINK) $(CLONE_LINK)' \
	    DEMO_OBJS='$(BUILD)/test/attacks/attack_demo.o' \
	    LINK_LIBS='$(TEST_LIB) $(LIB) $(PKG_LIBS_TEST) $(LIBS)' test/mutants/run.sh $(MUTANTS)

coverage: ## line and branch coverage of the quick set, by file
	@$(MAKE) CONF=cov WERROR= check
	@BUILD=build/cov test/coverage.sh

PROOFS ?= cbmc spin
proofs: $(GEN_H) $(BUILD)/test/sim/sim ## bounded proofs, the model, traces through it; PROOFS="cbmc spin", PROOFS_LONG=1
	@deploy/deps.sh dev
	@BUILD=$(BUILD) JOBS=$(JOBS) test/proof/run.sh $(if $(PROOFS_LONG),--long) $(PROOFS)

nightly: ## what does not fit into .ci/run; up to eleven hours, with FUZZ_SECONDS=120 five
	@test/nightly.sh

format: ## lay out the C sources by .clang-format
	clang-format -i $(FORMATTED)

format-check: ## say which C sources .clang-format would change
	@clang-format --dry-run -Werror $(FORMATTED)

LINT ?=
lint: $(GEN_H) $(BUILD)/gen/build_info.h ## clang-tidy, cppcheck, gcc -fanalyzer, shellcheck; LINT="cppcheck" for one
	@deploy/deps.sh dev
	@BUILD=$(BUILD) JOBS=$(JOBS) test/lint.sh $(LINT)

PREFIX ?= /usr/local
install: all ## install programs, libraries and headers below DESTDIR and PREFIX=/usr/local
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin lib include)
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(WALLET_A) $(WALLET_SO) $(DESTDIR)$(PREFIX)/lib
	ln -sf $(notdir $(WALLET_SO)) $(DESTDIR)$(PREFIX)/lib/$(notdir $(WALLET_SO:.1=))
	install -m 644 $(CLIENT_A) $(CLIENT_SO) $(DESTDIR)$(PREFIX)/lib
	ln -sf $(notdir $(CLIENT_SO)) $(DESTDIR)$(PREFIX)/lib/$(notdir $(CLIENT_SO:.1=))
	install -m 644 enclave-shim/verify/quorate_verify.h daemon/client/quorate_client.h $(DESTDIR)$(PREFIX)/include

clean: ## remove build/
	rm -rf build
