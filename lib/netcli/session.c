/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The session with the driver: opening it, its rings, its configuration, losing
 * it, opening it again (proto/net.h).
 *
 * Index stores are outbox entries, so that they take effect with the iteration
 * that made them; the doorbell is rung after them.
 */
#include "lib/netcli/internal.h"
#include "lib/c/string.h"

#define OPEN_TRIES_MAX  50u
#define RETRY_NS        100000000ull
#define FAILED_RETRY_NS 2000000000ull
#define MTU_MIN         68u
#define ETHERNET_HEADER 14u

static void retry(void *ctx)
{
	ncli_session_open(ctx);
}

static void look(void *ctx) { (void)ctx; } /* at the end of the batch */

void ncli_session_init(struct net_client *c)
{
	c->lazy.fn = look;
	c->object = c->doorbell = c->event = X_NO_HANDLE;
	c->retry.fn = retry;
	c->retry.ctx = c;
}

/* ------------------------------------------------------------------------ ending */

static void unmap_retired(struct net_client *c)
{
	if (c->retired)
		x_mem_unmap(X_SELF, (uint64_t)(uintptr_t)c->retired, NET_RING_BYTES);
	c->retired = NULL;
}

static void drop_bound(x_handle_t *h)
{
	if (*h == X_NO_HANDLE)
		return;
	server_unbind(*h);
	out_close(*h);
	*h = X_NO_HANDLE;
}

/* Nothing of the session is left but the old mapping, which goes in a later
 * iteration: rolled back, this one still finds it. */
static void session_drop(struct net_client *c)
{
	drop_bound(&c->object);
	drop_bound(&c->event);
	out_close(c->doorbell);
	c->doorbell = X_NO_HANDLE;
	unmap_retired(c);
	c->retired = c->rings;
	c->rings = NULL;
	c->generation++;
	c->active_version = 0;
}

static void open_later(struct net_client *c, uint64_t delay_ns)
{
	timer_set(&c->retry, server_now_ns + delay_ns);
}

void ncli_session_broken(struct net_client *c, const char *why)
{
	server_log("the driver %s breaks the protocol: %s", c->info.name, why);
	server_complain(c->driver);
	c->pause = true;
	c->state = CLIENT_LOST;
}

static void tell_link(struct net_client *c, bool up, uint32_t speed_mbit, bool announce)
{
	bool changed = up != c->link.up || speed_mbit != c->link.speed_mbit;

	c->link.up = up;
	c->link.speed_mbit = speed_mbit;
	if ((changed || announce) && c->ops->status)
		c->ops->status(c->ctx, &c->link, announce);
}

void ncli_session_end(struct net_client *c)
{
	bool pause = c->pause;

	server_log("session with %s is lost, %u packets will be sent again", c->info.name, c->tx_packets);
	net_counters(c, &c->past);
	ncli_receive_abandon(c);
	session_drop(c);
	c->pause = false;
	if (pause) {
		c->state = CLIENT_PAUSED;
		open_later(c, RETRY_NS);
	} else {
		ncli_session_open(c);
	}
}

static void on_object(void *ctx, uint64_t bits)
{
	struct net_client *c = ctx;

	if (c->state != CLIENT_UP || !(bits & (X_READY_DEAD | X_READY_HUP | X_READY_ERR)))
		return;
	c->pause = !(bits & X_READY_DEAD);
	c->state = CLIENT_LOST; /* the rest at the end of the batch */
}

/* ------------------------------------------------------------------ status page */

static void read_status(struct net_client *c)
{
	const volatile struct net_status *s = ncli_status(c);
	uint32_t announcements = s->announcements, up = s->link_up, speed = s->speed_mbit;
	bool announce = announcements != c->announcements;

	c->announcements = announcements;
	tell_link(c, up, speed, announce);
}

static void on_event(void *ctx, uint64_t bits)
{
	struct net_client *c = ctx;

	if (bits & NET_EVENT_STATUS && c->state == CLIENT_UP)
		read_status(c);
	/* The rings are looked at at the end of the batch. */
}

/* --------------------------------------------------------------- configuration */

static void on_configured(void *ctx, const struct x_in *reply)
{
	struct net_client *c = ctx;

	c->asking = false;
	if (c->asked_generation == c->generation) {
		c->active_version = c->asked_version; /* asked again only for another wish */
		if (reply->msg.status < 0)
			server_log("%s refuses its configuration: error %d", c->info.name, reply->msg.status);
	}
	ncli_session_configure(c);
}

