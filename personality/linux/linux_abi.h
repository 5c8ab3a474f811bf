/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Structures and constants of the Linux x86-64 system-call interface that the
 * personality converts from and to. Wire formats only, no code.
 * Sources: man-pages sections 2 and 7; System V ABI AMD64 for the registers.
 */
#ifndef PERSONALITY_LINUX_ABI_H
#define PERSONALITY_LINUX_ABI_H

#include <stdint.h>

/* Errors that have no place in the native list. */
#define L_ECHRNG 44
#define L_ENODATA 61
#define L_ENOTSOCK 88
#define L_EAFNOSUPPORT 97

/* ------------------------------------------------------------------- signals */

enum {
	SIGHUP = 1, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGKILL,
	SIGUSR1, SIGSEGV, SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGSTKFLT, SIGCHLD, SIGCONT,
	SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF,
	SIGWINCH, SIGIO, SIGPWR, SIGSYS, SIGNAL_MAX = 64,
};

#define SIG_DFL 0ull
#define SIG_IGN 1ull

#define SA_NOCLDSTOP 1ull
#define SA_NOCLDWAIT 2ull
#define SIGRTMIN 32u /* from here up every one sent arrives */

#define SA_SIGINFO   4ull
#define SA_RESTORER  0x04000000ull
#define SA_ONSTACK   0x08000000ull
#define SA_RESTART   0x10000000ull
#define SA_NODEFER   0x40000000ull
#define SA_RESETHAND 0x80000000ull

#define SS_ONSTACK 1
#define SS_DISABLE 2
#define SS_AUTODISARM 0x80000000u
#define LINUX_MINSIGSTKSZ 2048u

#define SIG_BLOCK   0
#define SIG_UNBLOCK 1
#define SIG_SETMASK 2

#define SI_USER   0
#define SI_KERNEL 0x80
#define SI_TKILL  (-6)

#define ILL_ILLOPN  2
#define FPE_INTDIV  1
#define FPE_FLTINV  7
#define SEGV_MAPERR 1
#define SEGV_ACCERR 2
#define BUS_ADRALN  1
#define BUS_ADRERR  2
#define TRAP_BRKPT  1
#define TRAP_TRACE  2
#define CLD_EXITED    1
#define CLD_KILLED    2
#define CLD_DUMPED    3
#define CLD_TRAPPED   4
#define CLD_STOPPED   5
#define CLD_CONTINUED 6

struct linux_sigaction {
	uint64_t handler, flags, restorer, mask;
};

struct linux_stack {
	uint64_t sp;
	int32_t flags, pad;
	uint64_t size;
};

struct linux_siginfo {
	int32_t signo, error, code, pad;
	union {
		struct { int32_t pid; uint32_t uid; int32_t status, pad; int64_t utime, stime; } child;
		struct { uint64_t sender, value; }; /* si_value, or the child's si_status */
		uint64_t address;
		uint8_t bytes[112];
	};
};

struct user_regs { /* struct user_regs_struct */
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax,
		rip, cs, rflags, rsp, ss, fs_base, gs_base, ds, es, fs, gs;
};

struct linux_sigcontext {
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
	uint16_t cs, gs, fs, ss;
	uint64_t error, trap, old_mask, cr2;
	uint64_t fpstate;
	uint64_t reserved[8];
};

struct linux_ucontext {
	uint64_t flags, link;
	struct linux_stack stack;
	struct linux_sigcontext mcontext;
	uint64_t sigmask;
};

#define UC_SIGCONTEXT_SS 2ull
#define UC_STRICT_RESTORE_SS 4ull

struct linux_rt_sigframe {
	uint64_t return_address;
	struct linux_ucontext uc;
	struct linux_siginfo info;
};

_Static_assert(sizeof(struct linux_siginfo) == 128, "siginfo_t");
_Static_assert(sizeof(struct linux_sigcontext) == 256, "struct sigcontext");
_Static_assert(sizeof(struct linux_ucontext) == 304, "struct ucontext");
_Static_assert(sizeof(struct linux_rt_sigframe) == 440, "struct rt_sigframe");

/* --------------------------------------------------------------------- files */

#define LINUX_AT_FDCWD (-100)
#define AT_SYMLINK_NOFOLLOW 0x100u
#define AT_REMOVEDIR        0x200u
#define AT_EACCESS          0x200u
#define AT_SYMLINK_FOLLOW   0x400u
#define AT_NO_AUTOMOUNT     0x800u
#define AT_EMPTY_PATH      0x1000u
#define AT_STATX_SYNC_TYPE 0x6000u

#define LINUX_PATH_MAX 4096u
#define LINUX_IOV_MAX  1024u

#define UTIME_NOW  0x3fffffff
#define UTIME_OMIT 0x3ffffffe

enum { SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE };

#define F_DUPFD 0
#define F_GETFD 1
#define F_SETFD 2
#define F_GETFL 3
#define F_SETFL 4
#define F_GETLK 5
#define F_SETLK 6
#define F_SETLKW 7
#define F_SETOWN 8
#define F_GETOWN 9
#define F_DUPFD_CLOEXEC 1030
#define F_SETPIPE_SZ 1031
#define F_GETPIPE_SZ 1032
#define FD_CLOEXEC 1

#define L_O_ASYNC   020000u
#define L_O_NOATIME 01000000u

