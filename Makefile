# SPDX-License-Identifier: BSD-2-Clause
#
# XINIM's one Makefile. A directory with a file `manifest` is a service: all
# its C files, linked with lib/, make build/bin/<name>. `make help` lists the
# targets.

BUILD   := build
CC      := gcc
CLANG   := clang
MUSL    := musl-gcc
HOSTCC  := gcc
PYTHON  := /usr/bin/python3

MAKEFLAGS += -r
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
SHELL := /bin/bash

WARN := -Wall -Wextra -Werror
# No directory of the builder's in what is built: the same bytes everywhere.
REPRODUCIBLE := -ffile-prefix-map=$(CURDIR)=.
INCLUDE := -I. -Iinclude
DEPFLAGS = -MMD -MP

# ---------------------------------------------------------------- packages
# Everything the build and the tests use, by Debian package.
PACKAGES := gcc libc6-dev clang binutils qemu-system-x86 busybox-static musl-tools \
	fdisk gdisk util-linux util-linux-extra libcmocka-dev python3 python3-pytest python3-pytest-xdist gdb
BENCH_PACKAGES := kmod cpio iproute2 iputils-ping iperf3 python3-matplotlib
ISO_PACKAGES := grub-common grub-pc-bin grub-efi-amd64-bin xorriso mtools ovmf
STAMP := $(BUILD)/.packages

# All that is compiled depends on it, as the flags are in the Makefile.
$(STAMP): Makefile
	@mkdir -p $(BUILD)
	@tools/install-packages $(PACKAGES)
	@touch $@

