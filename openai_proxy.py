"""The program: `python openai_proxy.py --help` tells what it does."""

from gevent import monkey

monkey.patch_all()

import sys

from gateway.cli import main

if __name__ == "__main__":
    sys.exit(main())
