/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The native interface between the kernel and user space: numbers, structures
 * and flags. C wrappers are in include/xinim/syscall.h.
 *
 * Convention: `syscall` with the number in rax, arguments in rdi, rsi, rdx,
 * r10, r8, r9; the result in rax, negative for an error of error.h. Only rax,
 * rcx and r11 change. In a Linux process the instruction is native only inside
 * the personality's code; anywhere else it enters the personality (upcall).
 *
 * A handle is a slot of the process's handle table together with rights. In a
 * Linux process the slots below X_SLOT_FD_END are its file descriptors.
 */
#ifndef XINIM_ABI_H
#define XINIM_ABI_H

#include <stdint.h>
#include <xinim/error.h>

typedef uint32_t x_handle_t;

#define X_NO_HANDLE   0xffffffffu
#define X_SELF        0xfffffffeu /* "my own process / address space" */
#define X_SLOT_FD_END 1024u       /* file descriptors: inherited by fork */
#define X_SLOT_PM     1024u       /* Linux process: its session with pm */
#define X_SLOT_VFS    1025u       /* Linux process: its session with vfs */
#define X_SLOT_NATIVE 1032u       /* first slot for everything else */
#define X_SLOT_MAX    4096u       /* slots a process may have */

#define X_CPU_SELECTOR 0x4bu /* a segment whose limit (LSL) is the number of the CPU */
#define X_PAGE_SIZE 4096u
#define X_FOREVER   UINT64_MAX /* deadline: never */

/* User addresses: [X_USER_MIN, X_USER_MAX). The personality's part is fixed. */
#define X_USER_MIN 0x10000ull
#define X_USER_MAX 0x00007ffffffff000ull
#define X_PERS_BASE 0x00007f8000000000ull /* personality image (text, rodata, data) */
#define X_PERS_END  0x00007f9000000000ull /* end of the personality's region */

/* ------------------------------------------------------------------ rights */

#define X_R_CALL     0x001u /* object, port: make calls */
#define X_R_RECEIVE  0x002u /* port: commit_receive, mint, answer; a handle with it can
			       be granted to a process, not sent in a message */
#define X_R_DUP      0x004u /* duplicate in own table */
#define X_R_TRANSFER 0x008u /* send in a message, grant to a process */
#define X_R_READ     0x010u /* memory: map/copy readable; event: bind */
#define X_R_WRITE    0x020u /* memory: map/copy writable; event: signal */
#define X_R_EXEC     0x040u /* memory: map executable */
#define X_R_WAIT     0x080u /* object: x_wait; any: bind to a port */
#define X_R_MANAGE   0x100u /* process: all control; port: reset, info; device; paged
			       memory: supply, content, clean, state */
#define X_R_ALL      0x1ffu

enum x_object_type {
	X_TYPE_NONE, X_TYPE_PORT, X_TYPE_OBJECT, X_TYPE_EVENT, X_TYPE_MEMORY,
	X_TYPE_SPACE, X_TYPE_PROCESS, X_TYPE_DEVICE, X_TYPE_IRQ, X_TYPE_IOPORTS,
	X_TYPE_RESOURCE, X_TYPE_LOG, X_TYPE_WAITSET,
};

struct x_handle_info {
	uint32_t type;     /* enum x_object_type */
	uint32_t rights;
	uint64_t koid;     /* unique for the life of the system */
	uint32_t cloexec;
	uint32_t refs;     /* handles and uses of the object */
};

/* x_handle_dup flags */
#define X_DUP_EXACT   1u /* into exactly this slot, replacing what is there */
#define X_DUP_CLOEXEC 2u

/* -------------------------------------------------------- messages and calls */

struct x_msg { /* 64 bytes */
	uint32_t op;     /* call: operation of the protocol; answer: 0 */
	int32_t status;  /* answer: 0 or more, or a negated error; call: flags */
	uint64_t a[7];
};

#define X_MAX_WINDOWS  4
#define X_MAX_HANDLES  4
#define X_WINDOW_MAX   (1u << 20) /* bytes in one window */

#define X_WIN_READ  1u /* the server may copy from it */
#define X_WIN_WRITE 2u /* the server may copy into it */

struct x_window {
	uint64_t addr;
	uint32_t len;    /* bytes; cut by the kernel at the first bad page */
	uint32_t flags;
};

/* x_call.flags, x_out.flags */
#define X_CALL_INTERRUPTIBLE 1u /* any unmasked notification asks to cancel, unless the object
				   has a cursor: file I/O is only killable */
