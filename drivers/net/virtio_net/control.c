/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control queue (5.1.6.5): one command at a time, from a list of those that
 * make up a configuration.
 */
#include "drivers/net/virtio_net/virtio_net.h"

#include "lib/c/string.h"
#include "lib/ipc/server.h"

#define COMMAND_TIMEOUT_NS 5000000000ull
#define STATUS_NONE        0xffu

enum step { STEP_IDLE, STEP_PROMISC, STEP_ALLMULTI, STEP_MAC, STEP_FILTER, STEP_DONE };

struct command_memory {
	struct virtio_net_ctrl header;
	uint8_t status;
	uint8_t pad[5];
	uint8_t data[8 + NET_FILTER_MAX * 6];
};

static struct {
	struct virtio_pci *pci;
	struct net_queue queue;
	struct dma_buffer memory;
	struct command_memory *m;
	bool present;
	enum step step;                  /* of the configuration; the command under way */
	struct netdrv_config config;
	bool busy, announce, announcing; /* announce: to be acknowledged */
	struct server_timer timeout;
} ctl;

static void on_timeout(void *ctx)
{
	(void)ctx;
	netdrv_broken("no answer to a control command");
}

int control_start(struct virtio_pci *v)
{
	int err = 0;

	ctl.pci = v;
	ctl.present = v->features & VIRTIO_NET_F_CTRL_VQ;
	ctl.busy = ctl.announce = ctl.announcing = false;
	ctl.step = STEP_IDLE;
	ctl.timeout.fn = on_timeout;
	timer_clear(&ctl.timeout);
	if (!ctl.present)
		return 0;
	if (!ctl.memory.bytes)
		err = dma_alloc(v->device, sizeof(struct command_memory), 0, 0, &ctl.memory);
	ctl.m = (void *)ctl.memory.virt;
	return err ? err : net_queue_setup(v, &ctl.queue, VIRTIO_NET_QUEUE_CTRL);
}

static bool has(uint64_t feature)
{
	return ctl.present && ctl.pci->features & feature;
}

/* `bytes` of data are in place. */
static void send(uint8_t class, uint8_t command, uint32_t bytes)
{
	uint64_t at = ctl.memory.iova;
	struct virtq_segment s[3] = { { at, sizeof(struct virtio_net_ctrl) } };
	uint32_t out = 1;

	ctl.m->header = (struct virtio_net_ctrl){ class, command };
	ctl.m->status = STATUS_NONE;
	if (bytes)
		s[out++] = (struct virtq_segment){ at + offsetof(struct command_memory, data), bytes };
	s[out] = (struct virtq_segment){ at + offsetof(struct command_memory, status), 1 };
	if (virtqueue_add(&ctl.queue.ring, s, out, 1, 0)) {
		netdrv_broken("the control queue is full");
		return;
	}
	ctl.busy = true;
	net_queue_kick(ctl.pci, &ctl.queue);
	timer_set(&ctl.timeout, server_now_ns + COMMAND_TIMEOUT_NS);
}

static uint32_t fill_filter(void)
{
	uint32_t none = 0, count = ctl.config.filter_count;

	memcpy(ctl.m->data, &none, 4); /* no further unicast addresses */
	memcpy(ctl.m->data + 4, &count, 4);
	memcpy(ctl.m->data + 8, ctl.config.filter, count * 6);
	return 8 + count * 6;
}

/* Start the next command of the configuration. */
static void next_step(void)
{
	while (!ctl.busy && ctl.step != STEP_IDLE) {
		switch (ctl.step++) {
		case STEP_PROMISC:
			ctl.m->data[0] = ctl.config.mode & NET_MODE_PROMISCUOUS ? 1 : 0;
			send(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 1);
			break;
		case STEP_ALLMULTI:
			ctl.m->data[0] = ctl.config.mode & NET_MODE_ALL_MULTICAST ? 1 : 0;
			send(VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, 1);
			break;
		case STEP_MAC:
			if (!ctl.config.has_mac)
				break;
			memcpy(ctl.m->data, ctl.config.mac, 6);
			send(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, 6);
			break;
		case STEP_FILTER:
			send(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, fill_filter());
			break;
		default:
			ctl.step = STEP_IDLE;
			netdrv_configured(0);
		}
	}
	if (!ctl.busy && ctl.announce) {
		ctl.announce = false;
		ctl.announcing = true;
		send(VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, 0);
	}
}

/* Without filters in the device everything arrives, which is allowed. */
void control_configure(const struct netdrv_config *config)
{
	ctl.config = *config;
	if (config->has_mac && !has(VIRTIO_NET_F_CTRL_MAC_ADDR)) {
		netdrv_configured(-X_EOPNOTSUPP);
		return;
	}
	if (!has(VIRTIO_NET_F_CTRL_RX)) {
		netdrv_configured(0);
		return;
	}
	ctl.step = STEP_PROMISC;
	next_step();
}

void control_announced(void)
{
	if (!has(VIRTIO_NET_F_GUEST_ANNOUNCE))
		return;
	ctl.announce = true;
	next_step();
}

void control_poll(void)
{
	uint32_t token, written;
	int got = ctl.busy ? virtqueue_reap(&ctl.queue.ring, &token, &written) : 0;

	if (got < 0)
		netdrv_broken("the device wrote an impossible control ring");
	if (got <= 0)
		return;
	ctl.busy = false;
	timer_clear(&ctl.timeout);
	if (ctl.announcing) {
		ctl.announcing = false;
	} else if (*(volatile uint8_t *)&ctl.m->status != VIRTIO_NET_OK) {
		ctl.step = STEP_IDLE;
		netdrv_configured(-X_EIO);
	}
	next_step();
}

bool control_arm(void)
{
	return ctl.busy && virtqueue_arm(&ctl.queue.ring);
}
