/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls about the machine and the system as a whole.
 */
#include "personality/linux/pers.h"

/* Programs look at sysname and release to decide what they may use. The names
 * of host and domain are the system's, kept by pm. */
int64_t linux_uname(struct sys *s)
{
	struct linux_utsname name = {
		.sysname = "Linux", .nodename = "xinim", .release = "6.1.0-xinim",
		.version = "#1 SMP XINIM 0.1", .machine = "x86_64", .domainname = "(none)",
	};
	struct x_call c;
	int64_t error = user_probe(s->a[0], sizeof(name), true);

	if (error)
		return error;
	call_init(&c, PM_HOSTNAME);
	call_window(&c, name.nodename, sizeof(name.nodename) - 1, X_WIN_WRITE);
	call_plain(X_SLOT_PM, &c);
	call_init(&c, PM_HOSTNAME);
	c.msg.a[1] = 1;
	call_window(&c, name.domainname, sizeof(name.domainname) - 1, X_WIN_WRITE);
	call_plain(X_SLOT_PM, &c);
	return copy_out(s->a[0], &name, sizeof(name));
}

static int64_t set_system_name(const struct sys *s, uint64_t which)
{
	int32_t len = (int32_t)s->a[1];
	char name[64];
	struct x_call c;
	int64_t error;

	if (ids()->euid != 0)
		return -X_EPERM;
	if (len < 0 || len > (int32_t)sizeof(name))
		return -X_EINVAL;
	if (copy_in(name, s->a[0], (uint32_t)len))
		return -X_EFAULT;
	call_init(&c, PM_HOSTNAME);
	c.msg.a[0] = 1;
	c.msg.a[1] = which;
	call_window(&c, name, (uint32_t)len, X_WIN_READ);
	error = call_plain(X_SLOT_PM, &c);
	return error < 0 ? error : 0;
}

int64_t linux_sethostname(struct sys *s) { return set_system_name(s, 0); }
int64_t linux_setdomainname(struct sys *s) { return set_system_name(s, 1); }

int64_t linux_sysinfo(struct sys *s)
{
	struct linux_sysinfo out = { .mem_unit = 1 };
	struct x_system_info info;
	struct x_call c;
	int64_t error = x_system_info(&info);

	if (error < 0)
		return linux_error(error);
	out.uptime = (int64_t)(now_ns() / 1000000000);
	out.totalram = info.memory_bytes;
	out.freeram = info.free_bytes;
	if (call_pm(&c, PM_SYSINFO, 0, 0, 0, 0) >= 0) {
		out.procs = (uint16_t)c.msg.a[0];
		memcpy(out.loads, &c.msg.a[1], sizeof(out.loads));
	}
	return copy_out(s->a[0], &out, sizeof(out));
}

/* ----------------------------------------------------------------------- kernel log */

#define LOG_BYTES (256u * 1024)

/* The last len bytes of the log. */
static int64_t read_log(struct sys *s, uint64_t buf, uint64_t len)
{
	char *chunk = thread_scratch(s->thread);
	uint64_t pos = 0, next, end = 0, done = 0;
	int64_t n;

	if (!chunk)
		return -X_ENOMEM;
	while ((n = x_log_read(end, chunk, PERS_SCRATCH_BUFFER, &next)) > 0)
		end = next;
	pos = end > len ? end - len : 0;
	while (done < len && (n = x_log_read(pos, chunk, PERS_SCRATCH_BUFFER, &next)) > 0) {
		if ((uint64_t)n > len - done)
			n = (int64_t)(len - done);
		if (copy_out(buf + done, chunk, (uint64_t)n))
			return -X_EFAULT;
		done += (uint64_t)n;
		pos = next;
	}
	return n < 0 ? linux_error(n) : (int64_t)done;
}