struct linux_stat {
	uint64_t dev, ino, nlink;
	uint32_t mode, uid, gid, pad;
	uint64_t rdev;
	int64_t size, blksize, blocks;
	uint64_t atime, atime_ns, mtime, mtime_ns, ctime, ctime_ns;
	int64_t reserved[3];
};

struct linux_statfs {
	int64_t type, bsize;
	uint64_t blocks, bfree, bavail, files, ffree;
	uint64_t fsid;
	int64_t namelen, frsize, flags, spare[4];
};

struct linux_statx_time { int64_t sec; uint32_t nsec; int32_t pad; };
struct linux_statx {
	uint32_t mask, blksize;
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode, pad;
	uint64_t ino, size, blocks, attributes_mask;
	struct linux_statx_time atime, btime, ctime, mtime;
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t mnt_id, spare[13];
};
#define STATX_BASIC_STATS 0x7ffu

struct linux_iovec { uint64_t base, len; };

_Static_assert(sizeof(struct linux_stat) == 144, "struct stat");
_Static_assert(sizeof(struct linux_statfs) == 120, "struct statfs");
_Static_assert(sizeof(struct linux_statx) == 256, "struct statx");

/* -------------------------------------------------------------------- memory */

#define MAP_SHARED    0x01u
#define MAP_PRIVATE   0x02u
#define MAP_SHARED_VALIDATE 0x03u
#define MAP_TYPE      0x0fu
#define MAP_FIXED     0x10u
#define MAP_ANONYMOUS 0x20u
#define MAP_GROWSDOWN 0x100u
#define MAP_LOCKED 0x2000u
#define MAP_FIXED_NOREPLACE 0x100000u

#define MREMAP_MAYMOVE 1u
#define MS_ASYNC 1u
#define MS_INVALIDATE 2u
#define MS_SYNC 4u
#define MREMAP_FIXED   2u
#define MREMAP_DONTUNMAP 4u

enum { MADV_WILLNEED = 3, MADV_DONTNEED, MADV_FREE = 8, MADV_REMOVE, MADV_DONTFORK, MADV_DOFORK, MADV_MERGEABLE,
       MADV_UNMERGEABLE, MADV_HUGEPAGE, MADV_WIPEONFORK = 18, MADV_KEEPONFORK, MADV_DONTNEED_LOCKED = 24, MADV_COLLAPSE };

/* ---------------------------------------------------------- time and waiting */

struct linux_timespec { int64_t sec, nsec; };
struct linux_timeval { int64_t sec, usec; };
struct linux_itimerval { struct linux_timeval interval, value; };
struct linux_itimerspec { struct linux_timespec interval, value; };
struct linux_timezone { int32_t minuteswest, dsttime; };

#define TIMER_ABSTIME 1

struct linux_pollfd { int32_t fd; int16_t events, revents; };

#define POLLIN     0x001
#define POLLPRI    0x002
#define POLLOUT    0x004
#define POLLERR    0x008
#define POLLHUP    0x010
#define POLLNVAL   0x020
#define POLLRDNORM 0x040
#define POLLRDBAND 0x080
#define POLLWRNORM 0x100
#define POLLWRBAND 0x200
#define POLLRDHUP  0x2000

#define FUTEX_WAIT        0
#define FUTEX_WAKE        1
#define FUTEX_REQUEUE     3
#define FUTEX_CMP_REQUEUE 4
#define FUTEX_WAKE_OP     5
#define FUTEX_WAIT_BITSET 9
#define FUTEX_WAKE_BITSET 10
#define FUTEX_PRIVATE_FLAG   128u
#define FUTEX_CLOCK_REALTIME 256u
#define FUTEX_WAITERS    0x80000000u
#define FUTEX_OWNER_DIED 0x40000000u
#define FUTEX_TID_MASK   0x3fffffffu

/* ----------------------------------------------------------------- processes */

#define CLONE_VM             0x00000100ull
#define CLONE_FS             0x00000200ull
#define CLONE_FILES          0x00000400ull
#define CLONE_SIGHAND        0x00000800ull
#define CLONE_VFORK          0x00004000ull
#define CLONE_THREAD         0x00010000ull
#define CLONE_SETTLS         0x00080000ull
#define CLONE_PARENT_SETTID  0x00100000ull
#define CLONE_CHILD_CLEARTID 0x00200000ull
#define CLONE_CHILD_SETTID   0x01000000ull
#define CLONE_NEW_ANY        0x7e020000ull /* namespaces */

#define WNOHANG    1u
#define WUNTRACED  2u
#define WEXITED    4u
#define WCONTINUED 8u
#define WNOWAIT    0x01000000u

struct linux_rusage {
	struct linux_timeval utime, stime;
	int64_t maxrss, rest[13];
};
struct linux_tms { int64_t utime, stime, cutime, cstime; };
struct linux_rlimit { uint64_t soft, hard; };
#define RLIMIT_NLIMITS 16u

struct linux_utsname {
	char sysname[65], nodename[65], release[65], version[65], machine[65], domainname[65];
};

struct linux_sysinfo {
	int64_t uptime;
	uint64_t loads[3], totalram, freeram, sharedram, bufferram, totalswap, freeswap;
	uint16_t procs, pad;
	uint64_t totalhigh, freehigh;
	uint32_t mem_unit;
};

_Static_assert(sizeof(struct linux_rusage) == 144, "struct rusage");
_Static_assert(sizeof(struct linux_utsname) == 390, "struct new_utsname");
_Static_assert(sizeof(struct linux_sysinfo) == 112, "struct sysinfo");

#endif
