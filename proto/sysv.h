/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System V IPC, served by pm on the sessions of Linux processes (PM_SHM, PM_SEM,
 * PM_MSG of proto/pm.h). a[0] of each call says which operation; structures in
 * windows have the layout of Linux on x86-64 (<asm-generic/{ipc,shm,sem,msg}buf.h>),
 * so that the personality passes them through.
 *
 * Errors: -X_EINVAL (no such id, bad size or command), -X_ENOENT, -X_EEXIST,
 * -X_ENOSPC, -X_EACCES, -X_EPERM, -X_EIDRM (removed while one waited), -X_EFAULT,
 * -X_ERANGE, -X_EFBIG, -X_E2BIG, -X_EAGAIN, -X_ENOMSG, -X_EINTR.
 */
#ifndef PROTO_SYSV_H
#define PROTO_SYSV_H

#include <stdint.h>

/* flags of *get, and of operations */
#define SYSV_CREAT  01000u
#define SYSV_EXCL   02000u
#define SYSV_NOWAIT 04000u
#define SHM_READ_ONLY 010000u
#define SHM_EXECUTE   0100000u
#define MSG_NO_ERROR  010000u
#define MSG_NOT_TYPE  020000u
#define MSG_COPIED    040000u /* the message of that number, 0 the first, which stays */
#define MSG_PEEK_COPY 040000u
#define SEM_UNDONE    0x1000

enum sysv_op {
	SYSV_GET,     /* a[1] key, a[2] flags, a[3] shm: bytes, sem: how many -> a[0] id */
	SYSV_CONTROL, /* a[1] id, a[2] command, sem: a[3] number, a[4] value; win0 the structure
	                 -> a[0] the result */
	SHM_ATTACH,   /* a[1] id, a[2] flags -> handle[0] the memory, a[0] its bytes, a[1] token */
	SHM_ATTACHED, /* a[1] token, a[2] address; 0: it came to nothing */
	SHM_DETACH,   /* a[1] address -> a[0] bytes to be unmapped */
	SEM_OPERATE,  /* a[1] id, a[2] how many, win0 struct sysv_sembuf[]; parks,
	                 or with a[3] = 1 answers -X_EINPROGRESS instead */
	MSG_SEND,     /* a[1] id, a[2] flags, win0 the type (64 bits) and the text; parks */
	MSG_RECEIVE,  /* a[1] id, a[2] flags, a[3] type, a[4] room for text; win0 as in SEND;
	                 parks -> status bytes of text */
};

/* commands of SYSV_CONTROL */
enum { IPC_RMID, IPC_SET, IPC_STAT, IPC_INFO };
enum { SHM_LOCK = 11, SHM_UNLOCK, SHM_STAT, SHM_INFO, SHM_STAT_ANY };
enum { SEM_GETPID = 11, SEM_GETVAL, SEM_GETALL, SEM_GETNCNT, SEM_GETZCNT, SEM_SETVAL, SEM_SETALL,
       SEM_STAT, SEM_INFO, SEM_STAT_ANY };
enum { MSG_STAT = 11, MSG_INFO, MSG_STAT_ANY };

/* limits */
enum { SHM_SEGMENTS = 128, SEM_SETS = 128, SEM_PER_SET = 250, SEM_OPS = 32, SEM_VALUE_MAX = 32767,
       MSG_QUEUES = 64, MSG_TEXT_MAX = 8192, MSG_QUEUE_BYTES = 16384 };

struct sysv_perm {
	uint32_t key, uid, gid, cuid, cgid, mode;
	uint16_t seq, pad[3];
	uint64_t unused[2];
};
#define SHM_MODE_DEST   01000u /* in mode: removed, but still attached */
#define SHM_MODE_LOCKED 02000u

struct sysv_shmid {
	struct sysv_perm perm;
	uint64_t bytes, atime, dtime, ctime;
	uint32_t cpid, lpid;
	uint64_t nattch, unused[2];
};
struct sysv_semid {
	struct sysv_perm perm;
	uint64_t otime, unused1, ctime, unused2, nsems, unused3[2];
};
struct sysv_msqid {
	struct sysv_perm perm;
	uint64_t stime, rtime, ctime, cbytes, qnum, qbytes;
	uint32_t lspid, lrpid;
	uint64_t unused[2];
};
struct sysv_sembuf { uint16_t num; int16_t op, flags; };
struct sysv_shminfo { uint64_t shmmax, shmmin, shmmni, shmseg, shmall, unused[4]; };
struct sysv_shm_info { uint32_t used_ids, pad; uint64_t total, resident, swapped, unused[2]; };
struct sysv_seminfo { int32_t semmap, semmni, semmns, semmnu, semmsl, semopm, semume, semusz, semvmx, semaem; };
struct sysv_msginfo { int32_t msgpool, msgmap, msgmax, msgmnb, msgmni, msgssz, msgtql; uint16_t msgseg, pad; };

_Static_assert(sizeof(struct sysv_perm) == 48 && sizeof(struct sysv_shmid) == 112 &&
	       sizeof(struct sysv_semid) == 104 && sizeof(struct sysv_msqid) == 120 &&
	       sizeof(struct sysv_sembuf) == 6, "Linux's layouts");

#endif
