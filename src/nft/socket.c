// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/sockios.h>

#include "ack.h"
#include "attrs.h"
#include "dump.h"
#include "socket_private.h"
#include "util/fd.h"
#include "util/mem.h"

#define RECEIVE_SIZE (64 * 1024)
#define ACK_SIZE 1024 /* memory that one queued answer is charged with, rounded up */
#define RECEIVE_ROOM_MAX (16 * 1024 * 1024)
#define LEFT_OVER_MAX (64 * 1024) /* messages that another process has left unread */

struct nft_socket {
    struct mnl_socket *netlink;
    uint32_t seq;
    uint32_t table_flags; /* of the tables that it makes */
    uint32_t n_commits;
    int send_room, receive_room; /* as asked of the kernel; 0: its default */
    uint64_t kernel_ns;
    void (*before_removal)(void *userdata); /* or NULL */
    void *before_removal_userdata;
    char buffer[RECEIVE_SIZE];
};

struct nft_socket *nft_socket_close(struct nft_socket *socket)
{
    if (!socket)
        return NULL;
    if (socket->netlink)
        mnl_socket_close(socket->netlink);
    free(socket);
    return NULL;
}

/* Errors in the kernel's words, and without a copy of the request. Old kernels know neither: so be it. */
static void set_options(struct nft_socket *socket)
{
    int on = 1;

    (void)mnl_socket_setsockopt(socket->netlink, NETLINK_EXT_ACK, &on, sizeof(on));
    (void)mnl_socket_setsockopt(socket->netlink, NETLINK_CAP_ACK, &on, sizeof(on));
}

int nft_socket_open(struct nft_socket **ret)
{
    _cleanup_(nft_socket_closep) struct nft_socket *socket = xnew(struct nft_socket);

    socket->netlink = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
    if (!socket->netlink || mnl_socket_bind(socket->netlink, 0, MNL_SOCKET_AUTOPID) < 0)
        return -errno;
    set_options(socket);
    *ret = STEAL(socket);
    return 0;
}

/* ---- a socket of a process that has ended -------------------------------------------------------------- */

static bool has_option(int fd, int option, int wanted)
{
    int value = -1;
    socklen_t size = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 && value == wanted;
}

/* The rules of another network namespace would be changed through it. */
static int check_namespace(int fd)
{
    struct stat its, ours;
    _cleanup_close_ int namespace = ioctl(fd, SIOCGSKNS);

    if (namespace < 0 || fstat(namespace, &its) < 0 || stat("/proc/self/ns/net", &ours) < 0)
        return -errno;
    return its.st_dev == ours.st_dev && its.st_ino == ours.st_ino ? 0 : -EXDEV;
}

static int check_taken(int fd)
{
    struct sockaddr_nl address = {0};
    socklen_t size = sizeof(address);

    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        return -errno;
    if (address.nl_family != AF_NETLINK || !has_option(fd, SO_PROTOCOL, NETLINK_NETFILTER) ||
        !has_option(fd, SO_TYPE, SOCK_RAW))
        return -EPROTOTYPE;
    if (address.nl_pid == 0 || address.nl_groups != 0)
        return -EINVAL;
    return check_namespace(fd);
}

/* The kernel answers within the system call that asks, so what is unread is all that there is. */
static int drain(int fd, char *buffer, size_t size)
{
    for (unsigned i = 0; i < LEFT_OVER_MAX; i++) {
        ssize_t n = recv(fd, buffer, size, MSG_DONTWAIT);

        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n < 0 && errno != EINTR && errno != ENOBUFS)
            return -errno;
    }
    return -EOVERFLOW;
}

/* Far from where its former owner may have been, and from the end of the numbers too. */
static int random_seq(uint32_t *ret)
{
    uint32_t seq;

    if (getrandom(&seq, sizeof(seq), 0) != sizeof(seq))
        return -EIO;
    *ret = seq >> 1;
    return 0;
}