#define X_CALL_KILLABLE      2u /* only death of the caller does (the default) */
#define X_CALL_CURSOR        4u /* serialise with other cursor users of the object */
#define X_CALL_MOVE          8u /* handles sent are moved, not duplicated */
#define X_CALL_CLOEXEC      16u /* handles received get the close-on-exec mark */

struct x_call { /* in and out of x_call() */
	struct x_msg msg;              /* in: request; out: answer */
	struct x_window win[X_MAX_WINDOWS];
	uint32_t handles[X_MAX_HANDLES]; /* in: sent; out: received */
	uint32_t win_count;
	uint32_t handle_count;         /* in: sent; out: received */
	uint32_t flags;
	uint32_t recv_min;             /* lowest slot for handles received */
	uint32_t recv_end;             /* slots from here up are not used (rlimit) */
	uint32_t reserved;
	uint64_t deadline_ns;          /* X_FOREVER, or -X_ETIMEDOUT after a cancel */
};

/* --------------------------------------------------------- commit and receive */

enum x_in_kind {
	X_IN_CALL = 1, /* a client's call: answer it once, by id */
	X_IN_REPLY,    /* answer to a started call: id is its cookie */
	X_IN_EVENT,    /* something bound: id is its cookie, msg.a[0] the bits */
	X_IN_CLOSURE,  /* last handle of an object gone: object, msg.a[0] = mints */
	X_IN_CANCEL,   /* the caller of open call `id` has lost patience: answer it soon */
	X_IN_PAGE,     /* a page of a paged memory object is missing: object = its id,
	                  msg.a[0] = byte offset, msg.a[1] = bytes; supply it. msg.a[2] = 1:
	                  somebody wants to write there; supply it with X_SUPPLY_BACKED */
	X_IN_FLOW,     /* of a flow of object: msg.op = which, msg.a = struct x_flow_state */
};

struct x_in { /* 160 bytes */
	uint32_t kind;
	uint32_t win_count;
	uint64_t id;            /* call id, or cookie */
	uint64_t object;        /* object id; 0: the call came through the port itself */
	uint64_t cursor;        /* object record: 64-bit file position */
	uint32_t status_flags;  /* object record: e.g. O_APPEND, O_NONBLOCK */
	uint32_t handle_count;
	uint64_t account;       /* koid of the calling process, unforgeable */
	struct x_msg msg;
	struct { uint32_t len, flags; } win[X_MAX_WINDOWS];
	uint32_t handles[X_MAX_HANDLES];
};

enum x_out_kind {
	X_OUT_ANSWER = 1, /* id, msg, handles (always moved), copy, cursor */
	X_OUT_START,      /* target, id = cookie, msg, windows, handles, flags */
	X_OUT_CANCEL,     /* id = cookie of a started call: ask its server to hurry */
	X_OUT_SIGNAL,     /* target = event, value = bits; with addr only if the step of an index from
	                     mask to pulse went past *(u32 *)addr, read after the stores before (lib/ring) */
	X_OUT_CLOSE,      /* target = handle */
	X_OUT_READY,      /* id = object id on this port, value = levels now,
	                     mask = which bits to set so; bits set in `pulse` are pulsed */
	X_OUT_STORE32,    /* *(u32 *)addr = value, in the outbox's order, release */
	X_OUT_CLOSURE_ACK,/* id = object id: closure seen, the id may be minted again */
	X_OUT_DO,         /* id = number of a system call with an effect on others, msg.a = its
	                     arguments, addr = where its result goes (i64), 0: nowhere. Which: syscall_may_defer() */
	X_OUT_FLOW,       /* id = object id, mask = which, flags = X_FLOW_LAST or _STOP or 0 from now on,
	                     value = timeout_ns of waits (0: none), msg.op = extents appended, up to
	                     X_FLOW_OUT_EXTENTS: byte offset msg.a[2 * i], bytes msg.a[2 * i + 1];
	                     msg.a[6] = tell when so many extents + bytes were moved. Datagrams in: one
	                     extent, msg.a[2..5] = struct x_flow_address */
};

#define X_ANSWER_CURSOR 0x100u /* x_out.flags: set the object's cursor to `value` */
#define X_ANSWER_HOME   0x200u /* x_out.flags: no answer. A call that came by a route goes to the port of the
                                  object it was made on, as if it had been delivered there at first */

struct x_out {
	uint32_t kind;
	uint32_t flags;         /* X_CALL_* for START, X_ANSWER_* for ANSWER */
	uint64_t id;            /* call id, cookie or object id */
	uint32_t target;        /* handle */
	uint32_t mask;
	uint64_t value;
	uint64_t addr;
	struct x_msg msg;
	/* ANSWER: bytes copied into the caller's window before it is answered */
	uint64_t copy_src;
	uint32_t copy_len;
	uint32_t copy_window;
	uint32_t win_count;
	uint32_t handle_count;
	struct x_window win[X_MAX_WINDOWS];
	uint32_t handles[X_MAX_HANDLES];
	uint32_t pulse;
	uint32_t reserved;
};