int64_t linux_syslog(struct sys *s)
{
	switch ((uint32_t)s->a[0]) {
	case 3: /* SYSLOG_ACTION_READ_ALL */
	case 4: /* ... and clear, which nobody may */
		if ((int32_t)s->a[2] < 0)
			return -X_EINVAL;
		return read_log(s, s->a[1], (uint32_t)s->a[2]);
	case 10: return LOG_BYTES; /* SYSLOG_ACTION_SIZE_BUFFER */
	case 0: case 1:
		return 0;
	case 2: /* wait for more: there is never more than can be read at once */
		if (ids()->euid != 0)
			return -X_EPERM;
		return !s->a[1] || (int32_t)s->a[2] < 0 ? -X_EINVAL : 0;
	case 5: case 6: case 7: case 8: case 9:
		if (ids()->euid != 0)
			return -X_EPERM;
		return (uint32_t)s->a[0] == 8 && ((int32_t)s->a[2] < 1 || (int32_t)s->a[2] > 8) ? -X_EINVAL : 0;
	default: return -X_EINVAL;
	}
}

/* The filesystems by number, as /proc/filesystems has them. */
int64_t linux_sysfs(struct sys *s)
{
	static const char *const names[] = { "proc", "devtmpfs", "tmpfs", "minix" };
	const uint32_t count = sizeof(names) / sizeof(names[0]);
	char name[16];
	int64_t len;

	switch ((uint32_t)s->a[0]) {
	case 1:
		len = user_string_length(s->a[1], sizeof(name) - 1);
		memset(name, 0, sizeof(name));
		if (len < 0 || copy_in(name, s->a[1], (uint64_t)len))
			return -X_EFAULT;
		for (uint32_t i = 0; i < count; i++)
			if (strcmp(names[i], name) == 0)
				return i;
		return -X_EINVAL;
	case 2:
		if (s->a[1] >= count)
			return -X_EINVAL;
		return copy_out(s->a[2], names[s->a[1]], strlen(names[s->a[1]]) + 1);
	case 3: return count;
	default: return -X_EINVAL;
	}
}

enum { BARRIER_QUERY = 0, BARRIER_GLOBAL = 1, BARRIER_GLOBAL_EXPEDITED = 2, BARRIER_REGISTER_GLOBAL = 4,
       BARRIER_PRIVATE = 8, BARRIER_REGISTER_PRIVATE = 16, BARRIER_PRIVATE_CORE = 32,
       BARRIER_REGISTER_PRIVATE_CORE = 64 };

#define BARRIER_PAGE (PERS_SCRATCH + 0x30000000ull)

/* All CPUs that run this process meet: mapping another page where one is, that may be
 * in their TLBs, makes the kernel interrupt them. */
static int64_t meet(void)
{
	struct x_mem_map m = {
		.space = X_SELF, .memory = X_NO_HANDLE, .addr = BARRIER_PAGE, .len = X_PAGE_SIZE,
		.prot = X_PROT_READ | X_PROT_WRITE, .flags = X_MAP_FIXED | X_MAP_PRIVATE | X_MAP_PERSONALITY,
	};
	int64_t error;

	process_lock();
	error = x_mem_map(&m);
	if (error >= 0) {
		*(volatile uint8_t *)BARRIER_PAGE = 1;
		error = x_mem_map(&m);
	}
	process_unlock();
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return error < 0 ? linux_error(error) : 0;
}

/* Whatever any thread did before is seen after this one has run on each CPU in turn. */
static int64_t visit_cpus(void)
{
	int64_t all = x_thread_affinity(X_SELF, 0, 0);

	for (uint32_t cpu = 0; all > 0 && cpu < 64; cpu++)
		if ((uint64_t)all >> cpu & 1 && x_thread_affinity(X_SELF, 0, 1ull << cpu) >= 0)
			x_yield();
	if (all > 0)
		x_thread_affinity(X_SELF, 0, (uint64_t)all);
	return 0;
}

