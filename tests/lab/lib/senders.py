"""Twelve senders of mail that do TLS in twelve ways, each from an address of its own, and what the host said to each.

    senders.py HOST[:PORT] NET MESSAGES [NAME...]     prints "NAME ADDRESS accepted|refused TLS-version|clear|-" for each sender
"""
import smtplib
import ssl
import sys
import warnings

warnings.simplefilter("ignore")
V = ssl.TLSVersion
# name, oldest and newest version, ciphers up to TLS 1.2, and when TLS does not come about: clear text, or giving up
SENDERS = [
    ("plain", None, None, None, "clear"),
    ("helo", None, None, None, "clear"),
    ("tls10", V.TLSv1, V.TLSv1, "ALL:@SECLEVEL=0", "give up"),
    ("tls10-kx", V.TLSv1, V.TLSv1, "AES128-SHA:@SECLEVEL=0", "give up"),
    ("tls11", V.TLSv1_1, V.TLSv1_1, "ALL:@SECLEVEL=0", "give up"),
    ("tls12-rsa", V.TLSv1_2, V.TLSv1_2, "ECDHE-RSA-AES256-GCM-SHA384", "give up"),
    ("tls12-ecdsa", V.TLSv1_2, V.TLSv1_2, "ECDHE-ECDSA-AES256-GCM-SHA384", "give up"),
    ("tls10-13", V.TLSv1, V.TLSv1_3, "ALL:@SECLEVEL=0", "clear"),
    ("tls13", V.TLSv1_3, V.TLSv1_3, None, "give up"),
    ("modern", V.TLSv1_2, V.TLSv1_3, None, "clear"),
    ("strict454", V.TLSv1_2, V.TLSv1_3, None, "give up"),
    ("falls-back", V.TLSv1_2, V.TLSv1_2, "PSK-AES128-GCM-SHA256", "clear"),
    # beside the twelve: its log never shows that it would come in clear text
    ("hopeful", V.TLSv1, V.TLSv1, "ALL:@SECLEVEL=0", "clear"),
]


def context(oldest, newest, ciphers):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    if ciphers:
        c.set_ciphers(ciphers)
    c.minimum_version, c.maximum_version = oldest, newest
    return c


def session(host, source, sender, messages, tls):
    name, oldest, newest, ciphers, _ = sender
    s = smtplib.SMTP(*host, timeout=10, source_address=(source, 0), local_hostname=name + ".example")
    used = "clear"
    try:
        if name == "helo":
            s.helo()
        else:
            s.ehlo()
        if tls:
            if s.starttls(context=context(oldest, newest, ciphers))[0] != 220:
                raise ssl.SSLError("refused")
            used = s.sock.version()
            s.ehlo()
        for i in range(messages):
            s.sendmail("sender@%s.example" % name, ["user@lab.test"], "Subject: %d\r\n\r\nHello.\r\n" % i)
        s.quit()
    finally:
        s.close()
    return used


def send(host, source, sender, messages):
    tls, fallback = sender[1] is not None, sender[4] == "clear"
    try:
        return "accepted", session(host, source, sender, messages, tls)
    except (ssl.SSLError, smtplib.SMTPException, OSError):
        if not tls or not fallback:
            return "refused", "-"
    try:
        return "accepted", session(host, source, sender, messages, False)
    except (smtplib.SMTPException, OSError):
        return "refused", "-"


host, net, messages, only = sys.argv[1].partition(":"), sys.argv[2], int(sys.argv[3]), sys.argv[4:]
host = host[0], int(host[2] or 25)
for n, sender in enumerate(SENDERS):
    source = "%s.%d" % (net, 201 + n)
    if not only or sender[0] in only:
        print(sender[0], source, *send(host, source, sender, messages))
