/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each process is known by its cgroup, which the Engine names after the container; the first in a network namespace stands
 * for it. Processes are held by a descriptor of their folder in /proc, so that no number is used for another one.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>

#include "files/files.h"
#include "inventory/json.h"
#include "sockets/sockets.h"
#include "util/fd.h"

#define CGROUP_MAX (64 * 1024)
#define ANSWER_MAX (64 * 1024)
#define NAMESPACES_MAX 16 /* of one container: what it makes itself may be many */
#define PATIENCE_SEC 2    /* for all together; who is not looked at until then is not told of */

struct container_sockets {
    char id[CONTAINER_ID_MAX];
    ino_t seen[NAMESPACES_MAX];
    size_t n_seen;
    bool failed;
    struct sockets sockets;
    UT_hash_handle hh;
};

struct search {
    struct container_sockets *containers;
    ino_t own; /* our network namespace */
};

/* ---- one namespace ------------------------------------------------------------------------------------ */

static int ask(int fd, enum ip_family family, enum port_kind kind, struct sockets *sockets)
{
    const struct sockets_request request = sockets_request(family, kind);
    _cleanup_free_ char *answer = xcalloc(1, ANSWER_MAX);
    int r = 0;

    if (send(fd, &request, sizeof(request), 0) < 0)
        return -errno;
    while (r == 0) {
        ssize_t len = recv(fd, answer, ANSWER_MAX, MSG_TRUNC);

        if (len < 0)
            return -errno;
        r = len == 0 || len > ANSWER_MAX ? -EBADMSG : sockets_read(answer, (size_t)len, sockets);
    }
    return r < 0 ? r : 0;
}

/* In the one that we are in. */
static int look(struct sockets *sockets)
{
    const struct timeval patience = {.tv_sec = PATIENCE_SEC};
    _cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    int r = fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ? -errno : 0;

    for (enum ip_family family = IP4; family < IP_FAMILIES; family++)
        for (enum port_kind kind = PORT_TCP; r == 0 && kind <= PORT_UDP; kind++)
            r = ask(fd, family, kind, sockets);
    return r;
}

/* ---- processes ---------------------------------------------------------------------------------------- */

static bool find_container(int process, char ret[static CONTAINER_ID_MAX])
{
    _cleanup_close_ int fd = openat(process, "cgroup", O_RDONLY | O_CLOEXEC);
    _cleanup_free_ char *text = NULL;

    return fd >= 0 && files_read_fd(fd, CGROUP_MAX, &text, NULL) == 0 && cgroup_container(text, ret);
}

static struct container_sockets *get_container(struct search *search, const char *id)
{
    struct container_sockets *container;

    HASH_FIND_STR(search->containers, id, container);
    if (container)
        return container;
    container = xnew(struct container_sockets);
    memcpy(container->id, id, sizeof(container->id));
    HASH_ADD_STR(search->containers, id, container);
    return container;
}

static bool is_new(struct container_sockets *container, ino_t namespace)
{
    for (size_t i = 0; i < container->n_seen; i++)
        if (container->seen[i] == namespace)
            return false;
    if (container->n_seen == NAMESPACES_MAX)
        return false;
    container->seen[container->n_seen++] = namespace;
    return true;
}

static void look_at(struct search *search, const char *process_id)
{
    _cleanup_free_ char *path = xasprintf("/proc/%s", process_id);
    _cleanup_close_ int process = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), namespace = -1;
    struct container_sockets *container;
    char id[CONTAINER_ID_MAX];
    struct stat st;

    if (process < 0 || !find_container(process, id))
        return;
    namespace = openat(process, "ns/net", O_RDONLY | O_CLOEXEC);
    if (namespace < 0 || fstat(namespace, &st) < 0 || st.st_ino == search->own)
        return;
    container = get_container(search, id);
    if (is_new(container, st.st_ino) && (setns(namespace, CLONE_NEWNET) < 0 || look(&container->sockets) < 0))
        container->failed = true;
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void look_at_all(struct search *search)
{
    double end = seconds() + PATIENCE_SEC;
    const struct dirent *entry;
    DIR *proc = opendir("/proc");

    while (proc && seconds() < end && (entry = readdir(proc)))
        if (isdigit((unsigned char)entry->d_name[0]))
            look_at(search, entry->d_name);
    if (proc)
        closedir(proc);
}

/* ---- all of them -------------------------------------------------------------------------------------- */

static json_t *tell(struct search *search)
{
    struct container_sockets *container, *next;
    json_t *all = json_object();

    HASH_ITER (hh, search->containers, container, next) {
        json_t *one = json_object();

        sockets_finish(&container->sockets);
        json_put_listening(one, &container->sockets.anywhere, &container->sockets.loopback);
        if (!container->failed && container->n_seen > 0)
            json_object_set(all, container->id, one);
        json_decref(one);
        HASH_DEL(search->containers, container);
        sockets_clear(&container->sockets);
        free(container);
    }
    return all;
}

json_t *sockets_collect(void)
{
    _cleanup_close_ int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    struct search search = {};
    struct stat st;

    if (own < 0 || fstat(own, &st) < 0)
        return json_object();
    search.own = st.st_ino;
    look_at_all(&search);
    /* It cannot fail where entering the others did not. */
    if (search.containers && setns(own, CLONE_NEWNET) < 0 && errno != EPERM)
        abort();
    return tell(&search);
}
