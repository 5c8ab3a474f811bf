/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What lwIP's TCP lacks against loss, by its hooks and around its timers.
 */
#include "lwip/priv/tcp_priv.h"
#include "servers/net/net.h"

#define RTO_LEAST_MS 200
#define TICK_MS      (2 * TCP_TMR_INTERVAL)
#define TIME_WAIT_MOST 8192u

static struct sock *owner(const struct tcp_pcb *pcb)
{
	struct sock *s = pcb->callback_arg;

	return s && s->in_use && s->kind == SOCKET_TCP && s->pcb.tcp == pcb ? s : NULL;
}

int hook_tcp_input(struct tcp_pcb *pcb, struct tcp_hdr *header, u16_t option_bytes, u16_t first_bytes,
		   u8_t *second, struct pbuf *p)
{
	struct sock *s;

	(void)header;
	(void)option_bytes;
	(void)first_bytes;
	(void)second;
	(void)p;
	if (pcb->state == LISTEN || pcb->state == TIME_WAIT)
		return ERR_OK;
	s = owner(pcb);
	if (s)
		sock_mark(s, 0); /* windows may have moved */
	return ERR_OK;
}

static void limit_time_wait(void)
{
	uint32_t count = 0;
	struct tcp_pcb *pcb, *next;

	/* New ones are put at the head: those behind are the oldest. */
	for (pcb = tcp_tw_pcbs; pcb; pcb = next) {
		next = pcb->next;
		if (++count > TIME_WAIT_MOST)
			tcp_abort(pcb);
	}
}

/* Before lwIP's own timers: a retransmission time-out must outlast a peer's
 * delayed acknowledgement. After them: what they put back is to be pushed. */
void tcp_timers(void)
{
	struct tcp_pcb *pcb;

	for (pcb = tcp_active_pcbs; pcb; pcb = pcb->next) {
		if (pcb->rto < RTO_LEAST_MS / TICK_MS)
			pcb->rto = RTO_LEAST_MS / TICK_MS;
		if (pcb->unsent && owner(pcb))
			sock_mark(owner(pcb), 0);
	}
	limit_time_wait();
}
