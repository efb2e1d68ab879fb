"""Fault scripts of the receivers: a text file, one fault a line, read anew for every request.

    [always] [GET|POST|MAIL] FAULT [ARGUMENT] [kept]

The first line that fits the request is taken out of the file and played; one that begins with `always` stays. `kept`: the effect
happens before the fault, as when an answer is lost. Empty lines and those that begin with `#` are left alone. Write the file
beside and rename it; an empty or missing file means that all is well.
"""

import os
import threading

_lock = threading.Lock()


class Fault:
    """What one request is to suffer."""

    def __init__(self, words):
        self.kept = words[-1] == "kept"
        words = words[:-1] if self.kept else words
        self.name = words[0] if words else "pass"
        self.argument = words[1] if len(words) > 1 else None

    def number(self, default):
        """The argument as a number."""
        return float(self.argument) if self.argument is not None else default


PASS = Fault(["pass"])


def take(path, method, names=None):
    """The fault of the next request by `method` (None: not known yet); with `names`, only if it is one of these."""
    if path is None:
        return PASS
    with _lock:
        try:
            with open(path, encoding="utf-8") as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            return PASS
        for index, line in enumerate(lines):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            stays = words[0] == "always"
            words = words[1:] if stays else words
            if words and words[0] in ("GET", "POST", "MAIL"):
                if words[0] != method:
                    continue
                words = words[1:]
            fault = Fault(words)
            if names is not None and fault.name not in names:
                return PASS
            if not stays:
                del lines[index]
                beside = f"{path}.taken"
                with open(beside, "w", encoding="utf-8") as file:
                    file.write("".join(f"{line}\n" for line in lines))
                os.replace(beside, path)
            return fault
    return PASS
