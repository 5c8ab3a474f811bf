/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tree of /proc. Two fixed tables: what the system has, and what each
 * process has. Node 0 of either is its directory.
 */
#include "proto/bdev.h"
#include "proto/rs.h"
#include "proto/socket.h"
#include "servers/pm/sysctl.h"

enum { SYSTEM_SYS = 1, SYSTEM_KERNEL, SYSTEM_VM, SYSTEM_FS, SYSTEM_NET, SYSTEM_XINIM,
       SYSTEM_SYSVIPC, SYSTEM_RANDOM, SYSTEM_MQUEUE };

#define SYSCTL(name, dir, which) { name, dir, NODE_FILE, false, NULL, 0, which, NULL }
#define NET_FILE(name, which) { name, SYSTEM_NET, NODE_FILE, true, NULL, SOCK_TEXT_##which + 1, 0, NULL }

static const struct node system_nodes[] = {
	{ "", 0, NODE_DIR, false, NULL, 0, 0, NULL },
	[SYSTEM_SYS] = { "sys", 0, NODE_DIR, false, NULL, 0, 0, NULL },
	[SYSTEM_KERNEL] = { "kernel", SYSTEM_SYS, NODE_DIR, false, NULL, 0, 0, NULL },
	[SYSTEM_VM] = { "vm", SYSTEM_SYS, NODE_DIR, false, NULL, 0, 0, NULL },
	[SYSTEM_FS] = { "fs", SYSTEM_SYS, NODE_DIR, false, NULL, 0, 0, NULL },
	[SYSTEM_NET] = { "net", 0, NODE_DIR, false, NULL, 0, 0, NULL },
	[SYSTEM_XINIM] = { "xinim", 0, NODE_DIR, false, NULL, 0, 0, NULL },
	[SYSTEM_SYSVIPC] = { "sysvipc", 0, NODE_DIR, false, NULL, 0, 0, NULL },
	[SYSTEM_RANDOM] = { "random", SYSTEM_KERNEL, NODE_DIR, false, NULL, 0, 0, NULL },
	[SYSTEM_MQUEUE] = { "mqueue", SYSTEM_FS, NODE_DIR, false, NULL, 0, 0, NULL },
	SYSCTL("queues_max", SYSTEM_MQUEUE, SYSCTL_MQ_QUEUES), SYSCTL("msg_max", SYSTEM_MQUEUE, SYSCTL_MQ_MESSAGES),
	SYSCTL("msgsize_max", SYSTEM_MQUEUE, SYSCTL_MQ_BYTES), SYSCTL("msg_default", SYSTEM_MQUEUE, SYSCTL_MQ_DEFAULT),
	SYSCTL("msgsize_default", SYSTEM_MQUEUE, SYSCTL_MQ_BYTES_DEFAULT),
	{ "shm", SYSTEM_SYSVIPC, NODE_FILE, true, shm_text, 0, 0, NULL },
	{ "sem", SYSTEM_SYSVIPC, NODE_FILE, true, sem_text, 0, 0, NULL },
	{ "msg", SYSTEM_SYSVIPC, NODE_FILE, true, msg_text, 0, 0, NULL },
	{ "partitions", 0, NODE_FILE, true, NULL, ASKED_BDEV + BDEV_TEXT_PARTITIONS, 0, NULL },
	{ "block", SYSTEM_XINIM, NODE_FILE, true, NULL, ASKED_BDEV + BDEV_TEXT_STATS, 0, NULL },
	{ "cache", SYSTEM_XINIM, NODE_FILE, true, NULL, ASKED_CACHE, 0, NULL },
	{ "kernel", SYSTEM_XINIM, NODE_FILE, false, text_kernel, 0, 0, NULL },
	{ "services", SYSTEM_XINIM, NODE_FILE, true, NULL, ASKED_RS + RS_TEXT_SERVICES, 0, NULL },
	{ "stats", SYSTEM_XINIM, NODE_FILE, true, NULL, ASKED_RS + RS_TEXT_STATS, 0, NULL },
	{ "events", SYSTEM_XINIM, NODE_FILE, true, NULL, ASKED_RS + RS_TEXT_EVENTS, 0, NULL },
	{ "self", 0, NODE_LINK, false, NULL, 0, 0, NULL },
	{ "mounts", 0, NODE_LINK, false, NULL, 0, 0, NULL },
	{ "meminfo", 0, NODE_FILE, false, text_meminfo, 0, 0, NULL },
	{ "uptime", 0, NODE_FILE, false, text_uptime, 0, 0, NULL },
	{ "loadavg", 0, NODE_FILE, false, text_loadavg, 0, 0, NULL },
	{ "stat", 0, NODE_FILE, true, text_stat, 0, 0, NULL },
	{ "vmstat", 0, NODE_FILE, false, text_vmstat, 0, 0, NULL },
	{ "version", 0, NODE_FILE, false, text_version, 0, 0, NULL },
	{ "cpuinfo", 0, NODE_FILE, true, text_cpuinfo, 0, 0, NULL },
	{ "filesystems", 0, NODE_FILE, false, text_filesystems, 0, 0, NULL },
	{ "cmdline", 0, NODE_FILE, false, text_cmdline, 0, 0, NULL },
	{ "swaps", 0, NODE_FILE, false, text_swaps, 0, 0, NULL },
	{ "config.gz", 0, NODE_FILE, false, text_config, 0, 0, NULL },
	{ "ostype", SYSTEM_KERNEL, NODE_FILE, false, text_ostype, 0, 0, NULL },
	{ "osrelease", SYSTEM_KERNEL, NODE_FILE, false, text_osrelease, 0, 0, NULL },
	{ "version", SYSTEM_KERNEL, NODE_FILE, false, text_os_version, 0, 0, NULL },
	{ "tainted", SYSTEM_KERNEL, NODE_FILE, false, text_zero, 0, 0, NULL },
	{ "sem", SYSTEM_KERNEL, NODE_FILE, false, text_sem, 0, 0, NULL },
	{ "msgmax", SYSTEM_KERNEL, NODE_FILE, false, text_msgmax, 0, 0, NULL },
	{ "msgmnb", SYSTEM_KERNEL, NODE_FILE, false, text_msgmnb, 0, 0, NULL },
	{ "threads-max", SYSTEM_KERNEL, NODE_FILE, false, text_threads_max, 0, 0, NULL },
	{ "cap_last_cap", SYSTEM_KERNEL, NODE_FILE, false, text_last_capability, 0, 0, NULL },
	{ "entropy_avail", SYSTEM_RANDOM, NODE_FILE, false, text_entropy, 0, 0, NULL },
	{ "nr_open", SYSTEM_FS, NODE_FILE, false, text_nr_open, 0, 0, NULL },
	SYSCTL("hostname", SYSTEM_KERNEL, SYSCTL_HOSTNAME), SYSCTL("domainname", SYSTEM_KERNEL, SYSCTL_DOMAINNAME),
	SYSCTL("pid_max", SYSTEM_KERNEL, SYSCTL_PID_MAX), SYSCTL("shmmax", SYSTEM_KERNEL, SYSCTL_SHMMAX),
	SYSCTL("shmall", SYSTEM_KERNEL, SYSCTL_SHMALL), SYSCTL("shmmni", SYSTEM_KERNEL, SYSCTL_SHMMNI),
	SYSCTL("msgmni", SYSTEM_KERNEL, SYSCTL_MSGMNI), SYSCTL("core_pattern", SYSTEM_KERNEL, SYSCTL_CORE_PATTERN),
	SYSCTL("shm_next_id", SYSTEM_KERNEL, SYSCTL_SHM_NEXT), SYSCTL("sem_next_id", SYSTEM_KERNEL, SYSCTL_SEM_NEXT),
	SYSCTL("msg_next_id", SYSTEM_KERNEL, SYSCTL_MSG_NEXT),
	SYSCTL("printk", SYSTEM_KERNEL, SYSCTL_PRINTK),
	SYSCTL("sched_rr_timeslice_ms", SYSTEM_KERNEL, SYSCTL_RR_SLICE),
	SYSCTL("sched_rt_period_us", SYSTEM_KERNEL, SYSCTL_RT_PERIOD),
	SYSCTL("sched_rt_runtime_us", SYSTEM_KERNEL, SYSCTL_RT_RUNTIME),
	SYSCTL("overcommit_memory", SYSTEM_VM, SYSCTL_OVERCOMMIT),
	SYSCTL("overcommit_ratio", SYSTEM_VM, SYSCTL_OVERCOMMIT_RATIO),
	SYSCTL("swappiness", SYSTEM_VM, SYSCTL_SWAPPINESS), SYSCTL("drop_caches", SYSTEM_VM, SYSCTL_DROP_CACHES),
	SYSCTL("max_map_count", SYSTEM_VM, SYSCTL_MAX_MAP_COUNT),
	{ "ngroups_max", SYSTEM_KERNEL, NODE_FILE, false, text_ngroups_max, 0, 0, NULL },
	{ "file-max", SYSTEM_FS, NODE_FILE, false, text_file_max, 0, 0, NULL },
	{ "pipe-max-size", SYSTEM_FS, NODE_FILE, false, text_pipe_max_size, 0, 0, NULL },
	{ "pipe-user-pages-soft", SYSTEM_FS, NODE_FILE, false, text_zero, 0, 0, NULL },
	{ "pipe-user-pages-hard", SYSTEM_FS, NODE_FILE, false, text_zero, 0, 0, NULL },
	NET_FILE("dev", DEV), NET_FILE("route", ROUTE), NET_FILE("arp", ARP), NET_FILE("tcp", TCP),
	NET_FILE("tcp6", TCP6), NET_FILE("udp", UDP), NET_FILE("udp6", UDP6), NET_FILE("raw", RAW),
	NET_FILE("resolv", RESOLV), NET_FILE("raw6", RAW6), NET_FILE("if_inet6", IF_INET6), NET_FILE("packet", PACKET),
	NET_FILE("sockstat", SOCKSTAT), NET_FILE("netstat", NETSTAT),
	{ "unix", SYSTEM_NET, NODE_FILE, true, NULL, ASKED_UNIX, 0, NULL },
};

