"""A body's system as the webhook connector meets it: HTTPS, signatures, effects by idempotency key, faults on demand.

The first line on standard output is the port. Answers:

    POST /referrals         {"reference": …}; a key seen before has no second effect: the same answer, or 409 with --conflict;
                            the same key with another referral or other fields is refused with 422
    GET  /acknowledgements  pages of the JSON lines in --acknowledgements, {"items": […], "cursor": …}
    GET  /roster            pages of the JSON lines in --roster, {"entries": […], "cursor": …}
    GET  /health            200

Faults (see faults.py), in the order in which a request meets them:

    refuse            the connection is reset before TLS begins (after the request, where the line names a method)
    hang [SECONDS]    no answer (default: 600)
    status CODE[:RETRY_AFTER]
                      an answer with this status, such as `status 429:3` or `status 503:Tue,01_Dec_2026_00:00:10_GMT`
    redirect URL      an answer 307 to there
    garbage           200 with HTML
    oversized         200 with five million bytes
    reset             the connection is reset in the middle of the answer's body
    trickle [SECONDS] the answer comes byte by byte, with so much time between (default: 1)
    duplicate         every acknowledgement or entry comes twice
"""

import argparse
import hashlib
import hmac
import http.server
import json
import os
import socket
import ssl
import struct
import sys
import threading
import time
from urllib.parse import parse_qs, urlsplit

import faults

WINDOW_SECONDS = 300


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--certificate", required=True, help="certificate chain, PEM")
    parser.add_argument("--key", required=True, help="its private key, PEM")
    parser.add_argument("--secret-file", required=True, help="the shared secret that signs requests")
    parser.add_argument("--effects", required=True, help="JSON lines: one for each matter taken in; read at start")
    parser.add_argument("--requests", help="JSON lines: one for each request, with what it was answered")
    parser.add_argument("--acknowledgements", help="JSON lines: the items to answer polls with")
    parser.add_argument("--roster", help="JSON lines: the entries of the list of people")
    parser.add_argument("--faults", help="the fault script")
    parser.add_argument("--clock", help="a file with the present in Unix seconds; without it, the machine's clock")
    parser.add_argument("--page", type=int, default=100, help="items on a page (default: 100)")
    parser.add_argument("--conflict", action="store_true", help="answer a key seen before with 409")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    return parser.parse_args()


def lines_of(path):
    """The objects of a file of JSON lines; none if there is no file."""
    if path is None or not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