/* One call at a time: the next begins when it is answered. */
void ncli_session_configure(struct net_client *c)
{
	struct x_out *out;
	uint64_t mac = 0;

	if (c->state != CLIENT_UP || c->asking || c->active_version == c->wanted_version)
		return;
	c->asking = true;
	c->asked_version = c->wanted_version;
	c->asked_generation = c->generation;
	memcpy(&mac, c->wanted.mac, sizeof(c->wanted.mac));
	memcpy(c->asked_filter, c->wanted.filter, c->wanted.filter_count * 6);
	out = out_start(c->object, on_configured, c, NULL);
	out->msg.op = NET_CONFIGURE;
	out->msg.a[0] = c->wanted.mode;
	out->msg.a[1] = mac;
	if (c->wanted.filter_count) {
		out->win[0] = (struct x_window){ (uint64_t)(uintptr_t)c->asked_filter,
						 c->wanted.filter_count * 6, X_WIN_READ };
		out->win_count = 1;
	}
}

/* ----------------------------------------------------------------------- opening */

/* Fresh ring memory. The handle is only for the driver. */
static int make_rings(struct net_client *c, x_handle_t *memory)
{
	struct x_mem_create create = { .bytes = NET_RING_BYTES, .flags = X_MEM_POPULATE };
	struct x_mem_map map = { .space = X_SELF, .len = NET_RING_BYTES, .prot = X_PROT_READ | X_PROT_WRITE };
	int64_t h = x_mem_create(&create), addr;

	if (h < 0)
		return h;
	*memory = map.memory = h;
	addr = x_mem_map(&map);
	if (addr < 0)
		return addr;
	c->rings = (void *)addr;
	ring_init(&c->rx_post, c->rings + NET_RX_POST_OFFSET, NET_SLOTS, sizeof(struct net_rx_post));
	ring_init(&c->rx_done, c->rings + NET_RX_DONE_OFFSET, NET_SLOTS, sizeof(struct net_rx_done));
	ring_init(&c->tx, c->rings + NET_TX_OFFSET, NET_SLOTS, sizeof(struct net_tx));
	ring_init(&c->tx_done, c->rings + NET_TX_DONE_OFFSET, NET_SLOTS, sizeof(struct net_tx_done));
	return 0;
}

static int make_event(struct net_client *c, x_handle_t *for_driver)
{
	int64_t h = x_event_create(), copy;
	int err;

	if (h < 0)
		return h;
	c->event = h;
	err = server_bind(c->event, on_event, c);
	if (err)
		return err;
	copy = x_handle_dup(c->event, X_R_WRITE | X_R_TRANSFER, X_SLOT_NATIVE, 0);
	if (copy < 0)
		return copy;
	*for_driver = copy;
	return 0;
}

static int share_pools(const struct net_client *c, x_handle_t *handles)
{
	for (uint32_t i = 0; i < c->pool_count; i++) {
		int64_t h = x_handle_dup(c->pools[i].memory, X_R_READ | X_R_WRITE | X_R_TRANSFER, X_SLOT_NATIVE, 0);

		if (h < 0)
			return h;
		handles[i] = h;
	}
	return 0;
}

static void on_opened(void *ctx, const struct x_in *reply);

static void start_open(struct net_client *c, const x_handle_t handles[X_MAX_HANDLES])
{
	struct x_out *out = out_start(c->driver, on_opened, c, NULL);

	out->msg.op = NET_OPEN;
	out->msg.a[0] = c->generation;
	out->msg.a[1] = c->pool_count;
	for (uint32_t i = 0; i < c->pool_count; i++)
		out->msg.a[2 + i] = c->pools[i].bytes;
	out->flags = X_CALL_MOVE;
	out->handle_count = 2 + c->pool_count;
	memcpy(out->handles, handles, out->handle_count * sizeof(handles[0]));
}

void ncli_session_open(struct net_client *c)
{
	x_handle_t handles[X_MAX_HANDLES] = { X_NO_HANDLE, X_NO_HANDLE, X_NO_HANDLE, X_NO_HANDLE };
	int err = make_rings(c, &handles[0]);

	c->state = CLIENT_OPENING;
	if (!err)
		err = make_event(c, &handles[1]);
	if (!err)
		err = share_pools(c, &handles[2]);
	if (!err) {
		start_open(c, handles);
		return;
	}
	server_log("cannot open a session now: error %d", err);
	for (uint32_t i = 0; i < X_MAX_HANDLES; i++)
		out_close(handles[i]);
	session_drop(c);
	c->state = CLIENT_PAUSED;
	open_later(c, RETRY_NS);
}

