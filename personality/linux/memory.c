/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address-space system calls. Anonymous memory is the kernel's own; a file
 * gives a memory object (FILE_MMAP) that is mapped here. Nothing of the
 * personality's region can be mapped over, unmapped or protected.
 */
#include "personality/linux/pers.h"

#define PAGE_MASK ((uint64_t)X_PAGE_SIZE - 1)
#define MAP_KNOWN 0xfc17f973u /* of MAP_SHARED_VALIDATE: all but MAP_SYNC; bits 26 up: sizes of huge pages */
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

/* rights: of the mapping now and later; 0: all. */
static int64_t map_shared_anonymous(struct x_mem_map *m, uint32_t rights)
{
	struct x_mem_create create = { .bytes = m->len };
	int64_t memory = x_mem_create(&create), addr;

	if (memory < 0)
		return linux_error(memory);
	m->memory = (x_handle_t)memory;
	if (rights) {
		int64_t fewer = x_handle_dup((x_handle_t)memory, rights, X_SLOT_NATIVE, 0);

		x_handle_close((x_handle_t)memory);
		if (fewer < 0)
			return linux_error(fewer);
		m->memory = (x_handle_t)fewer;
	}
	addr = map(m);
	x_handle_close(m->memory);
	return addr;
}

#define ZERO_DEVICE (1u << 8 | 5)

/* Mapping it gives anonymous memory. */
static bool is_zero_device(uint64_t fd)
{
	struct file_attr attr;

	return fd_attributes(fd, &attr) >= 0 && (attr.mode & F_S_IFMT) == F_S_IFCHR && attr.rdev == ZERO_DEVICE;
}

static bool fd_writable(uint64_t fd)
{
	int64_t flags = x_object_ctl((x_handle_t)fd, X_OBJ_GET_FLAGS, 0);

	return flags >= 0 && (flags & F_O_ACCMODE) != F_O_RDONLY;
}

/* A file of a noexec mount. */
static bool may_not_run(x_handle_t memory)
{
	struct x_handle_info info;

	return x_handle_info(memory, &info) == 0 && !(info.rights & X_R_EXEC);
}

