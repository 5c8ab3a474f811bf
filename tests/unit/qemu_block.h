/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For tests of block drivers over QEMU's own devices: the disk (a file in memory, far
 * larger than it has bytes), a driver's life on it, and the kills. Included once, behind
 * fake_kernel.h and the driver's headers. The test has variants of the machine; in each
 * one driver goes through the suite, and many others are killed, at each of their first
 * accesses to registers and at random ones of a load.
 */
#ifndef TESTS_UNIT_QEMU_BLOCK_H
#define TESTS_UNIT_QEMU_BLOCK_H

#define POOL (4u << 20)

static void device_run(void);
#include "tests/unit/block_suite.h"
#include "tests/unit/qemu_machine.h"

#define DISK_BYTES (3ull << 40)  /* more sectors than 32 bits count */
#define WAIT_NS    30000000000ull

void server_main(void);

struct variant {
	const char *name;
	const char *options[24];     /* of QEMU; the disk's file is "%s" */
	bool messages;               /* interrupts by message, else INTx */
	int (*life)(void);           /* of the driver that is not killed */
	uint32_t kills_starting, kills_loaded; /* how many, in the first accesses, and among the first ACCESSES_MAX */
};

static int disk_file;
static uint32_t accesses_max;        /* a load is killed within so many */
static const struct variant *variant;
static unsigned by_interrupt, by_timer;

static void disk_look(uint64_t offset, void *to, uint32_t bytes)
{
	assert_int_equal(pread(disk_file, to, bytes, offset), bytes);
}

static void signal_event(x_handle_t event, uint64_t bits)
{
	fake_handle[event]->bits |= bits;
}

static void device_run(void)
{
	server_now_ns = machine_now_ns();
	by_interrupt += machine_interrupts(signal_event);
}

static bool something_due(void)
{
	for (const struct server_timer *t = fake_timers; t; t = t->next)
		if (t->deadline_ns <= server_now_ns)
			return true;
	return false;
}

static bool something_signalled(void)
{
	for (uint32_t i = 0; i < fake_object_next; i++)
		if (fake_objects[i].bits && fake_objects[i].fn)
			return true;
	return false;
}

static void device_wait(void)
{
	uint64_t deadline_ns = machine_now_ns() + WAIT_NS;
	unsigned count;

	while (!something_signalled()) {
		server_now_ns = machine_now_ns();
		count = machine_interrupts(signal_event);
		by_interrupt += count;
		if (count)
			return;
		if (something_due()) {
			by_timer++;
			return;
		}
		assert_true(server_now_ns < deadline_ns);
		usleep(20);
	}
}

/* As the driver's program begins. */
static void comes_up(void **state)
{
	(void)state;
	fake_memory = machine_memory;
	fake_device = machine_device_call;
	fake_on_answer = on_answer;
	server_now_ns = machine_now_ns();
	if (!setjmp(fake_run_jump))
		server_main();
	for (iterate(); !blockdrv_serving(0); iterate())
		device_wait();
	machine_forget_the_dead();
	suite_open("", 0);
	assert_int_equal(now.bytes, DISK_BYTES);
	by_interrupt = by_timer = 0;
}

/* What a driver waits for comes by interrupts; once in a while the look of a second may be first, on a busy host. */
static void ends(void **state)
{
	(void)state;
	assert_true(by_interrupt > 50);
	assert_in_range(by_timer, 0, by_interrupt / 10);
	assert_true(machine_memory_untouched());
}

/* The disk breaks, as the library sees it, with requests under way: it is reset, and all are done. */
static void break_it(uint32_t done)
{
	static uint32_t next = 100;

	if (done < next)
		return;
	next += 100;
	blockdrv_broken(0, "by the test");
}

static void resets(void **state)
{
	(void)state;
	meanwhile = break_it;
	load(1000, 16);
	meanwhile = NULL;
	check_disk();
	assert_true(machine_memory_untouched());
}

/* QEMU fails some requests, of those that are under way together: nobody notices. */
static void errors_loaded(void **state)
{
	(void)state;
	load(3000, now.stripes);
	check_disk();
	assert_true(machine_memory_untouched());
}

static int life_errors_loaded(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(comes_up), cmocka_unit_test(errors_loaded) };

	return cmocka_run_group_tests_name(variant->name, tests, NULL, NULL);
}

static void before_the_kill(void **state)
{
	(void)state;
	check_disk();
	load(4000, 8);
}

static int life_to_be_killed(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(comes_up), cmocka_unit_test(before_the_kill) };

	return cmocka_run_group_tests_name(variant->name, tests, NULL, NULL);
}

static void after_the_kills(void **state)
{
	(void)state;
	check_disk();
	load(300, 32);
	check_disk();
	assert_true(machine_memory_untouched());
}

static int life_afterwards(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(comes_up), cmocka_unit_test(after_the_kills) };

	return cmocka_run_group_tests_name(variant->name, tests, NULL, NULL);
}

static bool ended(const char *what, int status, int wanted)
{
	if (status != wanted)
		fprintf(stderr, "%s, %s: status %d\n", variant->name, what, status);
	return status == wanted;
}

static bool kills(void)
{
	bool right = true;

	for (uint32_t i = 0; right && i < variant->kills_starting; i++)
		right = ended("killed while it starts", machine_incarnation(life_to_be_killed, i + 1), MACHINE_KILLED);
	for (uint32_t i = 0; right && i < variant->kills_loaded; i++)
		right = ended("killed", machine_incarnation(life_to_be_killed, 1 + draw(accesses_max)), MACHINE_KILLED);
	return right && ended("after the kills", machine_incarnation(life_afterwards, 0), 0);
}

static bool run_variant(const struct variant *v, uint32_t device, uint32_t function)
{
	char text[24][512];
	const char *options[25] = { NULL };
	bool right;

	variant = v;
	disk_file = memfd_create("disk", 0);
	if (disk_file < 0 || ftruncate(disk_file, DISK_BYTES))
		return false;
	for (uint32_t i = 0; i < 24 && v->options[i]; i++) {
		char name[64];
		const char *file = strstr(v->options[i], "FILE");

		snprintf(name, sizeof(name), "/proc/self/fd/%d", disk_file);
		if (file)
			snprintf(text[i], sizeof(text[i]), "%.*s%s%s", (int)(file - v->options[i]), v->options[i], name, file + 4);
		options[i] = file ? text[i] : v->options[i];
	}
	machine_start(options);
	machine_device(device, function, v->messages);
	memset(suite->expected, 0, sizeof(suite->expected));
	memset(suite->writing, 0, sizeof(suite->writing));
	right = ended("alone", machine_incarnation(v->life, 0), 0);
	right = right && (!(v->kills_starting | v->kills_loaded) || kills());
	machine_stop();
	close(disk_file);
	return right;
}

/* One after the other, until one is not right; the driver's device is at this function. main()'s result. */
static int run_variants(const struct variant *list, size_t count, uint32_t device, uint32_t function)
{
	bool right = true;

	suite_init();
	for (size_t i = 0; right && i < count; i++)
		right = run_variant(&list[i], device, function);
	return right ? 0 : 1;
}

#endif
