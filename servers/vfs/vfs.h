/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of vfs share.
 *
 * The server is layered, and calls go down, results up:
 *
 *   main.c     sorts what arrives by the kind of object it was made on
 *   ops*.c     one request of a client: what to resolve, what to do then
 *   resolve.c  the path walk over all mounts, one filesystem call at a time
 *   mount.c    the mounted filesystems, their start and their restart
 *   fsclient.c one filesystem call, to another process or to devfs.c
 *   known.c    opens that need none of these
 *
 * beside them hold.c (inodes kept alive for sessions), session.c, place.c
 * (O_PATH), pipe.c and device.c (file objects that vfs serves itself), and
 * what those stand on: park.c (calls that wait), ring.c, buffers.c.
 *
 * All tables are static and bounded. Nothing waits on a stack: a request is a
 * struct request from the pool of request.c, between its states.
 */
#ifndef SERVERS_VFS_VFS_H
#define SERVERS_VFS_VFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/c/string.h"
#include "lib/ipc/file.h"
#include "lib/ipc/server.h"
#include "proto/bdev.h"
#include "proto/dev.h"
#include "proto/file.h"
#include "proto/fs.h"
#include "proto/vfs.h"

enum {
	MOUNTS_MAX = 24,
	SESSIONS_MAX = 1024,
	REQUESTS_MAX = 128,
	REQUESTS_PER_ACCOUNT = 64,
	HOLDS_MAX = 2560,
	PLACES_MAX = 256,
	GROUPS_MAX = 32,
	LINKS_MAX = 40,         /* symbolic links in one walk */
	RETRIES_MAX = 3,        /* of one call, after its filesystem restarted */
	BUFFER_BYTES = 4096,    /* a path with its NUL, a link's text */
};

/* ---- object ids: kind << 56 | what the kind makes of it -------------------- */

enum object_kind {
	KIND_SESSION = 1,       /* serial << 16 | index */
	KIND_PIPE,              /* pipe.c */
	KIND_DEVICE,            /* device.c */
	KIND_DEVDIR,            /* devfs.c */
	KIND_PLACE,             /* serial << 16 | index */
	KIND_UNIX,              /* unix.c */
};

static inline enum object_kind object_kind(uint64_t id) { return (enum object_kind)(id >> 56); }
static inline uint64_t object_id(enum object_kind kind, uint64_t rest)
{
	return (uint64_t)kind << 56 | (rest & 0x00ffffffffffffffull);
}

/* ---- credentials ----------------------------------------------------------- */

struct creds {
	uint32_t uid, gid;      /* for files (fsuid, fsgid) */
	uint32_t ruid, rgid;    /* for access(2) */
	uint32_t group_count;
	uint32_t groups[GROUPS_MAX];
};
extern const struct creds creds_root;
/* want: 4 read, 2 write, 1 execute or search. */
bool creds_allow(const struct creds *who, uint32_t mode, uint32_t uid, uint32_t gid, uint32_t want);

/* ---- mounts (mount.c) ------------------------------------------------------- */

struct place {                  /* an inode somewhere */
	uint32_t mount;         /* slot in mounts[] */
	uint64_t inode;
};
static inline bool place_equal(struct place a, struct place b)
{
	return a.mount == b.mount && a.inode == b.inode;
}

struct mount;
struct request;
struct parked;

/* One call of proto/fs.h. Buffers are borrowed until it is done. */
struct fs_call {
	/* given */
	struct mount *mount;
	uint32_t op;
	uint64_t a[7];          /* a[2], a[5], a[6] are filled in from `who` and `koid` */
	const char *path;
	uint32_t path_bytes;
	void *data;             /* window 1 */
	uint32_t data_bytes;
	bool data_write;        /* the filesystem writes to it */
	const struct creds *who;
	uint64_t koid;          /* process that asks, 0: vfs itself */
	void (*done)(struct fs_call *call); /* not called if fs_submit() gave true */
	void *owner;
	/* found */
	int64_t status;
	uint64_t r[7];
	x_handle_t handle;      /* or X_NO_HANDLE */
	x_handle_t second;      /* OPEN_PTMX: one more */
	/* under way */
	bool pending;
	uint64_t cookie;
};

