"""The Agents SDK with two tools, going on by `previous_response_id`, streamed and whole; prints what came of it."""

import asyncio
import json
import sys

from agents import Agent, OpenAIProvider, RunConfig, Runner, function_tool, set_tracing_disabled


@function_tool
def get_weather(city: str) -> str:
    """Tells the weather."""
    return f"sun in {city}"


@function_tool
def get_size(city: str) -> str:
    """Tells the size."""
    return f"{city} is big"


async def main() -> None:
    base_url, key, model = sys.argv[1:]
    set_tracing_disabled(True)
    agent = Agent(name="a", instructions="Be brief.", model=model, tools=[get_weather, get_size])
    provider = OpenAIProvider(base_url=base_url, api_key=key, use_responses=True)
    options = {"run_config": RunConfig(model_provider=provider), "auto_previous_response_id": True}
    first = Runner.run_streamed(agent, "How is Paris, and how big?", **options)
    async for _ in first.stream_events():
        pass
    second = await Runner.run(agent, "Thanks.", previous_response_id=first.last_response_id, **options)
    print(json.dumps({"first": first.final_output, "second": second.final_output}))


asyncio.run(main())
