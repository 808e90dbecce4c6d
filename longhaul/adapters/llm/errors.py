"""What a provider's error means for an item or a job. Our sentences do not quote it."""

from datetime import timedelta

from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    ModelNotFoundError,
    ModelOverloadedError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelRequestRejectedError,
    ModelTimeoutError,
    UnexpectedModelBehavior,
)

from longhaul.core.errors import RATE_LIMITED, ItemFailed, JobError, ProviderBusy, ProviderRejected

# The longest wait that a provider can ask for.
LONGEST_RETRY_AFTER = timedelta(hours=1)

_REFUSED = {
    ModelQuotaExceededError: (
        "The model provider says that the account's quota or credit is used up; top it up or "
        "raise its limit, then resume the job."
    ),
    ModelAuthenticationError: (
        "The model provider refuses the key; set LONGHAUL_LLM__API_KEY to one that may use the "
        "model, restart the workers, then resume the job."
    ),
    ModelNotFoundError: (
        "The model provider does not know the model or the address; set LONGHAUL_LLM__MODEL or "
        "LONGHAUL_LLM__BASE_URL, restart the workers, then start the job again."
    ),
}

_BUSY = {
    ModelRateLimitError: (RATE_LIMITED, "The model provider asks us to slow down."),
    ModelOverloadedError: ("overloaded", "The model provider is overloaded."),
    ModelTimeoutError: ("timeout", "The connection to the model provider timed out."),
    ModelConnectionError: ("connection", "The model provider cannot be reached."),
}

_ITEM = {
    ModelContextWindowExceededError: (
        "context_too_long",
        "The request is longer than the model can read.",
    ),
    ModelRequestRejectedError: (
        "request_rejected",
        "The model provider rejects this request as it stands.",
    ),
}

# Statuses for which pydantic-ai has no category.
_REQUEST_TIMEOUT = 408
_TOO_LARGE = 413
_CLIENT_ERRORS = range(400, 500)
_COME_AGAIN = {409, 425}


def translated(error: ModelAPIError | UnexpectedModelBehavior) -> JobError:
    """Our error for a provider's; it says what to do."""
    for kind, sentence in _REFUSED.items():
        if isinstance(error, kind):
            return ProviderRejected(sentence)
    for kind, (reason, sentence) in _BUSY.items():
        if isinstance(error, kind):
            return ProviderBusy(sentence, reason=reason, retry_after=_retry_after(error))
    for kind, (code, sentence) in _ITEM.items():
        if isinstance(error, kind):
            return ItemFailed(code, sentence)
    if isinstance(error, ModelHTTPError) and error.status_code in _CLIENT_ERRORS:
        return _uncategorised(error)
    return ProviderBusy(
        "The model provider had an internal error.",
        reason="server_error",
        retry_after=_retry_after(error),
    )


def _uncategorised(error: ModelHTTPError) -> JobError:
    if error.status_code == _TOO_LARGE:
        return ItemFailed(*_ITEM[ModelContextWindowExceededError])
    if error.status_code == _REQUEST_TIMEOUT or error.status_code in _COME_AGAIN:
        return ProviderBusy(
            "The model provider gave up on the request.",
            reason="timeout" if error.status_code == _REQUEST_TIMEOUT else "server_error",
            retry_after=_retry_after(error),
        )
    return ItemFailed(*_ITEM[ModelRequestRejectedError])


def _retry_after(error: ModelAPIError | UnexpectedModelBehavior) -> timedelta | None:
    seconds = error.retry_after if isinstance(error, ModelAPIError) else None
    if seconds is None:
        return None
    return timedelta(seconds=min(seconds, LONGEST_RETRY_AFTER.total_seconds()))
