/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ptrace: the stops of a child that is traced from its beginning, of a thread that is attached to,
 * and what is done to it meanwhile.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static volatile long word = 41;

static int wait_for(pid_t pid)
{
	int status = -1;

	return waitpid(pid, &status, __WALL) == pid ? status : -1;
}

static pid_t traced_child(void (*run)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		run();
		_exit(7);
	}
	return pid;
}

static void use_word(void)
{
	_exit((int)word);
}

static void memory_and_registers(void)
{
	pid_t pid = traced_child(use_word);
	struct user_regs_struct regs;
	struct iovec iov = { &regs, sizeof(regs) };
	siginfo_t info;

	CHECK(wait_for(pid) == (SIGSTOP << 8 | 0x7f));
	CHECK(ptrace(PTRACE_PEEKDATA, pid, &word, NULL) == 41);
	CHECK(ptrace(PTRACE_POKEDATA, pid, &word, 42L) == 0);
	CHECK(ptrace(PTRACE_PEEKDATA, pid, &word, NULL) == 42);
	errno = 0;
	CHECK(ptrace(PTRACE_PEEKDATA, pid, (void *)8, NULL) == -1 && errno == EIO);
	CHECK(ptrace(PTRACE_GETREGS, pid, NULL, &regs) == 0);
	CHECK(regs.cs == 0x33 && regs.rip == (unsigned long)ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user, regs.rip), NULL));
	memset(&regs, 0, sizeof(regs));
	CHECK(ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &iov) == 0 && iov.iov_len == sizeof(regs) && regs.ss == 0x2b);
	CHECK(ptrace(PTRACE_GETSIGINFO, pid, NULL, &info) == 0 && info.si_signo == SIGSTOP && info.si_pid == pid);
	CHECK(ptrace(PTRACE_CONT, pid, NULL, 0L) == 0);
	CHECK(wait_for(pid) == 42 << 8);
}

static void ask_parent(void)
{
	syscall(SYS_getppid);
	_exit((int)syscall(SYS_getpid) == 99 ? 1 : 2);
}

/* Each call stops twice; the number and the result of one are changed. */
static void system_calls(void)
{
	pid_t pid = traced_child(ask_parent);
	struct __ptrace_syscall_info info;
	int begins = 0, ends = 0, changed = 0, status;

	CHECK(wait_for(pid) == (SIGSTOP << 8 | 0x7f));
	CHECK(ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) == 0);
	for (;;) {
		ptrace(PTRACE_SYSCALL, pid, NULL, 0L);
		status = wait_for(pid);
		if (status != ((SIGTRAP | 0x80) << 8 | 0x7f))
			break;
		CHECK(ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) > 0);
		if (info.op == PTRACE_SYSCALL_INFO_ENTRY && (info.entry.nr == SYS_getppid || info.entry.nr == SYS_getpid)) {
			begins++;
			changed = info.entry.nr == SYS_getpid;
		} else if (info.op == PTRACE_SYSCALL_INFO_EXIT && begins > ends) {
			ends++;
			CHECK((info.exit.rval == getpid()) == !changed);
			if (changed)
				ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.rax), 99L);
		}
	}
	CHECK(status == 1 << 8);
	printf("begun %d, ended %d\n", begins, ends);
}

static void step_target(void)
{
	__asm__ volatile("int3; nop; nop; nop");
	_exit(5);
}

