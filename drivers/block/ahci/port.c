/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The states of a port (AHCI 1.3.1, 10.1.2 and 10.4): from whatever the
 * firmware, or a dead driver, left to a disk that serves. Nothing here blocks:
 * a state that waits is looked at again every millisecond, and has a deadline.
 */
#include "drivers/block/ahci/ahci.h"
#include "lib/c/stdlib.h"
#include "lib/c/string.h"

#define ENGINE_TIMEOUT_NS    (500 * MS)   /* 10.3.2 */
#define COMRESET_NS          (2 * MS)     /* at least 1 ms, 10.4.2 */
#define PRESENCE_NS          (20 * MS)    /* for a device to answer COMRESET at all */
#define LINK_TIMEOUT_NS      (1000 * MS)
#define SIGNATURE_TIMEOUT_NS (30000 * MS) /* a disk spins up */
#define IDENTIFY_TIMEOUT_NS  (5000 * MS)
#define TRIES_MAX            3u
#define CAPACITY_TRIES_MAX   4u           /* the first ones may only say that the medium changed */
#define MEDIA_NS             (1000 * MS)  /* between two looks at drives with removable media */

#define INTERRUPTS (PORT_INT_D2H | PORT_INT_PIO | PORT_INT_SDB | PORT_INT_UNKNOWN | PORT_INT_CONNECT | PORT_INT_PHY | \
		    PORT_INT_OVERFLOW | PORT_INT_NONFATAL | PORT_INT_FATAL | PORT_INT_BUS_DATA | PORT_INT_BUS | \
		    PORT_INT_TASKFILE)

static void look_at_media(void *ctx);
static struct server_timer media = { .fn = look_at_media };

void port_enter(struct port *p, enum port_state state)
{
	static const uint64_t timeouts[] = {
		[PORT_STOPPING] = ENGINE_TIMEOUT_NS, [PORT_COMRESET] = COMRESET_NS, [PORT_LINK] = LINK_TIMEOUT_NS,
		[PORT_SIGNATURE] = SIGNATURE_TIMEOUT_NS, [PORT_IDENTIFY] = IDENTIFY_TIMEOUT_NS,
		[PORT_CAPACITY] = IDENTIFY_TIMEOUT_NS, [PORT_NO_MEDIUM] = 0, [PORT_HALTING] = ENGINE_TIMEOUT_NS,
	};

	p->state = state;
	p->deadline_ns = timeouts[state] ? server_now_ns + timeouts[state] : UINT64_MAX;
	if (port_waits(p))
		ahci_wake();
}

bool port_waits(const struct port *p)
{
	return p->off || (p->state != PORT_ABSENT && p->state != PORT_NO_MEDIUM && p->state != PORT_READY);
}

static void cmd_change(const struct port *p, uint32_t clear, uint32_t set)
{
	port_write(p, PORT_CMD, (port_read(p, PORT_CMD) & ~clear) | set);
}

void port_stop_engine(struct port *p)
{
	p->runs = false;
	cmd_change(p, PORT_CMD_START, 0);
}

bool port_engine_stands(const struct port *p)
{
	return !(port_read(p, PORT_CMD) & PORT_CMD_RUNS);
}

void port_run(struct port *p)
{
	port_write(p, PORT_IS, ~0u);
	port_write(p, PORT_IE, INTERRUPTS);
	cmd_change(p, PORT_CMD_ATAPI, (p->atapi ? PORT_CMD_ATAPI : 0) | PORT_CMD_START);
	p->runs = true;
}

/* --------------------------------------------------------------------------- memory */

static int get_memory(struct port *p)
{
	uint32_t lists = 1024 + AHCI_RECEIVED_BYTES, tables = SLOTS * sizeof(struct ahci_table);
	uint32_t flags = hba.cap & HBA_CAP_64 ? 0 : DMA_BELOW_4G;
	int err;

	if (!p->memory.bytes) {
		err = dma_alloc(hba.device, lists + tables + ATA_SECTOR_BYTES, 0, flags, &p->memory);
		if (err)
			return err;
	}
	p->list = (void *)p->memory.virt;
	p->list_iova = p->memory.iova;
	p->received_iova = p->memory.iova + 1024;
	p->tables = (void *)(p->memory.virt + lists);
	p->tables_iova = p->memory.iova + lists;
	p->scratch = p->memory.virt + lists + tables;
	p->scratch_iova = p->memory.iova + lists + tables;
	for (uint32_t i = 0; i < SLOTS; i++) {
		uint64_t table = p->tables_iova + i * sizeof(struct ahci_table);

		p->list[i] = (struct ahci_header){ .table_lo = (uint32_t)table, .table_hi = table >> 32 };
	}
	return 0;
}

