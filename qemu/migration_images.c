/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The images that copied disks are copied into. Sizes come from the other host: they are not trusted. */
/* First, for pidfd_open(). */
#include "config.h"

#include "qemu/migration_copy.h"

#include "util/error.h"
#include "util/fd.h"
#include "xml/node.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Writing the few tables of an empty image takes milliseconds, on a busy network file system seconds. */
#define CREATE_DEADLINE_MS 60000
#define MAX_COMPLAINT 2048
#define SECTOR 512
/* Of a qcow2 header: the magic, and where the virtual size stands, big-endian. */
#define QCOW2_MAGIC "QFI\xfb"
#define QCOW2_SIZE_OFFSET 24
#define QCOW2_HEADER 32
/* The descriptor of the image in qemu-img. */
#define IMAGE_FD 3

static const InvDisk *
find_disk(const InvDomain *domain, const char *target, xmlNodePtr *source)
{
    for (guint i = 0; i < domain->devices->len; i++) {
        const InvDevice *device = g_ptr_array_index(domain->devices, i);

        if (device->type == INV_DEVICE_DISK && g_strcmp0(device->u.disk.target, target) == 0) {
            *source = device->source;
            return &device->u.disk;
        }
    }
    return NULL;
}

static gboolean
is_qcow2(const InvDisk *disk)
{
    return g_strcmp0(disk->format, "qcow2") == 0;
}

static gboolean
check_existing(const InvDisk *disk, int fd, guint64 capacity, GError **error)
{
    struct stat status;
    guint8 header[QCOW2_HEADER];
    guint64 size;

    if (fstat(fd, &status) < 0)
        return inv_error_set_errno(error, errno, "disk '%s': image '%s'", disk->target, disk->path);
    if (!S_ISREG(status.st_mode))
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "disk '%s' cannot be copied into '%s', which is not a regular file",
                             disk->target, disk->path);
    size = (guint64)status.st_size;
    if (is_qcow2(disk)) {
        if (pread(fd, header, sizeof header, 0) != sizeof header || memcmp(header, QCOW2_MAGIC, strlen(QCOW2_MAGIC)) != 0)
            return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "disk '%s' cannot be copied into '%s', which is no qcow2 image",
                                 disk->target, disk->path);
        memcpy(&size, header + QCOW2_SIZE_OFFSET, sizeof size);
        size = GUINT64_FROM_BE(size);
    }
    /* QEMU shows a guest whole sectors. */
    size += (SECTOR - size % SECTOR) % SECTOR;
    if (size == capacity)
        return TRUE;
    return inv_error_set(error, VIR_ERR_OPERATION_FAILED,
                         "disk '%s' cannot be copied into '%s', which has %" G_GUINT64_FORMAT " bytes in place of %" G_GUINT64_FORMAT
                         ": the guest would see another disk; resize it, or remove it to have it made", disk->target, disk->path, size,
                         capacity);
}

/* The backing file of an image that is to be made: <backingStore type='file'><format type=''/><source file=''/>. */
typedef struct {
    char *path;
    char *format;
} Backing;

static void
backing_clear(Backing *backing)
{
    g_clear_pointer(&backing->path, g_free);
    g_clear_pointer(&backing->format, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Backing, backing_clear)

static gboolean
read_backing(const InvDisk *disk, xmlNodePtr source, Backing *backing, GError **error)
{
    xmlNodePtr store = source ? inv_node_child(source, "backingStore") : NULL;
    g_autofree char *type = store ? inv_node_attr(store, "type") : NULL;
    xmlNodePtr format = store ? inv_node_child(store, "format") : NULL;
    xmlNodePtr file = store ? inv_node_child(store, "source") : NULL;

    backing->path = file ? inv_node_attr(file, "file") : NULL;
    backing->format = format ? inv_node_attr(format, "type") : NULL;
    if (!is_qcow2(disk))
        return inv_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                             "the image '%s' of disk '%s' is not there, and a %s image cannot be made on top of a backing file; "
                             "copy all of it instead", disk->path, disk->target, disk->format ? disk->format : "raw");
    if (!backing->path || !g_path_is_absolute(backing->path) || (type && !g_str_equal(type, "file")))
        return inv_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                             "the image '%s' of disk '%s' is not there, and the definition names no backing file for it; make it, "
                             "or copy all of it instead", disk->path, disk->target);
    if (!backing->format || (!g_str_equal(backing->format, "raw") && !g_str_equal(backing->format, "qcow2")))
        return inv_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                             "the backing file '%s' of disk '%s' needs <format type='raw'/> or <format type='qcow2'/>", backing->path,
                             disk->target);
    if (!g_file_test(backing->path, G_FILE_TEST_IS_REGULAR))
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "the backing file '%s' of disk '%s' is not there", backing->path,
                             disk->target);
    return TRUE;
}

/* Reads what a child complains of until it has closed the pipe; FALSE: not in time. */
static gboolean
read_complaint(int fd, GString *complaint, gint64 end)
{
    char chunk[512];

    for (;;) {
        struct pollfd item = { .fd = fd, .events = POLLIN };
        gint64 left = (end - g_get_monotonic_time()) / G_TIME_SPAN_MILLISECOND;
        ssize_t got;

        if (left <= 0 || (poll(&item, 1, (int)left) < 0 && errno != EINTR))
            return FALSE;
        if (!item.revents)
            continue;
        got = read(fd, chunk, sizeof chunk);
        if (got <= 0)
            return TRUE;
        if (complaint->len < MAX_COMPLAINT)
            g_string_append_len(complaint, chunk, got);
    }
}

