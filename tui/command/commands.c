/* THE TABLE of commands, and the way into one. */
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/log.h"
#include "mxseal/secret.h"
#include "tui/command/families.h"
#include "tui/version.h"

static const struct option trust_options[] = {
	{ "fingerprint", "SHA256:...", "accept exactly this key, without a question", false }, { NULL, NULL, NULL, false } };
static const struct option process_options[] = {
	{ "second", NULL, "as the second certificate, whatever was said when it was requested", false },
	{ "request", "ID", "the request it answers; found by its key otherwise", false },
	{ "ca", "FILE", "roots that are trusted for this answer, beside the system's and your own authorities'", false },
	{ "accept-unknown-issuer", NULL, "also when its chain leads to nobody that is known here, or is signed weakly", false },
	{ "use", NULL, "plan and push at once", false }, { NULL, NULL, NULL, false } };
static const struct option use_options[] = {
	{ "use", NULL, "plan and push at once", false }, { NULL, NULL, NULL, false } };
static const struct option assign_options[] = {
	{ "second", NULL, "beside the one that is there, with the other kind of key", false },
	{ "use", NULL, "plan and push at once", false }, { NULL, NULL, NULL, false } };
static const struct option remove_options[] = { { "second", NULL, "only the second certificate", false }, { NULL, NULL, NULL, false } };
static const struct option import_options[] = {
	{ "second", NULL, "beside the one that is there, with the other kind of key", false },
	{ "key", "FILE", "the key, when it is in a file of its own", false },
	{ "name", "NAME", "what you call it (its common name)", false },
	{ "accept-weak", NULL, "also when the file is encrypted so weakly that who had it can have the key", false },
	{ "use", NULL, "plan and push at once", false }, { NULL, NULL, NULL, false } };
static const struct option export_options[] = {
	{ "out", "FILE", "where to; it gets mode 0600", false }, { NULL, NULL, NULL, false } };
static const struct option out_options[] = {
	{ "out", "FILE", "write it there instead of to standard output", false }, { NULL, NULL, NULL, false } };
static const struct option why_options[] = {
	{ "why", "TEXT", "the reason, for whoever asked", false }, { NULL, NULL, NULL, false } };
static const struct option revoke_options[] = {
	{ "reason", "R", "why (unspecified)", false }, { NULL, NULL, NULL, false } };
static const struct option renew_options[] = {
	{ "days", "N", "how long it is good from now (as long as before)", false }, { NULL, NULL, NULL, false } };
static const struct option crl_options[] = {
	{ "out", "FILE", "write it there instead of to standard output", false },
	{ "days", "N", "the next one is due in so many days (30)", false }, { NULL, NULL, NULL, false } };
#define AT_ONCE { "at-once", "N", "so many servers at a time (8); who is silent for a second does not count", false }
static const struct option many_options[] = { AT_ONCE, { NULL, NULL, NULL, false } };
#define NO_SHADOW { "no-shadow", NULL, "without the trial run of the new configuration on the host", false }
static const struct option plan_options[] = { NO_SHADOW, AT_ONCE, { NULL, NULL, NULL, false } };
static const struct option drift_options[] = { { "take", "FIELD", "what was found becomes what is wanted", true },
	{ "leave", "FIELD", "let it be as it is there until it changes again", true },
	{ "unleave", "FIELD", "what was left is put back by a push again", true }, NO_SHADOW, AT_ONCE, { NULL, NULL, NULL, false } };
static const struct option push_options[] = {
	{ "yes", NULL, "do not ask", false },
	{ "confirm-within", "SECONDS", "the host undoes by itself after this time (120)", false },
	{ "watch", "SECONDS", "after the proof watch the mail log so long before keeping (0)", false },
	{ "no-keep", NULL, "leave it waiting for keep or undo; the host watches the mail meanwhile", false },
	{ "canary", "NAME", "this server first and alone; the first one named otherwise", false },
	{ "at-once", "N", "after the canary so many servers at a time (4)", false },
	{ "retry", NULL, "those whose last push failed or was not begun", false },
	NO_SHADOW, { NULL, NULL, NULL, false } };
static const struct option undo_options[] = {
	{ "to", "GENERATION", "any generation that is kept; 0: none of ours", false }, { NULL, NULL, NULL, false } };
