/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Recovery from loss, by lwIP's hooks and around its timers. lwIP by itself sends
 * a whole segment (of up to 64 KiB) again after three duplicate acknowledgements,
 * one a round trip, and does not look at what the peer has selectively
 * acknowledged. Here, for peers that do that (SACK, RFC 2018):
 *
 *   - segments sent are split where the acknowledged blocks begin and end, and
 *     those inside are marked as arrived (after RFC 6675)
 *   - three segments' worth arrived behind a hole begin a recovery: the window is
 *     brought down once, and each hole below what has arrived is sent again, once
 *   - a hole is sent again once more when data sent after that has arrived
 *   - the recovery is over when all that was sent before it began has arrived
 *
 * A time-out forgets all marks: lwIP then sends everything again.
 */
#include "lib/c/string.h"
#include "lwip/priv/tcp_priv.h"
#include "servers/net/bytes.h"
#include "servers/net/net.h"

#define RTO_LEAST_MS 200
#define TICK_MS      (2 * TCP_TMR_INTERVAL)
#define NO_NEIGHBOUR_TRIES 2u /* SYNs again, the second after 3 s: as long as Linux asks for a neighbour */
#define TIME_WAIT_MOST 8192u
#define OPTION_SACK 5u
#define READS_NS        200000000u /* who has read within this time reads */

/* In tcp_seg.flags, beside lwIP's TF_SEG_*. */
#define SEGMENT_ARRIVED 0x40u
#define SEGMENT_AGAIN   0x80u

static struct sock *owner(const struct tcp_pcb *pcb)
{
	struct sock *s = pcb->callback_arg;

	return s && s->in_use && s->kind == SOCKET_TCP && s->pcb.tcp == pcb ? s : NULL;
}

/* ---- what the peer says ---- */

static void note_block(struct sock *s, const struct tcp_pcb *pcb, uint32_t left, uint32_t right)
{
	struct sack *sack = &s->sack;

	if (!TCP_SEQ_GT(right, left) || !TCP_SEQ_GT(left, pcb->lastack) || TCP_SEQ_GT(right, pcb->snd_nxt))
		return;
	for (uint32_t i = 0; i < sack->count; i++) {
		if (sack->block[i].left != left)
			continue;
		if (TCP_SEQ_GT(right, sack->block[i].right))
			sack->block[i].right = right;
		return;
	}
	if (sack->count < SACK_BLOCKS)
		sack->block[sack->count++] = (struct sack_block){ left, right };
}

static void read_options(struct sock *s, const struct tcp_pcb *pcb, const uint8_t *o, uint32_t bytes)
{
	uint32_t at = 0;

	while (at < bytes && o[at]) {
		uint32_t length;

		if (o[at] == 1) {
			at++;
			continue;
		}
		length = at + 1 < bytes ? o[at + 1] : 0;
		if (length < 2 || at + length > bytes)
			return;
		for (uint32_t b = 2; o[at] == OPTION_SACK && b + 8 <= length; b += 8)
			note_block(s, pcb, get32(o + at + b), get32(o + at + b + 4));
		at += length;
	}
}

/* lwIP keeps a segment that comes too early as it is, and ends (an assertion) when it turns out
 * later that its end was beyond the window: one that overruns it is not taken at all. */
static bool out_of_window(const struct tcp_pcb *pcb, uint32_t seqno, uint32_t bytes)
{
	return pcb->state >= ESTABLISHED && TCP_SEQ_GT(seqno, pcb->rcv_nxt) &&
	       TCP_SEQ_GT(seqno + bytes, pcb->rcv_nxt + pcb->rcv_wnd);
}

/* A stream may hold a part of what is left, not of what there is: however many hold all they may, the next
 * one finds some. One that nobody reads may hold little: 12 of them leave more than half. */
static bool is_over_its_share(const struct sock *s)
{
	return s->held > memory_left() / (server_now_ns - s->read_ns < READS_NS ? 2 : 16);
}

/* What arrives beyond that is not taken; the peer sends it again. While memory is short nobody keeps much,
 * neither what came too early, nor what its reader has left lying about. */
static bool too_much(const struct sock *s, const struct tcp_pcb *pcb, uint32_t seqno, uint32_t bytes)
{
	uint32_t early = TCP_SEQ_GT(seqno, pcb->rcv_nxt) ? seqno - pcb->rcv_nxt : 0;

	if (!bytes || pcb->state < ESTABLISHED || s->received_bytes + early <= TCP_WINDOW_SHORT)
		return false;
	return memory_is_short() || (s->received_bytes > TCP_WINDOW_SHORT && is_over_its_share(s));
}

