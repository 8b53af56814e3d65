#!/usr/bin/python3
"""The destinations of the lab: for each row of dest.tsv an SMTP server at its address, port 25, that behaves as the row says.

Standard library only. One JSON line per session goes to /var/log/destd.jsonl; mail that was taken is kept as
/var/spool/destd/DOMAIN/N.eml, its first line saying which TLS it came with. Port 2500 answers with the number of messages
taken, once all destinations listen.
"""
import base64
import http.server
import json
import os
import socket
import ssl
import threading
import time

ETC, SPOOL, LOG = "/etc/destd", "/var/spool/destd", "/var/log/destd.jsonl"
GREYLIST_SECONDS = 60
TLS = ssl.TLSVersion

# What a behaviour does otherwise than a good server:
#   banner     instead of "220 mx.DOMAIN ESMTP lab"; None: silence. Other than 220: closes after it
#   offer      instead of the EHLO line STARTTLS; None: no line
#   starttls   answer to STARTTLS other than 220
#   handshake  what comes after 220 instead of a handshake: close, garbage, silence
#   versions   lowest and highest TLS version
#   mail, rcpt answer to MAIL without TLS, to RCPT
#   port       another port beside 25
#   users      who may log in, with the password; nobody else may send. AUTH PLAIN is offered inside TLS only
BEHAVIOURS = {
    "good": {},
    "notls": {"offer": None, "starttls": "502 5.5.1 Error: command not implemented"},
    "pix": {"banner": "220 " + "*" * 40, "offer": "XXXXXXXA", "starttls": '500 5.5.1 Command unrecognized: "XXXXXXXA"'},
    "tls454": {"starttls": "454 4.7.0 TLS not available due to local problem"},
    "tlsclose": {"handshake": "close"},
    "tlsgarbage": {"handshake": "garbage"},
    "tarpit": {"handshake": "silence"},
    "tls10": {"versions": (TLS.TLSv1, TLS.TLSv1)},
    "reqtls": {"mail": "530 5.7.0 Must issue a STARTTLS command first"},
    "grey": {"rcpt": "451 4.7.1 <%s>: Recipient address rejected: Greylisted, see http://greylist.grey.test/help.html"},
    "tempfail": {"rcpt": "451 4.3.0 <%s>: Temporary lookup failure"},
    "full": {"rcpt": "452 4.2.2 <%s>: Mailbox full"},
    "reject": {"rcpt": "550 5.1.1 <%s>: Recipient address rejected: User unknown in virtual mailbox table"},
    "bannerhang": {"banner": None},
    "relay": {"port": 587},
    "login": {"port": 587, "users": {"lab-user": "Marker-7f3a Kennwort"}},
    "busy": {"banner": "421 4.3.2 mx.%s Service not available, closing transmission channel"},
}
NOT_SERVED = ("refused", "blackhole", "noroute")    # these are made of routes and of nobody listening

lock = threading.Lock()
first_seen = {}      # greylist: (client network, sender, recipient) -> time
taken = 0


def note(record):
    with lock, open(LOG, "a") as log:
        log.write(json.dumps(record) + "\n")


def keep(domain, tls, body):
    global taken
    with lock:
        taken += 1
        number = taken
    os.makedirs(f"{SPOOL}/{domain}", exist_ok=True)
    with open(f"{SPOOL}/{domain}/{number:06d}.eml", "w", encoding="latin1") as mail:
        mail.write("X-Lab-TLS: %s\n" % json.dumps(tls) + "\n".join(body) + "\n")
    return number


def server_context(certificate, versions):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if versions[1] == TLS.TLSv1:
        context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = versions
    context.load_cert_chain(f"{ETC}/pki/{certificate}.pem", f"{ETC}/pki/{certificate}.key")
    return context


class Gone(Exception):
    """The end of a session, with the reason."""


def turned(dest):
    """Its behaviour now: what the file /etc/destd/turned/DOMAIN says, else that of its row."""
    try:
        with open(f"{ETC}/turned/{dest['domain']}") as other:
            return other.read().strip()
    except FileNotFoundError:
        return dest["behaviour"]


