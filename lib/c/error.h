/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Texts of the error list (include/xinim/error.h).
 */
#ifndef LIB_C_ERROR_H
#define LIB_C_ERROR_H

#include <stdbool.h>
#include <stdint.h>

/* Of an error or a negated one; "unknown error" for what is not in the list. */
const char *x_error_text(int64_t error);

/* Whether it, or its negation, is in the list. */
bool x_error_is_known(int64_t error);

#endif
