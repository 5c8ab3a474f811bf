/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net: the network stack. lwIP in one event loop; sockets are objects
 * (proto/socket.h); interfaces are the loopback and what network drivers give
 * (lib/netcli).
 *
 * An iteration: the calls of the batch are tried, packets come in from drivers
 * and the loopback, lwIP notes what that means for sockets, and those are
 * settled: parked calls go on, data is sent, readiness is told. At the commit
 * all of it takes effect.
 */
#include "lwip/init.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/timeouts.h"
#include "servers/net/net.h"

#define LOOPBACK_AT_ONCE 32u
#define ROUNDS 4u

static struct server_timer lwip_timer, again_timer;

u32_t sys_now(void) { return (u32_t)(server_now_ns / 1000000); }

static void again(void *ctx) { (void)ctx; }

static void run_lwip_timers(void *ctx)
{
	(void)ctx;
	tcp_timers();
	sys_check_timeouts();
	tcp_timers();
	flows_sync();
}

static void arm_lwip_timer(void)
{
	uint32_t sleep_ms = sys_timeouts_sleeptime();

	if (sleep_ms != SYS_TIMEOUTS_SLEEPTIME_INFINITE)
		timer_set(&lwip_timer, server_now_ns + (uint64_t)sleep_ms * 1000000);
}

static bool may_go;

void senders_may_go(void) { may_go = true; }

/* Senders that waited for the pool or for a driver's queue. */
static void wake_senders(void)
{
	struct tcp_pcb *pcb;

	if (!chunks_were_short() && !may_go)
		return;
	may_go = false;
	for (pcb = tcp_active_pcbs; pcb; pcb = pcb->next)
		if (pcb->unsent && pcb->callback_arg)
			sock_mark(pcb->callback_arg, 0);
	for (uint32_t i = 0; i < sockets_end; i++)
		if (sockets[i].in_use && (sockets[i].wait[WAIT_SEND] || sockets[i].starved || send_flow_waits(&sockets[i]))) {
			/* Who was told to try later is told when: an edge, though it holds nothing. */
			sock_mark(&sockets[i], sockets[i].starved ? X_READY_OUT : 0);
			sockets[i].starved = false;
		}
}

static void batch_end(void)
{
	bool more = true;

	pool_iteration_begins();
	joins_begin();
	datagram_flows_begin();
	for (uint32_t round = 0; round < ROUNDS && more; round++) {
		more = ether_poll();
		sockets_settle();
		more |= loopback_run(server_careful() ? 1 : LOOPBACK_AT_ONCE);
		wake_senders();
		more |= sockets_unsettled();
		if (server_careful())
			break;
	}
	if (memory_is_short())
		flows_sync();
	sockets_settle();
	net_batch_end();
	/* What drivers had finished may have been seen only at the very end. */
	more |= joins_deliver();
	pool_iteration_ends();
	if (more || may_go || sockets_unsettled() || datagram_flows_wait() || (pool_is_short() && pool_has_given_back())) {
		again_timer.fn = again;
		timer_set(&again_timer, server_now_ns);
	}
	arm_lwip_timer();
}

static void closure(uint64_t object, uint64_t mints)
{
	(void)mints;
	sock_closed(object);
}

static void flow(uint64_t object, uint32_t which, const struct x_flow_state *state)
{
	if (which == X_FLOW_OUT)
		stream_out_told(object, state);
	else if (which & X_FLOW_OUT)
		send_flow_told(object, state);
	else
		flow_told(object);
}

static const struct server_ops ops = {
	.call = sock_call,
	.closure = closure,
	.cancel = waiter_cancel,
	.flow = flow,
	.batch_end = batch_end,
};

void server_main(void)
{
	random_start();
	lwip_init();
	interfaces_start();
	icmp_errors_start();
	ether_start();
	lwip_timer.fn = run_lwip_timers;
	server_run(&ops);
}