class Session:
    """One SMTP session. `dest` is a row of dest.tsv with its behaviour."""

    def __init__(self, dest, sock, peer):
        self.dest, self.sock, self.peer = dest, sock, peer
        self.does = BEHAVIOURS[turned(dest)]
        self.buffer = b""
        self.tls = None
        self.sender, self.recipients, self.user = None, 0, None
        self.record = {"t": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "domain": dest["domain"], "peer": peer[0],
                       "port": sock.getsockname()[1], "user": None, "tls": None, "dialog": [], "mails": 0}

    def say(self, line):
        self.record["dialog"].append("S: " + line)
        self.sock.sendall(line.encode() + b"\r\n")

    def line(self):
        while b"\n" not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                raise Gone("eof")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r").decode("latin1")

    def silence(self):
        while self.sock.recv(4096):
            pass
        raise Gone("client gave up")

    def greet(self):
        banner = self.does.get("banner", "220 mx.%s ESMTP lab")
        if banner is None:
            self.silence()
        self.say(banner % self.dest["domain"] if "%s" in banner else banner)
        if not banner.startswith("220"):
            raise Gone("refused in the banner")

    def ehlo(self, verb, _):
        lines = ["mx." + self.dest["domain"]]
        if verb == "EHLO":
            lines += ["PIPELINING", "SIZE 10240000", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN"]
            offer = self.does.get("offer", "STARTTLS")
            if offer is not None and self.tls is None:
                lines.insert(3, offer)
            if "users" in self.does and self.tls is not None:
                lines.append("AUTH PLAIN LOGIN")
        for text in lines[:-1]:
            self.say("250-" + text)
        self.say("250 " + lines[-1])

    def starttls(self, *_):
        if "starttls" in self.does:
            return self.say(self.does["starttls"])
        self.say("220 2.0.0 Ready to start TLS")
        self.buffer = b""        # what was pipelined behind STARTTLS is not listened to
        instead = self.does.get("handshake")
        if instead == "close":
            raise Gone("closed after 220")
        if instead == "silence":
            self.sock.settimeout(3600)
            self.silence()
        if instead == "garbage":
            self.sock.recv(4096)
            self.sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" * 4)
            time.sleep(0.5)      # so that the garbage is read before the end is seen
            raise Gone("garbage after 220")
        self.handshake()

    def handshake(self):
        asked = {}
        context = server_context(self.dest["certificate"], self.does.get("versions", (TLS.TLSv1_2, TLS.TLSv1_3)))
        context.sni_callback = lambda _sock, name, _context: asked.update(sni=name)
        try:
            self.sock = context.wrap_socket(self.sock, server_side=True)
        except (ssl.SSLError, OSError) as error:
            self.record["tls"] = {"error": str(error)}
            raise Gone("handshake: %s" % error)
        self.tls = {"version": self.sock.version(), "cipher": self.sock.cipher()[0], "sni": asked.get("sni")}
        self.record["tls"] = self.tls
        self.record["dialog"].append("-- " + self.tls["version"])
        self.sender = None

    def auth(self, *_):
        words = self.last.split(" ")
        if "users" not in self.does or self.tls is None or len(words) < 2:
            return self.say("503 5.5.1 Error: authentication not enabled")
        if words[1].upper() == "LOGIN":
            self.say("334 VXNlcm5hbWU6")
            name = base64.b64decode(self.line()).decode()
            self.say("334 UGFzc3dvcmQ6")
            secret = base64.b64decode(self.line()).decode()
        else:
            if len(words) < 3:
                self.say("334 ")
                words.append(self.line())
            _, name, secret = base64.b64decode(words[2]).decode().split("\0")
        if self.does["users"].get(name) != secret:
            return self.say("535 5.7.8 Error: authentication failed")
        self.user = self.record["user"] = name
        self.say("235 2.7.0 Authentication successful")

    def mail(self, _, address):
        if "users" in self.does and self.user is None:
            return self.say("530 5.7.0 Authentication required")
        if self.tls is None and "mail" in self.does:
            return self.say(self.does["mail"])
        self.sender, self.recipients = address, 0
        self.say("250 2.1.0 Ok")

    def greylisted(self, address):
        key = (self.peer[0].rsplit(".", 1)[0], self.sender, address)
        with lock:
            return time.time() - first_seen.setdefault(key, time.time()) < GREYLIST_SECONDS

    def rcpt(self, _, address):
        if self.sender is None:
            return self.say("503 5.5.1 Error: need MAIL command")
        if "rcpt" in self.does and (self.dest["behaviour"] != "grey" or self.greylisted(address)):
            return self.say(self.does["rcpt"] % address)
        self.recipients += 1
        self.say("250 2.1.5 Ok")

    def data(self, *_):
        if not self.recipients:
            return self.say("554 5.5.1 Error: no valid recipients")
        self.say("354 End data with <CR><LF>.<CR><LF>")
        body = []
        while (text := self.line()) != ".":
            body.append(text)
        number = keep(self.dest["domain"], self.tls, body)
        self.record["mails"] += 1
        self.sender, self.recipients = None, 0
        self.say("250 2.0.0 Ok: queued as LAB%06d" % number)

    def rset(self, *_):
        self.sender, self.recipients = None, 0
        self.say("250 2.0.0 Ok")

    def noop(self, *_):
        self.say("250 2.0.0 Ok")

    def quit(self, *_):
        self.say("221 2.0.0 Bye")
        raise Gone("quit")

    COMMANDS = {"EHLO": ehlo, "HELO": ehlo, "STARTTLS": starttls, "MAIL": mail, "RCPT": rcpt, "DATA": data, "RSET": rset,
                "NOOP": noop, "QUIT": quit, "AUTH": auth}

    def dialog(self):
        self.sock.settimeout(900)
        self.greet()
        while True:
            line = self.line()
            verb = line.split(" ")[0].upper()
            self.last = line
            self.record["dialog"].append("C: " + (line[:200] if verb != "AUTH" else "AUTH ..."))
            address = line.partition(":")[2].strip().partition(">")[0].lstrip("<")
            if verb in self.COMMANDS:
                self.COMMANDS[verb](self, verb, address)
            else:
                self.say("502 5.5.2 Error: command not recognized")

    def run(self):
        try:
            self.dialog()
        except Gone as reason:
            self.record["end"] = str(reason)
        except Exception as error:      # one session never takes the others down
            self.record["end"] = repr(error)
        self.sock.close()
        note(self.record)


def serve(dest, listener):
    while True:
        sock, peer = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=Session(dest, sock, peer).run, daemon=True).start()


