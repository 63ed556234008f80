/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/cli.h"

G_BEGIN_DECLS

/* A command that waits for events until something ends it. */
typedef enum {
    INV_WATCH_DONE,
    INV_WATCH_INTERRUPTED,
    INV_WATCH_TIMED_OUT,
    INV_WATCH_LOST, /* the connection; @error is set */
} InvWatchEnd;

/* From here on Ctrl-C ends the wait, though it has not begun; until inv_watch_end(). */
void inv_watch_begin(void);
void inv_watch_end(void);
/* Whether Ctrl-C was pressed since the beginning, or since it was asked last. */
gboolean inv_watch_take_interrupt(void);

/* Handles events of the connection until *@done, Ctrl-C, or (not 0) @timeout_s seconds have passed. */
InvWatchEnd inv_watch_wait(InvCli *cli, guint timeout_s, const gboolean *done, GError **error);

/* Local time with its zone, for one line of output; owned by the caller. */
char *inv_watch_now(void);

/* emulators --watch; @path NULL: all. */
int inv_run_emulator_watch(InvCli *cli, char *path, guint timeout_s, GError **error);

G_END_DECLS