static const struct node process_nodes[] = {
	{ "", 0, NODE_DIR, false, NULL, 0, 0, NULL },
	{ "stat", 0, NODE_FILE, false, text_pid_stat, 0, 0, NULL },
	{ "cmdline", 0, NODE_FILE, false, text_pid_cmdline, 0, 0, NULL },
	{ "status", 0, NODE_FILE, false, text_pid_status, 0, 0, NULL },
	{ "comm", 0, NODE_FILE, false, text_pid_comm, 0, 0, write_pid_comm },
	{ "cgroup", 0, NODE_FILE, false, text_pid_cgroup, 0, 0, NULL },
	{ "oom_score", 0, NODE_FILE, false, text_pid_oom_score, 0, 0, NULL },
	{ "oom_score_adj", 0, NODE_FILE, false, text_pid_oom_adjust, 0, 0, write_pid_oom_adjust },
	{ "io", 0, NODE_FILE, false, text_pid_io, 0, 0, NULL },
	{ "wchan", 0, NODE_FILE, false, text_pid_wchan, 0, 0, NULL },
	{ "environ", 0, NODE_FILE, true, text_pid_environ, 0, 0, NULL },
	{ "auxv", 0, NODE_FILE, true, text_pid_auxv, 0, 0, NULL },
	{ "exe", 0, NODE_LINK, false, NULL, 0, 0, NULL },
	{ "cwd", 0, NODE_LINK, false, NULL, 0, 0, NULL },
	{ "root", 0, NODE_LINK, false, NULL, 0, 0, NULL },
	{ "maps", 0, NODE_FILE, true, text_pid_maps, ASKED_MAPPED, 0, NULL },
	{ "smaps", 0, NODE_FILE, true, text_pid_smaps, ASKED_MAPPED, 0, NULL },
	{ "statm", 0, NODE_FILE, false, text_pid_statm, 0, 0, NULL },
	{ "limits", 0, NODE_FILE, false, text_pid_limits, 0, 0, NULL },
	{ "mounts", 0, NODE_FILE, true, NULL, 0, 0, NULL },
	{ "mountinfo", 0, NODE_FILE, true, NULL, ASKED_MOUNTINFO, 0, NULL },
	{ "mem", 0, NODE_FILE, false, NULL, ASKED_MEMORY, 0, NULL },
	{ "task", 0, NODE_DIR, false, NULL, 0, 0, NULL }, /* these two a thread has not */
	{ "fd", 0, NODE_DIR, false, NULL, 0, 0, NULL },
};
static const struct node fd_node = { "", 0, NODE_LINK, false, NULL, 0, 0, NULL };