/* True: it is done already. False: call->done will be called. */
bool fs_submit(struct fs_call *call);
void fs_release(struct mount *m, uint64_t inode, uint64_t count); /* answer ignored */
/* The call was never begun by a mounted filesystem, or its server died in it. */
bool fs_status_is_loss(int64_t status);

enum mount_state {
	MOUNT_FREE,
	MOUNT_NEW,              /* known, not begun */
	MOUNT_MOUNTING,         /* FS_MOUNT under way (remote) */
	MOUNT_FINDING,          /* its mount point is being looked up */
	MOUNT_MAKING,           /* ... and made */
	MOUNT_MARKING,          /* FS_MARK_MOUNT under way */
	MOUNT_READY,
	MOUNT_REHOLDING,        /* restarted: held inodes are being held again */
	MOUNT_REMARKING,        /* restarted: mount points are being marked again */
	MOUNT_LOST,             /* restarted: waits before FS_MOUNT is tried again */
	MOUNT_FAILED,           /* never came up */
	MOUNT_LEAVING,          /* detached: FS_UNMOUNT under way, which may be refused yet */
};

/* What a mount does not allow, as mount(2) numbers it. It is vfs that looks:
 * the filesystem below is not told. */
enum {
	MOUNT_NOSUID = 2,       /* set-id bits of programs mean nothing */
	MOUNT_NODEV = 4,        /* opening a device node: -X_EACCES */
	MOUNT_NOEXEC = 8,       /* running a program: -X_EACCES */
	MOUNT_OPTIONS = MOUNT_NOSUID | MOUNT_NODEV | MOUNT_NOEXEC,
	MOUNT_SYNC = 16,        /* what is written is on the disk before it is answered, names as well */
	MOUNT_NOSYMFOLLOW = 256, /* symbolic links are not followed: -X_ELOOP */
	MOUNT_NOATIME = 1024,   /* this one the filesystem is told */
};

struct mount {
	uint8_t state;          /* set by mount_enter() only */
	uint8_t attempts;
	bool internal;          /* devfs */
	bool makes_up_names;    /* proc, devfs: what a path means there changes without us, and by who asks */
	bool want_rdonly, rdonly;
	bool was_ready;         /* a restart, not the first start */
	bool attached;          /* covered is valid and marked, or it is the root */
	bool is_file;           /* a bind of what is no directory, on what is none */
	bool make_point;        /* make the mount point if it is missing */
	bool expiring;          /* MNT_EXPIRE was asked for, and nobody passed since */
	uint32_t options;       /* MOUNT_NO* */
	uint32_t instance;      /* of the service `type` that was started for it, 0: none */
	uint32_t id;            /* told to the filesystem; st_dev */
	uint32_t of;            /* slot of the mount whose filesystem it is: its own, or another's (a bind, bind.c) */
	x_handle_t port;
	uint64_t root;          /* inode */
	struct place covered;   /* the directory under it */
	uint32_t cursor;        /* REHOLDING, REMARKING: where in the table */
	uint64_t marks;         /* devfs: bit per inode that is a mount point */
	uint64_t lost_ns;       /* when it was lost */
	struct request *waiter; /* VFS_MOUNT to answer at the end */
	struct fs_call call;
	struct server_timer retry;
	struct server_timer leave; /* detached: when to look whether it is free */
	char source[64], type[16], path[128], data[128]; /* data: its own options, as given */
	char inside[128];       /* bind: the path of its root in the filesystem; "": that one's root */
	_Alignas(8) char buffer[256]; /* windows of call */
	char text[192];
};
extern struct mount mounts[MOUNTS_MAX];

