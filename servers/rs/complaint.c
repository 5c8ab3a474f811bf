/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Questions (RS_PROBE), which lib/ipc answers as the service's answers go out: a wrong
 * answer is a crash; none is the heartbeat's affair, which puts one each second (to rs itself,
 * too: its call goes through the kernel and its own loop like everybody's). And
 * complaints: a service says that a peer which it may use broke their protocol. Nobody
 * is killed for what others say, but asked at once.
 */
#include "lib/c/string.h"
#include "proto/rs.h"
#include "servers/rs/events.h"
#include "servers/rs/service.h"

#define SAY_EVERY_NS 1000000000ull /* however many complain */

/* The call did not get there, or was not answered. */
static bool is_kernels(int64_t status)
{
	return status == -X_EDEAD || status == -X_ESTALE_HANDLE || status == -X_ECANCELED || status == -X_ENOMEM;
}

static void probed(void *ctx, const struct x_in *reply)
{
	struct service *s = ctx;
	const struct x_msg want = { .op = reply->msg.op, .a = { ~s->probe } };
	bool right = !memcmp(&reply->msg, &want, sizeof(want)); /* all of it */

	s->probing = false;
	s->ping_ns = 0;
	if (right || is_kernels(reply->msg.status) || s->state != SERVICE_RUNNING)
		return;
	event_announce(s->name, "answers nonsense: killed");
	if (s->is_rs)
		self_kill(CAUSE_GARBAGE);
	else
		service_kill(s, CAUSE_GARBAGE);
}

void service_probe(struct service *s)
{
	struct x_out *o;

	if (s->probing)
		return;
	o = out_start(s->port, probed, s, NULL);

	s->probing = true;
	s->probe = server_now_ns;
	o->msg.op = RS_PROBE;
	o->msg.a[0] = s->probe;
}

static void complain(const struct service *who, struct service *s)
{
	s->complaints++;
	if (!s->complained_ns || server_now_ns - s->complained_ns > SAY_EVERY_NS) {
		event_add(s->name, "%s complains of it", who->name);
		s->complained_ns = server_now_ns;
	}
	if (s->state == SERVICE_RUNNING)
		service_probe(s);
}

void complaints_of(const struct service *who, uint64_t bits)
{
	for (uint32_t i = 0; i < RS_EVENT_PEERS; i++)
		if ((bits & RS_EVENT_PEER(i)) && who->peer[i] < service_count)
			complain(who, &services[who->peer[i]]);
}
