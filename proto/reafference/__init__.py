"""Reafference: closed-loop simulation of brain, body and environment on a message bus.

This package is what every service and every client shares: the frames, their encoding, the wires, the
loop a simulator lives in, and the client. See PROTOCOL.md beside it for the wire in words.
"""

from importlib.metadata import PackageNotFoundError, version

from .declare import transfer

try:
    __version__ = version("reafference")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"

__all__ = ["__version__", "transfer"]
