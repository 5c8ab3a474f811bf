/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driver of virtio network devices (virtio 1.2, section 5.1) over PCI.
 * QEMU: -device virtio-net-pci,netdev=... (offloads with -netdev tap only)
 *
 * Started by rs with the device as boot handle "device", which lib/virtio brings up.
 */
#include "drivers/net/virtio_net/virtio_net.h"

#include "lib/c/string.h"
#include "lib/ipc/server.h"

#define POLL_NS           0u
#define ETHERNET_HEADER   14u
#define VLAN_TAG          4u
#define MTU_DEFAULT       1500u
#define RX_MERGED_MIN     4096u /* 64 KiB in NET_PIECES_MAX pieces, with room */

/* ---------------------------------------------------------------- configuration */

static struct virtio_net_config read_config(void)
{
	struct virtio_net_config c;

	virtio_pci_config_changed(&virtio_device); /* later changes count from here */
	virtio_pci_config(&virtio_device, 0, &c, sizeof(c));
	return c;
}

static void tell_link(const struct virtio_net_config *c)
{
	uint64_t features = virtio_device.features;
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
		if (virtio_device.features & map[i].ours)
			told |= map[i].told;
	return told;
}

/* A device that has told no address gets one made of nothing but luck: locally
 * administered (5.1.5), from the clock. */
static void take_mac(const struct virtio_net_config *c, uint8_t *mac)
{
	uint64_t luck = (uint64_t)x_clock(X_CLOCK_MONOTONIC) * 0x9e3779b97f4a7c15ull;

	if (virtio_device.features & VIRTIO_NET_F_MAC) {
		memcpy(mac, c->mac, 6);
		return;
	}
	memcpy(mac, (uint8_t *)&luck + 2, 6);
	mac[0] = (mac[0] & ~1u) | 2;
}

static void report_ready(void)
{
	struct virtio_net_config c = read_config();
	struct netdrv_caps caps = { .device = virtio_device.device, .mtu = MTU_DEFAULT, .features = features_told() };
	uint32_t header = sizeof(struct virtio_net_hdr), longest;

	if (virtio_device.features & VIRTIO_NET_F_MTU && c.mtu >= 68)
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

/* -------------------------------------------------------------------- the device */

static void config_changed(void)
{
	struct virtio_net_config c = read_config();

	tell_link(&c);
	if (virtio_device.features & VIRTIO_NET_F_GUEST_ANNOUNCE && c.status & VIRTIO_NET_S_ANNOUNCE) {
		netdrv_announce();
		control_announced();
	}
}

static void interrupt(uint32_t cause)
{
	netdrv_interrupt();
	if (!(cause & VIRTIO_EVENT_CONFIG) || !virtio_is_up())
		return; /* the queues are polled at the end of the batch */
	if (virtio_pci_needs_reset(&virtio_device))
		netdrv_broken("the device asks for a reset");
	else if (virtio_pci_config_changed(&virtio_device))
		config_changed();
}

static int set_up_queues(struct virtio_pci *v)
{
	int err = queues_start(v);

	return err ? err : control_start(v);
}

static void net_start(void)
{
	static const struct virtio_driver driver = {
		.features = VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_ACCESS_PLATFORM |
			    VIRTIO_F_RING_PACKED |
			    VIRTIO_NET_F_CSUM | VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_MTU | VIRTIO_NET_F_MAC |
			    VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6 | VIRTIO_NET_F_GUEST_ECN |
			    VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 | VIRTIO_NET_F_HOST_ECN |
			    VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_STATUS | VIRTIO_NET_F_CTRL_VQ |
			    VIRTIO_NET_F_CTRL_RX | VIRTIO_NET_F_CTRL_MAC_ADDR | VIRTIO_NET_F_GUEST_ANNOUNCE |
			    VIRTIO_NET_F_SPEED_DUPLEX,
		.queues = set_up_queues, .up = report_ready, .interrupt = interrupt, .failed = netdrv_failed,
	};

	virtio_bring_up(&driver);
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

void server_main(void)
{
	static const struct netdrv_ops ops = {
		.maps_pools = true, .poll_ns = POLL_NS,
		.start = net_start, .post = queues_post, .send = queues_send, .kick = queues_kick,
		.poll = net_poll_all, .arm = net_arm, .configure = control_configure, .stop = virtio_take_down,
	};

	if (boot_handle("device") == X_NO_HANDLE)
		netdrv_failed("no device was given");
	netdrv_run(&ops);
}