void tcp_take_window_back(struct sock *s)
{
	if (s->pcb.tcp && !s->listening)
		s->pcb.tcp->rcv_wnd += s->window_kept;
	s->window_kept = 0;
}

struct tcp_counts tcp_counts;

void tcp_prune(void)
{
	for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next) {
		tcp_counts.pruned += pcb->ooseq != NULL;
		if (pcb->ooseq)
			tcp_free_ooseq(pcb);
	}
}

int hook_tcp_input(struct tcp_pcb *pcb, struct tcp_hdr *header, u16_t option_bytes, u16_t first_bytes,
		   u8_t *second, struct pbuf *p)
{
	uint8_t options[40];
	struct sock *s;

	if (pcb->state == LISTEN || pcb->state == TIME_WAIT)
		return ERR_OK;
	s = owner(pcb);
	if (!s)
		return ERR_OK;
	sock_mark(s, 0); /* windows may have moved */
	tcp_take_window_back(s);
	if (too_much(s, pcb, header->seqno, p->tot_len)) {
		/* With no window lwIP looks at the acknowledgement only. */
		tcp_counts.refused++;
		s->window_kept = pcb->rcv_wnd;
		pcb->rcv_wnd = 0;
	} else if (out_of_window(pcb, header->seqno, p->tot_len)) {
		tcp_ack_now(pcb);
		return ERR_VAL;
	}
	if (!(pcb->flags & TF_SACK) || !pcb->unacked)
		return ERR_OK;
	pcb->dupacks = 0; /* counting them is our affair */
	if (option_bytes > sizeof(options) || first_bytes > option_bytes)
		return ERR_OK;
	memcpy(options, header + 1, first_bytes);
	if (second)
		memcpy(options + first_bytes, second, option_bytes - first_bytes);
	read_options(s, pcb, options, second ? option_bytes : first_bytes);
	return ERR_OK;
}

/* ---- marking ---- */

static uint32_t seqno_of(const struct tcp_seg *segment) { return lwip_ntohl(segment->tcphdr->seqno); }

/* Segments inside [left, right) have arrived. Returns how many bytes that is news of. */
static uint32_t mark_block(struct tcp_pcb *pcb, uint32_t left, uint32_t right)
{
	uint32_t news = 0;

	for (struct tcp_seg *g = pcb->unacked; g; g = g->next) {
		uint32_t from = seqno_of(g), to = from + g->len;

		if (!g->len || !TCP_SEQ_GT(to, left) || (g->flags & SEGMENT_ARRIVED))
			continue;
		if (!TCP_SEQ_LT(from, right))
			break;
		if (TCP_SEQ_LT(from, left)) { /* begins before: its tail comes next in the loop */
			segment_split(pcb, g, left - from);
			continue;
		}
		if (TCP_SEQ_GT(to, right) && segment_split(pcb, g, right - from) != ERR_OK)
			break;
		g->flags |= SEGMENT_ARRIVED;
		news += g->len;
	}
	return news;
}

static void forget(struct sock *s, struct tcp_pcb *pcb)
{
	for (struct tcp_seg *g = pcb->unacked; g; g = g->next)
		g->flags &= (uint8_t)~(SEGMENT_ARRIVED | SEGMENT_AGAIN);
	for (struct tcp_seg *g = pcb->unsent; g; g = g->next)
		g->flags &= (uint8_t)~(SEGMENT_ARRIVED | SEGMENT_AGAIN);
	memset(&s->sack, 0, sizeof(s->sack));
}

/* ---- sending again ---- */

/* One segment, whatever the congestion window says of its distance: lwIP has only
 * that one to send for the moment. */
static bool send_again(struct sock *s, struct tcp_pcb *pcb, struct tcp_seg *g)
{
	struct tcp_seg **at = &pcb->unacked, *waiting = pcb->unsent;
	tcpwnd_size_t cwnd = pcb->cwnd;
	tcpflags_t flags = pcb->flags & TF_NODELAY;
	bool sent;

	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	g->next = NULL;
	g->flags |= SEGMENT_AGAIN;
	pcb->unsent = g;
	pcb->cwnd = UINT32_MAX / 2;
	tcp_set_flags(pcb, TF_NODELAY);
	tcp_output(pcb);
	if (!flags)
		tcp_clear_flags(pcb, TF_NODELAY);
	pcb->cwnd = cwnd;
	pcb->rttest = 0; /* Karn: its acknowledgement says nothing of the round trip */
	sent = pcb->unsent != g;
	if (!sent) {
		pcb->unsent = NULL;
		g->flags &= (uint8_t)~SEGMENT_AGAIN;
		for (at = &pcb->unacked; *at && TCP_SEQ_LT(seqno_of(*at), seqno_of(g)); at = &(*at)->next)
			;
		g->next = *at;
		*at = g;
	}
	pcb->unsent = waiting;
	s->retransmits += sent;
	return sent;
}