void mounts_init(void);
struct mount *mount_by_id(uint64_t id);
struct mount *mount_by_type(const char *type);
struct mount *mount_on(struct place covered);
struct mount *mount_new(const char *source, const char *type);
static inline uint32_t mount_slot(const struct mount *m) { return (uint32_t)(m - mounts); }
static inline bool mount_is_bind(const struct mount *m) { return m->of != mount_slot(m); }
static inline struct mount *mount_fs(const struct mount *m) { return &mounts[m->of]; }
/* The same inode, by whichever mount it was reached. */
static inline struct place place_in_fs(struct place p) { return (struct place){ mounts[p.mount].of, p.inode }; }
/* The mount under which a directory or file lies, by whichever mount it is seen; or NULL. */
struct mount *mount_covering(struct place seen, const struct mount *except);
/* A mount whose `covered` is held begins to mount and attach itself; then mountop_attached(waiter, m),
 * or waiter is answered with what went wrong. */
void mount_attach(struct mount *m);
/* It is attached elsewhere, where the filesystem knows of the mount point already. */
void mount_move(struct mount *m, struct place covered, const char *path);
/* Nothing covers that any more. */
void mount_unmark(struct place covered);
void mount_detach(struct mount *m);
/* It is out of the tree (nothing covers anything any more), and goes when nobody uses it. */
void mount_linger(struct mount *m);
bool mount_is_used(const struct mount *m, uint32_t own_holds, const struct request *except);
/* A process of its own for a filesystem of that type: the answer goes to r's phase. */
void mount_ask_instance(struct request *r, uint8_t phase, const char *type);
/* The port of that process, or X_NO_HANDLE. */
x_handle_t mount_instance_port(const char *type, uint32_t instance);
void mount_end_instance(const char *type, uint32_t instance);
void mount_lost(struct mount *m);
struct place mount_root_place(void);
/* 1: root and /dev are up; 0: not yet; else why not. */
int64_t mount_boot_status(void);
int64_t unix_list(char *text, size_t bytes); /* as /proc/net/unix has it, cut at a line (unix_name.c) */
int64_t mount_list(char *text, size_t bytes, bool info); /* info: as /proc/self/mountinfo has it */

/* ---- binds (bind.c) --------------------------------------------------------- */

/* Of what is at r->walk.at, whose path in its filesystem is given, at r->first, which is `path`: as mount_attach(). */
void bind_make(struct request *r, const char *inside, int64_t bytes, const char *path);
/* A mount that was in what the bind `top` shows, its mount point below that at `below`: there, too, and all that
 * is mounted in it. False: too many mounts. */
bool bind_below_too(const struct mount *top, const struct mount *m, const char *below);
/* Somebody is in it, or about to be. */
bool sessions_use_mount(uint32_t mount);
bool places_use_mount(uint32_t mount);
bool bind_is_used(const struct mount *m, const struct request *except);
/* Path, of bytes, in m's filesystem: the part below m's root, "" for that itself. */
const char *bind_below(const struct mount *m, const char *path, int64_t *bytes);
/* The mount or bind by which an open file was opened, as its server has just answered (FILE_STAT, FILE_IDENT);
 * NULL: it lies in no filesystem that is mounted. */
struct mount *mount_opened_by(const struct request *r, uint64_t dev);
/* What the walk is about to ask for would write where it may only be read. */
bool bind_refuses(const struct request *r);
/* Only to be read, by its own options. */
static inline bool bind_is_rdonly(struct place p) { return mount_is_bind(&mounts[p.mount]) && mounts[p.mount].want_rdonly; }

/* ---- holds (hold.c) --------------------------------------------------------- */

/* An inode that a filesystem just gave "held": from now on counted here.
 * False: table full, released again. */
bool hold_adopt(struct place p);
bool hold_share(struct place p);        /* one more of what is held already */
void hold_drop(struct place p);
void hold_trim(struct place p);         /* the filesystem counts one of ours, not many */
uint32_t hold_count(uint32_t mount);    /* references into a mount */
void hold_forget_mount(uint32_t mount); /* unmounted: nothing to release any more */
void hold_lost(uint32_t mount);         /* restarted: it holds nothing for us */
/* After a restart: the next entry of the mount at or after *cursor, to be held
 * again; held tells how that went. */
bool hold_next(uint32_t mount, uint32_t *cursor, uint64_t *inode);
void hold_renewed(uint32_t mount, uint64_t inode, bool held);

/* ---- sessions (session.c) ---------------------------------------------------- */

