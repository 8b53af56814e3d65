/* THE TABLE of failure classes: what a class means, whose work it is and what to do about it. Nothing here can fail; which
 * class a text has is decided in patterns.c. A new class is one row here and its wordings there. */
#include <string.h>

#include "mxseal/failure.h"
#include "mxseal/str.h"

#define CERT_CLASSES "cert-expired,cert-not-yet-valid,cert-name-mismatch,self-signed,cert-untrusted,cert-revoked,cert-weak"
#define HANDSHAKE_CLASSES \
	"protocol-version,cipher-mismatch,client-cert-required,peer-rejected-our-cert,wrapper-mismatch," \
	"lost-connection-after-starttls,timeout-in-handshake"

const struct failure failure_table[] = {
	/* --- the other side offers TLS badly or not at all --- */
	{ .name = "tls-not-offered", .tls = true, .side = SIDE_THEIRS,
	    .title = "The other side offers no TLS",
	    .explain = "Mail for this destination must be encrypted, but its mail server does not announce STARTTLS.",
	    .look = "Look at it from the mail host and from here: when only the host sees no STARTTLS, a device on the "
	    "path removes it.",
	    .advice = "Ask their postmaster, or let mail for this destination leave without TLS for a while.",
	    .refine = "starttls-refused",
	    .probes = "starttls,vantage", .remedies = "wait,workaround,lower,complain,hold" },
	{ .name = "starttls-refused", .tls = true, .side = SIDE_THEIRS,
	    .title = "The other side refuses to start TLS",
	    .explain = "Their server announces STARTTLS but answers it with an error: its certificate or key is broken.",
	    .advice = "Tell their postmaster. Until it is repaired, let mail for this destination leave without TLS if its "
	    "content permits.",
	    .probes = "starttls,vantage", .remedies = "wait,workaround,lower,complain,hold" },
	{ .name = "handshake-failed", .tls = true, .side = SIDE_THEIRS,
	    .title = "The TLS handshake fails",
	    .explain = "Both sides began TLS and could not agree. The text does not say about what.",
	    .look = "Look at the destination from the mail host: protocol version, cipher, certificate and lost "
	    "connections become visible there.",
	    .advice = "Tell their postmaster what was seen.",
	    .refine = HANDSHAKE_CLASSES,
	    .probes = "handshake,versions,vantage", .remedies = "wait,workaround,lower,complain,hold" },
	{ .name = "lost-connection-after-starttls", .tls = true, .side = SIDE_THEIRS,
	    .title = "The connection is cut during the handshake",
	    .explain = "The connection ends after STARTTLS and before TLS is up: a TLS service that crashes, or a device "
	    "on the path that cuts what it cannot read. Postfix never falls back to plain text here.",
	    .look = "Look at it from here as well: when it works from here, the path from the mail host is to blame.",
	    .advice = "Tell their postmaster, or let mail for this destination leave without TLS for a while.",
	    .probes = "handshake,versions,vantage", .remedies = "wait,workaround,lower,complain,hold" },
	{ .name = "timeout-in-handshake", .tls = true, .side = SIDE_PATH,
	    .title = "The TLS handshake hangs",
	    .explain = "After STARTTLS nothing comes back in time: packets that are too large for the path, a device that "
	    "inspects TLS, or a server that is stuck.",
	    .look = "Look at it from here as well.",
	    .advice = "When only the mail host sees it, search for a firewall that inspects TLS and for a blocked path MTU "
	    "discovery.",
	    .probes = "handshake,versions,vantage", .remedies = "wait,workaround,lower,complain,hold" },
	{ .name = "protocol-version", .tls = true, .side = SIDE_THEIRS,
	    .title = "No common TLS version",
	    .explain = "One side speaks only TLS versions that the other refuses.",
	    .advice = "Ask them for TLS 1.2. For a while, a connector may allow an older version for this destination "
	    "alone.",
	    .probes = "handshake,versions", .remedies = "wait,workaround,lower,complain,hold" },
	{ .name = "cipher-mismatch", .tls = true, .side = SIDE_THEIRS,
	    .title = "No common cipher",
	    .explain = "The two sides share no cipher, signature or key exchange.",
	    .advice = "Compare the cipher grade set for this destination with what they offer, and ask them for current "
	    "ciphers.",
	    .probes = "handshake,versions", .remedies = "wait,workaround,lower,complain,hold" },
	{ .name = "wrapper-mismatch", .tls = true, .side = SIDE_OURS,
	    .title = "Plain text meets TLS from the first byte",
	    .explain = "One side speaks TLS at once, the other waits for STARTTLS: usually the wrong port for the wrong "
	    "kind of TLS.",
	    .advice = "For port 465 turn on TLS from the first byte; for 25 and 587 use STARTTLS.",
	    .refine = "handshake-failed",
	    .probes = "handshake,starttls", .remedies = "repair,workaround,hold" },

	/* --- certificates --- */
	{ .name = "cert-untrusted", .tls = true, .side = SIDE_THEIRS,
	    .title = "Their certificate's issuer is unknown",
	    .explain = "The chain does not lead to an authority that the mail host trusts: an intermediate certificate is "
	    "missing on their side, or the authority is missing on ours.",
	    .advice = "Compare the chain they send with the roots of the mail host. Add their authority for this "
	    "destination, or do not demand a verified certificate.",
	    .refine = "dane-mismatch",
	    .probes = "chain,trust-store,vantage", .remedies = "lower,repair,workaround,complain,wait,hold" },
	{ .name = "self-signed", .tls = true, .side = SIDE_THEIRS,
	    .title = "Their certificate is self-signed",
	    .explain = "The certificate was signed by nobody but itself, so it proves no name.",
	    .advice = "Encrypt without verifying for this destination, or pin this certificate's fingerprint.",
	    .probes = "chain,dane", .remedies = "lower,workaround,complain,wait,hold" },
	{ .name = "cert-expired", .tls = true, .side = SIDE_THEIRS,
	    .title = "Their certificate has expired",
	    .explain = "The certificate's last day is over. It blocks only where a verified certificate is demanded.",
	    .advice = "Tell their postmaster. Until it is renewed, encrypt without verifying for this destination.",
	    .probes = "dates,clock", .remedies = "wait,lower,workaround,complain,hold" },
	{ .name = "cert-not-yet-valid", .tls = true, .side = SIDE_THEIRS,
	    .title = "Their certificate is not valid yet",
	    .explain = "The certificate's first day is in the future, or a clock is wrong.",
	    .advice = "Check the clock of the mail host first, then tell their postmaster.",
	    .probes = "dates,clock", .remedies = "wait,repair,lower,workaround,complain,hold" },
	{ .name = "cert-name-mismatch", .tls = true, .side = SIDE_THEIRS,
	    .title = "Their certificate is for another name",
	    .explain = "The certificate is good, but the name that was asked for is not in it.",
	    .advice = "See which names it has: if one of them is theirs, name it in the connector's outbound security; "
	    "else tell their postmaster.",
	    .probes = "name,mx,vantage", .remedies = "lower,repair,workaround,complain,wait,hold" },
	{ .name = "cert-revoked", .tls = true, .side = SIDE_THEIRS,
	    .title = "Their certificate is revoked",
	    .explain = "Its authority has withdrawn the certificate.",
	    .advice = "Do not trust it. Tell their postmaster over another way.",
	    .probes = "chain", .remedies = "hold,complain,wait" },
	{ .name = "cert-weak", .tls = true, .side = SIDE_THEIRS,
	    .title = "Their certificate or key is too weak",
	    .explain = "A key or a signature in their chain is below what we accept.",
	    .advice = "Ask them for a certificate with at least 2048 bits RSA or P-256 and SHA-256.",
	    .probes = "chain", .remedies = "lower,workaround,complain,wait,hold" },
	{ .name = "ocsp-missing", .tls = true, .side = SIDE_THEIRS,
	    .title = "No proof that their certificate is not revoked",
	    .explain = "The certificate demands a stapled status and their server sends none that is valid.",
	    .advice = "Tell their postmaster, or do not demand the status for this destination.",
	    .probes = "chain", .remedies = "lower,complain,wait,hold" },
	{ .name = "cert-not-verified", .tls = true, .side = SIDE_THEIRS,
	    .title = "Their certificate is not accepted",
	    .explain = "A verified certificate is demanded and theirs failed. Why is in other log lines, or seen by a look "
	    "at the destination.",
	    .look = "Look at the destination: expired, wrong name, self-signed and unknown issuer are told apart there.",
	    .advice = "Encrypt without verifying for this destination until it is known.",
	    .refine = CERT_CLASSES ",dane-mismatch,ocsp-missing",
	    .probes = "log,chain,dates,name,trust-store,clock", .remedies = "wait,lower,repair,workaround,complain,hold" },
	{ .name = "client-cert-required", .tls = true, .side = SIDE_OURS,
	    .title = "The other side wants our certificate",
	    .explain = "Their server demands a client certificate and we present none.",
	    .advice = "Give the sending virtual server a client certificate that they accept.",
	    .probes = "handshake,versions", .remedies = "repair,workaround,complain,hold" },
	{ .name = "peer-rejected-our-cert", .tls = true, .side = SIDE_OURS,
	    .title = "The other side rejects our certificate",
	    .explain = "Their side ended TLS with an alert about our certificate: chain incomplete, expired, or unknown "
	    "issuer.",
	    .advice = "Check certificate and chain of the virtual server concerned.",
	    .probes = "handshake", .remedies = "repair,hold" },

	/* --- DANE and MTA-STS --- */
	{ .name = "dane-no-tlsa", .tls = true, .side = SIDE_THEIRS,
	    .title = "No usable TLSA records",
	    .explain = "DANE is demanded, but the destination publishes no TLSA records, unusable ones, or none that are "
	    "signed.",
	    .advice = "Demand DANE only of destinations that publish it, else use \"dane\".",
	    .probes = "dane,resolver", .remedies = "lower,wait,complain,hold" },
	{ .name = "dane-mismatch", .tls = true, .side = SIDE_THEIRS,
	    .title = "The certificate does not match the TLSA records",
	    .explain = "Their DNS pins another certificate or key than their server presents: often a renewal that forgot "
	    "DNS.",
	    .advice = "Tell their postmaster. Do not work around it lightly: it is also what an attack looks like.",
	    .probes = "dane,chain", .remedies = "hold,complain,wait" },
	{ .name = "dane-lookup-error", .tls = true, .side = SIDE_THEIRS,
	    .title = "The TLSA lookup fails",
	    .explain = "The signed answer about their TLSA records cannot be had: their name servers or our resolver fail, "
	    "or DNSSEC is broken.",
	    .advice = "Ask for the TLSA records from the mail host's resolver and from another one.",
	    .probes = "dane,resolver,clock", .remedies = "wait,repair,lower,complain,hold" },
	{ .name = "sts-mx-mismatch", .tls = true, .side = SIDE_THEIRS,
	    .title = "The mail server is not in their MTA-STS policy",
	    .explain = "Their policy lists other mail servers than their MX records.",
	    .advice = "Tell their postmaster: policy and MX records must agree.",
	    .probes = "sts,mx", .remedies = "wait,complain,lower,hold" },
	{ .name = "sts-policy-fetch", .tls = true, .side = SIDE_THEIRS,
	    .title = "Their MTA-STS policy cannot be fetched",
	    .explain = "DNS announces a policy, but its web server does not deliver it.",
	    .advice = "Open https://mta-sts.DOMAIN/.well-known/mta-sts.txt from the mail host.",
	    .probes = "sts", .remedies = "wait,complain,lower,hold" },

	/* --- ours --- */
	{ .name = "remote-requires-tls", .tls = true, .side = SIDE_OURS,
	    .title = "The other side insists on TLS",
	    .explain = "We spoke plain text (or not the TLS they want), and their server takes no mail that way.",
	    .advice = "Turn outbound TLS on for this destination, at least \"may\".",
	    .probes = "starttls", .remedies = "repair,lower,hold" },
	{ .name = "local-policy-problem", .tls = true, .side = SIDE_OURS,
	    .title = "Our own TLS policy is wrong",
	    .explain = "A setting or a row of a TLS policy table on the mail host cannot be used, so nothing is sent.",
	    .advice = "Read the warning that precedes it in the log, and repair that row.",
	    .probes = "log", .remedies = "repair,hold" },
	{ .name = "local-key-problem", .tls = true, .side = SIDE_OURS,
	    .title = "Our own certificate or key cannot be used",
	    .explain = "The mail host could not load its certificate, its key or its trusted authorities: TLS is off.",
	    .advice = "Check that key and certificate belong together, and that they and the trusted authorities can be read; then push again.",
	    .probes = "log", .remedies = "repair,hold" },

	/* --- not failures --- */
	{ .name = "tls-ok", .tls = true, .side = SIDE_NONE,
	    .title = "TLS works", .explain = "A TLS session was established.", .advice = "Nothing to do." },
	{ .name = "tls-benign", .tls = true, .side = SIDE_NONE,
	    .title = "A harmless line about TLS", .explain = "It mentions TLS and stopped no mail.",
	    .advice = "Nothing to do." },
	{ .name = "sent", .side = SIDE_NONE,
	    .title = "Delivered", .explain = "The next server took the message.", .advice = "Nothing to do." },
	{ .name = "sent-plain", .side = SIDE_NONE,
	    .title = "Delivered without TLS", .explain = "The message left in plain text.",
	    .advice = "If the destination can do TLS, turn it on for it." },
	{ .name = "sent-plain-after-tls-failure", .tls = true, .side = SIDE_THEIRS,
	    .title = "Delivered without TLS after TLS failed",
	    .explain = "TLS was tried, failed, and the message then left in plain text.",
	    .look = "Look at the destination: what failed is the same as for any other TLS failure.",
	    .advice = "Tell their postmaster what was seen.",
	    .refine = HANDSHAKE_CLASSES,
	    .probes = "handshake,versions,vantage", .remedies = "complain" },

	/* --- causes that have nothing to do with TLS --- */
	{ .name = "connect-refused", .side = SIDE_THEIRS,
	    .title = "The connection is refused", .explain = "Nothing listens on that port, or a firewall says so.",
	    .look = "Look from here as well.",
	    .advice = "Refused for the mail host only means that it is blocked; else their server is down.",
	    .probes = "connect,vantage", .remedies = "wait,complain,hold" },
	{ .name = "connect-timeout", .side = SIDE_PATH,
	    .title = "No answer to the connection",
	    .explain = "Packets vanish, or the server accepts and says nothing.",
	    .advice = "When all destinations time out, port 25 is blocked on our side.",
	    .refine = "wrapper-mismatch",
	    .probes = "connect,vantage", .remedies = "wait,complain,hold" },
	{ .name = "network-unreachable", .side = SIDE_PATH,
	    .title = "The network is out of reach", .explain = "There is no route to that address.",
	    .advice = "Often IPv6 without an IPv6 network; else look at the mail host's routes.",
	    .probes = "connect,vantage", .remedies = "wait,repair,hold" },
	{ .name = "dns", .side = SIDE_THEIRS,
	    .title = "DNS gives no answer", .explain = "Name, MX or address of the destination cannot be looked up.",
	    .advice = "Ask the mail host's resolver and another one for the MX of the destination.",
	    .probes = "mx,resolver,vantage", .remedies = "wait,repair,complain,hold" },
	{ .name = "greylist", .side = SIDE_THEIRS,
	    .title = "Greylisted", .explain = "First contact is deferred on purpose; the next attempt usually passes.",
	    .advice = "Wait.",
	    .probes = "starttls", .remedies = "wait" },
	{ .name = "rate-limit", .side = SIDE_THEIRS,
	    .title = "Too much mail in too short a time", .explain = "The other side limits how much it takes from us.",
	    .advice = "Send slower, and look for what sends so much.",
	    .probes = "connect", .remedies = "wait,hold,complain" },
	{ .name = "sender-rejected", .side = SIDE_OURS,
	    .title = "The sender or our address is rejected",
	    .explain = "A block list, reverse DNS, SPF or the sender's domain is the reason.",
	    .advice = "Read the reply: it usually names the list or the record.",
	    .probes = "log", .remedies = "repair,complain,hold" },
	{ .name = "relay-denied", .side = SIDE_OURS,
	    .title = "The other side does not relay for us",
	    .explain = "Their server is not responsible for this address, or wants a login.",
	    .advice = "Check the route and the login of the connector.",
	    .probes = "log,mx", .remedies = "repair,complain,hold" },
	{ .name = "auth-failed", .side = SIDE_OURS,
	    .title = "Login at the next server fails",
	    .explain = "User or password are wrong, or login is offered over TLS only.",
	    .advice = "Check the password of the route; turn on TLS for it.",
	    .refine = "remote-requires-tls",
	    .probes = "log,starttls", .remedies = "repair,hold" },
	{ .name = "remote-4xx", .side = SIDE_THEIRS,
	    .title = "The other side says: later", .explain = "A temporary refusal by their server.",
	    .advice = "Read the reply. Usually it passes.",
	    .probes = "log", .remedies = "wait,complain,hold" },
	{ .name = "remote-5xx", .side = SIDE_THEIRS,
	    .title = "The other side says no", .explain = "A final refusal by their server.",
	    .advice = "Read the reply. Another attempt will not help.",
	    .probes = "log", .remedies = "complain,hold" },
	{ .name = "banner-rejected", .side = SIDE_THEIRS,
	    .title = "The other side does not talk to us", .explain = "The greeting is an error: busy, closed, or blocked.",
	    .advice = "Read the greeting. Usually it passes.",
	    .probes = "connect,vantage", .remedies = "wait,complain,hold" },
	{ .name = "lost-connection", .side = SIDE_PATH,
	    .title = "The connection is lost", .explain = "The connection ended in the middle of a conversation.",
	    .advice = "Look at the destination from the mail host and from here.",
	    .refine = "lost-connection-after-starttls,client-cert-required",
	    .probes = "log,handshake,vantage", .remedies = "wait,complain,hold" },
	{ .name = "ambiguous-network", .side = SIDE_PATH,
	    .title = "A network error that says no more",
	    .explain = "This mail system uses one sentence for all of it, TLS failures included.",
	    .advice = "Look at the destination from the mail host.",
	    .refine = "tls-not-offered,starttls-refused,handshake-failed,lost-connection-after-starttls,"
	    "timeout-in-handshake," CERT_CLASSES ",connect-refused,connect-timeout,banner-rejected",
	    .probes = "log,connect,starttls,handshake,chain,vantage", .remedies = "wait,workaround,lower,complain,hold" },
	{ .name = "expired", .side = SIDE_NONE,
	    .title = "Given up after too long", .explain = "The message was in the queue until its lifetime ended.",
	    .advice = "Find the reason of the attempts before." },
	{ .name = "local-error", .side = SIDE_OURS,
	    .title = "A problem of our own host", .explain = "A disk, a program or a setting of the mail host fails.",
	    .advice = "Read the log of the mail host.",
	    .probes = "log", .remedies = "repair,hold" },
	{ .name = "scanner-plain", .side = SIDE_NONE,
	    .title = "A visitor that sends no mail", .explain = "Scanners and health checks connect and leave.",
	    .advice = "Nothing to do." },
	{ .name = "unknown", .side = SIDE_NONE,
	    .title = "A reason we do not know", .explain = "No wording of our table fits.",
	    .advice = "Read the reason, and look at the destination.",
	    .probes = "log,connect,starttls,handshake,vantage", .remedies = "wait,hold,complain" },
	{ .name = NULL },
};

const struct failure *
failure_find(const char *name)
{
	const struct failure *f;

	for (f = failure_table; f->name != NULL; f++)
		if (text_eq(f->name, name))
			return f;
	return f - 1;          /* the last row is "unknown" */
}

const char *
failure_side_name(enum failure_side s)
{
	switch (s) {
	case SIDE_THEIRS: return "theirs";
	case SIDE_OURS:   return "ours";
	case SIDE_PATH:   return "path";
	case SIDE_NONE:   break;
	}
	return "none";
}
