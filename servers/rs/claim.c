/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Devices for drivers: devmgr is asked for the n-th device that matches, for
 * n = 0, 1, ... Each one found gets an instance of the driver of its own. The
 * device's grant is kept by rs over all incarnations of the instance.
 */
#include "lib/c/error.h"
#include "lib/c/stdio.h"
#include "lib/c/string.h"
#include "proto/devmgr.h"
#include "servers/rs/events.h"
#include "servers/rs/service.h"

#define CLAIM_TRIES 5u

static void claim_failed(struct service *s, int32_t status)
{
	char why[96];

	if (s->instance) { /* merely no further device: as if it had never been */
		s->wanted = false;
		service_set_state(s, SERVICE_DEAD, 0, "no further device");
		return;
	}
	if (status == -X_ENODEV) { /* no mishap: most machines lack most devices */
		snprintf(why, sizeof(why), "no matching device (%.60s)", s->manifest->match);
		s->absent = true;
		service_absent(s, why);
		return;
	}
	snprintf(why, sizeof(why), "no device: devmgr says: %s", x_error_text(status));
	service_fail(s, why);
}

/* The next device's instance; it exists only once there is a device for it. */
static void claim_next(struct service *s);

/* The IOMMU stopped the device: its driver, or what it made of it, is not to be trusted. */
static void device_strayed(void *ctx, uint64_t bits)
{
	struct service *s = ctx;

	(void)bits;
	event_announce(s->name, "device %s reached for memory it was not granted: killed", s->device_name);
	service_kill(s, CAUSE_DMA);
}

static void claim_succeeded(struct service *s, const struct x_in *reply)
{
	s->device = in_take(reply, 0);
	s->device_name[sizeof(s->device_name) - 1] = '\0';
	server_bind(s->device, device_strayed, s);
	event_add(s->name, "device %s", s->device_name);
	claim_next(s);
	service_launch(s);
}

static void claim_answered(void *ctx, const struct x_in *reply)
{
	struct service *s = ctx;
	int32_t status = reply->msg.status;

	if (!s->claiming || s->state != SERVICE_STARTING) /* stopped meanwhile */
		return;
	s->claiming = false;
	if (status == -X_EDEAD && s->claim_tries++ < CLAIM_TRIES)
		claim_device(s);
	else if (status >= 0 && reply->handle_count == 1)
		claim_succeeded(s, reply);
	else
		claim_failed(s, status < 0 ? status : -X_EPROTO);
}

void claim_device(struct service *s)
{
	struct service *devmgr = service_find("devmgr");
	struct x_out *o;

	if (!devmgr) {
		claim_failed(s, -X_ENODEV);
		return;
	}
	s->claiming = true;
	s->absent = false;
	memset(s->device_name, 0, sizeof(s->device_name));
	o = out_start(devmgr->port, claim_answered, s, NULL);
	o->msg.op = DEVMGR_CLAIM;
	o->msg.a[0] = s->instance;
	o->win_count = 2;
	o->win[0] = (struct x_window){ (uintptr_t)s->manifest->match, strlen(s->manifest->match), X_WIN_READ };
	o->win[1] = (struct x_window){ (uintptr_t)s->device_name, sizeof(s->device_name), X_WIN_WRITE };
}

/* The newest instance is unused if the last device was its predecessor's. */
static void claim_next(struct service *s)
{
	struct service *n;

	for (uint32_t i = 0; i < service_count; i++)
		if (services[i].base == s->base && services[i].instance == s->instance + 1)
			return;
	n = service_add_instance(s, s->instance + 1);
	if (n)
		n->wanted = true; /* starts, that is claims, like any other */
	service_graph_changed();
}