int64_t linux_membarrier(struct sys *s)
{
	int32_t command = (int32_t)s->a[0];

	if ((uint32_t)s->a[1])
		return -X_EINVAL;
	switch (command) {
	case BARRIER_QUERY:
		return BARRIER_GLOBAL | BARRIER_GLOBAL_EXPEDITED | BARRIER_REGISTER_GLOBAL | BARRIER_PRIVATE | BARRIER_REGISTER_PRIVATE |
		        BARRIER_PRIVATE_CORE | BARRIER_REGISTER_PRIVATE_CORE;
	case BARRIER_GLOBAL:
	case BARRIER_GLOBAL_EXPEDITED:
		return visit_cpus();
	case BARRIER_REGISTER_GLOBAL:
	case BARRIER_REGISTER_PRIVATE:
	case BARRIER_REGISTER_PRIVATE_CORE:
		__atomic_fetch_or(&process.barriers, (uint32_t)command, __ATOMIC_RELAXED);
		return 0;
	case BARRIER_PRIVATE:
	case BARRIER_PRIVATE_CORE:
		return process.barriers & (uint32_t)command * 2 ? meet() : -X_EPERM;
	default:
		return -X_EINVAL;
	}
}

/* --------------------------------------------------------------------- randomness */

static bool has_rdrand(void)
{
	uint32_t a = 1, b, c = 0, d;

	__asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return c & (1u << 30);
}

static bool rdrand(uint64_t *value)
{
	for (int tries = 0; tries < 10; tries++) {
		uint8_t ok;

		__asm__ volatile("rdrand %0; setc %1" : "=r"(*value), "=q"(ok) : : "cc");
		if (ok)
			return true;
	}
	return false;
}

static int64_t random_from_device(uint64_t buf, uint64_t len)
{
	static const char path[] = "/dev/urandom";
	x_handle_t device;
	struct x_call c;
	int64_t n;

	call_init(&c, VFS_OPEN);
	call_window(&c, path, sizeof(path) - 1, X_WIN_READ);
	n = call_plain(X_SLOT_VFS, &c);
	if (n < 0)
		return n;
	if (c.handle_count != 1)
		return -X_EIO;
	device = c.handles[0];
	call_init(&c, FILE_READ);
	call_window(&c, (void *)buf, len, X_WIN_WRITE);
	c.flags = X_CALL_CURSOR;
	n = call_plain(device, &c);
	x_handle_close(device);
	return n;
}

int64_t linux_getrandom(struct sys *s)
{
	uint64_t buf = s->a[0], len = s->a[1] < 65536 ? s->a[1] : 65536;
	int64_t error = user_probe(buf, len, true);

	if ((uint32_t)s->a[2] & ~7u)
		return -X_EINVAL;
	if (error)
		return error;
	if (!has_rdrand())
		return random_from_device(buf, len);
	for (uint64_t done = 0; done < len; done += 8) {
		uint64_t value;

		if (!rdrand(&value))
			return random_from_device(buf, len);
		if (copy_out(buf + done, &value, len - done < 8 ? len - done : 8))
			return -X_EFAULT;
	}
	return (int64_t)len;
}

/* -------------------------------------------------------------------------- power */

#define REBOOT_MAGIC 0xfee1deadu

int64_t linux_reboot(struct sys *s)
{
	uint32_t magic2 = (uint32_t)s->a[1];
	struct x_call c;
	int64_t error;

	if ((uint32_t)s->a[0] != REBOOT_MAGIC ||
	    (magic2 != 672274793 && magic2 != 85072278 && magic2 != 369367448 && magic2 != 537993216))
		return -X_EINVAL;
	error = call_pm(&c, PM_REBOOT, (uint32_t)s->a[2], 0, 0, 0);
	return error < 0 ? error : 0;
}

/* ---------------------------------------------------------- things there are none of */

int64_t linux_iopl(struct sys *s) { return (uint32_t)s->a[0] > 3 ? -X_EINVAL : -X_EPERM; }
int64_t linux_ioperm(struct sys *s) { return s->a[0] > 65536 || s->a[1] > 65536 - s->a[0] ? -X_EINVAL : -X_EPERM; }
int64_t linux_vhangup(struct sys *s) { (void)s; return ids()->euid == 0 ? 0 : -X_EPERM; }
int64_t linux_acct(struct sys *s) { (void)s; return ids()->euid == 0 ? -X_ENOSYS : -X_EPERM; }
int64_t linux_swapon(struct sys *s) { (void)s; return ids()->euid == 0 ? -X_EINVAL : -X_EPERM; }
int64_t linux_swapoff(struct sys *s) { (void)s; return ids()->euid == 0 ? -X_EINVAL : -X_EPERM; }