int nft_socket_take(int fd, struct nft_socket **ret)
{
    struct nft_socket *socket = xnew(struct nft_socket);
    int r = check_taken(fd);

    if (r == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        r = -errno;
    if (r == 0)
        r = drain(fd, socket->buffer, sizeof(socket->buffer));
    if (r == 0)
        r = random_seq(&socket->seq);
    if (r == 0) {
        socket->netlink = mnl_socket_fdopen(fd);
        r = socket->netlink ? 0 : -errno;
    }
    if (r < 0) { /* fd stays the caller's */
        free(socket);
        return r;
    }
    set_options(socket);
    *ret = socket;
    return 0;
}

int nft_socket_fd(const struct nft_socket *socket)
{
    return mnl_socket_get_fd(socket->netlink);
}

/* ---- requests ------------------------------------------------------------------------------------------ */

uint32_t nft_socket_port(const struct nft_socket *socket)
{
    return mnl_socket_get_portid(socket->netlink);
}

uint32_t nft_commits(const struct nft_socket *socket)
{
    return socket->n_commits;
}

/* The forcing variant needs CAP_NET_ADMIN in the initial user namespace; the other is capped by a sysctl. */
static void set_room(struct nft_socket *socket, int forced, int plain, int room)
{
    int fd = mnl_socket_get_fd(socket->netlink);

    if (setsockopt(fd, SOL_SOCKET, forced, &room, sizeof(room)) < 0)
        (void)setsockopt(fd, SOL_SOCKET, plain, &room, sizeof(room));
}

/* The kernel refuses what does not fit the send buffer, and drops the answers that do not fit the other. */
static void make_room(struct nft_socket *socket, const struct nft_batch *batch)
{
    size_t answers = ((size_t)batch->seq_last - batch->seq_first + 1) * ACK_SIZE;
    int send_room = batch->len < INT32_MAX / 2 ? (int)batch->len : INT32_MAX / 2;
    int receive_room = answers < RECEIVE_ROOM_MAX ? (int)answers : RECEIVE_ROOM_MAX;

    if (send_room > socket->send_room) {
        set_room(socket, SO_SNDBUFFORCE, SO_SNDBUF, send_room);
        socket->send_room = send_room;
    }
    if (receive_room > socket->receive_room) {
        set_room(socket, SO_RCVBUFFORCE, SO_RCVBUF, receive_room);
        socket->receive_room = receive_room;
    }
}

/*
 * The kernel works on a request within the system call that sends it, so all its answers are there by now:
 * nothing here ever waits. Returns the bytes read, 0 when there is nothing more, or a negative errno.
 */
static ssize_t receive(struct nft_socket *socket)
{
    for (;;) {
        ssize_t n =
            recv(mnl_socket_get_fd(socket->netlink), socket->buffer, sizeof(socket->buffer), MSG_DONTWAIT);

        if (n >= 0)
            return n;
        if (errno == EAGAIN)
            return 0;
        if (errno != EINTR)
            return -errno;
    }
}

static int send_all(struct nft_socket *socket, const void *bytes, size_t len)
{
    static const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

    for (;;) {
        ssize_t n = sendto(mnl_socket_get_fd(socket->netlink), bytes, len, 0,
                           (const struct sockaddr *)&kernel, sizeof(kernel));

        if (n >= 0)
            return (size_t)n == len ? 0 : -EIO;
        if (errno != EINTR)
            return -errno;
    }
}

/* Sends one request for one answer, which stays in socket->buffer; *ret is NULL when the answer is a bare
 * ACK. */
static int request(struct nft_socket *socket, struct nlmsghdr *message, const struct nlmsghdr **ret)
{
    const struct nlmsghdr *answer = (const struct nlmsghdr *)socket->buffer;
    struct ack ack;
    ssize_t n;
    int r;

    message->nlmsg_seq = ++socket->seq;
    r = send_all(socket, message, message->nlmsg_len);
    if (r < 0)
        return r;
    do {
        n = receive(socket);
        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        if (!mnl_nlmsg_ok(answer, (int)n))
            return -EBADMSG;
    } while (answer->nlmsg_seq != message->nlmsg_seq);
    if (answer->nlmsg_type != NLMSG_ERROR) {
        *ret = answer;
        return 0;
    }
    r = ack_parse(answer, &ack);
    *ret = NULL;
    return r < 0 ? r : ack.error;
}

struct dump {
    nft_message_reader reader;
    void *userdata;
    bool interrupted;
    int error; /* the first; the rest of the dump is read all the same, or the socket could send no other */
};

/* The kernel's last word on a dump: an error in the message that ends it, or in one of its own. */
static int dump_result(const struct nlmsghdr *message)
{
    struct ack ack;
    int r;

    if (message->nlmsg_type == NLMSG_ERROR) {
        r = ack_parse(message, &ack);
        return r < 0 ? r : ack.error;
    }
    if (mnl_nlmsg_get_payload_len(message) < sizeof(r))
        return 0;
    memcpy(&r, mnl_nlmsg_get_payload(message), sizeof(r));
    return r < 0 ? r : 0;
}

/* One datagram of a dump; true when it was the last. */
static bool read_dump(struct nft_socket *socket, size_t len, struct dump *dump)
{
    const struct nlmsghdr *message = (const struct nlmsghdr *)socket->buffer;
    int left = (int)len;

    for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
        if (message->nlmsg_seq != socket->seq)
            continue; /* left over from something else */
        dump->interrupted = dump->interrupted || message->nlmsg_flags & NLM_F_DUMP_INTR;
        if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) {
            dump->error = dump->error ? dump->error : dump_result(message);
            return true;
        }
        if (dump->error == 0)
            dump->error = dump->reader(message, dump->userdata);
    }
    if (left && dump->error == 0)
        dump->error = -EBADMSG;
    return false;
}