static void give_memory(const struct port *p)
{
	port_write(p, PORT_CLB, (uint32_t)p->list_iova);
	port_write(p, PORT_CLBU, p->list_iova >> 32);
	port_write(p, PORT_FB, (uint32_t)p->received_iova);
	port_write(p, PORT_FBU, p->received_iova >> 32);
}

/* ------------------------------------------------------------------------ the states */

static void absent(struct port *p)
{
	port_enter(p, PORT_ABSENT);
	port_write(p, PORT_SERR, ~0u);
	port_write(p, PORT_IS, ~0u);
	port_write(p, PORT_IE, PORT_INT_CONNECT | PORT_INT_PHY);
	blockdrv_gone(p->number);
}

static void retry_or_leave(struct port *p, const char *why)
{
	server_log("%s: %s", blockdrv_name(p->number), why);
	if (++p->tries >= TRIES_MAX) {
		absent(p);
		return;
	}
	command_forget_all(p);
	port_stop_engine(p);
	port_enter(p, PORT_STOPPING);
}

static void begin(struct port *p)
{
	int err = get_memory(p);

	if (err) {
		server_log("port %u: no memory for its commands: error %d", p->number, err);
		absent(p);
		return;
	}
	port_stop_engine(p);
	port_enter(p, PORT_STOPPING);
	port_step(p); /* most stand */
}

void port_start(struct port *p)
{
	command_forget_all(p);
	p->tries = 0;
	if (!p->implemented || p->off) {
		port_enter(p, PORT_ABSENT);
		blockdrv_gone(p->number);
		return;
	}
	if (hba.up && ahci_may_spin_up(p))
		begin(p);
	else
		port_enter(p, PORT_WAITING);
}

static void step_waiting(struct port *p)
{
	if (hba.up && ahci_may_spin_up(p))
		begin(p);
}

static void link_comes_up(struct port *p)
{
	p->reset = false;
	port_write(p, PORT_SCTL, PORT_SCTL_NO_SLEEP);
	port_enter(p, PORT_LINK);
	port_step(p);
}

/* A port that the adapter's reset has just reset (10.4.3) is not reset again: a driver that is
 * killed is back without a wait if its devices are.
 * First ST and CR, then FRE and FR; a port that does not stop is reset all the same. */
static void step_stopping(struct port *p)
{
	uint32_t command = port_read(p, PORT_CMD);
	bool late = server_now_ns >= p->deadline_ns;

	if (command & PORT_CMD_RUNS && !late)
		return;
	if (command & PORT_CMD_FIS) {
		cmd_change(p, PORT_CMD_FIS, 0);
		command = port_read(p, PORT_CMD);
	}
	if (command & PORT_CMD_FIS_RUNS && !late)
		return;
	give_memory(p);
	port_write(p, PORT_SERR, ~0u);
	port_write(p, PORT_IS, ~0u);
	cmd_change(p, PORT_CMD_ICC_MASK | PORT_CMD_ATAPI, PORT_CMD_SPIN_UP | PORT_CMD_POWER | PORT_CMD_ICC_ACTIVE);
	cmd_change(p, 0, PORT_CMD_FIS); /* before the device tells its signature */
	if (p->reset) {
		link_comes_up(p);
		return;
	}
	port_write(p, PORT_SCTL, PORT_SCTL_COMRESET | PORT_SCTL_NO_SLEEP);
	port_enter(p, PORT_COMRESET);
}

static void step_comreset(struct port *p)
{
	if (server_now_ns < p->deadline_ns)
		return;
	link_comes_up(p);
}

