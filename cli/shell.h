/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/cli.h"

G_BEGIN_DECLS

/*
 * Reads commands until quit or the end of the input. On a terminal: with a prompt, TAB completion
 * and a history that outlives the run; else line by line, silently. Returns the InvExit of the last
 * command that failed, or, on a terminal, INV_EXIT_OK.
 */
int inv_shell_run(InvCli *cli);

G_END_DECLS