static const struct option queue_options[] = {
	{ "group", "BY", "destination, reason, sender or server", false },
	{ "from", "FILE", "a saved listing (postqueue -j) instead of a host; - for standard input", false },
	{ "system", "NAME", "whose listing it is (postfix)", false }, AT_ONCE, { NULL, NULL, NULL, false } };
static const struct option messages_options[] = {
	{ "destination", "DOMAIN", "only messages for it", false },
	{ "limit", "N", "at most so many (100)", false }, { NULL, NULL, NULL, false } };
#define GROUP_OPTIONS { "destination", "DOMAIN", "all messages for it, as they are at this moment", false }, \
	{ "reason", "TEXT", "all that wait for this reason, as `queue --group reason` calls it", false }, \
	{ "sender", "DOMAIN", "all from it", false }
static const struct option group_options[] = { GROUP_OPTIONS, { NULL, NULL, NULL, false } };
static const struct option delete_options[] = { GROUP_OPTIONS, { "yes", NULL, "do not ask", false },
	{ "count", "N", "do not ask, but only if it are exactly so many", false }, { NULL, NULL, NULL, false } };
static const struct option classify_options[] = {
	{ "system", "NAME", "postfix, exim, opensmtpd, sendmail; guessed otherwise", false }, { NULL, NULL, NULL, false } };
static const struct option probe_options[] = {
	{ "via", "SERVER", "look from this mail host", false },
	{ "mx", NULL, "look at the MX hosts of the domain even if a port is given", false },
	{ "list", "FILE", "look at each line of the file (-: standard input); answers come as they are ready", false },
	{ "at-once", "N", "of several, so many at a time (32)", false }, { NULL, NULL, NULL, false } };
static const struct option route_options[] = {
	{ "sender", "ADDRESS", "who sends it; '<>' for nobody. Tables that depend on the sender are asked only then", false },
	{ "no-look", NULL, "do not look at the next hops", false },
	{ "repair", NULL, "for each row that no mail can reach, the command that mends it", false }, { NULL, NULL, NULL, false } };
static const struct option check_options[] = {
	{ "read", NULL, "read every server first", false },
	{ "warn", "DAYS", "name what ends within so many days (30)", false },
	{ "no-dns", NULL, "do not ask DNS which MX names lead to the servers", false },
	{ "renew", NULL, "renew what is due at ACME and own authorities, and push it", false },
	{ "no-looks", NULL, "do not look at the destinations of work-arounds", false },
	{ "retire", NULL, "end work-arounds whose destination does TLS again, by a trial, and open those again whose mail waits; push it", false }, { NULL, NULL, NULL, false } };
static const struct option eab_options[] = {
	{ "eab-key-fd", "N", "the key of the external account stands on this descriptor", false }, { NULL, NULL, NULL, false } };
static const struct option cert_renew_options[] = {
	{ "second", NULL, "the second certificate, of the other kind of key (RSA beside EC)", false },
	{ "new-key", NULL, "with a new key; else with the one that is there", false },
	{ "key", "KIND", "of a new key (as before)", false },
	{ "authority", "NAME", "another authority than the one that issued it", false },
	{ "out", "FILE", "by hand: the request, to be sent later", false },
	{ "use", NULL, "push it to the server", false }, { NULL, NULL, NULL, false } };
static const struct option history_options[] = {
	{ "verify", NULL, "check the hash chain", false },
	{ "limit", "N", "at most so many rows (50)", false }, { NULL, NULL, NULL, false } };
static const struct option traffic_options[] = {
	{ "days", "N", "so many days back (7)", false },
	{ "log", "FILE", "read this file here, packed by gzip or not, in place of the host's log; nothing is kept of it", true },
	{ "all", NULL, "every peer, not only the first", false }, { NULL, NULL, NULL, false } };
static const struct option rehearse_options[] = {
	{ "outbound", "LEVEL", "as if the default virtual server sent at this level", false },
	{ "inbound", "WHAT", "require: as if TLS were required of senders; tls1.2: at least that version; require,tls1.2: both", false },
	{ "log", "FILE", "read this file here, packed by gzip or not, in place of the host's log", true },
	{ "days", "N", "so many days back (7)", false },
	{ "main", "N", "look at the N destinations with the most messages (500); of the others the log alone speaks", false },
	{ "take", NULL, "keep the exceptions: connectors for those that need a lower level", false },
	{ "all", NULL, "name those that pass as well", false }, { NULL, NULL, NULL, false } };
