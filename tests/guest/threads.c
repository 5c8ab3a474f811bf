/* SPDX-License-Identifier: BSD-2-Clause */
/* pthreads on clone and futex: mutexes, conditions, signals to threads, time-outs. */
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

#define FUTEX_WAIT 0
#define FUTEX_WAKE 1
#define FUTEX_PRIVATE_FLAG 128

#define THREADS 8
#define ROUNDS 2000

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static int counter, turn;
static __thread int own;
static volatile pthread_t handled_by;

static void *add(void *arg)
{
	own = (int)(intptr_t)arg;
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&mutex);
		counter++;
		pthread_mutex_unlock(&mutex);
	}
	return (void *)(intptr_t)(own * 10);
}

static void counting(void)
{
	pthread_t t[THREADS];
	intptr_t sum = 0;
	void *result;

	for (intptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&t[i], NULL, add, (void *)i) == 0);
	for (int i = 0; i < THREADS; i++) {
		CHECK(pthread_join(t[i], &result) == 0);
		sum += (intptr_t)result;
	}
	printf("counting: %d, results %ld\n", counter, (long)sum);
}

static void *ping(void *arg)
{
	int me = (int)(intptr_t)arg;

	for (int i = 0; i < 200; i++) {
		pthread_mutex_lock(&mutex);
		while (turn != me)
			pthread_cond_wait(&cond, &mutex);
		turn = !me;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

static void taking_turns(void)
{
	pthread_t a, b;

	CHECK(pthread_create(&a, NULL, ping, (void *)0) == 0 && pthread_create(&b, NULL, ping, (void *)1) == 0);
	CHECK(pthread_join(a, NULL) == 0 && pthread_join(b, NULL) == 0);
	printf("turns: %d\n", turn);
}

static void handler(int sig) { (void)sig; handled_by = pthread_self(); }

static void *sleeper(void *arg)
{
	struct timespec ts = { 5, 0 };

	(void)arg;
	pthread_barrier_wait(&barrier);
	while (!handled_by)
		nanosleep(&ts, NULL);
	return NULL;
}

static void thread_signals(void)
{
	struct sigaction sa = { .sa_handler = handler };
	pthread_t t;

	sigaction(SIGUSR1, &sa, NULL);
	pthread_barrier_init(&barrier, NULL, 2);
	CHECK(pthread_create(&t, NULL, sleeper, NULL) == 0);
	pthread_barrier_wait(&barrier);
	usleep(50000);
	CHECK(pthread_kill(t, SIGUSR1) == 0);
	CHECK(pthread_join(t, NULL) == 0);
	CHECK(pthread_equal(handled_by, t));
}

static void timeouts(void)
{
	struct timespec ts = { 0, 20000000 };
	uint32_t word = 1;

	FAILS(syscall(SYS_futex, &word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0), EAGAIN);
	FAILS(syscall(SYS_futex, &word, FUTEX_WAIT, 1, &ts, NULL, 0), ETIMEDOUT);
	FAILS(syscall(SYS_futex, (char *)&word + 1, FUTEX_WAIT, 1, &ts, NULL, 0), EINVAL);
	FAILS(syscall(SYS_futex, 8, FUTEX_WAIT, 1, &ts, NULL, 0), EFAULT);
	CHECK(syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0) == 0);
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += 20000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&mutex);
	CHECK(pthread_cond_timedwait(&cond, &mutex, &ts) == ETIMEDOUT);
	pthread_mutex_unlock(&mutex);
}

static void *forker(void *arg)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(syscall(SYS_gettid) == getpid() ? 12 : 13);
	CHECK(waitpid(pid, &status, 0) == pid);
	*(int *)arg = WEXITSTATUS(status);
	return NULL;
}

static void fork_in_thread(void)
{
	pthread_t t;
	int status = 0;

	CHECK(pthread_create(&t, NULL, forker, &status) == 0 && pthread_join(t, NULL) == 0);
	printf("fork in a thread: %d\n", status);
}

static void *leave(void *arg)
{
	(void)arg;
	usleep(50000);
	exit(check_end("threads"));
}

/* Who holds a robust mutex and ends, by itself or by a signal, leaves word of it. */
static void owner_dies(void)
{
	pthread_mutex_t *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t attr;
	int status;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	CHECK(m != MAP_FAILED && pthread_mutex_init(m, &attr) == 0);
	for (int how = 0; how < 2; how++) {
		pid_t pid = fork();

		if (pid == 0) {
			pthread_mutex_lock(m);
			if (how)
				raise(SIGTERM);
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid && status == (how ? SIGTERM : 0));
		CHECK(pthread_mutex_lock(m) == EOWNERDEAD);
		CHECK(pthread_mutex_consistent(m) == 0 && pthread_mutex_unlock(m) == 0);
	}
	munmap(m, 4096);
}

