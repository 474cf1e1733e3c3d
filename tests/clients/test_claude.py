"""The real Claude Code works through the gateway on a model that only speaks Chat Completions.

Each test asserts effects: files on disk, what Claude Code shows, what reached the upstream.
"""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest

from tests.support.answers import JSON, Answer, Chat, chat_call, chat_calls, chat_text, error
from tests.support.chat_bodies import images_of, outputs_of, text_of, tool_names, whole_text
from tests.support.clients import KEY, Claude, claude_result, png
from tests.support.upstream import Request, Upstream

pytestmark = pytest.mark.clients


def bash(command: str, **options: str) -> Chat:
    return chat_call("Bash", {"command": command, "description": "A step"}, **options)


def history_of(upstream: Upstream, index: int) -> list[JSON]:
    messages: list[JSON] = upstream.chats[index]["messages"]
    return messages


# --- everyday work ------------------------------------------------------------------------------------------


def test_a_plain_text_is_shown(claude: Claude, upstream: Upstream) -> None:
    upstream.answers(chat_text("Hello from the model.").with_usage(1234, 56))
    run = claude.ask("Say hello.")

    assert run.code == 0, run
    result = claude_result(run)
    assert result["result"] == "Hello from the model."
    assert result["stop_reason"] == "end_turn"
    assert (result["usage"]["input_tokens"], result["usage"]["output_tokens"]) == (1234, 56)
    (request,) = upstream.asked
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert "x-api-key" not in request.headers
    body = request.json
    assert body["model"] == claude.model
    assert body["max_tokens"] <= 16000
    assert [message["role"] for message in body["messages"]].count("system") == 1
    assert "Say hello." in whole_text(body)
    # It differs in every conversation, and at the head it would cost the upstream's prefix cache.
    assert "x-anthropic-billing-header" not in whole_text(body)


def test_bash_creates_a_file(claude: Claude, upstream: Upstream) -> None:
    upstream.answers(bash("echo made > made.txt && echo told", reasoning="A file is wanted."), chat_text("Done."))
    run = claude.ask("Make a file.")

    assert run.code == 0, run
    assert claude_result(run)["result"] == "Done."
    assert (claude.work / "made.txt").read_text() == "made\n"
    call, output = history_of(upstream, 1)[-2:]
    assert call["reasoning_content"] == "A file is wanted."
    assert output["tool_call_id"] == call["tool_calls"][0]["id"]
    assert "told" in text_of(output)


def test_a_file_is_written_edited_and_read(claude: Claude, upstream: Upstream) -> None:
    path = str(claude.work / "poem.txt")
    change = {"file_path": path, "old_string": "green", "new_string": 'blue "quoted" \\ back'}
    upstream.answers(
        chat_call("Write", {"file_path": path, "content": "roses are red\nviolets are green\n"}, id="call_1"),
        chat_call("Edit", change, id="call_2"),
        chat_call("Read", {"file_path": path}, id="call_3"),
        chat_text("Read."),
    )
    run = claude.ask("Write, mend and read the poem.")

    assert run.code == 0, run
    poem = 'roses are red\nviolets are blue "quoted" \\ back\n'
    assert (claude.work / "poem.txt").read_text() == poem
    assert 'violets are blue "quoted" \\ back' in outputs_of(upstream.chats[3])[-1]
    # The upstream's prefix cache needs every history to begin with the one before it.
    histories = [body["messages"] for body in upstream.chats]
    for earlier, later in itertools.pairwise(histories):
        assert later[: len(earlier)] == earlier


def test_parallel_calls_all_run(claude: Claude, upstream: Upstream) -> None:
    commands = [
        ("Bash", {"command": f"echo {name} > {name}.txt; echo out-{name}", "description": name}) for name in ("a", "b")
    ]
    upstream.answers(chat_calls(*commands, text="Both at once."), chat_text("Done."))
    run = claude.ask("Make two files.")

    assert run.code == 0, run
    assert [(claude.work / f"{name}.txt").read_text() for name in ("a", "b")] == ["a\n", "b\n"]
    call, first, second = history_of(upstream, 1)[-3:]
    assert call["content"] == "Both at once."
    assert [entry["id"] for entry in call["tool_calls"]] == [first["tool_call_id"], second["tool_call_id"]]
    assert "out-a" in text_of(first)
    assert "out-b" in text_of(second)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        pytest.param(bash("echo before; exit 3"), "Exit code 3", id="exit-code"),
        pytest.param(chat_call("Read", {"file_path": "/no/such/file"}), "does not exist", id="no-file"),
        pytest.param(chat_call("NoSuchTool", {}), "No such tool available", id="unknown-tool"),
    ],
)
def test_a_failing_tool_reaches_the_model(claude: Claude, upstream: Upstream, call: Chat, told: str) -> None:
    upstream.answers(call, chat_text("I see."))
    run = claude.ask("Try it.")

    assert run.code == 0, run
    assert claude_result(run)["result"] == "I see."
    assert told in outputs_of(upstream.chats[1])[-1]


