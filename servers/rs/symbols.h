/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of the functions of a service's image, from the symbol table that it has in the
 * archive. Pure. Source: System V ABI, chapter 4 (sections, symbol table).
 */
#ifndef RS_SYMBOLS_H
#define RS_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

/* The function that `address` is in, or NULL: the image has no table, an unsound one, or no such
 * function. The name lies in the image. */
const char *symbol_name(const void *image, uint64_t bytes, uint64_t address);

/* The functions of a backtrace (the place of the fault, then return addresses; 0 ends it) as
 * "in f < g < h", as many as there is room for. Returns the length, 0 if none has a name. */
size_t symbols_of_backtrace(char *text, size_t size, const void *image, uint64_t bytes, const uint64_t *trace, uint32_t count);

#endif
