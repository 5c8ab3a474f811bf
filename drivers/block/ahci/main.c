/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driver of SATA disks behind an AHCI controller (AHCI 1.3.1; ATA by ACS-3).
 * QEMU: -device ich9-ahci,id=sata -device ide-hd,drive=...,bus=sata.0 (machine
 * q35 has one, whose buses are ide.0 to ide.5).
 *
 * Started by rs with the device as boot handle "device". This file brings the
 * host bus adapter up, once:
 *
 *   HANDOFF  the firmware lets go of it (10.6.3)
 *   RESET    until it has reset itself (10.4.3): then it writes to nobody's
 *            memory, and DMA is allowed
 *   UP       ports are brought up, each on its own: port.c
 *
 * and serves its interrupts. A port is a disk of lib/blockdrv.
 */
#include "drivers/block/ahci/ahci.h"

#define HANDOFF_TIMEOUT_NS (2000 * MS) /* the firmware may have writes to finish */
#define RESET_TIMEOUT_NS   (1000 * MS)
#define LOOK_NS            (1 * MS)

#define ERRORS (PORT_INT_TASKFILE | PORT_INT_FATAL | PORT_INT_BUS | PORT_INT_BUS_DATA)

enum hba_state { HBA_STATE_HANDOFF, HBA_STATE_RESET, HBA_STATE_UP };

struct hba hba;
static enum hba_state state;
static uint64_t deadline_ns;
static struct server_timer look;

__attribute__((noreturn)) static void fail(const char *what, int err)
{
	server_log("%s: error %d", what, err);
	blockdrv_failed(what);
}

void ahci_wake(void)
{
	if (!look.deadline_ns)
		timer_set(&look, server_now_ns + LOOK_NS);
}

bool ahci_may_spin_up(const struct port *p)
{
	if (!(hba.cap & HBA_CAP_STAGGERED))
		return true;
	for (uint32_t i = 0; i < hba.port_count; i++) {
		const struct port *other = &hba.ports[i];

		if (other != p && other->state >= PORT_STOPPING && other->state <= PORT_SIGNATURE)
			return false;
	}
	return true;
}

/* --------------------------------------------------------------------- the adapter */

static void set_state(enum hba_state new_state, uint64_t timeout_ns)
{
	state = new_state;
	deadline_ns = server_now_ns + timeout_ns;
	ahci_wake();
}

static void begin_reset(void)
{
	hba_write(HBA_GHC, HBA_GHC_AHCI);
	hba_write(HBA_GHC, HBA_GHC_AHCI | HBA_GHC_RESET);
	set_state(HBA_STATE_RESET, RESET_TIMEOUT_NS);
}

static void on_interrupt(void *ctx, uint64_t bits)
{
	(void)ctx;
	(void)bits;
	hba.interrupted = true; /* looked at at the end of the batch */
}

static void connect_interrupts(void)
{
	int64_t event = x_event_create(), err;

	if (event < 0)
		fail("no event", event);
	hba.event = event;
	hba.intx = x_device_ctl(hba.device, X_DEV_VECTORS, 0) <= 0;
	err = server_bind(hba.event, on_interrupt, NULL);
	if (!err)
		err = x_device_irq(hba.device, 0, hba.event, 1);
	if (err)
		fail("no interrupts", err);
}

static void finish_reset(void)
{
	int64_t err = x_device_ctl(hba.device, X_DEV_BUS_MASTER_ON, 0);

	if (err < 0)
		fail("no bus mastering", err);
	connect_interrupts();
	hba_write(HBA_GHC, HBA_GHC_AHCI);
	hba_write(HBA_IS, ~0u);
	hba_write(HBA_GHC, HBA_GHC_AHCI | HBA_GHC_INTERRUPT);
	for (uint32_t i = 0; i < hba.port_count; i++)
		hba.ports[i].reset = true;
	state = HBA_STATE_UP;
	hba.up = true;
}

static void step(void)
{
	if (state == HBA_STATE_HANDOFF) {
		uint32_t bohc = hba_read(HBA_BOHC);

		if (!(bohc & (HBA_BOHC_BIOS | HBA_BOHC_BUSY)) || server_now_ns >= deadline_ns)
			begin_reset();
	}
	if (state == HBA_STATE_RESET) {
		if (!(hba_read(HBA_GHC) & HBA_GHC_RESET))
			finish_reset();
		else if (server_now_ns >= deadline_ns)
			fail("the controller does not reset", -X_ETIMEDOUT);
	}
}

