/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/freshness.h"

#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

typedef struct {
    char *path;
    gboolean there;
    struct stat info; /* of a file that is there */
} File;

typedef struct {
    char *path;
    gssize length; /* -1: it cannot be read */
    char *text;    /* not NUL-terminated */
} Text;

struct InvFreshness {
    GArray *files; /* File */
    GArray *texts; /* Text */
    gboolean memory_watched;
    guint64 memory;
};

static void
file_clear(gpointer data)
{
    g_free(((File *)data)->path);
}

static void
text_clear(gpointer data)
{
    Text *text = data;

    g_free(text->path);
    g_free(text->text);
}

InvFreshness *
inv_freshness_new(void)
{
    InvFreshness *freshness = g_new0(InvFreshness, 1);

    freshness->files = g_array_new(FALSE, TRUE, sizeof(File));
    g_array_set_clear_func(freshness->files, file_clear);
    freshness->texts = g_array_new(FALSE, TRUE, sizeof(Text));
    g_array_set_clear_func(freshness->texts, text_clear);
    return freshness;
}

void
inv_freshness_free(InvFreshness *freshness)
{
    if (!freshness)
        return;
    g_array_unref(freshness->files);
    g_array_unref(freshness->texts);
    g_free(freshness);
}

void
inv_freshness_watch(InvFreshness *freshness, const char *path)
{
    File file = { .path = NULL };

    for (guint i = 0; i < freshness->files->len; i++) {
        if (strcmp(g_array_index(freshness->files, File, i).path, path) == 0)
            return;
    }
    file.path = g_strdup(path);
    file.there = stat(path, &file.info) == 0;
    g_array_append_val(freshness->files, file);
}

static gssize
read_text(const char *path, char *buffer)
{
    inv_autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    ssize_t got;

    if (fd < 0)
        return -1;
    /* The kernel gives such a text at once. */
    do {
        got = read(fd, buffer, INV_FRESHNESS_TEXT_MAX);
    } while (got < 0 && errno == EINTR);
    return got;
}

void
inv_freshness_watch_text(InvFreshness *freshness, const char *path)
{
    char buffer[INV_FRESHNESS_TEXT_MAX];
    Text text = { .path = g_strdup(path), .length = read_text(path, buffer) };

    text.text = text.length > 0 ? g_memdup2(buffer, (gsize)text.length) : NULL;
    g_array_append_val(freshness->texts, text);
}

static guint64
total_memory(void)
{
    struct sysinfo info;

    return sysinfo(&info) < 0 ? 0 : (guint64)info.totalram * info.mem_unit;
}

void
inv_freshness_watch_memory(InvFreshness *freshness)
{
    freshness->memory_watched = TRUE;
    freshness->memory = total_memory();
}

static gboolean
file_holds(const File *file)
{
    const struct stat *then = &file->info;
    struct stat now;

    if (stat(file->path, &now) < 0)
        return !file->there;
    return file->there && now.st_dev == then->st_dev && now.st_ino == then->st_ino && now.st_mode == then->st_mode &&
        now.st_nlink == then->st_nlink &&
        now.st_uid == then->st_uid && now.st_gid == then->st_gid && now.st_rdev == then->st_rdev && now.st_size == then->st_size &&
        now.st_mtim.tv_sec == then->st_mtim.tv_sec && now.st_mtim.tv_nsec == then->st_mtim.tv_nsec &&
        now.st_ctim.tv_sec == then->st_ctim.tv_sec && now.st_ctim.tv_nsec == then->st_ctim.tv_nsec;
}

static gboolean
text_holds(const Text *text)
{
    char buffer[INV_FRESHNESS_TEXT_MAX];
    gssize length = read_text(text->path, buffer);

    return length == text->length && (length <= 0 || memcmp(buffer, text->text, (gsize)length) == 0);
}

gboolean
inv_freshness_holds(const InvFreshness *freshness)
{
    for (guint i = 0; i < freshness->files->len; i++) {
        if (!file_holds(&g_array_index(freshness->files, File, i)))
            return FALSE;
    }
    for (guint i = 0; i < freshness->texts->len; i++) {
        if (!text_holds(&g_array_index(freshness->texts, Text, i)))
            return FALSE;
    }
    return !freshness->memory_watched || freshness->memory == total_memory();
}
