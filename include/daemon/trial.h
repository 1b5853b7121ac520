/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policies on trial: in force for a while, and gone unless somebody confirms them. TRIAL_FILE of the state directory is
 * there from before anything changes until the trial's end is done with, so that whoever kills the daemon at whatever
 * moment never makes the trial last. Pure: the codec, and what a start does.
 *
 * {"format_version": "1.0", "checksum": TEXT, "stage": "begun" | "in-force", "boot_id": TEXT, "deadline": N
 *  (microseconds of CLOCK_BOOTTIME), "change": {...} (daemon/change.h), "number": N (of the trial in the history, or 0),
 *  "former_number": N (of the former set, or 0), "former": [{"path", "text"}] | null (nothing could be read: all was
 *  denied), "new": [{"path", "text"}]}
 *
 * CLOCK_BOOTTIME goes on while the host sleeps and cannot be set; after a boot it means nothing, and the trial is over.
 */
#pragma once

#include "daemon/change.h"
#include "policy/model.h"

#define TRIAL_FILE "trial.json"
#define TRIAL_MAX (128 * 1024 * 1024)              /* bytes */
#define TRIAL_SPAN_MIN (5 * 1000000ULL)            /* microseconds */
#define TRIAL_SPAN_MAX (24 * 60 * 60 * 1000000ULL) /* also of what is left when it is prolonged */
#define BOOT_ID_SIZE sizeof("01234567-89ab-cdef-0123-456789abcdef")

enum trial_stage {
    TRIAL_BEGUN,    /* the kernel may hold either set */
    TRIAL_IN_FORCE, /* whoever asked was told, or is about to be */
};

struct trial_set {
    struct policy_file *files;
    size_t n_files;
    bool nothing; /* no files, as nothing could be read */
};

struct policy_trial {
    enum trial_stage stage;
    char boot_id[BOOT_ID_SIZE];
    uint64_t deadline;
    struct change change; /* what began it: an apply, or a rollback to change.from */
    unsigned number, former_number;
    struct trial_set former, new;
};

void trial_clear(struct policy_trial *trial);
/* 0, and the caller frees *ret; -EFBIG: over TRIAL_MAX; -EILSEQ: some text is no UTF-8. */
int trial_format(const struct policy_trial *trial, char **ret);
/* 0, or -EBADMSG: it is not, down to the last byte, what trial_format() has made. */
int trial_parse(const char *text, size_t len, struct policy_trial *ret);

/* What a trial that was left by a daemon that ended has come to. */
enum trial_fate {
    TRIAL_GOES_ON,
    TRIAL_INTERRUPTED, /* before it was in force for sure */
    TRIAL_EXPIRED,
    TRIAL_REBOOTED,
};

/* now: CLOCK_BOOTTIME. Only a trial that goes on leaves its set in force. */
enum trial_fate trial_fate(const struct policy_trial *trial, uint64_t now, const char *boot_id);
const char *trial_fate_text(enum trial_fate fate); /* "the trial ...", a sentence's part */