static bool take_info(struct net_client *c, const struct x_msg *m)
{
	struct net_info *i = &c->info;
	uint32_t mtu = (uint32_t)m->a[1], least = (uint32_t)m->a[2], best = m->a[2] >> 32;
	uint32_t bytes = (uint32_t)m->a[3], pieces = m->a[3] >> 32;

	if (mtu < MTU_MIN || mtu > 65535 || !least || least > best || bytes < mtu + ETHERNET_HEADER ||
	    !pieces || pieces > NET_PIECES_MAX)
		return false;
	memcpy(i->mac, &m->a[0], sizeof(i->mac));
	i->mtu = mtu;
	i->features = m->a[1] >> 32;
	i->rx_buffer_min = least;
	i->rx_buffer_best = best;
	i->tx_packet_max = bytes < NET_PACKET_MAX ? bytes : NET_PACKET_MAX;
	i->tx_pieces_max = pieces;
	memcpy(i->name, &m->a[4], sizeof(i->name));
	i->name[sizeof(i->name) - 1] = 0;
	return true;
}

/* A client that once had its device goes on asking for it, now and then:
 * somebody may start the driver again. */
static void give_up(struct net_client *c, int status)
{
	if (c->announced && c->state != CLIENT_FAILED)
		server_log("no session with %s: error %d", c->info.name, status);
	c->state = CLIENT_FAILED;
	if (c->announced) {
		tell_link(c, false, 0, false);
		open_later(c, FAILED_RETRY_NS);
		return;
	}
	c->announced = true;
	c->ops->opened(c->ctx, status, NULL);
}

static void open_failed(struct net_client *c, int status)
{
	bool passing = status == -X_EBUSY || status == -X_ENOMEM || status == -X_EAGAIN || c->info.mtu;

	session_drop(c);
	if (status == -X_EDEAD || status == -X_ESTALE_HANDLE) {
		ncli_session_open(c); /* the call waits until the next incarnation serves */
		return;
	}
	if (passing && ++c->open_failures < OPEN_TRIES_MAX) {
		c->state = CLIENT_PAUSED;
		open_later(c, RETRY_NS);
		return;
	}
	give_up(c, status);
}

static void session_up(struct net_client *c)
{
	bool first = !c->announced;

	c->open_failures = 0;
	c->announced = true;
	c->announcements = 0;
	c->state = CLIENT_UP;
	ncli_session_configure(c);
	ncli_receive_replay(c);
	if (c->state == CLIENT_UP)
		ncli_send_replay(c);
	if (first) {
		c->ops->opened(c->ctx, 0, &c->info);
	} else {
		c->reopened++;
		server_log("session with %s is open again", c->info.name);
		if (c->ops->up)
			c->ops->up(c->ctx, &c->info);
	}
	read_status(c);
}

static void on_opened(void *ctx, const struct x_in *reply)
{
	struct net_client *c = ctx;
	int status = reply->msg.status;

	unmap_retired(c);
	if (!status && (reply->handle_count != 2 || !take_info(c, &reply->msg)))
		status = -X_EPROTO;
	if (status == -X_EPROTO)
		server_complain(c->driver);
	if (status) {
		open_failed(c, status < 0 ? status : -X_EPROTO);
		return;
	}
	c->object = in_take(reply, 0);
	c->doorbell = in_take(reply, 1);
	status = server_bind(c->object, on_object, c);
	if (status)
		open_failed(c, status);
	else
		session_up(c);
}

/* ------------------------------------------------------------------------- rings */

static void show(struct ring *r, bool producer)
{
	if (ring_unpublished(r))
		out_store32(ring_index_word(r, producer), ring_index_take(r));
}

/* What the driver is to look at; it is woken if it has asked for that. */
static void show_and_tell(struct net_client *c, struct ring *r)
{
	uint32_t old = r->published;

	if (!ring_unpublished(r))
		return;
	show(r, true);
	out_signal_past(c->doorbell, NET_EVENT_RING, ring_event_word(r, true), old, r->published);
}

/* Release before publish: proto/net.h. */
void ncli_session_publish(struct net_client *c)
{
	show(&c->rx_done, false);
	show(&c->tx_done, false);
	show_and_tell(c, &c->rx_post);
	show_and_tell(c, &c->tx);
}
