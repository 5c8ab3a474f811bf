/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of lib/c that the personality uses, compiled once more with its
 * own flags: the archive of native programs is built for low addresses and
 * may use the FPU, whose registers belong to the program here.
 */
#include "lib/c/memory.c"
#include "lib/c/string.c"
#include "lib/c/strlcpy.c"
#include "lib/c/format.c"