class Effects:
    """What was taken in, by idempotency key: each key once, on disk before it is answered."""

    def __init__(self, path):
        self.path = path
        self.lock = threading.Lock()
        self.known = {effect["key"]: effect for effect in lines_of(path)}

    def take(self, key, matter):
        """The effect of a key, and whether it is a new one; None: the key came with another matter before."""
        with self.lock:
            before = self.known.get(key)
            if before is not None:
                same = all(before[name] == matter[name] for name in ("referral", "fields"))
                return (before if same else None), False
            effect = {"key": key, "reference": f"r-{len(self.known) + 1:06}", **matter}
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps(effect, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
            self.known[key] = effect
            return effect, True


class Handler(http.server.BaseHTTPRequestHandler):
    """One request; HTTP/1.0, so that every request meets the fault script at its own connection."""

    server_version = "receiver"
    timeout = 60

    def do_POST(self):
        self.answer("POST")

    def do_GET(self):
        self.answer("GET")

    def answer(self, method):
        length = int(self.headers.get("content-length") or 0)
        self.body = self.rfile.read(length)
        self.fault = faults.take(self.server.options.faults, method)
        path = urlsplit(self.path).path
        if self.fault.name != "pass" and not self.fault.kept:
            if self.suffer_at_once(path):
                return
        status, content, headers = self.judge(method, path)
        if self.fault.kept and self.suffer_at_once(path):
            return
        self.log_request_of(path, status)
        self.send(status, json.dumps(content, ensure_ascii=False).encode(), headers)

    def judge(self, method, path):
        """Status, content and headers of the answer."""
        refusal = self.unsigned()
        if refusal is not None:
            return 401, {"error": refusal}, {}
        if (method, path) == ("POST", "/referrals"):
            return self.referral()
        if (method, path) == ("GET", "/acknowledgements"):
            return 200, self.page("items", self.server.options.acknowledgements), {}
        if (method, path) == ("GET", "/roster"):
            return 200, self.page("entries", self.server.options.roster), {}
        if (method, path) == ("GET", "/health"):
            return 200, {"status": "well"}, {}
        return 404, {"error": "no such resource"}, {}

    def unsigned(self):
        """Why the signature does not count; None: it does."""
        timestamp = self.headers.get("linli-timestamp", "")
        if not timestamp.isdigit():
            return "no timestamp"
        if abs(self.server.now() - int(timestamp)) > WINDOW_SECONDS:
            return "the timestamp lies outside the window"
        signed = f"{timestamp}.".encode() + self.body
        expected = "v1=" + hmac.new(self.server.secret, signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, self.headers.get("linli-signature", "")):
            return "the signature is wrong"
        return None

    def referral(self):
        key = self.headers.get("idempotency-key", "")
        try:
            matter = json.loads(self.body)
            taken = {name: matter[name] for name in ("referral", "fields", "answer_url")}
        except (ValueError, KeyError, TypeError):
            return 400, {"error": "not a referral"}, {}
        if not key or matter.get("idempotency_key") != key:
            return 400, {"error": "no idempotency key"}, {}
        effect, new = self.server.effects.take(key, taken)
        if effect is None:
            return 422, {"error": "this key came with another matter"}, {}
        answer = {"reference": effect["reference"], "idempotency_key": key}
        return 409 if self.server.options.conflict and not new else 201, answer, {}

    def page(self, name, path):
        query = parse_qs(urlsplit(self.path).query)
        first = int((query.get("cursor") or ["0"])[0] or 0)
        limit = min(int((query.get("limit") or ["1000"])[0]), self.server.options.page)
        items = lines_of(path)[first : first + limit]
        cursor = str(first + len(items)) if items or name == "items" else ""
        if self.fault.name == "duplicate":
            items = [item for item in items for _ in range(2)]
        return {name: items, "cursor": cursor}

    def suffer_at_once(self, path):
        """Plays a fault that needs no answer of ours; False: the answer follows."""
        fault = self.fault
        if fault.name == "refuse":
            self.log_request_of(path, "refuse")
            reset(self.connection)
        elif fault.name == "hang":
            self.log_request_of(path, "hang")
            self.connection.settimeout(fault.number(600))
            try:
                self.connection.recv(1)
            except OSError:
                pass
        elif fault.name == "status":
            code, _, after = fault.argument.partition(":")
            headers = {"retry-after": after.replace("_", " ")} if after else {}
            self.log_request_of(path, int(code))
            self.send(int(code), b'{"error": "by script"}', headers)
        elif fault.name == "redirect":
            self.log_request_of(path, 307)
            self.send(307, b"", {"location": fault.argument})
        elif fault.name == "garbage":
            self.log_request_of(path, "garbage")
            self.send(200, b"<html><title>Welcome</title></html>", {})
        elif fault.name == "oversized":
            self.log_request_of(path, "oversized")
            self.send(200, b'{"reference": "' + b"x" * 5_000_000 + b'"}', {})
        else:
            return False
        return True

    def send(self, status, body, headers):
        self.send_response(status)
        self.send_header("content-type", "application/json; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            if self.fault.name == "reset":
                self.wfile.write(body[: len(body) // 2])
                self.wfile.flush()
                time.sleep(0.2)  # What was sent must arrive first: a reset overtakes it.
                reset(self.connection)
            elif self.fault.name == "trickle":
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    time.sleep(self.fault.number(1))
            else:
                self.wfile.write(body)
        except OSError:
            pass  # The other side has given up.

    def log_request_of(self, path, answered):
        if self.server.options.requests is None:
            return
        line = {
            "method": self.command,
            "path": path,
            "key": self.headers.get("idempotency-key"),
            "answered": answered,
            "fault": self.fault.name,
        }
        with self.server.log_lock, open(self.server.options.requests, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def log_message(self, *_):
        pass


def reset(connection):
    """Ends a connection by RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # Past TLS, whose own farewell would come first.
    os.close(connection.detach())


class Server(http.server.ThreadingHTTPServer):
    """The receiver; TLS begins in the thread of each connection."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, options):
        super().__init__(("127.0.0.1", options.port), Handler)
        self.options = options
        with open(options.secret_file, "rb") as file:
            self.secret = file.read().strip()
        self.effects = Effects(options.effects)
        self.log_lock = threading.Lock()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(options.certificate, options.key)

    def now(self):
        """The present, in Unix seconds."""
        if self.options.clock is None:
            return int(time.time())
        with open(self.options.clock, encoding="ascii") as file:
            return int(file.read())

    def finish_request(self, request, client_address):
        if faults.take(self.options.faults, None, names=("refuse",)).name == "refuse":
            reset(request)
            return
        request.settimeout(Handler.timeout)
        with self.context.wrap_socket(request, server_side=True) as connection:
            super().finish_request(connection, client_address)

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def main():
    server = Server(arguments())
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
