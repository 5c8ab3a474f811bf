/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /proc/config.gz: by the names that Linux's configuration has, what there is
 * here. Programs, and test suites above all, look there before they ask for it.
 * In the format of RFC 1952, the text in one stored block (RFC 1951, 3.2.4).
 */
#include "lib/c/crc32.h"
#include "servers/pm/procfs.h"

static const char config[] =
	"#\n# XINIM, in the words of Linux's configuration\n#\n"
	"CONFIG_64BIT=y\nCONFIG_X86_64=y\nCONFIG_X86=y\nCONFIG_MMU=y\nCONFIG_SMP=y\nCONFIG_MULTIUSER=y\n"
	"CONFIG_SYSVIPC=y\nCONFIG_SYSVIPC_SYSCTL=y\nCONFIG_CROSS_MEMORY_ATTACH=y\nCONFIG_KCMP=y\n"
	"CONFIG_POSIX_TIMERS=y\nCONFIG_HIGH_RES_TIMERS=y\nCONFIG_PRINTK=y\nCONFIG_FUTEX=y\nCONFIG_EPOLL=y\n"
	"CONFIG_EVENTFD=y\nCONFIG_TIMERFD=y\nCONFIG_SHMEM=y\nCONFIG_AIO=y\nCONFIG_IO_URING=y\nCONFIG_SIGNALFD=y\nCONFIG_POSIX_MQUEUE=y\nCONFIG_POSIX_MQUEUE_SYSCTL=y\nCONFIG_ADVISE_SYSCALLS=y\n"
	"CONFIG_MEMBARRIER=y\nCONFIG_CHECKPOINT_RESTORE=y\nCONFIG_SYSFS_SYSCALL=y\nCONFIG_BINFMT_ELF=y\n"
	"CONFIG_BINFMT_SCRIPT=y\nCONFIG_BLOCK=y\nCONFIG_MSDOS_PARTITION=y\nCONFIG_EFI_PARTITION=y\n"
	"CONFIG_FILE_LOCKING=y\nCONFIG_PROC_FS=y\nCONFIG_PROC_SYSCTL=y\nCONFIG_TMPFS=y\nCONFIG_MEMFD_CREATE=y\n"
	"CONFIG_MINIX_FS=y\nCONFIG_DEVTMPFS=y\nCONFIG_TTY=y\nCONFIG_UNIX98_PTYS=y\nCONFIG_SERIAL_8250=y\n"
	"CONFIG_NET=y\nCONFIG_PACKET=y\nCONFIG_UNIX=y\nCONFIG_INET=y\nCONFIG_IPV6=y\n"
	"CONFIG_VIRTIO_BLK=y\nCONFIG_VIRTIO_NET=y\nCONFIG_E1000=y\nCONFIG_SATA_AHCI=y\n"
	"# CONFIG_MODULES is not set\n# CONFIG_SWAP is not set\n# CONFIG_NUMA is not set\n# CONFIG_NAMESPACES is not set\n"
	"# CONFIG_CGROUPS is not set\n# CONFIG_KEYS is not set\n# CONFIG_BPF_SYSCALL is not set\n"
	"# CONFIG_INOTIFY_USER is not set\n"
	"# CONFIG_FANOTIFY is not set\n# CONFIG_SECCOMP is not set\n"
	"# CONFIG_USERFAULTFD is not set\n# CONFIG_HUGETLBFS is not set\n# CONFIG_BSD_PROCESS_ACCT is not set\n"
	"# CONFIG_QUOTA is not set\n# CONFIG_PERF_EVENTS is not set\n# CONFIG_MANDATORY_FILE_LOCKING is not set\n";

enum { CONFIG_BYTES = sizeof(config) - 1, GZIP_HEADER = 10, BLOCK_HEADER = 5, GZIP_TRAILER = 8 };
_Static_assert(CONFIG_BYTES < 65536, "one stored block");

void text_config(struct text *t, const struct proc *p, uint64_t reader)
{
	static const uint8_t header[GZIP_HEADER + BLOCK_HEADER] = {
		0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3,     /* deflate, no name, no date, Unix */
		1, CONFIG_BYTES & 0xff, CONFIG_BYTES >> 8, ~CONFIG_BYTES & 0xff, ~CONFIG_BYTES >> 8 & 0xff,
	};
	const uint32_t trailer[2] = { crc32(0, config, CONFIG_BYTES), CONFIG_BYTES };

	(void)p, (void)reader;
	if (t->size < sizeof(header) + CONFIG_BYTES + sizeof(trailer))
		return;
	memcpy(t->buf, header, sizeof(header));
	memcpy(t->buf + sizeof(header), config, CONFIG_BYTES);
	memcpy(t->buf + sizeof(header) + CONFIG_BYTES, trailer, sizeof(trailer));
	t->length = sizeof(header) + CONFIG_BYTES + sizeof(trailer);
}
