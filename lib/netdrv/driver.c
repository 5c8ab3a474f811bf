/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network driver as a whole: its states, the event loop's work at the end
 * of each batch, resets.
 *
 * When it has had work, the driver looks for more for a while (poll_ns) before
 * it sleeps: what comes then costs neither an interrupt nor a switch. Meanwhile
 * neither the device nor the client is asked to wake it.
 */
#include "lib/netdrv/internal.h"
#include "lib/c/stdlib.h"
#include "lib/c/string.h"
#include "proto/rs.h"

#define TICK_NS       1000000000ull
#define STALL_TICKS   10u      /* seconds without a packet sent: reset the device */
#define RESETS_MAX    3u
#define ITERATION_NS  2000000ull /* of polling at most, before calls have their turn */
#define ROUNDS_MAX    64u
#define HOLD_NS       400000u    /* see hold() */
#define HOLD_MAX_NS   2000000u
#define DENSE_BYTES   32768u
#define DENSE_PACKETS 8u
#define DENSE_NS      1000000u

struct driver ndrv;

static struct {
	struct server_timer tick;
	bool start_wanted;      /* ops->start() is to run at the end of the batch */
	bool ready_told;
	x_handle_t again;       /* event: come back without waiting */
	uint64_t poll_ns, hold_ns;
	struct server_timer hold;
	struct server_timer lazy; /* to see that packets were sent */
	uint64_t held_ns;       /* end of the last iteration with work */
	uint64_t bytes_seen, packets_seen; /* then */
	uint64_t sent_seen;     /* tx_packets at the last tick */
	uint32_t stalled_ticks;
} loop;

static void set_state(enum driver_state state)
{
	static const char *const names[] = { "starting", "serving", "resetting" };

	if (state != ndrv.state)
		server_log("%s -> %s", names[ndrv.state], names[state]);
	ndrv.state = state;
}

/* ---------------------------------------------------------- from the device code */

void netdrv_failed(const char *why)
{
	x_handle_t rs = boot_handle("rs_event");

	if (rs != X_NO_HANDLE)
		x_event_signal(rs, RS_EVENT_FAILED);
	server_die("%s", why);
}

/* Not from here: the device code may be in the middle of something. */
void ndrv_driver_reset(void)
{
	set_state(DRIVER_RESETTING);
	loop.start_wanted = true;
}

void netdrv_broken(const char *why)
{
	server_log("%s", why);
	if (++ndrv.resets_in_row > RESETS_MAX) {
		ndrv.ops->stop();
		server_die("gave up after %u resets in a row", RESETS_MAX);
	}
	ndrv.stats.resets++;
	ndrv_driver_reset();
}

void netdrv_ready(const struct netdrv_caps *caps)
{
	ndrv.caps = *caps;
	set_state(DRIVER_SERVING);
	ndrv_receive_take_back();
	ndrv_send_take_back();
	ndrv_session_device_quiet();
	if (!loop.ready_told)
		server_ready();
	loop.ready_told = true;
}

void netdrv_link(bool up, uint32_t speed_mbit)
{
	if (up == ndrv.link_up && speed_mbit == ndrv.speed_mbit)
		return;
	if (up != ndrv.link_up)
		server_log("link is %s", up ? "up" : "down");
	ndrv.link_up = up;
	ndrv.speed_mbit = speed_mbit;
	ndrv_session_status(true);
}

void netdrv_announce(void)
{
	ndrv.announcements++;
	ndrv_session_status(true);
}

void netdrv_interrupt(void)
{
	ndrv.stats.interrupts++;
}

/* -------------------------------------------------------------------- event loop */

/* A device that sends nothing, though it has packets and a link, may have lost
 * them. So may a host that does not take them: it costs one reset in a while. */
static void tick(void *ctx)
{
	(void)ctx;
	ndrv_session_status(false); /* counters of the device's own */
	if (!ndrv_send_held() || !ndrv.link_up || ndrv.counters.tx_packets != loop.sent_seen || !ndrv_running())
		loop.stalled_ticks = 0;
	else if (++loop.stalled_ticks == STALL_TICKS) {
		loop.stalled_ticks = 0;
		server_log("nothing was sent for %u s", STALL_TICKS);
		ndrv.stats.resets++;
		ndrv_driver_reset();
	}
	loop.sent_seen = ndrv.counters.tx_packets;
}

static void start_device(void)
{
	loop.start_wanted = false;
	ndrv.ops->start();
}

/* Device -> rings; rings -> device. true: there was something. */
static bool one_round(void)
{
	struct net_counters *c = &ndrv.counters;
	uint64_t before = c->rx_packets + c->tx_packets + c->rx_errors + c->tx_errors;
	bool given;

	if (loop.start_wanted)
		start_device();
	if (ndrv_running())
		ndrv.ops->poll();
	if (!ndrv_serving()) {
		ndrv_session_publish();
		return false;
	}
	/* What has come first: its receiver runs while the rest is done. */
	ndrv_session_publish();
	given = ndrv_receive_consume();
	given |= ndrv_send_consume();
	if (given && ndrv_running()) {
		ndrv.stats.kicks++;
		ndrv.ops->kick();
	}
	ndrv_session_publish();
	return given || c->rx_packets + c->tx_packets + c->rx_errors + c->tx_errors != before;
}

