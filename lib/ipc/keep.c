/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Named checkpoints (keep.h).
 */
#include "lib/ipc/keep.h"
#include "lib/c/string.h"
#include "lib/ipc/internal.h"

#define KEEP_MAGIC 0x5045454bu

struct keep_slot {
	uint32_t magic;         /* 0: free; stored last */
	uint32_t version, bytes, unused;
	uint64_t sequence;      /* of two of a name the higher is valid */
	uint64_t checksum;      /* of all else but the magic */
	char name[KEEP_NAME_BYTES];
	uint8_t data[KEEP_DATA_BYTES];
};
_Static_assert(sizeof(struct keep_slot) == KEEP_SLOT_BYTES, "slots fill the memory");

static struct keep_slot *slots;
static uint32_t slot_count;

static uint64_t hash(uint64_t h, const void *data, size_t bytes)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < bytes; i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	return h;
}

/* FNV-1a. bytes is known to be possible. */
static uint64_t checksum(const struct keep_slot *s)
{
	uint64_t h = hash(0xcbf29ce484222325ull, &s->version, 2 * sizeof(s->version));

	h = hash(h, &s->sequence, sizeof(s->sequence));
	return hash(h, s->name, sizeof(s->name) + s->bytes);
}

static bool is_whole(const struct keep_slot *s)
{
	return s->bytes <= KEEP_DATA_BYTES && s->name[KEEP_NAME_BYTES - 1] == '\0' && s->checksum == checksum(s);
}

static void discard(struct keep_slot *s, const char *why)
{
	char name[KEEP_NAME_BYTES];

	memcpy(name, s->name, sizeof(name)); /* in a damaged one there may be no NUL */
	name[sizeof(name) - 1] = '\0';
	s->magic = 0;
	server_log("checkpoint `%s` discarded: %s", name, why);
}

/* Once, at the first use: what the last incarnation left. */
static bool attach(void)
{
	x_handle_t memory = boot_handle("keep");
	struct x_mem_map m = {
		.space = X_SELF, .memory = memory, .len = boot->keep_bytes, .prot = X_PROT_READ | X_PROT_WRITE,
	};
	int64_t at;

	if (slots || memory == X_NO_HANDLE)
		return slots != NULL;
	at = x_mem_map(&m);
	if (at < 0)
		server_die("cannot map what it keeps: error %d", (int)at);
	slots = (struct keep_slot *)at;
	slot_count = boot->keep_bytes / KEEP_SLOT_BYTES;
	for (uint32_t i = 0; i < slot_count; i++)
		if (slots[i].magic && (slots[i].magic != KEEP_MAGIC || !is_whole(&slots[i])))
			discard(&slots[i], "it is damaged");
	return true;
}

/* Those of a name: the newer and the older one, NULL if there is none. */
static void find(const char *name, struct keep_slot **newer, struct keep_slot **older)
{
	*newer = *older = NULL;
	for (uint32_t i = 0; i < slot_count; i++) {
		struct keep_slot *s = &slots[i];

		if (!s->magic || strcmp(s->name, name))
			continue;
		*older = *newer && (*newer)->sequence > s->sequence ? s : *newer;
		*newer = *older == s ? *newer : s;
	}
}

/* Names that have one slot yet; each is to get its second. */
static uint32_t single_count(void)
{
	struct keep_slot *newer, *older;
	uint32_t n = 0;

	for (uint32_t i = 0; i < slot_count; i++) {
		if (!slots[i].magic)
			continue;
		find(slots[i].name, &newer, &older);
		n += !older;
	}
	return n;
}

/* A free one, if at least so many are free. */
static struct keep_slot *find_free(uint32_t needed)
{
	struct keep_slot *free = NULL;

	for (uint32_t i = 0; i < slot_count && needed; i++)
		if (!slots[i].magic) {
			free = &slots[i];
			needed--;
		}
	return needed ? NULL : free;
}

int keep_save(const char *name, uint32_t version, const void *data, uint32_t bytes)
{
	struct keep_slot *newer, *older;
	uint64_t sequence;

	if (!attach())
		return -X_ENOENT;
	if (!name[0] || strlen(name) >= KEEP_NAME_BYTES || bytes > KEEP_DATA_BYTES)
		return -X_EINVAL;
	find(name, &newer, &older);
	sequence = newer ? newer->sequence + 1 : 1;
	if (!older)
		older = find_free(newer ? 1 : 2 + single_count());
	if (!older)
		return -X_ENOSPC;
	older->magic = 0;
	__atomic_signal_fence(__ATOMIC_SEQ_CST); /* death finds it invalid until it is whole */
	older->version = version;
	older->bytes = bytes;
	older->sequence = sequence;
	memset(older->name, 0, sizeof(older->name));
	strlcpy(older->name, name, sizeof(older->name));
	memcpy(older->data, data, bytes);
	older->checksum = checksum(older);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	older->magic = KEEP_MAGIC;
	return 0;
}

int keep_load(const char *name, uint32_t version, void *data, uint32_t size)
{
	struct keep_slot *newer, *older;

	if (!attach())
		return -X_ENOENT;
	find(name, &newer, &older);
	if (!newer)
		return -X_ENOENT;
	if (newer->version == version && newer->bytes <= size) {
		memcpy(data, newer->data, newer->bytes);
		return newer->bytes;
	}
	discard(newer, "it is of another version, or too large");
	if (older)
		older->magic = 0;
	return -X_ENOENT;
}
