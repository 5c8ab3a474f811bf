/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ahci with the block-driver library, over a model of the adapter with three
 * ports: an NCQ disk, a place without a disk, an old disk with LBA28 only. The
 * model executes commands on memory, fails them, stays busy, tells nonsense, and
 * can be plugged and unplugged. One driver lives through all tests, in order.
 */
// sources: lib/blockdrv/calls.c lib/blockdrv/driver.c lib/blockdrv/request.c lib/blockdrv/schedule.c lib/blockdrv/session.c
// sources: lib/blockdrv/open.c lib/blockdrv/remember.c lib/ipc/keep.c lib/blockdrv/scan.c lib/blockdrv/list.c lib/blockdrv/partition.c lib/blockdrv/gpt.c
// sources: lib/ring/ring.c lib/dma/dma.c lib/dma/dma_pool.c lib/dma/dma_import.c lib/c/strlcpy.c lib/c/crc32.c
// sources: drivers/block/ahci/main.c drivers/block/ahci/port.c drivers/block/ahci/command.c
// sources: drivers/block/ahci/recover.c drivers/block/ahci/identify.c
// cflags: -DXINIM_FAKE_SYSCALLS
#include "tests/unit/fake_kernel.h"

#include <cmocka.h>
#include "drivers/block/ahci/ahci.h"

#define PORTS 3u
#define DISK  (1u << 20)
#define POOL  (1u << 20)

void server_main(void);
static void device_run(void);
#include "tests/unit/block_suite.h"

/* ------------------------------------------------------------------------ the adapter */

static struct model_port {
	uint32_t reg[32];            /* by offset / 4 */
	bool present, ncq, never_ready, stalled;
	uint8_t disk[DISK];
	char serial;                 /* tells disks apart */
	unsigned fail_ncq, fail_dma; /* commands to be failed: with a task file error */
	unsigned fatal;              /* commands that end in a bus error */
	bool busy_after_error, short_transfer, clears_all;
	unsigned resets, identified, flushes, trims, ncq_done, dma_done;
	uint32_t failed;             /* a command has: nothing more is done until ST is 0 */
} port[PORTS];
static struct { uint32_t ghc, is, handoff; unsigned resets; bool gone; } adapter;

static uint32_t *reg(struct model_port *p, uint32_t offset) { return &p->reg[offset / 4]; }

static void raise(struct model_port *p, uint32_t cause)
{
	*reg(p, PORT_IS) |= cause;
	if (*reg(p, PORT_IS) & *reg(p, PORT_IE) && adapter.ghc & HBA_GHC_INTERRUPT) {
		adapter.is |= 1u << (p - port);
		if (hba.event)
			fake_handle[hba.event]->bits |= 1;
	}
}

/* Once there is memory for it. */
static void tell_signature(struct model_port *p)
{
	if (p->present && !p->never_ready && *reg(p, PORT_CMD) & PORT_CMD_FIS)
		*reg(p, PORT_SIG) = PORT_SIG_ATA;
}

static void link_up(struct model_port *p)
{
	*reg(p, PORT_SSTS) = p->present ? 0x123 : 0;
	*reg(p, PORT_SIG) = PORT_SIG_NONE;
	*reg(p, PORT_TFD) = p->present && !p->never_ready ? 0x50 : 0x80;
	*reg(p, PORT_CI) = *reg(p, PORT_SACT) = 0;
	p->failed = 0;
	if (!p->present)
		return;
	*reg(p, PORT_SERR) |= PORT_SERR_EXCHANGED;
	tell_signature(p);
	p->resets++;
}

static void plug(struct model_port *p, bool present)
{
	p->present = present;
	*reg(p, PORT_SSTS) = present ? 0x123 : 0;
	*reg(p, PORT_SERR) |= PORT_SERR_PHY | (present ? PORT_SERR_EXCHANGED : 0);
	raise(p, PORT_INT_PHY | (present ? PORT_INT_CONNECT : 0));
}

int ahci_map(x_handle_t device) { (void)device; return 0; }