static void look_again(void *ctx)
{
	bool waits = false;

	(void)ctx;
	step();
	for (uint32_t i = 0; i < hba.port_count; i++) {
		port_step(&hba.ports[i]);
		waits |= port_waits(&hba.ports[i]);
	}
	if (waits || state != HBA_STATE_UP)
		ahci_wake();
}

/* What the driver before us left tells whether a disk was plugged in meanwhile. */
static void note_ports(void)
{
	hba.cap = hba_read(HBA_CAP);
	hba.implemented = hba_read(HBA_PI);
	hba.port_count = hba.implemented ? 32 - __builtin_clz(hba.implemented) : 0;
	for (uint32_t i = 0; i < hba.port_count; i++) {
		struct port *p = &hba.ports[i];

		p->number = i;
		p->implemented = hba.implemented >> i & 1;
		p->nonce = server_now_ns;
		p->cache_kept = p->implemented && !(port_read(p, PORT_SERR) & PORT_SERR_EXCHANGED);
	}
}

static uint32_t probe(void)
{
	int64_t err = x_device_ctl(hba.device, X_DEV_ENABLE, 0);

	if (!err)
		err = ahci_map(hba.device);
	if (err)
		fail("the registers cannot be mapped", err);
	if (hba_read(HBA_GHC) == ~0u)
		blockdrv_failed("the controller does not answer");
	note_ports();
	server_log("%u ports (0x%x), %u slots%s%s", __builtin_popcount(hba.implemented), hba.implemented,
		   HBA_CAP_SLOTS(hba.cap), hba.cap & HBA_CAP_NCQ ? ", NCQ" : "",
		   hba.cap & HBA_CAP_STAGGERED ? ", staggered spin-up" : "");
	if (hba_read(HBA_CAP2) & HBA_CAP2_HANDOFF && hba_read(HBA_BOHC) & HBA_BOHC_BIOS) {
		hba_write(HBA_BOHC, hba_read(HBA_BOHC) | HBA_BOHC_OS);
		set_state(HBA_STATE_HANDOFF, HANDOFF_TIMEOUT_NS);
	} else {
		begin_reset();
	}
	step();
	return hba.port_count;
}

/* -------------------------------------------------------------- operations on ports */

static void start(uint32_t disk) { port_start(&hba.ports[disk]); }

static void kick(void)
{
	for (uint32_t i = 0; i < hba.port_count; i++)
		command_kick(&hba.ports[i]);
}

static void port_interrupt(struct port *p)
{
	uint32_t cause = port_read(p, PORT_IS), serr;

	/* PCS and PRCS are shadows of PxSERR. */
	if (cause & (PORT_INT_CONNECT | PORT_INT_PHY)) {
		serr = port_read(p, PORT_SERR);
		port_write(p, PORT_SERR, serr & (PORT_SERR_PHY | PORT_SERR_EXCHANGED));
		port_write(p, PORT_IS, cause);
		port_link_changed(p, serr & PORT_SERR_EXCHANGED);
	} else {
		port_write(p, PORT_IS, cause);
	}
	if (cause & ERRORS)
		recover_begin(p, cause);
}

/* Causes are cleared first: what finishes from here on interrupts again. */
static void take_interrupt(void)
{
	uint32_t cause = hba_read(HBA_IS);

	hba.interrupted = false;
	if (cause == ~0u)
		server_die("the controller is gone");
	for (uint32_t i = 0; i < hba.port_count; i++)
		if (cause >> i & 1)
			port_interrupt(&hba.ports[i]);
	hba_write(HBA_IS, cause);
	if (hba.intx)
		x_device_ctl(hba.device, X_DEV_IRQ_ACK, 0);
}

static void poll(void)
{
	if (hba.interrupted)
		take_interrupt();
	for (uint32_t i = 0; i < hba.port_count; i++) {
		struct port *p = &hba.ports[i];

		command_take(p);
		if (p->internal_done)
			port_step(p);
	}
}

/* Interrupts are always on; what has finished since poll() has raised one. */
static bool arm(void) { return false; }

static int control(uint32_t disk, const char *command) { return port_control(&hba.ports[disk], command); }

static void stop(void)
{
	hba_write(HBA_GHC, HBA_GHC_AHCI | HBA_GHC_RESET);
}

void server_main(void)
{
	static const struct blockdrv_ops ops = {
		.disk_prefix = "sd", .probe = probe, .start = start, .submit = command_submit, .kick = kick,
		.poll = poll, .arm = arm, .control = control, .stop = stop,
	};

	look.fn = look_again;
	hba.device = boot_handle("device");
	if (hba.device == X_NO_HANDLE)
		blockdrv_failed("no device was given");
	blockdrv_run(&ops);
}