struct session {
	uint64_t id;            /* object id, 0: free */
	uint64_t koid;
	uint32_t pid;
	struct place root, cwd;
	uint32_t umask;
	struct creds creds;
};

struct session *session_find(uint64_t id);
struct session *session_of(uint64_t koid);      /* the process's; NULL: it has none */
void session_closed(uint64_t id);
/* A mode asked for, as the umask leaves it (and F_S_ASKED_IXGRP). */
uint32_t session_mode(const struct session *s, uint32_t mode);
void session_start(struct request *r);          /* VFSCTL_SESSION */
int64_t session_set_creds(const struct x_in *in);
/* An inode that was just looked up "held" becomes the cwd or root. */
int64_t session_set_place(struct place *slot, struct place p);

/* ---- files opened under a name before (known.c) -------------------------------- */

/* True: answered. False: it has to be looked up. */
bool known_open(const struct session *s, const struct x_in *in);
/* The call that known_open() was last asked about is looked up by r: the file may be remembered. */
void known_expect(struct request *r, const struct session *s);
/* Such a file has come. Gives the handle for the program. */
x_handle_t known_keep(const struct request *r, x_handle_t file);
/* A path may mean something else from now on. */
void known_forget_all(void);
/* The same for as long as a call to a filesystem takes, if it is one that may do that. */
void known_change_begins(const struct fs_call *call);
void known_change_ended(const struct fs_call *call);

/* ---- requests (request.c) ----------------------------------------------------- */

enum request_state {
	REQUEST_FREE,
	REQUEST_BOOT,           /* waits for the root filesystem */
	REQUEST_MOUNT,          /* `call` waits for its mount to be ready */
	REQUEST_IDENT,          /* FILE_IDENT of the start directory's handle */
	REQUEST_WALK,           /* a call of the walk */
	REQUEST_LINK,           /* FS_READLINK for the walk */
	REQUEST_MAGIC,          /* FILE_STAT of the open file that a link leads to */
	REQUEST_CALL,           /* a call of the operation, at its `phase` */
	REQUEST_SYNC,           /* done, but for FS_SYNC before it is answered (MOUNT_SYNC) */
};

struct walk {
	struct place at;        /* where path starts */
	uint32_t path_bytes;    /* what is left of request.path */
	uint32_t piece_bytes;   /* of that, in the call under way */
	uint32_t consumed;      /* LINK: of path, behind the link */
	uint32_t links;
	/* the goal */
	uint32_t op, flags, mode;
	uint64_t a3, a4;
	void *data;             /* window 1 to read, or NULL: text, to write */
	uint32_t data_bytes;
};

struct request {
	uint8_t state;          /* set by request_enter() only */
	uint8_t phase;          /* REQUEST_CALL: the operation's own */
	uint8_t retries;
	uint8_t resume_state;   /* MOUNT: the state to go back to */
	uint8_t stage;          /* which path of a pair, which half of getcwd */
	bool cancelled;         /* an operation that may wait for others is not to */
	bool synced;            /* SYNC was begun */
	bool opened;            /* SYNC: `magic` is the answer */
	bool target_is_file;    /* mount: what is to be covered is no directory */
	uint32_t resolve;       /* RESOLVE_*: what the walk may not do */
	int32_t refusal;        /* the walk only checks: its success is this error */
	uint64_t freed_epoch;   /* FREE: server_epoch() when it became so */
	uint64_t call_id, account, koid;
	uint64_t known;         /* known.c: the entry that waits for the file; 0: none */
	uint64_t waiting_ns;    /* MOUNT: since when */
	uint64_t session;       /* id */
	struct place root;      /* of the session */
	struct creds who;
	struct x_in in;
	struct walk walk;
	struct fs_call call;
	struct place first;     /* of a pair */
	x_handle_t magic;       /* MAGIC: the open file; SYNC */
	struct place held[3];   /* dropped at the end */
	uint32_t held_count;
	uint32_t name_bytes, data_bytes;
	char name[FS_NAME_MAX + 1]; /* the last for a slash or NUL */
	/* Windows, in which structures come back. */
	_Alignas(8) char path[BUFFER_BYTES + 8];
	_Alignas(8) char text[BUFFER_BYTES];
	_Alignas(8) char data[BUFFER_BYTES + 8];
};
extern struct request requests[REQUESTS_MAX];

