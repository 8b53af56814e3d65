/* THE TABLE of settings: one row for each thing that can be wanted of a virtual server, with the words people see.
 * Dialogs, `vs set`, its help and the drivers' maps are made from these rows; what a row means to a mail system stands
 * in that mail system's map. Order is the order on the screen. */
#include "mxseal/setting.h"

static const struct choice secure_channel[] = {
	{ "off", "Off", "STARTTLS is not offered; everything comes in clear text." },
	{ "offer", "Offer secure channel", "STARTTLS is offered; who cannot do TLS still delivers in clear text. Right for mail from "
	    "the Internet." },
	{ "require", "Require secure channel", "Who cannot do TLS cannot deliver. For submission and partner links; never for a "
	    "public port 25 (RFC 3207, section 4)." },
	{ NULL, NULL, NULL }
};

static const struct choice protocols[] = {
	{ "tls1.0", "TLS 1.0", "Also very old peers. Broken by today's measure (RFC 8996), still better than clear text." },
	{ "tls1.1", "TLS 1.1", "As TLS 1.0: withdrawn by RFC 8996." },
	{ "tls1.2", "TLS 1.2", "What nearly every peer speaks." },
	{ "tls1.3", "TLS 1.3", "Only current software; many mail hosts cannot." },
	{ NULL, NULL, NULL }
};

static const struct choice strengths[] = {
	{ "medium", "128 bit or more", "Every cipher of 128 bit or more." },
	{ "high", "Strong ciphers only", "A shorter list; peers with old software may fail." },
	{ NULL, NULL, NULL }
};

static const struct choice client_certificates[] = {
	{ "none", "Do not ask", "Clients are not asked for a certificate." },
	{ "ask", "Ask", "Clients are asked; a client without one may still deliver." },
	{ "require", "Require", "Only clients with a certificate that verifies; takes effect where a secure channel is required." },
	{ NULL, NULL, NULL }
};

const struct choice tls_level_choices[] = {
	{ "none", "No TLS", "Never TLS, even when the destination offers it." },
	{ "may", "When offered", "TLS when the destination offers it, clear text otherwise (opportunistic)." },
	{ "encrypt", "TLS encryption", "Always TLS, with any certificate. Mail to destinations without TLS waits and is returned in "
	    "the end." },
	{ "verify", "TLS, verified", "The certificate must be trusted and carry the name of the destination's mail host." },
	{ "secure", "TLS, verified for the domain", "The certificate must be trusted and carry the name of the domain itself or of "
	    "a host in it; DNS need not be trusted." },
	{ "dane", "DANE, else when offered", "Verified by TLSA records where they exist (RFC 7672), otherwise as \"when offered\"." },
	{ "dane-only", "DANE only", "Only destinations with usable TLSA records; all other mail waits." },
	{ NULL, NULL, NULL }
};

static const struct choice log_depths[] = {
	{ "none", "Nothing", "TLS leaves no trace in the log: diagnosis has little to go by." },
	{ "summary", "One line per session", "Protocol, cipher and whether the peer was verified. Right for daily use." },
	{ "detail", "With negotiation", "Also what happens during the handshake; many lines." },
	{ NULL, NULL, NULL }
};

#define DAY 86400L
#define MB (1024L * 1024)

#define CLIENTS "clients that connect to it"
#define SENDERS "all mail that leaves by it"
#define HOST "all mail of the host"

