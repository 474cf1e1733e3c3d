"""The program: `python openai_proxy.py --help` tells what it does."""

import sys

try:
    from gevent import monkey
except ModuleNotFoundError as missing:
    sys.exit(
        f"openai_proxy.py: the package {missing.name} is not installed for this Python. `make run` installs all into "
        ".venv; after that it is .venv/bin/python openai_proxy.py"
    )

monkey.patch_all()

from gateway.cli import main

if __name__ == "__main__":
    sys.exit(main())