/* NULL: answered already (too many). */
struct request *request_new(const struct x_in *in, const struct session *s);
/* Acts for a session that isn't the caller's. */
void request_act_for(struct request *r, const struct session *s);
void request_enter(struct request *r, enum request_state state);
void request_finish(struct request *r, int64_t status);
/* The end of a request that was answered otherwise. */
void request_drop(struct request *r);
/* The handle is moved to the client. */
void request_finish_handle(struct request *r, x_handle_t h);
/* Copies to a window of the client, then answers: -X_EFAULT if that fails. */
void request_finish_data(struct request *r, unsigned window, const void *data, uint32_t bytes, int64_t status);
void request_hold(struct request *r, struct place p);   /* drop it at the end */
void request_cancel(uint64_t call_id);
bool request_uses_mount(uint32_t mount, const struct request *except);
/* Goes on, now or when the root filesystem is decided. */
void request_boot(struct request *r);
void requests_resume(void);     /* mounts or boot status changed */
/* r->call is ready: submit it; request_call() for operations. */
bool request_submit(struct request *r, enum request_state state);
void request_call(struct request *r, uint8_t phase);
/* Same for a call on a handle; data: window 0, written by its server. */
void request_handle_call(struct request *r, enum request_state state, uint8_t phase, x_handle_t h,
			 const struct x_msg *msg, void *data, uint32_t data_bytes);
uint32_t request_window(const struct request *r, unsigned window); /* its bytes */
/* Clears r->call for a new one. */
struct fs_call *request_prepare(struct request *r, struct mount *m, uint32_t op, uint64_t inode);

/* ---- the walk (resolve.c) ------------------------------------------------------- */

/* Path from a window into `out`, a buffer of r; its length, or an error. */
int64_t walk_take_path(struct request *r, unsigned window, char *out);
/* Starts the walk of r->path: relative to handle (index in r->in) if that is
 * >= 0, else to the working directory. Ends in op_walked(). */
void walk_begin(struct request *r, int64_t path_bytes, int handle);
void walk_replied(struct request *r);
/* After a walk that asked for its end to be held: it is, by the request. False:
 * the walk or that failed, and the request is finished. */
bool walk_hold(struct request *r);
void walk_identified(struct request *r);
void walk_magic_known(struct request *r);
static inline struct place walk_place(const struct request *r) /* after success */
{
	return (struct place){ r->walk.at.mount, r->call.r[0] };
}

/* ---- operations (op*.c) ----------------------------------------------------- */

void op_session_call(struct session *s, const struct x_in *in);
void op_control_call(const struct x_in *in);
void op_walked(struct request *r);      /* the walk ended: r->call has the result */
void op_called(struct request *r);      /* a REQUEST_CALL ended */
void op_boot(struct request *r, int64_t status); /* a REQUEST_BOOT ended */

/* Phases of VFS_OPEN. */
enum { OPEN_FILE, OPEN_FIFO, OPEN_PTMX };
/* Of VFSCTL_EXEC. */
enum { EXEC_OPEN, EXEC_STAT };

/* Their parts: start, go on after the walk, go on after a call. */
void open_start(struct request *r, const struct session *s);
void socket_start(struct request *r); /* op_socket.c */
void open_walked(struct request *r);
void open_called(struct request *r);
void exec_start(struct request *r);
void exec_walked(struct request *r);
void exec_called(struct request *r);
void pair_start(struct request *r);
void pair_walked(struct request *r);
void pair_called(struct request *r);
void chdir_start(struct request *r);
void chdir_walked(struct request *r);
void getcwd_start(struct request *r, const struct session *s);
void getcwd_called(struct request *r);
void mountop_start(struct request *r);
void mountop_walked(struct request *r);
void mountop_called(struct request *r);
void mountop_attached(struct request *r, const struct mount *m);
void lock_start(struct request *r);
void lock_called(struct request *r);
void lock_session_closed(uint64_t session);     /* drops what it had */
bool lock_cancel(uint64_t call_id);
void name_of_start(struct request *r);
void name_of_called(struct request *r);
void mapped_start(struct request *r);
void mapped_called(struct request *r);
void sync_start(struct request *r);
void sync_called(struct request *r);

