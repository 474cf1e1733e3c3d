"""One line for each dialect."""

from __future__ import annotations

from gateway.dialects import Dialect
from gateway.dialects.chat import wire as chat_wire
from gateway.dialects.chat.decode import Decoder as ChatDecoder
from gateway.dialects.messages import wire as messages_wire
from gateway.dialects.messages.encode import Encoder as MessagesEncoder
from gateway.dialects.messages.request import to_chat as messages_to_chat
from gateway.dialects.responses.encode import CompactionEncoder
from gateway.dialects.responses.encode import Encoder as ResponsesEncoder
from gateway.dialects.responses.request import compact_to_chat
from gateway.dialects.responses.request import to_chat as responses_to_chat

CHAT = Dialect("chat", chat_wire.encode_error, decoder=ChatDecoder)
RESPONSES = Dialect("responses", chat_wire.encode_error, to_chat=responses_to_chat, encoder=ResponsesEncoder)
COMPACTION = Dialect("responses/compact", chat_wire.encode_error, to_chat=compact_to_chat, encoder=CompactionEncoder)
"""`POST /v1/responses/compact`: a Responses request whose answer has a form of its own."""
MESSAGES = Dialect("messages", messages_wire.encode_error, to_chat=messages_to_chat, encoder=MessagesEncoder)
