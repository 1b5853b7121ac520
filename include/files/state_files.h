/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files of the state directory, which the daemon and the commands replace as a whole or not at all. */
#pragma once

/* Replaces a file, whatever happens meanwhile, by the whole of the new text: 0 or a negative errno. */
int state_save(const char *directory, const char *name, const char *text);
/* The same, but after a loss of power it may be the former, the new, or a torn one: for what can be done without. */
int state_save_soon(const char *directory, const char *name, const char *text);
/* The same for a file of another directory, which others may write to, that everybody may read. */
int state_publish(const char *directory, const char *name, const char *text);
/* 0, also when there is none, or a negative errno. */
int state_remove(const char *directory, const char *name);
/* 0; -EEXIST: there is one of the new name; or another negative errno. */
int state_rename(const char *directory, const char *name, const char *new_name);
/* Locks a file (flock(2)), which is made where it is missing, until *ret_fd is closed. 0; -EWOULDBLOCK: another has held
 * it all the time; or another negative errno. */
int state_hold(const char *directory, const char *name, unsigned wait_ms, int *ret_fd);
