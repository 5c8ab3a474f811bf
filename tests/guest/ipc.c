/* SPDX-License-Identifier: BSD-2-Clause */
/* System V shared memory, semaphores and message queues. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

union semun { int val; struct semid_ds *buf; unsigned short *array; };
struct message { long type; char text[64]; };

static int ended(pid_t pid)
{
	int status = -1;

	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

static void pause_ms(int ms) { usleep((useconds_t)ms * 1000); }

static void shared_memory(void)
{
	key_t key = (key_t)(0x58000000 | getpid());
	int id = shmget(key, 10000, IPC_CREAT | IPC_EXCL | 0600), *at, *again;
	struct shmid_ds ds;
	pid_t pid;

	CHECK(id >= 0);
	FAILS(shmget(key, 10000, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	FAILS(shmget(key, 20000, 0), EINVAL);
	FAILS(shmget(key + 1, 100, 0), ENOENT);
	FAILS(shmget(IPC_PRIVATE, 0, IPC_CREAT | 0600), EINVAL);
	at = shmat(id, NULL, 0);
	CHECK(at != (void *)-1 && at[0] == 0);
	again = shmat(id, NULL, SHM_RDONLY);
	CHECK(again != (void *)-1 && again != at);
	at[5] = 17;
	CHECK(again[5] == 17);
	FAILS(shmat(id, (char *)at + 100, 0), EINVAL);
	FAILS(shmat(id, at, 0), EINVAL);
	FAILS(shmdt((char *)at + 4096), EINVAL);
	pid = fork();
	if (pid == 0) {
		at[6] = 23;
		_exit(shmdt(at) == 0 ? 0 : 1);
	}
	CHECK(ended(pid) == 0 && again[6] == 23);
	CHECK(shmctl(id, IPC_STAT, &ds) == 0);
	CHECK(ds.shm_nattch == 2 && ds.shm_segsz == 10000 && ds.shm_cpid == getpid());
	CHECK((ds.shm_perm.mode & 0777) == 0600);
	ds.shm_perm.mode = 0400;
	CHECK(shmctl(id, IPC_SET, &ds) == 0);
	FAILS(shmctl(id, IPC_STAT, (void *)1), EFAULT);
	CHECK(shmctl(id, IPC_RMID, NULL) == 0);
	CHECK(shmctl(id, IPC_STAT, &ds) == 0 && (ds.shm_perm.mode & 01000)); /* lives while it is attached */
	CHECK(at[5] == 17 && shmdt(again) == 0 && shmdt(at) == 0);
	FAILS(shmdt(at), EINVAL);
	FAILS(shmctl(id, IPC_STAT, &ds), EINVAL);
}

static int value_of(int id, int num) { return semctl(id, num, GETVAL); }

static void semaphores(void)
{
	int id = semget(IPC_PRIVATE, 3, IPC_CREAT | 0600);
	unsigned short all[3] = { 1, 2, 3 }, back[3] = { 0 };
	struct sembuf down = { 0, -1, 0 }, try = { 0, -1, IPC_NOWAIT };
	struct sembuf two[2] = { { 1, -2, 0 }, { 2, -4, IPC_NOWAIT } }, undo = { 1, 5, SEM_UNDO };
	struct sembuf zero = { 0, 0, 0 }, up = { 0, 1, 0 }, high = { 0, 32767, 0 }, bad = { 9, 1, 0 };
	struct timespec soon = { 0, 20000000 };
	struct semid_ds ds;
	pid_t pid;

	CHECK(id >= 0);
	CHECK(semctl(id, 0, SETALL, (union semun){ .array = all }) == 0);
	CHECK(semctl(id, 0, GETALL, (union semun){ .array = back }) == 0 && back[2] == 3);
	CHECK(semop(id, &down, 1) == 0 && value_of(id, 0) == 0);
	FAILS(semop(id, &try, 1), EAGAIN);
	FAILS(semop(id, two, 2), EAGAIN);
	CHECK(value_of(id, 1) == 2); /* all or nothing */
	FAILS(semop(id, &bad, 1), EFBIG);
	FAILS(semop(id, &down, 0), EINVAL);
	FAILS(semtimedop(id, &down, 1, &soon), EAGAIN);
	CHECK(semop(id, &zero, 1) == 0);
	pid = fork();
	if (pid == 0)
		_exit(semop(id, &down, 1) == 0 ? 0 : 1);
	while (semctl(id, 0, GETNCNT) != 1)
		pause_ms(1);
	CHECK(semop(id, &up, 1) == 0 && ended(pid) == 0 && value_of(id, 0) == 0);
	CHECK(semctl(id, 0, GETPID) == pid);
	pid = fork();
	if (pid == 0)
		_exit(semop(id, &undo, 1) == 0 && value_of(id, 1) == 7 ? 0 : 1);
	CHECK(ended(pid) == 0 && value_of(id, 1) == 2);
	CHECK(semop(id, &up, 1) == 0);
	FAILS(semop(id, &high, 1), ERANGE);
	FAILS(semctl(id, 0, SETVAL, (union semun){ .val = 40000 }), ERANGE);
	FAILS(semctl(id, 5, GETVAL), EINVAL);
	pid = fork();
	if (pid == 0)
		_exit(semop(id, &zero, 1) == -1 && errno == EIDRM ? 0 : 1);
	while (semctl(id, 0, GETZCNT) != 1)
		pause_ms(1);
	CHECK(semctl(id, 0, IPC_STAT, (union semun){ .buf = &ds }) == 0 && ds.sem_nsems == 3 && ds.sem_otime > 0);
	CHECK(semctl(id, 0, IPC_RMID) == 0 && ended(pid) == 0);
	FAILS(semop(id, &up, 1), EINVAL);
}

