/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_blk, as it is, on the host under sanitizers, with QEMU's virtio-blk-pci.
 */
// sources: lib/blockdrv/calls.c lib/blockdrv/driver.c lib/blockdrv/request.c lib/blockdrv/schedule.c lib/blockdrv/session.c
// sources: lib/blockdrv/open.c lib/blockdrv/remember.c lib/ipc/keep.c lib/blockdrv/scan.c
// sources: lib/blockdrv/list.c lib/blockdrv/partition.c lib/blockdrv/gpt.c lib/ring/ring.c
// sources: lib/dma/dma.c lib/dma/dma_pool.c lib/dma/dma_import.c lib/virtio/bring_up.c lib/virtio/virtqueue.c lib/virtio/packed.c
// sources: lib/virtio/virtio_pci.c drivers/block/virtio_blk/main.c drivers/block/virtio_blk/queue.c lib/c/strlcpy.c lib/c/crc32.c
// sources: tests/unit/qemu_machine.c
// cflags: -DXINIM_FAKE_SYSCALLS -D_GNU_SOURCE
#include "tests/unit/fake_kernel.h"

#include <cmocka.h>
#include <unistd.h>
#include "drivers/block/virtio_blk/virtio_blk.h"
#include "tests/unit/qemu_block.h"

/* ---- lib/virtio/registers.h ---- */

static uint64_t address(const struct virtio_region *r, uint32_t at, uint32_t width)
{
	assert_true(at + width <= r->bytes && at % width == 0);
	return (uintptr_t)r->base + at;
}

uint8_t reg_read8(const struct virtio_region *r, uint32_t at) { return machine_read(address(r, at, 1), 1); }
uint16_t reg_read16(const struct virtio_region *r, uint32_t at) { return machine_read(address(r, at, 2), 2); }
uint32_t reg_read32(const struct virtio_region *r, uint32_t at) { return machine_read(address(r, at, 4), 4); }
void reg_write8(const struct virtio_region *r, uint32_t at, uint8_t value) { machine_write(address(r, at, 1), 1, value); }
void reg_write16(const struct virtio_region *r, uint32_t at, uint16_t value) { machine_write(address(r, at, 2), 2, value); }
void reg_write32(const struct virtio_region *r, uint32_t at, uint32_t value) { machine_write(address(r, at, 4), 4, value); }

/* ------------------------------------------------------------------------------- tests */

static int life_suite(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_up), SUITE, cmocka_unit_test(ends), cmocka_unit_test(resets),
	};

	return cmocka_run_group_tests_name(variant->name, tests, NULL, NULL);
}

static void only_reads(void **state)
{
	(void)state;
	assert_int_equal(ask(BLOCK_WRITE, 0, now.block, 0), -X_EROFS);
	assert_int_equal(ask(BLOCK_DISCARD, 0, now.block, 0), -X_EROFS);
	assert_int_equal(ask(BLOCK_READ, 0, now.block, 0), 0);
}

static int life_read_only(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(comes_up), cmocka_unit_test(only_reads) };

	return cmocka_run_group_tests_name(variant->name, tests, NULL, NULL);
}

/* QEMU fails sector 8 once, 16 always (reads), 24 always (writes), and flushes twice. */
static void errors(void **state)
{
	(void)state;
	assert_int_equal(ask(BLOCK_FLUSH, 0, 0, 0), 0);
	assert_int_equal(ask(BLOCK_READ, 8 * 512, 512, 0), 0);
	for (uint32_t i = 0; i < 64; i++)
		send(i, BLOCK_READ, i * 512, 512, i * 512);
	for (unsigned done = run(); done < 64; done += run())
		device_wait();
	for (uint32_t i = 0; i < 64; i++)
		assert_int_equal(cl.status[i], i == 16 ? -X_EIO : 0);
	assert_int_equal(ask(BLOCK_WRITE, 24 * 512, 512, 0), -X_EIO);
	assert_int_equal(ask(BLOCK_WRITE, 32 * 512, 512, 0), 0);
	assert_true(machine_memory_untouched());
}

static int life_errors(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(comes_up), cmocka_unit_test(errors) };

	return cmocka_run_group_tests_name(variant->name, tests, NULL, NULL);
}

#define FILE_NODE "-blockdev", "driver=file,node-name=file,filename=FILE,discard=unmap"
#define RAW(more) FILE_NODE, "-blockdev", "driver=raw,node-name=d,file=file,discard=unmap" more
#define DEVICE(more) "-device", "virtio-blk-pci,addr=2,disable-legacy=on,drive=d" more

#define ONCE(n, type, at) "inject-error." n ".event=none,inject-error." n ".iotype=" type ",inject-error." n ".sector=" at \
	",inject-error." n ".once=on,"

static const struct variant variants[] = {
	{ "virtio-blk", { RAW(""), DEVICE("") }, true, life_suite, 80, 40 },
	{ "virtio-blk, packed, four queues of 64", { RAW(""), DEVICE(",packed=on,num-queues=4,queue-size=64") }, true, life_suite, 0, 20 },
	{ "virtio-blk, INTx", { RAW(""), DEVICE(",vectors=0") }, false, life_suite, 0, 20 },
	{ "virtio-blk, neither event index nor indirect, queue of 16, blocks of 4096",
	  { RAW(""), DEVICE(",event_idx=off,indirect_desc=off,num-queues=1,queue-size=16,discard=off,write-zeroes=off,write-cache=off,"
			    "logical_block_size=4096,physical_block_size=4096") }, true, life_suite, 0, 20 },
	{ "virtio-blk, read only", { RAW(",read-only=on"), DEVICE("") }, true, life_read_only, 0, 0 },
	{ "virtio-blk, errors under a load", { FILE_NODE, "-blockdev", "driver=blkdebug,node-name=d,image=file,"
		ONCE("0", "read", "70") ONCE("1", "write", "130") ONCE("2", "read", "400") ONCE("3", "write", "600")
		ONCE("4", "read", "777") ONCE("5", "write", "1000") ONCE("6", "write", "1300") ONCE("7", "read", "2000")
		"read-only=off", DEVICE("") }, true, life_errors_loaded, 0, 0 },
	{ "virtio-blk, errors", { FILE_NODE, "-blockdev", "driver=blkdebug,node-name=d,image=file,"
		"inject-error.0.event=none,inject-error.0.iotype=read,inject-error.0.sector=8,inject-error.0.once=on,"
		"inject-error.1.event=none,inject-error.1.iotype=read,inject-error.1.sector=16,"
		"inject-error.2.event=none,inject-error.2.iotype=write,inject-error.2.sector=24,"
		"inject-error.3.event=none,inject-error.3.iotype=flush,inject-error.3.once=on,"
		"inject-error.4.event=none,inject-error.4.iotype=flush,inject-error.4.once=on", DEVICE("") }, true, life_errors, 0, 0 },
};

int main(void)
{
	accesses_max = 400;
	return run_variants(variants, sizeof(variants) / sizeof(variants[0]), 2, 0);
}
