"""The pure rooms: no I/O, no clock, no chance. Their branches are covered completely; this checks it.

python -m tests.support.pure_rooms      (after pytest with --cov, which leaves .coverage)
"""

from __future__ import annotations

import io
import sys

import coverage

PURE = (
    "gateway/bridge.py",
    "gateway/cors.py",
    "gateway/demo/script.py",
    "gateway/dialects/*",
    "gateway/doctor/findings.py",
    "gateway/errors.py",
    "gateway/events.py",
    "gateway/filters/*",
    "gateway/guard.py",
    "gateway/headers.py",
    "gateway/http1.py",
    "gateway/image_size.py",
    "gateway/joining.py",
    "gateway/json_edit.py",
    "gateway/json_scan.py",
    "gateway/jsonbody.py",
    "gateway/keys.py",
    "gateway/models.py",
    "gateway/models_upstream.py",
    "gateway/models_wire.py",
    "gateway/paths.py",
    "gateway/plain_head.py",
    "gateway/profile.py",
    "gateway/recording/credentials.py",
    "gateway/recording/cutter.py",
    "gateway/recording/format.py",
    "gateway/recording/packed.py",
    "gateway/recording/spelling.py",
    "gateway/remedy.py",
    "gateway/replay/asked.py",
    "gateway/replay/compare.py",
    "gateway/replay/drawn.py",
    "gateway/replay/matching.py",
    "gateway/replay/pace.py",
    "gateway/replay/volatile.py",
    "gateway/setup/edits.py",
    "gateway/setup/texts.py",
    "gateway/sse.py",
    "gateway/store/items.py",
    "gateway/types.py",
    "gateway/upstream_error.py",
    "gateway/view/assembled.py",
    "gateway/view/changes.py",
    "gateway/view/told.py",
    "gateway/view/trimmed.py",
)


def main() -> int:
    """Report what is not covered; return the exit code."""
    data = coverage.Coverage()
    data.load()
    text = io.StringIO()
    total = data.report(include=PURE, file=text)
    if total < 100:
        print(text.getvalue(), file=sys.stderr)
        print("The pure rooms must be covered completely.", file=sys.stderr)
        return 1
    print("Pure rooms: every branch is covered.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
