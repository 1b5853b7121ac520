/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's own settings, /etc/cofferdam/cofferdam.yaml. Every key is optional.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/model.h"
#include "util/diag.h"

enum unknown_endpoints { UNKNOWN_DENY, UNKNOWN_INTERNET };
enum group_may { GROUP_MAY_READ, GROUP_MAY_CHANGE };
enum log_denied { LOG_DENIED_OFF, LOG_DENIED_ON };
enum log_allowed { LOG_ALLOWED_OFF, LOG_ALLOWED_ON };
enum log_journal { LOG_JOURNAL_OFF, LOG_JOURNAL_ON };
enum protect_table { PROTECT_AUTO, PROTECT_OFF };

/*
 * Bit 13: not Kubernetes' (14, 15), Calico's (16 to 31), Weave's (17, 18), Tailscale's (16 to 23) nor Cilium's (0 to 12,
 * 16 to 31; of some versions with IPsec, 12 to 15), and not set in wg-quick's 51820. Podman's port forwarding sets it, on
 * packets that are none of ours.
 */
#define MARK_DEFAULT 0x2000u

struct settings {
    char *docker; /* the Engine's socket: a path, or unix:// and a path; NULL: DOCKER_HOST, else the usual one
                   */
    char *policies;      /* directory */
    char *state;         /* directory */
    char *control;       /* socket path */
    char *control_group; /* its name; NULL: the socket is root's alone */
    enum group_may control_group_may;
    char *audit; /* path of the audit log, or AUDIT_OFF */
    bool managed_all;
    char **managed; /* network names, when not managed_all */
    size_t n_managed;
    char **unmanaged; /* network names */
    size_t n_unmanaged;
    enum policy_mode default_mode;
    enum unknown_endpoints unknown_endpoints;
    enum protect_table protect_table;
    bool trust_image_labels;
    uint32_t mark; /* the one bit of the packet mark that is ours */
    struct {
        enum log_denied denied;
        enum log_allowed allowed;
        unsigned group; /* NFLOG group */
        unsigned rate;  /* connections per second, of one source */
        char *file;     /* a path, or NULL: none */
        enum log_journal journal;
    } log;
    struct {
        char *textfile; /* a path, or NULL: none */
        uint64_t every; /* microseconds */
    } metrics;
};

#define AUDIT_OFF "off"
#define SETTINGS_FILE "/etc/cofferdam/cofferdam.yaml"

struct settings *settings_new(void); /* the defaults */
struct settings *settings_free(struct settings *settings);
DEFINE_CLEANUP(struct settings *, settings_free);

/* As policy_parse(), for the one document of the settings file; what is absent keeps the value it has. An
 * empty file or one of comments alone is fine here. */
int settings_parse(struct settings *settings, const char *file, const char *bytes, size_t len,
                   struct diags *diags);
