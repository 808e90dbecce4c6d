"""Accepts jobs: durable before the answer, once per key, once per singleton."""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import uuid_utils
from pydantic import ValidationError

from longhaul.adapters.postgres.idempotency import PostgresIdempotency
from longhaul.api.schemas import JobRequest
from longhaul.core.catalog import AnyJobType, Catalog
from longhaul.core.errors import IdempotencyConflict, InvalidInput, SingletonBusy
from longhaul.core.job_types import Prepared
from longhaul.core.jobs import Job
from longhaul.core.new_jobs import new_job, singleton_key
from longhaul.core.ports import Database, Jobs, NewJob, Transaction
from longhaul.core.principals import Principal, check_may_start, may_see

_ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """The result of a dry run."""

    job_type: str
    parameters: dict[str, Any]
    items: int


class Submission:
    """Creates jobs.

    Args:
        wake: Tells the dispatcher that a job is due.
    """

    def __init__(
        self,
        *,
        database: Database,
        jobs: Jobs,
        idempotency: PostgresIdempotency,
        catalog: Catalog,
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._idempotency = idempotency
        self._catalog = catalog
        self._wake = wake

    async def submit(
        self, principal: Principal, body: JobRequest, key: str | None
    ) -> tuple[Job, bool]:
        """Create a job, or return the one of the key or the singleton.

        Returns:
            The job, and whether it is new.

        Raises:
            UnknownJobType: The catalog has no such type.
            Forbidden: The caller's roles may not start it.
            InvalidInput: The parameters cannot be used.
            IdempotencyConflict: The key was used with another body.
            SingletonBusy: Such a job runs with other parameters.
        """
        job_type, parameters = self.read(principal, body)
        for _ in range(_ROUNDS):
            try:
                job, is_new = await self._create(principal, body, key, job_type, parameters)
            except _Taken as taken:
                running = await self._running(principal, body, key, job_type, taken.prepared)
                if running is not None:
                    return running, False
                continue
            if is_new:
                self._wake()
            return job, is_new
        raise SingletonBusy("Such a job has just ended; send the request again.")

    async def validate(self, principal: Principal, body: JobRequest) -> DryRun:
        """Return what the job would be, without storing anything.

        Raises:
            As `submit`.
        """
        job_type, parameters = self.read(principal, body)
        with suppress(_RollBack):
            async with self._database.begin() as tx:
                prepared = await job_type.prepare(tx, parameters, principal)
                count = 0
                async for _ in job_type.items(tx, prepared.parameters):
                    count += 1
                raise _RollBack
        # As they were read: what `prepare` has found or made is rolled back.
        read = parameters.model_dump(mode="json")
        return DryRun(job_type=job_type.name, parameters=read, items=count)

    def read(self, principal: Principal, body: JobRequest) -> tuple[AnyJobType, Any]:
        """The job type and the parameters of a body.

        Raises:
            UnknownJobType: The catalog has no such type.
            Forbidden: The caller's roles may not start it.
            InvalidInput: The parameters do not fit it.
        """
        job_type = self._catalog.get(body.type_name)
        check_may_start(principal, job_type.roles, job_type.title)
        try:
            return job_type, job_type.parameters.model_validate(body.parameters)
        except ValidationError as exc:
            errors = exc.errors(include_url=False, include_input=False, include_context=False)
            fields = tuple(
                ("/".join(("/parameters", *(str(part) for part in error["loc"]))), error["msg"])
                for error in errors
            )
            where, why = fields[0]
            raise InvalidInput(
                f"The parameters do not fit the job type. {where}: {why}", fields
            ) from None

    async def _create(
        self,
        principal: Principal,
        body: JobRequest,
        key: str | None,
        job_type: AnyJobType,
        parameters: Any,
    ) -> tuple[Job, bool]:
        """Create the job in one transaction, or find the one of the key; and say whether it is new.

        Raises:
            _Taken: A live job holds the singleton key; nothing was stored.
        """
        job_id = str(uuid_utils.uuid7())
        async with self._database.begin() as tx:
            if key is not None:
                known = await self._remembered(tx, principal, body, key, job_id)
                if known is not None:
                    return known, False
            prepared = await job_type.prepare(tx, parameters, principal)
            job = await self._jobs.insert(tx, _new_job(job_id, principal, body, job_type, prepared))
            if job is None:
                raise _Taken(prepared)
        return job, True

    async def _remembered(
        self, tx: Transaction, principal: Principal, body: JobRequest, key: str, job_id: str
    ) -> Job | None:
        body_hash = _hash(body)
        known = await self._idempotency.claim(tx, principal.sub, key, body_hash, job_id)
        if known is None:
            return None
        if known.body_hash != body_hash:
            raise IdempotencyConflict(
                "This Idempotency-Key was used with another body; send a new key."
            )
        return await self._jobs.read(tx, known.job_id)

    async def _running(
        self,
        principal: Principal,
        body: JobRequest,
        key: str | None,
        job_type: AnyJobType,
        prepared: Prepared[Any],
    ) -> Job | None:
        """The live job that holds the singleton key, if it is the same; None if it has ended."""
        async with self._database.begin() as tx:
            job = await self._jobs.read_singleton(tx, singleton_key(job_type, prepared) or "")
            if job is None:
                return None
            if not may_see(principal, job):
                raise SingletonBusy("Such a job is already running for this report.")
            if job.parameters != prepared.parameters.model_dump(mode="json"):
                raise SingletonBusy(
                    f"Job {job.id} is already running for this report with other parameters; "
                    "wait for it or cancel it.",
                    job.id,
                )
            if key is not None:
                await self._remembered(tx, principal, body, key, job.id)
            return job


class _RollBack(Exception):
    """Rolls a transaction back."""


class _Taken(Exception):
    """Another live job holds the singleton key."""

    def __init__(self, prepared: Prepared[Any]) -> None:
        super().__init__()
        self.prepared = prepared


def _new_job(
    job_id: str,
    principal: Principal,
    body: JobRequest,
    job_type: AnyJobType,
    prepared: Prepared[Any],
) -> NewJob:
    start_at = body.start_at
    if body.start_delay_seconds:
        start_at = datetime.now(UTC) + timedelta(seconds=body.start_delay_seconds)
    return new_job(
        job_id,
        job_type,
        prepared,
        principal,
        options=body.options.as_options(),
        priority=body.priority,
        description=body.description,
        metadata=body.metadata,
        start_at=start_at,
    )


def _hash(body: JobRequest) -> str:
    text = json.dumps(body.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
