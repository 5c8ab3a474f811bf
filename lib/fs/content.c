/* SPDX-License-Identifier: BSD-2-Clause */
/* Files in memory; content.h tells what they are. */

#include "lib/fs/server.h"
#include "lib/region/region.h"

enum {
	BUCKETS = 1024,
	PAGE_REQUESTS_MAX = 512,
	SEARCH_MAX = 256,               /* slots looked at for one to give up */
	AHEAD_BYTES_MIN = 128 * 1024,
	AHEAD_BYTES_MAX = 512 * 1024,
};

struct page_request {
	bool used, write;
	uint64_t content;
	uint64_t offset, bytes;
	uint64_t failures;              /* content_failures when it came */
};

static struct content *contents;
static uint32_t contents_max, alive; /* alive: in use and not dead */
static struct content *buckets[BUCKETS];
static struct page_request requests[PAGE_REQUESTS_MAX];
static uint32_t request_count;
static uint32_t hand;                   /* of the search for a slot */
uint64_t content_failures;
REGION_SCRATCH uint64_t content_patience;

/* ---- the table ---------------------------------------------------------------- */

static struct content **bucket_of(uint32_t ino)
{
	return &buckets[ino % BUCKETS];
}

struct content *content_find(uint32_t ino)
{
	struct content *c = *bucket_of(ino);

	while (c && c->ino != ino)
		c = c->hash_next;
	return c;
}

struct content *content_at(uint32_t index)
{
	return index < contents_max && contents[index].ino && !contents[index].dead ? &contents[index] : NULL;
}

uint32_t content_count(void)
{
	return alive;
}

uint64_t content_id(const struct content *c)
{
	return (uint64_t)c->generation << 32 | (c - contents + 1);
}

struct content *content_by_id(uint64_t id)
{
	uint32_t slot = (uint32_t)id - 1;

	if (slot >= contents_max || !contents[slot].ino ||
	    contents[slot].generation != id >> 32)
		return NULL;
	return &contents[slot];
}

struct content *content_by_koid(uint64_t koid)
{
	for (struct content *c = contents; c < contents + contents_max; c++) {
		struct x_handle_info info;

		if (!c->ino || c->dead)
			continue;
		if (!c->koid && x_handle_info(c->memory, &info) == 0)
			c->koid = info.koid;
		if (c->koid == koid)
			return c;
	}
	return NULL;
}

/* Who but us has it: mappings and open files. */
static bool is_shared(const struct content *c)
{
	struct x_handle_info info;

	return x_handle_info(c->memory, &info) || info.refs > 1;
}

/* What is cut off cannot be brought back: so that is done at the commit, and until then nobody
 * meets the content, neither as it was nor as it will be. */
static bool is_cut(const struct content *c)
{
	return c->cut_epoch == server_epoch();
}

static void cut_at_commit(struct content *c, enum x_content_op op, uint64_t offset, uint64_t bytes)
{
	c->version++;
	c->ahead_end = 0;
	c->cut_epoch = server_epoch();
	out_do(X_SYS_mem_content, c->memory, op, offset, bytes, 0);
}

/* Nobody finds it by its inode any more. */
static void unhash(struct content *c)
{
	struct content **at = bucket_of(c->ino);

	while (*at != c)
		at = &(*at)->hash_next;
	*at = c->hash_next;
	alive--;
	if (c->held)
		fsys_release(volume, c->ino, 1);
	c->held = false;
}

static void drop(struct content *c)
{
	if (!c->dead) {
		content_note_times(c->ino);
		unhash(c);
	}
	out_close(c->memory);
	c->ino = 0;
}

/* Can it be dropped now? */
static bool is_idle(struct content *c)
{
	struct x_content_info info;

	if (c->busy || c->held || is_cut(c) || is_shared(c))
		return false;
	if (c->dead)
		return true;
	content_note_times(c->ino);
	if (x_mem_state(c->memory, &info))
		return false;
	return !info.dirty_pages || store_evict(c);
}

/* A free slot; if need be that of a content that nobody uses and nobody used
 * lately. */
static struct content *take_slot(void)
{
	uint32_t i;

	if (!contents)
		contents = server_table(CONTENTS_MAX, sizeof(*contents), &contents_max);

	for (i = 0; i < contents_max + SEARCH_MAX; i++) {
		struct content *c = &contents[hand];

		hand = (hand + 1) % contents_max;
		if (!c->ino)
			return c;
		if (i < SEARCH_MAX && c->spared) {
			c->spared = false;
			continue;
		}
		if (is_idle(c)) {
			drop(c);
			return c;
		}
	}
	return NULL;
}

/* ---- making ------------------------------------------------------------------- */

