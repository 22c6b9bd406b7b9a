"""The kubelet's expansion of `$(NAME)` in env, command and args, as third_party/forked/golang/expansion/expand.go."""

from __future__ import annotations

from collections.abc import Mapping


def expand(text: str, variables: Mapping[str, str]) -> str:
    """The text as the container gets it: `$$` is a dollar, an unknown `$(NAME)` and a lone `$` stay."""
    out = []
    checkpoint = cursor = 0
    while cursor < len(text):
        if text[cursor] == "$" and cursor + 1 < len(text):
            out.append(text[checkpoint:cursor])
            read, is_variable, advance = _try_read(text[cursor + 1 :])
            out.append(variables.get(read, f"$({read})") if is_variable else read)
            cursor += advance
            checkpoint = cursor + 1
        cursor += 1
    return "".join(out) + text[checkpoint:]


def _try_read(text: str) -> tuple[str, bool, int]:
    if text[0] == "$":
        return "$", False, 1
    if text[0] == "(":
        end = text.find(")")
        return (text[1:end], True, end + 1) if end >= 0 else ("$(", False, 1)
    return "$" + text[0], False, 1
