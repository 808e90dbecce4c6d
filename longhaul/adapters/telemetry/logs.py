"""Structured log lines. For an exception they have the kind and the place, never the text."""

import logging
import sys
import traceback
import uuid
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

_QUIET = ("httpx", "httpx2", "httpcore", "httpcore2", "openai", "anthropic", "alembic")

_MAX_FRAMES = 12


def configure_logging(stream: TextIO = sys.stderr, level: int = logging.INFO) -> None:
    """Send every logger's lines to one stream as JSON."""
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _name_exception,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(default=str),
        ],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _name_exception(
    logger: object, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace an exception by its kinds and frames: its text may quote data."""
    info = event.pop("exc_info", None)
    exc = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(exc, BaseException):
        event["raised"] = describe_exception(exc)
    return event


def describe_exception(exc: BaseException) -> list[str]:
    """The kinds of an exception and its causes, and where each was raised."""
    lines = []
    seen: BaseException | None = exc
    while seen is not None:
        frames = traceback.extract_tb(seen.__traceback__)[-_MAX_FRAMES:]
        places = " < ".join(f"{f.name} ({f.filename}:{f.lineno})" for f in reversed(frames))
        lines.append(f"{type(seen).__module__}.{type(seen).__qualname__} at {places or 'nowhere'}")
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return lines


class LoggedErrors:
    """Files errors into the log."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("longhaul")

    def file(self, error: BaseException, **where: object) -> str:
        """Log an exception's kind and place under a new error id, and return the id."""
        error_id = uuid.uuid4().hex[:12]
        self._log.error("fault", error_id=error_id, raised=describe_exception(error), **where)
        return error_id
