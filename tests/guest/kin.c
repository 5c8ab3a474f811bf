/* SPDX-License-Identifier: BSD-2-Clause */
/* What processes have to do with each other: pidfds, reapers, signals at the end of
 * parent and child, the memory and descriptors of others, vfork and posix_spawn. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif
enum { PIDFD_SEND_SIGNAL = 424, PIDFD_OPEN = 434, PIDFD_GETFD = 438, KCMP = 312 };

static int ended(pid_t pid)
{
	int status = -1;

	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

static void pidfds(void)
{
	int fd, end[2], theirs, dir;
	char path[32];
	struct pollfd p;
	siginfo_t info;
	char byte = 0;
	pid_t pid;

	CHECK(pipe(end) == 0);
	pid = fork();
	if (pid == 0) {
		int own = dup2(end[1], 77);

		pause();
		_exit(own);
	}
	fd = (int)syscall(PIDFD_OPEN, pid, 0);
	CHECK(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
	FAILS(syscall(PIDFD_OPEN, pid, 1), EINVAL);
	FAILS(syscall(PIDFD_OPEN, -1, 0), EINVAL);
	FAILS(syscall(PIDFD_SEND_SIGNAL, end[0], SIGTERM, NULL, 0), EBADF);
	CHECK(syscall(PIDFD_SEND_SIGNAL, fd, 0, NULL, 0) == 0);
	snprintf(path, sizeof(path), "/proc/%d", pid);
	dir = open(path, O_RDONLY | O_DIRECTORY); /* names a process as well */
	CHECK(dir >= 0 && syscall(PIDFD_SEND_SIGNAL, dir, 0, NULL, 0) == 0);
	close(dir);
	while ((theirs = (int)syscall(PIDFD_GETFD, fd, 77, 0)) < 0)
		usleep(1000);
	CHECK(write(theirs, "!", 1) == 1 && read(end[0], &byte, 1) == 1 && byte == '!');
	FAILS(syscall(PIDFD_GETFD, fd, 500, 0), EBADF);
	CHECK(syscall(KCMP, getpid(), pid, 0, theirs, 77) == 0);
	CHECK(syscall(KCMP, getpid(), pid, 0, end[0], 77) > 0);
	CHECK(syscall(KCMP, getpid(), pid, 1, 0, 0) > 0);  /* KCMP_VM */
	CHECK(syscall(KCMP, getpid(), pid, 6, 0, 0) == 0); /* KCMP_SYSVSEM: neither has any */
	p = (struct pollfd){ fd, POLLIN, 0 };
	CHECK(poll(&p, 1, 0) == 0);
	CHECK(syscall(PIDFD_SEND_SIGNAL, fd, SIGTERM, NULL, 0) == 0);
	CHECK(poll(&p, 1, 5000) == 1 && p.revents == POLLIN);
	CHECK(waitid(P_PIDFD, (id_t)fd, &info, WEXITED) == 0 && info.si_pid == pid && info.si_status == SIGTERM);
	FAILS(syscall(PIDFD_SEND_SIGNAL, fd, SIGTERM, NULL, 0), ESRCH);
	close(fd);
	close(theirs);
	close(end[0]);
	close(end[1]);
}

static void reapers(void)
{
	int end[2], on = -1, parent = 0;
	pid_t child, grandchild = 0;

	CHECK(prctl(PR_GET_CHILD_SUBREAPER, &on) == 0 && on == 0);
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 && prctl(PR_GET_CHILD_SUBREAPER, &on) == 0 && on == 1);
	CHECK(pipe(end) == 0);
	child = fork();
	if (child == 0) {
		grandchild = fork();
		if (grandchild == 0) {
			while (getppid() == (pid_t)on || getppid() != getpgrp())
				usleep(1000);
			parent = getppid();
			_exit(write(end[1], &parent, sizeof(parent)) != sizeof(parent));
		}
		_exit(write(end[1], &grandchild, sizeof(grandchild)) != sizeof(grandchild));
	}
	CHECK(read(end[0], &grandchild, sizeof(grandchild)) == sizeof(grandchild));
	CHECK(ended(child) == 0);
	CHECK(read(end[0], &parent, sizeof(parent)) == sizeof(parent) && parent == getpid());
	CHECK(ended(grandchild) == 0);
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 0) == 0);
	close(end[0]);
	close(end[1]);
}

static void parents_end(void)
{
	int end[2], ready[2], sig = 0;
	char byte;

	CHECK(pipe(end) == 0 && pipe(ready) == 0);
	if (fork() == 0) {
		if (fork() == 0) {
			CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && prctl(PR_GET_PDEATHSIG, &sig) == 0 && sig == SIGKILL);
			if (write(ready[1], "r", 1) == 1)
				pause();
			_exit(0);
		}
		_exit(read(ready[0], &byte, 1) != 1);
	}
	close(end[1]);
	CHECK(read(end[0], &byte, 1) == 0); /* all writers are gone */
	close(end[0]);
	close(ready[0]);
	close(ready[1]);
	while (wait(NULL) > 0)
		;
}

