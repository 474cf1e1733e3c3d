"""The page as a document: nothing that was recorded can become markup, and the policy holds all that runs."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re

from gateway.view.document import block, closing, opening

EVIL = "</script><script>alert(1)</script><!--\u2028"


def test_blocks_hold_no_markup() -> None:
    packed = block(3, {"text": EVIL})
    match = re.fullmatch(rb'<script type="text/plain" id="x3">([A-Za-z0-9+/=]+)</script>\n', packed)
    assert match
    assert json.loads(gzip.decompress(base64.b64decode(match[1]))) == {"text": EVIL}


def test_the_list_holds_no_markup() -> None:
    listed = closing({"name": EVIL}, [[EVIL]]).partition(b"</script>")[0]
    text = listed.partition(b'id="list">')[2]
    assert b"<" not in text
    assert json.loads(text)["rows"] == [[EVIL]]


def test_the_title_holds_no_markup() -> None:
    assert b"<title>&lt;b&gt; &amp;</title>" in opening("<b> &")


def test_the_policy_names_this_script_and_this_style_and_nothing_else() -> None:
    page = (opening("x") + closing({}, [])).decode()
    policy = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[0]
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)[0]
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)[0]
    for kind, text in (("style", style), ("script", script)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "connect-src" not in policy
    assert "innerHTML" not in script
