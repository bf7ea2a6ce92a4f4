"""`python -m verl_plugins.evaluate`."""

import signal
import sys

from verl_plugins.own_packages import refuse_shadowed_packages

if __name__ == "__main__":
    refuse_shadowed_packages()
    from verl_plugins.evaluate.command_line import main

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that SIGTERM runs the clean-up code too
    sys.exit(main(sys.argv[1:]))
