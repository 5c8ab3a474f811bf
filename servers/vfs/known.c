/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files that were opened under a name before, and are opened for reading again.
 *
 * The second time that a name is asked for, vfs keeps the open file it got from the
 * filesystem. From then on whoever with the same rights, root and starting directory asks
 * for it by the same text gets that file reopened (X_OBJ_REOPEN), and no filesystem hears of
 * it. So a file stays open here that nobody uses: it goes as soon as anything happens
 * after which the same text might mean something else, or to somebody else.
 *
 * That is so because names and rights change by calls of vfs only (is_change()). What is under
 * way might be done before or after an open that comes now, which is therefore not
 * remembered. Making a name changes no path that could be opened before. Filesystems that
 * make up names (proc, devfs) are not remembered, nor what was reached through them.
 *
 *   entry:  free -> expected (known_expect) -> there (known_keep) -> free (known_forget_all)
 *
 * What nobody asked for in the last second or two is free again, too. A filesystem that starts cold makes its files stale, and reopening them an error.
 */

#include "lib/region/region.h"
#include "servers/vfs/vfs.h"

enum { KNOWN_MAX = 128, KNOWN_PATH_MAX = 128 };
#define KNOWN_AGE_NS (1000ull * 1000 * 1000) /* who is not asked for that long is let go */

struct key {
	uint64_t hash;          /* of the text */
	uint32_t flags;         /* F_O_* */
	uint32_t path_bytes;
	char path[KNOWN_PATH_MAX + 8];
};

static struct entry {
	uint64_t serial;        /* serial * KNOWN_MAX + index; 0: free */
	x_handle_t file;        /* X_NO_HANDLE: it is being opened */
	struct place root, start;
	struct creds who;       /* as far as it is used; not ruid, rgid */
	struct key key;
} entries[KNOWN_MAX];
static uint64_t in_use[KNOWN_MAX / 64]; /* bit per entry */
static uint64_t next_serial = 1;
static uint32_t changes;                /* under way in filesystems */
static struct server_timer age_timer;

/* Of the call that is looked at. What was asked for last at an entry's place: a hint. */
static REGION_SCRATCH struct key asked;
static REGION_SCRATCH bool asked_well;
static REGION_SCRATCH uint64_t last_asked[KNOWN_MAX];
static REGION_SCRATCH bool used[KNOWN_MAX]; /* since the timer looked: a hint as well */

/* ---- the key ---- */

REGION_UNLOGGED static uint64_t hash_of(struct key *k, uint64_t who)
{
	uint64_t hash = who * 0x9e3779b97f4a7c15ull + k->flags, word;

	memset(k->path + k->path_bytes, 0, 8);
	for (uint32_t at = 0; at < k->path_bytes; at += 8) {
		memcpy(&word, k->path + at, 8);
		hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
		hash ^= hash >> 29;
	}
	return hash;
}

static struct place start_of(const struct session *s, const struct key *k)
{
	return k->path[0] == '/' ? s->root : s->cwd;
}

/* The text and the flags of a call, or false: it is none of those that are remembered. */
REGION_UNLOGGED static bool take_key(const struct session *s, const struct x_in *in, struct key *k)
{
	const uint32_t not_these = F_O_ACCMODE | F_O_CREAT | F_O_EXCL | F_O_TRUNC | F_O_PATH | F_O_TMPFILE | F_O_RUN;
	uint32_t bytes = in_window(in, 0, X_WIN_READ);

	if (in->msg.a[0] & not_these || in->msg.a[2] || in->handle_count || !bytes || bytes > KNOWN_PATH_MAX ||
	    window_read_payload(in->id, 0, 0, k->path, bytes) != bytes)
		return false;
	k->flags = (uint32_t)in->msg.a[0] & ~(F_O_CLOEXEC | F_O_NOCTTY);
	k->path_bytes = bytes;
	k->hash = hash_of(k, start_of(s, k).inode ^ (uint64_t)s->creds.uid << 32);
	return true;
}

static bool same_creds(const struct creds *a, const struct creds *b)
{
	return a->uid == b->uid && a->gid == b->gid && a->group_count == b->group_count &&
	       !memcmp(a->groups, b->groups, a->group_count * sizeof(a->groups[0]));
}

