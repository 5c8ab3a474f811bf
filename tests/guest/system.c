/* SPDX-License-Identifier: BSD-2-Clause */
/* Smaller calls: scheduling as kept and told, mincore, memfd, clone3, futex operations, children nobody waits for. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define NOBODY 1000000000 /* a pid above every pid_max */

enum { FUTEX_WAIT = 0, FUTEX_CMP_REQUEUE = 4, FUTEX_WAKE_OP = 5 };
enum { FUTEX_OP_SET, FUTEX_OP_ADD, FUTEX_OP_OR, FUTEX_OP_ANDN, FUTEX_OP_XOR };
enum { FUTEX_OP_CMP_EQ, FUTEX_OP_CMP_NE, FUTEX_OP_CMP_LT, FUTEX_OP_CMP_LE, FUTEX_OP_CMP_GT };
#define FUTEX_OP(op, value, compare, with) ((op) << 28 | (compare) << 24 | (value) << 12 | (with))

static void scheduling(void)
{
	struct sched_param param = { 0 };
	struct timespec slice;
	cpu_set_t set;
	uint32_t attr[16] = { 48 };

	CHECK(sched_get_priority_max(SCHED_FIFO) == 99 && sched_get_priority_min(SCHED_RR) == 1);
	CHECK(sched_get_priority_max(SCHED_OTHER) == 0);
	FAILS(sched_get_priority_max(77), EINVAL);
	CHECK(syscall(SYS_sched_getscheduler, 0) == SCHED_OTHER && syscall(SYS_sched_getscheduler, getpid()) == SCHED_OTHER);
	FAILS(syscall(SYS_sched_getscheduler, NOBODY), ESRCH);
	FAILS(syscall(SYS_sched_getscheduler, -1), EINVAL);
	CHECK(syscall(SYS_sched_getparam, 0, &param) == 0 && param.sched_priority == 0);
	FAILS(syscall(SYS_sched_getparam, 0, NULL), EINVAL);
	FAILS(syscall(SYS_sched_getparam, NOBODY, &param), ESRCH);
	param.sched_priority = 1;
	FAILS(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &param), EINVAL);
	FAILS(syscall(SYS_sched_setscheduler, 0, 77, &param), EINVAL);
	FAILS(syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, NULL), EINVAL);
	FAILS(syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, (void *)8), EFAULT);
	FAILS(syscall(SYS_sched_setscheduler, NOBODY, SCHED_FIFO, &param), ESRCH);
	param.sched_priority = 0;
	CHECK(syscall(SYS_sched_setscheduler, 0, SCHED_BATCH, &param) == 0);
	CHECK(syscall(SYS_sched_getscheduler, 0) == SCHED_BATCH);
	CHECK(syscall(SYS_sched_getattr, 0, attr, 48, 0) == 0 && attr[1] == SCHED_BATCH);
	FAILS(syscall(SYS_sched_getattr, 0, attr, 47, 0), EINVAL);
	FAILS(syscall(SYS_sched_setattr, 0, NULL, 0), EINVAL);
	CHECK(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &param) == 0);
	CHECK(syscall(SYS_sched_rr_get_interval, 0, &slice) == 0);
	FAILS(syscall(SYS_sched_rr_get_interval, -1, &slice), EINVAL);
	CHECK(sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) >= 1);
	FAILS(syscall(SYS_sched_getaffinity, 0, 1, &set), EINVAL);
	FAILS(sched_getaffinity(NOBODY, sizeof(set), &set), ESRCH);
	CPU_ZERO(&set);
	FAILS(sched_setaffinity(0, sizeof(set), &set), EINVAL);
	CPU_SET(0, &set);
	CHECK(sched_setaffinity(0, sizeof(set), &set) == 0);
	CPU_ZERO(&set);
	CHECK(sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) == 1 && CPU_ISSET(0, &set));
	FAILS(syscall(SYS_ioprio_get, 9, 0), EINVAL);
	CHECK(syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 3) == 0 && syscall(SYS_ioprio_get, 1, 0) == (2 << 13 | 3));
}

