/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one error list of the system.
 *
 * System calls and protocol answers give 0 or a positive result for success
 * and the negated number for failure. Numbers that have a Linux namesake are
 * equal to it (so the personality needs no table); XINIM's own begin at 512
 * and never reach a Linux program.
 */
#ifndef XINIM_ERROR_H
#define XINIM_ERROR_H

#define X_ERRORS(E) \
	E(EPERM, 1, "operation not permitted") \
	E(ENOENT, 2, "no such file or directory") \
	E(ESRCH, 3, "no such process") \
	E(EINTR, 4, "interrupted") \
	E(EIO, 5, "input/output error") \
	E(ENXIO, 6, "no such device or address") \
	E(E2BIG, 7, "argument list too long") \
	E(ENOEXEC, 8, "not an executable format") \
	E(EBADF, 9, "bad handle") \
	E(ECHILD, 10, "no child processes") \
	E(EAGAIN, 11, "would block") \
	E(ENOMEM, 12, "out of memory") \
	E(EACCES, 13, "permission denied") \
	E(EFAULT, 14, "bad address") \
	E(ENOTBLK, 15, "block device required") \
	E(EBUSY, 16, "busy") \
	E(EEXIST, 17, "exists") \
	E(EXDEV, 18, "cross-device link") \
	E(ENODEV, 19, "no such device") \
	E(ENOTDIR, 20, "not a directory") \
	E(EISDIR, 21, "is a directory") \
	E(EINVAL, 22, "invalid argument") \
	E(ENFILE, 23, "too many open files in system") \
	E(EMFILE, 24, "too many handles") \
	E(ENOTTY, 25, "not a terminal") \
	E(ETXTBSY, 26, "text file busy") \
	E(EFBIG, 27, "file too large") \
	E(ENOSPC, 28, "no space left") \
	E(ESPIPE, 29, "illegal seek") \
	E(EROFS, 30, "read-only filesystem") \
	E(EMLINK, 31, "too many links") \
	E(EPIPE, 32, "broken pipe") \
	E(ERANGE, 34, "result out of range") \
	E(EDEADLK, 35, "deadlock") \
	E(ENAMETOOLONG, 36, "name too long") \
	E(ENOLCK, 37, "no locks available") \
	E(ENOSYS, 38, "not implemented") \
	E(ENOTEMPTY, 39, "directory not empty") \
	E(ELOOP, 40, "too many symbolic links") \
	E(EPROTO, 71, "protocol error") \
	E(EOVERFLOW, 75, "value too large") \
	E(EOPNOTSUPP, 95, "not supported") \
	E(ETIMEDOUT, 110, "timed out") \
	E(ECANCELED, 125, "canceled") \
	E(EUCLEAN, 117, "structure needs cleaning") \
	E(EDEAD, 512, "the server died during the call") \
	E(ESTALE_HANDLE, 513, "the object was made by an earlier incarnation") \
	E(EWAIT, 514, "not resident yet; run again when it is") \
	E(EWRONGTYPE, 515, "handle of another type") \
	E(ERIGHTS, 516, "handle lacks a right") \
	E(ECROSS, 517, "path leaves this filesystem") \
	E(ESYMLINK, 518, "path meets a symbolic link")

enum x_error {
#define X_ERROR_ENUM(name, number, text) X_##name = number,
	X_ERRORS(X_ERROR_ENUM)
#undef X_ERROR_ENUM
};

#endif
