/* Small things that many tests need. */
#ifndef MXSEAL_TEST_FIXTURE_H
#define MXSEAL_TEST_FIXTURE_H

/* A fresh private folder under $TMPDIR or /tmp; the caller frees the path and removes it with fixture_remove. */
char *fixture_dir(void);
/* Removes a folder made by fixture_dir with everything in it. */
void  fixture_remove(const char *dir);

#endif
