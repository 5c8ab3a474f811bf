/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory objects: pages that can be mapped, copied and lent to devices.
 *
 *   anonymous    a radix tree of frames, zeroed on first use (or at once)
 *   contiguous   one run of frames, there from the start
 *   paged        a radix tree; what is missing is asked of the pager's port. The
 *                state of its pages is in content.c
 *   physical     a range of addresses that the frame allocator does not own
 *
 * A missing page of a paged object becomes a page_request of up to
 * PAGE_CLUSTER pages; threads that need any of them wait on the object. A
 * request ends when each of its pages was supplied or failed.
 */
#include "port.h"
#include "span.h"

#define PAGE_SHIFT  12
#define NODE_SHIFT  6
#define NODE_SLOTS  (1u << NODE_SHIFT)
#define BYTES_LIMIT (1ull << 47)

struct node { uint64_t slots[NODE_SLOTS]; }; /* struct node * or, at the bottom, paddr_t */

static struct waitq *waiters_of(struct memory *m)
{
	return container_of(&m->waiters, struct waitq, threads);
}

/* ---- the tree ---- */

static uint32_t slot_at(uint64_t index, uint32_t level)
{
	return (index >> (level * NODE_SHIFT)) & (NODE_SLOTS - 1);
}

static paddr_t tree_get(const struct memory *m, uint64_t index)
{
	const struct node *n = m->root;

	for (uint32_t level = m->root_levels - 1; n != NULL && level > 0; level--)
		n = (const struct node *)n->slots[slot_at(index, level)];
	return n != NULL ? n->slots[slot_at(index, 0)] & ~PAGE_STATE : NO_FRAME;
}

uint64_t *memory_next(const struct memory *m, uint64_t *index)
{
	while (*index < m->capacity) {
		struct node *n = m->root;
		uint32_t level = m->root_levels - 1;

		for (; n != NULL && level > 0; level--) {
			struct node *below = (struct node *)n->slots[slot_at(*index, level)];

			if (below == NULL)
				break;
			n = below;
		}
		if (n == NULL)
			return NULL;
		if (level == 0 && n->slots[slot_at(*index, 0)] != 0)
			return &n->slots[slot_at(*index, 0)];
		*index = ((*index >> (level * NODE_SHIFT)) + 1) << (level * NODE_SHIFT);
	}
	return NULL;
}

uint64_t *memory_slot(const struct memory *m, uint64_t index)
{
	struct node *n = m->root;

	if (index >= m->pages)
		return NULL;
	for (uint32_t level = m->root_levels - 1; n != NULL && level > 0; level--)
		n = (struct node *)n->slots[slot_at(index, level)];
	return n != NULL && n->slots[slot_at(index, 0)] != 0 ? &n->slots[slot_at(index, 0)] : NULL;
}

uint32_t memory_hold(struct memory *m, uint64_t index, uint32_t count, paddr_t *held)
{
	uint64_t used = m->flags & X_MEM_PAGED ? PAGE_USED : 0, *slot;
	uint32_t n = 0;

	count = MIN(count, m->pages - index); /* beyond the end there is no slot */
	while (n < count && (slot = memory_slot(m, index + n)) != NULL) {
		do { /* to the end of the node */
			*slot |= used;
			held[n] = *slot & ~PAGE_STATE;
			frame_ref(held[n++]);
		} while (n < count && slot_at(index + n, 0) != 0 && *++slot != 0);
	}
	if (m->pager != NULL)
		m->pager->page_hits += n;
	return n;
}

/* Takes over the caller's reference on success. The slot must be empty. */
static int tree_insert(struct memory *m, uint64_t index, paddr_t frame)
{
	struct node *n = m->root;

	if (n == NULL && (n = m->root = kzalloc_for(m->account, sizeof(*n))) == NULL)
		return -X_ENOMEM;
	for (uint32_t level = m->root_levels - 1; level > 0; level--) {
		uint64_t *slot = &n->slots[slot_at(index, level)];

		if (*slot == 0)
			*slot = (uint64_t)kzalloc_for(m->account, sizeof(*n));
		if (*slot == 0)
			return -X_ENOMEM;
		n = (struct node *)*slot;
	}
	n->slots[slot_at(index, 0)] = frame;
	m->resident++;
	account_add(m->account, PAGE_SIZE);
	return 0;
}