struct x_commit {
	uint64_t out;          /* struct x_out[] */
	uint64_t in;           /* struct x_in[] */
	uint32_t out_count;    /* at most X_MAX_OUT */
	uint32_t in_max;       /* at most X_MAX_BATCH; 0: commit without receiving */
	uint64_t deadline_ns;  /* wait until then for the first item; 0: don't wait */
	uint64_t epoch;        /* out: the port's epoch after this commit; what is received
	                          belongs to it and is consumed by the next commit */
	uint64_t now_ns;       /* out: monotonic time, sampled for the new iteration */
	int32_t out_error;     /* out: first entry's error, if the outbox is refused */
	uint32_t out_error_at; /* out: index of that entry */
};
#define X_MAX_BATCH 64u  /* items received at once */
#define X_MAX_OUT  1024u /* entries of one outbox: a batch half full, and one item for all processes */

/* x_window_copy: between an open call's window and the server's memory */
struct x_window_copy {
	uint64_t id;          /* open call of this port */
	uint32_t window;
	uint32_t to_window;   /* 1: addr -> window; 0: window -> addr */
	uint64_t offset;
	uint64_t addr;        /* local address, or (if id2) offset in window2 */
	uint64_t len;
	uint64_t id2;         /* 0, or another open call of this port: its window */
	uint32_t window2;     /* with `memory`: X_COPY_BACKED */
	uint32_t memory;      /* 0, or a paged memory object: addr is a byte offset in it. From
	                         the window: missing pages are made, all become dirty. To the
	                         window: ends at the first missing page */
};
#define X_COPY_BACKED 1u

struct x_port_info {
	uint64_t epoch;
	uint32_t queued;          /* items waiting */
	uint32_t open_calls;      /* taken and not yet answered */
	uint64_t oldest_queued_ns;/* monotonic time of arrival of the oldest item, 0 if none */
	uint64_t oldest_open_ns;  /* same for the oldest open call */
	uint64_t iteration_ns;    /* when the running iteration began, 0 while waiting */
	uint64_t delivered;       /* items ever delivered */
	uint64_t redelivered;     /* calls that went back to the queue when their reader was reset in place */
	uint64_t page_hits;       /* of objects paged by the port: pages that streams found in memory, ... */
	uint64_t page_requests;   /* ... and requests for such that were not, each for a run of them */
	uint64_t dirty_pages;     /* now */
};

/* ------------------------------------------------------------- objects, waiting */

/* readiness bits (equal to Linux's POLL*) */
#define X_READY_IN  0x001u
#define X_READY_PRI 0x002u
#define X_READY_OUT 0x004u
#define X_READY_ERR 0x008u
#define X_READY_HUP 0x010u
#define X_READY_RDHUP 0x2000u /* a socket's peer sends no more */
#define X_READY_DEAD 0x8000u /* the server's incarnation is gone: a stale object */

/* x_mint flags */
#define X_MINT_CURSOR 1u /* the object is seekable: X_CALL_CURSOR serialises */
#define X_MINT_QUIET  2u /* its closure wakes nobody: it is received, in order, with what comes next */
#define X_MINT_REOPEN 4u /* X_OBJ_REOPEN of it is possible */

enum x_object_op { /* x_object_ctl */
	X_OBJ_GET_CURSOR, X_OBJ_SET_CURSOR, X_OBJ_ADD_CURSOR, /* result: new cursor */
	X_OBJ_GET_FLAGS, X_OBJ_SET_FLAGS,                     /* status flags word */
	X_OBJ_GET_READY,
	X_OBJ_CLOSURE_NEXT, /* result: 1 if closing this handle tells the server (it is the
	                       last), the object has no cursor (a pipe's end), and its server is
	                       that of the object that value is a handle to */
	X_OBJ_REOPEN,       /* result: a handle to the same object (X_MINT_REOPEN) as if it were opened once more,
	                       with a cursor and status flags of its own, as it was minted. Its server is not
	                       told; the closure comes when all are gone. -X_EDEAD: it is stale */
};

struct x_wait_item {
	uint32_t handle; /* object or event; X_NO_HANDLE is skipped */
	uint32_t mask;   /* readiness bits wanted (ERR, HUP and DEAD always count);
	                    for an event any bit of its low 32 */
	uint32_t ready;  /* out */
	uint32_t reserved;
};

/* Wait sets: x_waitset_ctl(set, op, handle, what, data), what being readiness
 * bits | X_WAITSET_* flags << 16 | a word of the caller's << 32. */
