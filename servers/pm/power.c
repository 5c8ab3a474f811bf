/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of the system: sync through the first process's vfs session, then
 * rs switches off. A sync that does not end in time is not waited for.
 */
#include "proto/rs.h"
#include "servers/pm/pm.h"

enum { CMD_RESTART = 0x01234567, CMD_HALT = (int)0xcdef0123, CMD_POWER_OFF = 0x4321fedc,
       CMD_CAD_ON = (int)0x89abcdef, CMD_CAD_OFF = 0 };

#define SYNC_PATIENCE_NS (20 * NS_PER_SECOND)

static bool ending;
static uint64_t how; /* a[0] of RS_POWEROFF */
static struct server_timer patience;

static void told(void *ctx, const struct x_in *reply)
{
	(void)ctx;
	server_log("rs did not switch off: %d", (int)reply->msg.status);
	ending = false;
}

static void switch_off(void *ctx)
{
	struct x_out *out;

	(void)ctx;
	timer_clear(&patience);
	if (rs_port == X_NO_HANDLE) {
		server_log("no way to rs: cannot switch off");
		ending = false;
		return;
	}
	out = out_start(rs_port, told, NULL, NULL);
	out->msg.op = RS_POWEROFF;
	out->msg.a[0] = how;
}

static void synced(void *ctx, const struct x_in *reply)
{
	(void)reply;
	if (patience.deadline_ns) /* else it has been given up already */
		switch_off(ctx);
}

static void begin(uint64_t reboot, x_handle_t session)
{
	if (ending)
		return;
	ending = true;
	how = reboot;
	if (session == X_NO_HANDLE) {
		switch_off(NULL);
		return;
	}
	patience.fn = switch_off;
	timer_set(&patience, server_now_ns + SYNC_PATIENCE_NS);
	out_start(session, synced, NULL, NULL)->msg.op = VFS_SYNC;
}

void power_off(x_handle_t session)
{
	begin(0, session);
}

void settime_call(struct proc *p, const struct x_in *in)
{
	if (p->ids.euid != 0) {
		out_status(in->id, -X_EPERM);
		return;
	}
	out_status(in->id, x_system(boot_handle("resource"), X_SYS_SET_REALTIME, in->msg.a[0]));
	clock_changed();
	timers_clock_set();
	counters_clock_set();
}

void reboot_call(struct proc *p, const struct x_in *in)
{
	struct proc *init = proc_init();
	int command = (int)in->msg.a[0];

	if (p->ids.euid != 0) {
		out_status(in->id, -X_EPERM);
		return;
	}
	out_status(in->id, command == CMD_RESTART || command == CMD_HALT || command == CMD_POWER_OFF ||
			   command == CMD_CAD_ON || command == CMD_CAD_OFF ? 0 : -X_EINVAL);
	if (command == CMD_RESTART || command == CMD_HALT || command == CMD_POWER_OFF)
		begin(command == CMD_RESTART, init ? init->vfs : X_NO_HANDLE);
}
