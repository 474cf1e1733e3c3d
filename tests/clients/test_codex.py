"""The real Codex works through the gateway on a model that only speaks Chat Completions.

Each test asserts effects: files on disk, what Codex shows, what reached the upstream.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from tests.support.answers import Answer, Chat, chat_call, chat_calls, chat_text, error
from tests.support.chat_bodies import images_of, outputs_of, text_of, tool_names, whole_text
from tests.support.clients import KEY, Codex, codex_commands, codex_errors, codex_text, png
from tests.support.upstream import Request, Upstream

pytestmark = pytest.mark.clients


def shell(command: str, **options: str) -> Chat:
    return chat_call("exec_command", {"cmd": command}, **options)


# --- everyday work ------------------------------------------------------------------------------------------


def test_a_plain_text_is_shown(codex: Codex, upstream: Upstream) -> None:
    upstream.answers(chat_text("Hello from the model."))
    run = codex.exec("Say hello.")

    assert run.code == 0, run
    assert codex_text(run) == "Hello from the model."
    assert "metadata" not in codex_errors(run)
    (request,) = upstream.asked
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.json["messages"][0]["role"] == "system"
    assert {message["role"] for message in request.json["messages"][1:]} == {"user"}
    assert text_of(request.json["messages"][-1]).endswith("Say hello.")
    assert request.json["stream_options"] == {"include_usage": True}


def test_a_shell_command_creates_a_file(codex: Codex, upstream: Upstream) -> None:
    upstream.answers(shell("echo made > made.txt && echo told", reasoning="A file is wanted."), chat_text("Done."))
    run = codex.exec("Make a file.")

    assert run.code == 0, run
    assert codex_text(run) == "Done."
    assert (codex.work / "made.txt").read_text() == "made\n"
    *_, call, output = upstream.chats[1]["messages"]
    assert call["reasoning_content"] == "A file is wanted."
    assert [entry["function"]["name"] for entry in call["tool_calls"]] == ["exec_command"]
    assert output["role"] == "tool"
    assert output["tool_call_id"] == call["tool_calls"][0]["id"]
    assert "told" in output["content"]


def test_two_parallel_calls_both_run(codex: Codex, upstream: Upstream) -> None:
    commands = [("exec_command", {"cmd": f"echo {name} > {name}.txt; echo out-{name}"}) for name in ("a", "b")]
    upstream.answers(chat_calls(*commands, text="Both at once."), chat_text("Done."))
    run = codex.exec("Make two files.")

    assert run.code == 0, run
    assert [(codex.work / f"{name}.txt").read_text() for name in ("a", "b")] == ["a\n", "b\n"]
    *_, call, first, second = upstream.chats[1]["messages"]
    assert call["content"] == "Both at once."
    assert [entry["id"] for entry in call["tool_calls"]] == [first["tool_call_id"], second["tool_call_id"]]
    assert "out-a" in first["content"]
    assert "out-b" in second["content"]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        pytest.param(shell("exit 3"), "exited with code 3", id="exit-code"),
        pytest.param(chat_call("no_such_tool", {}), "unsupported call: no_such_tool", id="unknown-tool"),
        pytest.param(chat_call("exec_command", {"cmd": 7}), "failed to parse function arguments", id="wrong-type"),
    ],
)
def test_a_tool_error_reaches_the_model(codex: Codex, upstream: Upstream, call: Chat, told: str) -> None:
    upstream.answers(call, chat_text("I see."))
    run = codex.exec("Try it.")

    assert run.code == 0, run
    assert codex_text(run) == "I see."
    assert told in outputs_of(upstream.chats[1])[-1]


def test_a_turn_of_five_calls(codex: Codex, upstream: Upstream) -> None:
    calls = [shell(f"echo {n} >> steps.txt", id=f"call_{n}", reasoning=f"Step {n}.") for n in range(1, 6)]
    upstream.answers(*calls, chat_text("All five."))
    run = codex.exec("Do five steps.")

    assert run.code == 0, run
    assert codex_text(run) == "All five."
    assert (codex.work / "steps.txt").read_text() == "1\n2\n3\n4\n5\n"
    histories = [body["messages"] for body in upstream.chats]
    assert len(histories) == 6
    # The upstream's prefix cache needs every history to begin with the one before it.
    for earlier, later in itertools.pairwise(histories):
        assert later[: len(earlier)] == earlier
        assert [message["role"] for message in later[len(earlier) :]] == ["assistant", "tool"]
    thoughts = [message.get("reasoning_content") for message in histories[-1] if message["role"] == "assistant"]
    assert thoughts == [f"Step {n}." for n in range(1, 6)]


# --- faults -------------------------------------------------------------------------------------------------


def test_a_500_is_tried_again(codex: Codex, upstream: Upstream) -> None:
    upstream.answers(error(500), chat_text("Back again."))
    run = codex.exec("Say hello.")

    assert run.code == 0, run
    assert codex_text(run) == "Back again."
    assert len(upstream.asked) == 2


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(chat_text("This text will never be finished.").streamed().cut(700), id="text"),
        pytest.param(shell("touch half.txt && touch half.txt").streamed().cut(500), id="call"),
        pytest.param(chat_text("This text ends in a reset.").streamed().reset(700), id="reset"),
    ],
)
def test_a_cut_stream_is_tried_again(codex: Codex, upstream: Upstream, broken: Answer) -> None:
    upstream.answers(broken, shell("echo whole > whole.txt"), chat_text("Whole."))
    run = codex.exec("Say something.")

    assert run.code == 0, run
    assert codex_text(run) == "Whole."
    assert [path.name for path in codex.work.iterdir()] == ["whole.txt"]
    first, second, _ = upstream.chats
    assert first == second


def test_a_context_overflow_is_told_as_such(codex: Codex, upstream: Upstream) -> None:
    words = "This model's maximum context length is 32768 tokens. However, your request has 40000 input tokens."
    upstream.always(error(400, words, type="BadRequestError", code="400"))
    run = codex.exec("Say hello.")

    assert run.code == 1, run
    assert "ran out of room in the model's context window" in codex_errors(run)
    assert len(upstream.asked) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"), [({}, 4.5), ({"retry-after": "1"}, 0.9)], ids=["without-retry-after", "with-retry-after"]
)
def test_a_429_is_waited_for(codex: Codex, upstream: Upstream, headers: dict[str, str], seconds: float) -> None:
    upstream.answers(error(429, "Too many requests.", type="rate_limit_error", headers=headers), chat_text("Served."))
    run = codex.exec("Say hello.")

    assert run.code == 0, run
    assert codex_text(run) == "Served."
    first, second = upstream.asked
    assert seconds <= second.time - first.time < seconds + 4


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(chat_text("Slow but sure.").streamed().late(8), id="before-the-head"),
        pytest.param(chat_text("Slow but sure.").streamed().silent(8, after=2), id="within-the-body"),
    ],
)
def test_silence_beyond_the_idle_timeout_is_bridged(codex: Codex, upstream: Upstream, answer: Answer) -> None:
    codex.provider |= {"stream_idle_timeout_ms": 5000, "stream_max_retries": 0, "request_max_retries": 0}
    upstream.answers(answer)
    run = codex.exec("Say something.")

    assert run.code == 0, run
    assert codex_text(run) == "Slow but sure."
    assert len(upstream.asked) == 1


def test_a_lasting_fault_is_shown_in_the_upstreams_words(codex: Codex, upstream: Upstream) -> None:
    codex.provider |= {"stream_max_retries": 0, "request_max_retries": 0}
    upstream.always(error(502, "The engine is being warmed."))
    run = codex.exec("Say hello.")

    assert run.code == 1, run
    assert "The engine is being warmed." in codex_errors(run)


def test_a_websocket_is_asked_for_in_vain(codex: Codex, upstream: Upstream) -> None:
    codex.provider["supports_websockets"] = True
    upstream.answers(chat_text("Served by POST."))
    run = codex.exec("Say hello.")

    assert run.code == 0, run
    assert codex_text(run) == "Served by POST."
    assert len(upstream.asked) == 1


# --- what is more than function tools -----------------------------------------------------------------------

PATCH = """\
*** Begin Patch
*** Update File: poem.txt
@@
 roses are red