uint32_t hba_read(uint32_t offset)
{
	if (adapter.gone)
		return ~0u;
	switch (offset) {
	case HBA_CAP: return HBA_CAP_NCQ | HBA_CAP_64 | HBA_CAP_STAGGERED | 31 << 8 | (PORTS - 1);
	case HBA_GHC: return adapter.ghc;
	case HBA_IS: return adapter.is;
	case HBA_PI: return (1u << PORTS) - 1;
	case HBA_CAP2: return HBA_CAP2_HANDOFF;
	case HBA_BOHC: return adapter.handoff;
	}
	assert_true(offset >= 0x100 && offset < HBA_PORT(PORTS));
	return port[(offset - 0x100) / 0x80].reg[(offset & 0x7f) / 4];
}

static void port_store(struct model_port *p, uint32_t offset, uint32_t value)
{
	uint32_t *r = reg(p, offset), old = *r;

	switch (offset) {
	case PORT_IS: *r &= ~value; return;
	case PORT_SERR: *r &= ~value; return;
	case PORT_CI: assert_true(*reg(p, PORT_CMD) & PORT_CMD_START); *r |= value; return;
	case PORT_SACT: *r |= value; return;
	case PORT_SCTL:
		*r = value;
		if ((old & 0xf) == PORT_SCTL_COMRESET && !(value & 0xf))
			link_up(p);
		if ((value & 0xf) == PORT_SCTL_OFF)
			*reg(p, PORT_SSTS) = 4;
		return;
	case PORT_CMD:
		value &= ~(PORT_CMD_RUNS | PORT_CMD_FIS_RUNS);
		if (value & PORT_CMD_START)
			value |= PORT_CMD_RUNS;
		else /* 3.3.7: they are cleared */
			*reg(p, PORT_CI) = *reg(p, PORT_SACT) = p->failed = 0;
		if (value & PORT_CMD_FIS)
			value |= PORT_CMD_FIS_RUNS;
		*r = value;
		tell_signature(p);
		return;
	}
	*r = value;
}

void hba_write(uint32_t offset, uint32_t value)
{
	if (offset == HBA_GHC) {
		adapter.ghc = value & ~HBA_GHC_RESET;
		if (value & HBA_GHC_RESET) {
			adapter.resets++;
			adapter.ghc = 0;
			for (uint32_t i = 0; i < PORTS; i++)
				link_up(&port[i]);
		}
	} else if (offset == HBA_IS) {
		adapter.is &= ~value;
	} else if (offset == HBA_BOHC) {
		adapter.handoff = value & ~HBA_BOHC_BIOS; /* the firmware lets go at once */
	} else if (offset >= 0x100) {
		port_store(&port[(offset - 0x100) / 0x80], offset & 0x7f, value);
	}
}

/* -------------------------------------------------------------------------- commands */

static void identify_data(struct model_port *p, uint16_t *w)
{
	uint64_t sectors = DISK / 512;

	p->identified++;
	memset(w, 0, 512);
	w[ID_SERIAL] = (uint16_t)(p->serial << 8 | 'n');
	w[ID_CAPABILITIES] = ID_BIT_DMA | ID_BIT_LBA;
	memcpy(&w[ID_SECTORS_28], &sectors, 4);
	if (!p->ncq)
		return;
	w[ID_QUEUE_DEPTH] = 31;
	w[ID_SATA] = ID_BIT_NCQ;
	w[ID_SUPPORTS_82] = w[ID_ENABLED_85] = ID_BIT_CACHE;
	w[ID_SUPPORTS_83] = 0x4000 | ID_BIT_LBA48;
	memcpy(&w[ID_SECTORS_48], &sectors, 8);
	w[ID_TRIM] = 1;
}

static uint64_t lba48(const uint8_t *f)
{
	return f[4] | f[5] << 8 | f[6] << 16 | (uint64_t)f[8] << 24 | (uint64_t)f[9] << 32 | (uint64_t)f[10] << 40;
}