def test_an_image_that_is_read_reaches_the_upstream(claude: Claude, upstream: Upstream) -> None:
    picture = claude.work / "red.png"
    picture.write_bytes(png(8, 8))
    upstream.answers(chat_call("Read", {"file_path": str(picture)}), chat_text("It is red."))
    run = claude.ask("Look at the picture.")

    assert run.code == 0, run
    assert claude_result(run)["result"] == "It is red."
    assert [url.partition(",")[0] for url in images_of(upstream.chats[1])] == ["data:image/png;base64"]
    assert [message["role"] for message in upstream.chats[1]["messages"][-2:]] == ["tool", "user"]


def test_an_mcp_tool_is_found_and_runs(claude: Claude, upstream: Upstream, tmp_path: Path) -> None:
    upstream.answers(
        chat_call("ToolSearch", {"query": "select:mcp__probe__add_numbers"}, id="call_1"),
        chat_call("mcp__probe__add_numbers", {"a": 2, "b": 3}, id="call_2"),
        chat_text("Five."),
    )
    run = claude.ask("Add two and three.", *claude.mcp_flags(tmp_path / "calls"))

    assert run.code == 0, run
    assert claude_result(run)["result"] == "Five."
    assert json.loads((tmp_path / "calls").read_text()) == {"name": "add_numbers", "arguments": {"a": 2, "b": 3}}
    assert "mcp__probe__add_numbers" in tool_names(upstream.chats[1])
    assert "sum=5" in outputs_of(upstream.chats[2])[-1]


def test_a_subagent_reports_to_its_parent(claude: Claude, upstream: Upstream) -> None:
    def script(request: Request) -> Chat:
        said = whole_text(request.json)
        if "SUBTASK: count" in said and "Delegate it." not in said:
            return chat_text("The count is 77.")
        if outputs_of(request.json):
            return chat_text("The subagent counted.")
        task = {"description": "count", "prompt": "SUBTASK: count", "subagent_type": "general-purpose"}
        return chat_call("Agent", {**task, "run_in_background": False})

    upstream.answers_with(script)
    run = claude.ask("Delegate it.")

    assert run.code == 0, run
    assert claude_result(run)["result"] == "The subagent counted."
    assert len(upstream.chats) == 3
    assert "The count is 77." in outputs_of(upstream.chats[2])[-1]


def test_structured_output(claude: Claude, upstream: Upstream) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    upstream.answers(chat_call("StructuredOutput", {"n": 7}), chat_text("Done."))
    run = claude.ask("Give a number.", "--json-schema", json.dumps(schema))

    assert run.code == 0, run
    assert claude_result(run)["structured_output"] == {"n": 7}
    assert "StructuredOutput" in tool_names(upstream.chats[0])


def test_the_context_is_counted_here(claude: Claude, upstream: Upstream) -> None:
    run = claude.ask("/context")

    assert run.code == 0, run
    shown = claude_result(run)["result"]
    prompt = re.search(r"\| System prompt \| ([\d.]+)(k?) \|", shown)
    assert prompt is not None, shown
    assert 500 < float(prompt[1]) * (1000 if prompt[2] else 1) < 20000
    assert upstream.asked == []


# --- threads ------------------------------------------------------------------------------------------------


def test_thinking_is_kept_over_two_turns(claude: Claude, upstream: Upstream) -> None:
    upstream.answers(
        bash("echo first", reasoning="First thought.\nIn two lines."),
        chat_text("First answer.", reasoning="Second thought."),
        chat_text("Second answer."),
    )
    first = claude.ask("First question.")
    second = claude.ask("Second question.", "--continue")

    assert (first.code, second.code) == (0, 0), f"{first}\n{second}"
    assert claude_result(second)["result"] == "Second answer."
    answers = [message for message in history_of(upstream, 2) if message["role"] == "assistant"]
    thoughts = [message.get("reasoning_content") for message in answers]
    assert thoughts == ["First thought.\nIn two lines.", "Second thought."]
    assert answers[-1]["content"] == "First answer."
    assert "Second question." in whole_text(upstream.chats[2])


