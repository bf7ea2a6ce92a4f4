"""`python -m verl_plugins.evaluate`."""

import signal
import sys

from verl_plugins.evaluate.command_line import main

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that SIGTERM runs the clean-up code too
    sys.exit(main(sys.argv[1:]))