enum x_waitset_op { X_WAITSET_ADD, X_WAITSET_CHANGE, X_WAITSET_DELETE };
#define X_WAITSET_EDGE 1u /* told of once per change */
#define X_WAITSET_ONCE 2u /* told of once, until CHANGE */
struct x_waitset_event {
	uint64_t data;
	uint32_t ready; /* X_READY_* */
	uint32_t aux;   /* the caller's word */
};

/* ---------------------------------------------------------------------- memory */

#define X_PROT_READ  1u
#define X_PROT_WRITE 2u
#define X_PROT_EXEC  4u

/* x_mem_create flags */
#define X_MEM_CONTIGUOUS 1u  /* one physical run, populated at once */
#define X_MEM_BELOW_4G   2u
#define X_MEM_BELOW_16M  4u
#define X_MEM_PAGED      8u  /* missing pages are asked of a port (X_IN_PAGE) */
#define X_MEM_POPULATE  16u  /* populate now (implied by CONTIGUOUS) */

/*
 * Pages of a paged object are kept by the kernel and have a state. BACKED: the
 * pager has room to store it, so it may be written without asking. DIRTY:
 * written since the pager cleaned it. PINNED: cleaned, but not yet known to be
 * stored. What is neither dirty nor pinned nor in use by anybody the kernel
 * may take back when memory is short; it is then missing again.
 * Of the object only what lies inside its content size exists (at first all).
 */
#define X_SUPPLY_BACKED 1 /* x_mem_supply's status */

enum x_content_op { /* x_mem_content(memory, op, offset, len) */
	X_CONTENT_SIZE,     /* content size := offset bytes. What is cut off is gone from all
	                       mappings; what is new reads as zero where it is resident, and
	                       the page that the old end cut is BACKED no more */
	X_CONTENT_HOLD,     /* make pages dirty, so that they stay. Result: bytes from offset
	                       on that are resident, up to len */
	X_CONTENT_STORED,   /* one pin less */
	X_CONTENT_LOST,     /* one pin less, and dirty again */
	X_CONTENT_ASK,      /* offset 1: streams do not write, but call; 0: they do again */
	X_CONTENT_PUNCH,    /* whole pages of [offset, offset + len) are gone, from all mappings too;
	                       what is of others is zeros if it is resident */
	X_CONTENT_ZERO,     /* what is resident of [offset, offset + len) is zeros */
};

struct x_content_info { /* x_mem_state */
	uint64_t resident_pages, dirty_pages;
	uint64_t read_ns, written_ns; /* since asked last: the first read, the last write; 0: none */
};

struct x_dirty { /* x_mem_clean: the next run of dirty pages */
	uint64_t offset; /* in: search from here; out: of the run */
	uint64_t addr;   /* they are copied there, become clean and pinned (or stay dirty, if
	                    somebody is just writing to them); out: 0 if there were any */
	uint64_t len;    /* room there, whole pages; out: of the run */
};

/* x_stream op and x_stream_set flags. A stream serves reads, and writes inside the
 * content size to BACKED pages; all else is -X_EWAIT: make the call. */
#define X_STREAM_READ  1u
#define X_STREAM_WRITE 2u
#define X_STREAM_MAX   (128u << 10) /* bytes settled at once */

/*
 * Flows (x_flow_set): what a program reads (IN) or writes (OUT) of an object is moved by
 * x_stream to or from extents of the server's memory, which it appends (X_OUT_FLOW) and
 * which are used up in order. OUT: extents are free room. Of datagrams each extent is one;
 * OUT, a u32 is ahead of the data: its length. With extents the object is ready.
 */
#define X_FLOW_IN       0u /* which: */
#define X_FLOW_OUT      1u
#define X_FLOW_DATAGRAM 2u
#define X_FLOW_PIPE     4u
#define X_FLOW_LAST 1u /* no extents left: x_stream does not wait but says -X_EWAIT */
#define X_FLOW_STOP 2u /* the extents that are left are the server's again, once that is told;
			  x_stream says -X_EWAIT. So it begins. Ends with an entry without it */
#define X_FLOW_EXTENTS     64u /* of a flow at a time. More: it stops */
#define X_FLOW_OUT_EXTENTS 3u

struct x_flow_state {
	uint64_t extents, bytes; /* moved, ever: whole extents; bytes */
	uint64_t waiting;        /* extents that are left */
	uint64_t stopped;        /* 1: nothing is moved any more */
};

/*
 * A pipe (x_flow_pipe) is a flow of two objects of a port: what is written to one is read from the
 * other. It has no extents, and an X_OUT_FLOW of the reader's starts it, empty, or stops it; so does the
 * closure of an end. Of its state `extents` is the position of the first byte, `waiting` how many there are.
 */
