"""The one translator from our errors to Temporal's."""

from typing import Any, NoReturn

from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

from longhaul.core.errors import UNEXPECTED, JobError
from longhaul.core.ports import ErrorReporter


class ErrorInterceptor(Interceptor):
    """Keeps drivers' texts, rows and prompts out of Temporal's history."""

    def __init__(self, errors: ErrorReporter) -> None:
        self._errors = errors

    def intercept_activity(
        self,
        next: ActivityInboundInterceptor,
    ) -> ActivityInboundInterceptor:
        """Wrap every activity."""
        return _Translate(next, self._errors)


class _Translate(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, errors: ErrorReporter) -> None:
        super().__init__(following)
        self._errors = errors

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        try:
            return await super().execute_activity(input)
        except CancelledError:
            raise
        except JobError as exc:
            raise ApplicationError(
                exc.sentence, type=exc.code, non_retryable=not exc.retryable
            ) from None
        except Exception as exc:  # noqa: BLE001 - its text must stay here
            self._give_up(exc, input)

    def _give_up(self, exc: Exception, input: ExecuteActivityInput) -> NoReturn:
        name = getattr(input.fn, "__name__", "activity")
        error_id = self._errors.file(exc, activity=name)
        raise ApplicationError(
            f"The activity broke; the log has error {error_id}.", type=UNEXPECTED
        ) from None