enum last { LAST_NAME, LAST_DOT, LAST_DOT_DOT, LAST_ROOT };
enum last path_last(const char *path, int64_t bytes);

/* ---- objects served here --------------------------------------------------------------- */

bool devfs_call(struct fs_call *call);
void devfs_dir_call(const struct x_in *in);
void devfs_pty_added(uint32_t n, uint32_t uid, uint32_t gid);   /* /dev/pts/n */
void devfs_pty_gone(uint32_t n);
int devfs_path_of_rdev(uint64_t rdev, char *text, size_t size); /* its length, 0: no such node */
void devfs_attr_of_rdev(uint64_t rdev, struct file_attr *attr);
#define DRIVER_MAJOR 240u /* Linux leaves 240 to 254 to local use */
void devfs_init(void);
x_handle_t devfs_driver(uint64_t rdev);                         /* who serves it; X_NO_HANDLE: nobody */
void devfs_set_blocks(const struct bdev_node *list, uint32_t count);

/* A device number to open, or -X_ENXIO. Answers through the request. */
void device_open(struct request *r, uint64_t rdev, uint32_t flags);
void device_call(const struct x_in *in);
void device_ptmx_opened(struct request *r);

/* ---- disks and partitions (blockdev.c) ---- */
void blockdev_init(void);
bool blockdev_settled(void); /* what disks there are is known, or has taken too long */
void blockdev_open(struct request *r, uint64_t rdev, uint32_t flags);

void pipe_create(const struct x_in *in, const struct session *s);
void pipe_call(const struct x_in *in);
void pipe_closed(uint64_t id);
bool pipe_cancel(struct parked *w);
void pipe_flow(uint64_t object, const struct x_flow_state *state); /* X_IN_FLOW */
/* One more open of the pipe with that st_ino: a handle, or an error. */
int64_t pipe_reopen(uint64_t ino, uint32_t flags);
/* The place is held by the request. Answers through the request, or later. */
void fifo_open(struct request *r, struct place place, uint32_t flags);
bool fifo_cancel(uint64_t call_id);

void place_open(struct request *r, struct place p, uint32_t flags); /* takes the hold */
void place_call(const struct x_in *in);
void place_closed(uint64_t id);
void place_called(struct request *r);
/* Answers a FILE_STAT with what the filesystem says of the place. */
void place_stat(const struct x_in *in, struct place p);

/* Answers an operation that no object of vfs has, closing what came with it. */
void file_refuse(const struct x_in *in);
static inline uint32_t in_window(const struct x_in *in, unsigned window, uint32_t flag)
{
	return window < in->win_count && (in->win[window].flags & flag) ? in->win[window].len : 0;
}

int64_t unix_create(const struct x_in *in);     /* a handle, or an error */
void unix_create_pair(const struct x_in *in);
void unix_call(const struct x_in *in);
void unix_closed(uint64_t id);
bool unix_cancel(struct parked *w);
void unix_flow(uint64_t object); /* X_IN_FLOW */
void unix_bind_walked(struct request *r);
void unix_lookup_walked(struct request *r);

/* ---- park.c, ring.c, buffers.c ------------------------------------------------------------- */

struct queue { uint16_t first, last; };
struct parked {                 /* a call that waits */
	uint64_t call_id;       /* 0: free */
	uint64_t account, owner; /* owner: object it was made on */
	struct queue *queue;
	uint32_t bytes, done;   /* of its window */
	uint32_t op, flags;     /* of the call, msg.a[0] */
	uint16_t next;          /* in its queue */
	bool streams;           /* FILE_STREAMS */
	/* UNIX sockets: */
	bool hurried;           /* waits only until a flow has ended */
	uint16_t rights;
	uint32_t control;       /* descriptors wanted */
	uint32_t window[3];     /* lengths */
	struct server_timer timer;
};