/* Ask both sides to wake us; true: there is something already. */
static bool arm(void)
{
	bool more = false;

	if (!ndrv_running())
		return loop.start_wanted;
	more = ndrv.ops->arm();
	if (!ndrv_session.open)
		return more;
	/* What waits for room in the device waits for the device. */
	if (!ndrv_send_stuck())
		more |= ring_arm_consumer(&ndrv_session.tx);
	if (!ndrv_receive_stuck())
		more |= ring_arm_consumer(&ndrv_session.rx_post);
	return more || loop.start_wanted;
}

static uint64_t clock_ns(void)
{
	return (uint64_t)x_clock(X_CLOCK_MONOTONIC);
}

static void look(void *ctx) /* at the rings, at the end of the batch */
{
	(void)ctx;
}

/*
 * Much has come, and not long after the last: more will come at once. Then nobody
 * is asked to wake us; a timer does, and what has come by then, from both sides,
 * is one batch: one switch to here, one to the client, where it would be one for
 * each packet. The first time that little has come we ask to be woken again. So a
 * packet of a dense stream waits for hold_ns at most, and a lone one not at all.
 */
static bool hold(void)
{
	const struct net_counters *c = &ndrv.counters;
	uint64_t bytes = c->rx_bytes + c->tx_bytes, packets = c->rx_packets + c->tx_packets;
	bool dense = bytes - loop.bytes_seen >= DENSE_BYTES || packets - loop.packets_seen >= DENSE_PACKETS;
	uint64_t now = server_now_ns, since = now - loop.held_ns;

	loop.bytes_seen = bytes;
	loop.packets_seen = packets;
	loop.held_ns = now;
	if (!loop.hold_ns || !dense || since > DENSE_NS || !ndrv_serving() || loop.start_wanted)
		return false;
	timer_set(&loop.hold, now + loop.hold_ns);
	return true;
}

static void on_batch_end(void)
{
	uint64_t begin = 0, idle_since = 0, now = 0;
	uint32_t rounds = 0;

	if (loop.poll_ns)
		begin = clock_ns();
	for (;;) {
		bool worked = one_round();

		if (loop.poll_ns) {
			now = clock_ns();
			if (worked)
				idle_since = now;
		}
		rounds += worked;
		if (rounds >= ROUNDS_MAX || now - begin > ITERATION_NS) {
			out_signal(loop.again, 1);
			break;
		}
		if (worked || now - idle_since < loop.poll_ns)
			continue;
		if (hold() || !arm())
			break;
		rounds++;
	}
	if (!ndrv_send_held())
		timer_clear(&loop.lazy);
	else if (!loop.lazy.deadline_ns)
		timer_set(&loop.lazy, server_now_ns + NET_LITTLE_NS);
	if (!loop.tick.deadline_ns && ndrv_session.open)
		timer_set(&loop.tick, server_now_ns + TICK_NS);
}

static void on_again(void *ctx, uint64_t bits)
{
	(void)ctx;
	(void)bits;
}

static void on_closure(uint64_t object, uint64_t mints)
{
	(void)mints;
	ndrv_session_closure(object);
}

static void on_stop(void)
{
	ndrv.ops->stop();
	server_exit();
}

static void read_options(void)
{
	const char *poll = boot_option("net_poll_us"), *hold_us = boot_option("net_hold_us");

	loop.poll_ns = poll ? strtoul(poll, NULL, 10) * 1000 : ndrv.ops->poll_ns;
	if (loop.poll_ns > ITERATION_NS)
		loop.poll_ns = ITERATION_NS;
	loop.hold_ns = hold_us ? strtoul(hold_us, NULL, 10) * 1000 : HOLD_NS;
	if (loop.hold_ns > HOLD_MAX_NS)
		loop.hold_ns = HOLD_MAX_NS;
}

void netdrv_run(const struct netdrv_ops *ops)
{
	static const struct server_ops server = {
		.call = ndrv_session_call, .closure = on_closure, .cancel = ndrv_session_cancel,
		.batch_end = on_batch_end, .stop = on_stop,
	};
	int64_t again;

	ndrv.ops = ops;
	read_options();
	loop.tick.fn = tick;
	loop.hold.fn = loop.lazy.fn = look;
	again = x_event_create();
	if (again < 0)
		server_die("no event: %d", (int)again);
	loop.again = again;
	if (server_bind(loop.again, on_again, NULL))
		server_die("cannot bind an event");
	server_defer_ready();
	loop.start_wanted = true;
	start_device();
	server_run(&server);
}