static bool matches(const struct entry *e, const struct session *s, const struct key *k)
{
	return e->file != X_NO_HANDLE && e->key.hash == k->hash && e->key.flags == k->flags &&
	       e->key.path_bytes == k->path_bytes && !memcmp(e->key.path, k->path, k->path_bytes) &&
	       place_equal(e->root, s->root) && place_equal(e->start, start_of(s, k)) && same_creds(&e->who, &s->creds);
}

/* ---- entries ---- */

static void forget(struct entry *e)
{
	uint32_t i = (uint32_t)(e - entries);

	if (e->serial && e->file != X_NO_HANDLE)
		out_close(e->file);
	e->serial = 0;
	in_use[i / 64] &= ~(1ull << i % 64);
}

void known_forget_all(void)
{
	for (uint32_t i = 0; i < KNOWN_MAX / 64; i++)
		while (in_use[i])
			forget(&entries[i * 64 + (uint32_t)__builtin_ctzll(in_use[i])]);
}

REGION_UNLOGGED static void note_use(const struct entry *e)
{
	used[e - entries] = true;
}

static void age(void *ctx)
{
	bool any = false;

	(void)ctx;
	for (uint32_t i = 0; i < KNOWN_MAX; i++) {
		if (entries[i].serial && !used[i])
			forget(&entries[i]);
		any |= entries[i].serial != 0;
		used[i] = false;
	}
	if (any)
		timer_set(&age_timer, server_now_ns + KNOWN_AGE_NS);
}

bool known_open(const struct session *s, const struct x_in *in)
{
	struct entry *e;
	struct x_out *out;
	int64_t handle;

	asked_well = take_key(s, in, &asked);
	if (!asked_well)
		return false;
	e = &entries[asked.hash % KNOWN_MAX];
	if (!e->serial || !matches(e, s, &asked))
		return false;
	handle = sys_handle_reopen(e->file);
	if (handle < 0) {
		forget(e);
		return false;
	}
	note_use(e);
	out = out_answer_entry(in->id);
	out->handles[0] = (x_handle_t)handle;
	out->handle_count = 1;
	return true;
}

void known_expect(struct request *r, const struct session *s)
{
	struct entry *e = &entries[asked.hash % KNOWN_MAX];
	uint32_t i = (uint32_t)(e - entries);

	if (!asked_well || changes)
		return;
	if (last_asked[i] != asked.hash) {
		last_asked[i] = asked.hash;
		return;
	}
	forget(e);
	e->serial = r->known = next_serial++ * KNOWN_MAX + i;
	e->file = X_NO_HANDLE;
	e->root = s->root;
	e->start = start_of(s, &asked);
	memcpy(&e->who, &s->creds, offsetof(struct creds, groups) + s->creds.group_count * sizeof(s->creds.groups[0]));
	memcpy(&e->key, &asked, offsetof(struct key, path) + asked.path_bytes);
	in_use[i / 64] |= 1ull << i % 64;
	note_use(e);
	if (age_timer.deadline_ns)
		return;
	age_timer.fn = age;
	timer_set(&age_timer, server_now_ns + KNOWN_AGE_NS);
}

x_handle_t known_keep(const struct request *r, x_handle_t file)
{
	struct entry *e = &entries[r->known % KNOWN_MAX];
	int64_t handle;

	if (!r->known || e->serial != r->known)
		return file;
	handle = sys_handle_reopen(file);
	if (handle < 0) {
		forget(e);
		return file;
	}
	e->file = file;
	return (x_handle_t)handle;
}

/* ---- what makes them unknown ---- */

static bool is_change(const struct fs_call *call)
{
	switch (call->op) {
	case FS_UNLINK: case FS_RMDIR: case FS_RENAME: case FS_MOUNT: case FS_UNMOUNT: case FS_REMOUNT: case FS_MARK_MOUNT:
	case FS_OPENED: /* of those that vfs keeps open nobody is to be told */
		return true;
	case FS_SETATTR:
		return call->a[3] & (ATTR_MODE | ATTR_UID | ATTR_GID);
	default:
		return false;
	}
}

void known_change_begins(const struct fs_call *call)
{
	if (!is_change(call))
		return;
	known_forget_all();
	changes++;
}

void known_change_ended(const struct fs_call *call)
{
	changes -= is_change(call);
}