/* NULL: too many. */
struct parked *park(const struct x_in *in, struct queue *q, uint64_t owner, uint32_t bytes, uint32_t done);
struct parked *queue_first(const struct queue *q);
struct parked *queue_next(const struct parked *w);
bool queue_can_stream(const struct queue *q);   /* all in it can be told to ask the kernel's flow instead */
void unpark(struct parked *w);                  /* answered otherwise */
void parked_finish(struct parked *w, int64_t status);
struct parked *parked_find(uint64_t call_id);

uint32_t buffer_get(uint32_t bytes);            /* at most 1 MiB; an id, 0: no memory */
uint8_t *buffer_at(uint32_t id);
uint32_t buffer_bytes(uint32_t id);
void buffer_put(uint32_t id);                   /* 0 is fine */
bool buffers_plenty(void);                      /* else nobody is to have more than he needs to go on */
x_handle_t buffer_memory(uint32_t id);          /* the memory object that it lies in, and where in it: */
uint64_t buffer_offset(uint32_t id);

struct ring {
	uint32_t capacity;      /* power of two; given by the owner */
	uint32_t head, count;   /* bytes */
	uint32_t held;          /* taken in held_epoch, to be left alone until it ends */
	uint64_t held_epoch;
	uint16_t buffer;        /* 0 while empty */
};
uint32_t ring_room(const struct ring *r);
/* Both move up to `bytes` between the ring and a window and give how many, or
 * an error if it was none: -X_EFAULT, put also -X_ENOMEM. */
int64_t ring_put(struct ring *r, uint64_t call_id, unsigned window, uint32_t offset, uint32_t bytes);
int64_t ring_take(struct ring *r, uint64_t call_id, unsigned window, uint32_t offset, uint32_t bytes);
/* As take, but from behind `skip` bytes, and they stay. */
int64_t ring_peek(const struct ring *r, uint32_t skip, uint64_t call_id, unsigned window, uint32_t offset,
		  uint32_t bytes);
void ring_drop(struct ring *r, uint32_t bytes);
void ring_free(struct ring *r);                 /* its owner ends */
void ring_cut(struct ring *r, uint32_t bytes);  /* the last ones put */
/* Takes into window 0 of a call and answers it with how many. */
void ring_answer(struct ring *r, uint64_t call_id, uint32_t bytes);
bool ring_reserve(struct ring *r);              /* memory for all of its capacity */
void ring_is(struct ring *r, uint32_t head, uint32_t count); /* others have used its buffer */
int64_t ring_resize(struct ring *r, uint32_t capacity); /* -X_EBUSY: holds more */

/* ---- unix_rights.c ------------------------------------------------------------------------ */

/* At the end of each iteration: closes what rights_drop() let go. */
void rights_settle(void);

/* ---- random.c, sys.c ---------------------------------------------------------------------- */

void random_init(void);
void random_mix(const void *data, size_t bytes);
void random_bytes(void *out, size_t bytes);

int64_t sys_mint(uint64_t id, uint32_t flags, uint32_t ready, uint32_t status_flags);
int64_t sys_flow_pipe(const struct x_flow_pipe *pipe); /* x_flow_pipe() and x_flow_state() of our port */
int64_t sys_flow_state(uint64_t object, struct x_flow_state *state);
uint64_t sys_realtime_ns(void);
/* Window 0 of one call to window 0 of another: bytes moved, or an error. */
int64_t sys_window_move(uint64_t from, uint64_t from_offset, uint64_t to, uint64_t to_offset, uint32_t bytes);
uint64_t sys_handle_koid(x_handle_t h);         /* 0: no such handle */
uint32_t sys_handle_refs(x_handle_t h);
int64_t sys_handle_dup(x_handle_t h);
int64_t sys_handle_reopen(x_handle_t h);        /* X_OBJ_REOPEN */
int64_t sys_handle_flags(x_handle_t h);         /* status flags of an open file */
int64_t sys_memory(uint32_t bytes);             /* a memory object of zeroed pages; or an error */
void *sys_map(x_handle_t memory, uint32_t offset, uint32_t bytes); /* some of them, NULL: no memory */
void sys_unmap_later(void *at, uint32_t bytes); /* at the commit */
void sys_entropy(uint64_t out[8]);

#endif