static const struct option found_options[] = { { "found", NULL, "the administrator's own rules instead, as last read", false },
	{ NULL, NULL, NULL, false } };
static const struct option take_options[] = { { "name", "NAME", "what to call the connector (the key)", false }, { NULL, NULL, NULL, false } };
static const struct option edits_options[] = { { "limit", "N", "at most so many rows (50)", false }, { NULL, NULL, NULL, false } };
static const struct option yes_options[] = { { "yes", NULL, "do not ask", false }, { NULL, NULL, NULL, false } };

#define RETIRE { "retire", NULL, "end work-arounds whose destination does TLS again, by a trial, and open those again whose mail waits; push it", false }
static const struct option workaround_options[] = { { "yes", NULL, "do not ask", false },
	{ "no-push", NULL, "keep it here; a push makes it so", false }, NO_SHADOW, { NULL, NULL, NULL, false } };
static const struct option watch_options[] = { { "every", "SECONDS", "between two rounds (300)", false },
	{ "once", NULL, "one round; status 1 when anything was found", false }, RETIRE, NO_SHADOW, { NULL, NULL, NULL, false } };

#define STORE NEEDS_STORE
#define CHANGE (NEEDS_STORE | CHANGES_HOST)

#define CONNECTOR_MORE "With --smart-host the route is by smart hosts. The password for --auth-user is asked for on the terminal; with\n" \
    "--passphrase-fd it is the first line there, and the passphrase that seals it the second."

