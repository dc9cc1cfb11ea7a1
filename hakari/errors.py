"""The roots of every error: the class says whose fault it is and so which exit code a command ends with.

A concrete error lives beside what raises it and derives from one of these. Its text is one sentence that
names the field, the value, the limit and what to do.
"""

from __future__ import annotations

OUR_FAULT = 1
USAGE = 2
BAD_CONFIGURATION = 3
NOT_REACHABLE = 4
DATA_PROBLEM = 5
REFUSED = 6
INTERRUPTED = 130


class HakariError(Exception):
    """Something that a user can read and act on; `exit_code` is what the command ends with."""

    exit_code: int = OUR_FAULT


class BadConfiguration(HakariError):
    """A file or setting given by the user cannot be used as it is."""

    exit_code = BAD_CONFIGURATION


class NotReachable(HakariError):
    """A meter, broker, database or service does not answer."""

    exit_code = NOT_REACHABLE


class DataProblem(HakariError):
    """Evidence, a message or a pack is not what it claims to be."""

    exit_code = DATA_PROBLEM


class Refused(HakariError):
    """The request is understood and a rule forbids it."""

    exit_code = REFUSED