static int make(uint32_t ino, const struct fsys_attr *attr, struct content **out)
{
	struct content *c = take_slot();
	struct x_mem_create create = { .flags = X_MEM_PAGED, .port = server_port };
	int64_t memory;

	if (!c)
		return store_writers_wait() ? -X_EWAIT : -X_ENFILE;
	*c = (struct content){ .generation = c->generation + 1, .spared = true };
	create.bytes = fsys_limits(volume)->file_max + CONTENT_PAGE;
	create.id = content_id(c);
	memory = x_mem_create(&create);
	if (memory < 0)
		return memory;
	c->ino = ino;
	alive++;
	c->memory = memory;
	c->hash_next = *bucket_of(ino);
	*bucket_of(ino) = c;
	content_resize(c, attr->size_bytes);
	content_mode(ino, attr->mode);
	*out = c;
	return 0;
}

int content_get(uint32_t ino, struct content **out)
{
	struct fsys_attr attr;
	int status;

	*out = content_find(ino);
	if (*out) {
		(*out)->spared = true;
		return is_cut(*out) ? -X_EAGAIN : 0;
	}
	status = fsys_getattr(volume, ino, &attr);
	return status ? status : make(ino, &attr, out);
}

int64_t content_lend(struct content *c, bool writable, bool executable)
{
	uint32_t rights = X_R_READ | X_R_DUP | X_R_TRANSFER | (executable ? X_R_EXEC : 0);

	if (!c->held) {
		int status = fsys_hold(volume, c->ino);

		if (status)
			return status;
		c->held = true;
	}
	c->lent_writable |= writable;
	return x_handle_dup(c->memory, writable ? rights | X_R_WRITE : rights,
			    X_SLOT_NATIVE, 0);
}

void content_attach(struct content *c, uint64_t object, bool readable, bool writable)
{
	uint32_t refuse = F_O_APPEND | F_O_DSYNC;

	if (fsys_limits(volume)->read_only)
		writable = false;
	(void)x_stream_set(server_port, object, c->memory,
			   (readable ? X_STREAM_READ : 0) | (writable ? X_STREAM_WRITE : 0),
			   refuse); /* without it every transfer is a call */
}

static void set_size(struct content *c, uint64_t bytes)
{
	int64_t status = x_mem_content(c->memory, X_CONTENT_SIZE, bytes, 0);

	if (status)
		server_die("a content can't have %llu bytes: error %d",
			   (unsigned long long)bytes, (int)status);
}

void content_resize(struct content *c, uint64_t bytes)
{
	if (bytes < c->bytes)
		cut_at_commit(c, X_CONTENT_SIZE, bytes, 0);
	else
		set_size(c, bytes);
	c->bytes = bytes;
}

void content_punch(struct content *c, uint64_t offset, uint64_t bytes)
{
	cut_at_commit(c, X_CONTENT_PUNCH, offset, bytes);
}

void content_zero(struct content *c, uint64_t offset, uint64_t bytes)
{
	cut_at_commit(c, X_CONTENT_ZERO, offset, bytes);
}

void content_rolled_back(void)
{
	uint32_t i;

	/* They may have grown. */
	for (i = 0; i < contents_max; i++)
		if (contents[i].ino && !contents[i].dead)
			set_size(&contents[i], contents[i].bytes);
}

/* ---- what the kernel knows ------------------------------------------------------ */

static uint64_t on_the_clock(uint64_t monotonic_ns)
{
	return monotonic_ns ? monotonic_ns + (server_time_ns() - server_now_ns) : 0;
}

void content_note_times(uint32_t ino)
{
	struct content *c = content_find(ino);
	struct x_content_info info;

	if (!c || x_mem_state(c->memory, &info) || (!info.read_ns && !info.written_ns))
		return;
	/* If it can't be done now it is lost: only times. */
	(void)fsys_touch(volume, ino, on_the_clock(info.read_ns),
			 on_the_clock(info.written_ns));
}

void content_mode(uint32_t ino, uint32_t mode)
{
	struct content *c = content_find(ino);

	if (c)
		x_mem_content(c->memory, X_CONTENT_ASK, (mode & (FSYS_S_ISUID | FSYS_S_ISGID)) != 0, 0);
}

bool content_keep_unlinked(uint32_t ino)
{
	struct content *c = content_find(ino);

	if (!c)
		return false;
	if (is_shared(c))
		return true;
	drop(c);
	return false;
}

bool content_any_shared(void)
{
	uint32_t i;

	for (i = 0; i < contents_max; i++)
		if (contents[i].ino && is_shared(&contents[i]))
			return true;
	return false;
}

bool content_any_writable(void)
{
	uint32_t i;

	for (i = 0; i < contents_max; i++)
		if (contents[i].ino && contents[i].lent_writable && is_shared(&contents[i]))
			return true;
	return false;
}

void content_forget_all(void)
{
	uint32_t i;

	for (i = 0; i < contents_max; i++) {
		struct content *c = &contents[i];

		if (!c->ino || c->dead)
			continue;
		if (!is_shared(c)) {
			drop(c);
			continue;
		}
		unhash(c);
		c->dead = true;
		c->busy = 0;
	}
}

void content_tidy(void)
{
	uint32_t i;

	for (i = 0; i < contents_max; i++) {
		struct content *c = &contents[i];

		if (!c->ino || !c->held || is_shared(c))
			continue;
		c->held = false;
		fsys_release(volume, c->ino, 1);
	}
}