const struct cli_command commands[] = {
	{ "server add", "NAME TARGET", "make a mail host known; nobody is contacted", NULL, 2, 2, STORE, NULL,
	  "server", cmd_server_add },
	{ "server set", "NAME", "its address, how to log in, its group", "--group '' takes it out of its group.", 1, 1, STORE, NULL,
	  "server-set", cmd_server_set },
	{ "server trust", "NAME", "look at its host key and confirm it", "Without --fingerprint the key is shown and asked for.",
	  1, 1, STORE, trust_options, NULL, cmd_server_trust },
	{ "server list", "", "all servers", NULL, 0, 0, STORE, NULL, NULL, cmd_server_list },
	{ "server show", "NAME", "what is known of one", NULL, 1, 1, STORE, NULL, NULL, cmd_server_show },
	{ "server read", "NAME...", "log in and read; writes nothing there", "Finds the mail system, its virtual servers, settings, "
	  "certificates and the size of the queue.", 1, 1000, STORE, many_options, NULL, cmd_server_read },
	{ "server remove", "NAME", "forget it here; the host is not touched", NULL, 1, 1, STORE, yes_options, NULL,
	  cmd_server_remove },
	{ "cert request", "VS", "make a key on the host and a request", "With --out the request is saved to be sent later; with "
	  "--authority it is signed at once, and --use pushes the certificate.", 1, 1, CHANGE, use_options,
	  "certificate", cmd_cert_request },
	{ "cert renew", "VS", "the certificate in use once more, with its key or a new one", "With the authority that issued it, another one "
	  "(--authority), or by hand (--out).", 1, 1, CHANGE, cert_renew_options, NULL, cmd_cert_renew },
	{ "cert resume", "VS", "go on with the order that waits at its ACME authority", NULL, 1, 1, CHANGE, use_options, NULL, cmd_cert_resume },
	{ "cert requests", "[VS]", "requests that wait for their answer", NULL, 0, 1, STORE, NULL, NULL, cmd_cert_requests },
	{ "cert request-text", "ID", "the text of a request, to paste or to send", "What an outside authority is given. --out writes the "
	  "file again.", 1, 1, STORE, out_options, NULL, cmd_cert_request_text },
	{ "cert process", "VS FILE", "the answer of the authority: DER, PEM or PKCS#7", NULL, 2, 2, STORE, process_options, NULL,
	  cmd_cert_process },
	{ "cert drop-request", "ID", "to the trash, with its key", NULL, 1, 1, STORE, NULL, NULL, cmd_cert_drop },
	{ "cert restore-request", "ID", "back from the trash", NULL, 1, 1, STORE, NULL, NULL, cmd_cert_restore },
	{ "cert list", "[VS]", "certificates", NULL, 0, 1, STORE, NULL, NULL, cmd_cert_list },
	{ "cert show", "ID|VS", "one certificate and its chain", NULL, 1, 1, STORE, NULL, NULL, cmd_cert_show },
	{ "cert served", "VS", "what its listeners show right now", NULL, 1, 1, STORE, NULL, NULL, cmd_cert_served },
	{ "cert assign", "VS ID", "use a certificate whose key is on that host, or kept here", "One with an EC key and one with an RSA key "
	  "can be used at a time: --second. Each peer gets the one\nit understands.", 2, 2, STORE, assign_options, NULL,
	  cmd_cert_assign },
	{ "cert import", "VS FILE", "a certificate with its key: PKCS#12 or PEM", "Its key is sealed here, and pushes carry it to the host. "
	  "The passphrase of the file is asked for on the\nterminal; with --passphrase-fd it is the first line there, and the passphrase "
	  "that seals the key the second.\nOf a file that needs none, the passphrase that seals is the only line.", 2, 2, STORE, import_options, NULL,
	  cmd_cert_import },
	{ "cert export", "ID", "a certificate with its key, as PKCS#12 (AES-256)", "Only of keys that live here: one made on a host never leaves "
	  "it. The passphrase of the file is asked for\ntwice; with --passphrase-fd it is the first line there, and the passphrase of what is "
	  "sealed here the second.", 1, 1, STORE, export_options, NULL, cmd_cert_export },
	{ "cert remove", "VS", "unbind; the certificate stays", "Of two, both go, or with --second the second one.", 1, 1, STORE, remove_options, NULL, cmd_cert_remove },
	{ "authority add own", "NAME", "an own certificate authority, its key sealed here", NULL, 1, 1, STORE, NULL,
	  "authority", cmd_authority_add },
	{ "authority renew", "NAME", "new dates under the same key; what it issued stays valid", "Whoever trusts it by its file needs the "
	  "new one. Servers that send it need their next\ncertificate before the old dates end.", 1, 1, STORE, renew_options, NULL, cmd_authority_renew },
	{ "authority add acme", "NAME", "an account at an ACME authority, its key sealed here", "--directory is any https URL; the public ones:\n"
	  "https://acme-v02.api.letsencrypt.org/directory (Let's Encrypt),\n"
	  "https://acme-staging-v02.api.letsencrypt.org/directory (for trials),\n"
	  "https://acme.zerossl.com/v2/DV90, https://dv.acme-v02.api.pki.goog/directory (external account).", 1, 1, STORE, eab_options,
	  "acme", cmd_authority_add_acme },
	{ "authority list", "", "all authorities", NULL, 0, 0, STORE, NULL, NULL, cmd_authority_list },
	{ "authority show", "NAME", "one authority and what it issued", NULL, 1, 1, STORE, NULL, NULL, cmd_authority_show },
	{ "authority certificate", "NAME", "its certificate, for those who shall trust it", NULL, 1, 1, STORE, out_options, NULL,
	  cmd_authority_certificate },
	{ "authority policy", "NAME always|ask", "sign at once, or wait for approval", NULL, 2, 2, STORE, NULL, NULL,
	  cmd_authority_policy },
	{ "authority submit", "NAME FILE", "a request made elsewhere (PKCS#10)", "It waits for approve or deny, whatever the policy is.",
	  2, 2, STORE, NULL, NULL, cmd_authority_submit },
	{ "authority pending", "NAME", "requests that wait for a decision", NULL, 1, 1, STORE, NULL, NULL, cmd_authority_pending },
	{ "authority approve", "NAME ID", "sign one; the wizard's own are assigned too", NULL, 2, 2, STORE, out_options, NULL,
	  cmd_authority_approve },
	{ "authority deny", "NAME ID", "refuse one", NULL, 2, 2, STORE, why_options, NULL, cmd_authority_deny },
	{ "authority revoke", "NAME SERIAL", "a certificate it issued does not hold any more", "Reasons: unspecified, key-compromise, "
	  "affiliation-changed, superseded,\ncessation-of-operation, privilege-withdrawn. It counts once a new list is published.", 2, 2,
	  STORE, revoke_options, NULL, cmd_authority_revoke },
	{ "authority crl", "NAME", "the list of revoked certificates", NULL, 1, 1, STORE, crl_options, NULL, cmd_authority_crl },
	{ "vs list", "[SERVER]", "virtual servers", NULL, 0, 1, STORE, NULL, NULL, cmd_vs_list },
	{ "vs show", "VS", "settings: wanted, found, and where they come from", NULL, 1, 1, STORE, NULL, NULL, cmd_vs_show },
	{ "vs set", "VS KEY=VALUE...", "change what is wanted; a push carries it there", "What shuts peers out is asked first, and rehearsed for that (mxseal rehearse\nVS), for a minute at most. "
	  "--yes: nothing is asked, the host is not looked at.",
	  2, 64, STORE, yes_options, NULL, cmd_vs_set },
	{ "vs unset", "VS KEY...", "want nothing: leave it as it is on the host", NULL, 2, 64, STORE, NULL, NULL, cmd_vs_unset },
	{ "vs add", "SERVER NAME", "one more virtual server; a push makes it", "--listen none: it only sends, for connectors that name it with "
	  "--via.\nsubmission begins TLS with STARTTLS (587), submissions with the first byte (465).", 2, 2, STORE, NULL, "listener",
	  cmd_vs_add },
	{ "vs remove", "VS", "a push takes it out", "Never the default one, which can be stopped. Until the push: vs start VS keeps it.", 1, 1,
	  STORE, yes_options, NULL, cmd_vs_remove },
	{ "vs start", "VS", "let it take mail in again; a push does it", NULL, 1, 1, STORE, NULL, NULL, cmd_vs_start },
	{ "vs stop", "VS", "do not listen any more; a push does it", "Its lines stay in master.cf, commented out.", 1, 1, STORE, yes_options,
	  NULL, cmd_vs_stop },
	{ "vs pause", "VS", "answer everybody with 421; a push does it", NULL, 1, 1, STORE, yes_options, NULL, cmd_vs_pause },
	{ "traffic", "SERVER", "who brought and took mail without TLS, from the host's log", NULL, 1, 1, STORE, traffic_options, NULL,
	  cmd_traffic },
	{ "rehearse", "SERVER|VS", "whose mail would fail if more were required: from the log, and by looking", "Outbound, each destination in the "
	  "log is looked at from the host, and what would\nbecome of its mail is foretold; for those that fail, the strongest level that\nworks "
	  "is found. Inbound, clients of the virtual server are judged by what they did there. Nothing on the host is changed.", 1, 1, STORE,
	  rehearse_options, NULL, cmd_rehearse },
	{ "connector add", "NAME", "domains with a route and an outbound security of their own", CONNECTOR_MORE, 1, 1, STORE, NULL,
	  "connector", cmd_connector_add },
	{ "connector take", "SERVER KEY", "take a rule of the administrator's own over into a connector", "KEY is as connector list --found shows "
	  "it: bank.test, .bank.test. His file keeps every byte;\nafter a push the connector stands in front of it and does the same.", 2, 2, STORE,
	  take_options, NULL, cmd_connector_take },
	{ "connector list", "", "all connectors", NULL, 0, 0, STORE, found_options, NULL, cmd_connector_list },
	{ "connector show", "NAME", "one connector", NULL, 1, 1, STORE, NULL, NULL, cmd_connector_show },
	{ "connector set", "NAME", "change it", CONNECTOR_MORE, 1, 1, STORE, NULL, "connector", cmd_connector_set },
	{ "connector remove", "NAME", "forget it; a push takes it off the hosts", NULL, 1, 1, STORE, NULL, NULL,
	  cmd_connector_remove },
	{ "recipe tls-to", "NAME", "TLS to selected domains: a connector NAME, as one edit", NULL, 1, 1, STORE, NULL, "tls-to",
	  cmd_recipe_tls_to },
	{ "recipe tls-except", "SERVER", "TLS everywhere but a few", "The server sends with TLS only; a virtual server that only sends, without "
	  "TLS, and a\nconnector for the few bound to it. All of it is one edit. It is asked first, with figures from the host's\nmail log (mxseal traffic SERVER).", 1, 1, STORE, yes_options, "tls-except", cmd_recipe_tls_except },
	{ "remedy complain", "SERVER DOMAIN", "a letter to its postmaster: what is seen, since when, and a command that shows it", NULL, 2, 2, STORE,
	  out_options, NULL, cmd_remedy_complain },
	{ "remedy", "SERVER DOMAIN", "what can be done about mail that waits for it", NULL, 2, 2, STORE, NULL, NULL, cmd_remedy },
	{ "workaround end", "DOMAIN", "take one back: plan, push, and its first mail is watched", NULL, 1, 1, CHANGE, workaround_options, NULL,
	  cmd_workaround_end },
	{ "workaround try", "DOMAIN", "put one on trial: its mail leaves with TLS where that is offered", "No mail waits for it, whatever the other side "
	  "does. check and watch see how it fares, and with --retire end it after\na good day, or go back.", 1, 1, CHANGE, workaround_options, NULL,
	  cmd_workaround_try },
	{ "workaround", "[SERVER DOMAIN]", "mail for one domain without TLS, for as long as it is needed", "Without words it lists them. The "
	  "destination is looked at; a virtual server without TLS and a connector\nfor the domain are planned and pushed; what waits for it is tried "
	  "again and followed out. check and watch\nlook after it.", 0, 2, CHANGE | SHOWS_ALONE, workaround_options, "workaround", cmd_workaround },
	{ "edits undo", "[ID]", "undo an edit of what is wanted: the newest, or this one", "Puts exactly what it changed back, if that "
	  "is still as the edit left it. No host\nis touched; what was pushed already goes back by the next push.", 0, 1, STORE, NULL, NULL, cmd_edits_undo },
	{ "edits redo", "[ID]", "make an undone edit again: the one undone last, or this one", NULL, 0, 1, STORE, NULL, NULL,
	  cmd_edits_redo },
	{ "edits", "", "what was edited, newest first; * is not pushed yet", NULL, 0, 0, STORE, edits_options, NULL, cmd_edits },
	{ "plan", "[SERVER]...", "the exact changes; nothing is touched", NULL, 0, 1000, STORE, plan_options, NULL, cmd_plan },
	{ "push", "[SERVER]...", "carry the plan out, prove it, keep or undo", "The first server is the canary: it goes alone until it is\n"
	  "proved and kept. Then several at a time. The first that is refused, undone or fails stops the rest: what has not begun\n"
	  "is not begun, what runs is finished. One that cannot be reached before its switch counts for itself only. The exit\n"
	  "status is that of the worst: 6, 5, 7, 4, 3 in this order.", 0, 1000, CHANGE, push_options, NULL, cmd_push },
	{ "keep", "SERVER", "confirm the push that waits", NULL, 1, 1, CHANGE, NULL, NULL, cmd_keep },
	{ "undo", "SERVER", "put the files before the last push back, with proof", NULL, 1, 1, CHANGE, undo_options, NULL, cmd_undo },
	{ "status", "[SERVER]...", "generation in force, push in progress", NULL, 0, 1000, STORE, many_options, NULL, cmd_status },
	{ "drift", "[SERVER]...", "status 1 when found differs from wanted", "Reads the hosts and compares field by field; lines and files of\n"
	  "mxseal that were edited by hand are told with their difference. Ways out of what was\nchanged there: --take makes it what is "
	  "wanted, --leave lets it be until it changes again\n(--unleave takes that back), a push puts it back. FIELD is as listed (outbound.tls, "
	  "smtp/outbound.tls), or all.", 0, 1000, STORE, drift_options, NULL, cmd_drift },
	{ "queue messages", "SERVER", "single messages", NULL, 1, 1, STORE, messages_options, NULL, cmd_queue_messages },
	{ "queue hold", "SERVER [ID...]", "keep messages back", NULL, 1, 100000, CHANGE, group_options, NULL, cmd_queue_hold },
	{ "queue release", "SERVER [ID...]", "let held messages go", NULL, 1, 100000, CHANGE, group_options, NULL, cmd_queue_release },
	{ "queue retry", "SERVER [ID...]", "try now", NULL, 1, 100000, CHANGE, group_options, NULL, cmd_queue_retry },
	{ "queue delete", "SERVER [ID...]", "delete messages for good", NULL, 1, 100000, CHANGE, delete_options, NULL, cmd_queue_delete },
	{ "queue", "[SERVER]...", "what waits, grouped, and why", NULL, 0, 1000, 0, queue_options, NULL, cmd_queue },
	{ "classify", "[FILE]", "failure classes of log lines or delay reasons", NULL, 0, 1, 0, classify_options, NULL, cmd_classify },
	{ "diagnose", "SERVER DESTINATION", "why mail for a destination waits, and whose side it is", NULL, 2, 2, STORE, NULL, NULL,
	  cmd_diagnose },
	{ "probe", "TARGET[:PORT]...", "look at a destination's TLS: all its MX, and what it publishes (DANE, MTA-STS)",
	  "No mail is sent: the session ends after STARTTLS. Of one target all is told; of several a line each, or a JSON line.", 0, 100000,
	  STORE, probe_options, NULL, cmd_probe },
	{ "route", "VS [ADDRESS]...", "where mail for an address goes, how secured, and why; rows no mail can reach",
	  "Asks the host's own tables, step by step, and looks at the next hop from there. Without an address only the rows that no\n"
	  "mail can reach. ADDRESS - reads them from standard input, one a line, its sender may follow; --json: an object a line.", 1, 1000,
	  STORE, route_options, NULL, cmd_route },
	{ "check", "", "what needs attention; status 1 when something does", NULL, 0, 0, STORE, check_options, NULL, cmd_check },
	{ "watch", "[SERVER]...", "what needs attention, as it comes and goes", "Every so often each host's queue is listed, and the destinations of "
	  "work-arounds are looked at from all hosts that send for\nthem; the hosts side by side, so that one that hangs holds up no other. A line "
	  "for each event; with --json an object, its event\nnew, gone, did, or is (--once). SIGTERM and SIGINT end it; a push that runs is finished "
	  "first.", 0,
	  1000, STORE, watch_options, NULL, cmd_watch },
	{ "read-only", "[on|off]", "whether hosts may be changed from this store at all", "With on nobody who uses this store can "
	  "change a host until it is off again; what is wanted can still be edited here.", 0, 1, STORE, NULL, NULL, cmd_read_only },
	{ "history", "", "who did what, newest first", NULL, 0, 0, STORE, history_options, NULL, cmd_history },
	{ "doctor", "", "is everything here that mxseal needs?", NULL, 0, 0, STORE, NULL, NULL, cmd_doctor },
	{ "completion", "bash", "completion for the shell, on standard output", NULL, 1, 1, 0, NULL, NULL, cmd_completion },
	{ "help", "[COMMAND]", "this list, or one command", NULL, 0, 4, 0, NULL, NULL, cmd_help },
	{ NULL, NULL, NULL, NULL, 0, 0, 0, NULL, NULL, NULL }
};

