/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * qemu_machine.h. The protocol is that of QEMU's docs/devel/qtest.rst: a line is a
 * command, "OK" and perhaps a number its answer; lines "IRQ raise N" and "IRQ lower N"
 * come between.
 */

#include "tests/unit/qemu_machine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sanitizer/asan_interface.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <xinim/error.h>
#include <xinim/syscall.h>

#define RAM_BYTES  (64ull << 20)
#define RAM_FIRST  (16ull << 20)  /* of what is mapped: clear of anything a PC has lower down */
#define HALF_BYTES (23ull << 20)  /* incarnations use one half of the rest each, in turn */
#define MESSAGES   ((volatile uint32_t *)RAM_FIRST) /* a word a vector */
#define BAR_FIRST  0xe0000000ull  /* free for devices where no firmware has run */
#define ANSWER_TIMEOUT_MS 30000
#define VECTORS_MAX 16u
#define PIECES_MAX 64u
#define CANARY 0xa5

#define PCI_COMMAND     0x04u
#define PCI_BAR(i)      (0x10u + 4 * (i))
#define PCI_BAR_IO      1u
#define PCI_BAR_64      4u
#define PCI_CAPABILITY  0x34u
#define PCI_COMMAND_DECODES 3u
#define PCI_COMMAND_MASTER  4u
#define PCI_COMMAND_NO_INTX 0x400u
#define PCI_LINES 0xff0000u /* of the interrupt controller's inputs */
#define CAP_MSI  0x05u
#define CAP_MSIX 0x11u

/* What outlives an incarnation: shared by all processes. */
static struct machine {
	pid_t qemu;
	int to, from;
	char line[4096];             /* what came and is not a whole line yet */
	uint32_t line_bytes;
	uint32_t slot;               /* of the device, as in port 0xcf8 */
	uint64_t bar[6];
	uint32_t msix, msi;          /* capabilities, or 0 */
	uint32_t vectors;
	uint32_t lines_high;         /* by number of the interrupt controller's input */
	bool line_masked;
	uint32_t incarnation;
	uint32_t accesses_left;      /* until it is killed; 0: it is not */
	struct { uint64_t first, bytes; } piece[2][PIECES_MAX]; /* allocated by the last two incarnations */
	uint32_t pieces[2];
	bool dead_forgotten;
} *m;
static struct { x_handle_t event; uint64_t bits; } vector[VECTORS_MAX];