static void tree_free(struct node *n, uint32_t level)
{
	if (n == NULL)
		return;
	for (uint32_t i = 0; i < NODE_SLOTS; i++) {
		if (n->slots[i] == 0)
			continue;
		if (level > 0)
			tree_free((struct node *)n->slots[i], level - 1);
		else
			frame_unref(n->slots[i] & ~PAGE_STATE);
	}
	kfree(n);
}

static uint32_t frame_flags(const struct memory *m)
{
	uint32_t flags = FRAME_ZERO;

	if (m->flags & X_MEM_BELOW_4G)
		flags |= FRAME_BELOW_4G;
	if (m->flags & X_MEM_BELOW_16M)
		flags |= FRAME_BELOW_16M;
	return flags;
}

static paddr_t page_get(const struct memory *m, uint64_t index)
{
	if (m->physical)
		return m->physical_base + (index << PAGE_SHIFT);
	if (m->run_base != NO_FRAME)
		return m->run_base + (index << PAGE_SHIFT);
	return tree_get(m, index);
}

static int page_populate(struct memory *m, uint64_t index, paddr_t *frame)
{
	paddr_t p;
	int error;

	if (!account_has(m->account, PAGE_SIZE) && !account_make_room(m->account, PAGE_SIZE)) /* that is not everybody's shortage */
		return m->account == current_process()->account ? -X_ENOMEM : -X_EIO;
	p = memory_denied() ? NO_FRAME : frame_alloc(frame_flags(m));
	if (p == NO_FRAME)
		return -X_ENOMEM;
	error = tree_insert(m, index, p);
	if (error != 0)
		frame_unref(p);
	else
		*frame = p;
	return error;
}

/* ---- requests to the pager ---- */

static uint32_t bit_of(const struct page_request *r, uint64_t index)
{
	return 1u << (index - (r->offset >> PAGE_SHIFT));
}

/* Bits of the request's pages that lie in [first, end). */
static uint32_t bits_in(const struct page_request *r, uint64_t first, uint64_t end)
{
	uint64_t start = r->offset >> PAGE_SHIFT, pages = r->bytes >> PAGE_SHIFT;
	uint32_t bits = 0;

	for (uint64_t i = 0; i < pages; i++)
		if (start + i >= first && start + i < end)
			bits |= 1u << i;
	return bits;
}

/* The request that will settle a page: it is missing there. */
static struct page_request *request_find(struct memory *m, uint64_t index, bool write)
{
	list_for_each(r, &m->requests, struct page_request, link)
		if (r->write == write && (bits_in(r, index, index + 1) & r->missing))
			return r;
	return NULL;
}

static bool page_wanted(struct memory *m, uint64_t index)
{
	return tree_get(m, index) == NO_FRAME && request_find(m, index, false) == NULL;
}

/* Ask for the page and for its missing neighbours in its aligned cluster; write:
 * only for the right to write to the page. */
static int request_post(struct memory *m, uint64_t index, bool write, struct page_request **out)
{
	uint64_t first = index, end = index + 1;
	uint64_t low = ALIGN_DOWN(index, PAGE_CLUSTER);
	uint64_t high = MIN(low + PAGE_CLUSTER, m->pages);
	struct page_request *r = kzalloc(sizeof(*r));
	int error;

	if (r == NULL)
		return -X_ENOMEM;
	while (!write && first > low && page_wanted(m, first - 1))
		first--;
	while (!write && end < high && page_wanted(m, end))
		end++;
	r->write = write;
	r->memory = m;
	r->offset = first << PAGE_SHIFT;
	r->bytes = (end - first) << PAGE_SHIFT;
	r->missing = (1u << (end - first)) - 1;
	list_init(&r->item_link);
	error = port_post_page(m->pager, m, r);
	if (error != 0) {
		kfree(r);
		return error == -X_EDEAD ? -X_EIO : error;
	}
	list_push_back(&m->requests, &r->link);
	*out = r;
	return 0;
}

