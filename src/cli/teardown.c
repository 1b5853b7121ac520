/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `cofferdam teardown`: through the daemon when it answers, else by itself: our tables go, those of lockdowns too, and the bridges
 * get back the settings that the daemon's state file remembers.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "cli/alone.h"
#include "cli/cli.h"
#include "control/client.h"
#include "daemon/lock_state.h"
#include "daemon/state.h"
#include "daemon/trial.h"
#include "files/files.h"
#include "files/lock_files.h"
#include "link/link.h"
#include "nft/lock_tables.h"
#include "nft/socket.h"
#include "util/fd.h"

static const struct cli_verb verb = {
    .name = "teardown",
    .arguments = "",
    .takes = TAKES_CONTROL | TAKES_STATE | TAKES_YES,
    .about =
        "Removes every rule of Cofferdam from the kernel, after asking. Containers then have the network that\n"
        "Docker gives them. A daemon that runs does it and ends; without one the command does it by itself.\n"
        "Docker's own rules are not touched. To have the rules back: systemctl start cofferdamd.\n",
    .examples =
        "Examples:\n"
        "  cofferdam teardown\n"
        "  cofferdam teardown --yes && systemctl disable cofferdamd    in a script that removes Cofferdam\n"
        "\n"
        "Exit status: 0 nothing of it is left, 1 error or not confirmed, 64 wrong usage.\n",
};

/* ---- asking ------------------------------------------------------------------------------------------- */

static void warn_of_damage(const char *directory, const char *file)
{
    cli_error("teardown: the list of lockdowns, %s/%s, is damaged: whoever was locked down will be free",
              directory, file);
}

/* Says who would be cut off no longer: by the daemon, and by commands while it did not answer. */
static void warn_of_lockdowns(const struct settings *settings)
{
    _cleanup_(inventory_freep) struct inventory *inventory = alone_inventory(settings);
    _cleanup_lock_record_ struct lock_record record = {0};
    size_t n;

    lock_record_load(settings->state, inventory, &record);
    if (record.list_error == -EBADMSG)
        warn_of_damage(settings->state, LOCK_STATE_FILE);
    if (record.pending_error == -EBADMSG || record.aside)
        warn_of_damage(settings->state, record.aside ? LOCK_PENDING_ASIDE : LOCK_PENDING_FILE);
    n = record.merged->n;
    if (n)
        cli_error(
            "teardown: %zu lockdown%s in force: what %s cut off will be free until cofferdamd starts again\n"
            "  `cofferdam lockdown --list` shows them",
            n, n == 1 ? " is" : "s are", n == 1 ? "it has" : "they have");
}

static bool confirmed(void)
{
    char line[16] = "";

    if (!isatty(STDIN_FILENO)) {
        cli_error("teardown: there is no terminal to ask on; say --yes if you mean it");
        return false;
    }
    fputs(
        "Remove every rule of Cofferdam from the kernel? Containers will then have the network that Docker\n"
        "gives them. Type yes to go on: ",
        stderr);
    fflush(stderr);
    if (fgets(line, sizeof(line), stdin) && strcmp(line, "yes\n") == 0)
        return true;
    cli_error("teardown: nothing was done");
    return false;
}

/* ---- without the daemon ------------------------------------------------------------------------------- */

/* A daemon holds this lock as long as it lives: then it must not be worked against, even if it does not
 * answer. */
static int lock_state(const char *directory, int *ret_fd)
{
    _cleanup_free_ char *path = xasprintf("%s/" STATE_LOCK, directory);
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0 && errno == ENOENT) /* there never was a daemon, or its state is elsewhere */
        return 0;
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int error = errno;
        if (fd >= 0)
            close(fd);
        if (fd >= 0 && error == EWOULDBLOCK)
            cli_error("teardown: a daemon runs but does not answer at its control socket\n"
                      "  stop it first: systemctl stop cofferdamd");
        else
            cli_error("teardown: %s: %s", path, strerror(error));
        return -error;
    }
    *ret_fd = fd;
    return 0;
}

/* Nobody but the socket's holder can remove them; that is the point of it. */
static void complain_owned(uint32_t owner)
{
    cli_error(
        "teardown: the rules belong to a socket (netlink port ID %u) that the service manager keeps while\n"
        "the daemon is stopped, or that another process holds; only through it can they be removed\n"
        "  start the service and try again: systemctl start cofferdamd && cofferdam teardown\n"
        "  or have the service manager let go: systemctl clean --what=fdstore cofferdamd",
        (unsigned)owner);
}

/* Of our tables and of a standby that a daemon may have left: is there any, and whose is it? */
static int look_for_tables(struct nft_socket *socket, bool *ret_found, uint32_t *ret_owner)
{
    bool found = false;
    uint32_t owner = 0;

    for (size_t i = 0; i < TABLES; i++) {
        enum table_id table = i ? TABLE_BRIDGE : TABLE_INET;
        struct nft_table_state state, standby;
        int r = nft_table_state(socket, table, &state);
        if (r == 0)
            r = nft_standby_state(socket, table, &standby);
        if (r < 0)
            return r;
        found = found || state.exists || standby.exists;
        owner = owner ? owner : state.owner ? state.owner : standby.owner;
    }
    *ret_found = found;
    *ret_owner = owner;
    return 0;
}

/* Those that commands have made by themselves (nft/lock_tables.h): nobody owns them. */
static int remove_lock_tables(struct nft_socket *socket, const char *directory, bool *ret_found,
                              struct diags *diags)
{
    _cleanup_close_ int hold = -1;
    int r;

    (void)lock_pending_hold(directory, ALONE_HOLD_MS, &hold); /* on a disk that is full nobody can */
    r = lock_tables_exist(socket, ret_found);
    return r == 0 && *ret_found ? lock_tables_remove(socket, diags) : r;
}