static void step_link(struct port *p)
{
	uint32_t det = PORT_SSTS_DET(port_read(p, PORT_SSTS));
	uint64_t waited = server_now_ns + LINK_TIMEOUT_NS - p->deadline_ns;

	if (det == PORT_DET_UP) {
		port_write(p, PORT_SERR, ~0u); /* what the reset itself raised */
		port_write(p, PORT_IS, ~0u);
		port_enter(p, PORT_SIGNATURE);
		port_step(p);
	} else if ((det == PORT_DET_NONE && waited >= PRESENCE_NS) || server_now_ns >= p->deadline_ns) {
		absent(p);
	}
}

static void identify(struct port *p)
{
	port_run(p);
	port_enter(p, PORT_IDENTIFY);
	command_internal(p, p->atapi ? ATA_IDENTIFY_PACKET : ATA_IDENTIFY, 0, 0, 0);
}

static void step_signature(struct port *p)
{
	uint32_t signature = port_read(p, PORT_SIG);

	if (signature == PORT_SIG_NONE || port_read(p, PORT_TFD) & (PORT_TFD_BUSY | PORT_TFD_DRQ)) {
		if (server_now_ns >= p->deadline_ns)
			retry_or_leave(p, "the device does not become ready");
		return;
	}
	p->atapi = signature == PORT_SIG_ATAPI;
	if (signature == PORT_SIG_ATA || p->atapi) {
		identify(p);
		return;
	}
	server_log("%s: a device of signature 0x%08x is not supported", blockdrv_name(p->number), signature);
	absent(p);
}

/* Same device, same cache: unless it was plugged in while we, or the driver
 * before us, looked. */
static uint64_t cache_epoch(const struct port *p, const struct blockdrv_geometry *g)
{
	uint64_t h = blockdrv_hash(BLOCKDRV_HASH, &g->identity, sizeof(g->identity));

	return blockdrv_hash(h, &p->nonce, sizeof(p->nonce)) | 1;
}

static void serve(struct port *p, struct blockdrv_geometry *g)
{
	g->device = hba.device;
	g->cache_epoch = cache_epoch(p, g);
	g->cache_kept = p->cache_kept;
	p->tries = 0;
	port_enter(p, PORT_READY);
	blockdrv_ready(p->number, g);
}

static void read_capacity(struct port *p)
{
	static const uint8_t packet[12] = { PACKET_READ_CAPACITY };

	port_enter(p, PORT_CAPACITY);
	command_packet(p, packet, 8);
}

static void step_identify(struct port *p)
{
	struct blockdrv_geometry g = { 0 };

	if (!p->internal_done) {
		if (server_now_ns >= p->deadline_ns)
			retry_or_leave(p, "no answer to IDENTIFY");
		return;
	}
	if (p->internal_failed)
		retry_or_leave(p, "IDENTIFY failed");
	else if (p->atapi ? !identify_atapi(p, &g) : !identify_disk(p, &g))
		retry_or_leave(p, "not a disk that can be used");
	else if (!p->atapi)
		serve(p, &g);
	else {
		p->identified = g;
		p->looked_from = PORT_IDENTIFY;
		if (!media.deadline_ns)
			timer_set(&media, server_now_ns + MEDIA_NS);
		read_capacity(p);
	}
}

void port_medium_gone(struct port *p)
{
	server_log("%s: no medium, or another", blockdrv_name(p->number));
	command_forget_all(p);
	port_enter(p, PORT_NO_MEDIUM);
	blockdrv_gone(p->number);
}

/* Of a drive that is being brought up: the first answers may only say that the medium is new. */
static void capacity_known(struct port *p)
{
	struct blockdrv_geometry g = p->identified;

	if (p->internal_failed && ++p->tries < CAPACITY_TRIES_MAX) {
		read_capacity(p);
	} else if (!p->internal_failed && identify_capacity(p, &g)) {
		p->identified = g;
		serve(p, &g);
	} else {
		port_medium_gone(p);
	}
}

/* An empty drive that has a medium now is brought up like one that was plugged in. */
static void medium_looked_for(struct port *p)
{
	port_enter(p, PORT_NO_MEDIUM);
	if (!p->internal_failed || p->sense_key == SENSE_UNIT_ATTENTION)
		blockdrv_plugged(p->number);
}