int nft_dump(struct nft_socket *socket, struct nlmsghdr *request, nft_message_reader reader, void *userdata)
{
    struct dump dump = {.reader = reader, .userdata = userdata};
    bool done = false;
    int r;

    request->nlmsg_flags |= NLM_F_DUMP;
    request->nlmsg_seq = ++socket->seq;
    r = send_all(socket, request, request->nlmsg_len);
    if (r < 0)
        return r;
    while (!done) {
        ssize_t n = receive(socket);

        if (n == -ENOBUFS)
            dump.interrupted = true; /* something was lost */
        else if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        else
            done = read_dump(socket, (size_t)n, &dump);
    }
    return dump.interrupted ? -EAGAIN : dump.error;
}

uint64_t nft_socket_namespace(const struct nft_socket *socket)
{
    uint64_t cookie = 0;
#ifdef SO_NETNS_COOKIE
    socklen_t size = sizeof(cookie);

    if (getsockopt(nft_socket_fd(socket), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) < 0)
        return 0;
#else
    (void)socket;
#endif
    return cookie;
}

int nft_generation(struct nft_socket *socket, uint32_t *ret)
{
    char buffer[64];
    struct nlmsghdr *message = nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETGEN, AF_UNSPEC, 0, 0);
    const struct nlmsghdr *answer;
    const struct nlattr *attr;
    int r = request(socket, message, &answer);

    if (r < 0)
        return r;
    if (!answer)
        return -EBADMSG;
    mnl_attr_for_each (attr, answer, sizeof(struct nfgenmsg)) {
        if (mnl_attr_get_type(attr) == NFTA_GEN_ID && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0) {
            *ret = ntohl(mnl_attr_get_u32(attr));
            return 0;
        }
    }
    return -EBADMSG;
}

static uint32_t number_of(const struct nlattr *attr)
{
    return mnl_attr_validate(attr, MNL_TYPE_U32) >= 0 ? ntohl(mnl_attr_get_u32(attr)) : 0;
}

static int table_state(struct nft_socket *socket, enum table_id table, const char *name,
                       struct nft_table_state *ret)
{
    struct nft_table_state state = {0};
    const struct nlattr *attr;
    char buffer[128];
    struct nlmsghdr *message = nftnl_nlmsg_build_hdr(
        buffer, NFT_MSG_GETTABLE, table == TABLE_INET ? NFPROTO_INET : NFPROTO_BRIDGE, 0, 0);
    const struct nlmsghdr *answer;
    int r;

    mnl_attr_put_strz(message, NFTA_TABLE_NAME, name);
    r = request(socket, message, &answer);
    if (r < 0 && r != -ENOENT)
        return r;
    state.exists = r == 0;
    if (state.exists && !answer)
        return -EBADMSG;
    if (state.exists) {
        mnl_attr_for_each (attr, answer, sizeof(struct nfgenmsg)) {
            if (mnl_attr_get_type(attr) == NFTA_TABLE_FLAGS)
                state.flags = number_of(attr);
            else if (mnl_attr_get_type(attr) == NFTA_TABLE_OWNER)
                state.owner = number_of(attr);
            else if (mnl_attr_get_type(attr) == NFTA_TABLE_HANDLE)
                (void)attr_be64(attr, &state.handle);
        }
    }
    *ret = state;
    return 0;
}

