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

/* The numbers of a file's line, in the order of the line. */
enum { DEV, INO, MODE, NLINK, UID, GID, RDEV, SIZE, MTIME, MTIME_NS, CTIME, CTIME_NS, N_NUMBERS };

static void
numbers_of(const struct stat *info, gint64 *numbers)
{
    numbers[DEV] = (gint64)info->st_dev;
    numbers[INO] = (gint64)info->st_ino;
    numbers[MODE] = (gint64)info->st_mode;
    numbers[NLINK] = (gint64)info->st_nlink;
    numbers[UID] = (gint64)info->st_uid;
    numbers[GID] = (gint64)info->st_gid;
    numbers[RDEV] = (gint64)info->st_rdev;
    numbers[SIZE] = (gint64)info->st_size;
    numbers[MTIME] = (gint64)info->st_mtim.tv_sec;
    numbers[MTIME_NS] = (gint64)info->st_mtim.tv_nsec;
    numbers[CTIME] = (gint64)info->st_ctim.tv_sec;
    numbers[CTIME_NS] = (gint64)info->st_ctim.tv_nsec;
}

static void
numbers_to(const gint64 *numbers, struct stat *info)
{
    info->st_dev = (dev_t)numbers[DEV];
    info->st_ino = (ino_t)numbers[INO];
    info->st_mode = (mode_t)numbers[MODE];
    info->st_nlink = (nlink_t)numbers[NLINK];
    info->st_uid = (uid_t)numbers[UID];
    info->st_gid = (gid_t)numbers[GID];
    info->st_rdev = (dev_t)numbers[RDEV];
    info->st_size = (off_t)numbers[SIZE];
    info->st_mtim.tv_sec = (time_t)numbers[MTIME];
    info->st_mtim.tv_nsec = (long)numbers[MTIME_NS];
    info->st_ctim.tv_sec = (time_t)numbers[CTIME];
    info->st_ctim.tv_nsec = (long)numbers[CTIME_NS];
}

/* Blanks, line ends and what is not ASCII escaped; a NUL is not, as none of these texts has one. */
static char *
escape(const char *text, gsize length)
{
    g_autofree char *copy = g_strndup(text, length);
    g_autofree char *escaped = g_strescape(copy, NULL);
    g_autoptr(GString) words = g_string_new(escaped);

    g_string_replace(words, " ", "\\040", 0);
    return g_string_free(g_steal_pointer(&words), FALSE);
}

char *
inv_freshness_to_text(const InvFreshness *freshness)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < freshness->files->len; i++) {
        const File *file = &g_array_index(freshness->files, File, i);
        g_autofree char *path = escape(file->path, strlen(file->path));
        gint64 numbers[N_NUMBERS];

        numbers_of(&file->info, numbers);
        g_string_append_printf(text, "%s %s", file->there ? "file" : "none", path);
        for (guint n = 0; file->there && n < N_NUMBERS; n++)
            g_string_append_printf(text, " %" G_GINT64_FORMAT, numbers[n]);
        g_string_append_c(text, '\n');
    }
    for (guint i = 0; i < freshness->texts->len; i++) {
        const Text *watched = &g_array_index(freshness->texts, Text, i);
        g_autofree char *path = escape(watched->path, strlen(watched->path));
        g_autofree char *content = escape(watched->text ? watched->text : "", (gsize)MAX(watched->length, 0));

        g_string_append_printf(text, "text %s %" G_GSSIZE_FORMAT " %s\n", path, watched->length, content);
    }
    if (freshness->memory_watched)
        g_string_append_printf(text, "memory %" G_GUINT64_FORMAT "\n", freshness->memory);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static gboolean
take_file(InvFreshness *freshness, char *const *words)
{
    File file = { .there = strcmp(words[0], "file") == 0 };
    gint64 numbers[N_NUMBERS];

    if (g_strv_length((char **)words) != 2 + (file.there ? N_NUMBERS : 0))
        return FALSE;
    for (guint n = 0; file.there && n < N_NUMBERS; n++) {
        if (!g_ascii_string_to_signed(words[2 + n], 10, G_MININT64, G_MAXINT64, &numbers[n], NULL))
            return FALSE;
    }
    if (file.there)
        numbers_to(numbers, &file.info);
    file.path = g_strcompress(words[1]);
    g_array_append_val(freshness->files, file);
    return TRUE;
}

static gboolean
take_text(InvFreshness *freshness, char *const *words)
{
    g_autofree char *content = NULL;
    gint64 length;
    Text text;

    if (g_strv_length((char **)words) != 4 ||
        !g_ascii_string_to_signed(words[2], 10, -1, INV_FRESHNESS_TEXT_MAX, &length, NULL))
        return FALSE;
    content = g_strcompress(words[3]);
    /* One with a NUL inside comes back shorter than it was: it is none that was written here. */
    if (strlen(content) != (gsize)MAX(length, 0))
        return FALSE;
    text = (Text){ .path = g_strcompress(words[1]), .length = (gssize)length };
    text.text = length > 0 ? g_steal_pointer(&content) : NULL;
    g_array_append_val(freshness->texts, text);
    return TRUE;
}

static gboolean
take_line(InvFreshness *freshness, const char *line)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);

    if (strcmp(words[0], "file") == 0 || strcmp(words[0], "none") == 0)
        return words[1] && take_file(freshness, words);
    if (strcmp(words[0], "text") == 0)
        return take_text(freshness, words);
    freshness->memory_watched = TRUE;
    return strcmp(words[0], "memory") == 0 && words[1] && !words[2] &&
        g_ascii_string_to_unsigned(words[1], 10, 0, G_MAXUINT64, &freshness->memory, NULL);
}

InvFreshness *
inv_freshness_from_text(const char *text)
{
    g_autoptr(InvFreshness) freshness = inv_freshness_new();
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (char **line = lines; *line; line++) {
        /* Behind the last newline there is nothing. */
        if (!**line && !line[1])
            break;
        if (!**line || !take_line(freshness, *line))
            return NULL;
    }
    return g_steal_pointer(&freshness);
}