static volatile int signals;
static void note(int sig) { signals = sig; }

static void exit_signals(void)
{
	int status;
	pid_t pid;

	signal(SIGUSR2, note);
	pid = (pid_t)syscall(SYS_clone, SIGUSR2, 0, 0, 0, 0);
	if (pid == 0)
		_exit(5);
	while (!signals)
		usleep(1000);
	CHECK(signals == SIGUSR2);
	FAILS(waitpid(pid, &status, WNOHANG), ECHILD);
	CHECK(waitpid(pid, &status, __WALL) == pid && WEXITSTATUS(status) == 5);
}

static int cell = 1;

static void others_memory(void)
{
	int got = 0, new = 44, two[2] = { 0, 0 };
	struct iovec local = { &got, sizeof(got) }, remote = { &cell, sizeof(cell) };
	struct iovec split[2] = { { &two[0], 4 }, { &two[1], 4 } };
	int end[2];
	pid_t pid;

	CHECK(pipe(end) == 0);
	pid = fork();
	if (pid == 0) {
		cell = 33;
		if (write(end[1], "x", 1) != 1)
			_exit(1);
		while (*(volatile int *)&cell != 44)
			usleep(1000);
		_exit(0);
	}
	CHECK(read(end[0], &got, 1) == 1);
	CHECK(process_vm_readv(pid, &local, 1, &remote, 1, 0) == 4 && got == 33 && cell == 1);
	split[0].iov_len = 2;
	split[1].iov_len = 2;
	CHECK(process_vm_readv(pid, split, 2, &remote, 1, 0) == 4 && two[0] == 33 && two[1] == 0);
	FAILS(process_vm_readv(pid, &local, 1, &(struct iovec){ (void *)16, 4 }, 1, 0), EFAULT);
	FAILS(process_vm_readv(pid, &local, 1, &remote, 1, 1), EINVAL);
	local.iov_base = &new;
	CHECK(process_vm_writev(pid, &local, 1, &remote, 1, 0) == 4);
	CHECK(ended(pid) == 0);
	FAILS(process_vm_writev(pid, &local, 1, &remote, 1, 0), ESRCH);
	close(end[0]);
	close(end[1]);
}

/* /proc/N/mem: a file whose positions are addresses. */
static void memory_files(void)
{
	char path[32], *gap = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd, value = 0, other = 56, status = -1;
	pid_t pid;

	munmap(gap + 4096, 4096);
	fd = open("/proc/self/mem", O_RDONLY);
	CHECK(fd >= 0 && pread(fd, &value, sizeof(value), (off_t)(uintptr_t)&cell) == sizeof(value) && value == cell);
	CHECK(lseek(fd, (off_t)(uintptr_t)&cell, SEEK_SET) == (off_t)(uintptr_t)&cell && read(fd, &value, 1) == 1 &&
	      lseek(fd, 0, SEEK_CUR) == (off_t)(uintptr_t)&cell + 1);
	CHECK(pread(fd, path, 16, (off_t)(uintptr_t)gap + 4088) == 8);
	FAILS(pread(fd, path, 16, (off_t)(uintptr_t)gap + 4096), EIO);
	FAILS(pwrite(fd, &value, 1, (off_t)(uintptr_t)&cell), EBADF);
	close(fd);

	pid = fork();
	if (pid == 0) {
		while (*(volatile int *)&cell != 57)
			usleep(1000);
		_exit(7);
	}
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR);
	CHECK(fd >= 0 && pwrite(fd, &other, sizeof(other), (off_t)(uintptr_t)&cell) == sizeof(other));
	CHECK(pread(fd, &value, sizeof(value), (off_t)(uintptr_t)&cell) == sizeof(value) && value == 56 && cell != 56);
	other = 57;
	CHECK(pwrite(fd, &other, sizeof(other), (off_t)(uintptr_t)&cell) == sizeof(other));
	CHECK(ended(pid) == 7 << 8);
	close(fd);

	pid = fork();
	if (pid == 0) {
		snprintf(path, sizeof(path), "/proc/%d/mem", getppid());
		_exit(setgid(1000) == 0 && setuid(1000) == 0 && open(path, O_RDONLY) == -1 && errno == EACCES ? 7 : 8);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 7 << 8);
}

static void affinities(void)
{
	cpu_set_t all, one, now;
	unsigned int cpu = 99;
	int last = 0;

	CHECK(sched_getaffinity(0, sizeof(all), &all) == 0);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &all))
			last = i;
	CPU_ZERO(&one);
	CPU_SET(last, &one);
	CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
	CHECK(sched_getaffinity(0, sizeof(now), &now) == 0 && CPU_EQUAL(&now, &one));
	sched_yield();
	CHECK(syscall(SYS_getcpu, &cpu, NULL, NULL) == 0 && cpu == (unsigned int)last);
	CHECK(sched_setaffinity(0, sizeof(all), &all) == 0);
}

int main(void)
{
	setpgid(0, 0);
	pidfds();
	reapers();
	parents_end();
	exit_signals();
	others_memory();
	memory_files();
	affinities();
	return check_end("kin");
}