# ------------------------------------------------------------------ kernel
KERNEL_SRC := $(wildcard kernel/core/*.c kernel/arch/x86_64/*.c)
KERNEL_ASM := $(wildcard kernel/arch/x86_64/*.S)
KERNEL_OBJ := $(patsubst %,$(BUILD)/%.o,$(KERNEL_SRC) $(KERNEL_ASM))
KERNEL_CFLAGS := -std=gnu11 -g $(REPRODUCIBLE) -O2 -ffreestanding -mcmodel=kernel -mno-red-zone -mgeneral-regs-only \
	-ffunction-sections -fdata-sections -fno-pic -fno-omit-frame-pointer -fno-asynchronous-unwind-tables -fstack-protector-strong \
	-mstack-protector-guard=global $(WARN) $(INCLUDE)
KERNEL_LD := kernel/arch/x86_64/kernel.ld
KERNEL_HOT := kernel/arch/x86_64/hot_text.ld kernel/arch/x86_64/hot_data.ld
KERNEL_LINK = $(CC) -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,max-page-size=4096 \
	-Wl,-z,noexecstack -Wl,--no-warn-rwx-segments -T $(KERNEL_LD)

$(BUILD)/kernel/%.c.o: kernel/%.c $(STAMP)
	@mkdir -p $(@D)
	@echo "  CC      $<"
	@$(CC) $(KERNEL_CFLAGS) $(DEPFLAGS) -c $< -o $@

$(BUILD)/kernel/%.S.o: kernel/%.S $(STAMP)
	@mkdir -p $(@D)
	@echo "  AS      $<"
	@$(CC) $(KERNEL_CFLAGS) $(DEPFLAGS) -D__ASSEMBLER__ -c $< -o $@

# Linked three times: with no symbol table, with one of the right size, with the
# right addresses.
$(BUILD)/xinim.elf: $(KERNEL_OBJ) $(KERNEL_LD) $(KERNEL_HOT) tools/ksyms.py
	@echo "  LINK    $@"
	@$(PYTHON) tools/ksyms.py </dev/null >$(BUILD)/ksyms0.S
	@$(CC) -c $(BUILD)/ksyms0.S -o $(BUILD)/ksyms0.o
	@$(KERNEL_LINK) $(KERNEL_OBJ) $(BUILD)/ksyms0.o -o $(BUILD)/xinim.pass1
	@nm -n $(BUILD)/xinim.pass1 | $(PYTHON) tools/ksyms.py >$(BUILD)/ksyms1.S
	@$(CC) -c $(BUILD)/ksyms1.S -o $(BUILD)/ksyms1.o
	@$(KERNEL_LINK) $(KERNEL_OBJ) $(BUILD)/ksyms1.o -o $(BUILD)/xinim.pass2
	@nm -n $(BUILD)/xinim.pass2 | $(PYTHON) tools/ksyms.py >$(BUILD)/ksyms2.S
	@$(CC) -c $(BUILD)/ksyms2.S -o $(BUILD)/ksyms2.o
	@$(KERNEL_LINK) $(KERNEL_OBJ) $(BUILD)/ksyms2.o -o $@

# ---------------------------------------------------------------- user space
USER_CFLAGS := -std=gnu11 -g $(REPRODUCIBLE) -O2 -ffreestanding -mgeneral-regs-only -fno-pic -fno-stack-protector -fno-omit-frame-pointer \
	-fno-asynchronous-unwind-tables $(WARN) $(INCLUDE)
LIB_OBJ := $(patsubst %,$(BUILD)/%.o,$(wildcard lib/*/*.c lib/*/*.S))
LIBXINIM := $(BUILD)/libxinim.a

# Services of your own, kept outside of this tree: `make EXTRA="/path/to/edu ..."` builds them
# into the archive too (docs/tutorial-driver.md). local/NAME links to each.
EXTRA ?=
LOCAL := $(patsubst %/,%,$(dir $(wildcard $(addsuffix /manifest,$(EXTRA)))))
$(foreach d,$(EXTRA),$(if $(wildcard $d/manifest),,$(error EXTRA: $d has no file `manifest`)))
$(shell rm -rf $(BUILD)/local && mkdir -p $(BUILD)/local $(foreach d,$(LOCAL),&& ln -s $(abspath $d) $(BUILD)/local/$(notdir $d)); \
	cmp -s $(BUILD)/.local - <<<"$(LOCAL)" || echo "$(LOCAL)" >$(BUILD)/.local)

MANIFESTS := $(wildcard servers/*/manifest fs/*/manifest drivers/*/*/manifest $(BUILD)/local/*/manifest)
SERVICE_DIRS := $(sort $(dir $(MANIFESTS)) servers/rs/)
service_name = $(notdir $(patsubst %/,%,$1))
SERVICES := $(foreach d,$(SERVICE_DIRS),$(call service_name,$d))

define user_rules
$(BUILD)/$1/%.c.o: $1/%.c $(STAMP)
	@mkdir -p $$(@D)
	@echo "  CLANG   $$<"
	@$(CLANG) $(USER_CFLAGS) $(DEPFLAGS) -c $$< -o $$@
$(BUILD)/$1/%.S.o: $1/%.S $(STAMP)
	@mkdir -p $$(@D)
	@$(CLANG) $(USER_CFLAGS) $(DEPFLAGS) -c $$< -o $$@
endef
$(foreach d,lib servers fs drivers tests/native bench $(BUILD)/local,$(eval $(call user_rules,$d)))

# Services whose manifest says `restart warm`: hooks at every store (lib/region/hooks.c),
# .data and .bss where lib/region/region.h says. `make WARM=` builds without hooks.
WARM := yes
WARM_HOOKS := -fsanitize=kernel-address $(foreach o,instrument-reads=0 instrumentation-with-call-threshold=0 \
	opt=1 opt-same-temp=1 opt-stack=1 opt-globals=0 globals=0 stack=0,-mllvm -asan-$o)
WARM_DIRS := $(if $(WARM),$(dir $(shell grep -ls '^restart warm' $(MANIFESTS) tests/native/*/manifest)))
WARM_LIB := $(BUILD)/libxinim-warm.a
WARM_LDFLAGS := -Wl,--section-start=.llvm.linkonce.b.scratch=0x0f000000 -Wl,-Tdata=0x10000000

# Not hooked: what keeps the log itself, and copies that log what they overwrite.
$(BUILD)/warm/lib/region/%.o $(BUILD)/warm/lib/c/memory.c.o: WARM_HOOKS := -fomit-frame-pointer
define warm_rules
$(BUILD)/warm/$1/%.c.o: $1/%.c $(STAMP)
	@mkdir -p $$(@D)
	@echo "  WARM    $$<"
	@$(CLANG) $(USER_CFLAGS) -DXINIM_WARM $$(WARM_HOOKS) $(DEPFLAGS) -c $$< -o $$@