static int64_t map_file(struct x_mem_map *m, uint64_t fd)
{
	struct x_call c;
	int64_t addr;

	if (check_fd(fd))
		return -X_EBADF;
	call_init(&c, FILE_MMAP);
	addr = call_plain((x_handle_t)fd, &c);
	if (addr < 0 && process.ring_end) {
		int64_t ring = uring_map(m, fd);

		if (ring != -X_ENODEV)
			return ring;
	}
	if (addr < 0 && is_zero_device(fd))
		return m->flags & X_MAP_PRIVATE ? map(m) :
		       map_shared_anonymous(m, fd_writable(fd) ? 0 : X_R_READ | X_R_EXEC);
	if (addr < 0)
		return addr == -X_ENOSYS || addr == -X_EINVAL ? -X_ENODEV : addr;
	if (c.handle_count != 1)
		return -X_ENODEV;
	m->memory = c.handles[0];
	if (m->prot & X_PROT_EXEC && may_not_run(m->memory)) {
		x_handle_close(m->memory);
		return -X_EPERM;
	}
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

/* Pages locked, in the program's part of the space. */
static uint64_t locked_bytes(uint64_t start, uint64_t end)
{
	uint64_t bytes = 0;
	struct x_mem_region r;

	for (uint64_t at = start; at < end && x_mem_query(X_SELF, at, &r) >= 0 && r.start < end; at = r.end)
		if ((r.flags & X_MAP_LOCKED) && !(r.start >= X_PERS_BASE && r.start < X_PERS_END))
			bytes += (r.end < end ? r.end : end) - (r.start > start ? r.start : start);
	return bytes;
}

#define RLIMIT_MEMLOCK 8u
#define CAP_IPC_LOCK   14u

/* So much more may be locked: 0, -X_EPERM, -X_ENOMEM. */
static int64_t may_lock(uint64_t more)
{
	struct x_call c;

	if (capable(CAP_IPC_LOCK))
		return 0;
	call_init(&c, PM_RLIMIT);
	c.msg.a[1] = RLIMIT_MEMLOCK;
	if (call_plain(X_SLOT_PM, &c) < 0 || c.msg.a[0] == 0)
		return -X_EPERM;
	return c.msg.a[0] != UINT64_MAX && locked_bytes(0, X_USER_MAX) + more > c.msg.a[0] ? -X_ENOMEM : 0;
}

/* What RLIMIT_DATA is about: own memory that can be written to, but for stacks. */
static bool is_data(uint32_t prot, uint32_t flags)
{
	return (prot & X_PROT_WRITE) && (flags & X_MAP_PRIVATE) && !(flags & X_MAP_GROWSDOWN);
}

static uint64_t data_bytes(void)
{
	struct x_mem_region r;
	uint64_t bytes = 0;

	for (uint64_t at = X_USER_MIN; at < X_USER_MAX && x_mem_query(X_SELF, at, &r) >= 0 && r.end > at; at = r.end)
		if (is_data(r.prot, r.flags) && (r.start < X_PERS_BASE || r.start >= X_PERS_END))
			bytes += r.end - r.start;
	return bytes;
}

/* RLIMIT_AS, RLIMIT_DATA: 0, or -X_ENOMEM. What is replaced by the new mapping is counted with it. */
static int64_t may_map(uint64_t bytes, bool data)
{
	uint64_t limit = ids()->rlimit_as, data_limit = data ? ids()->rlimit_data : UINT64_MAX;
	struct x_proc_info info;

	if (limit != UINT64_MAX && x_proc_info(X_SELF, &info) >= 0 &&
	    (bytes > limit || info.mapped_pages * X_PAGE_SIZE > limit - bytes))
		return -X_ENOMEM;
	return data_limit != UINT64_MAX && (bytes > data_limit || data_bytes() > data_limit - bytes) ? -X_ENOMEM : 0;
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
	int64_t error, addr;
	bool lock;

	if (s->a[1] == 0 || (!shared && type != MAP_PRIVATE) || (s->a[5] & PAGE_MASK))
		return !(flags & MAP_ANONYMOUS) && (check_fd(s->a[4]) || x_handle_cloexec((x_handle_t)s->a[4], -1) < 0) ?
		       -X_EBADF : -X_EINVAL;
	if (type == MAP_SHARED_VALIDATE && (flags & ~MAP_KNOWN))
		return -X_EOPNOTSUPP;
	if (s->a[1] > X_USER_MAX)
		return -X_ENOMEM;
	error = place_mapping(&m, flags);
	if (!error)
		error = may_map(m.len, is_data(m.prot, m.flags | (flags & MAP_GROWSDOWN ? X_MAP_GROWSDOWN : 0)));
	if (error)
		return error;
	if (flags & MAP_GROWSDOWN)
		m.flags |= X_MAP_GROWSDOWN;
	lock = (flags & MAP_LOCKED) || process.lock_future;
	if (lock && may_lock(m.len) < 0)
		return -X_EAGAIN;
	m.offset = flags & MAP_ANONYMOUS ? 0 : s->a[5];
	if (!(flags & MAP_ANONYMOUS))
		addr = map_file(&m, s->a[4]);
	else
		addr = shared ? map_shared_anonymous(&m, 0) : map(&m);
	if (addr > 0 && lock)
		x_mem_advise(X_SELF, (uint64_t)addr, m.len, X_MAP_LOCKED, 0);
	return addr;
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
	if (s->a[0] < X_USER_MIN)
		return -X_ENOMEM;
	return linux_error(x_mem_protect(X_SELF, s->a[0], len, (uint32_t)s->a[2] & PROT_ALL));
}

/* MREMAP_DONTUNMAP: what was moved leaves an empty mapping of the same kind behind.
 * to = 0: anywhere, which a mapping made for it finds. */
static int64_t move_and_keep(uint64_t old, uint64_t len, uint64_t to)
{
	struct x_mem_map m = { .space = X_SELF, .memory = X_NO_HANDLE, .len = len, .flags = X_MAP_PRIVATE };
	struct x_mem_region r;
	int64_t place = (int64_t)to;

	if (x_mem_query(X_SELF, old, &r) < 0 || r.start > old || r.end < old + len)
		return -X_EFAULT;
	if (r.memory_koid || !(r.flags & X_MAP_PRIVATE))
		return -X_EINVAL;
	if (!to)
		place = map(&m);
	if (place < 0)
		return place;
	place = linux_error(x_mem_move(old, len, len, (uint64_t)place, X_MAP_FIXED));
	if (place < 0)
		return place;
	m.addr = old;
	m.prot = r.prot;
	m.flags |= X_MAP_FIXED | X_MAP_NOREPLACE;
	x_mem_map(&m); /* another thread may have been first */
	return place;
}

int64_t linux_mremap(struct sys *s)
{
	uint64_t old_len = page_up(s->a[1]), new_len = page_up(s->a[2]);
	uint32_t flags = (uint32_t)s->a[3], native = 0;
	struct x_mem_region r;

	if ((flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) || new_len == 0 || old_len == 0 ||
	    ((flags & MREMAP_FIXED) && !(flags & MREMAP_MAYMOVE)))
		return -X_EINVAL;
	if (check_range(s->a[0], &old_len))
		return -X_EINVAL;
	if ((flags & MREMAP_FIXED) && (check_range(s->a[4], &new_len) ||
				       (s->a[4] < s->a[0] + old_len && s->a[0] < s->a[4] + new_len)))
		return -X_EINVAL;
	if (new_len > old_len && may_map(new_len - old_len, x_mem_query(X_SELF, s->a[0], &r) >= 0 && is_data(r.prot, r.flags)))
		return -X_ENOMEM;
	if (flags & MREMAP_DONTUNMAP)
		return !(flags & MREMAP_MAYMOVE) || old_len != new_len ? -X_EINVAL :
		       move_and_keep(s->a[0], old_len, flags & MREMAP_FIXED ? s->a[4] : 0);
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
		m.flags |= r.flags & (X_MAP_GROWSDOWN | X_MAP_WIPE | X_MAP_NOFORK);
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

/* A region in the range that `flags` are set of, or (what 0) one that is not private anonymous memory. */
static bool any_region(uint64_t addr, uint64_t end, uint32_t flags)
{
	struct x_mem_region r;

	for (; addr < end && x_mem_query(X_SELF, addr, &r) >= 0 && r.start < end; addr = r.end)
		if (flags ? (r.flags & flags) != 0 : r.memory_koid != 0)
			return true;
	return false;
}

/* What is only advice is checked, and followed in that nothing is ever swapped out. */
int64_t linux_madvise(struct sys *s)
{
	uint64_t len = s->a[1], addr = s->a[0], end;
	int32_t advice = (int32_t)s->a[2];
	uint32_t set = 0, clear = 0;
	int64_t error;

	if (check_range(addr, &len))
		return -X_EINVAL;
	end = addr + len;
	switch (advice) {
	case MADV_DONTNEED: case MADV_DONTNEED_LOCKED: case MADV_FREE:
		if ((advice != MADV_DONTNEED_LOCKED && any_region(addr, end, X_MAP_LOCKED)) ||
		    (advice == MADV_FREE && any_region(addr, end, 0)))
			return -X_EINVAL;
		return advice == MADV_FREE ? check_mapped(addr, end) : drop_pages(addr, end);
	case MADV_REMOVE: /* no holes are made in shared memory */
	case MADV_MERGEABLE: case MADV_UNMERGEABLE: /* pages are not compared */
		return -X_EINVAL;
	case MADV_WIPEONFORK: set = X_MAP_WIPE; break;
	case MADV_KEEPONFORK: clear = X_MAP_WIPE; break;
	case MADV_DONTFORK: set = X_MAP_NOFORK; break;
	case MADV_DOFORK: clear = X_MAP_NOFORK; break;
	default:
		if (advice < 0 || advice > MADV_COLLAPSE || (advice > MADV_WILLNEED && advice < MADV_HUGEPAGE))
			return -X_EINVAL;
	}
	error = check_mapped(addr, end);
	return error || !(set | clear) || !len ? error : linux_error(x_mem_advise(X_SELF, addr, len, set, clear));
}

/* Pages of files count as resident: they are in the filesystem's cache, or will be at once. */
int64_t linux_mincore(struct sys *s)
{
	uint64_t addr = s->a[0], end, len = s->a[1], vector = s->a[2];

	if (addr & PAGE_MASK)
		return -X_EINVAL;
	if (check_range(addr, &len))
		return -X_ENOMEM;
	if (!user_range(vector, len / X_PAGE_SIZE))
		return -X_EFAULT;
	for (end = addr + len; addr < end;) {
		struct x_mem_region r;
		uint8_t present;

		if (x_mem_query(X_SELF, addr, &r) < 0 || r.start > addr)
			return -X_ENOMEM;
		present = r.run_present || (r.flags & X_MAP_PAGED);
		for (uint64_t i = 0; i < r.run_pages && addr < end; i++, addr += X_PAGE_SIZE)
			if (copy_out(vector++, &present, 1))
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

		ok = !may_map(m.len, true) && x_mem_map(&m) >= 0;
	} else if (new_top < top) {
		ok = x_mem_unmap(X_SELF, new_top, top - new_top) >= 0;
	}
	if (ok)
		process.brk = want;
	now = process.brk;
	process_unlock();
	return (int64_t)now;
}

/* The whole pages of a range, all of which must be mapped. */
static int64_t mapped_range(uint64_t *addr, uint64_t *len)
{
	uint64_t start = *addr & ~PAGE_MASK, bytes = *len + (*addr & PAGE_MASK);

	if (bytes < *len || check_range(start, &bytes))
		return -X_ENOMEM;
	*addr = start;
	*len = bytes;
	return check_mapped(start, start + bytes);
}

static int64_t sync_regions(uint64_t addr, uint64_t end)
{
	struct x_mem_region r;
	int64_t error = 0;

	for (; !error && addr < end && x_mem_query(X_SELF, addr, &r) >= 0 && r.start < end; addr = r.end) {
		struct x_call c;

		if (!r.memory_koid)
			continue;
		call_init(&c, VFS_SYNC);
		c.msg.a[0] = r.memory_koid;
		error = call_plain(X_SLOT_VFS, &c);
	}
	return error;
}

/* What was written to a mapping of a file is the file's already; MS_SYNC wants
 * it on the disk. Which file that is knows its filesystem. */
int64_t linux_msync(struct sys *s)
{
	uint64_t addr = s->a[0], len = s->a[1];
	uint32_t flags = (uint32_t)s->a[2];
	int64_t error;

	if ((addr & PAGE_MASK) || (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) ||
	    (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
		return -X_EINVAL;
	error = mapped_range(&addr, &len);
	if (!error && (flags & MS_INVALIDATE) && any_region(addr, addr + len, X_MAP_LOCKED))
		return -X_EBUSY;
	return error || !(flags & MS_SYNC) ? error : sync_regions(addr, addr + len);
}

/* Memory is never swapped out: locking makes it present, and is counted. */
static int64_t lock_range(uint64_t addr, uint64_t len, bool present)
{
	uint64_t bytes = len + (addr & PAGE_MASK), start = addr & ~PAGE_MASK;
	int64_t error = bytes < len ? -X_EINVAL : may_lock(page_up(bytes) - locked_bytes(start, start + page_up(bytes)));

	if (!error)
		error = mapped_range(&addr, &len);
	if (error || !len)
		return error;
	/* MLOCK_ONFAULT: what is there stays, the rest comes when it is used */
	return linux_error(x_mem_advise(X_SELF, addr, len, X_MAP_LOCKED | (present ? 0 : X_MAP_LOCKED_LATER), 0));
}

int64_t linux_mlock(struct sys *s) { return lock_range(s->a[0], s->a[1], true); }

int64_t linux_mlock2(struct sys *s)
{
	return (uint32_t)s->a[2] & ~1u ? -X_EINVAL : lock_range(s->a[0], s->a[1], !(s->a[2] & 1));
}

int64_t linux_munlock(struct sys *s)
{
	uint64_t addr = s->a[0], len = s->a[1];
	int64_t error = mapped_range(&addr, &len);

	return error || !len ? error : linux_error(x_mem_advise(X_SELF, addr, len, 0, X_MAP_LOCKED));
}

/* All that the program has mapped. */
static void advise_all(uint32_t set, uint32_t clear)
{
	struct x_mem_region r;

	for (uint64_t at = X_USER_MIN; x_mem_query(X_SELF, at, &r) >= 0; at = r.end)
		if (r.prot && !(r.start >= X_PERS_BASE && r.start < X_PERS_END))
			x_mem_advise(X_SELF, r.start, r.end - r.start, set, clear);
}

enum { MCL_CURRENT = 1, MCL_FUTURE = 2, MCL_ONFAULT = 4 };

int64_t linux_mlockall(struct sys *s)
{
	uint32_t flags = (uint32_t)s->a[0];
	struct x_mem_region r;
	uint64_t all = 0;
	int64_t error;

	if (flags == 0 || flags == MCL_ONFAULT || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)))
		return -X_EINVAL;
	for (uint64_t at = X_USER_MIN; x_mem_query(X_SELF, at, &r) >= 0; at = r.end)
		if (!(r.flags & X_MAP_LOCKED) && !(r.start >= X_PERS_BASE && r.start < X_PERS_END))
			all += r.end - r.start;
	error = may_lock(flags & MCL_CURRENT ? all : 0);
	if (error)
		return error;
	process.lock_future = (flags & MCL_FUTURE) != 0;
	if (flags & MCL_CURRENT)
		advise_all(X_MAP_LOCKED | (flags & MCL_ONFAULT ? X_MAP_LOCKED_LATER : 0), 0);
	return 0;
}

int64_t linux_munlockall(struct sys *s)
{
	(void)s;
	process.lock_future = false;
	advise_all(0, X_MAP_LOCKED);
	return 0;
}
