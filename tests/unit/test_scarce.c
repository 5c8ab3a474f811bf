/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who pays when memory ends: the largest program, never a server.
 *
 * sources: kernel/core/scarce.c
 * cflags: -DFAKE_CURRENT_THREAD -DFAKE_USER_COPY
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "kernel/core/thread.h"

enum { TOTAL = 8192, RESERVE = TOTAL / 32 };

struct list all_processes;
static struct process processes[3];
static struct account accounts[3];
static struct space spaces[3];
static struct thread me;
static uint64_t free_pages;
static bool memory_comes_back;
static struct process *killed;
static uint64_t files;

struct thread *current(void) { return &me; }
uint64_t frame_total(void) { return TOTAL; }
uint64_t frame_free_count(void) { return free_pages; }
uint64_t arch_time_ns(void) { return 0; }
uint64_t memory_reclaim(uint64_t want, const struct account *of) { (void)want, (void)of; return 0; }
uint64_t memory_reclaim_mapped(uint64_t want)
{
	files -= want;
	free_pages += want;
	return want;
}
bool memory_files_are_many(void) { return files > TOTAL / 8; }
void klog(const char *fmt, ...) { (void)fmt; }

void process_kill(struct process *p, uint32_t death, int status)
{
	assert_null(killed);
	assert_int_equal(death, X_DEATH_MEMORY);
	killed = p;
	p->dying = true;
}

int thread_wait(struct waitq *q, uint64_t deadline_ns, uint32_t flags)
{
	if (memory_comes_back) {
		free_pages += killed->space->resident_pages;
		killed->space->resident_pages = 0;
	}
	return -X_ETIMEDOUT;
}

/* A server with most of the memory, two programs with the rest; [1] asks. */
static int setup(void **state)
{
	static const uint64_t pages[3] = { 5000, 100, 3000 };

	list_init(&all_processes);
	for (int i = 0; i < 3; i++) {
		spaces[i] = (struct space){ .resident_pages = pages[i] };
		accounts[i] = (struct account){ .limit = UINT64_MAX };
		processes[i] = (struct process){ .space = &spaces[i], .account = &accounts[i], .state = X_PROC_RUNNING };
		processes[i].flags = i ? X_PROC_LINUX : 0;
		list_push_back(&all_processes, &processes[i].all_link);
	}
	me.process = &processes[1];
	free_pages = RESERVE - 1;
	memory_comes_back = true;
	killed = NULL;
	files = TOTAL / 8;
	return 0;
}

static void the_largest_program_ends(void **state)
{
	assert_true(memory_denied());
	assert_int_equal(memory_shortage(), 0);
	assert_ptr_equal(killed, &processes[2]);
	assert_false(memory_denied());
}

static void many_files_go_first(void **state)
{
	files = TOTAL / 8 + 1;
	assert_int_equal(memory_shortage(), 0);
	assert_null(killed);
	assert_int_equal(memory_shortage(), 0); /* few are left */
	assert_ptr_equal(killed, &processes[2]);
}

static void the_largest_itself_gets_an_error(void **state)
{
	me.process = &processes[2];
	assert_int_equal(memory_shortage(), -X_ENOMEM);
	assert_null(killed);
}

static void what_is_not_mapped_counts(void **state)
{
	me.process = &processes[2];
	accounts[1].used = 3001 * PAGE_SIZE;
	assert_int_equal(memory_shortage(), 0);
	assert_ptr_equal(killed, &processes[1]);
}

static void only_one_ends_at_a_time(void **state)
{
	memory_comes_back = false; /* process_kill() asserts that it is called once */
	assert_int_equal(memory_shortage(), -X_ENOMEM);
	assert_ptr_equal(killed, &processes[2]);
}

static void a_server_may_use_the_reserve(void **state)
{
	me.process = &processes[0];
	assert_false(memory_denied());
	assert_int_equal(memory_shortage(), 0); /* used up: room is made for it */
	assert_ptr_equal(killed, &processes[2]);
}

static void new_programs_may_use_half_of_it(void **state)
{
	assert_false(memory_denied_to_new());
	free_pages = RESERVE / 2 - 1;
	assert_true(memory_denied_to_new());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_largest_program_ends, setup),
		cmocka_unit_test_setup(many_files_go_first, setup),
		cmocka_unit_test_setup(the_largest_itself_gets_an_error, setup),
		cmocka_unit_test_setup(what_is_not_mapped_counts, setup),
		cmocka_unit_test_setup(only_one_ends_at_a_time, setup),
		cmocka_unit_test_setup(a_server_may_use_the_reserve, setup),
		cmocka_unit_test_setup(new_programs_may_use_half_of_it, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
