"""A program that talks to the processes of a job without being one of them, as another user or as the job's owner.

Run by root for another user, it gives up root's rights before it connects.
"""

import encodings.idna  # noqa: F401  of getaddrinfo, which another user may not be able to read
import http.client
import json
import os
import pwd
import socket
import subprocess
import sys

import pytest

AS_ANOTHER_USER = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
TIMEOUT_S = 5


def talk(endpoints, kind, text="", user=None, through=()):
    """Each endpoint's answer to a program of that user (None: of this one), in the order of the endpoints.

    Parameters
    ----------
    endpoints : list
        Paths of Unix sockets, [address, port] of TCP.
    kind : "kvstore" or "http"
        Send a kvstore command with `text` as a pickle; or PUT `text` to a path and GET it.
    text : str
    user : str, optional
    through : list of str
        A command that runs another one elsewhere.

    Returns
    -------
    list
        "sent", the two HTTP codes, or the name of the error.
    """
    told = json.dumps([endpoints, kind, text, user])
    done = subprocess.run([*through, sys.executable, __file__], input=told, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def answer(endpoint, kind, text):
    try:
        return {"kvstore": send_command, "http": put_and_get}[kind](endpoint, text)
    except OSError as error:
        return type(error).__name__


def put_and_get(endpoint, text):
    path, value = text.split()
    codes = []
    for method, body in (("PUT", value), ("GET", None)):
        connection = http.client.HTTPConnection(*endpoint, timeout=TIMEOUT_S)
        connection.request(method, path, body)
        codes.append(connection.getresponse().status)
    return codes


def send_command(endpoint, text):
    """Send ps-lite's command 0 by ZeroMQ's protocol 3.0, as a node that calls itself 99: workers have 9, 11, ..."""
    with socket.socket(socket.AF_UNIX if isinstance(endpoint, str) else socket.AF_INET) as peer:
        peer.settimeout(TIMEOUT_S)
        peer.connect(endpoint if isinstance(endpoint, str) else tuple(endpoint))
        peer.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(52, b"\x00"))
        receive(peer, 64)
        properties = b"".join(bytes([len(name)]) + name + len(value).to_bytes(4, "big") + value
                              for name, value in ((b"Socket-Type", b"DEALER"), (b"Identity", b"ps99")))
        peer.sendall(frame(4, b"\x05READY" + properties))
        receive(peer, receive(peer, 2)[1])
        body = text.encode()
        # head 0, body, request, simple_app, app_id 0, timestamp 1, customer_id 0
        peer.sendall(frame(0, b"\x08\x00\x12" + bytes([len(body)]) + body + b"\x20\x01\x30\x01\x38\x00\x40\x01\x50\x00"))
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(1024):
            pass
    return "sent"


def frame(flags, content):
    return bytes([flags, len(content)]) + content


def receive(peer, size):
    data = b""
    while len(data) < size:
        data += peer.recv(size - len(data)) or b"\x00" * size
    return data


if __name__ == "__main__":
    endpoints, kind, text, user = json.load(sys.stdin)
    if user:
        other = pwd.getpwnam(user)
        os.setgroups([])
        os.setgid(other.pw_gid)
        os.setuid(other.pw_uid)
    print(json.dumps([answer(endpoint, kind, text) for endpoint in endpoints]))
