/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of the kernel: stop the other CPUs, say why, show registers, a
 * backtrace and the last log lines on the early console, then do what the
 * command line says: panic=reboot, panic=poweroff, or (default) panic=halt.
 * Uses no lock and no memory but the stack.
 *
 * The report is kept in memory that is never given out. If the next kernel that
 * starts finds it whole (the machine was reset, not switched off, and the loader
 * did not use that memory), it begins its log with it.
 */
#include "kernel/arch/x86_64/arch.h"

#define FRAMES_MAX 24
#define LOG_LINES 30
#define LOG_BYTES 4096
#define RECORD_MAGIC 0x4349504d494e4958ull

static struct record_kept {
	uint64_t magic;
	uint32_t bytes, sum;
	char text[PANIC_RECORD_BYTES - 16];
} *kept_record(void)
{
	return phys_to_virt(PANIC_RECORD);
}

static uint32_t sum_of(const struct record_kept *k)
{
	uint32_t sum = k->bytes;

	for (uint32_t i = 0; i < k->bytes; i++)
		sum = (sum << 5 | sum >> 27) ^ (uint8_t)k->text[i];
	return sum;
}

/* It is whole after each piece: there may be no next one. */
static void report(const char *text, size_t bytes)
{
	struct record_kept *k = kept_record();
	size_t kept;

	if (k->magic != RECORD_MAGIC || k->bytes > sizeof(k->text))
		k->bytes = 0;
	kept = MIN(bytes, sizeof(k->text) - k->bytes);
	arch_console_write(text, bytes);
	memcpy(k->text + k->bytes, text, kept);
	k->bytes += (uint32_t)kept;
	k->sum = sum_of(k);
	k->magic = RECORD_MAGIC;
}

void panic_recall(void)
{
	struct record_kept *k = kept_record();

	if (k->magic == RECORD_MAGIC && k->bytes <= sizeof(k->text) && k->sum == sum_of(k)) {
		klog("kept from the panic before this start:");
		klog_text(k->text, k->bytes);
		klog("end of what was kept");
	}
	k->magic = 0;
	k->bytes = 0;
}

__attribute__((format(printf, 1, 2))) static void say(const char *fmt, ...)
{
	char line[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = kvsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	report(line, MIN((size_t)n, sizeof line - 1));
}

static void show_registers(const struct x_regs *r)
{
	const uint64_t *v = &r->rax;
	static const char names[18][4] = { "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8 ",
		"r9 ", "r10", "r11", "r12", "r13", "r14", "r15", "rip", "rfl" };

	for (uint32_t i = 0; i < ARRAY_SIZE(names); i++)
		say("%s %016llx%s", names[i], (unsigned long long)v[i], i % 3 == 2 ? "\n" : "  ");
}

static void show_backtrace(const struct x_regs *r)
{
	uint64_t frames[FRAMES_MAX], offset;
	uint32_t n = arch_backtrace(r, frames, FRAMES_MAX);

	for (uint32_t i = 0; i < n; i++) {
		/* A return address may lie behind its function, after a last call. */
		const char *name = arch_symbol(frames[i] - (i > 0), &offset);

		if (name)
			say("  %016llx %s+%#llx\n", (unsigned long long)frames[i], name,
			    (unsigned long long)offset + (i > 0));
		else
			say("  %016llx\n", (unsigned long long)frames[i]);
	}
}

static void show_log(void)
{
	static char text[LOG_BYTES];
	uint64_t next;
	int64_t n = 0;
	size_t start;
	uint32_t lines = 0;

	klog_read(UINT64_MAX, text, 0, &next); /* next: the end */
	n = klog_read(next > LOG_BYTES ? next - LOG_BYTES : 0, text, sizeof text, &next);
	for (start = (size_t)n; start > 0; start--)
		if (text[start - 1] == '\n' && lines++ == LOG_LINES)
			break;
	say("last log lines:\n");
	report(text + start, (size_t)n - start);
}

__attribute__((noreturn)) static void die(const struct x_regs *regs, const char *fmt, va_list ap)
{
	static struct cpu *owner;
	struct cpu *first = NULL;
	char message[256];

	if (!__atomic_compare_exchange_n(&owner, &first, this_cpu(), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
		while (first != this_cpu())
			; /* another CPU reports, and is about to stop this one */
		say("\nXINIM KERNEL PANIC: again, while in panic\n");
		arch_halt_all();
	}
	arch_stop_others();
	kvsnprintf(message, sizeof message, fmt, ap);
	say("\nXINIM KERNEL PANIC: %s\n", message);
	say("cpu %u, thread %p, time %llu us\n", this_cpu()->id, (void *)this_cpu()->current,
	    (unsigned long long)arch_time_ns() / 1000);
	show_registers(regs);
	say("backtrace:\n");
	show_backtrace(regs);
	show_log();
	say("XINIM KERNEL PANIC: end of report\n");
	if (boot_option("panic=reboot"))
		arch_reboot();
	if (boot_option("panic=poweroff"))
		arch_poweroff();
	arch_halt_all();
}

void panic_at(const struct x_regs *regs, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	die(regs, fmt, ap);
}

void panic(const char *fmt, ...)
{
	struct x_regs regs = { 0 };
	va_list ap;

	/* As if at the caller, just after the call. */
	regs.rip = (uint64_t)__builtin_return_address(0);
	regs.rsp = (uint64_t)__builtin_frame_address(0) + 16;
	regs.rbp = *(uint64_t *)__builtin_frame_address(0);
	va_start(ap, fmt);
	die(&regs, fmt, ap);
}