static void memory(void)
{
	long page = sysconf(_SC_PAGESIZE);
	unsigned char vector[4];
	char *p = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = syscall(SYS_memfd_create, "name", 1);

	memset(p, 1, 3 * page);
	CHECK(mincore(p, 3 * page, vector) == 0 && vector[0] & vector[1] & vector[2] & 1);
	FAILS(mincore(p + 1, page, vector), EINVAL);
	FAILS(mincore(p, page, (void *)8), EFAULT);
	munmap(p + page, page);
	FAILS(mincore(p, 3 * page, vector), ENOMEM);
	CHECK(madvise(p, page, MADV_WILLNEED) == 0 && madvise(p, 0, MADV_NORMAL) == 0);
	FAILS(madvise(p, 3 * page, MADV_WILLNEED), ENOMEM);
	FAILS(madvise(p + 1, page, MADV_NORMAL), EINVAL);
	FAILS(madvise(p, page, 1234), EINVAL);
	CHECK(mlock(p, page) == 0 && munlock(p, page) == 0);
	FAILS(mlock(p, 3 * page), ENOMEM);
	FAILS(munlock(p, 3 * page), ENOMEM);
	FAILS(syscall(SYS_mlock2, p, page, 2), EINVAL);
	FAILS(mlockall(0), EINVAL);
	FAILS(mlockall(64), EINVAL);
	FAILS(msync(p, 3 * page, MS_ASYNC), ENOMEM);
	CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC && ftruncate(fd, page) == 0);
	char *m = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(m != MAP_FAILED && pwrite(fd, "through", 8, 100) == 8 && !strcmp(m + 100, "through"));
	if (fork() == 0) {
		strcpy(m, "child");
		_exit(0);
	}
	wait(NULL);
	char buf[6];
	CHECK(pread(fd, buf, 6, 0) == 6 && !strcmp(buf, "child"));
	FAILS(syscall(SYS_memfd_create, "x", 0x4000000), EINVAL);
	FAILS(syscall(SYS_memfd_create, (char *)8, 0), EFAULT);
	close(fd);
}

static void futexes(void)
{
	uint32_t a = 0, b = 5;

	CHECK(syscall(SYS_futex, &a, FUTEX_WAKE_OP, 1, 1L, &b, FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 5)) == 0 && b == 8);
	CHECK(syscall(SYS_futex, &a, FUTEX_WAKE_OP, 1, 1L, &b, FUTEX_OP(FUTEX_OP_SET, 7, FUTEX_OP_CMP_GT, 5)) == 0 && b == 7);
	CHECK(syscall(SYS_futex, &a, FUTEX_WAKE_OP, 1, 1L, &b, FUTEX_OP(FUTEX_OP_ANDN, 1, FUTEX_OP_CMP_LT, 5)) == 0 && b == 6);
	FAILS(syscall(SYS_futex, &a, FUTEX_WAKE_OP, 1, 1L, (void *)8, 0), EFAULT);
	FAILS(syscall(SYS_futex, &a, FUTEX_WAIT, 1, NULL), EAGAIN);
	FAILS(syscall(SYS_futex, &a, FUTEX_CMP_REQUEUE, 1, 1L, &b, 9), EAGAIN);
}

static void children(void)
{
	struct { uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls; } args = { .exit_signal = SIGCHLD };
	int status, fd = -1;
	pid_t told = 0, pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0)
		_exit(6);
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 6);
	FAILS(syscall(SYS_clone3, &args, 8), EINVAL);
	FAILS(syscall(SYS_clone3, (void *)8, sizeof(args)), EFAULT);
	args.flags = CLONE_PIDFD | CLONE_PARENT_SETTID; /* which clone has one place for, clone3 two */
	args.pidfd = (uintptr_t)&fd;
	args.parent_tid = (uintptr_t)&told;
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		_exit(5);
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 5 && told == pid && close(fd) == 0);
	args.parent_tid = args.pidfd;
	FAILS(syscall(SYS_clone3, &args, sizeof(args)), EINVAL);
	args.flags = 0;
	args.exit_signal = 99;
	FAILS(syscall(SYS_clone3, &args, sizeof(args)), EINVAL);
	/* nobody waits for them */
	signal(SIGCHLD, SIG_IGN);
	if (fork() == 0)
		_exit(0);
	FAILS(wait(&status), ECHILD);
	signal(SIGCHLD, SIG_DFL);
	pid = fork();
	if (pid == 0)
		_exit(2);
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 2);
}

