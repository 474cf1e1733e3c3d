"""One line for each dialect."""

from __future__ import annotations

from gateway.dialects import Dialect
from gateway.dialects.chat import wire as chat_wire
from gateway.dialects.chat.client_request import to_chat as chat_to_chat
from gateway.dialects.chat.decode import Decoder as ChatDecoder
from gateway.dialects.chat.encode import Encoder as ChatEncoder
from gateway.dialects.chat.request import for_upstream
from gateway.dialects.messages import wire as messages_wire
from gateway.dialects.messages.encode import Encoder as MessagesEncoder
from gateway.dialects.messages.request import to_chat as messages_to_chat
from gateway.dialects.responses.decode import Decoder as ResponsesDecoder
from gateway.dialects.responses.encode import CompactionEncoder, stream_error
from gateway.dialects.responses.encode import Encoder as ResponsesEncoder
from gateway.dialects.responses.from_chat import fitted, from_chat, unsent
from gateway.dialects.responses.request import compact_to_chat
from gateway.dialects.responses.request import to_chat as responses_to_chat

CHAT = Dialect(
    "chat",
    chat_wire.encode_error,
    chat_wire.stream_error,
    to_chat=chat_to_chat,
    encoder=ChatEncoder,
    from_chat=for_upstream,
    decoder=ChatDecoder,
)
RESPONSES = Dialect(
    "responses",
    chat_wire.encode_error,
    stream_error,
    to_chat=responses_to_chat,
    encoder=ResponsesEncoder,
    from_chat=from_chat,
    unsent=unsent,
    fitted=fitted,
    decoder=ResponsesDecoder,
    reads_store=True,
    keeps_answers=True,
)
COMPACTION = Dialect(
    "responses/compact",
    chat_wire.encode_error,
    to_chat=compact_to_chat,
    encoder=CompactionEncoder,
    reads_store=True,
)
"""`POST /v1/responses/compact`: a Responses request whose answer has a form of its own."""
MESSAGES = Dialect(
    "messages", messages_wire.encode_error, to_chat=messages_to_chat, encoder=MessagesEncoder, keeps_sealed=True
)

UPSTREAMS = {"chat": CHAT, "responses": RESPONSES}
"""What the upstream may speak, by the setting `backend_api`."""