/* Bytes moved between the disk at `lba` and the command's memory. */
static uint32_t move(struct model_port *p, const struct ahci_header *h, const struct ahci_table *t, uint64_t lba,
		     bool write)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < h->flags >> 16; i++) {
		uint8_t *data = (uint8_t *)(t->prd[i].base_lo | (uint64_t)t->prd[i].base_hi << 32);
		uint32_t bytes = t->prd[i].bytes + 1;

		assert_true(lba * 512 + sum + bytes <= DISK);
		if (write)
			memcpy(p->disk + lba * 512 + sum, data, bytes);
		else
			memcpy(data, p->disk + lba * 512 + sum, bytes);
		sum += bytes;
	}
	return sum;
}

static void task_file_error(struct model_port *p, uint32_t slot)
{
	p->failed |= 1u << slot;
	*reg(p, PORT_TFD) = p->busy_after_error ? 0x441 | PORT_TFD_BUSY : 0x441;
	*reg(p, PORT_CMD) = (*reg(p, PORT_CMD) & ~(0x1fu << 8)) | slot << 8;
	raise(p, PORT_INT_TASKFILE);
}

static uint8_t *memory_of(const struct ahci_table *t)
{
	return (uint8_t *)(t->prd[0].base_lo | (uint64_t)t->prd[0].base_hi << 32);
}

static bool should_fail(struct model_port *p, unsigned *left, uint32_t slot)
{
	if (!*left)
		return false;
	--*left;
	task_file_error(p, slot);
	return true;
}

/* False: it failed. */
static bool run_queued(struct model_port *p, const struct ahci_header *h, const struct ahci_table *t, uint32_t slot)
{
	const uint8_t *f = t->fis;
	uint32_t count = f[3] | f[11] << 8;

	assert_int_equal(f[12] >> 3, slot);
	if (should_fail(p, &p->fail_ncq, slot))
		return false;
	assert_int_equal(move(p, h, t, lba48(f), f[2] == ATA_WRITE_FPDMA), count * 512);
	p->ncq_done++;
	return true;
}

static bool run_other(struct model_port *p, struct ahci_header *h, const struct ahci_table *t, uint32_t slot)
{
	const uint8_t *f = t->fis;
	uint64_t lba = f[2] == ATA_READ_DMA || f[2] == ATA_WRITE_DMA
		       ? (lba48(f) & 0xffffff) | (uint64_t)(f[7] & 0xf) << 24 : lba48(f);

	switch (f[2]) {
	case ATA_IDENTIFY:
		identify_data(p, (void *)memory_of(t));
		return true;
	case ATA_FLUSH_CACHE: case ATA_FLUSH_CACHE_EXT:
		p->flushes++;
		return !should_fail(p, &p->fail_dma, slot);
	case ATA_DATA_SET_MANAGEMENT:
		p->trims++;
		return true;
	case ATA_READ_DMA: case ATA_WRITE_DMA: case ATA_READ_DMA_EXT: case ATA_WRITE_DMA_EXT:
		if (should_fail(p, &p->fail_dma, slot))
			return false;
		h->transferred = move(p, h, t, lba, f[2] == ATA_WRITE_DMA || f[2] == ATA_WRITE_DMA_EXT);
		if (p->short_transfer)
			h->transferred /= 2;
		p->dma_done++;
		return true;
	}
	fail_msg("command 0x%02x", f[2]);
	return false;
}

static void run_slot(struct model_port *p, uint32_t slot)
{
	struct ahci_header *list = (void *)(*reg(p, PORT_CLB) | (uint64_t)*reg(p, PORT_CLBU) << 32), *h = &list[slot];
	const struct ahci_table *t = (void *)(h->table_lo | (uint64_t)h->table_hi << 32);
	bool queued = t->fis[2] == ATA_READ_FPDMA || t->fis[2] == ATA_WRITE_FPDMA, done;

	assert_int_equal(t->fis[0], FIS_H2D);
	assert_int_equal(!!(*reg(p, PORT_SACT) & 1u << slot), queued);
	if (p->fatal) {
		p->fatal--;
		p->failed |= 1u << slot;
		raise(p, PORT_INT_BUS);
		return;
	}
	done = queued ? run_queued(p, h, t, slot) : run_other(p, h, t, slot);
	if (queued)
		*reg(p, PORT_CI) &= ~(1u << slot);
	if (!done)
		return;
	*reg(p, PORT_TFD) = 0x50;
	*reg(p, queued ? PORT_SACT : PORT_CI) &= ~(1u << slot);
	if (p->clears_all) /* nonsense: it says of commands it never did that they are done */
		*reg(p, PORT_SACT) = 0x80000000u & ~*reg(p, PORT_SACT);
	raise(p, queued ? PORT_INT_SDB : PORT_INT_D2H);
}