int nft_pair_state(struct nft_socket *socket, enum table_pair pair, enum table_id table, bool standby,
                   struct nft_table_state *ret)
{
    return table_state(socket, table, table_pair_name(pair, standby), ret);
}

int nft_table_state(struct nft_socket *socket, enum table_id table, struct nft_table_state *ret)
{
    return nft_pair_state(socket, PAIR_RULES, table, false, ret);
}

int nft_standby_state(struct nft_socket *socket, enum table_id table, struct nft_table_state *ret)
{
    return nft_pair_state(socket, PAIR_RULES, table, true, ret);
}

/* ---- transactions -------------------------------------------------------------------------------------- */

static void read_answers(const char *bytes, size_t len, const struct nft_batch *batch,
                         struct answers *answers)
{
    const struct nlmsghdr *message = (const struct nlmsghdr *)bytes;
    int left = (int)len;

    for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
        struct ack ack;

        if (message->nlmsg_type == NLMSG_ERROR && ack_parse(message, &ack) == 0)
            answers_add(answers, &ack, batch);
    }
}

/* Reads on after ENOBUFS: it says that answers were lost, and the ones that were not are still there. */
static int collect(struct nft_socket *socket, const struct nft_batch *batch, struct answers *answers)
{
    for (;;) {
        ssize_t n = receive(socket);

        if (n == 0)
            return 0;
        if (n == -ENOBUFS)
            answers->overrun = true;
        else if (n < 0)
            return (int)n;
        else
            read_answers(socket->buffer, (size_t)n, batch, answers);
    }
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int socket_exchange(struct nft_socket *socket, const struct nft_batch *batch, struct answers *answers)
{
    uint64_t start;
    int r;

    *answers = (struct answers){0};
    make_room(socket, batch);
    start = now_ns();
    r = send_all(socket, batch->bytes, batch->len);
    if (r == 0)
        r = collect(socket, batch, answers);
    socket->kernel_ns = now_ns() - start;
    return r;
}

uint32_t socket_take_seq(struct nft_socket *socket, uint32_t n)
{
    uint32_t first = socket->seq + 1;

    socket->seq += n;
    return first;
}

int socket_encode(struct nft_socket *socket, const struct op_list *ops, bool dry_run, struct nft_batch *ret,
                  struct diags *diags)
{
    size_t failed = 0;
    int r = nft_encode(ops, socket->table_flags, 0, socket->seq + 1, dry_run, ret, &failed);

    if (r < 0)
        report_encode_error(&ops->v[failed], r, diags);
    else
        socket->seq = ret->seq_last;
    return r;
}

/*
 * Did the batch change anything, given that no message drew an error? The generation says so. One that asks
 * only for what is there already moves nothing; then the kernel's ACK of the end message is the proof
 * (Linux 6.10).
 */
static int check_commit(struct nft_socket *socket, uint32_t before, const struct answers *answers,
                        struct diags *diags)
{
    uint32_t after;
    int r = nft_generation(socket, &after);

    if (r < 0) {
        report_socket_error("cannot read the generation of the nftables rules", r, diags);
        return r;
    }
    if (after != before)
        socket->n_commits++;
    if (after != before || answers->end_acked)
        return 0;
    diag_add(diags, DIAG_ERROR, NULL, NULL,
             "the kernel took the nftables transaction without an error, but the rules did not change");
    return -EIO;
}

/* Answers were lost: was the one that was lost an error, so that nothing was committed? */
static bool generation_is(struct nft_socket *socket, uint32_t before, const struct answers *answers)
{
    uint32_t after;

    return !answers->overrun || (nft_generation(socket, &after) == 0 && after == before);
}

int socket_attempt(struct nft_socket *socket, const struct op_list *ops, struct nft_batch *batch,
                   uint32_t before, bool last, struct diags *diags)
{
    struct answers answers;
    int r;

    /*
     * Insisting on the generation makes its next value ours. Where others change the rules without a pause,
     * the last try goes without: the operations do not depend on other tables, and an error in them still
     * counts.
     */
    nft_batch_set_generation(batch, last ? 0 : before);
    r = socket_exchange(socket, batch, &answers);
    if (r == -ENOBUFS && !last)
        return 1;
    if (r < 0) {
        report_socket_error("cannot send the nftables transaction to the kernel", r, diags);
        return r;
    }
    if (answers.n_errors == 0 && !answers.overrun)
        return check_commit(socket, before, &answers, diags);
    if (!last && answers_may_retry(&answers) && generation_is(socket, before, &answers))
        return 1;
    answers_report(&answers, batch, ops, diags);
    return answers.n_errors ? answers.errors[0].error : -ENOBUFS;
}

static int attempt(struct nft_socket *socket, const struct op_list *ops, struct nft_batch *batch, bool last,
                   struct diags *diags)
{
    uint32_t before;
    int r = nft_generation(socket, &before);

    if (r < 0) {
        report_socket_error("cannot read the generation of the nftables rules", r, diags);
        return r;
    }
    return socket_attempt(socket, ops, batch, before, last, diags);
}

static int transact(struct nft_socket *socket, const struct op_list *ops, struct diags *diags)
{
    _cleanup_nft_batch_ struct nft_batch batch = {0};
    int r;

    if (ops->n == 0)
        return 0;
    r = socket_encode(socket, ops, false, &batch, diags);
    for (int i = 0; i < ATTEMPTS && r >= 0; i++) {
        r = attempt(socket, ops, &batch, i == ATTEMPTS - 1, diags);
        if (r <= 0)
            break;
    }
    return r;
}

static bool removes_rules(const struct op_list *ops)
{
    for (size_t i = 0; i < ops->n; i++) {
        const struct op *op = &ops->v[i];

        if (op->pair == PAIR_RULES && !op->standby && op->table == TABLE_INET &&
            (op->kind == OP_REMOVE_TABLE || op->kind == OP_FLUSH_CHAIN || op->kind == OP_DELETE_CHAIN))
            return true;
    }
    return false;
}

void nft_before_removal(struct nft_socket *socket, void (*call)(void *userdata), void *userdata)
{
    socket->before_removal = call;
    socket->before_removal_userdata = userdata;
}

int nft_apply(struct nft_socket *socket, const struct delta *delta, struct diags *diags)
{
    for (size_t phase = 0; phase < PHASES; phase++) {
        if (socket->before_removal && removes_rules(&delta->phases[phase]))
            socket->before_removal(socket->before_removal_userdata);
        int r = transact(socket, &delta->phases[phase], diags);

        if (r < 0)
            return r;
    }
    return 0;
}

static int validate(struct nft_socket *socket, const struct op_list *ops, struct diags *diags)
{
    _cleanup_nft_batch_ struct nft_batch batch = {0};
    struct answers answers;
    int r = socket_encode(socket, ops, true, &batch, diags);

    if (r < 0)
        return r;
    r = socket_exchange(socket, &batch, &answers);
    if (r < 0) {
        report_socket_error("cannot send the nftables transaction to the kernel", r, diags);
        return r;
    }
    if (answers.n_errors == 0 && !answers.overrun)
        return 0;
    answers_report(&answers, &batch, ops, diags);
    return answers.n_errors ? answers.errors[0].error : -ENOBUFS;
}

int nft_validate(struct nft_socket *socket, const struct delta *delta, struct diags *diags)
{
    struct op_list all = {0};
    int r;

    for (size_t phase = 0; phase < PHASES; phase++) {
        const struct op_list *ops = &delta->phases[phase];

        for (size_t i = 0; i < ops->n; i++)
            *ARRAY_ADD(all.v, all.n) = ops->v[i]; /* what they own stays the delta's */
    }
    r = all.n ? validate(socket, &all, diags) : 0;
    free(all.v);
    return r;
}

void nft_protect(struct nft_socket *socket, bool on)
{
    socket->table_flags = on ? NFT_TABLE_PROTECTED : 0;
}

bool socket_protects(const struct nft_socket *socket)
{
    return socket->table_flags != 0;
}

uint64_t nft_last_kernel_ns(const struct nft_socket *socket)
{
    return socket->kernel_ns;
}
