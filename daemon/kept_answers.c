/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/kept_answers.h"

#include "cpu_map/cpu_map.h"
#include "qemu/kvm.h"

#include <string.h>

/* Changes when the form of a kept text does. */
#define FORMAT 1
/* The first word of their subjects in the cache, by which they are forgotten. No emulator's path is like it. */
#define WORD "answer"
/* What one daemon adds at most: the cache's places are for what costs a QEMU process. */
#define MAX_PUT 256
#define MAX_QUESTION 1024u
/* Between what the answer was made from and the answer: an empty line. */
#define DIVIDER "\n\n"

struct InvKeptAnswers {
    InvCache *cache;
    char *surroundings; /* what all answers depend on as long as the program runs; NULL: it is not known, and nothing is kept */
    gint n_put;         /* atomic */
};

/* The files of the map, each folder of which is an architecture's. */
static void
watch_map(InvFreshness *freshness)
{
    const char *map = inv_cpu_map_default_folder();
    g_autoptr(GDir) folders = g_dir_open(map, 0, NULL);
    const char *arch, *name;

    inv_freshness_watch(freshness, map);
    while (folders && (arch = g_dir_read_name(folders))) {
        g_autofree char *folder = g_build_filename(map, arch, NULL);
        g_autoptr(GDir) files = g_dir_open(folder, 0, NULL);

        while (files && (name = g_dir_read_name(files))) {
            g_autofree char *path = g_build_filename(folder, name, NULL);

            inv_freshness_watch(freshness, path);
        }
    }
}

static char *
describe_surroundings(const InvConfig *config)
{
    g_autoptr(InvFreshness) freshness = inv_freshness_new();
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *files = NULL;

    if (!program)
        return NULL;
    inv_freshness_watch(freshness, program);
    watch_map(freshness);
    files = inv_freshness_to_text(freshness);
    g_string_append_printf(text, "form %d\npath %s\n%s", FORMAT, g_getenv("PATH") ?: "", files);
    for (char **folder = config->emulator_folders; folder && *folder; folder++)
        g_string_append_printf(text, "folder %s\n", *folder);
    for (char **binary = config->emulator_binaries; binary && *binary; binary++)
        g_string_append_printf(text, "binary %s\n", *binary);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

InvKeptAnswers *
inv_kept_answers_new(InvCache *cache, const InvConfig *config)
{
    InvKeptAnswers *kept = g_new0(InvKeptAnswers, 1);

    kept->cache = cache;
    kept->surroundings = describe_surroundings(config);
    return kept;
}

void
inv_kept_answers_free(InvKeptAnswers *kept)
{
    if (!kept)
        return;
    g_free(kept->surroundings);
    g_free(kept);
}

char *
inv_kept_answers_state(InvKeptAnswers *kept, gboolean kvm)
{
    g_autofree char *cpu = inv_host_cpu_fingerprint();
    g_autofree char *kvm_state = kvm ? inv_kvm_fingerprint() : NULL;
    g_autofree char *whole = g_strconcat(kept->surroundings ? kept->surroundings : "", cpu, "\n", kvm_state, NULL);

    return g_compute_checksum_for_string(G_CHECKSUM_SHA256, whole, -1);
}

static char *
subject_of(const char *question)
{
    return strlen(question) > MAX_QUESTION ? NULL : g_strconcat(WORD " ", question, NULL);
}

char *
inv_kept_answers_get(InvKeptAnswers *kept, const char *question, gboolean kvm, InvFreshness **freshness)
{
    g_autofree char *subject = subject_of(question);
    g_autofree char *state = NULL;
    g_autofree char *text = NULL;
    g_autoptr(InvFreshness) made_from = NULL;
    char *divider;

    if (!subject || !kept->surroundings)
        return NULL;
    state = inv_kept_answers_state(kept, kvm);
    text = inv_cache_get(kept->cache, subject, state);
    divider = text ? strstr(text, DIVIDER) : NULL;
    if (!divider)
        return NULL;
    divider[1] = '\0';
    made_from = inv_freshness_from_text(text);
    if (!made_from || !inv_freshness_holds(made_from))
        return NULL;
    *freshness = g_steal_pointer(&made_from);
    return g_strdup(divider + strlen(DIVIDER));
}

void
inv_kept_answers_put(InvKeptAnswers *kept, const char *question, const char *state, const InvFreshness *freshness, const char *answer)
{
    g_autofree char *subject = subject_of(question);
    g_autofree char *made_from = NULL;
    g_autofree char *text = NULL;

    if (!subject || !kept->surroundings || g_atomic_int_add(&kept->n_put, 1) >= MAX_PUT)
        return;
    made_from = inv_freshness_to_text(freshness);
    /* Each of its lines has its newline, the divider's first among them. */
    text = g_strconcat(made_from, "\n", answer, NULL);
    inv_cache_put(kept->cache, subject, state, text);
}

void
inv_kept_answers_forget(InvKeptAnswers *kept)
{
    inv_cache_forget(kept->cache, WORD);
}