static volatile int signals;
static void note(int sig) { (void)sig; signals++; }

static void messages(void)
{
	int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600), count = 0;
	struct message m = { 3, "three" }, got = { 0, "" };
	struct sigaction action = { .sa_handler = note, .sa_flags = SA_RESTART };
	static struct { long type; char text[8192]; } big = { 1, "" };
	struct msqid_ds ds;
	pid_t pid;
	int status;

	CHECK(id >= 0);
	CHECK(msgsnd(id, &m, 6, 0) == 0);
	m = (struct message){ 1, "one" };
	CHECK(msgsnd(id, &m, 4, 0) == 0);
	m = (struct message){ 2, "two" };
	CHECK(msgsnd(id, &m, 4, 0) == 0);
	FAILS(msgsnd(id, &(struct message){ 0, "" }, 4, 0), EINVAL);
	FAILS(msgsnd(id, &m, 9000, 0), EINVAL);
	FAILS(msgrcv(id, &got, 64, 7, IPC_NOWAIT), ENOMSG);
	FAILS(msgrcv(id, &got, 2, 2, 0), E2BIG);
	CHECK(msgrcv(id, &got, 2, 2, MSG_NOERROR) == 2 && got.type == 2 && memcmp(got.text, "tw", 2) == 0);
	CHECK(msgrcv(id, &got, 64, -3, 0) == 4 && got.type == 1 && strcmp(got.text, "one") == 0);
	CHECK(msgctl(id, IPC_STAT, &ds) == 0 && ds.msg_qnum == 1 && ds.msg_cbytes == 6 && ds.msg_lspid == getpid());
	CHECK(msgrcv(id, &got, 64, 1, MSG_EXCEPT) == 6 && got.type == 3);
	memset(big.text, 'x', sizeof(big.text));
	while (msgsnd(id, &big, sizeof(big.text), IPC_NOWAIT) == 0)
		count++;
	CHECK(errno == EAGAIN && count >= 1);
	pid = fork();
	if (pid == 0)
		_exit(msgsnd(id, &m, 64, 0) == 0 && msgsnd(id, &big, sizeof(big.text), 0) == 0 ? 0 : 1);
	pause_ms(50);
	CHECK(msgrcv(id, &big, sizeof(big.text), 0, 0) == (ssize_t)sizeof(big.text) && big.text[8191] == 'x');
	CHECK(msgrcv(id, &got, 64, 2, 0) == 64); /* waits for it */
	while (count-- > 0)
		CHECK(msgrcv(id, &big, sizeof(big.text), 0, 0) == (ssize_t)sizeof(big.text));
	CHECK(ended(pid) == 0);
	sigaction(SIGUSR1, &action, NULL);
	pid = fork();
	if (pid == 0) /* never taken up again, SA_RESTART or not */
		_exit(msgrcv(id, &got, 64, 0, 0) == -1 && errno == EINTR && signals >= 1 ? 0 : 1);
	do { /* the first may come before it waits */
		kill(pid, SIGUSR1);
		pause_ms(100);
	} while (waitpid(pid, &status, WNOHANG) == 0);
	CHECK(status == 0);
	CHECK(msgctl(id, IPC_RMID, NULL) == 0);
	FAILS(msgrcv(id, &got, 64, 0, 0), EINVAL);
}

int main(void)
{
	shared_memory();
	semaphores();
	messages();
	return check_end("ipc");
}
