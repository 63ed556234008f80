/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/fleet.h"

#include "cli/domain_ref.h"
#include "cpu_driver/host_export.h"
#include "rpc/invar_protocol.h"
#include "util/error.h"
#include "util/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

INV_RPC_AUTOCLEAN(invar_domain_export_ret)
INV_RPC_AUTOCLEAN(invar_migrate_check_ret)

#define CONNECT_DEADLINE_MS 10000u
/* A destination may have to ask QEMUs that it has not asked yet. */
#define CHECK_DEADLINE_MS 120000u
#define MAX_THREADS 16u
#define MAX_HOSTS 100000u
/* An export of some thousand domains. */
#define MAX_DOMAINS_FILE (256u * 1024 * 1024)

static void
domain_free(gpointer data)
{
    InvFleetDomain *domain = data;

    inv_migration_subject_free(domain->subject);
    g_free(domain->text);
    g_free(domain);
}

/* Its verdicts are as many as there are domains, which only the fleet knows: freed there. */
static void
host_free(gpointer data)
{
    InvFleetHost *host = data;

    g_clear_error(&host->error);
    g_free(host->where);
    g_free(host->verdicts);
    g_free(host->errors);
    g_free(host);
}

void
inv_fleet_free(InvFleet *fleet)
{
    if (!fleet)
        return;
    for (guint i = 0; i < fleet->hosts->len; i++) {
        InvFleetHost *host = g_ptr_array_index(fleet->hosts, i);

        for (guint k = 0; k < fleet->domains->len; k++) {
            inv_migration_verdict_free(host->verdicts[k]);
            g_clear_error(&host->errors[k]);
        }
    }
    g_ptr_array_unref(fleet->hosts);
    g_ptr_array_unref(fleet->domains);
    g_free(fleet);
}

/* Takes @subject and @text over. */
static void
add_domain(GPtrArray *domains, InvMigrationSubject *subject, char *text)
{
    InvFleetDomain *domain = g_new0(InvFleetDomain, 1);

    domain->subject = subject;
    domain->text = text;
    g_ptr_array_add(domains, domain);
}

/* One line of a file, or the daemon's answer. */
static gboolean
add_document(GPtrArray *domains, const char *text, gsize length, GError **error)
{
    g_autoptr(InvJson) json = inv_json_parse(text, length, error);
    InvMigrationSubject *subject = json ? inv_migration_subject_from_json(json, error) : NULL;

    if (!subject)
        return FALSE;
    add_domain(domains, subject, g_strndup(text, length));
    return TRUE;
}

static gboolean
add_xml(GPtrArray *domains, const char *xml, GError **error)
{
    g_autoptr(InvMigrationSubject) subject = inv_migration_subject_from_xml(xml, error);
    g_autoptr(InvJson) json = subject ? inv_migration_subject_to_json(subject, xml) : NULL;

    if (!subject)
        return FALSE;
    add_domain(domains, g_steal_pointer(&subject), inv_json_format(json, FALSE));
    return TRUE;
}

static gboolean
read_domain_file(GPtrArray *domains, const char *path, GError **error)
{
    g_autofree char *text = inv_cli_read_text(path, MAX_DOMAINS_FILE, error);
    const char *at = text;

    if (!text)
        return FALSE;
    at += strspn(at, " \t\r\n");
    if (*at == '<')
        return add_xml(domains, at, error);
    for (guint number = 1; *at; number++) {
        gsize length = strcspn(at, "\n");

        if (length && !add_document(domains, at, length, error)) {
            g_prefix_error(error, "file '%s', line %u: ", path, number);
            return FALSE;
        }
        at += length + (at[length] == '\n');
    }
    return domains->len || inv_error_set(error, VIR_ERR_INVALID_ARG, "file '%s' has no domain in it", path);
}

static gboolean
ask_domain(InvCli *cli, GPtrArray *domains, const char uuid[VIR_UUID_BUFLEN], GError **error)
{
    invar_domain_export_args call = { 0 };
    g_auto(invar_domain_export_ret) ret = { 0 };

    memcpy(call.uuid, uuid, VIR_UUID_BUFLEN);
    return inv_cli_call_invar(cli, INVAR_PROC_DOMAIN_EXPORT, &call, &ret, error) &&
           add_document(domains, ret.domain, strlen(ret.domain), error);
}

