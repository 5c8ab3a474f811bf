/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ahci, as it is, on the host under sanitizers, with the AHCI adapter of QEMU's machine type
 * q35 (ich9-ahci at 00:1f.2, its ports ide.0 to ide.5): a disk with NCQ, and an ATAPI drive.
 */
// sources: lib/blockdrv/calls.c lib/blockdrv/driver.c lib/blockdrv/request.c lib/blockdrv/schedule.c lib/blockdrv/session.c
// sources: lib/blockdrv/open.c lib/blockdrv/remember.c lib/ipc/keep.c lib/blockdrv/scan.c lib/blockdrv/list.c lib/blockdrv/partition.c lib/blockdrv/gpt.c
// sources: lib/ring/ring.c lib/dma/dma.c lib/dma/dma_pool.c lib/dma/dma_import.c lib/c/strlcpy.c lib/c/crc32.c
// sources: drivers/block/ahci/main.c drivers/block/ahci/port.c drivers/block/ahci/command.c
// sources: drivers/block/ahci/recover.c drivers/block/ahci/identify.c tests/unit/qemu_machine.c
// cflags: -DXINIM_FAKE_SYSCALLS -D_GNU_SOURCE
#include "tests/unit/fake_kernel.h"

#include <cmocka.h>
#include <unistd.h>
#include "drivers/block/ahci/ahci.h"
#include "tests/unit/qemu_block.h"

static uint64_t base;

int ahci_map(x_handle_t device)
{
	int64_t address = x_device_map(device, AHCI_BAR, 0, 0);

	base = address;
	return address < 0 ? address : 0;
}

uint32_t hba_read(uint32_t offset) { return machine_read(base + offset, 4); }
void hba_write(uint32_t offset, uint32_t value) { machine_write(base + offset, 4, value); }

/* ------------------------------------------------------------------------------- tests */

static int life_suite(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_up), SUITE, cmocka_unit_test(ends), cmocka_unit_test(resets),
	};

	return cmocka_run_group_tests_name(variant->name, tests, NULL, NULL);
}

/* Taken out with requests under way, as far as QEMU can: the port's PHY is off for 20 ms. */
static void replugged(void **state)
{
	uint64_t epoch = cl.answer.msg.a[3], identity = cl.answer.msg.a[6];

	(void)state;
	for (uint32_t i = 0; i < 32; i++)
		send(i, BLOCK_READ, i * 4096, 4096, i * 4096);
	ring_publish(&cl.requests);
	fake_handle[cl.doorbell]->bits |= BLOCK_EVENT_RING;
	assert_int_equal(port_control(&hba.ports[0], "replug 20"), 0);
	assert_false(blockdrv_serving(0));
	for (iterate(); !blockdrv_serving(0); iterate())
		device_wait();
	suite_open("sda", 0);
	assert_true(cl.answer.msg.a[3] != epoch);
	assert_true(cl.answer.msg.a[6] == identity);
	load(200, 32);
	check_disk();
}

static int life_replugged(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(comes_up), cmocka_unit_test(replugged) };

	return cmocka_run_group_tests_name(variant->name, tests, NULL, NULL);
}

static int many_reads(int expected_bad)
{
	int wrong = 0;

	for (uint32_t i = 0; i < 64; i++)
		send(i, BLOCK_READ, i * 4096, 4096, i * 4096);
	for (unsigned done = run(); done < 64; done += run())
		device_wait();
	for (int i = 0; i < 64; i++)
		wrong += cl.status[i] != (i == expected_bad ? -X_EIO : 0);
	return wrong;
}

/* QEMU fails sector 80 once, 160 always (reads), 800 always (writes), and flushes twice. */
static void errors(void **state)
{
	(void)state;
	assert_int_equal(ask(BLOCK_FLUSH, 0, 0, 0), 0);
	assert_int_equal(many_reads(20), 0);
	assert_int_equal(many_reads(20), 0);
	assert_int_equal(ask(BLOCK_WRITE, 800 * 512, 512, 0), -X_EIO);
	assert_int_equal(ask(BLOCK_WRITE, 808 * 512, 512, 0), 0);
	assert_true(hba.ports[0].ncq);
	assert_true(machine_memory_untouched());
}

static int life_errors(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(comes_up), cmocka_unit_test(errors) };

	return cmocka_run_group_tests_name(variant->name, tests, NULL, NULL);
}