class Policy(http.server.BaseHTTPRequestHandler):
    """MTA-STS policies (RFC 8461)."""
    MODES = {"mtasts.test": "enforce", "mtastsbad.test": "enforce", "mtaststest.test": "testing", "mtastsmx.test": "enforce"}
    OTHERS = {"mtastsmx.test": "*.elsewhere.test"}      # the mail servers that a policy lists instead of the right ones

    def do_GET(self):
        host = (self.headers.get("Host") or "").partition(":")[0].lower()
        domain = host[len("mta-sts."):] if host.startswith("mta-sts.") else ""
        code, body = 404, "not found\r\n"
        if self.path == "/.well-known/mta-sts.txt" and domain in self.MODES:
            code = 200
            body = f"version: STSv1\r\nmode: {self.MODES[domain]}\r\nmx: {self.OTHERS.get(domain, 'mx.' + domain)}\r\nmax_age: 604800\r\n"
        self.send_response(code)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, fmt, *args):
        note({"https": fmt % args})


class PolicyServer(http.server.ThreadingHTTPServer):
    context = None

    def finish_request(self, request, client_address):
        request.settimeout(20)
        with self.context.wrap_socket(request, server_side=True) as secured:
            self.RequestHandlerClass(secured, client_address, self)

    def handle_error(self, request, client_address):
        note({"https": "a session of %s failed" % client_address[0]})


def listen(address, port):
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(256)
    return listener


def start(row):
    dest = dict(zip(("domain", "address", "behaviour", "certificate"), row.rstrip("\n").split("\t")))
    if dest["behaviour"] in NOT_SERVED or (":" in dest["address"] and not os.path.exists("/proc/net/if_inet6")):
        return
    dest["certificate"] += "." + dest["domain"]
    if dest["behaviour"] == "policy":
        server = PolicyServer((dest["address"], 443), Policy)
        server.context = server_context(dest["certificate"], (TLS.TLSv1_2, TLS.TLSv1_3))
        target, args = server.serve_forever, ()
    else:
        does = BEHAVIOURS[dest["behaviour"]]      # an unknown one fails here, at the start
        if "port" in does:
            threading.Thread(target=serve, args=(dest, listen(dest["address"], does["port"])), daemon=True).start()
        target, args = serve, (dest, listen(dest["address"], 25))
    threading.Thread(target=target, args=args, daemon=True).start()


def main():
    with open(f"{ETC}/dest.tsv") as table:
        for row in table:
            if row.strip() and not row.startswith("#"):
                start(row)
    ready = listen("0.0.0.0", 2500)
    while True:
        sock, _ = ready.accept()
        try:
            sock.sendall(b"%d\n" % taken)
        except OSError:
            pass
        sock.close()


main()