struct held { pthread_mutex_t m; volatile int held, child; };

static void *hold(void *of)
{
	struct held *s = of;

	pthread_mutex_lock(&s->m);
	s->held = 1;
	for (;;)
		pause();
	return NULL;
}

/* The same by SIGKILL, with somebody waiting for it: the owner sleeps, computes, is another thread, is stopped, or
 * waits for the child of its vfork. */
static void owner_is_killed(void)
{
	struct held *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t attr;
	int status;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	for (int how = 0; how < 5; how++) {
		pid_t owner, waiter;
		pthread_t t;

		s->held = 0;
		CHECK(pthread_mutex_init(&s->m, &attr) == 0);
		owner = fork();
		if (owner == 0) {
			if (how == 2)
				pthread_create(&t, NULL, hold, s);
			else
				pthread_mutex_lock(&s->m);
			if (how == 4 && vfork() == 0) {
				s->child = getpid();
				s->held = 1;
				for (;;)
					pause();
			}
			while (how == 2)
				pause();
			s->held = 1;
			while (how == 1)
				s->held = 1;
			for (;;)
				pause();
		}
		while (!s->held)
			usleep(1000);
		waiter = fork();
		if (waiter == 0)
			_exit(pthread_mutex_lock(&s->m) == EOWNERDEAD ? 7 : 8);
		usleep(20000);
		if (how == 3)
			CHECK(kill(owner, SIGSTOP) == 0 && waitpid(owner, &status, WUNTRACED) == owner && WIFSTOPPED(status));
		CHECK(kill(owner, SIGKILL) == 0);
		CHECK(waitpid(owner, &status, 0) == owner && status == SIGKILL);
		CHECK(waitpid(waiter, &status, 0) == waiter && status == 7 << 8);
		if (how == 4)
			CHECK(kill(s->child, SIGKILL) == 0);
	}
	munmap(s, 4096);
}

static pid_t other; // its number
static void *be_listed(void *stop)
{
	__atomic_store_n(&other, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
	pthread_barrier_wait(stop);
	return NULL;
}

/* /proc/N/task: a directory for each thread, with what its process tells. */
static void listed(void)
{
	pthread_barrier_t stop;
	char path[64], line[256] = "";
	struct dirent *e;
	pthread_t t;
	int known = 0;
	DIR *d;
	FILE *f;

	pthread_barrier_init(&stop, NULL, 2);
	CHECK(pthread_create(&t, NULL, be_listed, &stop) == 0);
	while (!__atomic_load_n(&other, __ATOMIC_ACQUIRE))
		usleep(1000);
	d = opendir("/proc/self/task");
	CHECK(d != NULL);
	while (d && (e = readdir(d)))
		known += e->d_name[0] == '.' || atoi(e->d_name) == getpid() || atoi(e->d_name) == other ? 1 : 100;
	CHECK(known == 4);
	closedir(d);
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", other);
	f = fopen(path, "r");
	CHECK(f && fgets(line, sizeof(line), f) && atoi(line) == other);
	fclose(f);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/../../comm", getpid(), other);
	f = fopen(path, "r");
	CHECK(f && fgets(line, sizeof(line), f) && strlen(line) > 1);
	fclose(f);
	snprintf(path, sizeof(path), "/proc/self/task/%d", other);
	CHECK(chdir(path) == 0 && access("status", R_OK) == 0 && access("task", F_OK) == -1 && chdir("..") == 0 &&
	      getcwd(line, sizeof(line)) && strstr(line, "/task") && chdir("/tmp") == 0);
	pthread_barrier_wait(&stop);
	pthread_join(t, NULL);
	CHECK(access(path, F_OK) == -1 && access("/proc/self/task/1000000", F_OK) == -1);
}

static volatile int computing;
static void *compute(void *arg)
{
	for (;;)
		computing++;
	return arg;
}

static void *rest(void *arg)
{
	for (;;)
		pause();
	return arg;
}

/* For a debugger: one thread computes, one rests; then the first fails. */
__attribute__((noinline)) static void fail_with_threads(void)
{
	pthread_t t[2];

	CHECK(pthread_create(&t[0], NULL, compute, NULL) == 0 && pthread_create(&t[1], NULL, rest, NULL) == 0);
	while (!computing)
		;
	usleep(20000);
	*(volatile int *)8 = 0;
}

int main(int argc, char **argv)
{
	pthread_t t;

	if (argc > 1 && !strcmp(argv[1], "fail"))
		fail_with_threads();

	setvbuf(stdout, NULL, _IOLBF, 0);
	counting();
	taking_turns();
	thread_signals();
	timeouts();
	fork_in_thread();
	owner_dies();
	owner_is_killed();
	listed();
	CHECK(pthread_create(&t, NULL, leave, NULL) == 0);
	pthread_exit(NULL); /* the first thread ends before the process does */
}
