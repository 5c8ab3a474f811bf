/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address-space system calls. Anonymous memory is the kernel's own; a file
 * gives a memory object (FILE_MMAP) that is mapped here. Nothing of the
 * personality's region can be mapped over, unmapped or protected.
 */
#include "personality/linux/pers.h"

#define PAGE_MASK ((uint64_t)X_PAGE_SIZE - 1)
#define PROT_ALL  (X_PROT_READ | X_PROT_WRITE | X_PROT_EXEC)

static uint64_t page_up(uint64_t n) { return (n + PAGE_MASK) & ~PAGE_MASK; }

/* A page-aligned, non-empty range of the program's. */
static int64_t check_range(uint64_t addr, uint64_t *len)
{
	if (addr & PAGE_MASK)
		return -X_EINVAL;
	if (*len > X_USER_MAX)
		return -X_ENOMEM;
	*len = page_up(*len);
	return user_range(addr, *len) ? 0 : -X_ENOMEM;
}

static int64_t map(const struct x_mem_map *m)
{
	int64_t addr = x_mem_map(m);

	if (addr == -X_EFAULT || addr == -X_ERANGE)
		return -X_ENOMEM;
	return linux_error(addr);
}

static int64_t map_shared_anonymous(struct x_mem_map *m)
{
	struct x_mem_create create = { .bytes = m->len };
	int64_t memory = x_mem_create(&create), addr;

	if (memory < 0)
		return linux_error(memory);
	m->memory = (x_handle_t)memory;
	addr = map(m);
	x_handle_close((x_handle_t)memory);
	return addr;
}

static int64_t map_file(struct x_mem_map *m, uint64_t fd)
{
	struct x_call c;
	int64_t addr;

	if (check_fd(fd))
		return -X_EBADF;
	call_init(&c, FILE_MMAP);
	addr = call_plain((x_handle_t)fd, &c);
	if (addr < 0)
		return addr == -X_ENOSYS || addr == -X_EINVAL ? -X_ENODEV : addr;
	if (c.handle_count != 1)
		return -X_ENODEV;
	m->memory = c.handles[0];
	/* It may reach past the file's end: touching that is SIGBUS. */
	addr = x_mem_map(m);
	addr = addr == -X_ERIGHTS ? -X_EACCES : addr == -X_EFAULT || addr == -X_ERANGE ? -X_ENOMEM : linux_error(addr);
	x_handle_close(c.handles[0]);
	return addr;
}

/* The place asked for: exact, or a hint. */
static int64_t place_mapping(struct x_mem_map *m, uint32_t flags)
{
	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
		int64_t error = check_range(m->addr, &m->len);

		if (error)
			return error;
		if (m->addr < X_USER_MIN)
			return -X_EPERM;
		m->flags |= X_MAP_FIXED;
		if (flags & MAP_FIXED_NOREPLACE)
			m->flags |= X_MAP_NOREPLACE;
		return 0;
	}
	m->addr = page_up(m->addr);
	if (m->addr < X_USER_MIN || !user_range(m->addr, m->len))
		m->addr = 0;
	return 0;
}

int64_t linux_mmap(struct sys *s)
{
	uint32_t flags = (uint32_t)s->a[3], type = flags & MAP_TYPE;
	bool shared = type == MAP_SHARED || type == MAP_SHARED_VALIDATE;
	struct x_mem_map m = {
		.space = X_SELF, .memory = X_NO_HANDLE,
		.addr = s->a[0], .len = page_up(s->a[1]),
		.prot = (uint32_t)s->a[2] & PROT_ALL, .flags = shared ? 0 : X_MAP_PRIVATE,
	};
	int64_t error;

	if (s->a[1] == 0 || (!shared && type != MAP_PRIVATE) || (s->a[5] & PAGE_MASK))
		return -X_EINVAL;
	if (s->a[1] > X_USER_MAX)
		return -X_ENOMEM;
	error = place_mapping(&m, flags);
	if (error)
		return error;
	if (flags & MAP_GROWSDOWN)
		m.flags |= X_MAP_GROWSDOWN;
	if (!(flags & MAP_ANONYMOUS)) {
		m.offset = s->a[5];
		return map_file(&m, s->a[4]);
	}
	return shared ? map_shared_anonymous(&m) : map(&m);
}

int64_t linux_munmap(struct sys *s)
{
	uint64_t len = s->a[1];

	if (len == 0 || check_range(s->a[0], &len))
		return -X_EINVAL;
	return linux_error(x_mem_unmap(X_SELF, s->a[0], len));
}

int64_t linux_mprotect(struct sys *s)
{
	uint64_t len = s->a[1];
	int64_t error = check_range(s->a[0], &len);

	if (error)
		return error;
	if (len == 0)
		return 0;
	return linux_error(x_mem_protect(X_SELF, s->a[0], len, (uint32_t)s->a[2] & PROT_ALL));
}

int64_t linux_mremap(struct sys *s)
{
	uint64_t old_len = page_up(s->a[1]), new_len = page_up(s->a[2]);
	uint32_t flags = (uint32_t)s->a[3], native = 0;

	if ((flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED)) || new_len == 0 || old_len == 0 ||
	    ((flags & MREMAP_FIXED) && !(flags & MREMAP_MAYMOVE)))
		return -X_EINVAL;
	if (check_range(s->a[0], &old_len))
		return -X_EINVAL;
	if ((flags & MREMAP_FIXED) && check_range(s->a[4], &new_len))
		return -X_EINVAL;
	if (flags & MREMAP_FIXED)
		native = X_MAP_FIXED;
	else if (!(flags & MREMAP_MAYMOVE))
		native = X_MAP_NOREPLACE; /* stay where it is */
	return linux_error(x_mem_move(s->a[0], old_len, new_len, flags & MREMAP_FIXED ? s->a[4] : 0,
				      native));
}