GPtrArray *
inv_fleet_read_domains(InvCli *cli, const char *word, GError **error)
{
    g_autoptr(GPtrArray) domains = g_ptr_array_new_with_free_func(domain_free);
    g_auto(remote_connect_list_all_domains_ret) list = { 0 };
    g_auto(remote_nonnull_domain) domain = { 0 };

    /* A domain may be called as a file is: what looks like a path is one, and else the daemon knows. */
    if (word && (strchr(word, '/') || !strcmp(word, "-") || g_str_has_suffix(word, ".xml") || g_str_has_suffix(word, ".json")))
        return read_domain_file(domains, word, error) ? g_steal_pointer(&domains) : NULL;
    if (word)
        return inv_domain_find(cli, word, INV_BY_ANY, &domain, error) && ask_domain(cli, domains, domain.uuid, error) ? g_steal_pointer(&domains)
                                                                                                                    : NULL;
    if (!inv_domain_list(cli, 0, &list, error))
        return NULL;
    for (guint i = 0; i < list.domains.domains_len; i++) {
        if (!ask_domain(cli, domains, list.domains.domains_val[i].uuid, error)) {
            g_prefix_error(error, "domain '%s': ", list.domains.domains_val[i].name);
            return NULL;
        }
    }
    if (!domains->len) {
        inv_error_set(error, VIR_ERR_OPERATION_INVALID, "the daemon has no domain");
        return NULL;
    }
    return g_steal_pointer(&domains);
}

/* What the threads of one check share. */
typedef struct {
    const InvCli *cli;
    InvFleet *fleet;
    InvHostExportReader *reader;
    gint next; /* atomic: the host that is taken next */
} Work;

static gssize
read_at(gpointer data, guint64 offset, char *buffer, gsize length)
{
    gssize got;

    do {
        got = pread(GPOINTER_TO_INT(data), buffer, length, (off_t)offset);
    } while (got < 0 && errno == EINTR);
    return got;
}

