// SPDX-License-Identifier: GPL-2.0-or-later
/* Cofferdam itself: daemon, tables, files, and what it says that it does not enforce. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "checks.h"
#include "nft/encode.h"

#define SYSTEMD_KEEPS 254 /* the first that keeps a stopped service's descriptors */

static bool has_answered(const struct fact_self *self)
{
    return !self->daemon_error && !self->daemon_refused;
}

/* True when the daemon has told; else that is said. */
static bool has_told(const struct fact_self *self, struct finding *finding)
{
    if (!has_answered(self))
        finding_say(finding, FINDING_UNCHECKED, "the daemon does not answer");
    return has_answered(self);
}

static bool is_absent(int error)
{
    return error == -ENOENT || error == -ECONNREFUSED;
}

void judge_daemon(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_self *self = &facts->self;

    if (has_answered(self))
        finding_say(finding, FINDING_OK, "cofferdamd %s runs and answers at %s",
                    self->daemon_version ? self->daemon_version : "", self->settings->control);
    else if (self->daemon_refused)
        finding_say(finding, FINDING_WARN, "the daemon at %s answers: %s", self->settings->control,
                    self->daemon_refused);
    else if (is_absent(self->daemon_error))
        finding_say(finding, tables_stand(facts) ? FINDING_WARN : FINDING_BAD,
                    "the daemon does not run: nothing answers at %s", self->settings->control);
    else if (self->daemon_error == -EACCES || self->daemon_error == -EPERM)
        finding_unchecked(finding, self->settings->control, self->daemon_error);
    else
        finding_say(finding, FINDING_WARN, "the daemon does not answer at %s: %s", self->settings->control,
                    strerror(-self->daemon_error));
    finding_advise(
        finding,
        tables_stand(facts)
            ? "The rules in the kernel stay in force. Containers that start meanwhile have no network, and a "
              "network made meanwhile is open."
            : "No container is restricted by Cofferdam.",
        "systemctl start cofferdamd; journalctl -u cofferdamd says why it does not.");
}

static void judge_table(const struct host_facts *facts, enum table_id table, const char *name,
                        struct finding *finding)
{
    const struct nft_table_state *state = &facts->self.tables[table];
    bool runs = has_answered(&facts->self);

    if (!state->exists)
        finding_say(finding, FINDING_BAD, "table %s is not in the kernel", name);
    else if (facts->firewall.can_protect && facts->self.settings->protect_table == PROTECT_AUTO &&
             !(state->flags & NFT_TABLE_OWNER))
        finding_say(finding, FINDING_WARN, "table %s belongs to nobody", name);
    else
        finding_say(finding, FINDING_OK, "table %s stands%s", name,
                    !state->owner ? ""
                    : runs        ? ", and is the daemon's alone"
                                  : ", and its socket is kept");
}

void judge_tables(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_self *self = &facts->self;

    if (self->tables_error) {
        finding_unchecked(finding, "the tables in the kernel", self->tables_error);
        return;
    }
    judge_table(facts, TABLE_INET, "inet " TABLE_NAME, finding);
    judge_table(facts, TABLE_BRIDGE, "bridge " TABLE_NAME, finding);
    if (has_answered(self) && self->tables_protected && !self->tables_kept)
        finding_say(finding, FINDING_NOTE, "no service manager keeps the socket that owns them");
    finding_advise(
        finding,
        tables_stand(facts)
            ? "While no daemon runs, another program with the right to can change or remove the rules, as "
              "`nft flush ruleset` does. The daemon mends that when it is back."
            : "No container is restricted by Cofferdam.",
        tables_stand(facts) ? "Run the daemon, as the service cofferdamd, under systemd 254 or later."
                            : "systemctl start cofferdamd");
}

void judge_unenforced(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_self *self = &facts->self;

    if (!has_told(self, finding))
        return;
    if (!self->engine_connected)
        finding_say(finding, FINDING_UNCHECKED, "the daemon has no Engine to ask which containers run");
    for (size_t i = 0; i < self->n_unenforced; i++)
        finding_say(finding, FINDING_WARN, "container %s: %s", self->unenforced[i].name,
                    self->unenforced[i].reason);
    if (!*finding->found)
        finding_say(finding, FINDING_OK, "all running containers are enforced (%zu containers are known)",
                    self->n_containers);
    finding_advise(finding, "No policy holds for these containers.",
                   "Give them a bridge network that the settings do not take out; see `cofferdam status`.");
}

void judge_problems(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_self *self = &facts->self;

    if (!has_told(self, finding))
        return;
    for (size_t i = 0; i < self->n_problems; i++)
        finding_say(finding, FINDING_NOTE, "%s", self->problems[i]);
    if (!*finding->found)
        finding_say(finding, FINDING_OK, "the daemon reports no problems");
    finding_advise(finding, "The daemon says so in `cofferdam status`.", "As each of them says.");
}

/* ---- files -------------------------------------------------------------------------------------------- */