/* Waits for the end of our child, ends it when it is late. 0: it was content. */
static int
wait_child(GPid pid, gint64 end)
{
    inv_autofd int pidfd = pidfd_open(pid, 0);
    struct pollfd item = { .fd = pidfd, .events = POLLIN };
    int status = -1;

    if (pidfd < 0 || poll(&item, 1, (int)MAX((end - g_get_monotonic_time()) / G_TIME_SPAN_MILLISECOND, 0)) <= 0)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

/* qemu-img writes through our descriptor: whatever becomes of the path meanwhile, it is our file that is written. */
static gboolean
run_qemu_img(const InvDisk *disk, int image, guint64 capacity, const Backing *backing, GError **error)
{
    g_autofree char *program = g_find_program_in_path("qemu-img");
    g_autofree char *file = g_strdup_printf("/proc/self/fd/%d", IMAGE_FD);
    g_autofree char *size = g_strdup_printf("%" G_GUINT64_FORMAT, capacity);
    const char *const plain[] = { program, "create", "-q", "-f", "qcow2", file, size, NULL };
    const char *const layered[] = { program, "create", "-q", "-f", "qcow2", "-b", backing->path, "-F", backing->format, file, size, NULL };
    const int target = IMAGE_FD;
    gint64 end = g_get_monotonic_time() + CREATE_DEADLINE_MS * G_TIME_SPAN_MILLISECOND;
    g_autoptr(GString) complaint = g_string_new(NULL);
    inv_autofd int complaints = -1;
    GPid pid;
    int status;

    if (!program)
        return inv_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                             "the image of disk '%s' cannot be made without qemu-img, which is not installed", disk->target);
    if (!g_spawn_async_with_pipes_and_fds("/", backing->path ? layered : plain, NULL,
                                          G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, -1, -1, -1, &image,
                                          &target, 1, &pid, NULL, NULL, &complaints, error))
        return FALSE;
    if (!read_complaint(complaints, complaint, end))
        end = 0;
    status = wait_child(pid, end);
    g_spawn_close_pid(pid);
    if (status == 0)
        return TRUE;
    if (end == 0)
        return inv_error_set(error, VIR_ERR_OPERATION_TIMEOUT, "the image '%s' of disk '%s' was not made within %d ms", disk->path,
                             disk->target, CREATE_DEADLINE_MS);
    g_strstrip(complaint->str);
    return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "the image '%s' of disk '%s' cannot be made: %s", disk->path, disk->target,
                         *complaint->str ? complaint->str : "qemu-img gave no reason");
}

static gboolean
fill_image(const InvDisk *disk, int fd, guint64 capacity, const Backing *backing, uid_t uid, gid_t gid, GError **error)
{
    if (uid != (uid_t)-1 && fchown(fd, uid, gid) < 0)
        return inv_error_set_errno(error, errno, "the image '%s' of disk '%s' cannot be given to the guests' account", disk->path,
                                   disk->target);
    if (is_qcow2(disk))
        return run_qemu_img(disk, fd, capacity, backing, error);
    if (ftruncate(fd, (off_t)capacity) < 0)
        return inv_error_set_errno(error, errno, "the image '%s' of disk '%s' cannot have %" G_GUINT64_FORMAT " bytes", disk->path,
                                   disk->target, capacity);
    return TRUE;
}

static gboolean
make_image(const InvDisk *disk, xmlNodePtr source, guint64 capacity, gboolean incremental, uid_t uid, gid_t gid, GPtrArray *made,
           GError **error)
{
    g_auto(Backing) backing = { NULL, NULL };
    inv_autofd int fd = -1;

    if (incremental && !read_backing(disk, source, &backing, error))
        return FALSE;
    /* It must not be there, or not be ours: nothing of anybody's is overwritten. */
    fd = open(disk->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return inv_error_set_errno(error, errno, "the image '%s' of disk '%s' cannot be made", disk->path, disk->target);
    g_ptr_array_add(made, g_strdup(disk->path));
    return fill_image(disk, fd, capacity, &backing, uid, gid, error);
}

static gboolean
prepare_image(const InvDomain *domain, const InvCopiedDisk *copied, gboolean incremental, uid_t uid, gid_t gid, GPtrArray *made,
              GError **error)
{
    xmlNodePtr source = NULL;
    const InvDisk *disk = find_disk(domain, copied->target, &source);
    inv_autofd int fd = -1;

    if (!disk || !disk->path || !g_path_is_absolute(disk->path))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "disk '%.64s' is to be copied, but has no image with an absolute path",
                             copied->target);
    if (copied->capacity == 0 || copied->capacity > INV_COPY_MAX_CAPACITY || copied->capacity % SECTOR)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "disk '%s' cannot have a capacity of %" G_GUINT64_FORMAT " bytes",
                             disk->target, copied->capacity);
    fd = open(disk->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd >= 0)
        return check_existing(disk, fd, copied->capacity, error);
    if (errno != ENOENT)
        return inv_error_set_errno(error, errno, "disk '%s': image '%s'", disk->target, disk->path);
    return make_image(disk, source, copied->capacity, incremental, uid, gid, made, error);
}

gboolean
inv_migration_copy_prepare_images(const InvDomain *domain, GPtrArray *disks, gboolean incremental, uid_t uid, gid_t gid, GStrv *made,
                                  GError **error)
{
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);

    *made = NULL;
    for (guint i = 0; i < disks->len; i++) {
        if (prepare_image(domain, g_ptr_array_index(disks, i), incremental, uid, gid, paths, error))
            continue;
        for (guint j = 0; j < paths->len; j++)
            unlink(g_ptr_array_index(paths, j));
        return FALSE;
    }
    g_ptr_array_add(paths, NULL);
    *made = (GStrv)g_ptr_array_steal(paths, NULL);
    return TRUE;
}
