"""Pause and resume: what is asked for, and what follows from it."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from longhaul.core.errors import InvalidInput
from longhaul.core.jobs import Pause, RunMode

SYSTEM = "longhaul"
REMEMBERED_REQUESTS = 500
LONGEST_REQUEST_ID = 64
MAX_TEXT = 500

_PAUSE_MODES = (RunMode.DRAIN, RunMode.NOW)


class Action(StrEnum):
    """What can be asked of a running job."""

    PAUSE = "pause"
    RESUME = "resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One request to pause or resume; the same `request_id` twice counts once."""

    action: Action
    mode: RunMode = RunMode.DRAIN
    until: datetime | None = None
    by: str = ""
    reason: str = ""
    request_id: str = ""

    def as_pause(self) -> Pause:
        """The pause that this request asks for."""
        return Pause(mode=self.mode, by=self.by, reason=self.reason, until=self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """What running chunks obey: a newer generation whose mode is not `run` stops them."""

    attempt: int
    generation: int
    mode: RunMode

    def __str__(self) -> str:
        return f"{self.attempt}:{self.generation}:{self.mode}"

    @classmethod
    def parse(cls, text: str) -> "Flag":
        """Read a flag as Redis stores it."""
        attempt, generation, mode = text.split(":")
        return cls(attempt=int(attempt), generation=int(generation), mode=RunMode(mode))

    def is_news(self, attempt: int, generation: int) -> bool:
        """Whether this is newer than a generation of an attempt that was applied."""
        return self.attempt == attempt and self.generation > generation


def read_control(action: str, message: object) -> Control:
    """Read a control as a client sends it: a mapping, or nothing at all.

    Raises:
        InvalidInput: The action, the mode or the time cannot be read.
    """
    if message is None:
        message = {}
    if not isinstance(message, Mapping):
        raise InvalidInput('Send a JSON object such as {"mode": "drain"}, or nothing.')
    return Control(
        action=_action(action),
        mode=_mode(message.get("mode") or RunMode.DRAIN),
        until=read_time(message.get("until")),
        by=clean_text(message.get("by")),
        reason=clean_text(message.get("reason")),
        request_id=_request_id(message.get("request_id")),
    )


def _action(action: str) -> Action:
    if action not in list(Action):
        raise InvalidInput(f"Unknown action {action[:40]!r}: send one of {', '.join(Action)}.")
    return Action(action)


def _mode(mode: object) -> RunMode:
    if mode not in _PAUSE_MODES:
        raise InvalidInput(
            f"Unknown mode {str(mode)[:40]!r}: send one of {', '.join(_PAUSE_MODES)}."
        )
    return RunMode(str(mode))


def read_time(value: object) -> datetime | None:
    """Read a time that a client sent.

    Raises:
        InvalidInput: It is not an RFC 3339 time, or has no time zone.
    """
    if value is None or value == "":
        return None
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise InvalidInput(
            "`until` must be an RFC 3339 time such as 2026-01-02T03:04:05Z."
        ) from None
    if time.tzinfo is None:
        raise InvalidInput("`until` needs a time zone; write UTC times with a trailing Z.")
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise InvalidInput("`until` is outside of the calendar in UTC.") from None


def clean_text(value: object) -> str:
    """A caller's text as it can be stored: no NUL, no half of a surrogate pair, not long."""
    text = "" if value is None else str(value)
    return text[:MAX_TEXT].replace("\0", "").encode(errors="replace").decode()


def _request_id(value: object) -> str:
    """A workflow carries 500 of them, so a long one is replaced by its hash."""
    text = clean_text(value)
    if len(text) <= LONGEST_REQUEST_ID:
        return text
    return hashlib.sha256(str(value).encode(errors="replace")).hexdigest()


def settle(current: Pause | None, controls: Iterable[Control]) -> Pause | None:
    """The result of a sequence of requests: a pause, or None for running.

    The last request decides. A second pause can only tighten the mode of the
    first: after `now` it cannot become `drain`.
    """
    pause = current
    for control in controls:
        if control.action is Action.RESUME:
            pause = None
        elif pause is not None and pause.mode is RunMode.NOW:
            pause = replace(control.as_pause(), mode=RunMode.NOW)
        else:
            pause = control.as_pause()
    return pause


def remember(seen: list[str], request_id: str) -> bool:
    """Note a request id and say whether it is new; an empty id is always new."""
    if not request_id:
        return True
    if request_id in seen:
        return False
    seen.append(request_id)
    del seen[:-REMEMBERED_REQUESTS]
    return True


def control_message(control: Control) -> dict[str, Any]:
    """The control as clients send it."""
    return {
        "mode": str(control.mode),
        "until": control.until.isoformat() if control.until else None,
        "by": control.by,
        "reason": control.reason,
        "request_id": control.request_id,
    }