/* Forget the contents of anonymous memory by mapping it anew. */
static int64_t drop_pages(uint64_t addr, uint64_t end)
{
	while (addr < end) {
		struct x_mem_region r;
		struct x_mem_map m = {
			.space = X_SELF, .memory = X_NO_HANDLE, .addr = addr,
			.flags = X_MAP_FIXED | X_MAP_PRIVATE,
		};

		if (x_mem_query(X_SELF, addr, &r) < 0 || r.start > addr)
			return -X_ENOMEM;
		m.len = (r.end < end ? r.end : end) - addr;
		m.prot = r.prot;
		m.flags |= r.flags & X_MAP_GROWSDOWN;
		if (r.memory_koid == 0 && r.resident_pages != 0) {
			int64_t error = x_mem_map(&m);

			if (error < 0)
				return linux_error(error);
		}
		addr += m.len;
	}
	return 0;
}

/* 0, or -X_ENOMEM if a page of the range is not mapped. */
static int64_t check_mapped(uint64_t addr, uint64_t end)
{
	struct x_mem_region r;

	for (; addr < end; addr = r.end)
		if (x_mem_query(X_SELF, addr, &r) < 0 || r.start > addr)
			return -X_ENOMEM;
	return 0;
}

/* Those madvise(2) has on machines without memory failures to play. */
static bool known_advice(int32_t advice)
{
	return (advice >= 0 && advice <= 4) || (advice >= 8 && advice <= 25);
}

int64_t linux_madvise(struct sys *s)
{
	uint64_t len = s->a[1];

	if (!known_advice((int32_t)s->a[2]) || check_range(s->a[0], &len))
		return -X_EINVAL;
	if ((int32_t)s->a[2] == MADV_DONTNEED && len)
		return drop_pages(s->a[0], s->a[0] + len);
	return check_mapped(s->a[0], s->a[0] + len);
}

/* What is mapped counts as resident: nothing is ever swapped out. */
int64_t linux_mincore(struct sys *s)
{
	uint64_t addr = s->a[0], end, len = s->a[1], vector = s->a[2];
	static const uint8_t resident = 1;

	if (addr & PAGE_MASK)
		return -X_EINVAL;
	if (check_range(addr, &len))
		return -X_ENOMEM;
	if (!user_range(vector, len / X_PAGE_SIZE))
		return -X_EFAULT;
	for (end = addr + len; addr < end; addr += X_PAGE_SIZE) {
		struct x_mem_region r;

		if (x_mem_query(X_SELF, addr, &r) < 0 || r.start > addr)
			return -X_ENOMEM;
		if (copy_out(vector++, &resident, 1))
			return -X_EFAULT;
	}
	return 0;
}

int64_t linux_brk(struct sys *s)
{
	const struct pers_start *start = start_info();
	uint64_t want = s->a[0], now, top, new_top;
	bool ok = true;

	process_lock();
	now = process.brk;
	top = page_up(now);
	new_top = page_up(want);
	if (want < start->brk_start || want > start->brk_limit) {
		ok = false;
	} else if (new_top > top) {
		struct x_mem_map m = {
			.space = X_SELF, .memory = X_NO_HANDLE, .addr = top, .len = new_top - top,
			.prot = X_PROT_READ | X_PROT_WRITE,
			.flags = X_MAP_FIXED | X_MAP_NOREPLACE | X_MAP_PRIVATE,
		};

		ok = x_mem_map(&m) >= 0;
	} else if (new_top < top) {
		ok = x_mem_unmap(X_SELF, new_top, top - new_top) >= 0;
	}
	if (ok)
		process.brk = want;
	now = process.brk;
	process_unlock();
	return (int64_t)now;
}

/* All memory stays in core. */
static int64_t only_check(uint64_t addr, uint64_t len)
{
	uint64_t start = addr & ~PAGE_MASK, bytes = len + (addr & PAGE_MASK);

	if (bytes < len || check_range(start, &bytes))
		return -X_ENOMEM;
	return check_mapped(start, start + bytes);
}

/* What was written to a mapping of a file is the file's already; MS_SYNC wants
 * it on the disk. Which file it was isn't known here any more: all are synced. */
int64_t linux_msync(struct sys *s)
{
	struct x_mem_region r;
	struct x_call c;
	int64_t error = (s->a[0] & PAGE_MASK) ? -X_EINVAL : only_check(s->a[0], s->a[1]);

	if (error || !((uint32_t)s->a[2] & MS_SYNC) || x_mem_query(X_SELF, s->a[0], &r) < 0 || !r.memory_koid)
		return error;
	call_init(&c, VFS_SYNC);
	return call_plain(X_SLOT_VFS, &c);
}

int64_t linux_mlock(struct sys *s) { return only_check(s->a[0], s->a[1]); }
int64_t linux_mlock2(struct sys *s) { return (uint32_t)s->a[2] & ~1u ? -X_EINVAL : only_check(s->a[0], s->a[1]); }
int64_t linux_munlock(struct sys *s) { return only_check(s->a[0], s->a[1]); }
/* MCL_CURRENT 1, MCL_FUTURE 2, MCL_ONFAULT 4, the last not by itself */
int64_t linux_mlockall(struct sys *s)
{
	uint32_t flags = (uint32_t)s->a[0];

	return flags == 0 || flags == 4 || (flags & ~7u) ? -X_EINVAL : 0;
}
int64_t linux_munlockall(struct sys *s) { (void)s; return 0; }