__attribute__((noreturn, format(printf, 1, 2))) static void broken(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("machine: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	_exit(1);
}

uint64_t machine_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* ------------------------------------------------------------------------- the protocol */

static void take_irq(const char *line)
{
	unsigned number;

	if (sscanf(line, "IRQ raise %u", &number) == 1 && number < 32)
		m->lines_high |= 1u << number;
	else if (sscanf(line, "IRQ lower %u", &number) == 1 && number < 32)
		m->lines_high &= ~(1u << number);
	else
		broken("unexpected: %s", line);
}

/* More of what QEMU says; false: nothing for so long. */
static bool read_more(int timeout_ms)
{
	struct pollfd p = { m->from, POLLIN, 0 };
	ssize_t got;

	if (poll(&p, 1, timeout_ms) <= 0)
		return false;
	got = read(m->from, m->line + m->line_bytes, sizeof(m->line) - 1 - m->line_bytes);
	if (got <= 0)
		broken("QEMU has ended");
	m->line_bytes += got;
	return true;
}

static bool take_line(char *to, size_t size)
{
	char *end = memchr(m->line, '\n', m->line_bytes);
	size_t bytes;

	if (!end)
		return false;
	bytes = end - m->line;
	if (bytes >= size)
		broken("a line of %zu bytes", bytes);
	memcpy(to, m->line, bytes);
	to[bytes] = 0;
	m->line_bytes -= bytes + 1;
	memmove(m->line, end + 1, m->line_bytes);
	return true;
}

__attribute__((format(printf, 1, 2))) static uint64_t say(const char *fmt, ...)
{
	char line[256];
	va_list ap;
	int bytes;

	va_start(ap, fmt);
	bytes = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	line[bytes++] = '\n';
	if (write(m->to, line, bytes) != bytes)
		broken("QEMU does not listen");
	for (;;) {
		while (!take_line(line, sizeof(line)))
			if (!read_more(ANSWER_TIMEOUT_MS))
				broken("no answer to %s", fmt);
		if (!strncmp(line, "OK", 2))
			return line[2] ? strtoull(line + 3, NULL, 0) : 0;
		take_irq(line);
	}
}

static char letter(uint32_t width)
{
	return width == 1 ? 'b' : width == 2 ? 'w' : 'l';
}

static void count_access(void)
{
	if (m->accesses_left && !--m->accesses_left)
		_exit(MACHINE_KILLED);
}

uint64_t machine_read(uint64_t address, uint32_t width)
{
	count_access();
	return say("read%c 0x%llx", letter(width), (unsigned long long)address);
}

void machine_write(uint64_t address, uint32_t width, uint64_t value)
{
	count_access();
	say("write%c 0x%llx 0x%llx", letter(width), (unsigned long long)address, (unsigned long long)value);
}

static uint32_t config_read(uint32_t offset, uint32_t width)
{
	say("outl 0xcf8 0x%x", m->slot | (offset & ~3u));
	return say("in%c 0x%x", letter(width), 0xcfc + (offset & 3));
}

static void config_write(uint32_t offset, uint32_t width, uint32_t value)
{
	say("outl 0xcf8 0x%x", m->slot | (offset & ~3u));
	say("out%c 0x%x 0x%x", letter(width), 0xcfc + (offset & 3), value);
}

static void command_change(uint32_t clear, uint32_t set)
{
	config_write(PCI_COMMAND, 2, (config_read(PCI_COMMAND, 2) & ~clear) | set);
}

/* --------------------------------------------------------------------- the test's process */

/* A file of nowhere, by the name that QEMU opens it by. */
static int anonymous_file(const char *what, uint64_t bytes, char *name, size_t size)
{
	int fd = memfd_create(what, 0);

	if (fd < 0 || ftruncate(fd, bytes))
		broken("no memory for %s", what);
	snprintf(name, size, "/proc/self/fd/%d", fd);
	return fd;
}

/* What the processor runs: it stops for good (at the reset vector, 16 bytes below 4 GiB). */
static int firmware(char *name, size_t size)
{
	static const uint8_t stop[] = { 0xfa, 0xf4, 0xeb, 0xfd }; /* cli; hlt; jmp back to hlt */
	int fd = anonymous_file("firmware", 65536, name, size);

	if (pwrite(fd, stop, sizeof(stop), 65536 - 16) != sizeof(stop))
		broken("no firmware");
	return fd;
}

static void run_qemu(const char *const *options, const char *ram, const char *bios, int in, int out)
{
	const char *qemu = getenv("XINIM_QEMU") ? getenv("XINIM_QEMU") : "qemu-system-x86_64";
	char memory[128];
	const char *argv[64] = {
		qemu, "-M", "q35,memory-backend=ram", "-m", "64", "-accel", "tcg", "-bios", bios, "-nodefaults",
		"-display", "none", "-qtest", "stdio", "-qtest-log", "none", "-object", memory,
	};
	uint32_t count = 18;

	snprintf(memory, sizeof(memory), "memory-backend-file,id=ram,size=64M,share=on,mem-path=%s", ram);
	while (*options && count < 63)
		argv[count++] = *options++;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(in, 0);
	dup2(out, 1);
	execvp(qemu, (char *const *)argv);
	_exit(127);
}

void machine_start(const char *const *options)
{
	char ram[64], bios[64];
	int ram_fd = anonymous_file("ram", RAM_BYTES, ram, sizeof(ram)), bios_fd = firmware(bios, sizeof(bios));
	int to[2], from[2];
	pid_t qemu;

	if (!m)
		m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(m, 0, sizeof(*m));
	if (mmap((void *)RAM_FIRST, RAM_BYTES - RAM_FIRST, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, ram_fd,
		 RAM_FIRST) != (void *)RAM_FIRST)
		broken("its memory cannot be where it is to be: %s", strerror(errno));
	if (pipe(to) || pipe(from))
		broken("no pipes");
	qemu = fork();
	if (!qemu)
		run_qemu(options, ram, bios, to[0], from[1]);
	if (qemu < 0)
		broken("no process");
	m->qemu = qemu;
	close(to[0]);
	close(from[1]);
	close(ram_fd);
	close(bios_fd);
	m->to = to[1];
	m->from = from[0];
	say("irq_intercept_in ioapic");
}

void machine_stop(void)
{
	close(m->to);
	close(m->from);
	kill(m->qemu, SIGKILL);
	waitpid(m->qemu, NULL, 0);
	munmap((void *)RAM_FIRST, RAM_BYTES - RAM_FIRST);
}

static void find_capabilities(void)
{
	uint32_t left = 48;

	for (uint32_t at = config_read(PCI_CAPABILITY, 1) & ~3u; at && left; at = config_read(at + 1, 1) & ~3u, left--) {
		uint32_t id = config_read(at, 1);

		if (id == CAP_MSIX)
			m->msix = at;
		if (id == CAP_MSI)
			m->msi = at;
	}
}

/* Addresses by size: each BAR begins at a multiple of its own. */
static void set_bars(void)
{
	uint64_t next = BAR_FIRST;

	for (uint32_t i = 0; i < 6; i++) {
		uint32_t bits, size;

		config_write(PCI_BAR(i), 4, ~0u);
		bits = config_read(PCI_BAR(i), 4);
		if (!bits || bits & PCI_BAR_IO) /* no driver here wants ports */
			continue;
		size = -(bits & ~15u);
		next = (next + size - 1) & ~(uint64_t)(size - 1);
		config_write(PCI_BAR(i), 4, (uint32_t)next);
		m->bar[i] = next;
		next += size;
		if (bits & PCI_BAR_64)
			config_write(PCI_BAR(++i), 4, 0);
	}
}

void machine_device(uint32_t device, uint32_t function, bool messages)
{
	m->slot = 1u << 31 | device << 11 | function << 8;
	if (config_read(0, 2) == 0xffff)
		broken("no device at %02x.%x", device, function);
	set_bars();
	if (!messages)
		return;
	find_capabilities();
	m->vectors = m->msix ? (config_read(m->msix + 2, 2) & 0x7ff) + 1 : m->msi ? 1 : 0;
	if (m->vectors > VECTORS_MAX)
		m->vectors = VECTORS_MAX;
}

int machine_incarnation(int (*life)(void), uint32_t accesses)
{
	int status;
	pid_t pid;

	m->accesses_left = accesses;
	m->incarnation++;
	m->pieces[m->incarnation % 2] = 0;
	m->dead_forgotten = false;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(life());
	}
	if (pid < 0)
		broken("no process");
	waitpid(pid, &status, 0);
	command_change(PCI_COMMAND_MASTER, PCI_COMMAND_NO_INTX);
	m->line_masked = false;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---------------------------------------------------------------------------- its memory */

static void guard(uint64_t page)
{
	memset((void *)page, CANARY, X_PAGE_SIZE);
	ASAN_POISON_MEMORY_REGION((void *)page, X_PAGE_SIZE);
}

/* Behind each piece, and before the first, is a page that is nobody's. */
void *machine_memory(uint64_t bytes)
{
	uint32_t half = m->incarnation % 2, n = m->pieces[half]++;
	uint64_t first = RAM_FIRST + X_PAGE_SIZE + half * HALF_BYTES;

	if (n == PIECES_MAX)
		broken("too many pieces of memory");
	if (n) /* its end page is there */
		first = m->piece[half][n - 1].first + m->piece[half][n - 1].bytes;
	else
		guard(first);
	first += X_PAGE_SIZE;
	if (first + bytes > RAM_FIRST + (half + 1) * HALF_BYTES)
		broken("out of memory");
	m->piece[half][n].first = first;
	m->piece[half][n].bytes = bytes;
	guard(first + bytes);
	return (void *)first;
}

void machine_forget_the_dead(void)
{
	uint32_t half = (m->incarnation + 1) % 2;

	for (uint32_t i = 0; i < m->pieces[half]; i++)
		memset((void *)m->piece[half][i].first, CANARY, m->piece[half][i].bytes);
	m->dead_forgotten = true;
}

static bool untouched(uint64_t first, uint64_t bytes)
{
	const uint8_t *p = (const uint8_t *)first;

	ASAN_UNPOISON_MEMORY_REGION(p, bytes);
	if (p[0] == CANARY && !memcmp(p, p + 1, bytes - 1))
		return true;
	fprintf(stderr, "machine: written to 0x%llx, or behind it\n", (unsigned long long)first);
	return false;
}

bool machine_memory_untouched(void)
{
	bool right = true;

	for (uint32_t half = 0; half < 2; half++)
		for (uint32_t i = 0; i < m->pieces[half]; i++) {
			uint64_t first = m->piece[half][i].first, bytes = m->piece[half][i].bytes;

			right &= untouched(first - X_PAGE_SIZE, X_PAGE_SIZE) && untouched(first + bytes, X_PAGE_SIZE);
			if (half != m->incarnation % 2 && m->dead_forgotten)
				right &= untouched(first, bytes);
		}
	return right;
}

/* ------------------------------------------------------------- what a driver asks a kernel */

/* Vector `index` writes its word, MESSAGES[index]. */
static void connect_msix(uint32_t index)
{
	uint32_t table = config_read(m->msix + 4, 4);
	uint64_t entry = m->bar[table & 7] + (table & ~7u) + index * 16;

	say("writel 0x%llx 0x%x", (unsigned long long)entry, (uint32_t)(uintptr_t)&MESSAGES[index]);
	say("writel 0x%llx 0", (unsigned long long)entry + 4);
	say("writel 0x%llx 1", (unsigned long long)entry + 8);
	say("writel 0x%llx 0", (unsigned long long)entry + 12);
	config_write(m->msix + 2, 2, (config_read(m->msix + 2, 2) & 0x3fff) | 0x8000);
}

static void connect_msi(void)
{
	uint32_t control = config_read(m->msi + 2, 2);

	config_write(m->msi + 4, 4, (uint32_t)(uintptr_t)&MESSAGES[0]);
	if (control & 0x80)
		config_write(m->msi + 8, 4, 0);
	config_write(m->msi + (control & 0x80 ? 12 : 8), 2, 1);
	config_write(m->msi + 2, 2, control | 1);
}

static int64_t connect(uint32_t index, x_handle_t event, uint64_t bits)
{
	if (index >= (m->vectors ? m->vectors : 1))
		return -X_EINVAL;
	vector[index].event = event;
	vector[index].bits = bits;
	if (!m->vectors)
		command_change(PCI_COMMAND_NO_INTX, 0);
	else if (m->msix)
		connect_msix(index);
	else
		connect_msi();
	return 0;
}

static int64_t control(uint64_t op)
{
	switch (op) {
	case X_DEV_ENABLE: command_change(0, PCI_COMMAND_DECODES); return 0;
	case X_DEV_BUS_MASTER_ON:
		for (uint32_t i = 0; i < VECTORS_MAX; i++)
			MESSAGES[i] = 0;
		command_change(0, PCI_COMMAND_MASTER);
		return 0;
	case X_DEV_VECTORS: return m->vectors;
	case X_DEV_IRQ_ACK: m->line_masked = false; return 0;
	}
	return -X_EINVAL;
}

int64_t machine_device_call(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	(void)a; /* there is one device */
	switch (number) {
	case X_SYS_device_map: return b < 6 && m->bar[b] ? (int64_t)(m->bar[b] + c) : -X_EINVAL;
	case X_SYS_device_config: return config_read(b, c); /* no driver here writes there */
	case X_SYS_device_irq: return connect(b, c, d);
	case X_SYS_device_ctl: return control(b);
	}
	return -X_ENOSYS;
}

unsigned machine_interrupts(void (*signal)(x_handle_t event, uint64_t bits))
{
	char line[256];
	unsigned count = 0;

	do
		while (take_line(line, sizeof(line)))
			take_irq(line);
	while (read_more(0));
	for (uint32_t i = 0; i < m->vectors; i++) {
		if (!vector[i].bits || !__atomic_exchange_n(&MESSAGES[i], 0, __ATOMIC_ACQ_REL))
			continue;
		signal(vector[i].event, vector[i].bits);
		count++;
	}
	if (!m->vectors && vector[0].bits && m->lines_high & PCI_LINES && !m->line_masked) {
		m->line_masked = true; /* as the kernel, until the driver has seen to it */
		signal(vector[0].event, vector[0].bits);
		count++;
	}
	return count;
}
