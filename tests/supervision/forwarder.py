"""Runs the command given and passes SIGINT on to it, as `uv run` does without a terminal."""

from __future__ import annotations

import signal
import subprocess
import sys

child = subprocess.Popen(sys.argv[1:])
signal.signal(signal.SIGINT, lambda *_: child.send_signal(signal.SIGINT))
sys.exit(child.wait())