static int remove_tables(const char *directory, bool *ret_found)
{
    _cleanup_(nft_socket_closep) struct nft_socket *socket = NULL;
    _cleanup_diags_ struct diags diags = {};
    _cleanup_delta_ struct delta delta = {};
    bool own = false, lock = false;
    uint32_t owner = 0;

    int r = nft_socket_open(&socket);
    if (r == 0)
        r = look_for_tables(socket, &own, &owner);
    if (r == 0 && owner) {
        complain_owned(owner);
        return -EPERM;
    }
    if (r == 0 && own) {
        delta_teardown(&delta);
        r = nft_apply(socket, &delta, &diags);
    }
    if (r == 0)
        r = remove_lock_tables(socket, directory, &lock, &diags);
    diags_print(&diags, stderr, cli_colour(stderr));
    if (r < 0)
        cli_error("teardown: the rules could not be removed: %s%s", strerror(-r),
                  r == -EPERM ? "\n  only root may: try sudo" : "");
    *ret_found = own || lock;
    return r;
}

struct links {
    struct link *v;
    size_t n;
};

static void on_link(const struct link *link, bool gone, void *userdata)
{
    struct links *bridges = userdata;

    if (!gone && link->is_bridge)
        *ARRAY_ADD(bridges->v, bridges->n) = *link;
}

static void on_reset(void *userdata)
{
    struct links *bridges = userdata;
    bridges->n = 0;
}

/* A bridge that is gone needs nothing. */
static int restore_bridge(struct link_monitor *monitor, const struct links *bridges,
                          const struct state_bridge *bridge)
{
    for (size_t i = 0; bridge->changed && i < bridges->n; i++) {
        if (strcmp(bridges->v[i].name, bridge->name) != 0)
            continue;
        int r = link_set_switches(monitor, bridges->v[i].index, &bridge->former);
        if (r < 0 && r != -ENODEV) {
            cli_error("teardown: bridge %s keeps nf_call_iptables and no_linklocal_learn: %s", bridge->name,
                      strerror(-r));
            return r;
        }
    }
    return 0;
}

static int restore_all(const struct state *state)
{
    struct link_monitor *monitor = NULL;
    struct links bridges = {};
    int r = link_monitor_open(NULL, on_link, on_reset, &bridges, &monitor);

    if (r < 0)
        cli_error("teardown: the bridges cannot be listed: %s", strerror(-r));
    for (size_t i = 0; r == 0 && i < state->n_bridges; i++)
        r = restore_bridge(monitor, &bridges, &state->bridges[i]);
    if (monitor)
        link_monitor_close(monitor);
    free(bridges.v);
    return r;
}

/* Removes the state file when all that it remembers was done. */
static int restore_bridges(const char *directory)
{
    _cleanup_free_ char *path = xasprintf("%s/" STATE_FILE, directory), *text = NULL;
    struct state state = {};
    int r = files_read(path, STATE_MAX, &text, NULL);

    if (r == -ENOENT)
        return 0;
    if (r == 0)
        r = state_parse(text, &state);
    if (r < 0)
        cli_error("teardown: %s cannot be used (%s); the bridges' nf_call_iptables settings stay as they are",
                  path, r == -EBADMSG ? "it makes no sense" : strerror(-r));
    else
        r = restore_all(&state);
    if (r == 0)
        unlink(path);
    state_clear(&state);
    return r;
}

/* The trial ends with the rules: the next daemon goes on with the policies before it. */
static int end_trial(const char *directory)
{
    _cleanup_free_ char *path = xasprintf("%s/" TRIAL_FILE, directory);

    if (unlink(path) == 0 || errno == ENOENT)
        return 0;
    cli_error("teardown: %s: %s", path, strerror(errno));
    return -errno;
}

static int teardown_directly(const struct settings *settings, const struct cli_options *options)
{
    _cleanup_close_ int lock = -1;
    bool found = false;
    json_t *answer;

    if (lock_state(settings->state, &lock) < 0 || remove_tables(settings->state, &found) < 0 ||
        restore_bridges(settings->state) < 0 || end_trial(settings->state) < 0) {
        answer = control_error(STATUS_ERROR, "not all could be removed", NULL, NULL);
        cli_audit(settings, verb.name, NULL, answer);
        json_decref(answer);
        return STATUS_ERROR;
    }
    answer = control_answer(
        STATUS_OK,
        json_pack("{s:s}", "text",
                  found ? "the rules are removed; containers are no longer isolated (no daemon was running)"
                        : "nothing of Cofferdam is in the kernel, and no daemon is running"));
    cli_audit(settings, verb.name, NULL, answer);
    int status = cli_print_answer(answer, options, NULL);
    json_decref(answer);
    return status;
}

/* ---- through the daemon ------------------------------------------------------------------------------- */

int cli_teardown(int argc, char **argv)
{
    _cleanup_(settings_freep) struct settings *settings = NULL;
    struct cli_options options;
    json_t *answer = NULL;
    int status;

    if (!cli_options_parse(&verb, argc, argv, &options, &status))
        return status;
    if (cli_settings(&options, &settings) < 0)
        return STATUS_ERROR;
    warn_of_lockdowns(settings);
    if (!options.yes && !confirmed())
        return STATUS_ERROR;

    json_t *request = control_request("teardown");
    int r = control_call(settings->control, request, CLI_TIMEOUT_MS, &answer);
    json_decref(request);
    if (cli_no_daemon(settings->control, r))
        return teardown_directly(settings, &options);
    if (r < 0) {
        cli_complain(settings->control, r);
        return STATUS_ERROR;
    }
    status = cli_print_answer(answer, &options, NULL);
    json_decref(answer);
    return status;
}
