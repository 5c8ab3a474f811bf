/* SPDX-License-Identifier: BSD-2-Clause */
/* Handlers, masks, restart, alternate stack, siginfo, faults, sigsuspend. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static volatile sig_atomic_t count, last_sig, last_code, last_pid, on_alt;
static volatile double last_double;
static char alt[65536];
static sigjmp_buf env;

static void handler(int sig) { count++; last_sig = sig; }

static void info_handler(int sig, siginfo_t *info, void *context)
{
	char here;

	(void)context;
	count++;
	last_sig = sig;
	last_code = info->si_code;
	last_pid = info->si_pid;
	on_alt = &here >= alt && &here < alt + sizeof(alt);
	last_double = 1.0 / (double)sig; /* the FPU is the handler's, then ours again */
}

static void set(int sig, void *fn, int flags)
{
	struct sigaction sa = { 0 };

	if (flags & SA_SIGINFO)
		sa.sa_sigaction = (void (*)(int, siginfo_t *, void *))fn;
	else
		sa.sa_handler = (void (*)(int))fn;
	sa.sa_flags = flags;
	CHECK(sigaction(sig, &sa, NULL) == 0);
}

static void masks(void)
{
	sigset_t set_, old, pending;

	set(SIGUSR1, handler, 0);
	sigemptyset(&set_);
	sigaddset(&set_, SIGUSR1);
	CHECK(sigprocmask(SIG_BLOCK, &set_, &old) == 0);
	CHECK(!sigismember(&old, SIGUSR1));
	count = 0;
	raise(SIGUSR1);
	kill(getpid(), SIGUSR1);
	CHECK(count == 0);
	CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1));
	CHECK(sigprocmask(SIG_UNBLOCK, &set_, NULL) == 0);
	CHECK(count >= 1);
	printf("masks: signal %d\n", last_sig);
	FAILS(sigprocmask(99, &set_, NULL), EINVAL);
	sigfillset(&set_); /* KILL and STOP stay open */
	CHECK(sigprocmask(SIG_SETMASK, &set_, &old) == 0);
	CHECK(sigprocmask(SIG_SETMASK, &old, &set_) == 0);
	CHECK(!sigismember(&set_, SIGKILL) && !sigismember(&set_, SIGSTOP) && sigismember(&set_, SIGTERM));
}

static void siginfo(void)
{
	double kept = 3.25;

	set(SIGUSR2, info_handler, SA_SIGINFO);
	count = 0;
	kill(getpid(), SIGUSR2);
	CHECK(count == 1 && last_code == SI_USER && last_pid == getpid());
	CHECK(kept == 3.25);
	raise(SIGUSR2);
	CHECK(count == 2 && last_code == SI_TKILL);
	printf("siginfo: %d handlers\n", count);
}

static void altstack(void)
{
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof(alt) }, old;

	CHECK(sigaltstack(&ss, &old) == 0 && (old.ss_flags & SS_DISABLE));
	set(SIGUSR2, info_handler, SA_SIGINFO | SA_ONSTACK);
	raise(SIGUSR2);
	CHECK(on_alt);
	set(SIGUSR2, info_handler, SA_SIGINFO);
	raise(SIGUSR2);
	CHECK(!on_alt);
	ss.ss_size = 16;
	FAILS(sigaltstack(&ss, NULL), ENOMEM);
}

static void restart(void)
{
	struct itimerval timer = { .it_value = { 0, 50000 } };
	char c;
	int fds[2], status;

	CHECK(pipe(fds) == 0);
	set(SIGALRM, handler, 0);
	count = 0;
	setitimer(ITIMER_REAL, &timer, NULL);
	FAILS(read(fds[0], &c, 1), EINTR);
	CHECK(count == 1);
	set(SIGALRM, handler, SA_RESTART);
	if (fork() == 0) {
		usleep(300000);
		_exit(write(fds[1], "x", 1) == 1 ? 0 : 1);
	}
	setitimer(ITIMER_REAL, &timer, NULL);
	CHECK(read(fds[0], &c, 1) == 1 && c == 'x');
	CHECK(count == 2);
	CHECK(wait(&status) > 0 && status == 0);
	close(fds[0]);
	set(SIGPIPE, handler, 0);
	FAILS(write(fds[1], "x", 1), EPIPE);
	CHECK(last_sig == SIGPIPE);
	close(fds[1]);
	puts("restart: done");
}

