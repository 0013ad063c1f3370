"""The files of `cact.save` taken apart and put together again, for tests of hostile ones."""

from __future__ import annotations

import json
import struct
from typing import Any


def parts(content: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Header without metadata, description, numbers."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    return header, json.loads(header.pop("__metadata__")["cact"]), content[end:]


def joined(header: Any, description: Any, data: bytes) -> bytes:
    """The reverse; either may be other JSON, or text as it is."""
    if not isinstance(description, str):
        description = json.dumps(description)
    if isinstance(header, dict):
        header = json.dumps({"__metadata__": {"cact": description}, **header})
    text = header if isinstance(header, bytes) else header.encode()
    return struct.pack("<Q", len(text)) + text + data


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a piece of JSON."""
    items = list(
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [(value, key) for key, _ in items] + [place for _, inner in items for place in places(inner)]
