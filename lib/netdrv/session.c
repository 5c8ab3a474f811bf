/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The session: NET_OPEN, NET_CONFIGURE, the rings and the status page, and its
 * end (closure of the session object).
 *
 * A session that has ended keeps its pools until the device, reset, has
 * forgotten the buffers in them: only then are its handles closed, and the next
 * one opened.
 */
#include "lib/netdrv/internal.h"
#include "lib/c/string.h"

#define WAITING_MAX 8u

struct netdrv_session ndrv_session;

static struct {
	struct x_in waiting[WAITING_MAX]; /* NET_OPEN that came too early */
	uint32_t waiting_count;
	uint64_t next_object;
	/* NET_CONFIGURE under way; call_id 0: a replay of our own */
	bool configuring;
	uint64_t configure_call;
} opens;

static void refuse(const struct x_in *in, int err)
{
	in_close_handles(in);
	out_status(in->id, err);
}

/* ------------------------------------------------------------------------- end */

static void session_free(void)
{
	struct netdrv_session *s = &ndrv_session;

	if (s->rings)
		x_mem_unmap(X_SELF, (uint64_t)(uintptr_t)s->rings, NET_RING_BYTES);
	if (s->doorbell != X_NO_HANDLE) {
		server_unbind(s->doorbell);
		out_close(s->doorbell);
	}
	out_close(s->event);
	for (uint32_t i = 0; i < s->pool_count; i++) {
		if (s->pool_virt[i])
			x_mem_unmap(X_SELF, (uint64_t)(uintptr_t)s->pool_virt[i], s->pool_bytes[i]);
		out_close(s->pools[i]);
		dma_import_drop(&s->imports[i]);
	}
	s->object = 0;
}

static void session_end(void)
{
	ndrv_session.open = false;
	if (ndrv_receive_held() || ndrv_send_held())
		ndrv_driver_reset();
	else if (ndrv_running())
		session_free();
}

void ndrv_session_closure(uint64_t object)
{
	if (ndrv_session.object == object && ndrv_session.open)
		session_end();
}

/* The client broke the protocol: nothing more is done for it, and it is told
 * by a hang-up of its object. */
void ndrv_session_broken(const char *why)
{
	if (!ndrv_session.open)
		return;
	server_log("session dropped: %s", why);
	out_ready(ndrv_session.object, X_READY_HUP, X_READY_HUP, 0);
	session_end();
}

/* ------------------------------------------------------------------------ open */

static void on_doorbell(void *ctx, uint64_t bits)
{
	(void)ctx;
	(void)bits; /* the rings are looked at at the end of the batch */
	ndrv.stats.doorbells++;
}

static int map_rings(struct netdrv_session *s, x_handle_t memory)
{
	struct x_mem_map map = {
		.space = X_SELF, .memory = memory, .len = NET_RING_BYTES, .prot = X_PROT_READ | X_PROT_WRITE,
	};
	int64_t addr = x_mem_map(&map);

	if (addr < 0)
		return addr;
	s->rings = (void *)addr;
	ring_init(&s->rx_post, s->rings + NET_RX_POST_OFFSET, NET_SLOTS, sizeof(struct net_rx_post));
	ring_init(&s->rx_done, s->rings + NET_RX_DONE_OFFSET, NET_SLOTS, sizeof(struct net_rx_done));
	ring_init(&s->tx, s->rings + NET_TX_OFFSET, NET_SLOTS, sizeof(struct net_tx));
	ring_init(&s->tx_done, s->rings + NET_TX_DONE_OFFSET, NET_SLOTS, sizeof(struct net_tx_done));
	return 0;
}

static int import_pool(struct netdrv_session *s, uint32_t i)
{
	struct x_mem_map map = { .space = X_SELF, .memory = s->pools[i], .len = s->pool_bytes[i], .prot = X_PROT_READ };
	int err = dma_import(ndrv.caps.device, s->pools[i], s->pool_bytes[i], &s->imports[i]);
	int64_t addr;

	if (err || !ndrv.ops->maps_pools)
		return err;
	addr = x_mem_map(&map);
	if (addr < 0)
		return addr;
	s->pool_virt[i] = (const uint8_t *)(uintptr_t)addr;
	return 0;
}

