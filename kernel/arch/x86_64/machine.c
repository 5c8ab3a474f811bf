/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine as a whole: I/O ports, power-off, reset; and what a panic wants
 * to know: stack frames and symbols. The symbol table is linked in last, see
 * tools/ksyms.py.
 */
#include "x86.h"

#define PM1_SCI_ENABLE 1u
#define PM1_SLEEP      (1u << 13)
#define PM1_TYPE_SHIFT 10

uint32_t arch_io_read(uint16_t port, uint32_t width)
{
	return width == 1 ? inb(port) : width == 2 ? inw(port) : inl(port);
}

void arch_io_write(uint16_t port, uint32_t width, uint32_t value)
{
	if (width == 1)
		outb(port, (uint8_t)value);
	else if (width == 2)
		outw(port, (uint16_t)value);
	else
		outl(port, value);
}

/* The fixed registers belong to ACPI only after the firmware has been told. */
static void enable_acpi(void)
{
	if ((inw(acpi.pm1a_control) & PM1_SCI_ENABLE) || !acpi.smi_command || !acpi.acpi_enable)
		return;
	outb(acpi.smi_command, acpi.acpi_enable);
	for (uint32_t reads = 0; !(inw(acpi.pm1a_control) & PM1_SCI_ENABLE) && reads < 100000; reads++)
		cpu_pause();
}

void arch_poweroff(void)
{
	if (acpi.have_s5 && acpi.pm1a_control) {
		enable_acpi();
		outw(acpi.pm1a_control, (uint16_t)(acpi.s5_a << PM1_TYPE_SHIFT | PM1_SLEEP));
		if (acpi.pm1b_control)
			outw(acpi.pm1b_control, (uint16_t)(acpi.s5_b << PM1_TYPE_SHIFT | PM1_SLEEP));
		busy_wait_us(100000);
	}
	outl(0xf4, 0); /* QEMU: -device isa-debug-exit,iobase=0xf4 */
	arch_halt_all();
}

void arch_reboot(void)
{
	static const struct { uint16_t limit; uint64_t base; } __attribute__((packed)) no_idt = { 0, 0 };

	if (acpi.reset_address && acpi.reset_space == 1)
		outb((uint16_t)acpi.reset_address, acpi.reset_value);
	else if (acpi.reset_address && acpi.reset_space == 0 && acpi.reset_address < direct_map_end)
		*(volatile uint8_t *)phys_to_virt(acpi.reset_address) = acpi.reset_value;
	busy_wait_us(50000);
	outb(0xcf9, 0x02);
	outb(0xcf9, 0x06);
	busy_wait_us(50000);
	outb(0x64, 0xfe); /* keyboard controller: pulse the reset line */
	busy_wait_us(50000);
	__asm__ volatile("lidt %0\n\tud2" : : "m"(no_idt));
	arch_halt_all();
}

/* ------------------------------------------------------------ backtraces */

/* Frames of -fno-omit-frame-pointer code: at rbp the caller's rbp, above it the
 * return address. Reads only what is mapped and RAM, and never faults. */
uint32_t arch_backtrace(const struct x_regs *regs, uint64_t *out, uint32_t max)
{
	bool user = regs->rip < X_USER_MAX;
	struct thread *t = this_cpu()->current;
	paddr_t pt = user ? t->process->space->page_table : read_cr3() & PTE_FRAME;
	uint64_t frame = regs->rbp, next, address;
	uint32_t n = 0;

	if (n < max)
		out[n++] = regs->rip;
	while (n < max && (user ? frame < X_USER_MAX : frame >= DIRECT_MAP_BASE)) {
		if (!peek64(pt, frame + 8, &address) || !peek64(pt, frame, &next) || !address)
			break;
		out[n++] = address;
		if (next <= frame)
			break;
		frame = next;
	}
	return n;
}

struct ksym { uint32_t offset, name; }; /* from text_start; into ksym_names */
extern const uint32_t ksym_count;
extern const struct ksym ksym_table[];
extern const char ksym_names[];

const char *arch_symbol(uint64_t address, uint64_t *offset)
{
	uint32_t low = 0, high = ksym_count;
	uint64_t o = address - (uint64_t)text_start;

	if (address < (uint64_t)text_start || address >= (uint64_t)text_end)
		return NULL;
	while (low < high) { /* the last symbol at or below o is at low - 1 */
		uint32_t middle = (low + high) / 2;

		if (ksym_table[middle].offset <= o)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return NULL;
	*offset = o - ksym_table[low - 1].offset;
	return ksym_names + ksym_table[low - 1].name;
}
