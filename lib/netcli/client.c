/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Network client: the public functions (contract in netcli.h).
 */
#include "lib/netcli/internal.h"
#include "lib/c/string.h"

#define CLIENTS_MAX 8u
#define ROUNDS_MAX  4u   /* of taking in one batch: bounds an iteration */
#define BATCH       256u /* packets of one round */

static struct net_client clients[CLIENTS_MAX];

struct net_client *net_open(x_handle_t driver, const struct net_pool *pools, uint32_t pool_count,
			    const struct net_client_ops *ops, void *ctx)
{
	struct net_client *c = clients;

	while (c < clients + CLIENTS_MAX && c->state != CLIENT_FREE)
		c++;
	if (c == clients + CLIENTS_MAX || !pool_count || pool_count > NET_POOLS_MAX)
		return NULL;
	memset(c, 0, sizeof(*c));
	c->driver = driver;
	c->pool_count = pool_count;
	memcpy(c->pools, pools, pool_count * sizeof(*pools));
	c->ops = ops;
	c->ctx = ctx;
	ncli_receive_init(c);
	ncli_session_init(c);
	ncli_session_open(c);
	return c;
}

static bool in_pool(const struct net_client *c, const struct net_piece *p)
{
	return p->pool < c->pool_count && p->length && p->length <= c->pools[p->pool].bytes &&
	       p->offset <= c->pools[p->pool].bytes - p->length;
}

int net_post(struct net_client *c, const struct net_piece *buffer)
{
	uint32_t id;

	if (!in_pool(c, buffer) || buffer->offset % 16 || buffer->length < c->info.rx_buffer_min)
		return -X_EINVAL;
	if (!c->rx_free_count)
		return -X_EAGAIN;
	id = c->rx_free[--c->rx_free_count];
	c->rx[id] = (struct rx_slot){ *buffer, RX_POSTED };
	if (c->state == CLIENT_UP && ncli_receive_push(c, id))
		ncli_session_broken(c, "it does not give slots of RX_POST back");
	return 0;
}

static int check_pieces(const struct net_client *c, const struct net_piece *pieces, uint32_t count)
{
	uint32_t bytes = 0, max = c->announced ? c->info.tx_packet_max : NET_PACKET_MAX;

	if (!count)
		return -X_EINVAL;
	if (count > (c->announced ? c->info.tx_pieces_max : NET_PIECES_MAX))
		return -X_E2BIG;
	for (uint32_t i = 0; i < count; i++) {
		if (!in_pool(c, &pieces[i]))
			return -X_EINVAL;
		if (pieces[i].length > max - bytes)
			return -X_E2BIG;
		bytes += pieces[i].length;
	}
	return 0;
}

int net_send(struct net_client *c, const struct net_piece *pieces, uint32_t count,
	     const struct net_meta *meta, void *cookie)
{
	int err = check_pieces(c, pieces, count);

	if (!err)
		err = ncli_meta_check_send(pieces, count, meta);
	if (err)
		return err;
	if (c->announced && !ncli_meta_can_send(c->info.features, meta))
		return -X_EOPNOTSUPP;
	if (count > net_send_room(c))
		return -X_EAGAIN;
	for (uint32_t i = 0; i < count; i++)
		c->slots[(c->tx_next + i) % NET_SLOTS] = (struct tx_slot){
			.offset = pieces[i].offset, .length = pieces[i].length, .pool = pieces[i].pool,
		};
	c->slots[c->tx_next % NET_SLOTS].pieces = count;
	c->slots[c->tx_next % NET_SLOTS].meta = *meta;
	c->slots[c->tx_next % NET_SLOTS].cookie = cookie;
	c->tx_packets++;
	for (uint32_t i = 0; i < count; i++)
		c->tx_bytes += pieces[i].length;
	c->tx_next += count;
	if (c->state == CLIENT_UP && ncli_send_push(c, c->tx_next - count))
		ncli_session_broken(c, "it does not give slots of TX back");
	return 0;
}

uint32_t net_send_room(const struct net_client *c)
{
	return NET_SLOTS - (c->tx_next - c->tx_first);
}

void net_configure(struct net_client *c, const struct net_config *wanted)
{
	c->wanted = *wanted;
	if (c->wanted.filter_count > NET_FILTER_MAX) {
		c->wanted.filter_count = 0;
		c->wanted.mode |= NET_MODE_ALL_MULTICAST;
	}
	c->wanted_version++;
	ncli_session_configure(c);
}

const struct net_info *net_info(const struct net_client *c)
{
	return &c->info;
}

struct net_link net_link(const struct net_client *c)
{
	return c->link;
}

void net_counters(const struct net_client *c, struct net_counters *sum)
{
	const volatile uint64_t *now = c->rings ? (const volatile uint64_t *)&ncli_status(c)->counters : NULL;

	*sum = c->past;
	for (uint32_t i = 0; now && i < sizeof(*sum) / sizeof(uint64_t); i++)
		((uint64_t *)sum)[i] += now[i];
}

uint32_t net_reopened(const struct net_client *c)
{
	return c->reopened;
}

bool net_poll(struct net_client *c, uint32_t budget)
{
	static uint64_t taken_in; /* the iteration of the last packet */
	uint32_t taken = 0;

	if (server_careful()) { /* a packet may be what kills its receiver */
		if (taken_in == server_epoch())
			return true;
		budget = 1;
	}
	taken_in = server_epoch();
	if (c->state == CLIENT_UP)
		taken = ncli_send_reap(c, NET_SLOTS);
	if (c->state == CLIENT_UP)
		taken += ncli_receive_reap(c, budget);
	return c->state == CLIENT_UP && taken >= budget;
}

/* What the dead driver had finished is taken before it is forgotten: fewer
 * packets are lost, or sent twice. */
static void client_lost(struct net_client *c)
{
	if (!c->pause) {
		ncli_send_reap(c, NET_SLOTS);
		ncli_receive_reap(c, NET_SLOTS);
	}
	ncli_session_end(c);
}

static void client_batch_end(struct net_client *c)
{
	bool more = true;

	for (unsigned round = 0; more && round < ROUNDS_MAX && c->state == CLIENT_UP; round++) {
		more = net_poll(c, BATCH);
		if (c->state != CLIENT_UP || more)
			continue;
		more = ring_arm_consumer(&c->rx_done);
		more |= ncli_send_arm(c);
	}
	if (c->state == CLIENT_LOST)
		client_lost(c);
	if (c->state != CLIENT_UP)
		return;
	ncli_session_publish(c);
	if (more) /* they were enough for one iteration: come back at once */
		out_signal(c->event, NET_EVENT_RING);
}

void net_batch_end(void)
{
	for (uint32_t i = 0; i < CLIENTS_MAX; i++)
		if (clients[i].state == CLIENT_UP || clients[i].state == CLIENT_LOST)
			client_batch_end(&clients[i]);
}