static void suspend(void)
{
	struct timespec ts = { 20, 0 }, left = { 0, 0 };
	struct itimerval timer = { .it_value = { 0, 50000 } };
	sigset_t block, wait_mask;

	set(SIGALRM, handler, 0);
	sigemptyset(&block);
	sigaddset(&block, SIGALRM);
	sigprocmask(SIG_BLOCK, &block, &wait_mask);
	count = 0;
	setitimer(ITIMER_REAL, &timer, NULL);
	FAILS(sigsuspend(&wait_mask), EINTR);
	CHECK(count == 1);
	sigprocmask(SIG_SETMASK, &wait_mask, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	FAILS(nanosleep(&ts, &left), EINTR);
	CHECK(left.tv_nsec > 0 && left.tv_sec < 20);
	sigprocmask(SIG_BLOCK, &block, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	CHECK(sigtimedwait(&block, NULL, &(struct timespec){ 2, 0 }) == SIGALRM);
	FAILS(sigtimedwait(&block, NULL, &(struct timespec){ 0, 10000000 }), EAGAIN);
	sigprocmask(SIG_SETMASK, &wait_mask, NULL);
	puts("suspend: done");
}

static void fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	last_sig = sig;
	last_code = info->si_code;
	siglongjmp(env, 1);
}

static void faults(void)
{
	volatile char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	volatile int zero = 0;

	set(SIGSEGV, fault, SA_SIGINFO);
	set(SIGFPE, fault, SA_SIGINFO);
	set(SIGILL, fault, SA_SIGINFO);
	if (!sigsetjmp(env, 1))
		*(volatile char *)8 = 1;
	printf("fault: signal %d code %d\n", last_sig, last_code);
	if (!sigsetjmp(env, 1))
		*page = 1;
	printf("fault: signal %d code %d\n", last_sig, last_code);
	if (!sigsetjmp(env, 1))
		zero = 10 / zero;
	printf("fault: signal %d code %d\n", last_sig, last_code);
	if (!sigsetjmp(env, 1))
		__asm__ volatile("ud2");
	printf("fault: signal %d code %d\n", last_sig, last_code);
}

static int child_status(int sig, int ignore)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		signal(sig, ignore ? SIG_IGN : SIG_DFL);
		raise(sig);
		_exit(7);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return status & ~0x80;
}

static void defaults(void)
{
	printf("default: TERM %x INT %x CHLD %x WINCH %x ABRT %x TERM ignored %x\n", child_status(SIGTERM, 0),
	       child_status(SIGINT, 0), child_status(SIGCHLD, 0), child_status(SIGWINCH, 0),
	       child_status(SIGABRT, 0), child_status(SIGTERM, 1));
}

static void stop_and_continue(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		raise(SIGSTOP);
		_exit(3);
	}
	CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	CHECK(kill(pid, SIGCONT) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 3);
	puts("stop: done");
}

static void once(void)
{
	struct sigaction sa;

	set(SIGUSR1, handler, SA_RESETHAND);
	raise(SIGUSR1);
	sigaction(SIGUSR1, NULL, &sa);
	CHECK(sa.sa_handler == SIG_DFL);
	FAILS(sigaction(SIGKILL, &sa, NULL), EINVAL);
	FAILS(kill(getpid(), 65), EINVAL);
	FAILS(kill(999999, 0), ESRCH);
}

/* The process's signals as /proc tells them; not those from 32 on, which may have come ignored from whoever started us. */
static void tell(const char *when)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[200];

	printf("%s:", when);
	while (fgets(line, sizeof(line), f))
		if ((!strncmp(line, "Sig", 3) && line[3] != 'Q') || !strncmp(line, "ShdPnd", 6))
			printf(" %.7s %08lx", line, strtoul(line + 7, NULL, 16) & 0x7fffffff);
	puts("");
	fclose(f);
}

static void told(void)
{
	struct timespec now = { 0 };
	sigset_t held, one;

	sigemptyset(&held);
	sigaddset(&held, SIGUSR1);
	sigaddset(&held, SIGWINCH);
	for (int i = 1; i < 32; i++)
		signal(i, SIG_DFL);
	tell("at first");
	set(SIGPIPE, SIG_IGN, 0);
	set(SIGUSR1, handler, 0);
	set(SIGUSR2, handler, SA_RESETHAND);
	sigprocmask(SIG_BLOCK, &held, NULL);
	kill(getpid(), SIGUSR1);
	raise(SIGUSR1);
	raise(SIGUSR2);
	kill(getpid(), SIGWINCH);
	tell("pending");
	set(SIGHUP, SIG_IGN, 0); /* SIGWINCH, ignored by default, stays to be waited for */
	sigemptyset(&one);
	sigaddset(&one, SIGWINCH);
	CHECK(sigtimedwait(&one, NULL, &now) == SIGWINCH);
	set(SIGUSR1, SIG_IGN, 0);
	tell("dropped");
	if (fork() == 0) {
		tell("a child");
		exit(0);
	}
	wait(NULL);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	masks();
	siginfo();
	altstack();
	restart();
	suspend();
	faults();
	defaults();
	stop_and_continue();
	once();
	told();
	return check_end("signals");
}