static void device_run(void)
{
	for (struct model_port *p = port; p < port + PORTS; p++)
		for (uint32_t slot = 0; slot < SLOTS; slot++)
			if (p->present && !p->stalled && !p->failed && *reg(p, PORT_CI) >> slot & 1)
				run_slot(p, slot);
}

/* ------------------------------------------------------------------------ tests */


static void pass_ms(unsigned ms)
{
	while (ms--) {
		server_now_ns += 1000000;
		iterate();
	}
}

static void starts(void **state)
{
	(void)state;
	port[0].present = port[0].ncq = true;
	port[0].serial = 'A';
	port[2].present = true;
	port[2].serial = 'C';
	adapter.handoff = HBA_BOHC_BIOS;
	fake_on_answer = on_answer;
	if (!setjmp(fake_run_jump))
		server_main();
	pass_ms(200);
	assert_int_equal(adapter.handoff & (HBA_BOHC_BIOS | HBA_BOHC_OS), HBA_BOHC_OS);
	assert_int_equal(adapter.resets, 1);
	assert_int_equal(port[0].resets, 1); /* with the adapter */
	client_open("sdb", POOL);
	assert_int_equal(cl.answer.msg.status, -X_ENXIO);
	client_open("sdc", POOL);
	assert_int_equal(cl.answer.msg.status, 0);
	assert_int_equal(cl.answer.msg.a[0], DISK);
	client_open("", POOL);
	assert_int_equal(cl.answer.msg.status, 0);
	assert_string_equal((char *)&cl.answer.msg.a[4], "sda");
}

static void device_wait(void) { pass_ms(1); }
static void disk_look(uint64_t offset, void *to, uint32_t bytes) { memcpy(to, port[0].disk + offset, bytes); }

static void opens_for_suite(void **state)
{
	(void)state;
	suite_init();
	suite_open("sda", 0);
}

static void fill_pool(unsigned seed)
{
	for (unsigned i = 0; i < POOL; i++)
		cl.data[i] = (uint8_t)(i * 7 + seed);
}

static void reads_and_writes(void **state)
{
	unsigned flushes = port[0].flushes, trims = port[0].trims;

	(void)state;
	fill_pool(1);
	assert_int_equal(one(BLOCK_WRITE, 8192, 32768, 0), 0);
	assert_memory_equal(port[0].disk + 8192, cl.data, 32768);
	assert_int_equal(one(BLOCK_READ, 8192 + 512, 1024, 40960), 0);
	assert_memory_equal(cl.data + 40960, cl.data + 512, 1024);
	assert_int_equal(one(BLOCK_FLUSH, 0, 0, 0), 0);
	assert_int_equal(port[0].flushes, flushes + 1);
	assert_int_equal(one(BLOCK_DISCARD, 0, 8192, 0), 0);
	assert_int_equal(port[0].trims, trims + 1);
	assert_int_equal(one(BLOCK_WRITE_ZEROES, 8192, 16384, 0), 0);
	for (unsigned i = 0; i < 16384; i++)
		assert_int_equal(port[0].disk[8192 + i], 0);
	assert_true(port[0].ncq_done > 2);
	assert_int_equal(one(BLOCK_READ, DISK - 512, 1024, 0), -X_EINVAL);
	assert_int_equal(one(BLOCK_READ, DISK - 512, 512, 0), 0);
}