static int make_doorbell(struct netdrv_session *s, x_handle_t *for_client)
{
	int64_t event = x_event_create(), copy;
	int err;

	if (event < 0)
		return event;
	s->doorbell = event;
	err = server_bind(s->doorbell, on_doorbell, NULL);
	if (err)
		return err;
	copy = x_handle_dup(s->doorbell, X_R_WRITE | X_R_TRANSFER, X_SLOT_NATIVE, 0);
	if (copy < 0)
		return copy;
	*for_client = copy;
	return 0;
}

static void answer_open(uint64_t call_id, x_handle_t object, x_handle_t doorbell)
{
	const struct netdrv_caps *caps = &ndrv.caps;
	struct x_out *out = out_answer_entry(call_id);

	memcpy(&out->msg.a[0], caps->mac, sizeof(caps->mac));
	out->msg.a[1] = caps->mtu | (uint64_t)caps->features << 32;
	out->msg.a[2] = caps->rx_buffer_min | (uint64_t)caps->rx_buffer_best << 32;
	out->msg.a[3] = caps->tx_packet_max | (uint64_t)caps->tx_pieces_max << 32;
	strlcpy((char *)&out->msg.a[4], boot->name, 16);
	out->handles[0] = object;
	out->handles[1] = doorbell;
	out->handle_count = 2;
}

/* All of a session, or an error and nothing but what session_free() undoes. */
static int session_make(struct netdrv_session *s, const struct x_in *in)
{
	x_handle_t doorbell = X_NO_HANDLE;
	int64_t object;
	int err = map_rings(s, in->handles[0]);

	for (uint32_t i = 0; !err && i < s->pool_count; i++)
		err = import_pool(s, i);
	if (!err)
		err = make_doorbell(s, &doorbell);
	if (err)
		return err;
	object = x_mint(server_port, s->object, 0, 0, 0);
	if (object < 0) {
		out_close(doorbell);
		return object;
	}
	s->open = true;
	ndrv.stats.sessions++;
	ndrv_receive_begin();
	ndrv_send_begin();
	ndrv_session_status(false);
	answer_open(in->id, object, doorbell);
	server_log("session %llu open", (unsigned long long)s->object);
	return 0;
}

static void open_now(const struct x_in *in)
{
	struct netdrv_session *s = &ndrv_session;
	uint32_t pools = in->msg.a[1] <= NET_POOLS_MAX ? (uint32_t)in->msg.a[1] : 0;
	int err;

	if (!pools || in->handle_count != 2 + pools) {
		refuse(in, -X_EINVAL);
		return;
	}
	*s = (struct netdrv_session){
		.object = ++opens.next_object, .generation = in->msg.a[0], .pool_count = pools,
		.event = in->handles[1], .doorbell = X_NO_HANDLE,
	};
	for (uint32_t i = 0; i < pools; i++) {
		s->pools[i] = in->handles[2 + i];
		s->pool_bytes[i] = in->msg.a[2 + i];
	}
	err = session_make(s, in);
	out_close(in->handles[0]); /* the mapping is enough */
	if (err) {
		session_free();
		out_status(in->id, err);
	}
}

/* Answers the call, unless the device is not ready for a session. */
static bool serve_open(const struct x_in *in)
{
	if (ndrv_session.open) {
		refuse(in, -X_EBUSY);
		return true;
	}
	if (!ndrv_running() || ndrv_session.object)
		return false;
	open_now(in);
	return true;
}

static void call_open(const struct x_in *in)
{
	if (serve_open(in))
		return;
	if (opens.waiting_count == WAITING_MAX)
		refuse(in, -X_EBUSY);
	else
		opens.waiting[opens.waiting_count++] = *in;
}

void ndrv_session_cancel(uint64_t call_id)
{
	for (uint32_t i = 0; i < opens.waiting_count; i++) {
		if (opens.waiting[i].id != call_id)
			continue;
		refuse(&opens.waiting[i], -X_ECANCELED);
		opens.waiting[i] = opens.waiting[--opens.waiting_count];
		return;
	}
}

/* ------------------------------------------------------------------- configure */

