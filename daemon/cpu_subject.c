/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/cpu_subject.h"

#include "cpu_driver/compare.h"
#include "daemon/cpu_model_info.h"
#include "daemon/host_cpu.h"
#include "util/error.h"

#include <string.h>

/* An administrator asks about some machine types of some emulators; a client that goes through all of them costs others a moment. */
#define MAX_SUBJECTS 32u

/* A look at all files costs twice what an answer costs; in less time than this nobody changes one, tells of it, and asks. */
#define LOOK_AGAIN_US 1000

typedef struct {
    InvCpuSubject *subject;
    InvFreshness *freshness; /* of before the subject was got */
    guint generation;
    gint64 looked;           /* monotonic: when it held last */
    guint64 used;            /* a count */
} Entry;

struct InvCpuSubjects {
    GMutex lock;
    GHashTable *entries; /* the client's words → Entry; guarded by lock, as is what follows */
    guint64 uses;
};

InvCpuSubject *
inv_cpu_subject_ref(InvCpuSubject *subject)
{
    g_atomic_ref_count_inc(&subject->references);
    return subject;
}

void
inv_cpu_subject_unref(InvCpuSubject *subject)
{
    if (!subject || !g_atomic_ref_count_dec(&subject->references))
        return;
    inv_cpu_difference_free(subject->difference);
    inv_cpu_documents_free(subject->documents);
    inv_feature_set_free(subject->followed);
    inv_cpu_description_free(subject->gives);
    inv_cpu_description_free(subject->hardware);
    inv_cpu_free(subject->processor);
    inv_cpu_basis_free(subject->basis);
    inv_emulator_choice_clear(&subject->choice);
    g_mutex_clear(&subject->lock);
    g_free(subject);
}

static void
entry_free(gpointer data)
{
    Entry *entry = data;

    inv_cpu_subject_unref(entry->subject);
    inv_freshness_free(entry->freshness);
    g_free(entry);
}

InvCpuSubjects *
inv_cpu_subjects_new(void)
{
    InvCpuSubjects *subjects = g_new0(InvCpuSubjects, 1);

    g_mutex_init(&subjects->lock);
    subjects->entries = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, entry_free);
    return subjects;
}

void
inv_cpu_subjects_free(InvCpuSubjects *subjects)
{
    if (!subjects)
        return;
    g_hash_table_unref(subjects->entries);
    g_mutex_clear(&subjects->lock);
    g_free(subjects);
}

/* NULL and "" are told apart, and no word can be read as another. */
static char *
key_of(const InvCpuWords *words)
{
    const char *const parts[] = { words->emulator, words->arch, words->machine, words->virt_type };
    GString *key = g_string_new(NULL);

    for (guint i = 0; i < G_N_ELEMENTS(parts); i++)
        g_string_append_printf(key, "%" G_GSIZE_FORMAT ":%s", parts[i] ? strlen(parts[i]) + 1 : 0, parts[i] ? parts[i] : "");
    return g_string_free(key, FALSE);
}

/* The host's processor as <capabilities> describes it; NULL when it is not known. */
static InvCpu *
host_processor(const InvCpuFacts *facts)
{
    g_autoptr(InvHostCpuDescription) description = inv_host_cpu_describe(facts);
    InvCpu *cpu;

    if (!description || !description->model)
        return NULL;
    cpu = inv_cpu_new();
    cpu->arch = g_strdup(facts->arch);
    cpu->model = g_strdup(description->model);
    for (char **feature = description->features; *feature; feature++)
        inv_cpu_set_feature(cpu, *feature, INV_CPU_POLICY_REQUIRE);
    return cpu;
}

static void
work_out(InvCpuSubject *subject)
{
    const InvCpuFacts *facts = &subject->choice.facts;

    if (inv_cpu_arch_asks_qemu(facts->arch))
        return;
    subject->basis = inv_cpu_basis_of_facts(facts);
    if (!inv_cpu_basis_can_describe(subject->basis, "comparing CPUs", NULL)) {
        g_clear_pointer(&subject->basis, inv_cpu_basis_free);
        return;
    }
    inv_cpu_basis_prepare(subject->basis);
    subject->difference = inv_cpu_difference_new(subject->basis);
    subject->gives = inv_cpu_describe_here(subject->basis, NULL);
    if (facts->host) {
        subject->followed = inv_feature_set_copy(facts->host->on);
        for (const char *const *name = facts->host_unavailable; name && *name; name++)
            inv_feature_set_remove(subject->followed, *name);
    }
    subject->processor = host_processor(facts);
    if (subject->processor)
        subject->hardware = inv_cpu_describe(subject->basis, subject->processor, subject->followed, NULL);
}

/* Takes what @choice holds. */
static InvCpuSubject *
subject_new(InvEmulatorChoice *choice)
{
    InvCpuSubject *subject = g_new0(InvCpuSubject, 1);

    g_atomic_ref_count_init(&subject->references);
    g_mutex_init(&subject->lock);
    subject->choice = *choice;
    choice->emulator = NULL;
    subject->documents = inv_cpu_documents_new();
    work_out(subject);
    return subject;
}