@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum context length is 32768 tokens. However, your request has 40000 input tokens.",
        "request (40000 tokens) exceeds the available context size (32768 tokens), try increasing it",
    ],
    ids=["vllm", "llama-cpp"],
)
def test_a_prompt_too_long_is_compacted(claude: Claude, upstream: Upstream, words: str) -> None:
    def script(request: Request) -> Answer | Chat:
        body = request.json
        if "Respond with TEXT ONLY" in text_of(body["messages"][-1]):
            return chat_text("<summary>SUMMARY: two questions were answered.</summary>")
        if "Third question." in whole_text(body) and "SUMMARY:" not in whole_text(body):
            return error(400, words, type="BadRequestError")
        return chat_text("An answer.")

    upstream.answers_with(script)
    claude.ask("First question.")
    claude.ask("Second question.", "--continue")
    run = claude.ask("Third question.", "--continue")

    assert run.code == 0, run
    assert claude_result(run)["result"] == "An answer."
    after = upstream.chats[-1]
    assert "SUMMARY: two questions were answered." in whole_text(after)
    assert "Third question." in whole_text(after)


# --- faults -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        pytest.param(error(429, "Slow down.", type="rate_limit_error", headers={"retry-after": "1"}), 0.9, id="429"),
        pytest.param(error(500), 0.3, id="500"),
        pytest.param(error(503, "Overloaded."), 0.3, id="503"),
    ],
)
def test_a_fault_is_tried_again(claude: Claude, upstream: Upstream, fault: Answer, seconds: float) -> None:
    upstream.answers(fault, chat_text("Served."))
    run = claude.ask("Say hello.")

    assert run.code == 0, run
    assert claude_result(run)["result"] == "Served."
    first, second = upstream.asked
    assert seconds <= second.time - first.time < seconds + 4


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(chat_text("This text will never be finished.").streamed().cut(700), id="text"),
        pytest.param(bash("touch half.txt && touch half.txt").streamed().cut(500), id="call"),
        pytest.param(chat_text("This text ends in a reset.").streamed().reset(700), id="reset"),
    ],
)
def test_a_cut_stream_is_asked_again(claude: Claude, upstream: Upstream, broken: Answer) -> None:
    upstream.answers(broken, bash("echo whole > whole.txt"), chat_text("Whole."))
    run = claude.ask("Say something.")

    assert run.code == 0, run
    assert claude_result(run)["result"] == "Whole."
    assert [path.name for path in claude.work.iterdir()] == ["whole.txt"]
    first, second, _ = upstream.chats
    assert first["messages"] == second["messages"]


def test_an_unknown_model_is_told(claude: Claude, upstream: Upstream) -> None:
    upstream.always(error(404, "The model does not exist.", type="NotFoundError"))
    run = claude.ask("Say hello.")

    assert run.code == 1, run
    assert "issue with the selected model" in claude_result(run)["result"]


def test_a_request_for_too_long_an_answer_is_sent_again_with_what_fits(claude: Claude, upstream: Upstream) -> None:
    # A name of its own, as the gateway remembers the limit of a model.
    claude.model = "test/unlisted"
    words = (
        "This model's maximum context length is 32768 tokens. However, you requested 40000 tokens "
        "(8000 in the messages, 32000 in the completion). Please reduce the length of the messages or completion."
    )
    upstream.answers(error(400, words, type="BadRequestError"), chat_text("It fits."))
    run = claude.ask("Say hello.")

    assert run.code == 0, run
    assert claude_result(run)["result"] == "It fits."
    first, second = upstream.chats
    assert first["max_tokens"] == 32000
    assert 0 < second["max_tokens"] <= 32768 - 8000


def test_an_alias_stands_for_the_upstreams_name(claude: Claude, upstream: Upstream) -> None:
    claude.model = "claude-test-main"
    upstream.answers(bash("true", reasoning="A thought."), chat_text("Done."))
    run = claude.ask("Do it.")

    assert run.code == 0, run
    assert list(claude_result(run)["modelUsage"]) == ["claude-test-main"]
    assert [body["model"] for body in upstream.chats] == ["test/coder", "test/coder"]
    assert history_of(upstream, 1)[-2]["reasoning_content"] == "A thought."
