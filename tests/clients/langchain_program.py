"""LangChain with `use_previous_response_id`: two tools, then another question; prints what came of it."""

import json
import sys

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI


@tool
def get_weather(city: str) -> str:
    """Tells the weather."""
    return f"sun in {city}"


@tool
def get_size(city: str) -> str:
    """Tells the size."""
    return f"{city} is big"


base_url, key, model = sys.argv[1:]
chat = ChatOpenAI(
    model=model, base_url=base_url, api_key=key, use_responses_api=True, use_previous_response_id=True, max_retries=0
).bind_tools([get_weather, get_size])
tools = {one.name: one for one in (get_weather, get_size)}
messages = [HumanMessage("How is Paris, and how big?")]
while True:
    answer = chat.invoke(messages)
    messages.append(answer)
    if not answer.tool_calls:
        break
    for call in answer.tool_calls:
        messages.append(ToolMessage(tools[call["name"]].invoke(call["args"]), tool_call_id=call["id"]))
messages.append(HumanMessage("Thanks."))
second = chat.invoke(messages)
print(json.dumps({"first": answer.text, "second": second.text}))