static int read_config(const struct x_in *in, struct netdrv_config *c)
{
	uint32_t bytes = in->win_count ? in->win[0].len : 0;

	*c = (struct netdrv_config){ .mode = in->msg.a[0], .has_mac = in->msg.a[1] != 0, .filter_count = bytes / 6 };
	memcpy(c->mac, &in->msg.a[1], sizeof(c->mac));
	if (in->msg.a[0] & ~(uint64_t)(NET_MODE_PROMISCUOUS | NET_MODE_ALL_MULTICAST) || in->msg.a[1] >> 48 ||
	    c->mac[0] & 1 || bytes % 6 || bytes > sizeof(c->filter))
		return -X_EINVAL;
	if (bytes && window_read(in->id, 0, 0, c->filter, bytes) != (int64_t)bytes)
		return -X_EINVAL;
	for (uint32_t i = 0; i < c->filter_count; i++)
		if (!(c->filter[i][0] & 1))
			return -X_EINVAL;
	return 0;
}

static void configure(uint64_t call_id)
{
	opens.configuring = true;
	opens.configure_call = call_id;
	ndrv.ops->configure(&ndrv_session.config);
}

static void call_configure(const struct x_in *in)
{
	struct netdrv_config config;
	int err;

	in_close_handles(in);
	err = in->object == ndrv_session.object && ndrv_session.open ? read_config(in, &config) : -X_ESTALE_HANDLE;
	if (!err && opens.configuring)
		err = -X_EBUSY;
	if (err) {
		out_status(in->id, err);
		return;
	}
	ndrv_session.config = config;
	if (ndrv_running())
		configure(in->id);
	else
		out_status(in->id, 0); /* the reset under way applies it */
}

void netdrv_configured(int status)
{
	if (!opens.configuring)
		return;
	opens.configuring = false;
	if (opens.configure_call)
		out_status(opens.configure_call, status);
	else if (status)
		server_log("the configuration is not taken again: error %d", status);
	opens.configure_call = 0;
}

void ndrv_session_call(const struct x_in *in)
{
	if (!in->object && in->msg.op == NET_OPEN) {
		call_open(in);
	} else if (!in->object && in->msg.op == NET_LIST) {
		in_close_handles(in);
		ndrv_list_answer(in);
	} else if (in->object && in->msg.op == NET_CONFIGURE) {
		call_configure(in);
	} else {
		refuse(in, -X_ENOSYS);
	}
}

void ndrv_session_device_quiet(void)
{
	uint32_t kept = 0;

	netdrv_configured(0); /* the device forgot it half-way: it begins anew */
	if (ndrv_session.open) {
		configure(0);
		return;
	}
	if (ndrv_session.object)
		session_free();
	for (uint32_t i = 0; i < opens.waiting_count; i++)
		if (!serve_open(&opens.waiting[i]))
			opens.waiting[kept++] = opens.waiting[i];
	opens.waiting_count = kept;
}

/* --------------------------------------------------------------- what is shared */

void ndrv_session_status(bool tell)
{
	struct net_counters sum = ndrv.counters;
	volatile struct net_status *page;
	volatile uint64_t *to;

	if (!ndrv_session.open)
		return;
	page = (volatile struct net_status *)(ndrv_session.rings + NET_STATUS_OFFSET);
	to = (volatile uint64_t *)&page->counters;
	if (ndrv.ops->count)
		ndrv.ops->count(&sum);
	for (uint32_t i = 0; i < sizeof(sum) / sizeof(uint64_t); i++)
		to[i] = ((const uint64_t *)&sum)[i];
	page->speed_mbit = ndrv.speed_mbit;
	page->link_up = ndrv.link_up;
	page->announcements = ndrv.announcements;
	if (tell)
		x_event_signal(ndrv_session.event, NET_EVENT_STATUS);
}

/* Slots go back before what was in them is told of: proto/net.h. */
void ndrv_session_publish(void)
{
	struct netdrv_session *s = &ndrv_session;
	bool wake;

	if (!s->open)
		return;
	ring_release(&s->rx_post); /* the client never waits for space: ids bound it */
	ring_release(&s->tx);
	if (!ring_unpublished(&s->rx_done) && !ring_unpublished(&s->tx_done))
		return;
	ndrv_session_status(false);
	wake = ring_publish(&s->rx_done);
	wake |= ring_publish(&s->tx_done);
	if (!wake)
		return;
	ndrv.stats.wakes++;
	x_event_signal(s->event, NET_EVENT_RING);
}
