/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The history of the policy sets that were in force: one file each in HISTORY_DIRECTORY of the state directory, named by
 * its number ("000007.json"), which never changes and is never used again. Pure: the codec, what is kept, and what a
 * rollback goes back to.
 *
 * {"format_version": "1.0", "checksum": TEXT, "number": 7, "change": {...} (daemon/change.h),
 *  "policies": N, "differences": {"added": N, "changed": N, "removed": N} | null (from the entry before, where it could
 *  be read), "files": [{"path", "text"}] | null (nothing could be read: all was denied)}
 */
#pragma once

#include "daemon/change.h"
#include "policy/compare.h"
#include "policy/model.h"

#define HISTORY_DIRECTORY "history"
#define HISTORY_ENTRY_MAX (64 * 1024 * 1024) /* bytes of one file */
#define HISTORY_KEPT 50                      /* entries */
#define HISTORY_BYTES (64 * 1024 * 1024)     /* of all of them */
#define HISTORY_NAME_SIZE sizeof("4294967295.json")

struct history_entry {
    unsigned number; /* from 1 */
    struct change change;
    size_t n_policies;
    bool compared;
    size_t n_of[POLICY_REMOVED + 1];
    struct policy_file *files;
    size_t n_files;
    bool nothing; /* no files, as nothing could be read */
};

void history_entry_clear(struct history_entry *entry);
/* 0, and the caller frees *ret; -EFBIG: over HISTORY_ENTRY_MAX; -EILSEQ: some text is no UTF-8. */
int history_format(const struct history_entry *entry, char **ret);
/* 0, or -EBADMSG: it is not, down to the last byte, what history_format() has made of the entry of this number. */
int history_parse(const char *text, size_t len, unsigned number, struct history_entry *ret);

void history_name(unsigned number, char ret[static HISTORY_NAME_SIZE]);
/* Of a file's name; 0: it is no entry's. */
unsigned history_number(const char *name);

/* What the decisions below know of an entry. */
struct history_item {
    unsigned number;
    size_t size; /* bytes */
    enum change_kind kind;
    bool damaged;  /* the kind is not known */
    bool in_force; /* its set is the one in force */
};

/*
 * Is the change worth an entry? same: the set is that of the entry before. A start or another apply of the same set is
 * not, unless somebody said something of it.
 */
bool history_worth(const struct change *change, bool same);

/* How many of the items, newest first, are kept. in_force: a number, 0 if none. The others are the oldest ones. */
size_t history_keep(const struct history_item *items, size_t n, unsigned in_force);

enum history_choice {
    CHOICE_FOUND,
    CHOICE_NONE, /* there is no other set */
    CHOICE_CAME_BACK, /* the set in force is what the last trial was rolled back to: it must be said which one is meant */
};

/*
 * What a rollback goes back to where nobody says it: the newest set that is not in force and was not a mere trial. The
 * items are newest first.
 */
enum history_choice history_choose(const struct history_item *items, size_t n, unsigned *ret);
