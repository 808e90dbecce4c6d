"""The one tree of errors; a test holds this drawing to the classes.

JobError                          code, retryable
├── Rejected                      rejected: the caller must change something; never retried
│   ├── InvalidInput              invalid_input
│   ├── MalformedRequest          malformed_request
│   ├── NotAuthenticated          not_authenticated
│   ├── Forbidden                 forbidden
│   ├── NotFound                  not_found
│   ├── UnknownJobType            unknown_job_type
│   ├── IdempotencyConflict       idempotency_conflict
│   ├── SingletonBusy             singleton_busy
│   ├── AlreadyThere              already_there
│   ├── WrongState                wrong_state
│   ├── NothingApproved           nothing_approved
│   ├── ItemNotRetryable          item_not_retryable
│   └── BodyTooLarge              body_too_large
├── PlanFailed                    plan_failed: the job type broke while it listed the items
├── Overtaken                     overtaken: the job changed while its items were listed; retried
├── ItemFailed                    item_failed: one item cannot be done; the job goes on
├── ProviderRejected              provider_rejected: the provider refuses us; the job pauses itself
├── ProviderBusy                  provider_busy: try again, perhaps after a given time
├── NotStored                     not_stored: results cannot be stored, and no outage is to blame
├── Unavailable                   unavailable: a dependency did not answer; retried
│   ├── StillUnavailable          unavailable, and somebody has waited for it already
│   └── TemporalUnavailable       temporal_unavailable
└── Fenced                        fenced: a later epoch began; nothing is written

Core knows no HTTP and no Temporal: `api/errors.py` and `worker/errors.py` translate.
"""

from datetime import timedelta
from typing import ClassVar

# The code of an error that is none of these.
UNEXPECTED = "unexpected"


class JobError(Exception):
    """Something a caller or an operator can act upon."""

    code: ClassVar[str] = "job_error"
    retryable: ClassVar[bool] = False

    @property
    def sentence(self) -> str:
        """One sentence for a person; it quotes no prompt, row or secret."""
        return str(self.args[0]) if self.args else (self.__doc__ or "").splitlines()[0]


class Rejected(JobError):
    """The request cannot be carried out as it stands."""

    code = "rejected"


class InvalidInput(Rejected):
    """A value is missing or wrong.

    Args:
        sentence: What is wrong and what to do.
        fields: Where, as JSON pointers with a reason each.
    """

    code = "invalid_input"

    def __init__(self, sentence: str, fields: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(sentence)
        self.fields = fields


class MalformedRequest(Rejected):
    """A query parameter, cursor or header cannot be read."""

    code = "malformed_request"


class NotAuthenticated(Rejected):
    """No valid bearer token was sent."""

    code = "not_authenticated"


class Forbidden(Rejected):
    """The caller's roles do not allow this."""

    code = "forbidden"


class NotFound(Rejected):
    """There is nothing here that the caller may see."""

    code = "not_found"


class UnknownJobType(Rejected):
    """The catalog does not list this job type."""

    code = "unknown_job_type"


class IdempotencyConflict(Rejected):
    """This Idempotency-Key was used with another body."""

    code = "idempotency_conflict"


class SingletonBusy(Rejected):
    """Such a job is already running with other parameters.

    Args:
        sentence: What the caller may know.
        job_id: The running job, or None where the caller may not see it.
    """

    code = "singleton_busy"

    def __init__(self, sentence: str, job_id: str | None = None) -> None:
        super().__init__(sentence)
        self.job_id = job_id


class AlreadyThere(Rejected):
    """Something else has this name."""

    code = "already_there"


class WrongState(Rejected):
    """The status of the job or version does not allow this."""

    code = "wrong_state"


class NothingApproved(Rejected):
    """Nobody has approved anything that the job could work on."""

    code = "nothing_approved"


class ItemNotRetryable(Rejected):
    """A named item does not exist or is already done."""

    code = "item_not_retryable"


class BodyTooLarge(Rejected):
    """The request body is over 1 MiB; send references, not contents."""

    code = "body_too_large"


class PlanFailed(JobError):
    """The job type broke while it listed the items.

    Args:
        error_id: Where the log says more.
    """

    code = "plan_failed"

    def __init__(self, error_id: str) -> None:
        super().__init__(
            f"The items could not be listed because of a fault in the job type; the log "
            f"says more under error {error_id}. Retry the job once that is fixed."
        )


class Overtaken(JobError):
    """The job was cancelled or replaced while its items were listed."""

    code = "overtaken"
    retryable = True


class ItemFailed(JobError):
    """One item cannot be done; its reason is stored and the job goes on.

    Args:
        code: Stable word for programs, snake_case.
        sentence: The reason, without quoting prompts, rows or documents.
        again: Whether the same item may succeed when it is tried again at once.
    """

    code = "item_failed"

    def __init__(self, code: str, sentence: str, *, again: bool = False) -> None:
        super().__init__(sentence)
        self.item_code = code
        self.again = again


class ProviderRejected(JobError):
    """The model provider refuses our credentials, model or quota."""

    code = "provider_rejected"


RATE_LIMITED = "rate_limited"


class ProviderBusy(JobError):
    """The model provider cannot answer now.

    Args:
        sentence: What happened.
        reason: `RATE_LIMITED`, or `overloaded`, `server_error`, `timeout`, `connection`.
        retry_after: How long the provider asks everyone to wait, if it does.
    """

    code = "provider_busy"
    retryable = True

    def __init__(self, sentence: str, *, reason: str, retry_after: timedelta | None = None) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.retry_after = retry_after


class NotStored(JobError):
    """Results cannot be stored because of an internal fault.

    Args:
        error_id: Where the log says more.
    """

    code = "not_stored"

    def __init__(self, error_id: str) -> None:
        super().__init__(f"Results cannot be stored; the log has error {error_id}.")


class Unavailable(JobError):
    """A dependency did not answer in time."""

    code = "unavailable"
    retryable = True


class StillUnavailable(Unavailable):
    """A retry loop has already given up on this; do not retry again."""


class TemporalUnavailable(Unavailable):
    """Temporal cannot be reached; controls cannot be delivered right now."""

    code = "temporal_unavailable"


class Fenced(JobError):
    """A later epoch began; nothing is written under the old one."""

    code = "fenced"