#define X_PIPE_ATOMIC 4096u /* a write of up to so much goes in at once, or waits */

struct x_flow_pipe {
	uint64_t reader, writer;  /* objects */
	uint64_t offset;          /* in the memory: where the n-th byte is, at offset + n % bytes */
	uint32_t bytes;
	uint32_t memory;          /* handle */
	uint32_t nowait, pad;     /* as of x_flow_set */
};

struct x_flow_address { uint8_t bytes[28]; uint32_t length; }; /* of a datagram's sender */

/* x_stream op, for flows */
#define X_STREAM_NOWAIT  4u /* -X_EAGAIN instead of waiting */
#define X_STREAM_FLOW    16u /* of a flow, else -X_EWAIT: not of a file */
#define X_STREAM_GOES_ON 8u /* another part of the same read: -X_EAGAIN instead of waiting or a call */

struct x_mem_create {
	uint64_t bytes;      /* rounded up to pages */
	uint32_t flags;
	uint32_t port;       /* X_MEM_PAGED: the pager's port */
	uint64_t id;         /* X_MEM_PAGED: object id for X_IN_PAGE */
	uint64_t align;      /* X_MEM_CONTIGUOUS: power of two, 0 = page */
};

/* x_mem_map flags */
#define X_MAP_PRIVATE 1u  /* copy on write */
#define X_MAP_FIXED   2u  /* at exactly addr, replacing what is there */
#define X_MAP_NOREPLACE 4u/* with FIXED: -X_EEXIST if something is there */
#define X_MAP_WIRED   8u  /* all pages present from now on (default in native processes) */
#define X_MAP_GROWSDOWN 16u
#define X_MAP_LAZY 64u    /* in native processes too: pages come as they are touched, and stay */
#define X_MAP_PERSONALITY 32u /* may lie in [X_PERS_BASE, X_PERS_END) */
#define X_MAP_PAGED  2048u /* told by x_mem_query: of an object whose pages a pager supplies */
#define X_MAP_LOCKED 128u  /* told by x_mem_query; the pages were made present when it was set */
#define X_MAP_LOCKED_LATER 1024u /* only to x_mem_advise: nothing is made present */
#define X_MAP_WIPE   256u  /* private anonymous memory that a fork leaves behind: zeroes in the child */
#define X_MAP_NOFORK 512u  /* a fork leaves it out */

struct x_mem_map {
	uint32_t space;   /* address space or process handle, or X_SELF */
	uint32_t memory;  /* memory object, or X_NO_HANDLE: anonymous, zeroed, private */
	uint64_t offset;  /* bytes into the object, page aligned */
	uint64_t addr;    /* hint, or exact with FIXED; 0: kernel chooses */
	uint64_t len;     /* bytes, rounded up */
	uint32_t prot;
	uint32_t flags;
};

struct x_mem_region { /* x_mem_query: the mapping at or after an address */
	uint64_t start, end;
	uint32_t prot, flags;
	uint64_t memory_koid; /* 0: anonymous */
	uint64_t offset;
	uint64_t resident_pages;
	uint64_t run_pages;   /* from the address, or the start: so many pages are all present, */
	uint64_t run_present; /* ... 1, or all not, 0 */
};

/* ------------------------------------------------------- processes and threads */

struct x_regs { /* all general registers, as saved at any entry to the kernel */
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rip, rflags;
	uint64_t fs_base, gs_base;
};

enum x_upcall_reason { X_UP_SYSCALL = 1, X_UP_FAULT, X_UP_NOTIFY };

/*
 * Written by the kernel at the top of the thread's personality stack, then the
 * personality's entry runs with rdi = this block and rsp just below it.
 * x_resume(block) goes back: regs, and the notification mask, are taken from it.
 *
 * The personality may also go back without the kernel, by loading the registers
 * itself, if the mask is the installed one and `pending` is still 0 when it last
 * looks: bits that come while it runs are put there by the kernel. From that
 * look to the jump it is within x_personality.leave; should a notification come
 * there, the kernel carries out the rest, as x_resume(block, 0) would.
 */
struct x_upcall {
	uint32_t reason;
	uint32_t vector;       /* FAULT: exception vector */
	uint64_t error_code;   /* FAULT */
	uint64_t address;      /* FAULT: cr2 */
	uint64_t pending;      /* thread and process bits that are pending & ~installed_mask */
	uint64_t mask;         /* in: current mask; x_resume installs it */
	uint64_t installed_mask; /* out: what the kernel has; the personality keeps it up to date */
	uint64_t thread_word;  /* the personality's own word for this thread */
	struct x_regs regs;
};

