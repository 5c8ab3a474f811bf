/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driver of virtio network devices (virtio 1.2, section 5.1) over PCI.
 * QEMU: -device virtio-net-pci,netdev=... (offloads with -netdev tap only)
 *
 * Started by rs with the device as boot handle "device". This file brings the
 * device up, from any state, as often as needed (3.1.1):
 *
 *   PROBE       find and map the registers (once)
 *   RESET       wait until the device has reset itself; then DMA is allowed
 *   FEATURES    negotiate
 *   INTERRUPTS  connect them
 *   QUEUES      fresh rings; DRIVER_OK
 *   READY       lib/netdrv is in charge
 *
 * RESET waits, and has a deadline: its expiry is a failure.
 */
#include "drivers/net/virtio_net/virtio_net.h"

#include "lib/c/string.h"
#include "lib/ipc/server.h"

#define MS 1000000ull
#define RETRY_NS          (1 * MS)
#define RESET_TIMEOUT_NS  (10000 * MS)
#define POLL_NS           0u
#define ETHERNET_HEADER   14u
#define VLAN_TAG          4u
#define MTU_DEFAULT       1500u
#define RX_MERGED_MIN     4096u /* 64 KiB in NET_PIECES_MAX pieces, with room */

enum init_state { INIT_PROBE, INIT_RESET, INIT_FEATURES, INIT_INTERRUPTS, INIT_QUEUES, INIT_READY };

static struct {
	enum init_state state;
	uint64_t deadline_ns;
	struct server_timer retry;
	struct virtio_pci pci;
	x_handle_t event;
	bool probed;
} dev;

static void set_state(enum init_state state)
{
	dev.state = state;
	dev.deadline_ns = server_now_ns + RESET_TIMEOUT_NS;
}

__attribute__((noreturn)) static void fail(const char *what, int err)
{
	server_log("%s: error %d", what, err);
	netdrv_failed(what);
}

/* -------------------------------------------------------------- one state each */

/* Each returns true if the next state can be entered now, false to wait. */

static bool init_probe(void)
{
	int64_t event;
	int err;

	if (!dev.probed) {
		err = virtio_pci_probe(&dev.pci, boot_handle("device"));
		if (err)
			fail("no modern virtio device", err);
		event = x_event_create();
		if (event < 0)
			fail("no event", event);
		dev.event = event;
		dev.probed = true;
	}
	virtio_pci_reset_begin(&dev.pci);
	set_state(INIT_RESET);
	return true;
}

static bool init_reset(void)
{
	int err = virtio_pci_reset_finished(&dev.pci);

	if (err == -X_EAGAIN && server_now_ns < dev.deadline_ns)
		return false;
	if (err)
		fail("the device does not reset", err);
	set_state(INIT_FEATURES);
	return true;
}

static bool init_features(void)
{
	uint64_t wanted = VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_ACCESS_PLATFORM |
			  VIRTIO_F_RING_PACKED |
			  VIRTIO_NET_F_CSUM | VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_MTU | VIRTIO_NET_F_MAC |
			  VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6 | VIRTIO_NET_F_GUEST_ECN |
			  VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 | VIRTIO_NET_F_HOST_ECN |
			  VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_STATUS | VIRTIO_NET_F_CTRL_VQ |
			  VIRTIO_NET_F_CTRL_RX | VIRTIO_NET_F_CTRL_MAC_ADDR | VIRTIO_NET_F_GUEST_ANNOUNCE |
			  VIRTIO_NET_F_SPEED_DUPLEX;
	int err = virtio_pci_negotiate(&dev.pci, wanted, VIRTIO_F_VERSION_1);

	if (err)
		fail("no agreement on features", err);
	set_state(INIT_INTERRUPTS);
	return true;
}

static void on_interrupt(void *ctx, uint64_t bits);

static bool init_interrupts(void)
{
	int err = 0;

	if (!dev.pci.irq_connected)
		err = server_bind(dev.event, on_interrupt, NULL);
	if (!err)
		err = virtio_pci_interrupts(&dev.pci, dev.event);
	if (err)
		fail("no interrupts", err);
	set_state(INIT_QUEUES);
	return true;
}

/* ---------------------------------------------------------------- configuration */

static struct virtio_net_config read_config(void)
{
	struct virtio_net_config c;

	virtio_pci_config_changed(&dev.pci); /* later changes count from here */
	virtio_pci_config(&dev.pci, 0, &c, sizeof(c));
	return c;
}

static void tell_link(const struct virtio_net_config *c)
{
	uint64_t features = dev.pci.features;
	bool known = features & VIRTIO_NET_F_SPEED_DUPLEX && c->speed <= 0x7fffffff;

	netdrv_link(!(features & VIRTIO_NET_F_STATUS) || c->status & VIRTIO_NET_S_LINK_UP, known ? c->speed : 0);
}