static void request_release(struct page_request *r)
{
	if (r->finished && r->users == 0)
		kfree(r);
}

/* Pages [first, end) are supplied (status 0) or failed. */
static void request_settle(struct page_request *r, uint64_t first, uint64_t end, int status)
{
	uint32_t bits = bits_in(r, first, end) & r->missing;

	r->missing &= ~bits;
	if (status < 0 && bits != 0) {
		r->failed |= bits;
		r->status = status;
	}
	if (r->missing == 0) {
		list_remove(&r->item_link);
		list_remove(&r->link);
		r->finished = true;
		request_release(r);
	}
}

/* status: 0, X_SUPPLY_BACKED, or why not. */
static void requests_settle(struct memory *m, uint64_t first, uint64_t end, int status)
{
	list_for_each(r, &m->requests, struct page_request, link)
		if (status != 0 || !r->write)
			request_settle(r, first, end, status);
	waitq_wake_all(waiters_of(m), 0);
}

void memory_fail_requests(struct memory *m, uint64_t first, uint64_t end)
{
	requests_settle(m, first, end, -X_EIO);
}

/* Block until the page's request has changed: 0 means look again. */
static int request_wait(struct memory *m, uint64_t index, bool write)
{
	struct page_request *r = request_find(m, index, write);
	int error = 0;

	if (r == NULL)
		error = request_post(m, index, write, &r);
	if (error != 0)
		return error;
	r->users++;
	error = thread_wait(waiters_of(m), X_FOREVER, 0);
	if (error == 0 && (r->failed & bit_of(r, index)))
		error = r->status;
	r->users--;
	request_release(r);
	return error;
}

void memory_ask(struct memory *m, uint64_t index)
{
	struct page_request *r;

	if (m->pager != NULL && index < m->pages && page_wanted(m, index))
		(void)request_post(m, index, false, &r);
}

int memory_wait_writable(struct memory *m, uint64_t index)
{
	if (m->pager == NULL)
		return -X_EIO;
	return request_wait(m, index, true);
}

/* ---- pages ---- */

int memory_page_if_present(struct memory *m, uint64_t index, paddr_t *frame)
{
	if (index >= m->pages)
		return -X_EINVAL;
	*frame = page_get(m, index);
	if (*frame == NO_FRAME)
		return -X_EWAIT;
	if (!m->physical)
		frame_ref(*frame);
	return 0;
}

int memory_page(struct memory *m, uint64_t index, paddr_t *frame)
{
	for (;;) {
		int error = memory_page_if_present(m, index, frame);

		if (error != -X_EWAIT)
			return error;
		if (!(m->flags & X_MEM_PAGED))
			error = page_populate(m, index, frame);
		else if (m->pager == NULL)
			error = -X_EIO;
		else
			error = request_wait(m, index, false);
		if (error != 0)
			return error;
	}
}

/* offset and len of a copy: whole inside the object? */
static bool range_ok(const struct memory *m, uint64_t offset, uint64_t len)
{
	uint64_t bytes = m->pages << PAGE_SHIFT;

	return offset <= bytes && len <= bytes - offset;
}

int memory_copy(struct memory *m, uint64_t offset, uint64_t user, uint64_t len, bool write)
{
	if (!range_ok(m, offset, len) || (write && (m->flags & X_MEM_PAGED)))
		return -X_EINVAL;
	while (len > 0) {
		uint64_t first = offset >> PAGE_SHIFT;
		struct span s;
		int error = 0;

		span_begin(&s, offset, len);
		for (uint32_t pages = span_pages(&s); s.count < pages && error == 0; s.count += error == 0) {
			error = memory_page(m, first + s.count, &s.frames[s.count]);
			if (error == 0 && m->physical && !frame_is_ram(s.frames[s.count]))
				error = -X_EINVAL; /* only RAM is sure to be in the direct map */
		}
		if (error != 0)
			span_drop(&s);
		else
			error = span_copy_user(&s, user, write);
		if (error != 0)
			return error;
		offset += s.bytes;
		user += s.bytes;
		len -= s.bytes;
	}
	return 0;
}

