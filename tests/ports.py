"""Ports for the servers of tests that must know theirs beforehand."""

from __future__ import annotations

import os
import random
import socket
from contextlib import suppress

_SHARE = 1200
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw9").removeprefix("gw")) % 10
_numbers = list(range(20_000 + _worker * _SHARE, 20_000 + (_worker + 1) * _SHARE))
random.SystemRandom().shuffle(_numbers)


def free_port() -> int:
    """One that nobody listens on, and that nobody else gets before it is used, nor while its server is away.

    The system gives out ports from 32768 on; these lie below, each test process has its own, and none comes twice.
    """
    while True:
        port = _numbers.pop()
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