-violets are green
+violets are blue
*** Add File: new.txt
+added "quoted" \\ back
*** End Patch
"""


def test_a_freeform_patch_edits_a_file(codex: Codex, upstream: Upstream) -> None:
    (codex.work / "poem.txt").write_text("roses are red\nviolets are green\n")
    upstream.answers(chat_call("apply_patch", {"input": PATCH}), chat_text("Patched."))
    run = codex.exec("Mend the poem.")

    assert run.code == 0, run
    assert (codex.work / "poem.txt").read_text() == "roses are red\nviolets are blue\n"
    assert (codex.work / "new.txt").read_text() == 'added "quoted" \\ back\n'
    offered, answered = upstream.chats
    assert "apply_patch" in tool_names(offered)
    *_, call, output = answered["messages"]
    assert json.loads(call["tool_calls"][0]["function"]["arguments"]) == {"input": PATCH}
    assert "Exit code: 0" in output["content"] or "Success" in output["content"]


def test_a_call_that_leaks_as_text_runs(codex: Codex, upstream: Upstream) -> None:
    call = json.dumps({"name": "exec_command", "arguments": {"cmd": "echo leaked > leaked.txt"}})
    upstream.answers(chat_text(f"I make it.\n<tool_call>\n{call}\n</tool_call>"), chat_text("Done."))
    run = codex.exec("Make a file.")

    assert run.code == 0, run
    assert codex_text(run) == "Done."
    assert (codex.work / "leaked.txt").read_text() == "leaked\n"
    assert "<tool_call>" not in run.stdout


def test_an_mcp_tool_runs(codex: Codex, upstream: Upstream, tmp_path: Path) -> None:
    codex.add_mcp_server(tmp_path / "calls")
    upstream.answers(chat_call("mcp__probe__add_numbers", {"a": 2, "b": 3}), chat_text("Five."))
    run = codex.exec("Add two and three.")

    assert run.code == 0, run
    assert codex_text(run) == "Five."
    assert json.loads((tmp_path / "calls").read_text()) == {"name": "add_numbers", "arguments": {"a": 2, "b": 3}}
    *_, call, output = upstream.chats[1]["messages"]
    assert call["tool_calls"][0]["function"]["name"] == "mcp__probe__add_numbers"
    assert "sum=5" in output["content"]


def test_a_tool_found_by_search_runs(codex: Codex, upstream: Upstream, tmp_path: Path) -> None:
    # A name that Codex knows from its own catalog, as one whose tools are to be searched for.
    del codex.provider["model_catalog_url"]
    codex.settings["model"] = "gpt-5.5"
    codex.add_mcp_server(tmp_path / "calls")
    upstream.answers(
        chat_call("tool_search", {"query": "add numbers"}, id="call_1"),
        chat_call("mcp__probe__add_numbers", {"a": 20, "b": 3}, id="call_2"),
        chat_text("Twenty-three."),
    )
    run = codex.exec("Add twenty and three.")

    assert run.code == 0, run
    assert json.loads((tmp_path / "calls").read_text())["arguments"] == {"a": 20, "b": 3}
    before, found, after = upstream.chats
    assert "tool_search" in tool_names(before)
    assert "mcp__probe__add_numbers" not in tool_names(before)
    assert "mcp__probe__add_numbers" in tool_names(found)
    assert "sum=23" in outputs_of(after)[-1]


def test_code_mode_runs_its_script(codex: Codex, upstream: Upstream) -> None:
    # In this mode all tools come as an input item, and the shell is called from JavaScript.
    del codex.provider["model_catalog_url"]
    codex.settings["model"] = "gpt-6.1-sol"

    def script(request: Request) -> Chat:
        if request.index:
            return chat_text("Scripted.")
        name = next(name for name in tool_names(request.json) if name.endswith("exec"))
        code = 'const r = await tools.exec_command({cmd: "echo scripted > scripted.txt"}); text(JSON.stringify(r));'
        return chat_call(name, {"input": code})

    upstream.answers_with(script)
    run = codex.exec("Run a script.")

    assert run.code == 0, run
    assert codex_text(run) == "Scripted."
    assert (codex.work / "scripted.txt").read_text() == "scripted\n"


def test_a_sub_agent_works_beside_its_parent(codex: Codex, upstream: Upstream) -> None:
    def script(request: Request) -> Chat:
        body = request.json
        if text_of(body["messages"][-1]).endswith("SUBTASK: make sub.txt"):
            return shell("echo sub > sub.txt", id="call_sub")
        if body["messages"][-1].get("tool_call_id") == "call_sub":
            return chat_text("Sub-agent is done.")
        outputs = outputs_of(body)
        if not outputs:
            return chat_call("multi_agent_v1__spawn_agent", {"message": "SUBTASK: make sub.txt"}, id="call_spawn")
        if len(outputs) == 1:
            agent = json.loads(outputs[0])["agent_id"]
            return chat_call("multi_agent_v1__wait_agent", {"targets": [agent], "timeout_ms": 20000}, id="call_wait")
        return chat_text("Both are done.")

    upstream.answers_with(script)
    run = codex.exec("Let somebody make sub.txt.")

    assert run.code == 0, run
    assert codex_text(run) == "Both are done."
    assert (codex.work / "sub.txt").read_text() == "sub\n"
    waited = next(body for body in upstream.chats if len(outputs_of(body)) == 2)
    assert "Sub-agent is done." in outputs_of(waited)[1]


# --- threads ------------------------------------------------------------------------------------------------


def test_a_resumed_thread_has_its_history(codex: Codex, upstream: Upstream) -> None:
    upstream.answers(
        shell("echo first", reasoning="First thought."), chat_text("First answer."), chat_text("Second answer.")
    )
    first = codex.exec("First question.")
    second = codex.exec("resume", "--last", "Second question.")

    assert (first.code, second.code) == (0, 0), f"{first}\n{second}"
    assert codex_text(second) == "Second answer."
    before, after = (body["messages"] for body in upstream.chats[1:])
    assert after[: len(before)] == before
    assert before[-2]["reasoning_content"] == "First thought."
    assert [text_of(message) for message in after[len(before) :]] == ["First answer.", "Second question."]


def test_an_output_schema_reaches_the_upstream(codex: Codex, upstream: Upstream, tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "integer"}},
        "required": ["answer"],
        "additionalProperties": False,
    }
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    upstream.answers(chat_text('{"answer": 42}'))
    run = codex.exec("--output-schema", str(tmp_path / "schema.json"), "How much?")

    assert run.code == 0, run
    assert json.loads(codex_text(run)) == {"answer": 42}
    wanted = upstream.chats[0]["response_format"]
    assert wanted["type"] == "json_schema"
    assert wanted["json_schema"]["schema"] == schema
    assert wanted["json_schema"]["strict"] is True


def test_an_image_reaches_the_upstream(codex: Codex, upstream: Upstream, tmp_path: Path) -> None:
    picture = tmp_path / "red.png"
    picture.write_bytes(png(8, 8))
    upstream.answers(chat_call("view_image", {"path": str(picture)}), chat_text("It is red."))
    run = codex.exec("What is in it?", "-i", str(picture))

    assert run.code == 0, run
    assert codex_text(run) == "It is red."
    given, viewed = upstream.chats
    assert [url.partition(",")[0] for url in images_of(given)] == ["data:image/png;base64"]
    # An image that a tool shows comes after the tool's message, as Chat has no images in those.
    assert [message["role"] for message in viewed["messages"][-2:]] == ["tool", "user"]
    assert len(images_of(viewed)) == 2


@pytest.mark.parametrize("provider", ["Gateway", "OpenAI"], ids=["by-prompt", "by-trigger"])
def test_a_long_thread_is_compacted(codex: Codex, upstream: Upstream, provider: str) -> None:
    codex.provider["name"] = provider
    codex.settings["model_auto_compact_token_limit"] = 20000
    upstream.answers(
        shell("echo early-output").with_usage(30000, 10),
        chat_text("SUMMARY: the early work is done.").with_usage(30100, 20),
        chat_text("Finished.").with_usage(2000, 5),
    )
    run = codex.exec("Work for long.")

    assert run.code == 0, run
    assert codex_text(run) == "Finished."
    summing_up, after = upstream.chats[1:]
    assert "early-output" in whole_text(summing_up)
    assert "tool_choice" not in summing_up or summing_up["tools"]
    assert "SUMMARY: the early work is done." in whole_text(after)
    assert "Work for long." in whole_text(after)
    assert outputs_of(after) == []


def test_commands_are_shown_with_their_output(codex: Codex, upstream: Upstream) -> None:
    upstream.answers(shell("echo shown"), chat_text("Done."))
    run = codex.exec("Show something.")

    (command,) = codex_commands(run)
    assert command["aggregated_output"] == "shown\n"
    assert command["exit_code"] == 0