/* x_notify_post: what became of it */
enum x_notified { X_NOTIFY_POSTED, X_NOTIFY_WAS_PENDING, X_NOTIFY_DROPPED /* ignored */ };

/* x_proc_create flags and scheduling bands */
#define X_PROC_LINUX 1u   /* lazy memory, fd slots, personality */
#define X_PROC_KEPT  2u   /* halts, when its last thread ends, for x_proc_reset or the last handle's end */
/* rdi of the only thread of a process that was reset in place; 0 at a cold start */
#define X_WARM_START 1u
#define X_WARM_BLAME 2u   /* it did it itself: exit, exception, hang */
#define X_BAND_DRIVER 0u
#define X_BAND_SERVER 1u
#define X_BAND_PROGRAM 2u

/* x_thread_robust: as Linux's C libraries keep it. The list leads from entry to entry back to this; a word lies
 * `offset` from its entry (or from `pending`, 0: none, which is being locked or unlocked), and names its owner in
 * X_ROBUST_OWNER. When that ends it is X_ROBUST_DIED and one who waits (X_ROBUST_WAITERS) is woken. */
struct x_robust_list { uint64_t next; int64_t offset; uint64_t pending; };
#define X_ROBUST_WAITERS 0x80000000u
#define X_ROBUST_DIED    0x40000000u
#define X_ROBUST_OWNER   0x3fffffffu

struct x_thread_create {
	uint32_t process;      /* X_SELF or a process handle */
	uint32_t flags;
	uint64_t entry, stack, arg; /* rip, rsp, rdi */
	uint64_t fs_base;      /* of a program; native threads have none: 0 */
	uint64_t upcall_stack;     /* top; 0: thread has no personality */
	uint64_t thread_word;
	uint64_t mask;         /* initial notification mask */
	uint64_t regs;         /* 0, or struct x_regs * to start from instead of entry/stack/arg */
};

/* Linux processes only: where upcalls go. Given at x_proc_exec. */
struct x_personality {
	uint64_t entry;        /* upcall entry point */
	uint64_t base, end;    /* code range in which `syscall` is native */
	uint64_t fixups;       /* address of uint64_t[2] pairs {faulting rip, continue rip} */
	uint64_t fixup_count;
	uint64_t leave, leave_end; /* code that goes back from an upcall without x_resume */
};

struct x_proc_exec { /* replace a process's program: all or nothing */
	uint32_t process;
	uint32_t space;        /* new address space (consumed on success) */
	struct x_thread_create thread; /* the only thread afterwards */
	struct x_personality personality;
	char name[16];
	uint64_t keep_pending; /* notification bits that stay pending */
	uint64_t ignore;       /* new ignore set */
};

struct x_proc_fork {
	uint32_t port;         /* the port through which ... */
	uint32_t resource;     /* with the right to create processes */
	uint64_t call_id;      /* ... the forking thread's open call came */
	struct x_msg child_msg;/* what that call returns in the child */
	uint64_t lend;         /* 1: private memory outside the personality is not copied but the
	                          parent's own, until the child execs or ends */
};

enum x_proc_state {
	X_PROC_NEW, X_PROC_RUNNING, X_PROC_SUSPENDED, X_PROC_DEAD,
	X_PROC_HALTED, /* X_PROC_KEPT: no thread any more, all else is there */
};

/* cause of death */
enum x_death { X_DEATH_NONE, X_DEATH_EXIT, X_DEATH_KILLED, X_DEATH_EXCEPTION, X_DEATH_MEMORY };

struct x_proc_info {
	uint64_t koid;
	uint32_t state;        /* enum x_proc_state */
	uint32_t death;        /* enum x_death */
	int32_t status;        /* as given to x_proc_exit or x_proc_kill */
	uint32_t threads;
	uint64_t cpu_user_ns, cpu_system_ns;
	uint64_t resident_pages, mapped_pages;
	uint32_t handles, vector;
	uint64_t fault_rip, fault_address, fault_error; /* X_DEATH_EXCEPTION */
	struct x_regs fault_regs;
	uint64_t backtrace[16]; /* return addresses by frame pointer */
	uint64_t start_ns;
	char name[16];
	uint64_t ran_ns;        /* CPU time as far as the timer bears witness: a virtual machine that
	                           its host stops does not add to it */
	uint32_t runnable;      /* threads that run, or want to */
	uint32_t reserved;
	uint64_t switches;      /* of a CPU to it, from another process or from idleness */
	uint64_t charged;       /* bytes of memory: its private pages, those of the memory objects that it
	                           made, mapped or not, and: */
	uint64_t charged_kernel; /* what the kernel holds for it: page tables, stacks, handles, objects */
	uint64_t death_ns;      /* when its death began; of one reset since: its last */
	uint64_t peak_pages;    /* the most that resident_pages ever was, of any program that it ran */
	uint64_t limit;         /* of `charged` (x_proc_limit), UINT64_MAX: none */
	uint64_t pending, ignored, caught; /* notifications: of the process, and as it said (x_notify_ignore) */
	uint64_t thread_pending, mask; /* the same of its first thread */
};

