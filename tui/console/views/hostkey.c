/* Who is answering? A host key that was never seen is shown with its fingerprint; six typed characters stop the reflex to
 * say yes. They prove nothing by themselves, and the screen says so. A changed key is never accepted here. */
#include <stdlib.h>
#include <string.h>
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "tui/console/app.h"

#define CONFIRM 6
#define PREFIX "SHA256:"

struct hostkey_data { struct hostkey key; int64_t task, server; char *name, *target; struct edit edit; bool wrong; };

static int
hostkey_open(struct view *v, const void *p, struct err *e)
{
	const struct hostkey_arg *arg = p;
	struct hostkey_data *h = v->data;
	struct server s = { 0 };

	h->key = *arg->key;
	memset(arg->key, 0, sizeof(*arg->key));
	h->task = arg->task;
	h->server = arg->server;
	edit_open(&h->edit, "");
	if (store_server_get(v->app->st, arg->server, &s, e) != 0)
		return -1;
	h->name = xstrdup(s.name);
	h->target = xstrdup(s.target);
	server_release(&s);
	v->app->discard = true;
	return 0;
}

static void
hostkey_close(struct view *v)
{
	struct hostkey_data *h = v->data;
	struct task *t = task_by_serial(v->app, h->task);

	if (t != NULL && t->asks && !v->app->closing)
		task_give_up(t);
	hostkey_release(&h->key);
	free(h->name);
	free(h->target);
	edit_close(&h->edit);
}

static void
hostkey_draw(struct view *v, struct area a)
{
	struct hostkey_data *h = v->data;
	struct lines l = { NULL, 0 };
	struct area in = a.h >= 8 && a.w >= 40 ? draw_box(a, "New host key (never seen before)") : a;
	const char *file = strstr(h->key.type, "ed25519") != NULL ? "ed25519" : strstr(h->key.type, "ecdsa") != NULL ? "ecdsa" : "rsa";

	lines_addf(&l, STYLE_NORMAL, "%s (%s) shows this %s key:", h->name, clean(h->target), clean(h->key.type));
	lines_addf(&l, STYLE_KEY, "  %s", clean(h->key.fingerprint));
	if (in.h >= 9) {
		lines_add(&l, STYLE_NORMAL, "");
		lines_add(&l, STYLE_NORMAL, "Compare it with a second source; on the host itself, for example:");
		lines_addf(&l, STYLE_NORMAL, "  ssh-keygen -lf /etc/ssh/ssh_host_%s_key.pub", file);
		lines_add(&l, STYLE_NORMAL, "");
	}
	lines_wrap(&l, STYLE_NORMAL, in.w, 0, "Type the first 6 characters after SHA256: to accept (or paste the whole "
	    "fingerprint from your second source). Esc skips this host.");
	lines_draw(&l, in, NULL);
	int y = (int)l.n < in.h ? (int)l.n : in.h - 1;
	int x = draw_put(in, y, 0, 0, STYLE_KEY, "  > " PREFIX);
	edit_draw(&h->edit, in, y, x, in.w - x < 52 ? in.w - x : 52, STYLE_FOCUS, false, true);
	lines_release(&l);
	if (h->wrong)
		draw_put(in, y + 1, 0, 0, STYLE_BAD, "! This is not the fingerprint shown above. Look again.");
	if (y + 4 < in.h) {
		struct area rest = { in.y + y + 3, in.x, in.h - y - 3, in.w };
		struct lines note = { NULL, 0 };
		lines_wrap(&note, STYLE_NORMAL, in.w, 0, "Six characters only stop the habit of saying yes; proof is the whole "
		    "fingerprint from somewhere else. A key that changed later is refused, and no switch turns that off.");
		lines_draw(&note, rest, NULL);
		lines_release(&note);
	}
}

static bool
fits(const struct hostkey_data *h)
{
	const char *print = h->key.fingerprint + strlen(PREFIX), *typed = h->edit.text.s;

	if (strncmp(h->key.fingerprint, PREFIX, strlen(PREFIX)) != 0)
		return false;
	if (strncmp(typed, PREFIX, strlen(PREFIX)) == 0)
		typed += strlen(PREFIX);
	size_t n = strlen(typed);
	return n == CONFIRM ? strncmp(print, typed, n) == 0 : n > CONFIRM && strcmp(print, typed) == 0;
}

static void
accept(struct view *v)
{
	struct hostkey_data *h = v->data;
	struct app *a = v->app;
	struct err e = { .code = RC_OK };

	if (!fits(h)) {
		h->wrong = true;
		return;
	}
	if (server_trust(a->j, h->server, &h->key, &e) != 0) {
		app_fail(a, &e);
		return;
	}
	int64_t serial = h->task, server = h->server;
	h->task = 0;
	view_pop(v);
	struct task *t = task_by_serial(a, serial);
	if (t != NULL)
		task_again(t);
	for (t = a->tasks; t != NULL; t = t->next)         /* another verb for the same host waits for the same key */
		if (t->asks && t->server == server && t->err.code == RC_HOSTKEY_NEW) {
			task_again(t);
			break;
		}
}

static bool
hostkey_key(struct view *v, int key)
{
	struct hostkey_data *h = v->data;

	if (key == K_ENTER) {
		accept(v);
		return true;
	}
	if (key == K_PASTE)
		edit_paste(&h->edit, v->app->paste.s);
	else if (!edit_key(&h->edit, key))
		return false;
	h->wrong = false;
	return true;
}

static void
hostkey_crumb(const struct view *v, struct str *out)
{
	str_addf(out, "%s: who is answering?", ((const struct hostkey_data *)v->data)->name);
}

static bool hostkey_typing(const struct view *v) { (void)v; return true; }

static void act_accept(struct view *v) { accept(v); }

static void
hostkey_copy(const struct view *v, bool command, struct str *out)
{
	const struct hostkey_data *h = v->data;

	if (command)
		str_addf(out, "mxseal server trust %s --fingerprint %s", h->name, h->key.fingerprint);
	else
		str_add(out, h->key.fingerprint);
}

static const struct action hostkey_actions[] = {
	{ K_ENTER, "accept", "accept", "Accepts the key when the typed characters are right.",
	  "mxseal server trust NAME --fingerprint SHA256:...", act_accept, NULL, 0 },
	{ 0, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
};

const struct view_ops view_hostkey = {
	.name = "hostkey", .title = "Host key",
	.about = "A host shows a key that neither your known_hosts files nor mxseal have seen. Nothing is sent to it before you "
	    "accept: no password, no command.",
	.state_size = sizeof(struct hostkey_data), .actions = hostkey_actions, .open = hostkey_open, .close = hostkey_close,
	.draw = hostkey_draw, .key = hostkey_key, .crumb = hostkey_crumb, .typing = hostkey_typing, .copy = hostkey_copy,
};