enum {
	SYSTEM_NODES = sizeof(system_nodes) / sizeof(system_nodes[0]),
	PROCESS_NODES = sizeof(process_nodes) / sizeof(process_nodes[0]),
	CURSOR_FIRST_NODE = 2,       /* behind "." and ".." */
	CURSOR_FIRST_PID = 0x10000,  /* + pid */
	NODE_FD = 0x1000,            /* + descriptor: an entry of N/fd */
	NODE_THREAD = 0x2000,        /* + node: of N/task/tid, with tid for pid */
	FD_DIR = PROCESS_NODES - 1,
	TASK_DIR = PROCESS_NODES - 2,
	THREAD_NODES = PROCESS_NODES - 2,
};

static uint64_t inode_of(const struct proc *p, uint32_t node)
{
	return (p ? (uint64_t)p->ids.pid << 16 : 0) | (node + 1);
}

static uint64_t thread_inode(uint32_t tid, uint32_t node)
{
	return (uint64_t)tid << 16 | (NODE_THREAD + node + 1);
}

/* Of a node of the same table. */
static uint64_t inode_beside(const struct place *at, uint32_t node)
{
	return at->tid ? thread_inode(at->tid, node) : inode_of(at->proc, node);
}

static const struct node *table_of(const struct place *at, uint32_t *count)
{
	*count = at->tid ? THREAD_NODES : at->proc ? PROCESS_NODES : SYSTEM_NODES;
	return at->proc ? process_nodes : system_nodes;
}

