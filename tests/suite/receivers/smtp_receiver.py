"""A body's mail server as the email connector meets it: SMTP over TLS or STARTTLS, with a password, and faults on demand.

The first line on standard output is the port. Every mail that is taken becomes a file in the folder, `000001.eml` and so on, as it
came, after lines `X-Receiver-From:` and `X-Receiver-To:` of the envelope. One message id may come twice: that is what it is for.

Faults (see faults.py), each of one connection, in the order in which it meets them:

    refuse            the connection is cut off before a word was said
    mute [SECONDS]    no greeting (default: 600)
    trickle [SECONDS] everything is said byte by byte, with so much time between (default: 1)
    rcpt CODE         what the recipient is answered with, such as `rcpt 450` by who lists greys
    cut               the connection is cut off in the middle of the text
    451, 550 or another code
                      what the text is answered with
    hang [SECONDS]    no answer to the text (default: 600); with `kept` the mail was taken
    drop              the connection is cut off after the text; with `kept` the mail was taken
    linger [SECONDS]  no goodbye (default: 600); the mail was taken
"""

import argparse
import asyncio
import hmac
import logging
import os
import ssl
import warnings

from aiosmtpd.smtp import SMTP, AuthResult

import faults

# Which faults a connection meets at its beginning, at the text and at its end.
AT_START = ("refuse", "mute", "trickle")
AT_TEXT = ("hang", "drop", *(str(code) for code in range(400, 600)))
AT_END = ("linger",)


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--certificate", required=True, help="certificate chain, PEM")
    parser.add_argument("--key", required=True, help="its private key, PEM")
    parser.add_argument("--tls", choices=("implicit", "starttls"), default="implicit", help="how TLS begins")
    parser.add_argument("--user", help="who may send; without it everybody may")
    parser.add_argument("--password-file", help="the user's password")
    parser.add_argument("--mails", required=True, help="folder that mails are written to")
    parser.add_argument("--faults", help="the fault script")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    return parser.parse_args()


class Mails:
    """Takes mails, or does with them what the script says."""

    def __init__(self, options):
        self.options = options
        self.taken = len([name for name in os.listdir(options.mails) if name.endswith(".eml")])

    def fault(self, *names):
        return faults.take(self.options.faults, "MAIL", names)

    async def handle_RCPT(self, server, session, envelope, address, options):
        fault = self.fault("rcpt")
        if fault.name == "rcpt":
            return f"{fault.argument} by script"
        envelope.rcpt_tos.append(address)
        return "250 well"

    async def handle_QUIT(self, server, session, envelope):
        fault = self.fault(*AT_END)
        if fault.name == "linger":
            await asyncio.sleep(fault.number(600))
        return "221 goodbye"

    async def handle_DATA(self, server, session, envelope):
        fault = self.fault(*AT_TEXT)
        if fault.name == "pass" or fault.kept:
            self.keep(envelope)
        if fault.name == "hang":
            await asyncio.sleep(fault.number(600))
            return "451 too late"
        if fault.name == "drop":
            server.transport.abort()
            return "451 gone"
        if fault.name.isdigit():
            return f"{fault.name} by script"
        return "250 taken"

    def keep(self, envelope):
        self.taken += 1
        path = os.path.join(self.options.mails, f"{self.taken:06}.eml")
        with open(f"{path}.part", "wb") as file:
            file.write(f"X-Receiver-From: {envelope.mail_from}\r\n".encode())
            file.write(f"X-Receiver-To: {', '.join(envelope.rcpt_tos)}\r\n".encode())
            file.write(envelope.content)
        os.replace(f"{path}.part", path)


class Connection(SMTP):
    """One connection, with what it suffers beside the mail."""

    slowly = None

    async def _handle_client(self):
        fault = self.event_handler.fault(*AT_START)
        if fault.name == "refuse":
            self.transport.abort()
            return
        if fault.name == "mute":
            await asyncio.sleep(fault.number(600))
        if fault.name == "trickle":
            self.slowly = fault.number(1)
        await super()._handle_client()

    async def push(self, status):
        if self.slowly is None:
            await super().push(status)
            return
        for byte in (status if isinstance(status, bytes) else status.encode()) + b"\r\n":
            self._writer.write(bytes([byte]))
            await self._writer.drain()
            await asyncio.sleep(self.slowly)

    async def smtp_DATA(self, arg):
        if self.event_handler.fault("cut").name != "cut":
            await super().smtp_DATA(arg)
            return
        await super().push("354 go on")
        await self._reader.readuntil(b"\r\n")
        self.transport.abort()


class Receiver:
    """Who may send, and how TLS begins."""

    def __init__(self, options):
        self.options = options
        self.mails = Mails(options)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(options.certificate, options.key)
        self.implicit = options.tls == "implicit"
        self.password = b""
        if options.password_file is not None:
            with open(options.password_file, "rb") as file:
                self.password = file.read().strip()

    def connection(self):
        return Connection(
            self.mails,
            hostname="receiver.example",
            tls_context=None if self.implicit else self.context,
            require_starttls=not self.implicit,
            auth_required=self.options.user is not None,
            auth_require_tls=not self.implicit,
            authenticator=self.authenticate,
        )

    def authenticate(self, _server, _session, _envelope, _mechanism, auth):
        user = (self.options.user or "").encode()
        right = hmac.compare_digest(auth.login, user) and hmac.compare_digest(auth.password, self.password)
        return AuthResult(success=right, handled=False, auth_data=auth.login)

    async def serve(self):
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            self.connection, "127.0.0.1", self.options.port, ssl=self.context if self.implicit else None
        )
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")
    asyncio.run(Receiver(arguments()).serve())
