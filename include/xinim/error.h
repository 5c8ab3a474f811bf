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
	E(EDOM, 33, "argument out of domain") \
	E(ERANGE, 34, "result out of range") \
	E(EDEADLK, 35, "deadlock") \
	E(ENOMSG, 42, "no message of the desired type") \
	E(EIDRM, 43, "identifier removed") \
	E(ENAMETOOLONG, 36, "name too long") \
	E(ENOLCK, 37, "no locks available") \
	E(ENOSYS, 38, "not implemented") \
	E(ENOTEMPTY, 39, "directory not empty") \
	E(ELOOP, 40, "too many symbolic links") \
	E(ENODATA, 61, "no such attribute") \
	E(ETIME, 62, "the time is over") \
	E(EPROTO, 71, "protocol error") \
	E(EOVERFLOW, 75, "value too large") \
	E(EBADFD, 77, "in no state for it") \
	E(ENONET, 64, "not on the network") \
	E(ENOTSOCK, 88, "not a socket") \
	E(EDESTADDRREQ, 89, "destination address required") \
	E(EMSGSIZE, 90, "message too long") \
	E(EPROTOTYPE, 91, "wrong protocol for the socket's type") \
	E(ENOPROTOOPT, 92, "no such protocol option") \
	E(EPROTONOSUPPORT, 93, "protocol not supported") \
	E(ESOCKTNOSUPPORT, 94, "socket type not supported") \
	E(EOPNOTSUPP, 95, "not supported") \
	E(EAFNOSUPPORT, 97, "address family not supported") \
	E(EADDRINUSE, 98, "address in use") \
	E(EADDRNOTAVAIL, 99, "address not available") \
	E(ENETDOWN, 100, "network is down") \
	E(ENETUNREACH, 101, "network is unreachable") \
	E(ECONNABORTED, 103, "connection aborted") \
	E(ECONNRESET, 104, "connection reset by peer") \
	E(ENOBUFS, 105, "no buffer space") \
	E(EISCONN, 106, "is connected") \
	E(ENOTCONN, 107, "is not connected") \
	E(ETIMEDOUT, 110, "timed out") \
	E(ECONNREFUSED, 111, "connection refused") \
	E(EHOSTUNREACH, 113, "no route to host") \
	E(EALREADY, 114, "already under way") \
	E(EINPROGRESS, 115, "under way now") \
	E(ECANCELED, 125, "canceled") \
	E(EUCLEAN, 117, "structure needs cleaning") \
	E(EDEAD, 512, "the server died during the call") \
	E(ESTALE_HANDLE, 513, "the object was made by an earlier incarnation") \
	E(EWAIT, 514, "not resident yet; run again when it is") \
	E(EWRONGTYPE, 515, "handle of another type") \
	E(ERIGHTS, 516, "handle lacks a right") \
	E(ECROSS, 517, "path leaves this filesystem") \
	E(ESYMLINK, 518, "path meets a symbolic link") \
	E(ELOCAL, 519, "the caller has it itself")

enum x_error {
#define X_ERROR_ENUM(name, number, text) X_##name = number,
	X_ERRORS(X_ERROR_ENUM)
#undef X_ERROR_ENUM
};

#endif