bool place_is_fd_dir(const struct place *at)
{
	return at->proc && at->node == &process_nodes[FD_DIR];
}

bool place_is_task_dir(const struct place *at)
{
	return at->proc && at->node == &process_nodes[TASK_DIR];
}

static bool has_fd(const struct proc *p, uint32_t fd)
{
	return proc_alive(p) && fd < X_SLOT_FD_END && x_proc_handle(p->process, fd, 0) == (int64_t)fd;
}

bool place_find(uint64_t inode, struct place *out)
{
	uint64_t pid = inode >> 16, node = (inode & 0xffff) - 1;
	const struct node *table;
	uint32_t count;

	out->inode = inode;
	out->tid = pid && node >= NODE_THREAD ? (uint32_t)pid : 0;
	if (out->tid)
		node -= NODE_THREAD;
	out->proc = !pid || pid >= PID_MAX ? NULL : out->tid ? thread_owner(out->tid) : proc_by_pid((uint32_t)pid);
	if (pid && !out->proc)
		return false;
	out->is_fd = pid && !out->tid && node >= NODE_FD;
	if (out->is_fd) {
		out->node = &fd_node;
		out->fd = (uint32_t)node - NODE_FD;
		return has_fd(out->proc, out->fd);
	}
	table = table_of(out, &count);
	if (node >= count)
		return false;
	out->node = &table[node];
	return true;
}

uint64_t place_parent(const struct place *at)
{
	uint32_t count;
	const struct node *table = table_of(at, &count);

	if (at->is_fd)
		return inode_of(at->proc, FD_DIR);
	if (at->proc && at->node == table)
		return at->tid ? inode_of(at->proc, TASK_DIR) : PROC_ROOT_INODE;
	return inode_beside(at, at->node->parent);
}

static bool is_name(const struct node *n, const char *name, size_t length)
{
	return strlen(n->name) == length && memcmp(n->name, name, length) == 0;
}

/* The decimal number, without leading zeroes, or 0. */
static uint32_t parse_pid(const char *name, size_t length)
{
	uint32_t pid = 0;

	if (length == 0 || length > 5 || name[0] == '0')
		return 0;
	for (size_t i = 0; i < length; i++) {
		if (name[i] < '0' || name[i] > '9')
			return 0;
		pid = pid * 10 + (uint32_t)(name[i] - '0');
	}
	return pid;
}

uint64_t place_child(const struct place *dir, const char *name, size_t length)
{
	uint32_t count, at;
	const struct node *table = table_of(dir, &count);
	const struct proc *p;

	if (place_is_task_dir(dir)) {
		at = parse_pid(name, length);
		return at && thread_owner(at) == dir->proc ? thread_inode(at, 0) : 0;
	}
	if (place_is_fd_dir(dir)) {
		at = length == 1 && name[0] == '0' ? 0 : parse_pid(name, length);
		return (at || name[0] == '0') && has_fd(dir->proc, at) ? inode_of(dir->proc, NODE_FD + at) : 0;
	}
	at = (uint32_t)(dir->node - table);
	for (uint32_t i = 1; i < count; i++)
		if (table[i].parent == at && is_name(&table[i], name, length))
			return inode_beside(dir, i);
	if (dir->inode != PROC_ROOT_INODE)
		return 0;
	p = proc_by_pid(parse_pid(name, length));
	return p ? inode_of(p, 0) : 0;
}