static void
check_file(const Work *work, InvFleetHost *host)
{
    inv_autofd int fd = open(host->where, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    g_autoptr(InvHostExport) export = NULL;
    struct stat info;

    if (fd < 0 || fstat(fd, &info) != 0) {
        inv_error_set_errno(&host->error, errno, "Failed to open file '%s'", host->where);
        return;
    }
    if (!S_ISREG(info.st_mode)) {
        inv_error_set(&host->error, VIR_ERR_INVALID_ARG, "'%s' is neither a file nor a daemon's socket", host->where);
        return;
    }
    export = inv_host_export_open(work->reader, read_at, GINT_TO_POINTER(fd), &host->error);
    if (!export) {
        g_prefix_error(&host->error, "file '%s': ", host->where);
        return;
    }
    for (guint i = 0; i < work->fleet->domains->len; i++) {
        const InvFleetDomain *domain = g_ptr_array_index(work->fleet->domains, i);

        host->verdicts[i] = inv_host_export_check(export, domain->subject, &host->errors[i]);
        if (host->errors[i])
            g_prefix_error(&host->errors[i], "file '%s': ", host->where);
    }
}

static InvMigrationVerdict *
ask_daemon(InvRpcConnection *connection, const InvFleetDomain *domain, guint deadline, GError **error)
{
    invar_migrate_check_args call = { .domain = domain->text };
    g_auto(invar_migrate_check_ret) ret = { 0 };
    g_autoptr(InvJson) json = NULL;

    if (!inv_rpc_connection_call(connection, &inv_rpc_invar_program, INVAR_PROC_MIGRATE_CHECK, &call, &ret, deadline, error))
        return NULL;
    json = inv_json_parse(ret.verdict, strlen(ret.verdict), error);
    return json ? inv_migration_verdict_from_json(json, error) : NULL;
}

static void
check_daemon(const Work *work, InvFleetHost *host)
{
    g_autoptr(InvRpcTarget) target = inv_rpc_target_parse(host->where, &host->error);
    guint deadline = work->cli->timeout_ms ? work->cli->timeout_ms : CHECK_DEADLINE_MS;
    g_autoptr(InvRpcConnection) connection = NULL;

    if (target)
        connection = inv_rpc_connection_open_target(target, FALSE, MIN(deadline, CONNECT_DEADLINE_MS), &host->error);
    if (!connection) {
        g_prefix_error(&host->error, "destination '%s': ", host->where);
        return;
    }
    for (guint i = 0; i < work->fleet->domains->len; i++) {
        host->verdicts[i] = ask_daemon(connection, g_ptr_array_index(work->fleet->domains, i), deadline, &host->errors[i]);
        if (host->errors[i])
            g_prefix_error(&host->errors[i], "destination '%s': ", host->where);
    }
}

static gboolean
is_daemon(const char *where)
{
    struct stat info;

    return strstr(where, "://") || (stat(where, &info) == 0 && S_ISSOCK(info.st_mode));
}

static gpointer
check_hosts(gpointer data)
{
    Work *work = data;

    for (;;) {
        guint index = (guint)g_atomic_int_add(&work->next, 1);
        InvFleetHost *host;

        if (index >= work->fleet->hosts->len)
            return NULL;
        host = g_ptr_array_index(work->fleet->hosts, index);
        if (host->error)
            continue;
        if (is_daemon(host->where))
            check_daemon(work, host);
        else
            check_file(work, host);
    }
}

/* Takes @where over. */
static InvFleetHost *
add_host(InvFleet *fleet, char *where)
{
    InvFleetHost *host = g_new0(InvFleetHost, 1);

    host->where = where;
    host->verdicts = g_new0(InvMigrationVerdict *, fleet->domains->len + 1);
    host->errors = g_new0(GError *, fleet->domains->len + 1);
    g_ptr_array_add(fleet->hosts, host);
    return host;
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The files of a folder, by name; hidden ones are left out. FALSE: it is no folder. */
static gboolean
add_folder(InvFleet *fleet, const char *path)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    DIR *folder = opendir(path);
    const struct dirent *entry;

    if (!folder)
        return FALSE;
    while ((entry = readdir(folder)) && names->len < MAX_HOSTS) {
        if (entry->d_name[0] != '.' && entry->d_type != DT_DIR)
            g_ptr_array_add(names, g_strdup(entry->d_name));
    }
    closedir(folder);
    g_ptr_array_sort(names, compare_names);
    for (guint i = 0; i < names->len; i++)
        add_host(fleet, g_build_filename(path, g_ptr_array_index(names, i), NULL));
    if (!names->len)
        inv_error_set(&add_host(fleet, g_strdup(path))->error, VIR_ERR_INVALID_ARG, "the folder '%s' has no file in it", path);
    return TRUE;
}

InvFleet *
inv_fleet_check(InvCli *cli, GPtrArray *domains, const char *const *destinations)
{
    InvFleet *fleet = g_new0(InvFleet, 1);
    g_autoptr(InvHostExportReader) reader = inv_host_export_reader_new(NULL);
    Work work = { .cli = cli, .fleet = fleet, .reader = reader };
    g_autoptr(GPtrArray) threads = g_ptr_array_new();
    guint count;

    fleet->domains = domains;
    fleet->hosts = g_ptr_array_new_with_free_func(host_free);
    for (; *destinations; destinations++) {
        if (strstr(*destinations, "://") || !add_folder(fleet, *destinations))
            add_host(fleet, g_strdup(*destinations));
    }
    /* This thread is one of them. Daemons are waited for, files are worked on. */
    count = MIN(MIN(fleet->hosts->len, g_get_num_processors()), MAX_THREADS);
    for (guint i = 1; i < count; i++)
        g_ptr_array_add(threads, g_thread_new("fleet", check_hosts, &work));
    check_hosts(&work);
    for (guint i = 0; i < threads->len; i++)
        g_thread_join(g_ptr_array_index(threads, i));
    return fleet;
}

const char *
inv_fleet_host_name(const InvFleetHost *host)
{
    if (host->verdicts[0] && host->verdicts[0]->hostname && *host->verdicts[0]->hostname)
        return host->verdicts[0]->hostname;
    return host->where;
}

const GError *
inv_fleet_error(const InvFleetHost *host, guint domain)
{
    return host->error ? host->error : host->errors[domain];
}

InvFleetAnswer
inv_fleet_answer(const InvFleetHost *host, guint domain)
{
    const InvMigrationVerdict *verdict = host->verdicts[domain];

    if (!verdict)
        return INV_FLEET_UNKNOWN;
    switch (verdict->outcome) {
    case INV_MIGRATION_CAN:
        return INV_FLEET_CAN;
    case INV_MIGRATION_CAN_WITH:
        return INV_FLEET_WITH;
    case INV_MIGRATION_CANNOT:
        return INV_FLEET_CANNOT;
    }
    return INV_FLEET_UNKNOWN;
}

void
inv_fleet_count(const InvFleet *fleet, guint domain, guint counts[INV_FLEET_UNKNOWN + 1])
{
    memset(counts, 0, (INV_FLEET_UNKNOWN + 1) * sizeof(counts[0]));
    for (guint i = 0; i < fleet->hosts->len; i++)
        counts[inv_fleet_answer(g_ptr_array_index(fleet->hosts, i), domain)]++;
}

int
inv_fleet_exit(const InvFleet *fleet)
{
    guint all[INV_FLEET_UNKNOWN + 1] = { 0 };

    for (guint i = 0; i < fleet->domains->len; i++) {
        guint counts[INV_FLEET_UNKNOWN + 1];

        inv_fleet_count(fleet, i, counts);
        for (guint k = 0; k < G_N_ELEMENTS(counts); k++)
            all[k] += counts[k];
    }
    if (all[INV_FLEET_UNKNOWN])
        return INV_EXIT_ERROR;
    return all[INV_FLEET_CANNOT] ? INV_EXIT_REFUSED : INV_EXIT_OK;
}
