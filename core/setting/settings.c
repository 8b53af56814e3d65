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

const struct setting setting_table[] = {
	{ .name = "inbound.tls", .tab = "Access", .label = "Secure channel", .kind = SETTING_CHOICE, .choices = secure_channel,
	  .initial = "off", .warn_strict = true,
	  .help = "Whether mail that comes in is encrypted by TLS (STARTTLS). It takes a certificate." },
	{ .name = "inbound.protocol-min", .tab = "Access", .label = "Lowest protocol", .kind = SETTING_CHOICE,
	  .choices = protocols, .initial = "tls1.0",
	  .help = "The oldest TLS version accepted from clients. Clients below it fail; at \"offer\" most of them then deliver "
	  "in clear text." },
	{ .name = "inbound.ciphers", .tab = "Access", .label = "Encryption strength", .kind = SETTING_CHOICE,
	  .choices = strengths, .initial = "medium",
	  .help = "Which ciphers are accepted from clients: the old \"128-bit encryption\" box, and above." },
	{ .name = "inbound.auth-needs-tls", .tab = "Access", .label = "Authentication requires TLS", .kind = SETTING_BOOL,
	  .initial = "no",
	  .help = "AUTH is offered only inside TLS, so that no password crosses the network in clear text." },
	{ .name = "inbound.client-cert", .tab = "Access", .label = "Client certificate", .kind = SETTING_CHOICE,
	  .choices = client_certificates, .initial = "none", .warn_strict = true,
	  .help = "Whether clients are asked for a certificate of their own." },
	{ .name = "outbound.tls", .tab = "Delivery", .label = "Outbound security", .kind = SETTING_CHOICE,
	  .choices = tls_level_choices, .initial = "none", .warn_strict = true,
	  .help = "TLS for all mail that leaves and that no connector says otherwise about. From \"TLS encryption\" on, mail to "
	  "destinations that cannot do it waits in the queue and is returned in the end: better set that on a connector." },
	{ .name = "outbound.protocol-min", .tab = "Delivery", .label = "Lowest protocol", .kind = SETTING_CHOICE,
	  .choices = protocols, .initial = "tls1.0",
	  .help = "The oldest TLS version used when sending." },
	{ .name = "outbound.ciphers", .tab = "Delivery", .label = "Encryption strength", .kind = SETTING_CHOICE,
	  .choices = strengths, .initial = "medium",
	  .help = "Which ciphers are used when sending." },
	{ .name = "outbound.smart-host", .tab = "Delivery", .label = "Smart host", .kind = SETTING_HOST, .initial = "none",
	  .help = "The host that takes all mail that no connector routes. A plain name is looked up as a mail domain (MX); in "
	  "[brackets] it is that very host. \"none\" delivers by DNS." },
	{ .name = "outbound.helo-name", .tab = "Delivery", .label = "Fully-qualified domain name", .kind = SETTING_NAME,
	  .help = "The name said in EHLO when sending. It should resolve to this host's address. Unset: the host's own name." },
	{ .name = "outbound.retry.first", .tab = "Delivery", .label = "First retry interval", .kind = SETTING_TIME, .min = 1,
	  .max = 30 * DAY, .initial = "5m",
	  .help = "How long a message waits after its first failure; the wait doubles with each further one." },
	{ .name = "outbound.retry.max", .tab = "Delivery", .label = "Longest retry interval", .kind = SETTING_TIME, .min = 1,
	  .max = 30 * DAY, .initial = "4000s",
	  .help = "The wait between attempts never grows beyond this." },
	{ .name = "outbound.expire-after", .tab = "Delivery", .label = "Expiration timeout", .kind = SETTING_TIME, .min = 0,
	  .max = 100 * DAY, .initial = "5d",
	  .help = "After this time in the queue a message is returned to its sender." },
	{ .name = "outbound.notify-after", .tab = "Delivery", .label = "Delay notification", .kind = SETTING_TIME, .min = 0,
	  .max = 100 * DAY, .initial = "0s",
	  .help = "After this time in the queue the sender is told that the message is late. 0s: never." },
	{ .name = "log.tls", .tab = "General", .label = "TLS in the log", .kind = SETTING_CHOICE, .choices = log_depths,
	  .initial = "none",
	  .help = "How much the mail log says about TLS. \"summary\" is what diagnosis and rehearsals live on." },
	{ .name = NULL }
};
