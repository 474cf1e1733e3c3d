"""The program with short deadlines towards clients, for tests of slow ones."""

from gevent import monkey

monkey.patch_all()

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gateway.config import Settings
from gateway.heads import Deadlines
from gateway.server import serve

if __name__ == "__main__":
    serve(Settings.load({}, os.environ), deadlines=Deadlines(head=1.0, idle=2.0, body=1.0, linger=0.5))
