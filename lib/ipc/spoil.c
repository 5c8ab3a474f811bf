/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `svc inject NAME garbage [SEED]`: a service that answers nonsense, so that it can be
 * seen what its clients make of that.
 *
 * Without a seed every word of every answer is arbitrary. With one three in four of
 * the answers, of what is written to callers' windows and of entries of rings are wrong in one
 * place only, by a value that might be right or is just beyond that.
 */
#include "lib/c/string.h"
#include "lib/ipc/internal.h"

REGION_SCRATCH bool outbox_garbage;
static REGION_SCRATCH uint64_t draws;
static REGION_SCRATCH bool plausible;

void spoil_start(uint32_t seed)
{
	outbox_garbage = true;
	plausible = seed != 0;
	draws = seed;
}

static uint64_t draw(void)
{
	draws = draws * 6364136223846793005ull + 1442695040888963407ull;
	return draws >> 32 ^ draws << 16;
}

/* Near to what it was, or at an end of what a word can be. */
static uint64_t spoiled_word(uint64_t word)
{
	switch (draw() % 10) {
	case 0: return 0;
	case 1: return 1;
	case 2: return ~0ull;
	case 3: return word + 1;
	case 4: return word - 1;
	case 5: return word ^ 1ull << draw() % 64;
	case 6: return 1ull << draw() % 64;
	case 7: return draw() & 0xffff;
	case 8: return draw() & 0xffffffff;
	default: return draw() << 32 ^ draw();
	}
}

static int32_t spoiled_status(int32_t status)
{
	static const int32_t often[] = {
		0, 1, 8, 4096, 65536, INT32_MAX, INT32_MIN, -1, -300, -600, -X_EINTR, -X_EIO, -X_ENXIO, -X_EAGAIN, -X_ENOENT,
		-X_EDEAD, -X_ESTALE_HANDLE, -X_EWAIT, -X_EWRONGTYPE, -X_ERIGHTS, -X_ECROSS, -X_ESYMLINK, -X_ELOCAL, -X_ENOSYS,
	};
	uint64_t which = draw() % (sizeof(often) / sizeof(often[0]) + 3);

	switch (which) {
	case 0: return (int32_t)((uint32_t)status + 1);
	case 1: return (int32_t)((uint32_t)status * 2);
	case 2: return (int32_t)(draw() & 0xffff);
	default: return often[which - 3];
	}
}

/* A handle that was to be sent is not: nor does it stay, as it would if nobody had meddled. */
static void withhold(struct x_out *o)
{
	x_handle_t h = o->handles[--o->handle_count];

	if (outbox_count < X_MAX_OUT)
		out_close(h);
}

/* Handles stay, or are not sent: which they are is the kernel's to check. */
static void spoil_one(struct x_out *o)
{
	uint64_t which = draw() % 12;

	if (which < 4)
		o->msg.status = spoiled_status(o->msg.status);
	else if (which < 11)
		o->msg.a[which - 4] = spoiled_word(o->msg.a[which - 4]);
	else if (o->handle_count)
		withhold(o);
	else
		o->msg.status = spoiled_status(o->msg.status);
	if (o->flags & X_ANSWER_CURSOR && draw() % 4 == 0)
		o->value = spoiled_word(o->value);
}

static void spoil_all(struct x_msg *msg)
{
	for (uint32_t k = 0; k < sizeof(msg->a) / sizeof(msg->a[0]); k++)
		msg->a[k] = draw();
	msg->status = (int32_t)(draw() >> 32);
}

void outbox_spoil(void)
{
	for (uint32_t i = 0; i < outbox_count; i++) {
		if (outbox[i].kind != X_OUT_ANSWER)
			continue;
		if (!plausible)
			spoil_all(&outbox[i].msg);
		else if (draw() % 4)
			spoil_one(&outbox[i]);
	}
}

static bool is_spared(void)
{
	return !outbox_garbage || !plausible || draw() % 4 == 0;
}

size_t spoil_window(size_t len, uint64_t *word)
{
	if (len < sizeof(*word) || is_spared())
		return SIZE_MAX;
	*word = spoiled_word(draw());
	return draw() % (len / sizeof(*word)) * sizeof(*word);
}

void server_spoil(void *entry, size_t bytes)
{
	uint64_t word;
	char *at;

	if (!outbox_garbage || bytes < sizeof(word) || is_spared())
		return;
	at = (char *)entry + draw() % (bytes / sizeof(word)) * sizeof(word);
	memcpy(&word, at, sizeof(word));
	word = spoiled_word(word);
	memcpy(at, &word, sizeof(word));
}
