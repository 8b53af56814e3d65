#!/usr/bin/python3
"""Faults between a mail host of the lab and the world. Run in the lab's own network (lab ctl).

  faults.py strip NETNS ADDRESS          listens as ADDRESS:25 in the network of a host, passes everything on to the real one,
                                         and takes STARTTLS out of what it says
  faults.py liar ADDRESS REAL NAME LIE   a resolver at ADDRESS that asks REAL, and says LIE for the address of NAME
"""
import ctypes
import os
import socket
import struct
import sys
import threading

libc = ctypes.CDLL(None, use_errno=True)


def enter(path):
    with open(path) as net:
        if libc.setns(net.fileno(), 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), "setns " + path)


def pass_on(source, to, change):
    try:
        while data := source.recv(65536):
            to.sendall(change(data))
    except OSError:
        pass
    for end in (source, to):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def without_starttls(data):
    return data.replace(b"250-STARTTLS\r\n", b"").replace(b"250 STARTTLS\r\n", b"250 HELP\r\n")


def strip(netns, address):
    own = f"/proc/{os.getpid()}/ns/net"
    keep = os.open(own, os.O_RDONLY)
    enter("/run/netns/" + netns)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, 25))
    listener.listen(64)
    libc.setns(keep, 0x40000000)
    while True:
        client, _ = listener.accept()
        server = socket.create_connection((address, 25), 10)
        threading.Thread(target=pass_on, args=(client, server, lambda d: d), daemon=True).start()
        threading.Thread(target=pass_on, args=(server, client, without_starttls), daemon=True).start()


def question(query):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("latin1").lower())
        at += 1 + query[at]
    return ".".join(labels), struct.unpack(">H", query[at + 1:at + 3])[0], at + 5


def answer(query, real, name, lie):
    asked, kind, end = question(query)
    if asked == name and kind == 1:
        return (query[:2] + b"\x85\x80" + b"\0\1\0\1\0\0\0\0" + query[12:end] + b"\xc0\x0c\0\1\0\1\0\0\0\x05\0\4" + socket.inet_aton(lie))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.sendto(query, (real, 53))
        return s.recv(65536)


def liar_tcp(address, *how):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, 53))
    listener.listen(64)

    def talk(client):
        client.settimeout(20)
        try:
            while len(head := client.recv(2, socket.MSG_WAITALL)) == 2:
                reply = answer(client.recv(struct.unpack(">H", head)[0], socket.MSG_WAITALL), *how)
                client.sendall(struct.pack(">H", len(reply)) + reply)
        except OSError:
            pass
        client.close()

    while True:
        threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()


def liar(address, *how):
    threading.Thread(target=liar_tcp, args=(address, *how), daemon=True).start()
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, 53))

    def one(query, peer):
        try:
            s.sendto(answer(query, *how), peer)
        except OSError:
            pass

    while True:
        threading.Thread(target=one, args=s.recvfrom(65536), daemon=True).start()


{"strip": strip, "liar": liar}[sys.argv[1]](*sys.argv[2:])