static void enter(struct sock *s, struct tcp_pcb *pcb)
{
	uint32_t flight = pcb->snd_nxt - pcb->lastack;

	pcb->ssthresh = flight / 10 * 7; /* as CUBIC does (RFC 9438) */
	if (pcb->ssthresh < 2u * pcb->mss)
		pcb->ssthresh = 2u * pcb->mss;
	if (pcb->cwnd > pcb->ssthresh)
		pcb->cwnd = pcb->ssthresh;
	s->sack.recovering = true;
	tcp_counts.recoveries++;
	s->sack.recover = s->sack.again = pcb->snd_nxt;
}

/* Holes below what has arrived, up to `budget` bytes. */
static void fill_holes(struct sock *s, struct tcp_pcb *pcb, uint32_t budget)
{
	struct tcp_seg *g = pcb->unacked, *next;
	bool anew = TCP_SEQ_GT(s->sack.high, s->sack.again + 3u * pcb->mss);

	if (anew)
		s->sack.again = pcb->snd_nxt;
	for (; g && TCP_SEQ_LT(seqno_of(g), s->sack.high); g = next) {
		next = g->next;
		if (anew)
			g->flags &= (uint8_t)~SEGMENT_AGAIN;
		if (!g->len || (g->flags & (SEGMENT_ARRIVED | SEGMENT_AGAIN)))
			continue;
		if (budget < pcb->mss)
			continue;
		if (g->len > budget) {
			if (segment_split(pcb, g, budget / pcb->mss * pcb->mss) != ERR_OK)
				return;
			next = g->next;
		}
		budget -= g->len < budget ? g->len : budget;
		if (!send_again(s, pcb, g))
			return;
	}
}

/* From settling, before anything new is sent. */
void tcp_recover(struct sock *s)
{
	struct tcp_pcb *pcb = s->pcb.tcp;
	struct sack *sack = &s->sack;
	uint32_t news = 0;

	if (pcb->nrtx) {
		if (sack->count || sack->recovering)
			forget(s, pcb);
		return;
	}
	if (sack->recovering && !TCP_SEQ_LT(pcb->lastack, sack->recover))
		forget(s, pcb);
	if (!sack->count && !sack->recovering)
		return;
	if (sack->recovering)
		news = pcb->lastack - sack->lastack;
	sack->lastack = pcb->lastack;
	for (uint32_t i = 0; i < sack->count; i++) {
		uint32_t bytes = mark_block(pcb, sack->block[i].left, sack->block[i].right);

		news += bytes;
		sack->arrived += bytes;
		if (!sack->high_set || TCP_SEQ_GT(sack->block[i].right, sack->high))
			sack->high = sack->block[i].right;
		sack->high_set = true;
	}
	sack->count = 0;
	if (!pcb->unacked || !sack->high_set || !TCP_SEQ_GT(sack->high, pcb->lastack))
		return;
	if (!sack->recovering && sack->high - pcb->lastack >= 3u * pcb->mss && sack->arrived) {
		enter(s, pcb);
		sack->lastack = pcb->lastack;
		news += 4u * pcb->mss;
	}
	if (sack->recovering)
		fill_holes(s, pcb, news < pcb->mss ? 0 : news);
}

/* ---- timers ---- */

void tcp_send_narrower(struct sock *s)
{
	if (s->pcb.tcp && s->pcb.tcp->unacked)
		tcp_rexmit_rto(s->pcb.tcp);
	s->narrowed = false;
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
		if (owner(pcb) && (pcb->unsent || stream_out_is_due(owner(pcb))))
			sock_mark(owner(pcb), 0);
		if (owner(pcb) && pcb->state == SYN_SENT && pcb->nrtx >= NO_NEIGHBOUR_TRIES)
			icmp_no_neighbour(owner(pcb));
	}
	limit_time_wait();
	reopen_index();
}