$(BUILD)/warm/$1/%.S.o: $1/%.S $(STAMP)
	@mkdir -p $$(@D)
	@$(CLANG) $(USER_CFLAGS) $(DEPFLAGS) -c $$< -o $$@
endef
$(foreach d,lib servers fs drivers tests/native $(BUILD)/local,$(eval $(call warm_rules,$d)))

$(WARM_LIB): $(patsubst $(BUILD)/lib/%,$(BUILD)/warm/lib/%,$(LIB_OBJ))
	@echo "  AR      $@"
	@rm -f $@
	@ar rcs $@ $^

$(LIBXINIM): $(LIB_OBJ)
	@echo "  AR      $@"
	@rm -f $@
	@ar rcs $@ $^

# $1: directory, $2: warm/ or nothing, $3: library, $4: linker's options
define service_rule
$(BUILD)/bin/$(call service_name,$1): $(patsubst %,$(BUILD)/$2%.o,$(wildcard $1*.c)) $3
	@mkdir -p $$(@D)
	@echo "  LINK    $$@"
	@$(CLANG) -nostdlib -static -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-Ttext-segment=0x400000 $4 \
		$$(filter %.o,$$^) $3 -o $$@
endef
TEST_SERVICE_DIRS := $(dir $(wildcard tests/native/*/manifest))
$(foreach d,$(SERVICE_DIRS) $(TEST_SERVICE_DIRS),$(eval $(if $(filter $d,$(WARM_DIRS)),\
	$(call service_rule,$d,warm/,$(WARM_LIB),$(WARM_LDFLAGS)),$(call service_rule,$d,,$(LIBXINIM)))))

# ------------------------------------------------------------------- lwIP
# The network stack's protocols: fetched (tools/fetch-lwip), not part of this
# tree, built like the service that uses them. A file that wants malloc or any
# other libc function does not link.
LWIP := $(BUILD)/lwip
LWIP_SRC := $(addprefix src/core/,def.c dns.c inet_chksum.c init.c ip.c mem.c memp.c netif.c pbuf.c raw.c \
		stats.c sys.c tcp.c tcp_in.c tcp_out.c timeouts.c udp.c) \
	$(addprefix src/core/ipv4/,autoip.c dhcp.c etharp.c icmp.c igmp.c ip4.c ip4_addr.c ip4_frag.c) \
	$(addprefix src/core/ipv6/,dhcp6.c ethip6.c icmp6.c inet6.c ip6.c ip6_addr.c ip6_frag.c mld6.c nd6.c) \
	src/netif/ethernet.c
LWIP_INCLUDE := -I$(LWIP)/src/include -Iservers/net/lwip
NET_WARM := $(if $(filter servers/net/,$(WARM_DIRS)),warm/)
NET_CFLAGS := $(USER_CFLAGS) $(if $(NET_WARM),-DXINIM_WARM $(WARM_HOOKS)) $(LWIP_INCLUDE) -Ilib/c
LWIP_OBJ := $(patsubst %,$(BUILD)/$(NET_WARM)lwip-obj/%.o,$(LWIP_SRC))
LWIP_FETCHED := $(LWIP)/.fetched

$(LWIP_FETCHED): tools/fetch-lwip | $(STAMP)
	@echo "  FETCH   lwip"
	@tools/fetch-lwip $(BUILD)
	@touch $@
$(BUILD)/$(NET_WARM)lwip-obj/%.o: $(LWIP_FETCHED) Makefile
	@mkdir -p $(@D)
	@echo "  CLANG   lwip/$*"
	@$(CLANG) $(NET_CFLAGS) -Wno-tautological-constant-out-of-range-compare $(DEPFLAGS) -c $(LWIP)/$* -o $@
$(BUILD)/$(NET_WARM)servers/net/%.c.o: servers/net/%.c $(LWIP_FETCHED)
	@mkdir -p $(@D)
	@echo "  CLANG   $<"
	@$(CLANG) $(NET_CFLAGS) $(DEPFLAGS) -c $< -o $@
$(BUILD)/bin/net: $(LWIP_OBJ)

# ------------------------------------------------------------- personality
PERS_SRC := $(wildcard personality/linux/*.c)
PERS_ASM := $(wildcard personality/linux/*.S)
PERS_OBJ := $(patsubst %,$(BUILD)/%.o,$(PERS_SRC) $(PERS_ASM))
PERS_CFLAGS := -std=gnu11 -g $(REPRODUCIBLE) -O2 -ffreestanding -fpie -mgeneral-regs-only -fno-stack-protector \
	-fno-omit-frame-pointer -fno-asynchronous-unwind-tables -fvisibility=hidden $(WARN) $(INCLUDE)
PERSONALITY := $(BUILD)/personality/linux.elf

$(BUILD)/personality/%.c.o: personality/%.c $(STAMP)
	@mkdir -p $(@D)
	@echo "  CLANG   $<"
	@$(CLANG) $(PERS_CFLAGS) $(DEPFLAGS) -c $< -o $@
VDSO := $(BUILD)/personality/linux/vdso.so
$(BUILD)/personality/%.S.o: personality/%.S $(STAMP)
	@mkdir -p $(@D)
	@$(CLANG) $(PERS_CFLAGS) $(DEPFLAGS) -DVDSO_FILE='"$(VDSO)"' -c $< -o $@
$(BUILD)/personality/linux/vdso.S.o: $(VDSO)
$(VDSO): $(BUILD)/personality/linux/vdso/vdso.c.o personality/linux/vdso/vdso.ld
	@echo "  LINK    $@"
	@ld -shared -nostdlib --build-id=none -Bsymbolic --hash-style=both -soname linux-vdso.so.1 -z max-page-size=4096 \
		-z noexecstack -T personality/linux/vdso/vdso.ld $< -o $@.debug
	@strip --strip-all $@.debug -o $@
$(PERSONALITY): $(PERS_OBJ) personality/linux/linux.ld
	@echo "  LINK    $@"
	@ld -static -nostdlib --build-id=none -z noexecstack -z max-page-size=4096 --no-warn-rwx-segments \
		-T personality/linux/linux.ld $(PERS_OBJ) -o $@

# -------------------------------------------------------------- host tools
HOST_CFLAGS := -std=gnu11 -g -O2 $(WARN) $(INCLUDE)
FSYS_CORE := $(addprefix lib/fs/,access.c attr.c named.c names.c path.c rename.c xattr.c)
MINIX_CORE := $(addprefix fs/minix/,bitmap.c cache.c dir.c index.c inode.c known.c map.c op.c room.c super.c) $(FSYS_CORE)

$(BUILD)/tools/minixfs: $(wildcard tools/minixfs/*.c) $(MINIX_CORE) $(wildcard fs/minix/*.h lib/fs/*.h) include/xinim/error.h $(STAMP)
	@mkdir -p $(@D)
	@echo "  HOSTCC  $@"
	@$(HOSTCC) $(HOST_CFLAGS) $(filter %.c,$^) -o $@
$(BUILD)/tools/mkarchive: tools/mkarchive.c servers/rs/archive.c lib/c/crc32.c servers/rs/archive.h lib/c/crc32.h proto/archive.h $(STAMP)
	@mkdir -p $(@D)
	@echo "  HOSTCC  $@"
	@$(HOSTCC) $(HOST_CFLAGS) $(filter %.c,$^) -o $@

# ---------------------------------------------------------------- programs
$(BUILD)/user/svc: $(wildcard user/svc/*.[ch] proto/*.h) $(STAMP)
	@mkdir -p $(@D)
	@echo "  MUSL    $@"
	@$(MUSL) -static -O2 $(WARN) -I. $(filter %.c,$^) -o $@
$(BUILD)/user/blkctl: user/blkctl/blkctl.c proto/bdev.h proto/dev.h proto/file.h $(STAMP)
	@mkdir -p $(@D)
	@echo "  MUSL    $@"
	@$(MUSL) -static -O2 $(WARN) -I. -Iinclude $< -o $@

# The same code as the host's.
$(BUILD)/user/minixfs: $(wildcard tools/minixfs/*.c) $(MINIX_CORE) $(wildcard tools/minixfs/*.h fs/minix/*.h lib/fs/*.h) $(STAMP)
	@mkdir -p $(@D)
	@echo "  MUSL    $@"
	@$(MUSL) -static -std=gnu11 -O2 $(WARN) $(INCLUDE) $(filter %.c,$^) -o $@

GUEST_TESTS := $(patsubst tests/guest/%.c,$(BUILD)/guest/%,$(wildcard tests/guest/*.c))
$(BUILD)/guest/%: tests/guest/%.c $(wildcard tests/guest/*.h) $(STAMP)
	@mkdir -p $(@D)
	@echo "  MUSL    $@"
	@$(MUSL) -static -O1 -pthread $(WARN) -Itests/guest -I. -Iinclude $< -o $@

# ------------------------------------------------------- archive and image
ARCHIVE := $(BUILD)/xinim.archive
# Without what only debuggers read: the archive stays in memory.
STRIPPED := $(BUILD)/stripped
$(STRIPPED)/%: $(BUILD)/bin/%
	@mkdir -p $(@D)
	@strip --strip-debug $< -o $@
$(STRIPPED)/personality: $(PERSONALITY)
	@mkdir -p $(@D)
	@strip --strip-debug $< -o $@
$(ARCHIVE): $(BUILD)/tools/mkarchive $(foreach s,$(SERVICES),$(STRIPPED)/$s) $(STRIPPED)/personality $(MANIFESTS) $(BUILD)/.local
	@echo "  ARCHIVE $@"
	@$(BUILD)/tools/mkarchive $@ personality/linux=$(STRIPPED)/personality \
		$(foreach s,$(SERVICES),bin/$s=$(STRIPPED)/$s) \
		$(foreach m,$(MANIFESTS),manifest/$(call service_name,$(dir $m))=$m)

# Native programs that take the place of rs: archives of their own.
define native_rule
$(BUILD)/bin/$1: $(patsubst %,$(BUILD)/%.o,$(wildcard $2/*.c) tests/native/clone.c) $(LIBXINIM)
	@mkdir -p $$(@D)
	@echo "  LINK    $$@"
	@$(CLANG) -nostdlib -static -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-Ttext-segment=0x400000 \
		$$(filter %.o,$$^) $(LIBXINIM) -o $$@
$(BUILD)/$1.archive: $(BUILD)/tools/mkarchive $(BUILD)/bin/$1
	@echo "  ARCHIVE $$@"
	@$(BUILD)/tools/mkarchive $$@ bin/rs=$(BUILD)/bin/$1
endef
$(eval $(call native_rule,kbench,bench/kernel))
$(eval $(call native_rule,torture,tests/native/torture))
$(eval $(call native_rule,hoard,tests/native/hoard))
NATIVE_TESTS := $(BUILD)/torture.archive $(BUILD)/hoard.archive

IMAGE := $(BUILD)/xinim.img
$(IMAGE): $(BUILD)/tools/minixfs $(BUILD)/user/minixfs $(BUILD)/user/svc $(BUILD)/user/blkctl tools/mkimage $(shell find rootfs -type f 2>/dev/null)
	@echo "  IMAGE   $@"
	@tools/mkimage $(BUILD) $@

ISO := $(BUILD)/xinim.iso
$(ISO): $(BUILD)/xinim.elf $(ARCHIVE) $(IMAGE) tools/mkiso
	@tools/install-packages $(ISO_PACKAGES)
	@echo "  ISO     $@"
	@tools/mkiso $(BUILD) $@

ROOTFS := $(BUILD)/rootfs.img
$(ROOTFS): $(BUILD)/tools/minixfs $(BUILD)/user/minixfs $(BUILD)/user/svc tools/mkrootfs tools/rootfs-packages $(shell find rootfs -type f 2>/dev/null)
	@echo "  ROOTFS  $@"
	@tools/mkrootfs $(BUILD) $@ 512 tools/rootfs-packages
ROOTFS_MORE := $(BUILD)/rootfs-more.img
$(ROOTFS_MORE): $(BUILD)/tools/minixfs $(BUILD)/user/minixfs $(BUILD)/user/svc tools/mkrootfs tools/rootfs-packages tools/rootfs-more $(shell find rootfs -type f 2>/dev/null)
	@echo "  ROOTFS  $@"
	@tools/mkrootfs $(BUILD) $@ 1536 tools/rootfs-packages tools/rootfs-more

# ----------------------------------------------------------------- targets
.PHONY: all docs dist coverage coverage-guests soak iso demo run rootfs rootfs-more test unit check help clean compdb bench bench-blk bench-net bench-kernel bench-recovery
all: $(BUILD)/xinim.elf $(ARCHIVE) $(IMAGE) ## build everything

iso: $(ISO) ## a bootable image with GRUB, for BIOS and UEFI

run: all ## boot to a shell in QEMU (Ctrl-A X or `poweroff` leaves)
	@./xinim run

docs/linux-abi.md: personality/linux/syscalls.h tools/linuxabi.py
	@tools/linuxabi.py

docs: ## make the generated pages of docs/ anew
	@tools/linuxabi.py
	@tools/reference.py

check: ## documents: generated ones are fresh; what they name exists; functions of headers have comments
	@tools/linuxabi.py --check
	@tools/reference.py --check
	@tools/checkdocs.py
	@tools/checkapi.py

rootfs: all $(ROOTFS) ## a larger disk with Debian's own programs: ./xinim run --rootfs
rootfs-more: all $(ROOTFS_MORE) ## and one with gcc, git, gdb, strace, redis, nginx: ./xinim run --image build/rootfs-more.img

PORT ?= 8080
demo: all ## the same with a dashboard at http://localhost:8080 (PORT=N)
	@echo "XINIM's dashboard: http://localhost:$(PORT)  (a button makes a service fail)"
	@./xinim run --forward $(PORT):80 --append demo

# A service for the tests only; not in the archive.
TEST_SERVICES := $(foreach d,$(TEST_SERVICE_DIRS),$(BUILD)/bin/$(call service_name,$d))

test: all $(ISO) $(ROOTFS) $(GUEST_TESTS) $(NATIVE_TESTS) $(TEST_SERVICES) ## everything that CI runs
	@tests/run

SECONDS :=
SEED :=
soak: all ## everything at once for 600 s: load, kills, shortage (SECONDS=N SEED=N)
	@tests/soak/run $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

unit: ## only the unit tests on the host
	@tests/run --unit

BENCH_PROGRAMS := $(patsubst bench/programs/%.c,$(BUILD)/bench/%,$(wildcard bench/programs/*.c))
$(BUILD)/bench/%: bench/programs/%.c $(STAMP)
	@mkdir -p $(@D)
	@echo "  MUSL    $@"
	@$(MUSL) -static -O1 $(WARN) -Wno-unused-result $< -o $@

bench: all $(ROOTFS) $(BENCH_PROGRAMS) ## XINIM and Linux in turn on the same virtual machine
	@tools/install-packages $(BENCH_PACKAGES)
	@bench/run

bench-blk: all $(ROOTFS) ## only the disks' rows of it
	@tools/install-packages $(BENCH_PACKAGES)
	@bench/run disk

bench-net: all $(BENCH_PROGRAMS) ## only the network's rows of it (as root)
	@tools/install-packages $(BENCH_PACKAGES)
	@bench/run net

bench-kernel: all $(BUILD)/kbench.archive $(BUILD)/bench/costs ## exact costs of the kernel's paths
	@bench/kernel/run $(BUILD)

bench-recovery: all ## how long each service is away after its death, as a client sees it
	@bench/recovery/run

compdb: ## compile_commands.json for editors
	@$(PYTHON) tools/compdb.py >compile_commands.json

VERSION := $(shell sed -n 's/.*XINIM_VERSION "\(.*\)".*/\1/p' kernel/core/*.[ch])
dist: all ## what is given out: build/dist with ISO, kernel, archive, disk, checksums; reproducible
	@tools/install-packages $(ISO_PACKAGES)
	@tools/mkdist $(BUILD) $(VERSION)

coverage: $(STAMP) ## lines and branches that the unit tests reach: build/coverage/report.md
	@tools/coverage

coverage-guests: all $(ISO) $(ROOTFS) $(GUEST_TESTS) $(NATIVE_TESTS) $(TEST_SERVICES) ## and what guests reach in `make test`: build/coverage/guests.md
	@rm -rf $(BUILD)/coverage/guests
	-@XINIM_QEMU=$(CURDIR)/tools/qemu-covered tests/run
	@tools/coverage --guests

clean: ## remove what was built
	rm -rf $(BUILD)

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 22

-include $(shell find $(BUILD) \( -path $(BUILD)/peer -o -path $(BUILD)/rootfs-debian -o -path $(BUILD)/rootfs-more-debian \) -prune -o -name '*.d' -type f -print 2>/dev/null)