static void breakpoint_and_steps(void)
{
	pid_t pid = traced_child(step_target);
	unsigned long at;

	CHECK(wait_for(pid) == (SIGSTOP << 8 | 0x7f));
	ptrace(PTRACE_CONT, pid, NULL, 0L);
	CHECK(wait_for(pid) == (SIGTRAP << 8 | 0x7f));
	at = (unsigned long)ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user, regs.rip), NULL);
	CHECK((ptrace(PTRACE_PEEKTEXT, pid, (void *)(at - 1), NULL) & 0xff) == 0xcc);
	for (int i = 0; i < 2; i++) {
		CHECK(ptrace(PTRACE_SINGLESTEP, pid, NULL, 0L) == 0);
		CHECK(wait_for(pid) == (SIGTRAP << 8 | 0x7f));
	}
	CHECK((unsigned long)ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user, regs.rip), NULL) == at + 2);
	/* one where it may not write */
	CHECK(ptrace(PTRACE_POKETEXT, pid, (void *)(at + 2),
		     (ptrace(PTRACE_PEEKTEXT, pid, (void *)(at + 2), NULL) & ~0xffL) | 0xcc) == 0);
	ptrace(PTRACE_CONT, pid, NULL, 0L);
	CHECK(wait_for(pid) == (SIGTRAP << 8 | 0x7f));
	ptrace(PTRACE_CONT, pid, NULL, (long)SIGKILL);
	CHECK(wait_for(pid) == SIGKILL);
}

static void fork_and_exec(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(3);
	waitpid(pid, NULL, 0);
	execl("/bin/true", "true", (char *)NULL);
}

static void events(void)
{
	pid_t pid = traced_child(fork_and_exec), child = 0, at;
	unsigned long message = 0;
	int status, forks = 0, execs = 0, births = 0, ended = 0;

	CHECK(wait_for(pid) == (SIGSTOP << 8 | 0x7f));
	CHECK(ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACEFORK | PTRACE_O_TRACEEXEC) == 0);
	ptrace(PTRACE_CONT, pid, NULL, 0L);
	while ((at = waitpid(-1, &status, __WALL)) > 0) {
		int signal = WSTOPSIG(status), deliver = 0;

		if (!WIFSTOPPED(status)) {
			ended++;
			CHECK(WIFEXITED(status) && WEXITSTATUS(status) == (at == pid ? 0 : 3));
			continue;
		}
		if (status >> 16 == PTRACE_EVENT_FORK) {
			forks++;
			CHECK(ptrace(PTRACE_GETEVENTMSG, at, NULL, &message) == 0);
			child = (pid_t)message;
		} else if (status >> 16 == PTRACE_EVENT_EXEC) {
			execs++;
		} else if (at != pid && signal == SIGSTOP) {
			births++;
		} else {
			deliver = signal; /* SIGCHLD */
		}
		ptrace(PTRACE_CONT, at, NULL, (long)deliver);
	}
	CHECK(child > 0);
	printf("forks %d, births %d, execs %d, ended %d\n", forks, births, execs, ended);
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
}

static void seized(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		for (;;)
			nap();
	nap();
	CHECK(ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0);
	CHECK(ptrace(PTRACE_SEIZE, pid, NULL, NULL) == -1 && errno == EPERM);
	CHECK(ptrace(PTRACE_CONT, pid, NULL, 0L) == -1 && errno == ESRCH);
	CHECK(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0);
	CHECK(wait_for(pid) == ((SIGTRAP | PTRACE_EVENT_STOP << 8) << 8 | 0x7f));
	CHECK(ptrace(PTRACE_DETACH, pid, NULL, 0L) == 0);
	CHECK(ptrace(PTRACE_ATTACH, pid, NULL, NULL) == 0);
	CHECK(wait_for(pid) == (SIGSTOP << 8 | 0x7f));
	CHECK(ptrace(PTRACE_DETACH, pid, NULL, 0L) == 0);
	nap();
	CHECK(waitpid(pid, &status, WNOHANG | WUNTRACED) == 0); /* it runs */
	kill(pid, SIGKILL);
	CHECK(wait_for(pid) == SIGKILL);
	CHECK(ptrace(PTRACE_PEEKDATA, pid, &word, NULL) == -1 && errno == ESRCH);
}

int main(void)
{
	memory_and_registers();
	system_calls();
	breakpoint_and_steps();
	events();
	seized();
	return check_end("trace");
}
