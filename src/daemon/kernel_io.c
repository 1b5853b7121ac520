/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The socket that owns our tables, from one daemon to the next: the service manager keeps a duplicate of it,
 * so that the tables have their owner, and nobody else can touch them, while there is no daemon.
 */
#include <errno.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "daemon.h"
#include "nft/encode.h"
#include "nft/read.h"

#define STORE_NAME "nftables"
/* A predecessor that is just ending frees the lock before its socket, as descriptors are closed in turn. */
#define CLAIM_TRIES 25
#define CLAIM_PAUSE_NS 20000000

/* ---- the service manager's store ---------------------------------------------------------------------- */

static void free_names(char **names)
{
    for (size_t i = 0; names && names[i]; i++)
        free(names[i]);
    free(names);
}

/* The first that can be used; all others are closed. */
static void take_socket(struct daemon *daemon)
{
    char **names = NULL;
    int n = sd_listen_fds_with_names(1, &names);

    for (int i = 0; i < n; i++) {
        int fd = SD_LISTEN_FDS_START + i, r = -ENOENT;
        if (!daemon->nft && strcmp(names[i], STORE_NAME) == 0) {
            r = nft_socket_take(fd, &daemon->nft);
            if (r < 0)
                log_text(LOG_WARNING, "the netlink socket that the service manager kept cannot be used: %s",
                         strerror(-r));
        }
        if (r < 0)
            close(fd);
    }
    if (n < 0)
        log_text(LOG_WARNING, "what the service manager kept cannot be used: %s", strerror(-n));
    free_names(names);
}

/*
 * What is stored twice is kept once. FDPOLL=0: a netlink socket whose answers once overran it counts as broken,
 * and would be thrown out.
 */
static void store_socket(struct daemon *daemon, bool taken)
{
    int fd = nft_socket_fd(daemon->nft), r;

    if (!taken) /* whatever bears the name there is of no use */
        sd_notify(0, "FDSTOREREMOVE=1\nFDNAME=" STORE_NAME);
    r = sd_pid_notify_with_fds(0, 0, "FDSTORE=1\nFDNAME=" STORE_NAME "\nFDPOLL=0", &fd, 1);
    if (r < 0)
        log_text(LOG_WARNING, "the service manager cannot be given the netlink socket to keep: %s",
                 strerror(-r));
    daemon->socket_kept = r > 0;
}

void kernel_forget(struct daemon *daemon)
{
    if (daemon->socket_kept)
        sd_notify(0, "FDSTOREREMOVE=1\nFDNAME=" STORE_NAME);
    daemon->socket_kept = false;
}

/* ---- the tables --------------------------------------------------------------------------------------- */

static int claim(struct daemon *daemon, struct diags *diags)
{
    static const struct timespec pause = {.tv_nsec = CLAIM_PAUSE_NS};
    int r = -EPERM;

    for (int i = 0; i < CLAIM_TRIES && r == -EPERM; i++) {
        if (i > 0)
            nanosleep(&pause, NULL);
        diags_clear(diags);
        r = nft_claim(daemon->nft, diags);
    }
    return r;
}

static int open_socket(struct daemon *daemon, bool *ret_taken)
{
    int r = 0;

    take_socket(daemon);
    *ret_taken = daemon->nft != NULL;
    if (!daemon->nft)
        r = nft_socket_open(&daemon->nft);
    if (r == 0)
        r = nft_can_protect(daemon->nft, &daemon->can_protect);
    if (r == 0)
        daemon->protects = daemon->can_protect && daemon->settings->protect_table == PROTECT_AUTO;
    if (r == 0)
        nft_protect(daemon->nft, daemon->protects);
    return r;
}

int kernel_open(struct daemon *daemon, struct diags *diags)
{
    _cleanup_diags_ struct diags problems = {0};
    bool taken = false;
    int r = open_socket(daemon, &taken);

    if (r == 0)
        r = claim(daemon, &problems);
    if (r == 0)
        store_socket(daemon, taken);
    if (taken)
        log_text(LOG_INFO, "the service manager has kept the netlink socket: our tables are still ours");
    diags_move(diags, &problems);
    return r;
}

static int table_states(struct daemon *daemon, struct nft_table_state *ret_inet,
                        struct nft_table_state *ret_bridge)
{
    int r = nft_table_state(daemon->nft, TABLE_INET, ret_inet);

    return r < 0 ? r : nft_table_state(daemon->nft, TABLE_BRIDGE, ret_bridge);
}

int kernel_tables_exist(struct daemon *daemon, bool *ret)
{
    struct nft_table_state inet, bridge;
    int r = table_states(daemon, &inet, &bridge);

    if (r == 0)
        *ret = inet.exists && bridge.exists;
    return r;
}

/* Whether a table is protected, and whose it is, cannot be changed while it stands: then it is not as it should be. */
static void check_protection(const struct daemon *daemon, struct nft_tables *tables)
{
    uint32_t flags = daemon->protects ? NFT_TABLE_PROTECTED : 0,
             owner = daemon->protects ? nft_socket_port(daemon->nft) : 0;

    for (size_t i = 0; i < TABLES; i++)
        if (tables->exists[i] && (tables->flags[i] != flags || tables->owner[i] != owner))
            table_add_odd(&tables->ruleset->tables[i], "another owner, or protected otherwise");
}

int kernel_tables(struct daemon *daemon, struct nft_tables *ret)
{
    int r = nft_read(daemon->nft, ret);

    if (r == 0)
        check_protection(daemon, ret);
    return r;
}

const char *kernel_read_error(int error)
{
    return error == -EAGAIN ? "other programs are changing theirs all the time: try again" : strerror(-error);
}

/* What others have done until now is heard of first, so that it is seen in what is read. */
void kernel_read(struct daemon *daemon)
{
    _cleanup_nft_tables_ struct nft_tables tables = {0};

    (void)nft_monitor_read(daemon->changes);
    int r = kernel_tables(daemon, &tables);
    brain_tables_read(daemon->brain, r, STEAL(tables.ruleset), daemon_now());
}

static bool is_protected(const struct daemon *daemon, const struct nft_table_state *state)
{
    return state->exists && (state->flags & NFT_TABLE_PROTECTED) == NFT_TABLE_PROTECTED &&
           state->owner == nft_socket_port(daemon->nft);
}

void kernel_protection(struct daemon *daemon, struct status_facts *facts)
{
    struct nft_table_state inet, bridge;
    int r = table_states(daemon, &inet, &bridge);

    facts->tables_protected = r == 0 && is_protected(daemon, &inet) && is_protected(daemon, &bridge);
    facts->tables_kept = facts->tables_protected && daemon->socket_kept;
    if (facts->tables_protected)
        facts->unprotected_reason = NULL;
    else if (r < 0)
        facts->unprotected_reason = "the tables cannot be looked at";
    else if (daemon->settings->protect_table == PROTECT_OFF)
        facts->unprotected_reason = "protect_table is off";
    else if (!daemon->can_protect)
        facts->unprotected_reason = "the kernel lacks it (Linux 6.9 has it)";
    else if (!inet.exists || !bridge.exists)
        facts->unprotected_reason = "they do not stand";
    else
        facts->unprotected_reason = "they are from before, until the rules are loaded anew";
}