/* --------------------------------------------------------------------- devices */

struct x_bar { uint64_t base, bytes; uint32_t is_io, reserved; };

struct x_device_create { /* devmgr only: needs the root resource */
	uint32_t resource;
	uint32_t bdf;          /* bus << 8 | device << 3 | function */
	struct x_bar bar[6];
	uint32_t irq_gsi;      /* INTx: global system interrupt, or X_NO_HANDLE */
	uint32_t irq_flags;    /* X_IRQ_* */
	uint32_t msix_cap, msi_cap; /* offsets in config space, 0: none */
	char name[16];         /* "0000:00:03.0" */
};

#define X_IRQ_LEVEL      1u
#define X_IRQ_ACTIVE_LOW 2u

enum x_device_op { /* x_device_ctl(device, op, arg) */
	X_DEV_ENABLE,        /* memory and I/O decoding on */
	X_DEV_BUS_MASTER_ON, /* "I have reset the device": ends quarantine, allows DMA */
	X_DEV_BUS_MASTER_OFF,
	X_DEV_IRQ_ACK,       /* INTx: unmask after service */
	X_DEV_VECTORS,       /* result: MSI-X vectors available, 0 if only INTx */
	X_DEV_REVOKE,        /* (resource holder) take it from a dead driver: quiesce */
};

struct x_dma_map { /* pin part of a memory object for a device */
	uint32_t device, memory;
	uint64_t offset, len;      /* bytes, page aligned */
	uint64_t segments;         /* out: struct x_dma_segment[] */
	uint32_t segment_max, segment_count;
};
struct x_dma_segment { uint64_t iova, bytes; };

struct x_dma_window { /* a window of another's call, lent to the device (x_window_lend) */
	uint32_t device, port;     /* port: any handle of that where the call is open */
	uint64_t call;             /* id of the call */
	uint32_t window;
	uint32_t write;            /* the device writes to it */
	uint64_t offset, len;      /* bytes of the window */
	uint64_t segments;         /* out: struct x_dma_segment[]; not rounded to pages */
	uint32_t segment_max, segment_count;
};

#define X_IOPORT_WRITE_MAX 64u /* bytes at once: the kernel lock is held meanwhile */

/* x_clock */
#define X_CLOCK_MONOTONIC 0
#define X_CLOCK_REALTIME  1
#define X_CLOCK_PROCESS   2 /* CPU time of the calling process, ns */

/* x_system(resource, op, arg) */
enum x_system_op {
	X_SYS_POWEROFF, X_SYS_REBOOT, X_SYS_PANIC,
	X_SYS_PCI_COMMAND, /* (devmgr, at first sight of a function) write its command
	                      register, other CPUs paused: arg is bdf << 16 | value */
	X_SYS_SET_REALTIME, /* arg: ns since 1970 that it is now (a resource for processes will do) */
	X_SYS_LOG_MIRROR, /* arg 0/1: the log also goes to the early console */
};

struct x_system_info {
	uint32_t cpus, cpus_online;
	uint64_t memory_bytes, free_bytes;
	uint64_t boot_ns;          /* monotonic time at kernel entry, 0 */
	uint64_t realtime_offset_ns; /* realtime = monotonic + this */
	uint64_t idle_ns;          /* sum over CPUs */
	uint64_t context_switches;
	uint64_t processes, threads;
	uint64_t objects[16];      /* live objects by enum x_object_type */
	uint32_t iommu;            /* 1: present and on */
	uint32_t tsc_khz;
	uint64_t tsc_base, ns_per_tsc_32; /* monotonic time = (TSC - base) * this >> 32 */
	uint64_t rsdp;             /* physical address of ACPI's root, for devmgr */
	char version[32];
	uint64_t lock_waits;       /* times a CPU found the kernel lock taken, and ... */
	uint64_t lock_wait_ns;     /* ... how long it waited; sums over CPUs */
	uint64_t wakeups;          /* interrupts between CPUs to have a thread run */
	uint64_t moved_bytes;      /* copied or cleared at a time of LEAVE_BYTES and more (kernel_leave) */
};

/* ------------------------------------------------------------------- bootstrap */

