"""The page is one document, and its policy lets nothing else run or be loaded."""

from __future__ import annotations

import base64
import hashlib
import re

from gateway.page.document import page


def test_the_policy_is_for_this_very_script_and_style() -> None:
    html, policy = page()
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html.decode(), re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy


def test_nothing_is_loaded_from_elsewhere() -> None:
    text = page().html.decode()
    assert not re.search(r"(src|href)=\"(?!data:,)([^\"]*:|//)", text)
    assert "http://" not in text
    assert "https://" not in text


def test_the_script_makes_no_markup_of_what_others_wrote() -> None:
    text = page().html.decode()
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "localStorage", "cookie"):
        assert word not in text
    assert not re.search(r"\son[a-z]+=", text)
    assert "style=" not in text