void place_attr(const struct place *at, struct file_attr *attr)
{
	static const uint32_t modes[] = {
		[NODE_DIR] = F_S_IFDIR | 0555, [NODE_FILE] = F_S_IFREG | 0444,
		[NODE_LINK] = F_S_IFLNK | 0777,
	};
	uint64_t now = (uint64_t)x_clock(X_CLOCK_REALTIME);

	memset(attr, 0, sizeof(*attr));
	attr->dev = procfs_mount_id;
	attr->ino = at->inode;
	attr->mode = place_is_fd_dir(at) ? F_S_IFDIR | 0500 : modes[at->node->type];
	if (node_writable(at->node))
		attr->mode |= 0200;
	if (node_is_memory(at->node))
		attr->mode = F_S_IFREG | 0600;
	attr->nlink = place_is_dir(at) ? 2 : 1;
	attr->block_bytes = 1024;
	if (at->proc) {
		attr->uid = at->proc->ids.euid;
		attr->gid = at->proc->ids.egid;
	}
	attr->atime_ns = attr->mtime_ns = attr->ctime_ns = now;
}

/* ---- listing ---- */

static void entry_set(struct entry *e, uint64_t inode, const char *name, enum node_type type)
{
	static const uint8_t dt[] = { [NODE_DIR] = 4, [NODE_FILE] = 8, [NODE_LINK] = 10 };

	e->inode = inode;
	e->type = dt[type];
	strlcpy(e->name, name, sizeof(e->name));
}

static bool node_entry(const struct place *dir, uint64_t *cursor, struct entry *out)
{
	uint32_t count, at;
	const struct node *table = table_of(dir, &count);

	at = (uint32_t)(dir->node - table);
	for (uint64_t i = *cursor - CURSOR_FIRST_NODE; i < count; i++) {
		if (i == 0 || table[i].parent != at)
			continue;
		entry_set(out, inode_beside(dir, (uint32_t)i), table[i].name, table[i].type);
		*cursor = i + 1 + CURSOR_FIRST_NODE;
		return true;
	}
	*cursor = CURSOR_FIRST_PID;
	return false;
}

/* The visible process with the lowest pid from the cursor on. */
static bool pid_entry(uint64_t *cursor, struct entry *out)
{
	const struct proc *found = NULL;
	char name[16];

	for_each_proc(p)
		if (proc_visible(p) && p->ids.pid >= *cursor - CURSOR_FIRST_PID &&
		    (!found || p->ids.pid < found->ids.pid))
			found = p;
	if (!found)
		return false;
	snprintf(name, sizeof(name), "%u", found->ids.pid);
	entry_set(out, inode_of(found, 0), name, NODE_DIR);
	*cursor = CURSOR_FIRST_PID + found->ids.pid + 1;
	return true;
}

static bool fd_entry(const struct place *dir, uint64_t *cursor, struct entry *out)
{
	int64_t fd = proc_alive(dir->proc) ? x_proc_handle(dir->proc->process, (uint32_t)*cursor - CURSOR_FIRST_NODE, 0) : -1;
	char name[16];

	if (fd < 0 || fd >= X_SLOT_FD_END)
		return false;
	snprintf(name, sizeof(name), "%u", (unsigned)fd);
	entry_set(out, inode_of(dir->proc, NODE_FD + (uint32_t)fd), name, NODE_LINK);
	*cursor = (uint64_t)fd + 1 + CURSOR_FIRST_NODE;
	return true;
}

static bool task_entry(const struct place *dir, uint64_t *cursor, struct entry *out)
{
	uint32_t tid = thread_next(dir->proc, (uint32_t)*cursor - CURSOR_FIRST_NODE);
	char name[16];

	if (!tid)
		return false;
	snprintf(name, sizeof(name), "%u", tid);
	entry_set(out, thread_inode(tid, 0), name, NODE_DIR);
	*cursor = (uint64_t)tid + 1 + CURSOR_FIRST_NODE;
	return true;
}

bool place_entry(const struct place *dir, uint64_t *cursor, struct entry *out)
{
	if (*cursor < CURSOR_FIRST_NODE) {
		bool up = *cursor == 1;

		entry_set(out, up ? place_parent(dir) : dir->inode, up ? ".." : ".", NODE_DIR);
		*cursor += 1;
		return true;
	}
	if (place_is_fd_dir(dir))
		return fd_entry(dir, cursor, out);
	if (place_is_task_dir(dir))
		return task_entry(dir, cursor, out);
	if (*cursor < CURSOR_FIRST_PID && node_entry(dir, cursor, out))
		return true;
	return dir->inode == PROC_ROOT_INODE && pid_entry(cursor, out);
}