/*
 * Every native process finds one read-only page at X_BOOT_PAGE with its name,
 * its manifest's arguments and its initial handles by name. The first process
 * gets it from the kernel ("archive", "resource", "log"), all others from rs.
 */
#define X_BOOT_PAGE  0x00007f7fffff0000ull
#define X_BOOT_MAGIC 0x544f4f424d494e58ull
#define X_BOOT_NODE "node." /* a boot handle's name: this, and that of a service that serves /dev/NAME */
struct x_boot_handle { char name[24]; uint32_t handle; uint32_t reserved; };
struct x_boot_page {
	uint64_t magic;
	char name[16];         /* service name */
	uint32_t handle_count;
	uint32_t arg_bytes;    /* of args below, NUL-separated */
	uint64_t archive_bytes;/* first process: size of the archive */
	uint64_t incarnation;  /* 1 for the first start of a service */
	uint64_t log_bytes;    /* of its undo log; 0: it is not restarted warm */
	uint64_t keep_bytes;   /* of the memory behind boot handle "keep", if there is one */
	char cmdline[512];     /* kernel command line */
	char args[512];
	struct x_boot_handle handles[64];
};

/* ------------------------------------------------------------ system call numbers */

#define X_SYSCALLS(S) \
	S(null, 0) \
	S(handle_close, 1) \
	S(handle_dup, 2) \
	S(handle_cloexec, 3) \
	S(handle_info, 4) \
	S(port_create, 5) \
	S(port_info, 6) \
	S(port_reset, 7) \
	S(mint, 8) \
	S(call, 9) \
	S(commit_receive, 10) \
	S(window_copy, 11) \
	S(object_ctl, 12) \
	S(wait, 13) \
	S(event_create, 14) \
	S(event_signal, 15) \
	S(event_take, 16) \
	S(bind, 17) \
	S(clock, 18) \
	S(mem_create, 19) \
	S(mem_map, 20) \
	S(mem_unmap, 21) \
	S(mem_protect, 22) \
	S(mem_query, 23) \
	S(mem_supply, 24) \
	S(mem_copy, 25) \
	S(mem_move, 26) \
	S(space_create, 27) \
	S(space_copy, 28) \
	S(proc_create, 29) \
	S(proc_grant, 30) \
	S(proc_fork, 31) \
	S(proc_exec, 32) \
	S(proc_kill, 33) \
	S(proc_suspend, 34) \
	S(proc_info, 35) \
	S(proc_exit, 36) \
	S(thread_create, 37) \
	S(thread_exit, 38) \
	S(thread_set_fs, 39) \
	S(notify_post, 40) \
	S(notify_mask, 41) \
	S(notify_ignore, 42) \
	S(resume, 43) \
	S(futex_wait, 44) \
	S(futex_wake, 45) \
	S(yield, 46) \
	S(log_write, 47) \
	S(log_read, 48) \
	S(system, 49) \
	S(system_info, 50) \
	S(device_create, 51) \
	S(device_map, 52) \
	S(device_config, 53) \
	S(device_irq, 54) \
	S(device_ctl, 55) \
	S(dma_map, 56) \
	S(ioports_create, 57) \
	S(ioport, 58) \
	S(irq_create, 59) \
	S(irq_ack, 60) \
	S(memory_physical, 61) \
	S(ioport_write, 62) \
	S(proc_reset, 63) \
	S(mem_content, 64) \
	S(mem_clean, 65) \
	S(mem_state, 66) \
	S(port_dirty, 67) \
	S(stream_set, 68) \
	S(stream, 69) \
	S(waitset_create, 70) \
	S(waitset_ctl, 71) \
	S(waitset_wait, 72) \
	S(notify_take, 73) \
	S(proc_handle, 74) \
	S(thread_affinity, 75) \
	S(window_lend, 76) \
	S(dma_window, 77) \
	S(dma_release, 78) \
	S(proc_limit, 79) \
	S(mem_advise, 80) \
	S(flow_set, 81) \
	S(flow_state, 82) \
	S(flow_pipe, 83) \
	S(proc_background, 84) \
	S(thread_robust, 85) \
	S(route, 86)

enum x_syscall_number {
#define X_SYSCALL_ENUM(name, number) X_SYS_##name = number,
	X_SYSCALLS(X_SYSCALL_ENUM)
#undef X_SYSCALL_ENUM
	X_SYSCALL_COUNT
};

_Static_assert(sizeof(struct x_msg) == 64, "messages are 64 bytes");
_Static_assert(sizeof(struct x_in) == 160, "struct x_in");
_Static_assert(sizeof(struct x_boot_page) <= X_PAGE_SIZE, "boot page");

#endif
