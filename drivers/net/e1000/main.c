/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driver of Intel's 8254x gigabit Ethernet controllers, and of the 82574L.
 * QEMU: -device e1000,netdev=... (82540EM), e1000-82545em, e1000-82544gc, e1000e
 *
 * Started by rs with the device as boot handle "device". This file brings the
 * controller up, from any state, as often as needed:
 *
 *   PROBE   map the registers (once)
 *   RESET   interrupts off, reset; wait for its end (SDM 14.3)
 *   RINGS   empty rings; DMA is allowed from here on; addresses, filters, enable
 *   READY   lib/netdrv is in charge
 *
 * Waits have deadlines; their expiry is a failure.
 *
 * A device that ignores the reset (QEMU's, older than 8.0) still has the last
 * driver's receiver enabled, but no bus mastering; it is given empty rings first.
 * RCTL is only written if it must change: in QEMU each write to it stops
 * reception for a second.
 *
 * Interrupts are not acknowledged before there is nothing to do: until then none
 * comes, and the rings are polled.
 */
#include "drivers/net/e1000/e1000.h"

#include "lib/c/string.h"
#include "lib/ipc/server.h"

#define MS 1000000ull
#define RETRY_NS         (1 * MS)
#define RESET_NS         (1 * MS)     /* the registers are not to be touched so long */
#define RESET_TIMEOUT_NS (1000 * MS)
#define STATISTICS_NS    (1000 * MS)
#define ITR_50_US        195u
#define MTU              1500u
#define RX_BUFFER_BYTES  2048u
#define ID_82574L        0x10d3u
#define EVENT_IRQ        1u

enum init_state { INIT_PROBE, INIT_RESET, INIT_RINGS, INIT_READY };

struct e1000 e1000;

static struct {
	enum init_state state;
	uint64_t since_ns;
	struct server_timer retry, statistics;
	x_handle_t event;
	bool probed;
	bool interrupted;        /* since the last acknowledge */
} dev;

__attribute__((noreturn)) static void fail(const char *what, int err)
{
	server_log("%s: error %d", what, err);
	netdrv_failed(what);
}

static void set_state(enum init_state state)
{
	dev.state = state;
	dev.since_ns = server_now_ns;
}

/* ------------------------------------------------------------------- interrupts */

static uint32_t wanted_causes(void)
{
	uint32_t causes = INT_LSC | INT_RXT0 | INT_RXDMT0 | INT_RXO;

	if (ring_sending())
		causes |= INT_TXDW;
	return causes;
}

static void look_at_link(void)
{
	static const uint32_t speeds[] = { 10, 100, 1000, 1000 };
	uint32_t status = reg_read(E1000_STATUS);

	netdrv_link(status & STATUS_LU, status & STATUS_LU ? speeds[status >> STATUS_SPEED_SHIFT & 3] : 0);
}

static void on_interrupt(void *ctx, uint64_t bits)
{
	(void)ctx;
	(void)bits;
	dev.interrupted = true; /* the rings are polled at the end of the batch */
	netdrv_interrupt();
}

static int connect_interrupts(void)
{
	int64_t event = x_event_create(), err;

	if (event < 0)
		return event;
	dev.event = event;
	err = server_bind(dev.event, on_interrupt, NULL);
	if (err)
		return err;
	e1000.vectors = x_device_ctl(e1000.device, X_DEV_VECTORS, 0) > 0;
	return x_device_irq(e1000.device, 0, dev.event, EVENT_IRQ);
}

/* -------------------------------------------------------------- one state each */

/* Each returns true if the next state can be entered now, false to wait. */

static bool init_probe(void)
{
	int64_t addr;
	int err;

	if (!dev.probed) {
		e1000.device = boot_handle("device");
		e1000.is_82574 = x_device_config(e1000.device, 2, 2, 0, 0) == ID_82574L;
		addr = x_device_ctl(e1000.device, X_DEV_ENABLE, 0);
		if (addr >= 0)
			addr = x_device_map(e1000.device, 0, 0, E1000_REGISTERS);
		if (addr < 0)
			fail("the registers cannot be mapped", addr);
		e1000.base = (volatile uint8_t *)(uintptr_t)addr;
		err = connect_interrupts();
		if (err)
			fail("no interrupts", err);
		dev.probed = true;
	}
	reg_write(E1000_IMC, 0xffffffff);
	reg_write(E1000_CTRL, reg_read(E1000_CTRL) | CTRL_RST);
	set_state(INIT_RESET);
	return false;
}

static bool init_reset(void)
{
	if (server_now_ns < dev.since_ns + RESET_NS)
		return false;
	if (reg_read(E1000_CTRL) & CTRL_RST) {
		if (server_now_ns > dev.since_ns + RESET_TIMEOUT_NS)
			fail("the device does not reset", -X_ETIMEDOUT);
		return false;
	}
	reg_write(E1000_IMC, 0xffffffff);
	reg_read(E1000_ICR);
	set_state(INIT_RINGS);
	return true;
}

static void set_receiver(uint32_t rctl)
{
	if (reg_read(E1000_RCTL) != rctl)
		reg_write(E1000_RCTL, rctl);
}

static void report_ready(void)
{
	struct netdrv_caps caps = {
		.device = e1000.device, .mtu = MTU,
		.features = NET_F_TX_CSUM | NET_F_TX_TSO4 | NET_F_TX_TSO6 | NET_F_TX_ECN | NET_F_TSO_BARE |
			    NET_F_MULTICAST | (e1000.is_82574 ? NET_F_RX_CSUM : 0),
		.rx_buffer_min = RX_BUFFER_BYTES, .rx_buffer_best = RX_BUFFER_BYTES,
		.tx_packet_max = NET_PACKET_MAX, .tx_pieces_max = NET_PIECES_MAX,
	};

	memcpy(caps.mac, e1000.mac, sizeof(caps.mac));
	look_at_link();
	netdrv_ready(&caps);
}

static bool init_rings(void)
{
	int64_t err = nvm_read_mac(e1000.mac);

	if (err)
		fail("the device has no address", err);
	err = ring_start();
	/* Empty rings are all that it could use now. */
	if (!err)
		err = x_device_ctl(e1000.device, X_DEV_BUS_MASTER_ON, 0);
	if (err < 0)
		fail("the rings cannot be set up", err);
	reg_write(E1000_CTRL, (reg_read(E1000_CTRL) & ~(CTRL_LRST | CTRL_ILOS | CTRL_VME | CTRL_PHY_RST)) |
			      CTRL_SLU | CTRL_ASDE);
	filter_set(NULL);
	reg_write(E1000_RDTR, 0);
	reg_write(E1000_ITR, ITR_50_US);
	reg_write(E1000_RXCSUM, RXCSUM_TUOFL);
	reg_write(E1000_TIPG, TIPG_COPPER);
	reg_write(E1000_TCTL, TCTL_EN | TCTL_PSP | TCTL_CT_15 | TCTL_COLD_FULL_DUPLEX);
	set_receiver(filter_rctl(NULL));
	dev.interrupted = true; /* whatever it was: acknowledged with the first arming */
	set_state(INIT_READY);
	report_ready();
	return false;
}

static void advance(void *ctx)
{
	static bool (*const steps[])(void) = {
		[INIT_PROBE] = init_probe, [INIT_RESET] = init_reset, [INIT_RINGS] = init_rings,
	};

	(void)ctx;
	while (dev.state != INIT_READY && steps[dev.state]())
		;
	if (dev.state != INIT_READY)
		timer_set(&dev.retry, server_now_ns + RETRY_NS);
	else
		timer_clear(&dev.retry);
}

/* -------------------------------------------------------------------- the device */

static void e1000_start(void)
{
	set_state(INIT_PROBE);
	advance(NULL);
}

static void e1000_kick(void)
{
	ring_kick();
	ring_poll();
}

/* Causes are read (and so forgotten) before the last look at the rings: what
 * comes behind that look interrupts. */
static bool e1000_arm(void)
{
	uint32_t causes;

	if (dev.state != INIT_READY)
		return false;
	if (dev.interrupted) {
		dev.interrupted = false;
		causes = reg_read(E1000_ICR);
		if (causes & INT_LSC)
			look_at_link();
		reg_write(E1000_IMS, wanted_causes());
		if (!e1000.vectors)
			x_device_ctl(e1000.device, X_DEV_IRQ_ACK, 0);
	} else if (ring_sending()) {
		reg_write(E1000_IMS, wanted_causes());
	}
	return ring_has_work();
}

static void e1000_configure(const struct netdrv_config *config)
{
	filter_set(config);
	set_receiver(filter_rctl(config));
	netdrv_configured(0);
}

static void take_statistics(void *ctx)
{
	(void)ctx;
	if (dev.state == INIT_READY) {
		e1000.missed += reg_read(E1000_MPC);
		e1000.errors += (uint64_t)reg_read(E1000_CRCERRS) + reg_read(E1000_RXERRC);
		e1000.multicast += reg_read(E1000_MPRC);
	}
	timer_set(&dev.statistics, server_now_ns + STATISTICS_NS);
}

static void e1000_count(struct net_counters *c)
{
	c->rx_dropped += e1000.missed;
	c->rx_errors += e1000.errors;
	c->rx_multicast += e1000.multicast;
}

static void e1000_stop(void)
{
	if (!dev.probed)
		return;
	reg_write(E1000_IMC, 0xffffffff);
	reg_write(E1000_CTRL, reg_read(E1000_CTRL) | CTRL_RST);
	x_device_ctl(e1000.device, X_DEV_BUS_MASTER_OFF, 0);
}

void server_main(void)
{
	static const struct netdrv_ops ops = {
		.start = e1000_start, .post = ring_post, .send = ring_send, .kick = e1000_kick,
		.poll = ring_poll, .arm = e1000_arm, .configure = e1000_configure, .count = e1000_count,
		.stop = e1000_stop,
	};

	dev.retry.fn = advance;
	dev.statistics.fn = take_statistics;
	timer_set(&dev.statistics, STATISTICS_NS);
	if (boot_handle("device") == X_NO_HANDLE)
		netdrv_failed("no device was given");
	netdrv_run(&ops);
}