/* ---- pages ------------------------------------------------------------------------ */

void content_failed(struct content *c, uint64_t offset, uint64_t bytes, int status)
{
	c->failed_offset = offset;
	c->failed_bytes = bytes;
	c->failed_status = status;
	c->failed_serial = ++content_failures;
	x_mem_supply(c->memory, offset, NULL, bytes, -X_EIO);
	server_progress();
}

/* Why the page at OFFSET did not come, for a request that has waited for it; or 0. */
static int failure_of(const struct content *c, uint64_t offset)
{
	offset -= offset % CONTENT_PAGE;
	if (c->failed_serial <= content_patience || offset < c->failed_offset ||
	    offset - c->failed_offset >= c->failed_bytes)
		return 0;
	return c->failed_status;
}

int content_fetch(struct content *c, uint64_t offset, uint64_t bytes)
{
	bool goes_on = offset <= c->ahead_end && offset + c->ahead_bytes >= c->ahead_end;
	uint32_t ahead = goes_on && c->ahead_bytes ? 2 * c->ahead_bytes : AHEAD_BYTES_MIN;
	uint64_t end = offset + bytes;
	int status = failure_of(c, offset);

	if (status)
		return status;
	offset -= offset % CONTENT_PAGE;
	if (ahead > AHEAD_BYTES_MAX)
		ahead = AHEAD_BYTES_MAX;
	if (goes_on && end <= c->ahead_end) /* on its way, or given back meanwhile */
		return store_fetch(c, offset, end - offset);
	if (goes_on && end < offset + ahead)
		end = offset + ahead;
	if (end > c->bytes)
		end = c->bytes;
	if (offset >= end)
		return 0;
	status = store_fetch(c, offset, end - offset);
	if (!status) {
		c->ahead_end = end;
		c->ahead_bytes = goes_on ? ahead : 0;
	}
	return status;
}

int content_hold(struct content *c, uint64_t offset, uint64_t bytes)
{
	int64_t held = x_mem_content(c->memory, X_CONTENT_HOLD, offset, bytes);
	int status;

	if (held < 0)
		return held;
	if ((uint64_t)held == bytes)
		return 0;
	offset += held;
	status = failure_of(c, offset);
	if (!status)
		status = store_fetch(c, offset - offset % CONTENT_PAGE, CONTENT_PAGE);
	if (status)
		return status;
	/* It may be there at once. */
	held = x_mem_content(c->memory, X_CONTENT_HOLD, offset, bytes - held);
	return held > 0 ? 0 : -X_EWAIT;
}

/* Somebody writes to a mapping: the page gets room. */
static int make_writable(struct content *c, const struct page_request *request)
{
	int status = content_hold(c, request->offset, request->bytes);

	if (!status && store_writers_wait())
		status = -X_EWAIT;
	if (!status)
		status = blocks_hold(c, request->offset, request->offset + request->bytes);
	if (!status)
		status = fsys_back(volume, c->ino, request->offset, request->bytes);
	if (!status)
		x_mem_supply(c->memory, request->offset, NULL, request->bytes,
			     X_SUPPLY_BACKED);
	return status;
}

static int run(const struct page_request *request)
{
	struct content *c = content_by_id(request->content);
	int status;

	content_patience = request->failures;
	if (!c || request->offset >= c->bytes)
		return 0;       /* nobody maps it any more */
	if (c->dead) {
		x_mem_supply(c->memory, request->offset, NULL, request->bytes, -X_EIO);
		return 0;
	}
	if (is_cut(c))
		return -X_EAGAIN;
	status = request->write ? make_writable(c, request)
				: content_fetch(c, request->offset, request->bytes);
	if (status && status != -X_EWAIT && status != -X_EAGAIN)
		x_mem_supply(c->memory, request->offset, NULL, request->bytes, -X_EIO);
	return status;
}

void content_page_missing(const struct x_in *in)
{
	struct page_request now = { true, in->msg.a[2], in->object, in->msg.a[0], in->msg.a[1], content_failures };
	int status = run(&now);
	uint32_t i;

	if (status != -X_EWAIT && status != -X_EAGAIN)
		return;
	for (i = 0; i < PAGE_REQUESTS_MAX; i++) {
		if (requests[i].used)
			continue;
		requests[i] = now;
		request_count++;
		if (status == -X_EAGAIN)
			server_progress();
		return;
	}
	x_mem_supply(content_by_id(in->object)->memory, now.offset, NULL, now.bytes, -X_EIO);
}

bool content_run_all(void)
{
	bool again = false;
	uint32_t i, seen = 0, count = request_count;

	for (i = 0; i < PAGE_REQUESTS_MAX && seen < count; i++) {
		int status;

		if (!requests[i].used)
			continue;
		seen++;
		status = run(&requests[i]);
		again |= status == -X_EAGAIN;
		if (status == -X_EWAIT || status == -X_EAGAIN)
			continue;
		requests[i].used = false;
		request_count--;
	}
	return again;
}
