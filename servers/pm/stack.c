/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Building the initial stack.
 */
#include "servers/pm/stack.h"

#include <xinim/abi.h>

#include "lib/c/string.h"

static const char platform[] = "x86_64";

enum { WORDS = 256 }; /* of the vector, written at once */

int stack_plan(const struct stack_input *in, struct stack_layout *out)
{
	uint64_t execfn_bytes = strlen(in->execfn) + 1, words, used;
	uint64_t strings = (uint64_t)in->args[0].bytes + in->args[1].bytes + in->env.bytes;

	memset(out, 0, sizeof(*out));
	out->argc = (uint64_t)in->args[0].count + in->args[1].count;
	out->envc = in->env.count;
	words = 1 + out->argc + 1 + out->envc + 1 + 2ull * in->auxv_count;
	used = 8 + execfn_bytes + strings + sizeof(platform) + sizeof(in->random) + 16 + words * 8 + 16;
	if (used > in->limit_bytes || used > in->high)
		return -X_E2BIG;
	out->execfn = in->high - 8 - execfn_bytes;
	out->env_end = out->execfn;
	out->env_start = out->arg_end = out->env_end - in->env.bytes;
	out->arg_start = out->arg_end - in->args[0].bytes - in->args[1].bytes;
	out->platform = out->arg_start - sizeof(platform);
	out->random = (out->platform - sizeof(in->random)) & ~15ull;
	out->rsp = (out->random - words * 8) & ~15ull;
	out->low = out->rsp & ~(uint64_t)(X_PAGE_SIZE - 1);
	return 0;
}

/* The vector is written a block at a time. */
struct writer {
	int (*put)(void *ctx, uint64_t addr, const void *data, size_t bytes);
	void *ctx;
	uint64_t at;
	uint32_t count;
	int error;
	uint64_t words[WORDS];
};

static void flush(struct writer *w)
{
	if (w->error == 0 && w->count)
		w->error = w->put(w->ctx, w->at, w->words, w->count * 8);
	w->at += w->count * 8;
	w->count = 0;
}

static void put_word(struct writer *w, uint64_t word)
{
	w->words[w->count++] = word;
	if (w->count == WORDS)
		flush(w);
}

/* A pointer to each string; returns the address behind the last one. */
static uint64_t put_pointers(struct writer *w, const struct stack_strings *s, uint64_t addr)
{
	const char *text = s->text;

	for (uint32_t i = 0; i < s->count; i++) {
		size_t bytes = strlen(text) + 1;

		put_word(w, addr);
		text += bytes;
		addr += bytes;
	}
	return addr;
}

static uint64_t auxv_value(const struct auxv_pair *a, const struct stack_layout *layout)
{
	switch (a->type) {
	case AT_RANDOM:
		return layout->random;
	case AT_PLATFORM:
		return layout->platform;
	case AT_EXECFN:
		return layout->execfn;
	}
	return a->value;
}

static void put_vector(struct writer *w, const struct stack_input *in, const struct stack_layout *layout)
{
	uint64_t addr = layout->arg_start;

	put_word(w, layout->argc);
	addr = put_pointers(w, &in->args[0], addr);
	put_pointers(w, &in->args[1], addr);
	put_word(w, 0);
	put_pointers(w, &in->env, layout->env_start);
	put_word(w, 0);
	for (uint32_t i = 0; i < in->auxv_count; i++) {
		in->auxv[i].value = auxv_value(&in->auxv[i], layout);
		put_word(w, in->auxv[i].type);
		put_word(w, in->auxv[i].value);
	}
	flush(w);
}

static void put_text(struct writer *w, uint64_t addr, const void *text, size_t bytes)
{
	if (w->error == 0 && bytes)
		w->error = w->put(w->ctx, addr, text, bytes);
}

int stack_write(const struct stack_input *in, const struct stack_layout *layout,
		int (*put)(void *ctx, uint64_t addr, const void *data, size_t bytes), void *ctx)
{
	struct writer w;

	w.put = put;
	w.ctx = ctx;
	w.at = layout->rsp;
	w.count = 0;
	w.error = 0;
	put_vector(&w, in, layout);
	put_text(&w, layout->random, in->random, sizeof(in->random));
	put_text(&w, layout->platform, platform, sizeof(platform));
	put_text(&w, layout->arg_start, in->args[0].text, in->args[0].bytes);
	put_text(&w, layout->arg_start + in->args[0].bytes, in->args[1].text, in->args[1].bytes);
	put_text(&w, layout->env_start, in->env.text, in->env.bytes);
	put_text(&w, layout->execfn, in->execfn, strlen(in->execfn) + 1);
	return w.error;
}
