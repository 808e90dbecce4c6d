"""Requests and answers about schedules."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator
from typing_extensions import TypedDict

from longhaul.api.schemas import (
    Description,
    JobRequest,
    OptionsRequest,
    Priority,
    Request,
    Text,
)
from longhaul.core.errors import InvalidInput
from longhaul.core.jobs import MAX_WAIT_SECONDS
from longhaul.core.schedules import check_cron

SHORTEST_SECONDS = 60


class ScheduleRequest(Request):
    """Asks for a job at the times of `cron`, or every number of seconds."""

    job_type: Text
    parameters: dict[str, Any] = Field(default_factory=dict)
    priority: Priority = 5
    description: Description = ""
    metadata: dict[str, Any] = Field(default_factory=dict)
    options: OptionsRequest = OptionsRequest()
    cron: Text | None = None
    every_seconds: Annotated[int, Field(ge=SHORTEST_SECONDS, le=MAX_WAIT_SECONDS)] | None = None
    time_zone: Text = "UTC"
    paused: bool = False

    @field_validator("cron")
    @classmethod
    def _readable(cls, cron: str | None) -> str | None:
        if cron is not None:
            try:
                check_cron(cron)
            except InvalidInput as exc:
                raise ValueError(exc.sentence) from None
        return cron

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, OSError, LookupError):
            raise ValueError("there is no such time zone; write it as Europe/Berlin") from None
        return name

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.cron is None) == (self.every_seconds is None):
            raise ValueError("send either `cron` or `every_seconds`")
        return self

    @property
    def job(self) -> JobRequest:
        """The request for the job of one firing."""
        return JobRequest(job_type=self.job_type, **self.request)

    @property
    def request(self) -> dict[str, Any]:
        """The parts of the job that the schedule stores, besides its type."""
        return self.model_dump(
            mode="json",
            include={"parameters", "priority", "description", "metadata", "options"},
        )


class FiringView(TypedDict):
    """The result of one firing: a job was started, or why not."""

    scheduled_at: datetime
    outcome: str
    job_id: str | None
    detail: str


class ScheduleView(TypedDict):
    """One schedule; `in_force` is false until Temporal has its latest version."""

    schedule_id: str
    owner: str
    job_type: str
    parameters: Mapping[str, Any]
    priority: int
    description: str
    metadata: Mapping[str, Any]
    options: Mapping[str, Any]
    cron: str | None
    every_seconds: int | None
    time_zone: str
    paused: bool
    in_force: bool
    last_firing: FiringView | None
    created_at: datetime
    updated_at: datetime


class ScheduleDetail(ScheduleView):
    """One schedule with its latest firings, newest first, and the next ones."""

    next_times: list[datetime]
    firings: list[FiringView]


class ScheduleList(TypedDict):
    """Schedules, oldest first."""

    schedules: list[ScheduleView]


class UpkeepRun(TypedDict):
    """The last run of one of the system's own schedules."""

    ok: bool
    details: Mapping[str, Any]
    time: datetime


class UpkeepView(TypedDict):
    """One of the system's own schedules."""

    name: str
    every_seconds: int
    last_run: UpkeepRun | None


class UpkeepList(TypedDict):
    """The system's own schedules."""

    upkeep: list[UpkeepView]