/* One page from the pager's buffer, unless it has come meanwhile. */
static int supply_page(struct memory *m, uint64_t index, uint64_t user_src, uint64_t n, uint64_t state)
{
	uint64_t *slot = memory_slot(m, index);
	int error = 0;
	bool left;
	paddr_t p;

	if (slot != NULL) {
		*slot |= state;
		return 0;
	}
	if (!account_has(m->account, PAGE_SIZE) && !account_make_room(m->account, PAGE_SIZE))
		return -X_ENOMEM;
	p = frame_alloc(frame_flags(m) & ~FRAME_ZERO);
	if (p == NO_FRAME)
		return -X_ENOMEM;
	if (user_src == 0)
		n = 0;
	left = kernel_leave(PAGE_SIZE);
	if (n > 0)
		error = copy_from_user(phys_to_virt(p), user_src, n);
	if (n < PAGE_SIZE)
		memset((char *)phys_to_virt(p) + n, 0, PAGE_SIZE - n);
	kernel_return(left);
	if (error == 0 && index < m->pages && page_get(m, index) == NO_FRAME) {
		error = tree_insert(m, index, p | state);
		if (error == 0)
			return 0;
	}
	frame_unref(p);
	return error;
}

int memory_supply(struct memory *m, uint64_t offset, uint64_t user_src, uint64_t len, int status)
{
	uint64_t first = offset >> PAGE_SHIFT, end;
	int error = 0;

	if (!(m->flags & X_MEM_PAGED) || offset % PAGE_SIZE != 0 || status > X_SUPPLY_BACKED ||
	    offset + len < offset || offset + len > m->capacity << PAGE_SHIFT)
		return -X_EINVAL;
	end = MIN(ALIGN_UP(offset + len, PAGE_SIZE) >> PAGE_SHIFT, m->pages);
	if (status < 0) {
		requests_settle(m, first, end, -X_EIO);
		return 0;
	}
	for (uint64_t index = first; index < end && error == 0; index++) {
		uint64_t done = (index - first) << PAGE_SHIFT;

		error = supply_page(m, index, user_src ? user_src + done : 0, MIN(len - done, PAGE_SIZE),
				    status ? PAGE_BACKED : 0);
		if (error != 0)
			end = index;
	}
	requests_settle(m, first, end, status);
	return error;
}

int content_page(struct memory *m, uint64_t index, uint64_t state, paddr_t *frame)
{
	int error = supply_page(m, index, 0, 0, state);
	uint64_t *slot = memory_slot(m, index);

	if (error != 0 || slot == NULL)
		return error != 0 ? error : -X_EINVAL;
	content_mark_dirty(m, slot, index);
	*frame = *slot & ~PAGE_STATE;
	frame_ref(*frame);
	return 0;
}

/* Pages of the content that are there, or, for a write by the pager, made so. */
int content_hold(struct memory *m, uint64_t offset, uint64_t bytes, bool write, uint64_t state, struct span *s)
{
	uint32_t pages;
	int error = 0;

	span_begin(s, offset, bytes);
	for (pages = s->bytes ? span_pages(s) : 0; s->count < pages; s->count++) {
		uint64_t index = offset / PAGE_SIZE + s->count, *slot;

		if (write && (error = content_page(m, index, state, &s->frames[s->count])) != 0)
			break;
		if (write)
			continue;
		slot = memory_slot(m, index);
		if (slot == NULL)
			break;
		*slot |= PAGE_USED;
		frame_ref(s->frames[s->count] = *slot & ~PAGE_STATE);
	}
	span_cut(s);
	return error;
}

void memory_pager_gone(struct memory *m)
{
	if (m->pager == NULL)
		return;
	content_forget(m);
	m->pager = NULL;
	list_remove(&m->pager_link);
	requests_settle(m, 0, m->pages, -X_EIO);
}

/* ---- making and destroying ---- */

static void memory_destroy(struct object *o)
{
	struct memory *m = container_of(o, struct memory, obj);

	KASSERT(list_empty(&m->waiters));
	content_destroy(m);
	memory_pager_gone(m);
	if (m->run_base != NO_FRAME)
		for (uint64_t i = 0; i < m->pages; i++)
			frame_unref(m->run_base + (i << PAGE_SHIFT));
	else if (!m->physical)
		tree_free(m->root, m->root_levels - 1);
	if (!m->physical)
		account_sub(m->account, m->resident << PAGE_SHIFT);
	kfree(m);
}