/* The ATAPI drives at the second and the third port have the beginning of the disk's file as their media. */
static void reads_media(void **state)
{
	uint8_t wanted[8192];
	uint64_t identity;

	(void)state;
	fill(wanted, sizeof(wanted), 5);
	assert_int_equal(pwrite(disk_file, wanted, sizeof(wanted), 1u << 20), sizeof(wanted));
	while (!blockdrv_serving(1)) {
		device_wait();
		iterate();
	}
	client_open("sdb", POOL);
	assert_int_equal(cl.answer.msg.status, 0);
	assert_int_equal((uint32_t)cl.answer.msg.a[1], 2048);
	assert_true(cl.answer.msg.a[2] >> 32 & BLOCK_INFO_READ_ONLY);
	assert_int_equal(ask(BLOCK_READ, 1u << 20, 8192, 4096), 0);
	assert_memory_equal(cl.data + 4096, wanted, 8192);
	assert_int_equal(ask(BLOCK_READ, 512, 2048, 0), -X_EINVAL);
	assert_int_equal(ask(BLOCK_WRITE, 0, 2048, 0), -X_EROFS);
	identity = cl.answer.msg.a[6];
	while (!blockdrv_serving(2)) {
		device_wait();
		iterate();
	}
	client_open("sdc", POOL);
	assert_int_equal(cl.answer.msg.status, 0);
	assert_true(cl.answer.msg.a[6] != identity); /* another serial number */
	assert_true(machine_memory_untouched());
}

static int life_media(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(comes_up), cmocka_unit_test(reads_media) };

	return cmocka_run_group_tests_name(variant->name, tests, NULL, NULL);
}

#define FILE_NODE "-blockdev", "driver=file,node-name=file,filename=FILE,discard=unmap"
#define RAW FILE_NODE, "-blockdev", "driver=raw,node-name=d,file=file,discard=unmap"
#define DISK "-device", "ide-hd,bus=ide.0,drive=d"

#define MEDIUM(node) "-blockdev", "driver=raw,size=8388608,read-only=on,file.driver=file,file.filename=FILE,file.locking=off,node-name=" node
#define ONCE(n, type, at) "inject-error." n ".event=none,inject-error." n ".iotype=" type ",inject-error." n ".sector=" at \
	",inject-error." n ".once=on,"

static const struct variant variants[] = {
	{ "ahci", { RAW, DISK }, true, life_suite, 200, 40 },
	{ "ahci, INTx", { RAW, DISK }, false, life_suite, 0, 20 },
	{ "ahci, replugged", { RAW, DISK }, true, life_replugged, 0, 0 },
	{ "ahci, errors under a load", { FILE_NODE, "-blockdev", "driver=blkdebug,node-name=d,image=file,"
		ONCE("0", "read", "70") ONCE("1", "write", "130") ONCE("2", "read", "400") ONCE("3", "write", "600")
		ONCE("4", "read", "777") ONCE("5", "write", "1000") ONCE("6", "write", "1300") ONCE("7", "read", "2000")
		"read-only=off", DISK }, true, life_errors_loaded, 0, 0 },
	{ "ahci, errors", { FILE_NODE, "-blockdev", "driver=blkdebug,node-name=d,image=file,"
		"inject-error.0.event=none,inject-error.0.iotype=read,inject-error.0.sector=80,inject-error.0.once=on,"
		"inject-error.1.event=none,inject-error.1.iotype=read,inject-error.1.sector=160,"
		"inject-error.2.event=none,inject-error.2.iotype=write,inject-error.2.sector=800,"
		"inject-error.3.event=none,inject-error.3.iotype=flush,inject-error.3.once=on,"
		"inject-error.4.event=none,inject-error.4.iotype=flush,inject-error.4.once=on", DISK }, true, life_errors, 0, 0 },
	{ "ahci, two media", { RAW, DISK, MEDIUM("cd1"), "-device", "ide-cd,bus=ide.1,drive=cd1", MEDIUM("cd2"),
		"-device", "ide-cd,bus=ide.2,drive=cd2" }, true, life_media, 0, 0 },
};

int main(void)
{
	accesses_max = 2000;
	return run_variants(variants, sizeof(variants) / sizeof(variants[0]), 31, 2);
}
