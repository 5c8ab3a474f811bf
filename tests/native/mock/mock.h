/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls on mock's port; all answer the counter in a[0]. */
#ifndef TESTS_NATIVE_MOCK_H
#define TESTS_NATIVE_MOCK_H

enum mock_op {
	MOCK_ADD = 1,  /* one more */
	MOCK_POISON,   /* dies of it, after adding a thousand; each time */
	MOCK_BAD_TIMER,/* sets a timer that dies of running; each time */
	MOCK_BAD_REPLY,/* makes a call whose reply it dies of; each time, but adds ten if that is an error */
	MOCK_SPOIL,    /* leaves a state that state_check() refuses */
	MOCK_DIE,      /* dies of it once, whoever asks */
};

#endif
