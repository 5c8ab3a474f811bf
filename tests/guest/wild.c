/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every system call number with wild arguments: each must come back, with an
 * error or a harmless result, and neither the program nor the system may be
 * hurt. A child per number, so that what a call may do stays in it. Wild numbers
 * may name real things of the machine: on a host, not as root.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

/* Calls that end, stop, multiply or wait by design, or change the machine. */
static const int skipped[] = {
	SYS_exit, SYS_exit_group, SYS_fork, SYS_vfork, SYS_clone, SYS_clone3, SYS_kill, SYS_tkill,
	SYS_tgkill, SYS_pause, SYS_rt_sigsuspend, SYS_rt_sigreturn, SYS_rt_sigtimedwait, SYS_reboot,
	SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo, SYS_vhangup, SYS_select, SYS_pselect6, SYS_poll, SYS_wait4, SYS_waitid,
	SYS_setsid, SYS_alarm, SYS_setitimer, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_brk, SYS_mmap, SYS_madvise,
	SYS_arch_prctl, SYS_set_thread_area, SYS_modify_ldt, SYS_seccomp, SYS_ptrace, SYS_chroot,
	SYS_setrlimit, SYS_prlimit64, SYS_sync, SYS_syncfs, SYS_settimeofday, SYS_clock_settime, SYS_shmat,
	SYS_remap_file_pages, SYS_swapoff, SYS_kexec_load, SYS_rseq, SYS_sethostname, SYS_setdomainname,
	SYS_restart_syscall, SYS_userfaultfd, SYS_vmsplice, SYS_futex, SYS_membarrier, SYS_process_madvise,
	SYS_msgget, SYS_msgsnd, SYS_msgrcv, SYS_msgctl, SYS_semget, SYS_semop, SYS_semctl, SYS_semtimedop,
	SYS_shmget, SYS_shmctl, SYS_shmdt, SYS_setpriority, SYS_syslog, SYS_ioprio_set, SYS_process_vm_writev,
	SYS_migrate_pages, SYS_move_pages, 335 /* uretprobe */, 336 /* uprobe */,
};

static int is_skipped(long number)
{
	for (size_t i = 0; i < sizeof(skipped) / sizeof(skipped[0]); i++)
		if (skipped[i] == number)
			return 1;
	return 0;
}

static const uint64_t wild[] = {
	8, 0x7fffffffffffffffull, 0xffffffffffffffffull, 0x8000000000000000ull, 0xffff800000000000ull,
	0x7f8000000000ull, 0x7f8004010000ull, 0x7f8fffff0000ull, 0x7ffffffff000ull, 0x0000dead00000000ull,
};
#define WILD (sizeof(wild) / sizeof(wild[0]))

static void try(long number)
{
	/* Keep descriptors out of it: nothing of ours is open above 2. */
	for (size_t i = 0; i < WILD; i++) {
		syscall(number, wild[i], wild[i], wild[i], wild[i], wild[i], wild[i]);
		syscall(number, wild[i], wild[(i + 1) % WILD], 64, wild[(i + 2) % WILD], 0, 0);
		syscall(number, 100, wild[i], 64, wild[i], wild[i], wild[i]);
	}
}

int main(void)
{
	int survived = 0, tried = 0;

	for (long number = 0; number <= 450; number++) {
		int status = -1;
		pid_t pid;

		if (is_skipped(number))
			continue;
		tried++;
		pid = fork();
		if (pid == 0) {
			int null = open("/dev/null", O_RDWR);

			dup2(null, 0);
			dup2(null, 1);
			dup2(null, 2);
			close(null);
			try(number);
			_exit(42);
		}
		CHECK(pid > 0);
		if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 42)
			survived++;
		else
			printf("number %ld: status %x\n", number, status);
	}
	/* Bad buffers of calls that would use them at once are EFAULT, no less. */
	FAILS(syscall(SYS_uname, 8), EFAULT);
	FAILS(syscall(SYS_pipe, 8), EFAULT);
	FAILS(syscall(SYS_getcwd, 8, 4096), EFAULT);
	FAILS(syscall(SYS_stat, ".", 8), EFAULT);
	FAILS(syscall(SYS_open, 8, 0), EFAULT);
	FAILS(syscall(SYS_clock_gettime, 0, 8), EFAULT);
	FAILS(syscall(SYS_rt_sigaction, 10, 8, 0, 8), EFAULT);
	FAILS(syscall(SYS_execve, 8, 0, 0), EFAULT);
	FAILS(syscall(SYS_nanosleep, 8, 0), EFAULT);
	FAILS(syscall(SYS_poll, 8, 1, 0), EFAULT);
	CHECK(survived == tried);
	printf("wild: %s numbers survived\n", survived == tried ? "all" : "not all");
	return check_end("wild");
}