/* The whole sentence and its hint; foreign words in them were cleaned where they were put in, and are once more. */
static int
report(const struct err *e)
{
	struct str s = STR_INIT;

	if (e->text[0] != '\0') {
		str_add(&s, "mxseal: ");
		clean_text(&s, e->text, strlen(e->text), false);
		str_addc(&s, '\n');
	}
	if (e->hint[0] != '\0') {
		str_add(&s, "        ");
		clean_text(&s, e->hint, strlen(e->hint), false);
		str_addc(&s, '\n');
	}
	fputs(s.s, stderr);
	str_release(&s);
	return err_exit_status(e->code);
}

int
cli_descriptor(const char *word, const char *option, int *fd, struct err *e)
{
	char *end;
	long n = strtol(word, &end, 10);

	if (word[0] < '0' || word[0] > '9' || *end != '\0' || n > INT_MAX)
		return err_set(e, RC_USAGE, "%s takes the number of a descriptor, not \"%s\"", option, clean(word));
	*fd = (int)n;
	return 0;
}

int
cli_number(const char *word, const char *option, int min, int max, int *n, struct err *e)
{
	char *end;
	long value = strtol(word, &end, 10);

	if (word[0] < '0' || word[0] > '9' || *end != '\0' || value < min || value > max)
		return err_set(e, RC_USAGE, "%s takes a number from %d to %d, not \"%s\"", option, min, max, clean(word));
	*n = (int)value;
	return 0;
}

