/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/command.h"
#include "rpc/client.h"
#include "util/json.h"

#include <glib.h>

G_BEGIN_DECLS

typedef struct InvarCpuContext InvarCpuContext; /* cpu_driver/invar-cpu.h */

/* One run of the program: what the global options chose, and the connection once a command needs it. */
struct InvCli {
    InvRpcTarget *target;
    InvRpcConnection *connection; /* NULL: not connected (yet, or any more) */
    InvarCpuContext *dictionary;  /* NULL: no command has needed it; see cli/cpu_document.h */
    gboolean read_only;
    gboolean json;
    gboolean quiet;
    gboolean colour;      /* standard output is a terminal and nobody objects */
    gboolean interactive; /* a person types commands */
    gboolean leave;       /* quit was said */
    guint timeout_ms;     /* of one call; 0: as long as the daemon answers keepalives */
    char *headline;       /* what the command failed at, printed before the reason; or NULL */
};

/* Runs parsed commands (of InvArgs), one after the other, whatever becomes of each; the InvExit of the last that failed. */
int inv_cli_run_calls(InvCli *cli, GPtrArray *calls);
/* Parses, then runs a line. */
int inv_cli_run_line(InvCli *cli, const char *line);
void inv_cli_clear(InvCli *cli);

/* Output. Nothing else writes to the standard streams while a command runs. */

/* Text of the program's own, or already escaped. */
void inv_cli_print(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* A document of the daemon's: byte by byte into a file or a pipe, escaped on a terminal; ends with a newline. */
void inv_cli_print_document(const char *text);
/* "Label:   value" as virsh's dominfo has it: @width columns for the label and its colon. */
void inv_cli_print_field(int width, const char *label, const char *format, ...) G_GNUC_PRINTF(3, 4);

typedef enum { INV_COLOUR_NONE, INV_COLOUR_GOOD, INV_COLOUR_WARN, INV_COLOUR_BAD, INV_COLOUR_HEAD, INV_COLOUR_FAINT } InvColour;
/* @text in the colour, when the run is in colours. Owned by the caller. */
char *inv_cli_paint(const InvCli *cli, InvColour colour, const char *text);

/* The one JSON document of a command. Takes @json over. Returns INV_EXIT_OK. */
int inv_cli_print_json(InvJson *json);
/* The same: {"NAME": TEXT}. */
int inv_cli_print_json_string(const char *name, const char *text);

/*
 * What a command that changes something did: a line for people (not with --quiet), with --json
 * {"message", "domain", "uuid"}; @domain and @uuid may be NULL. Returns INV_EXIT_OK.
 */
int inv_cli_done(InvCli *cli, const char *domain, const char *uuid, const char *format, ...) G_GNUC_PRINTF(4, 5);

/*
 * Notes what failed, as virsh's first line of an error; the reason is in the command's GError. The
 * first note of a command stays: who called what failed knows less. Returns INV_EXIT_ERROR.
 */
int inv_cli_fail(InvCli *cli, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Prints the headline, if any, and @error on standard error. */
void inv_cli_report(InvCli *cli, const GError *error);

/* Asks on the terminal; @answers are the letters that may be given. 0 when nobody can answer. */
char inv_cli_ask(const char *question, const char *answers);

/* Talking to the daemon. */

gboolean inv_cli_connect(InvCli *cli, GError **error);
void inv_cli_disconnect(InvCli *cli);

/* A call of libvirt's program, or of Invar's own; connects first when need be. */
gboolean inv_cli_call(InvCli *cli, guint32 procedure, gpointer args, gpointer ret, GError **error);
gboolean inv_cli_call_invar(InvCli *cli, guint32 procedure, gpointer args, gpointer ret, GError **error);

/* A file's text, "-" for standard input; at most @max bytes, without NULs. NULL on error. */
char *inv_cli_read_text(const char *path, gsize max, GError **error);
/* What is held of a file with CPUs at a time: some 25,000 hosts with every feature named. */
#define INV_CLI_CPUS_MAX (128u * 1024 * 1024)

/* The same, of one document for the daemon. */
#define INV_CLI_FILE_MAX (4u * 1024 * 1024)
char *inv_cli_read_file(const char *path, GError **error);

G_END_DECLS