static uint32_t features_told(void)
{
	static const struct { uint64_t ours; uint32_t told; } map[] = {
		{ VIRTIO_NET_F_CSUM, NET_F_TX_CSUM },
		{ VIRTIO_NET_F_HOST_TSO4, NET_F_TX_TSO4 },
		{ VIRTIO_NET_F_HOST_TSO6, NET_F_TX_TSO6 },
		{ VIRTIO_NET_F_HOST_ECN, NET_F_TX_ECN },
		{ VIRTIO_NET_F_GUEST_CSUM, NET_F_RX_CSUM },
		{ VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6, NET_F_RX_GSO },
		{ VIRTIO_NET_F_MRG_RXBUF, NET_F_RX_CHAIN },
		{ VIRTIO_NET_F_CTRL_RX, NET_F_MULTICAST },
	};
	uint32_t told = 0;

	for (uint32_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (dev.pci.features & map[i].ours)
			told |= map[i].told;
	return told;
}

/* A device that has told no address gets one made of nothing but luck: locally
 * administered (5.1.5), from the clock. */
static void take_mac(const struct virtio_net_config *c, uint8_t *mac)
{
	uint64_t luck = (uint64_t)x_clock(X_CLOCK_MONOTONIC) * 0x9e3779b97f4a7c15ull;

	if (dev.pci.features & VIRTIO_NET_F_MAC) {
		memcpy(mac, c->mac, 6);
		return;
	}
	memcpy(mac, (uint8_t *)&luck + 2, 6);
	mac[0] = (mac[0] & ~1u) | 2;
}

static void report_ready(void)
{
	struct virtio_net_config c = read_config();
	struct netdrv_caps caps = { .device = dev.pci.device, .mtu = MTU_DEFAULT, .features = features_told() };
	uint32_t header = sizeof(struct virtio_net_hdr), longest;

	if (dev.pci.features & VIRTIO_NET_F_MTU && c.mtu >= 68)
		caps.mtu = c.mtu;
	longest = caps.features & NET_F_RX_GSO ? NET_PACKET_MAX : caps.mtu + ETHERNET_HEADER + VLAN_TAG;
	take_mac(&c, caps.mac);
	caps.rx_buffer_best = header + longest;
	caps.rx_buffer_min = caps.features & NET_F_RX_CHAIN && longest > RX_MERGED_MIN ? RX_MERGED_MIN
										       : caps.rx_buffer_best;
	caps.tx_packet_max = caps.features & (NET_F_TX_TSO4 | NET_F_TX_TSO6) ? NET_PACKET_MAX
									    : caps.mtu + ETHERNET_HEADER + VLAN_TAG;
	caps.tx_pieces_max = queues_tx_pieces_max();
	tell_link(&c);
	netdrv_ready(&caps);
}

static bool init_queues(void)
{
	int err = queues_start(&dev.pci);

	if (!err)
		err = control_start(&dev.pci);
	if (err)
		fail("the queues cannot be set up", err);
	virtio_pci_driver_ok(&dev.pci);
	set_state(INIT_READY);
	report_ready();
	return false;
}

/* -------------------------------------------------------------------- the device */

static void advance(void *ctx)
{
	static bool (*const steps[])(void) = {
		[INIT_PROBE] = init_probe, [INIT_RESET] = init_reset, [INIT_FEATURES] = init_features,
		[INIT_INTERRUPTS] = init_interrupts, [INIT_QUEUES] = init_queues,
	};

	(void)ctx;
	while (dev.state != INIT_READY && steps[dev.state]())
		;
	if (dev.state != INIT_READY)
		timer_set(&dev.retry, server_now_ns + RETRY_NS);
	else
		timer_clear(&dev.retry);
}

static void config_changed(void)
{
	struct virtio_net_config c = read_config();

	tell_link(&c);
	if (dev.pci.features & VIRTIO_NET_F_GUEST_ANNOUNCE && c.status & VIRTIO_NET_S_ANNOUNCE) {
		netdrv_announce();
		control_announced();
	}
}

static void on_interrupt(void *ctx, uint64_t bits)
{
	uint32_t cause = virtio_pci_interrupt_cause(&dev.pci, bits);

	(void)ctx;
	netdrv_interrupt();
	if (!(cause & VIRTIO_EVENT_CONFIG) || dev.state != INIT_READY)
		return; /* the queues are polled at the end of the batch */
	if (virtio_pci_needs_reset(&dev.pci))
		netdrv_broken("the device asks for a reset");
	else if (virtio_pci_config_changed(&dev.pci))
		config_changed();
}

static void net_start(void)
{
	set_state(INIT_PROBE);
	advance(NULL);
}

static void net_poll_all(void)
{
	queues_poll();
	control_poll();
}

static bool net_arm(void)
{
	bool more = queues_arm();

	more |= control_arm();
	return more;
}

static void net_stop(void)
{
	if (dev.probed)
		virtio_pci_reset_begin(&dev.pci);
}

void server_main(void)
{
	static const struct netdrv_ops ops = {
		.maps_pools = true, .poll_ns = POLL_NS,
		.start = net_start, .post = queues_post, .send = queues_send, .kick = queues_kick,
		.poll = net_poll_all, .arm = net_arm, .configure = control_configure, .stop = net_stop,
	};

	dev.retry.fn = advance;
	if (boot_handle("device") == X_NO_HANDLE)
		netdrv_failed("no device was given");
	netdrv_run(&ops);
}
