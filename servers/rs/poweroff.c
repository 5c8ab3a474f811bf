/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end: services stop one after the other, users before what they need,
 * each with a deadline; then the machine is switched off or restarted.
 */
#include "servers/rs/events.h"
#include "servers/rs/service.h"

#define STEP_DEADLINE_NS 60000000000ull /* a net under those of the services */
#define STILL_ON_NS        1000000000ull

bool shutting_down;
static bool reboot_wanted;
static struct server_timer net;

static void still_on(void *ctx)
{
	(void)ctx;
	event_announce("rs", "the machine does not switch off; it is safe to do so by hand");
}

static void finish(void *ctx)
{
	(void)ctx;
	event_announce("rs", "%s", reboot_wanted ? "restart" : "power off");
	out_do(X_SYS_system, boot_handle("resource"), reboot_wanted ? X_SYS_REBOOT : X_SYS_POWEROFF, 0, 0, 0);
	net.fn = still_on;
	timer_set(&net, server_now_ns + STILL_ON_NS);
}

/* True: it is stopping now, the next one's turn comes when it is dead. */
static bool stop_one(struct service *s)
{
	if (s->is_rs || s->state == SERVICE_FAILED || s->state == SERVICE_DEAD)
		return false;
	if (s->process == X_NO_HANDLE) { /* on its way to be started */
		service_stop(s, STOP_FOR_GOOD);
		return false;
	}
	if (s->state == SERVICE_CRASHED) /* dying anyway */
		return false;
	if (s->state != SERVICE_STOPPING)
		service_stop(s, STOP_FOR_GOOD);
	return true;
}

void poweroff_goes_on(void)
{
	if (shutting_down)
		timer_set(&net, server_now_ns + STEP_DEADLINE_NS);
}

void poweroff_step(void)
{
	poweroff_goes_on();
	for (uint32_t place = graph.count; place--;)
		for (uint32_t i = 0; i < service_count; i++)
			if (services[i].base == graph.order[place] && stop_one(&services[i]))
				return;
	finish(NULL);
}

void poweroff_start(bool reboot)
{
	if (shutting_down)
		return;
	shutting_down = true;
	reboot_wanted = reboot;
	event_announce("rs", "stopping all services");
	net.fn = finish;
	poweroff_step();
}
