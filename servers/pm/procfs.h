/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /proc: a filesystem of pm, mounted by vfs (proto/fs.h).
 *
 *   proctree.c   what there is: nodes, names, attributes, links
 *   procfs.c     FS_* calls of vfs
 *   procfile.c   open files: a snapshot taken at open, or a directory
 *   proctext.c proctext_pid.c config.c   the texts
 *
 * An inode number is pid << 16 | node + 1, with pid 0 for what belongs to no
 * process, and for what is in N/task the thread's number as pid. Nodes live as
 * long as their process has a pid; nothing is counted.
 */
#ifndef SERVERS_PM_PROCFS_H
#define SERVERS_PM_PROCFS_H

#include "proto/fs.h"
#include "servers/pm/pm.h"

/* ---- texts: cut at the end of the buffer ---- */
struct text {
	char *buf;
	uint32_t size, length;
	uint32_t tid;                 /* of N/task/tid, whose; else 0 */
	const struct mapped *mapped;  /* maps, smaps: the files, or NULL */
};
/* Which files are mapped: what vfs said of memory objects. */
struct mapped {
	uint32_t count;
	uint64_t koids[FS_MAPPED_MAX];
	struct fs_mapped files[FS_MAPPED_MAX];
};
__attribute__((format(printf, 2, 3))) void text_add(struct text *t, const char *fmt, ...);

typedef void text_fn(struct text *t, const struct proc *p, uint64_t reader_koid);

/* Something was written to a file of p (NULL: of the system) by `writer`: 0 or an error. */
typedef int write_fn(struct proc *p, const struct proc *writer, const char *data, size_t bytes);

/* ---- proctree.c ---- */
enum node_type { NODE_DIR, NODE_FILE, NODE_LINK };

struct node {
	const char *name;
	uint8_t parent;      /* index in its table */
	uint8_t type;        /* enum node_type */
	bool big;            /* the text may need PROCFILE_BIG bytes */
	text_fn *text;       /* NULL: a link, or a file whose text another server has: */
	uint16_t asked;      /* of vfs if 0, ASKED_MOUNTINFO, ASKED_UNIX or ASKED_CACHE; of bdev: ASKED_BDEV + BDEV_TEXT_* (proto/bdev.h); of rs:
	                        ASKED_RS + RS_TEXT_* (proto/rs.h); else of net: SOCK_TEXT_* + 1 (proto/socket.h).
	                        With a text ASKED_MAPPED: it is made when vfs has said what is mapped */
	uint8_t sysctl;      /* enum sysctl: what the text is, and what can be written */
	write_fn *write;     /* NULL: can not be written */
};

#define ASKED_BDEV 0x100u
#define ASKED_MOUNTINFO 0x200u
#define ASKED_CACHE 0x201u
#define ASKED_RS 0x300u
#define ASKED_MAPPED 0x400u
#define ASKED_UNIX 0x500u
#define ASKED_MEMORY 0x600u /* nobody: the file is the process's memory, at its addresses */
#define PROC_ROOT_INODE 1ull

struct place {
	uint64_t inode;
	const struct node *node;
	struct proc *proc;   /* NULL: of the system */
	bool is_fd;          /* an entry of N/fd: the link to descriptor `fd` */
	uint32_t fd;
	uint32_t tid;        /* N/task/tid or what is in it: whose; else 0 */
};

static inline bool node_is_memory(const struct node *n) { return n->asked == ASKED_MEMORY; }
static inline bool node_writable(const struct node *n) { return n->sysctl || n->write || node_is_memory(n); }
bool place_find(uint64_t inode, struct place *out);
bool place_is_fd_dir(const struct place *at);
bool place_is_task_dir(const struct place *at);
static inline bool place_is_dir(const struct place *at) { return at->node->type == NODE_DIR; }
uint64_t place_parent(const struct place *at);       /* of the root: itself */
uint64_t place_child(const struct place *dir, const char *name, size_t length); /* 0: none */
void place_attr(const struct place *at, struct file_attr *attr);
/* Directory entries in order: *cursor 0 at first; false at the end. */
struct entry { uint64_t inode; char name[32]; uint8_t type; };
bool place_entry(const struct place *dir, uint64_t *cursor, struct entry *out);

/* ---- procfs.c ---- */
extern uint64_t procfs_mount_id;
void procfs_init(void);
void procfs_call(const struct x_in *in);
void procfs_cancel(uint64_t call_id);
void procfs_statfs(struct file_statfs *out);

/* ---- procfile.c ---- */
void procfile_open(const struct x_in *in, const struct place *at, uint32_t flags);
void procfile_call(const struct x_in *in);
void procfile_closed(uint64_t object);
uint32_t procfiles_open(uint32_t opened_by); /* FS_OPENED; 0: all */

/* ---- texts ---- */
text_fn text_meminfo, text_vmstat, text_uptime, text_loadavg, text_stat, text_version, text_cpuinfo,
	text_filesystems, text_cmdline, text_swaps, text_ostype, text_osrelease,
	text_config, text_ngroups_max, text_file_max, text_kernel, text_os_version, text_zero, text_sem, text_msgmax, text_msgmnb,
	text_threads_max, text_last_capability, text_nr_open, text_entropy, text_pipe_max_size, shm_text, sem_text, msg_text;
text_fn text_pid_stat, text_pid_cmdline, text_pid_status, text_pid_comm, text_pid_maps, text_pid_smaps,
	text_pid_statm, text_pid_limits, text_pid_environ, text_pid_auxv, text_pid_cgroup, text_pid_oom_adjust, text_pid_oom_score,
	text_pid_io, text_pid_wchan;
/* The memory objects that p has mapped, at most FS_MAPPED_MAX. */
void mapped_find(struct mapped *m, const struct proc *p);
write_fn write_pid_comm, write_pid_oom_adjust;

#endif
