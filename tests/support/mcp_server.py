"""A tiny MCP server on standard input and output: one JSON-RPC message a line.

It has the tools `add_numbers` (answers `sum=5` for 2 and 3) and `fail` (answers an error). Where the
environment names a file in MCP_CALLS, each call is appended to it, so that a test can see that it ran.

Reference: Model Context Protocol, revision 2025-06-18, transports/stdio and server/tools.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

_NUMBERS = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "required": ["a", "b"],
}
TOOLS = [
    {"name": "add_numbers", "description": "Add two numbers.", "inputSchema": _NUMBERS},
    {"name": "fail", "description": "Always fails.", "inputSchema": {"type": "object", "properties": {}}},
]


def answer(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    """Return the result of a request, None for a method that is not known."""
    if method == "initialize":
        return {
            "protocolVersion": params.get("protocolVersion", "2025-06-18"),
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "probe", "version": "1.0.0"},
        }
    if method == "tools/list":
        return {"tools": TOOLS}
    if method == "tools/call":
        return call(params["name"], params.get("arguments") or {})
    return {} if method == "ping" else None


def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Run a tool."""
    if record := os.environ.get("MCP_CALLS"):
        with open(record, "a", encoding="utf-8") as file:
            file.write(json.dumps({"name": name, "arguments": arguments}) + "\n")
    if name == "add_numbers":
        return {"content": [{"type": "text", "text": f"sum={arguments['a'] + arguments['b']}"}], "isError": False}
    return {"content": [{"type": "text", "text": "this tool fails"}], "isError": True}


def main() -> None:
    """Serve until standard input ends."""
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            continue
        result = answer(message.get("method", ""), message.get("params") or {})
        outcome = {"error": {"code": -32601, "message": "method not found"}} if result is None else {"result": result}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **outcome}), flush=True)


if __name__ == "__main__":
    main()
