/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Texts of the error list, from the list itself.
 */
#include <xinim/error.h>
#include "lib/c/error.h"

const char *x_error_text(int64_t error)
{
	switch (error < 0 ? -error : error) {
#define X_ERROR_TEXT(name, number, text) case number: return text;
	X_ERRORS(X_ERROR_TEXT)
#undef X_ERROR_TEXT
	}
	return error == 0 ? "no error" : "unknown error";
}

bool x_error_is_known(int64_t error)
{
	switch (error < 0 ? -error : error) {
#define X_ERROR_KNOWN(name, number, text) case number:
	X_ERRORS(X_ERROR_KNOWN)
#undef X_ERROR_KNOWN
		return true;
	}
	return false;
}
