"""Why TLS failed, in words: what the other side's alert says, or what is wrong with its certificate."""

from __future__ import annotations

import contextlib
import select
import ssl

# A broker on a slower line is heard while we wait for its answer.
ALERT_MS = 200
_OURS = "renew it: hakari keys authority renew"
# By parts of the names of OpenSSL's reasons; in TLS 1.3 they arrive with the first bytes that are read.
_WORDS = (
    ("ALERT_CERTIFICATE_EXPIRED", f"it says that our certificate has ended; {_OURS}"),
    ("ALERT_CERTIFICATE_REVOKED", "it says that our certificate was revoked; ask whoever keeps the authority"),
    ("ALERT_UNKNOWN_CA", "it does not know the authority of our certificate; give it one of the broker's authority"),
    ("ALERT_CERTIFICATE_REQUIRED", "it wants a certificate of us; give [broker].certificate_file and key_file"),
    ("ALERT_BAD_CERTIFICATE", "it says that our certificate is bad; see whether its authority is the broker's"),
)


class TlsRefusal:
    """What stood in the way of TLS at the last try, "" where nothing was said; may be read from any thread."""

    def __init__(self) -> None:
        self.said = ""

    def note(self, error: ssl.SSLError) -> None:
        """Keeps what `error` says, if it is a refusal and no connection that merely ended."""
        self.said = words_of(error) or self.said


def words_of(error: ssl.SSLError) -> str:
    """A refusal as a clause with what to do, "" for an error that is none."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the broker's certificate is not trusted ({error.verify_message}); see ca_file and the broker's name"
    reason = error.reason or ""
    return next((words for part, words in _WORDS if part in reason), f"TLS: {reason}" if "ALERT" in reason else "")


def watched(context: ssl.SSLContext) -> TlsRefusal:
    """Tells from now on why connections of `context` were refused."""
    told = TlsRefusal()

    class Watched(ssl.SSLSocket):
        """Passes every error on, and keeps what it says."""

        def do_handshake(self, block: bool = False) -> None:
            try:
                super().do_handshake(block)
                if self.version() == "TLSv1.3":
                    self._judged()
            except ssl.SSLError as error:
                told.note(error)
                raise

        def _judged(self) -> None:
            """Hears the first word after the handshake: tickets, or an alert that what we send next would wipe out."""
            poll = select.poll()
            poll.register(self, select.POLLIN)
            poll.poll(ALERT_MS)
            timeout_s = self.gettimeout()
            self.settimeout(0)
            with contextlib.suppress(ssl.SSLWantReadError):
                super().recv(1)  # an MQTT broker says nothing of its own before CONNECT
            self.settimeout(timeout_s)

        def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
            try:
                return super().recv(buflen, flags)
            except ssl.SSLError as error:
                told.note(error)
                raise

    context.sslsocket_class = Watched
    return told
