/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Linux x86-64 system calls, by number: L(name, number, state) is served by
 * linux_<name>(); DONE is complete as far as programs can tell, of what is
 * PARTLY there the comment says what is missing. N(name, number) answers
 * -ENOSYS and is logged once per process. Included with L and N defined; numbers
 * 335-423 don't exist. docs/linux-abi.md is made of this (tools/linuxabi.py).
 */
L(read, 0, DONE)
L(write, 1, DONE)
L(open, 2, DONE)
L(close, 3, DONE)
L(stat, 4, DONE)
L(fstat, 5, DONE)
L(lstat, 6, DONE)
L(poll, 7, DONE)
L(lseek, 8, DONE)
L(mmap, 9, DONE)
L(mprotect, 10, DONE)
L(munmap, 11, DONE)
L(brk, 12, DONE)
L(rt_sigaction, 13, DONE)
L(rt_sigprocmask, 14, DONE)
L(rt_sigreturn, 15, DONE)
L(ioctl, 16, DONE)
L(pread64, 17, DONE)
L(pwrite64, 18, DONE)
L(readv, 19, DONE)
L(writev, 20, DONE)
L(access, 21, DONE)
L(pipe, 22, DONE)
L(select, 23, DONE)
L(sched_yield, 24, DONE)
L(mremap, 25, PARTLY) /* only what lies in one mapping; MREMAP_DONTUNMAP of private anonymous memory only */
L(msync, 26, PARTLY) /* the range is checked; dirty pages are written by fsync and with time */
L(mincore, 27, DONE)
L(madvise, 28, PARTLY) /* DONTNEED on anonymous memory and what concerns fork; MADV_REMOVE is EINVAL */
L(shmget, 29, DONE)
L(shmat, 30, DONE)
L(shmctl, 31, DONE)
L(dup, 32, DONE)
L(dup2, 33, DONE)
L(pause, 34, DONE)
L(nanosleep, 35, DONE)
L(getitimer, 36, DONE)
L(alarm, 37, DONE)
L(setitimer, 38, DONE)
L(getpid, 39, DONE)
L(sendfile, 40, DONE)
L(socket, 41, PARTLY) /* families, types and options: the documents of vfs and net */
L(connect, 42, DONE)
L(accept, 43, DONE)
L(sendto, 44, DONE)
L(recvfrom, 45, DONE)
L(sendmsg, 46, PARTLY) /* families, types and options: the documents of vfs and net */
L(recvmsg, 47, PARTLY) /* families, types and options: the documents of vfs and net */
L(shutdown, 48, DONE)
L(bind, 49, DONE)
L(listen, 50, DONE)
L(getsockname, 51, DONE)
L(getpeername, 52, DONE)
L(socketpair, 53, PARTLY) /* families, types and options: the documents of vfs and net */
L(setsockopt, 54, PARTLY) /* families, types and options: the documents of vfs and net */
L(getsockopt, 55, PARTLY) /* families, types and options: the documents of vfs and net */
L(clone, 56, PARTLY) /* threads and processes; no namespaces; of CLONE_VM, FILES, FS, SIGHAND without CLONE_THREAD: the memory as in vfork, the others are copies */
L(fork, 57, DONE)
L(vfork, 58, DONE)
L(execve, 59, DONE)
L(exit, 60, DONE)
L(wait4, 61, DONE)
L(kill, 62, DONE)
L(uname, 63, DONE)
L(semget, 64, DONE)
L(semop, 65, DONE)
L(semctl, 66, DONE)
L(shmdt, 67, DONE)
L(msgget, 68, DONE)
L(msgsnd, 69, DONE)
L(msgrcv, 70, DONE)
L(msgctl, 71, DONE)
L(fcntl, 72, PARTLY) /* no leases, owners of signals, seals */
L(flock, 73, DONE)
L(fsync, 74, DONE)
L(fdatasync, 75, DONE)
L(truncate, 76, DONE)
L(ftruncate, 77, DONE)
L(getdents, 78, DONE)
L(getcwd, 79, DONE)
L(chdir, 80, DONE)
L(fchdir, 81, DONE)
L(rename, 82, DONE)
L(mkdir, 83, DONE)
L(rmdir, 84, DONE)
L(creat, 85, DONE)
L(link, 86, DONE)
L(unlink, 87, DONE)
L(symlink, 88, DONE)
L(readlink, 89, DONE)
L(chmod, 90, DONE)
L(fchmod, 91, DONE)
L(chown, 92, DONE)
L(fchown, 93, DONE)
L(lchown, 94, DONE)
L(umask, 95, DONE)
L(gettimeofday, 96, DONE)
L(getrlimit, 97, DONE)
L(getrusage, 98, PARTLY) /* times and largest size only */
L(sysinfo, 99, DONE)
L(times, 100, DONE)
L(ptrace, 101, PARTLY) /* no debug registers, SYSEMU, PEEKSIGINFO; the whole tracing process is the tracer */
L(getuid, 102, DONE)
L(syslog, 103, PARTLY) /* reading only */
L(getgid, 104, DONE)
L(setuid, 105, DONE)
L(setgid, 106, DONE)
L(geteuid, 107, DONE)
L(getegid, 108, DONE)
L(setpgid, 109, DONE)
L(getppid, 110, DONE)
L(getpgrp, 111, DONE)
L(setsid, 112, DONE)
L(setreuid, 113, DONE)
L(setregid, 114, DONE)
L(getgroups, 115, DONE)
L(setgroups, 116, DONE)
L(setresuid, 117, DONE)
L(getresuid, 118, DONE)
L(setresgid, 119, DONE)
L(getresgid, 120, DONE)
L(getpgid, 121, DONE)
L(setfsuid, 122, DONE)
L(setfsgid, 123, DONE)
L(getsid, 124, DONE)
L(capget, 125, PARTLY) /* all for uid 0, none for others */
L(capset, 126, PARTLY) /* as capget */
L(rt_sigpending, 127, DONE)
L(rt_sigtimedwait, 128, DONE)
L(rt_sigqueueinfo, 129, DONE)
L(rt_sigsuspend, 130, DONE)
L(sigaltstack, 131, DONE)
L(utime, 132, DONE)
L(mknod, 133, DONE)
N(uselib, 134)
L(personality, 135, DONE)
N(ustat, 136)
L(statfs, 137, DONE)
L(fstatfs, 138, DONE)
L(sysfs, 139, DONE)
L(getpriority, 140, PARTLY) /* kept and told */
L(setpriority, 141, PARTLY) /* kept and told */
L(sched_setparam, 142, PARTLY) /* kept and told: one band for all programs */
L(sched_getparam, 143, PARTLY) /* kept and told */
L(sched_setscheduler, 144, PARTLY) /* kept and told: one band for all programs */
L(sched_getscheduler, 145, PARTLY) /* kept and told */
L(sched_get_priority_max, 146, DONE)
L(sched_get_priority_min, 147, DONE)
L(sched_rr_get_interval, 148, DONE)
L(mlock, 149, DONE)
L(munlock, 150, DONE)
L(mlockall, 151, DONE)
L(munlockall, 152, DONE)
L(vhangup, 153, PARTLY) /* does nothing */
N(modify_ldt, 154)
N(pivot_root, 155)
N(_sysctl, 156)
L(prctl, 157, PARTLY) /* names, death signal, dumpable, timer slack, keepcaps, no_new_privs (kept only); others EINVAL */
L(arch_prctl, 158, PARTLY) /* ARCH_SET_GS has no effect */
L(adjtimex, 159, PARTLY) /* sets the offset at once; rates are kept and told */
L(setrlimit, 160, DONE)
L(chroot, 161, DONE)
L(sync, 162, DONE)
L(acct, 163, PARTLY) /* ENOSYS for uid 0, EPERM for others */
L(settimeofday, 164, PARTLY) /* no time zone; waits for futexes until a time of day do not notice */
L(mount, 165, DONE)
L(umount2, 166, DONE)
L(swapon, 167, PARTLY) /* EINVAL: there is no swap */
L(swapoff, 168, PARTLY) /* EINVAL: there is no swap */
L(reboot, 169, PARTLY) /* power off and restart */
L(sethostname, 170, DONE)
L(setdomainname, 171, DONE)
L(iopl, 172, PARTLY) /* EPERM */
L(ioperm, 173, PARTLY) /* EPERM */
N(create_module, 174)
N(init_module, 175)
N(delete_module, 176)
N(get_kernel_syms, 177)
N(query_module, 178)
N(quotactl, 179)
N(nfsservctl, 180)
N(getpmsg, 181)
N(putpmsg, 182)
N(afs_syscall, 183)
N(tuxcall, 184)
N(security, 185)
L(gettid, 186, DONE)
L(readahead, 187, PARTLY) /* does nothing */
L(setxattr, 188, PARTLY) /* on tmpfs; 3,800 bytes a value; EOPNOTSUPP elsewhere */
L(lsetxattr, 189, PARTLY) /* on tmpfs; 3,800 bytes a value; EOPNOTSUPP elsewhere */
L(fsetxattr, 190, PARTLY) /* on tmpfs; 3,800 bytes a value; EOPNOTSUPP elsewhere */
L(getxattr, 191, PARTLY) /* on tmpfs; 3,800 bytes a value; EOPNOTSUPP elsewhere */
L(lgetxattr, 192, PARTLY) /* on tmpfs; 3,800 bytes a value; EOPNOTSUPP elsewhere */
L(fgetxattr, 193, PARTLY) /* on tmpfs; 3,800 bytes a value; EOPNOTSUPP elsewhere */
L(listxattr, 194, PARTLY) /* on tmpfs; 3,800 bytes a value; EOPNOTSUPP elsewhere */
L(llistxattr, 195, PARTLY) /* on tmpfs; 3,800 bytes a value; EOPNOTSUPP elsewhere */
L(flistxattr, 196, PARTLY) /* on tmpfs; 3,800 bytes a value; EOPNOTSUPP elsewhere */
L(removexattr, 197, PARTLY) /* on tmpfs; 3,800 bytes a value; EOPNOTSUPP elsewhere */
L(lremovexattr, 198, PARTLY) /* on tmpfs; 3,800 bytes a value; EOPNOTSUPP elsewhere */
L(fremovexattr, 199, PARTLY) /* on tmpfs; 3,800 bytes a value; EOPNOTSUPP elsewhere */
L(tkill, 200, DONE)
L(time, 201, DONE)
L(futex, 202, PARTLY) /* no priority inheritance, no FUTEX_FD */
L(sched_setaffinity, 203, DONE)
L(sched_getaffinity, 204, DONE)
N(set_thread_area, 205)
L(io_setup, 206, PARTLY) /* 64 contexts */
L(io_destroy, 207, DONE)
L(io_getevents, 208, DONE)
L(io_submit, 209, PARTLY) /* no polling, no flags of single requests; with IOCB_FLAG_RESFD done on the spot */
L(io_cancel, 210, PARTLY) /* EINVAL: reads and writes cannot be, as on Linux */
N(get_thread_area, 211)
N(lookup_dcookie, 212)
L(epoll_create, 213, DONE)
N(epoll_ctl_old, 214)
N(epoll_wait_old, 215)
N(remap_file_pages, 216)
L(getdents64, 217, DONE)
L(set_tid_address, 218, DONE)
L(restart_syscall, 219, DONE)
L(semtimedop, 220, DONE)
L(fadvise64, 221, PARTLY) /* does nothing */
L(timer_create, 222, DONE)
L(timer_settime, 223, DONE)
L(timer_gettime, 224, DONE)
L(timer_getoverrun, 225, DONE)
L(timer_delete, 226, DONE)
L(clock_settime, 227, PARTLY) /* waits for futexes until a time of day do not notice */
L(clock_gettime, 228, DONE)
L(clock_getres, 229, DONE)
L(clock_nanosleep, 230, DONE)
L(exit_group, 231, DONE)
L(epoll_wait, 232, DONE)
L(epoll_ctl, 233, DONE)
L(tgkill, 234, DONE)
L(utimes, 235, DONE)
N(vserver, 236)
N(mbind, 237)
N(set_mempolicy, 238)
N(get_mempolicy, 239)
L(mq_open, 240, DONE)
L(mq_unlink, 241, DONE)
L(mq_timedsend, 242, DONE)
L(mq_timedreceive, 243, DONE)
L(mq_notify, 244, PARTLY) /* no SIGEV_THREAD: EINVAL */
L(mq_getsetattr, 245, DONE)
N(kexec_load, 246)
L(waitid, 247, DONE)
N(add_key, 248)
N(request_key, 249)
N(keyctl, 250)
L(ioprio_set, 251, PARTLY) /* kept for the process itself */
L(ioprio_get, 252, PARTLY) /* as set */
N(inotify_init, 253)
N(inotify_add_watch, 254)
N(inotify_rm_watch, 255)
N(migrate_pages, 256)
L(openat, 257, DONE)
L(mkdirat, 258, DONE)
L(mknodat, 259, DONE)
L(fchownat, 260, DONE)
L(futimesat, 261, DONE)
L(newfstatat, 262, DONE)
L(unlinkat, 263, DONE)
L(renameat, 264, DONE)
L(linkat, 265, DONE)
L(symlinkat, 266, DONE)
L(readlinkat, 267, DONE)
L(fchmodat, 268, DONE)
L(faccessat, 269, DONE)
L(pselect6, 270, DONE)
L(ppoll, 271, DONE)
L(unshare, 272, PARTLY) /* of a process with one thread; no namespaces: EPERM */
L(set_robust_list, 273, DONE)
L(get_robust_list, 274, DONE)
L(splice, 275, DONE)
L(tee, 276, DONE)
L(sync_file_range, 277, PARTLY) /* as fdatasync */
L(vmsplice, 278, PARTLY) /* copies */
N(move_pages, 279)
L(utimensat, 280, DONE)
L(epoll_pwait, 281, DONE)
L(signalfd, 282, DONE)
L(timerfd_create, 283, DONE)
L(eventfd, 284, DONE)
L(fallocate, 285, DONE)
L(timerfd_settime, 286, DONE)
L(timerfd_gettime, 287, DONE)
L(accept4, 288, DONE)
L(signalfd4, 289, DONE)
L(eventfd2, 290, DONE)
L(epoll_create1, 291, DONE)
L(dup3, 292, DONE)
L(pipe2, 293, DONE)
N(inotify_init1, 294)
L(preadv, 295, DONE)
L(pwritev, 296, DONE)
L(rt_tgsigqueueinfo, 297, DONE)
N(perf_event_open, 298)
L(recvmmsg, 299, DONE)
N(fanotify_init, 300)
N(fanotify_mark, 301)
L(prlimit64, 302, DONE)
N(name_to_handle_at, 303)
N(open_by_handle_at, 304)
L(clock_adjtime, 305, PARTLY) /* as adjtimex */
L(syncfs, 306, PARTLY) /* as fsync */
L(sendmmsg, 307, DONE)
N(setns, 308)
L(getcpu, 309, DONE)
L(process_vm_readv, 310, DONE)
L(process_vm_writev, 311, DONE)
L(kcmp, 312, PARTLY) /* no KCMP_EPOLL_TFD; threads of a process share everything */
N(finit_module, 313)
L(sched_setattr, 314, PARTLY) /* policy and priority, kept and told */
L(sched_getattr, 315, PARTLY) /* policy and priority */
L(renameat2, 316, DONE)
N(seccomp, 317)
L(getrandom, 318, DONE)
L(memfd_create, 319, PARTLY) /* no sealing, no huge pages */
N(kexec_file_load, 320)
N(bpf, 321)
L(execveat, 322, DONE)
N(userfaultfd, 323)
L(membarrier, 324, PARTLY) /* no rseq commands */
L(mlock2, 325, DONE)
L(copy_file_range, 326, PARTLY) /* no flags; by way of a buffer */
L(preadv2, 327, PARTLY) /* no RWF_NOWAIT, RWF_APPEND */
L(pwritev2, 328, PARTLY) /* no RWF_NOWAIT, RWF_APPEND */
N(pkey_mprotect, 329)
N(pkey_alloc, 330)
N(pkey_free, 331)
L(statx, 332, DONE)
L(io_pgetevents, 333, DONE)
N(rseq, 334)
L(pidfd_send_signal, 424, DONE)
L(io_uring_setup, 425, PARTLY) /* no SQPOLL, IOPOLL, large entries; not for the child of a fork */
L(io_uring_enter, 426, DONE)
L(io_uring_register, 427, PARTLY) /* no provided buffers, restrictions, personalities */
N(open_tree, 428)
N(move_mount, 429)
N(fsopen, 430)
N(fsconfig, 431)
N(fsmount, 432)
N(fspick, 433)
L(pidfd_open, 434, DONE)
L(clone3, 435, PARTLY) /* as clone; no set_tid, cgroup */
L(close_range, 436, DONE)
L(openat2, 437, PARTLY) /* RESOLVE_CACHED: EAGAIN */
L(pidfd_getfd, 438, DONE)
L(faccessat2, 439, DONE)
N(process_madvise, 440)
L(epoll_pwait2, 441, DONE)
N(mount_setattr, 442)
N(quotactl_fd, 443)
N(landlock_create_ruleset, 444)
N(landlock_add_rule, 445)
N(landlock_restrict_self, 446)
N(memfd_secret, 447)
N(process_mrelease, 448)
N(futex_waitv, 449)
N(set_mempolicy_home_node, 450)
N(cachestat, 451)
L(fchmodat2, 452, DONE)