static const struct object_ops memory_ops = { .destroy = memory_destroy };

static struct memory *memory_new(uint64_t bytes, uint32_t flags)
{
	struct memory *m = kzalloc(sizeof(*m));

	if (m == NULL)
		return NULL;
	object_init(&m->obj, X_TYPE_MEMORY, &memory_ops);
	m->account = current_process()->account;
	m->pages = ALIGN_UP(bytes, PAGE_SIZE) >> PAGE_SHIFT;
	m->flags = flags;
	m->cached = true;
	for (m->root_levels = 1; m->pages > 1ull << (m->root_levels * NODE_SHIFT);)
		m->root_levels++;
	list_init(&m->pager_link);
	list_init(&m->waiters);
	list_init(&m->requests);
	content_init(m);
	return m;
}

static int populate_all(struct memory *m)
{
	for (uint64_t i = 0; i < m->pages; i++) {
		paddr_t frame;
		int error = page_populate(m, i, &frame);

		if (error != 0)
			return error;
	}
	return 0;
}

/* All of it at once: better refused now than half way. */
static bool may_take_all(uint64_t bytes)
{
	const struct account *mine = current_process()->account;

	return !memory_denied() && bytes / PAGE_SIZE <= frame_free_count() &&
	       (account_has(mine, bytes) || account_make_room(mine, bytes));
}

static int make_contiguous(struct memory *m, uint64_t align)
{
	m->run_base = frame_alloc_run(m->pages, MAX(align, (uint64_t)PAGE_SIZE), frame_flags(m));
	if (m->run_base == NO_FRAME)
		return -X_ENOMEM;
	m->resident = m->pages;
	account_add(m->account, m->pages << PAGE_SHIFT);
	return 0;
}

static bool create_ok(const struct x_mem_create *c, const struct port *pager)
{
	const uint32_t known = X_MEM_CONTIGUOUS | X_MEM_BELOW_4G | X_MEM_BELOW_16M |
			       X_MEM_PAGED | X_MEM_POPULATE;

	if (c->bytes == 0 || c->bytes > BYTES_LIMIT || (c->flags & ~known) != 0 ||
	    (c->align & (c->align - 1)) != 0)
		return false;
	if (c->flags & X_MEM_PAGED)
		return pager != NULL && !(c->flags & (X_MEM_CONTIGUOUS | X_MEM_POPULATE));
	return true;
}

int memory_create(const struct x_mem_create *c, struct port *pager, struct memory **out)
{
	struct memory *m;
	int error = 0;

	if (!create_ok(c, pager))
		return -X_EINVAL;
	if ((c->flags & (X_MEM_CONTIGUOUS | X_MEM_POPULATE)) && !may_take_all(ALIGN_UP(c->bytes, PAGE_SIZE)))
		return -X_ENOMEM;
	m = memory_new(c->bytes, c->flags);
	if (m == NULL)
		return -X_ENOMEM;
	if (c->flags & X_MEM_PAGED) {
		m->pager = pager;
		m->pager_id = c->id;
		list_push_back(&pager->paged, &m->pager_link);
	} else if (c->flags & X_MEM_CONTIGUOUS) {
		error = make_contiguous(m, c->align);
	} else if (c->flags & X_MEM_POPULATE) {
		error = populate_all(m);
	}
	if (error != 0)
		object_unref(&m->obj);
	else
		*out = m;
	return error;
}

int memory_create_physical(paddr_t base, uint64_t bytes, bool cached, struct memory **out)
{
	struct memory *m;

	if (base % PAGE_SIZE != 0 || bytes == 0 || bytes > BYTES_LIMIT || base + bytes < base)
		return -X_EINVAL;
	m = memory_new(bytes, 0);
	if (m == NULL)
		return -X_ENOMEM;
	m->physical = true;
	m->physical_base = base;
	m->cached = cached;
	m->resident = m->pages;
	*out = m;
	return 0;
}