void judge_settings(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_self *self = &facts->self;

    if (self->settings_error && self->access_error)
        finding_unchecked(finding, "the settings", self->access_error);
    else if (self->settings_error)
        finding_say(finding, FINDING_WARN, "%s", self->settings_error);
    else
        finding_say(finding, FINDING_OK, "the settings have no mistakes");
    finding_advise(
        finding,
        "With this file the daemon does not start. What is said here of paths and settings is said of the "
        "defaults.",
        "cofferdam check --config FILE shows every mistake with its place.");
}

void judge_policies(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_self *self = &facts->self;

    if (self->access_error)
        finding_unchecked(finding, self->settings->policies, self->access_error);
    else if (self->n_policy_errors)
        finding_say(finding, FINDING_WARN, "%zu mistake%s in %s: %s", self->n_policy_errors,
                    plural(self->n_policy_errors), self->settings->policies,
                    self->policies_error ? self->policies_error : "");
    else if (!self->n_policies)
        finding_say(finding, FINDING_NOTE, "no policies in %s", self->settings->policies);
    else
        finding_say(finding, FINDING_OK, "%zu polic%s without mistakes in %s", self->n_policies,
                    self->n_policies == 1 ? "y" : "ies", self->settings->policies);
    finding_advise(
        finding,
        self->n_policy_errors ? "These files are not loaded: the policies from before stay in force."
                              : "Nothing is granted: every container is cut off, except in audit mode.",
        self->n_policy_errors ? "cofferdam check; then cofferdam apply."
                              : "Write some; /usr/share/cofferdam/policies has some to begin with.");
}

static void judge_file(const struct fact_file *file, struct finding *finding)
{
    if (file->error == -ENOENT)
        return;
    if (file->error)
        finding_unchecked(finding, file->path, file->error);
    else if (file->mode & S_IWOTH && !(S_ISDIR(file->mode) && file->mode & S_ISVTX))
        finding_say(finding, FINDING_BAD, "%s may be written by everybody (mode %04o)", file->path,
                    file->mode & 07777);
    else if (file->uid)
        finding_say(finding, FINDING_BAD, "%s belongs to user %u", file->path, file->uid);
    else if (file->mode & S_IWGRP && file->gid)
        finding_say(finding, FINDING_WARN, "%s may be written by group %u", file->path, file->gid);
}

void judge_permissions(const struct host_facts *facts, struct finding *finding)
{
    for (size_t i = 0; i < facts->self.n_files; i++)
        judge_file(&facts->self.files[i], finding);
    if (!*finding->found)
        finding_say(finding, FINDING_OK, "only root may write settings, policies and state");
    finding_advise(finding, "Whoever may write there decides what is enforced: it is as much as being root.",
                   "chown root:root FILE; chmod go-w FILE");
}

/* ---- settings ----------------------------------------------------------------------------------------- */

void judge_default_mode(const struct host_facts *facts, struct finding *finding)
{
    bool audit = facts->self.settings->default_mode == MODE_AUDIT;

    finding_say(finding, audit ? FINDING_NOTE : FINDING_OK, "default_mode is %s",
                audit ? "audit" : "enforce");
    finding_advise(
        finding, "Containers that no enforcing policy selects are not restricted.",
        "When all containers have policies, take default_mode out of the settings and restart the daemon.");
}

void judge_unknown_endpoints(const struct host_facts *facts, struct finding *finding)
{
    bool lenient = facts->self.settings->unknown_endpoints == UNKNOWN_INTERNET;

    finding_say(finding, lenient ? FINDING_NOTE : FINDING_OK, "unknown_endpoints is %s",
                lenient ? "internet" : "deny");
    finding_advise(
        finding,
        "What is on a managed bridge and no container of the Engine's, such as a build step, may open "
        "connections to the internet; so may a container until the daemon knows it.",
        "Leave it out of the settings where nothing is built on this host.");
}

/* ---- service ------------------------------------------------------------------------------------------ */

void judge_service(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_self *self = &facts->self;

    if (!self->systemd) {
        finding_say(finding, FINDING_OK, "this host was not booted with systemd");
        return;
    }
    if (!self->unit_found)
        finding_say(finding, FINDING_WARN, "systemd has no unit cofferdamd.service");
    else if (!self->unit_enabled)
        finding_say(finding, FINDING_WARN, "cofferdamd.service is not enabled");
    else
        finding_say(finding, FINDING_OK, "cofferdamd.service is enabled");
    if (self->systemd_version && self->systemd_version < SYSTEMD_KEEPS)
        finding_say(finding, FINDING_NOTE,
                    "systemd %u does not keep the socket that owns the tables while the service is "
                    "stopped",
                    self->systemd_version);
    finding_advise(
        finding,
        self->unit_found && self->unit_enabled
            ? "After systemctl stop the rules stand, but are nobody's until the daemon is back: others can "
              "remove them. A restart keeps them."
            : "After the next boot nothing is enforced: Docker starts its containers without any rules.",
        self->unit_found && self->unit_enabled ? "Use systemd 254 or later; or do not stop the service."
                                               : "systemctl enable cofferdamd, once it is installed.");
}
