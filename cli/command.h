/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct InvCli InvCli;
typedef struct InvArgs InvArgs;

/* How the program ends; scripts depend on these: see invar(1). */
typedef enum {
    INV_EXIT_OK = 0,
    INV_EXIT_ERROR = 1,
    INV_EXIT_USAGE = 2,
    INV_EXIT_DROPS = 3,   /* verdict: it would start, without some features */
    INV_EXIT_REFUSED = 4, /* verdict: it would not start */
} InvExit;

typedef enum {
    INV_OPTION_FLAG,   /* --all */
    INV_OPTION_STRING, /* --file PATH, --file=PATH */
    INV_OPTION_UINT,   /* the same, a whole number from 0 to 2^31 - 1 */
    INV_OPTION_REST,   /* every word that is left; the last option of a command */
} InvOptionType;

/* What a value of an option may be, for completion. */
typedef enum {
    INV_COMPLETE_NONE,
    INV_COMPLETE_FILE,
    INV_COMPLETE_DOMAIN,
    INV_COMPLETE_ACTIVE,
    INV_COMPLETE_INACTIVE,
    INV_COMPLETE_PERSISTENT,
    INV_COMPLETE_COMMAND,
    INV_COMPLETE_EVENT,
    INV_COMPLETE_SHUTDOWN_MODE,
    INV_COMPLETE_VIRTTYPE,
    INV_COMPLETE_ARCH,
} InvCompletion;

typedef struct {
    const char *name; /* without dashes; NULL ends a command's list */
    InvOptionType type;
    gboolean positional; /* a word without an option's name fills it, in the order of the list */
    gboolean required;
    InvCompletion complete;
    const char *help;
} InvOption;

/* The common ones. */
#define INV_FLAG(name_, help_) { .name = (name_), .type = INV_OPTION_FLAG, .help = (help_) }
#define INV_VALUE(name_, complete_, help_) \
    { .name = (name_), .type = INV_OPTION_STRING, .complete = (complete_), .help = (help_) }
#define INV_DATA(name_, complete_, help_) \
    { .name = (name_), .type = INV_OPTION_STRING, .positional = TRUE, .required = TRUE, .complete = (complete_), .help = (help_) }
#define INV_DOMAIN(complete_) INV_DATA("domain", complete_, "domain name, id or uuid")

/* Runs the command. InvExit; with INV_EXIT_ERROR or INV_EXIT_USAGE @error is set. */
typedef int (*InvCommandRun)(InvCli *cli, const InvArgs *args, GError **error);

typedef struct {
    const char *name; /* NULL ends a table */
    const char *summary;
    const char *description;  /* or NULL */
    const InvOption *options; /* or NULL */
    InvCommandRun run;
    gboolean hidden; /* not in the help */
} InvCommand;

typedef struct {
    const char *title;
    const char *keyword;
    const InvCommand *commands;
} InvCommandGroup;

/* All of them, ended by a group without a title. */
extern const InvCommandGroup inv_command_groups[];

/* NULL: there is no such command. */
const InvCommand *inv_command_find(const char *name);
const InvCommandGroup *inv_command_group_find(const char *keyword);
const InvOption *inv_command_option(const InvCommand *command, const char *name);

/* The options that were given to one call of a command. Values are the caller's words, copied. */
struct InvArgs {
    const InvCommand *command;
    GHashTable *values; /* option's name → char * ("" for a flag), owned */
    GPtrArray *rest;    /* of char *, owned */
    gboolean json;      /* --json stood behind the command */
};

/*
 * @words: what followed the command's name; --json, a global option, may stand among them. @literal: per word, whether it was quoted and so is a
 * value whatever it looks like; NULL for none. VIR_ERR_INVALID_ARG for what the command does not
 * take, what is missing, and numbers that are none.
 */
InvArgs *inv_args_parse(const InvCommand *command, const char *const *words, const gboolean *literal, GError **error);
void inv_args_free(InvArgs *args);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvArgs, inv_args_free)

gboolean inv_args_flag(const InvArgs *args, const char *name);
/* NULL when it was not given. */
const char *inv_args_string(const InvArgs *args, const char *name);
guint inv_args_uint(const InvArgs *args, const char *name, guint fallback);

/* The bits of those flags of @map (ended by NULL) that were given. */
typedef struct {
    const char *name;
    guint bit;
} InvFlagBit;
guint inv_args_bits(const InvArgs *args, const InvFlagBit *map);

/* Two flags of @args that cannot go together: VIR_ERR_INVALID_ARG, with virsh's words. */
gboolean inv_args_exclusive(const InvArgs *args, const char *one, const char *other, GError **error);

/*
 * Parses a whole line (";" between commands) before anything runs. The result is an array of
 * InvArgs, owned.
 */
GPtrArray *inv_command_parse_line(const char *line, GError **error);

/* As `help COMMAND`, `help GROUP` and `help` print it. Owned by the caller. */
char *inv_command_help(const InvCommand *command);
char *inv_command_group_help(const InvCommandGroup *group);
char *inv_command_overview(void);

G_END_DECLS