/* A reference to the subject under @key if it is about what @choice is about; else NULL. */
static InvCpuSubject *
find_same(InvCpuSubjects *subjects, const char *key, const InvEmulatorChoice *choice)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&subjects->lock);
    const Entry *entry = g_hash_table_lookup(subjects->entries, key);
    const InvEmulatorChoice *known = entry ? &entry->subject->choice : NULL;

    if (!known || known->emulator != choice->emulator || known->machine != choice->machine || known->type != choice->type ||
        known->facts.table != choice->facts.table || known->facts.host != choice->facts.host)
        return NULL;
    return inv_cpu_subject_ref(entry->subject);
}

static void
drop_oldest_locked(InvCpuSubjects *subjects)
{
    GHashTableIter iter;
    gpointer key, value;
    gpointer oldest = NULL;
    guint64 used = G_MAXUINT64;

    g_hash_table_iter_init(&iter, subjects->entries);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        if (((Entry *)value)->used < used) {
            used = ((Entry *)value)->used;
            oldest = key;
        }
    }
    if (oldest)
        g_hash_table_remove(subjects->entries, oldest);
}

/* Takes @key and @freshness over. */
static void
keep(InvCpuSubjects *subjects, char *key, InvCpuSubject *subject, InvFreshness *freshness, guint generation)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&subjects->lock);
    Entry *entry = g_new0(Entry, 1);

    entry->subject = inv_cpu_subject_ref(subject);
    entry->freshness = freshness;
    entry->generation = generation;
    entry->used = ++subjects->uses;
    if (g_hash_table_size(subjects->entries) >= MAX_SUBJECTS && !g_hash_table_contains(subjects->entries, key))
        drop_oldest_locked(subjects);
    g_hash_table_replace(subjects->entries, key, entry);
}

InvCpuSubject *
inv_cpu_subjects_get(InvCpuSubjects *subjects, InvDaemon *daemon, const InvCpuWords *words, GError **error)
{
    g_auto(InvEmulatorChoice) choice = { NULL };
    g_autofree char *key = key_of(words);
    /* Of before anything is looked at. */
    g_autoptr(InvFreshness) freshness = inv_freshness_new();
    guint generation = inv_emulators_generation(daemon->emulators);
    InvCpuSubject *subject;

    inv_kvm_watch(freshness, g_strcmp0(words->virt_type, "qemu") != 0);
    inv_emulators_watch(daemon->emulators, words->emulator, freshness);
    if (!inv_emulator_choose(daemon, words->emulator, words->arch, words->machine, words->virt_type, TRUE, &choice, error))
        return NULL;
    if (!words->emulator)
        inv_emulators_watch(daemon->emulators, inv_emulator_path(choice.emulator), freshness);
    subject = find_same(subjects, key, &choice);
    if (!subject)
        subject = subject_new(&choice);
    keep(subjects, g_steal_pointer(&key), subject, g_steal_pointer(&freshness), generation);
    return subject;
}

static gboolean
still_holds(Entry *entry)
{
    gint64 now = g_get_monotonic_time();

    if (now - entry->looked < LOOK_AGAIN_US)
        return TRUE;
    if (!inv_freshness_holds(entry->freshness))
        return FALSE;
    entry->looked = now;
    return TRUE;
}

InvCpuSubject *
inv_cpu_subjects_peek(InvCpuSubjects *subjects, InvDaemon *daemon, const InvCpuWords *words)
{
    g_autofree char *key = key_of(words);
    guint generation = inv_emulators_generation(daemon->emulators);
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&subjects->lock);
    Entry *entry = g_hash_table_lookup(subjects->entries, key);

    if (!entry || entry->generation != generation || !still_holds(entry))
        return NULL;
    entry->used = ++subjects->uses;
    return inv_cpu_subject_ref(entry->subject);
}

InvCpuDocument *
inv_cpu_subject_read(InvCpuSubject *subject, const char *document, gboolean keep, GError **error)
{
    InvCpuDocument *found = inv_cpu_documents_find(subject->documents, document);
    g_autoptr(InvCpu) cpu = NULL;
    InvCpuDescription *description;

    if (found)
        return found;
    cpu = inv_cpu_read(document, error);
    description = cpu ? inv_cpu_describe(subject->basis, cpu, subject->followed, error) : NULL;
    if (!description)
        return NULL;
    /* What follows a host stands for another one in a comparison than in a baseline. */
    keep = keep && (description->model || description->foreign);
    return inv_cpu_documents_add(keep ? subject->documents : NULL, document, description);
}

virCPUCompareResult
inv_cpu_subject_compare(InvCpuSubject *subject, const InvCpuDescription *host, const InvCpuDescription *wanted)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&subject->lock);

    inv_cpu_difference_find(subject->basis, host, wanted, subject->difference);
    return subject->difference->result;
}