static void many(unsigned count)
{
	unsigned done = 0;

	for (unsigned i = 0; i < count; i++)
		send(i, BLOCK_WRITE, i * 1024, 512, (i % 128) * 512);
	for (int i = 0; i < 400 && done < count; i++) {
		unsigned now = run();

		if (!now) /* a port that is reset takes its time */
			pass_ms(1);
		done += now;
	}
	assert_int_equal(done, count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(cl.status[i], 0);
	for (unsigned i = 0; i < count; i++)
		assert_memory_equal(port[0].disk + i * 1024, cl.data + (i % 128) * 512, 512);
}

static void depth(void **state)
{
	(void)state;
	fill_pool(2);
	many(BLOCK_RING_SLOTS);
}

/* One of many NCQ commands fails, once: all are done all the same, and none
 * that the device had not done is taken as done. */
static void ncq_error(void **state)
{
	for (unsigned round = 0; round < 5; round++) {
		unsigned resets = port[0].resets, ncq;

		(void)state;
		memset(port[0].disk, 0xcc, DISK);
		fill_pool(10 + round);
		port[0].fail_ncq = 1;
		many(64);
		assert_int_equal(port[0].resets, resets + 1); /* whatever it was still doing has ended */
		assert_true(port[0].dma_done > 0); /* one by one */
		ncq = port[0].ncq_done;
		many(64);
		assert_true(port[0].ncq_done > ncq); /* and NCQ again */
	}
}

static void until_done(unsigned ms)
{
	unsigned done = run();

	while (!done && ms--) {
		pass_ms(1);
		done = receive();
	}
	assert_int_equal(done, 1);
}

/* It fails again and again: an error, and the next request is served. */
static void bad_sector(void **state)
{
	(void)state;
	port[0].fail_ncq = 1;
	port[0].fail_dma = 4;
	send(3, BLOCK_READ, 0, 512, 0);
	until_done(100);
	assert_int_equal(cl.status[3], -X_EIO);
	assert_int_equal(port[0].fail_dma, 0);
	assert_int_equal(one(BLOCK_READ, 0, 512, 0), 0);
	port[0].fail_dma = 3;
	assert_int_equal(one(BLOCK_FLUSH, 0, 0, 0), 0);
	port[0].fail_dma = 4;
	assert_int_equal(one(BLOCK_FLUSH, 0, 0, 0), -X_EIO);
	assert_int_equal(one(BLOCK_FLUSH, 0, 0, 0), 0);
}

static void fatal_and_busy(void **state)
{
	unsigned resets = port[0].resets;

	(void)state;
	port[0].fatal = 1;
	send(3, BLOCK_READ, 4096, 512, 0);
	until_done(100);
	assert_int_equal(cl.status[3], 0);
	assert_int_equal(port[0].resets, resets + 1);
	port[0].fail_ncq = 1;
	port[0].busy_after_error = true;
	send(3, BLOCK_WRITE, 4096, 512, 0);
	ring_publish(&cl.requests);
	fake_handle[cl.doorbell]->bits |= 1;
	for (int i = 0; i < 3; i++)
		pass_ms(1);
	port[0].busy_after_error = false;
	for (int i = 0; i < 100 && cl.status[3] == 99; i++) {
		pass_ms(1);
		receive();
	}
	assert_int_equal(cl.status[3], 0);
	assert_int_equal(port[0].resets, resets + 2);
}

/* A device that does nothing any more is reset; what it had is done again. */
static void stall(void **state)
{
	unsigned resets = port[0].resets;

	(void)state;
	port[0].stalled = true;
	send(3, BLOCK_READ, 4096, 512, 0);
	assert_int_equal(run(), 0);
	server_now_ns += 33000000000ull;
	for (int i = 0; i < 3; i++)
		pass_ms(1);
	port[0].stalled = false;
	for (int i = 0; i < 100 && cl.status[3] == 99; i++) {
		pass_ms(1);
		receive();
	}
	assert_int_equal(cl.status[3], 0);
	assert_int_equal(port[0].resets, resets + 1);
}

/* It clears bits of PxSACT that are not its to clear, and sets others: slots that
 * are not in use are not looked at. */
static void wrong_tags(void **state)
{
	(void)state;
	port[0].clears_all = true;
	assert_int_equal(one(BLOCK_READ, 4096, 512, 0), 0);
	port[0].clears_all = false;
	assert_int_equal(one(BLOCK_READ, 4096, 512, 0), 0);
}

static void old_disk(void **state)
{
	(void)state;
	client_open("sdc", POOL);
	fill_pool(3);
	assert_int_equal(one(BLOCK_WRITE, 0, 32768, 0), 0);
	assert_memory_equal(port[2].disk, cl.data, 32768);
	assert_int_equal(one(BLOCK_FLUSH, 0, 0, 0), 0);
	assert_int_equal(one(BLOCK_DISCARD, 0, 512, 0), -X_EOPNOTSUPP);
	port[2].fail_dma = 2;
	assert_int_equal(one(BLOCK_READ, 512, 512, 40960), 0);
	port[2].short_transfer = true;
	assert_int_equal(one(BLOCK_READ, 512, 512, 40960), -X_EIO);
	port[2].short_transfer = false;
	assert_int_equal(one(BLOCK_READ, 512, 512, 40960), 0);
	for (unsigned i = 0; i < 64; i++)
		send(i, BLOCK_READ, i * 2048, 512, i * 512);
	port[2].fail_dma = 1;
	for (unsigned i = 0, done = 0; done < 64; i++) {
		done += run();
		assert_true(i < 200);
	}
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(cl.status[i], 0);
	assert_int_equal(port[2].ncq_done, 0);
}

/* Out with requests under way, in again: another epoch, the same identity; then
 * another disk: another identity. The session is hung up each time. */
static void hot_plug(void **state)
{
	uint64_t epoch, identity;

	(void)state;
	client_open("sda", POOL);
	epoch = cl.answer.msg.a[3];
	identity = cl.answer.msg.a[6];
	port[0].stalled = true;
	send(1, BLOCK_READ, 0, 512, 0);
	assert_int_equal(run(), 0);
	plug(&port[0], false);
	pass_ms(5);
	assert_int_equal(receive(), 0);
	port[0].stalled = false;
	client_open("sda", POOL);
	assert_int_equal(cl.answer.msg.status, -X_ENXIO);
	plug(&port[0], true);
	pass_ms(50);
	client_open("sda", POOL);
	assert_int_equal(cl.answer.msg.status, 0);
	assert_true(cl.answer.msg.a[3] != epoch);
	assert_true(cl.answer.msg.a[6] == identity);
	assert_int_equal(one(BLOCK_READ, 0, 512, 0), 0);
	plug(&port[0], false);
	pass_ms(5);
	port[0].serial = 'X';
	plug(&port[0], true);
	pass_ms(50);
	client_open("sda", POOL);
	assert_true(cl.answer.msg.a[6] != identity);
	assert_int_equal(one(BLOCK_READ, 0, 512, 0), 0);
	plug(&port[1], true); /* where none was before */
	pass_ms(50);
	client_open("sdb", POOL);
	assert_int_equal(cl.answer.msg.status, 0);
	assert_int_equal(one(BLOCK_WRITE, 0, 512, 0), 0);
}

/* Never ready: left after some tries; the others serve meanwhile. */
static void never_ready(void **state)
{
	(void)state;
	plug(&port[1], false);
	pass_ms(5);
	port[1].never_ready = true;
	plug(&port[1], true);
	pass_ms(20);
	client_open("sda", POOL);
	assert_int_equal(one(BLOCK_READ, 0, 512, 0), 0);
	for (int i = 0; i < 5; i++) {
		server_now_ns += 31000000000ull;
		pass_ms(50);
	}
	client_open("sdb", POOL);
	assert_int_equal(cl.answer.msg.status, -X_ENXIO);
}

static void adapter_gone(void **state)
{
	(void)state;
	adapter.gone = true;
	fake_handle[hba.event]->bits |= 1;
	fake_may_die = true;
	if (!setjmp(fake_die_jump)) {
		iterate();
		fail_msg("still alive");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts), cmocka_unit_test(opens_for_suite), SUITE,
		cmocka_unit_test(reads_and_writes), cmocka_unit_test(depth),
		cmocka_unit_test(ncq_error), cmocka_unit_test(bad_sector), cmocka_unit_test(fatal_and_busy),
		cmocka_unit_test(stall), cmocka_unit_test(wrong_tags), cmocka_unit_test(old_disk),
		cmocka_unit_test(hot_plug), cmocka_unit_test(never_ready), cmocka_unit_test(adapter_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