/* A drive that serves. */
static void medium_looked_at(struct port *p)
{
	struct blockdrv_geometry g = p->identified;

	if (!p->internal_failed && identify_capacity(p, &g) && g.size_bytes == p->identified.size_bytes)
		port_enter(p, PORT_READY);
	else
		port_medium_gone(p);
}

static void step_capacity(struct port *p)
{
	if (!p->internal_done) {
		if (server_now_ns >= p->deadline_ns)
			retry_or_leave(p, "no answer to READ CAPACITY");
		return;
	}
	p->internal_done = false;
	if (p->looked_from == PORT_READY)
		medium_looked_at(p);
	else if (p->looked_from == PORT_NO_MEDIUM)
		medium_looked_for(p);
	else
		capacity_known(p);
}

static void look_at_medium(struct port *p)
{
	if (!p->atapi || p->off || p->issued || p->fresh || (p->state != PORT_READY && p->state != PORT_NO_MEDIUM))
		return;
	p->looked_from = p->state;
	read_capacity(p);
}

/* A drive tells of a change only if asked. One with commands under way is being asked. */
static void look_at_media(void *ctx)
{
	(void)ctx;
	for (uint32_t i = 0; i < hba.port_count; i++)
		look_at_medium(&hba.ports[i]);
	timer_set(&media, server_now_ns + MEDIA_NS);
}

static void step_halting(struct port *p)
{
	if (port_engine_stands(p))
		recover_halted(p);
	else if (server_now_ns >= p->deadline_ns)
		blockdrv_broken(p->number, "the port does not stop");
}

static void switch_on(struct port *p)
{
	p->off = false;
	port_write(p, PORT_SCTL, PORT_SCTL_NO_SLEEP);
	blockdrv_plugged(p->number);
}

void port_step(struct port *p)
{
	static void (*const steps[])(struct port *) = {
		[PORT_WAITING] = step_waiting, [PORT_STOPPING] = step_stopping, [PORT_COMRESET] = step_comreset,
		[PORT_LINK] = step_link, [PORT_SIGNATURE] = step_signature, [PORT_IDENTIFY] = step_identify,
		[PORT_CAPACITY] = step_capacity, [PORT_HALTING] = step_halting,
	};

	if (p->off) {
		if (server_now_ns >= p->on_ns)
			switch_on(p);
	} else if (port_waits(p)) {
		steps[p->state](p);
	}
}

/* ------------------------------------------------------------------- plug and unplug */

void port_unplugged(struct port *p)
{
	server_log("%s: unplugged", blockdrv_name(p->number));
	p->cache_kept = false;
	p->nonce = server_now_ns;
	command_forget_all(p);
	port_stop_engine(p);
	absent(p);
}

void port_link_changed(struct port *p, bool exchanged)
{
	uint32_t det = PORT_SSTS_DET(port_read(p, PORT_SSTS));

	switch (p->state) {
	case PORT_STOPPING: case PORT_COMRESET: case PORT_LINK: case PORT_WAITING:
		return; /* our own doing, or looked at later */
	case PORT_ABSENT:
		if (det != PORT_DET_NONE && !p->off)
			blockdrv_plugged(p->number);
		return;
	default:
		break;
	}
	if (det == PORT_DET_UP && !exchanged)
		return; /* the link was lost and came back */
	port_unplugged(p);
	if (det == PORT_DET_UP)
		blockdrv_plugged(p->number);
}

#define REPLUG_MS_MAX 60000u

/* "replug MS": the port's PHY is off for so long, as if the disk were taken out
 * and put back. */
int port_control(struct port *p, const char *command)
{
	unsigned long ms;

	if (strncmp(command, "replug ", 7) || p->off)
		return -X_EINVAL;
	ms = strtoul(command + 7, NULL, 10);
	if (!ms || ms > REPLUG_MS_MAX)
		return -X_EINVAL;
	p->off = true;
	p->on_ns = server_now_ns + ms * MS;
	port_write(p, PORT_SCTL, PORT_SCTL_OFF | PORT_SCTL_NO_SLEEP);
	port_unplugged(p);
	ahci_wake();
	return 0;
}