const struct setting setting_table[] = {
	/* --- General --- */
	{ .name = "inbound.name", .tab = "General", .label = "Name said to clients", .kind = SETTING_NAME, .affects = CLIENTS,
	  .help = "The name in the greeting and in the answer to EHLO. The certificate should carry it. Unset: the host's own name." },
	{ .name = "inbound.connections", .tab = "General", .label = "Limit connections to", .kind = SETTING_NUMBER, .min = 1,
	  .max = 100000, .unit = "connections", .initial = "100", .affects = CLIENTS,
	  .help = "How many clients are served at a time. Who comes beyond that waits until one leaves." },
	{ .name = "inbound.connections-per-client", .tab = "General", .label = "... of one client", .kind = SETTING_NUMBER,
	  .min = 0, .max = 100000, .unit = "connections", .initial = "50", .affects = "clients outside of the relay networks",
	  .help = "How many connections one client may have at a time; one more is answered 421. 0: no limit. Clients of the relay "
	  "networks are not counted." },
	{ .name = "inbound.timeout", .tab = "General", .label = "Connection time-out", .kind = SETTING_TIME, .min = 1, .max = DAY,
	  .initial = "5m", .affects = CLIENTS,
	  .help = "A client that says nothing for so long is hung up on. RFC 5321 asks for five minutes." },
	{ .name = "log.tls", .tab = "General", .label = "TLS in the log", .kind = SETTING_CHOICE, .choices = log_depths,
	  .initial = "none", .affects = "nobody: only the log",
	  .help = "How much the mail log says about TLS. \"summary\" is what diagnosis and rehearsals live on." },
	{ .name = "log.format", .tab = "General", .label = "Active log format", .kind = SETTING_NAME,
	  .help = "The format of the log of connections." },

	/* --- Access --- */
	{ .name = "inbound.anonymous", .tab = "Access", .label = "Anonymous access", .kind = SETTING_BOOL, .initial = "yes",
	  .affects = "clients that do not log in",
	  .help = "Whether clients that do not log in may hand over mail. \"no\" on a port 25 keeps all mail from the Internet out; "
	  "it is for submission." },
	{ .name = "inbound.auth", .tab = "Access", .label = "Authentication offered", .kind = SETTING_BOOL, .initial = "no",
	  .affects = "clients that log in",
	  .help = "Whether AUTH is offered. Who checks the password (Dovecot, saslauthd) is set up on the host; without it the trial "
	  "run of a push refuses this." },
	{ .name = "inbound.auth-needs-tls", .tab = "Access", .label = "Authentication requires TLS", .kind = SETTING_BOOL,
	  .initial = "no", .affects = "clients that log in",
	  .help = "AUTH is offered only inside TLS, so that no password crosses the network in clear text." },
	{ .name = "inbound.auth-domain", .tab = "Access", .label = "Default domain", .kind = SETTING_NAME,
	  .help = "The domain that is added to a login name without one." },
	{ .name = "inbound.auth-windows", .tab = "Access", .label = "Integrated Windows auth.", .kind = SETTING_BOOL,
	  .help = "Login with the account of a Windows domain." },
	{ .name = "inbound.tls", .tab = "Access", .label = "Secure channel", .kind = SETTING_CHOICE, .choices = secure_channel,
	  .initial = "off", .warn_strict = true, .strict_from = 2, .affects = CLIENTS,
	  .help = "Whether mail that comes in is encrypted by TLS (STARTTLS). It takes a certificate." },
	{ .name = "inbound.protocol-min", .tab = "Access", .label = "Lowest protocol", .kind = SETTING_CHOICE,
	  .choices = protocols, .initial = "tls1.0", .warn_strict = true, .strict_from = 1, .affects = CLIENTS,
	  .help = "The oldest TLS version accepted from clients. Clients below it fail; at \"offer\" most of them then deliver "
	  "in clear text." },
	{ .name = "inbound.ciphers", .tab = "Access", .label = "Encryption strength", .kind = SETTING_CHOICE,
	  .choices = strengths, .initial = "medium", .affects = CLIENTS,
	  .help = "Which ciphers are accepted from clients: the old \"128-bit encryption\" box, and above." },
	{ .name = "inbound.client-cert", .tab = "Access", .label = "Client certificate", .kind = SETTING_CHOICE,
	  .choices = client_certificates, .initial = "none", .warn_strict = true, .strict_from = 2, .affects = CLIENTS,
	  .help = "Whether clients are asked for a certificate of their own." },
	{ .name = "inbound.clients.only", .tab = "Access", .label = "Only these may connect", .kind = SETTING_NETWORKS,
	  .initial = "none", .affects = CLIENTS,
	  .help = "Connection control, only the list: mail is taken from these addresses and networks and from nobody else. \"none\": "
	  "no such list." },
	{ .name = "inbound.clients.except", .tab = "Access", .label = "All but these may connect", .kind = SETTING_NETWORKS,
	  .initial = "none", .affects = CLIENTS,
	  .help = "Connection control, all except the list: nothing is taken from these. Counts before the other list." },
	{ .name = "inbound.relay.networks", .tab = "Access", .label = "These may relay", .kind = SETTING_NETWORKS,
	  .affects = "clients that send to other domains",
	  .help = "Relay restrictions: who may send to any domain without logging in. Too wide a network is an open relay." },
	{ .name = "inbound.relay.authenticated", .tab = "Access", .label = "Who logs in may relay", .kind = SETTING_BOOL,
	  .initial = "yes", .affects = "clients that log in",
	  .help = "Allow all computers which successfully authenticate to relay, regardless of the list above." },
	{ .name = "inbound.reverse-lookup", .tab = "Access", .label = "Reverse DNS lookup", .kind = SETTING_BOOL,
	  .initial = "yes", .affects = "the log, the Received line, and rules that name clients",
	  .help = "Whether the name of each client's address is looked up. Without it every client is called \"unknown\"." },

	/* --- Messages --- */
	{ .name = "inbound.message-size", .tab = "Messages", .label = "Limit message size to", .kind = SETTING_SIZE,
	  .min = 1024, .max = 1024 * MB, .initial = "10000K", .affects = "senders of large messages",
	  .help = "Larger messages are refused; the limit is said in EHLO. Attachments grow by a third on the way. 0: no limit." },
	{ .name = "inbound.session-size", .tab = "Messages", .label = "Limit session size to", .kind = SETTING_SIZE, .max = 1024 * MB,
	  .help = "How many bytes one connection may bring." },
	{ .name = "outbound.messages-per-connection", .tab = "Messages", .label = "Messages per connection", .kind = SETTING_NUMBER,
	  .min = 0, .max = 1000000, .initial = "0", .affects = SENDERS,
	  .help = "After so many messages over one connection that is kept open, a new one is made. 0: no limit." },
	{ .name = "inbound.recipients", .tab = "Messages", .label = "Recipients per message", .kind = SETTING_NUMBER, .min = 1,
	  .max = 1000000, .initial = "1000", .affects = "senders to long lists",
	  .help = "Recipients beyond are answered 452: the sender brings them in another message. RFC 5321 asks for at least 100." },
	{ .name = "notices.copy-to", .tab = "Messages", .label = "Copy of notices to", .kind = SETTING_MAIL, .initial = "none",
	  .affects = "who gets the copies",
	  .help = "Send copy of Non-Delivery Report to: an address that gets a copy, without the body, of every message returned to its "
	  "sender." },
	{ .name = "notices.badmail", .tab = "Messages", .label = "Badmail directory", .kind = SETTING_NAME,
	  .help = "Where notices go that cannot be delivered." },
	{ .name = "inbound.unknown-recipients", .tab = "Messages", .label = "Unresolved recipients to", .kind = SETTING_HOST,
	  .initial = "none", .affects = "mail to local addresses that do not exist here",
	  .help = "Forward all mail with unresolved recipients to host: what no local user or alias takes goes on to it. Unknown addresses "
	  "are then no longer refused here; what that host refuses is returned to the sender." },

	/* --- Delivery --- */
	{ .name = "outbound.retry.first", .tab = "Delivery", .label = "First retry interval", .kind = SETTING_TIME, .min = 1,
	  .max = 30 * DAY, .initial = "5m", .affects = HOST,
	  .help = "How long a message waits after its first failure; the wait doubles with each further one." },
	{ .name = "outbound.retry.second", .tab = "Delivery", .label = "Second and third interval", .kind = SETTING_TIME, .min = 1,
	  .help = "Waits after the second and the third failure." },
	{ .name = "outbound.retry.max", .tab = "Delivery", .label = "Longest retry interval", .kind = SETTING_TIME, .min = 1,
	  .max = 30 * DAY, .initial = "4000s", .affects = HOST,
	  .help = "The wait between attempts never grows beyond this." },
	{ .name = "outbound.notify-after", .tab = "Delivery", .label = "Delay notification", .kind = SETTING_TIME, .min = 0,
	  .max = 100 * DAY, .initial = "0s", .affects = "senders of mail that waits",
	  .help = "After this time in the queue the sender is told that the message is late. 0s: never." },
	{ .name = "outbound.expire-after", .tab = "Delivery", .label = "Expiration timeout", .kind = SETTING_TIME, .min = 0,
	  .max = 100 * DAY, .initial = "5d", .affects = "senders of mail that waits",
	  .help = "After this time in the queue a message is returned to its sender." },
	{ .name = "notices.expire-after", .tab = "Delivery", .label = "Expiration of notices", .kind = SETTING_TIME, .min = 0,
	  .max = 100 * DAY, .initial = "5d", .affects = "senders of mail that was returned",
	  .help = "A notice that cannot be delivered is given up after this time." },
	{ .name = "local.expire-after", .tab = "Delivery", .label = "Local delay and expiration", .kind = SETTING_TIME,
	  .help = "The same two times for mail of local users." },
	{ .name = "outbound.tls", .tab = "Delivery", .label = "Outbound security", .kind = SETTING_CHOICE,
	  .choices = tls_level_choices, .initial = "none", .warn_strict = true, .strict_from = 2, .lax = "dane", .affects = SENDERS,
	  .help = "TLS for all mail that leaves and that no connector says otherwise about. From \"TLS encryption\" on, mail to "
	  "destinations that cannot do it waits in the queue and is returned in the end: better set that on a connector." },
	{ .name = "outbound.protocol-min", .tab = "Delivery", .label = "Lowest protocol", .kind = SETTING_CHOICE,
	  .choices = protocols, .initial = "tls1.0", .affects = SENDERS,
	  .help = "The oldest TLS version used when sending." },
	{ .name = "outbound.ciphers", .tab = "Delivery", .label = "Encryption strength", .kind = SETTING_CHOICE,
	  .choices = strengths, .initial = "medium", .affects = SENDERS,
	  .help = "Which ciphers are used when sending." },
	{ .name = "outbound.auth", .tab = "Delivery", .label = "Outbound authentication", .kind = SETTING_NAME,
	  .help = "User and password for all mail that leaves." },
	{ .name = "outbound.connections", .tab = "Delivery", .label = "Limit connections to", .kind = SETTING_NUMBER, .min = 1,
	  .max = 100000, .unit = "connections", .initial = "100", .affects = SENDERS,
	  .help = "How many connections to other hosts there are at a time." },
	{ .name = "outbound.timeout.connect", .tab = "Delivery", .label = "Time-out to connect", .kind = SETTING_TIME, .min = 1,
	  .max = DAY, .initial = "30s", .affects = SENDERS,
	  .help = "How long a host may take to accept the connection." },
	{ .name = "outbound.timeout", .tab = "Delivery", .label = "Time-out", .kind = SETTING_TIME, .min = 1, .max = DAY,
	  .initial = "5m", .affects = SENDERS,
	  .help = "How long a host may take for its greeting, and for its answers to EHLO, MAIL and RCPT." },
	{ .name = "outbound.connections-per-domain", .tab = "Delivery", .label = "Connections per domain", .kind = SETTING_NUMBER,
	  .min = 1, .max = 100000, .unit = "connections", .initial = "20", .affects = SENDERS,
	  .help = "How many connections to one destination there are at a time." },
	{ .name = "outbound.port", .tab = "Delivery", .label = "TCP port", .kind = SETTING_NUMBER, .min = 1, .max = 65535,
	  .initial = "25", .affects = SENDERS,
	  .help = "The port of other hosts that is connected to, where no route names one. Other than 25 only behind a smart host or "
	  "a filter." },
	{ .name = "outbound.hop-count", .tab = "Delivery", .label = "Maximum hop count", .kind = SETTING_NUMBER, .min = 1,
	  .max = 1000, .initial = "50", .affects = HOST,
	  .help = "A message with more Received lines goes in circles and is returned." },
	{ .name = "outbound.masquerade", .tab = "Delivery", .label = "Masquerade domain", .kind = SETTING_DOMAINS,
	  .initial = "none", .affects = HOST,
	  .help = "Senders at hosts in this domain lose the host: user@host.example.com becomes user@example.com, in the envelope and "
	  "in the headers." },
	{ .name = "outbound.helo-name", .tab = "Delivery", .label = "Fully-qualified domain name", .kind = SETTING_NAME,
	  .affects = SENDERS,
	  .help = "The name said in EHLO when sending. It should resolve to this host's address. Unset: the host's own name." },
	{ .name = "outbound.helo-only", .tab = "Delivery", .label = "HELO instead of EHLO", .kind = SETTING_BOOL, .initial = "no",
	  .affects = SENDERS,
	  .help = "Never says EHLO, for hosts that choke on it. Without EHLO there is no TLS: it does not go together with outbound "
	  "security." },
	{ .name = "outbound.smart-host", .tab = "Delivery", .label = "Smart host", .kind = SETTING_HOST, .initial = "none",
	  .affects = HOST,
	  .help = "The host that takes all mail that no connector routes. A plain name is looked up as a mail domain (MX); in "
	  "[brackets] it is that very host. \"none\" delivers by DNS." },
	{ .name = "outbound.fallback-host", .tab = "Delivery", .label = "Direct first, else by", .kind = SETTING_HOST,
	  .initial = "none", .affects = "mail whose destination cannot be reached",
	  .help = "Attempt direct delivery before sending to smart host: this one takes what its own destination does not take now. "
	  "Leave \"Smart host\" at none for that." },
	{ .name = "outbound.dns-servers", .tab = "Delivery", .label = "External DNS servers", .kind = SETTING_NETWORKS,
	  .help = "Name servers for names of the Internet." },
	{ .name = NULL }
};
