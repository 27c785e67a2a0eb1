"""Horovod's rendezvous server, for the processes of one job only.

The processes leave their addresses there and fetch those of the others. Horovod's server answers everybody
who can reach the machine. This one wants a secret, which is the start of every path:
`/SECRET:PORT/global/0` instead of `/global/0`. Horovod's C++ client cannot send headers of ours. But it makes
its URL of the address that it is given, the port and the path, and takes what follows the address's first
slash for the start of the path.
"""

import hmac
import secrets
import threading
from contextlib import contextmanager

from horovod.runner.http.http_server import RendezvousHandler, RendezvousHTTPServer

FORBIDDEN = 403
TICK_S = 0.05                 # between looks for the end


@contextmanager
def rendezvous(address, slots):
    """Within the block a rendezvous server runs; yields the environment variables of those who may use it.

    Parameters
    ----------
    address : str
        Of this machine, by which the processes reach it; the server listens there and nowhere else.
    slots : list of horovod.runner.common.util.hosts.SlotInfo
        The processes.
    """
    server = SecretServer((address, 0), SecretHandler, verbose=0)
    server.init(slots)
    thread = threading.Thread(target=server.serve_forever, args=(TICK_S,), daemon=True)
    thread.start()
    try:
        yield {"HOROVOD_GLOO_RENDEZVOUS_ADDR": f"{address}:{server.server_port}/{server.secret}",
               "HOROVOD_GLOO_RENDEZVOUS_PORT": str(server.server_port)}
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class SecretServer(RendezvousHTTPServer):
    """A rendezvous server with a secret of its own."""

    daemon_threads = True            # closing does not wait for a client that sends nothing

    def __init__(self, *words, **named):
        self.secret = secrets.token_urlsafe(32)
        super().__init__(*words, **named)


class SecretHandler(RendezvousHandler):
    """Refuses every request, of any method, whose path does not start with the secret."""

    def parse_request(self):
        if not super().parse_request():
            return False
        start = f"/{self.server.secret}:{self.server.server_port}/".encode()
        given, rest = self.path[:len(start)].encode(), self.path[len(start):]
        if not hmac.compare_digest(given, start):
            self.send_status_code(FORBIDDEN)
            return False
        self.path = f"/{rest}"
        return True