/* The options in front of the command. Returns how many words they took, -1. */
static int
general_options(struct cli *c, int argc, char **argv, bool *help, bool *version, struct err *e)
{
	static const struct { const char *name; size_t offset; } flags[] = {
		{ "--json", offsetof(struct cli, json) }, { "--no-input", offsetof(struct cli, no_input) },
		{ "--plain", offsetof(struct cli, plain) }, { "--quiet", offsetof(struct cli, quiet) },
		{ "--read-only", offsetof(struct cli, read_only) },
	};
	size_t k;
	int i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		for (k = 0; k < sizeof(flags) / sizeof(flags[0]) && strcmp(argv[i], flags[k].name) != 0; k++)
			;
		if (k < sizeof(flags) / sizeof(flags[0]))
			*(bool *)((char *)c + flags[k].offset) = true;
		else if (strcmp(argv[i], "--help") == 0)
			*help = true;
		else if (strcmp(argv[i], "--version") == 0)
			*version = true;
		else if (strcmp(argv[i], "--store") == 0 && i + 1 < argc)
			c->store_path = argv[++i];
		else if (strcmp(argv[i], "--passphrase-fd") == 0 && i + 1 < argc) {
			if (cli_descriptor(argv[++i], "--passphrase-fd", &c->passphrase_fd, e) == -1)
				return -1;
		}
		else {
			err_set(e, RC_USAGE, "\"%s\" is not an option that stands in front of a command", clean(argv[i]));
			return err_hint(e, "--store FILE, --json, --no-input, --plain, --quiet, --read-only, --passphrase-fd N");
		}
	}
	return i;
}

