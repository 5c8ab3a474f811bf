/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bringing a virtio device up (bring_up.h).
 */
#include "lib/virtio/bring_up.h"

#include "lib/ipc/server.h"
#include <xinim/error.h>

#define MS 1000000ull
#define RETRY_NS         (1 * MS)
#define RESET_TIMEOUT_NS (10000 * MS) /* QEMU drains what is in flight first */

enum state { PROBE, RESET, FEATURES, INTERRUPTS, QUEUES, UP };

struct virtio_pci virtio_device;

static struct {
	const struct virtio_driver *driver;
	enum state state;
	uint64_t reset_deadline_ns;
	struct server_timer retry;
	x_handle_t event;
	bool probed;
} dev;

static void check(int64_t result, const char *what)
{
	if (result >= 0)
		return;
	server_log("%s: error %d", what, (int)result);
	if (dev.probed)
		virtio_pci_failed(&virtio_device);
	dev.driver->failed(what);
}

static void on_interrupt(void *ctx, uint64_t bits)
{
	(void)ctx;
	dev.driver->interrupt(virtio_pci_interrupt_cause(&virtio_device, bits));
}

/* ---- one state each: the next one; the same: to wait ---- */

static enum state probe(void)
{
	if (!dev.probed) {
		int64_t event;

		check(virtio_pci_probe(&virtio_device, boot_handle("device")), "no modern virtio device");
		dev.probed = true;
		event = x_event_create();
		check(event, "no event");
		dev.event = (x_handle_t)event;
		check(server_bind(dev.event, on_interrupt, NULL), "no interrupts");
	}
	virtio_pci_reset_begin(&virtio_device);
	dev.reset_deadline_ns = server_now_ns + RESET_TIMEOUT_NS;
	return RESET;
}

static enum state reset(void)
{
	int err = virtio_pci_reset_finished(&virtio_device);

	if (err == -X_EAGAIN && server_now_ns < dev.reset_deadline_ns)
		return RESET;
	check(err, "the device does not reset");
	return FEATURES;
}

static enum state features(void)
{
	check(virtio_pci_negotiate(&virtio_device, dev.driver->features, VIRTIO_F_VERSION_1),
	      "no agreement on features");
	return INTERRUPTS;
}

static enum state interrupts(void)
{
	if (dev.driver->queue_vectors)
		virtio_device.queue_vectors = dev.driver->queue_vectors();
	check(virtio_pci_interrupts(&virtio_device, dev.event), "no interrupts");
	return QUEUES;
}

static enum state queues(void)
{
	check(dev.driver->queues(&virtio_device), "the queues cannot be set up");
	virtio_pci_driver_ok(&virtio_device);
	return UP;
}

static void advance(void *ctx)
{
	static enum state (*const steps[])(void) = {
		[PROBE] = probe, [RESET] = reset, [FEATURES] = features, [INTERRUPTS] = interrupts, [QUEUES] = queues,
	};

	(void)ctx;
	while (dev.state != UP) {
		enum state next = steps[dev.state]();

		if (next == dev.state) {
			timer_set(&dev.retry, server_now_ns + RETRY_NS);
			return;
		}
		dev.state = next;
	}
	dev.driver->up();
}

void virtio_bring_up(const struct virtio_driver *driver)
{
	dev.driver = driver;
	dev.retry.fn = advance;
	dev.state = PROBE;
	timer_clear(&dev.retry);
	advance(NULL);
}

bool virtio_is_up(void) { return dev.state == UP; }

void virtio_take_down(void)
{
	if (dev.probed)
		virtio_pci_reset_begin(&virtio_device);
}