static void names(void)
{
	struct utsname before, now;

	uname(&before);
	if (fork() == 0) {
		setuid(1000);
		FAILS(sethostname("x", 1), EPERM);
		FAILS(setdomainname("x", 1), EPERM);
		_exit(failures);
	}
	int status;
	CHECK(wait(&status) > 0 && status == 0);
	FAILS(sethostname("x", -1), EINVAL);
	FAILS(sethostname("x", 65), EINVAL);
	FAILS(sethostname((void *)8, 4), EFAULT);
	uname(&now);
	CHECK(!strcmp(before.nodename, now.nodename));
	FAILS(uname((void *)8), EFAULT);
	CHECK(syscall(SYS_personality, 0xffffffff) == 0);
}

static void own_settings(void)
{
	char name[16] = "";

	CHECK(prctl(PR_SET_NAME, "a name that is too long") == 0 && prctl(PR_GET_NAME, name) == 0);
	CHECK(!strcmp(name, "a name that is "));
	CHECK(prctl(PR_GET_TIMERSLACK) == 50000 && prctl(PR_SET_TIMERSLACK, 200) == 0 && prctl(PR_GET_TIMERSLACK) == 200);
	CHECK(prctl(PR_SET_TIMERSLACK, 0) == 0 && prctl(PR_GET_TIMERSLACK) == 50000);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
	FAILS(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
	FAILS(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0), EINVAL);
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	FAILS(prctl(PR_SET_PDEATHSIG, 99), EINVAL);
	FAILS(prctl(9999), EINVAL);
}

static void directories(void)
{
	struct { uint64_t flags, mode, resolve; } how = { O_RDONLY | O_DIRECTORY, 0, 0 };
	char buf[4096];
	int fd, found = 0;
	long n;

	mkdir("d", 0700);
	close(open("d/file", O_CREAT | O_WRONLY, 0600));
	fd = syscall(SYS_openat2, AT_FDCWD, "d", &how, sizeof(how));
	CHECK(fd >= 0);
	while ((n = syscall(SYS_getdents, fd, buf, sizeof(buf))) > 0)
		for (long at = 0; at < n; at += *(unsigned short *)(buf + at + 16))
			found += !strcmp(buf + at + 18, "file") && buf[at + *(unsigned short *)(buf + at + 16) - 1] == 8;
	CHECK(n == 0 && found == 1);
	FAILS(syscall(SYS_getdents, 999, buf, sizeof(buf)), EBADF);
	FAILS(syscall(SYS_openat2, AT_FDCWD, "d", &how, 8), EINVAL);
	how.mode = 0600;
	FAILS(syscall(SYS_openat2, AT_FDCWD, "d", &how, sizeof(how)), EINVAL);
	how.mode = 0;
	how.flags = 1ull << 40;
	FAILS(syscall(SYS_openat2, AT_FDCWD, "d", &how, sizeof(how)), EINVAL);
	FAILS(syscall(SYS_openat2, AT_FDCWD, "d", (void *)8, sizeof(how)), EFAULT);
	close(fd);
	unlink("d/file");
	rmdir("d");
}

/* How much entropy there is, /dev/urandom and /proc say alike. */
static void entropy(void)
{
	const unsigned long RNDGETENTCNT = 0x80045200;
	int fd = open("/dev/urandom", O_RDONLY), bits = -1, told = -2;
	FILE *f = fopen("/proc/sys/kernel/random/entropy_avail", "r");

	CHECK(f && fscanf(f, "%d", &told) == 1);
	CHECK(fd >= 0 && ioctl(fd, RNDGETENTCNT, &bits) == 0 && bits == told);
	FAILS(ioctl(fd, RNDGETENTCNT, (void *)8), EFAULT);
	FAILS(ioctl(fd, RNDGETENTCNT + 99, &bits), EINVAL);
	close(fd);
	fd = open("/dev/null", O_RDONLY);
	FAILS(ioctl(fd, RNDGETENTCNT, &bits), ENOTTY);
	close(fd);
	if (f)
		fclose(f);
}

int main(void)
{
	entropy();
	own_settings();
	directories();
	scheduling();
	memory();
	futexes();
	children();
	names();
	return check_end("system");
}