/* What changes a host is refused at once while read-only; what does not say that it would, never gets to one. */
static int
intent(struct cli *c, const struct cli_command *cmd, const struct args *a, struct err *e)
{
	bool alone = (cmd->flags & SHOWS_ALONE) && a->n == 0;
	bool change = ((cmd->flags & CHANGES_HOST) && !alone) || args_has(a, "use") || args_has(a, "renew") || args_has(a, "retire");

	(void)journey_intend(c->j, change);
	return change ? may_change(c->j, e) : 0;
}

static int
run(struct cli *c, const struct cli_command *cmd, char **argv, int argc, struct err *e)
{
	struct args a = { NULL, 0, NULL, 0 };
	struct str text = STR_INIT;
	bool help;
	int rc = args_parse(cmd, argv, argc, &a, &help, e);

	if (rc == 0 && help) {
		command_help(cmd, &text);
		fputs(text.s, stdout);
	} else if (rc == 0) {
		if (cmd->flags & NEEDS_STORE)
			rc = cli_open(c, e);
		if (rc == 0 && c->j != NULL)
			rc = intent(c, cmd, &a, e);
		if (rc == 0)
			rc = cmd->run(c, &a, e);
	}
	str_release(&text);
	args_release(&a);
	return rc;
}

int
cli_open(struct cli *c, struct err *e)
{
	if (c->j != NULL)
		return 0;
	if (journey_open(&c->j, c->store_path, e) == -1)
		return -1;
	jobq_on_progress(journey_jobs(c->j), cli_progress, c);
	(void)journey_intend(c->j, false);
	if (c->read_only)
		journey_stay_read_only(c->j);
	return 0;
}

int
command_main(int argc, char **argv)
{
	struct cli c = { .passphrase_fd = -1 };
	struct err e = { .code = RC_OK };
	const struct cli_command *cmd;
	struct str text = STR_INIT;
	bool help = false, version = false;
	int at, used, rc = 0;

	setlocale(LC_CTYPE, "");
	secret_process_guard();
	(void)log_open(NULL, NULL);
	at = general_options(&c, argc, argv, &help, &version, &e);
	if (at == -1)
		rc = -1;
	else if (version)
		puts(program_version);
	else if (help || at == argc) {
		commands_help(&text);
		fputs(text.s, stdout);
	} else {
		cmd = command_find(argv + at, argc - at, &used, &e);
		rc = cmd == NULL ? -1 : run(&c, cmd, argv + at + used, argc - at - used, &e);
	}
	str_release(&text);
	if (fflush(stdout) != 0 && rc == 0)
		rc = err_set(&e, RC_IO, "standard output could not be written");
	journey_close(c.j);
	log_close();
	return rc == 0 ? 0 : report(&e);
}
