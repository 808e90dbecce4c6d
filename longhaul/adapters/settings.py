"""The settings: read from the environment once, in `main`, and handed down in parts."""

import base64
import binascii
import os
from collections.abc import Iterator, Mapping
from datetime import timedelta
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from longhaul.core.blobs import MAX_BLOB
from longhaul.core.job_types import Queue

KEY_BYTES = 32

_MIB = 1024 * 1024

_PREFIX = "LONGHAUL_"


def _empty_is_none(cls: type[BaseModel], value: object, info: ValidationInfo) -> object:
    """Treat an empty variable as not given, where the setting is optional."""
    field = cls.model_fields[info.field_name or ""]
    return None if value == "" and NoneType in get_args(field.annotation) else value


def _read_words(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in text.split(","))))


class Part(BaseModel):
    """One group of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    _empty = field_validator("*", mode="before")(classmethod(_empty_is_none))


class PostgresSettings(Part):
    """PostgreSQL: the truth."""

    dsn: SecretStr | None = Field(
        None, description="postgresql://… ; `longhaul up` starts its own server without it"
    )


class RedisSettings(Part):
    """Redis: fast and disposable."""

    url: SecretStr | None = Field(
        None, description="redis://… or rediss://… ; `longhaul up` starts its own server without it"
    )


class ApiSettings(Part):
    """Where the API listens."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=1, le=65535, description="port to listen on")

    @property
    def near_host(self) -> str:
        """The host by which this machine reaches it; loopback if it listens everywhere."""
        return _LOOPBACK.get(self.host, self.host)

    def url(self, port: int | None = None) -> str:
        """The address by which this machine reaches it, on the given port."""
        host = f"[{self.near_host}]" if ":" in self.near_host else self.near_host
        return f"http://{host}:{port or self.port}"


_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class AuthMode(StrEnum):
    """How callers prove who they are."""

    JWT = "jwt"
    OFF = "off"


class AuthSettings(Part):
    """Bearer tokens."""

    mode: AuthMode = Field(
        AuthMode.JWT, description="jwt, or off while every listener is on loopback"
    )
    secret: SecretStr | None = Field(None, description="HS256 secret, 32 characters or more")
    jwks_url: str | None = Field(None, description="where the RS256 or ES256 keys are published")
    audience: str | None = Field(None, description="the `aud` that tokens must carry")
    issuer: str | None = Field(None, description="the `iss` that tokens must carry")

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        # RFC 7518 section 3.2: a key of at least the size of the hash output.
        if secret is not None and len(secret.get_secret_value().encode()) < KEY_BYTES:
            raise ValueError("the secret must have 32 characters or more")
        return secret


class LlmSettings(Part):
    """The model provider."""

    provider: Literal["offline", "openai", "anthropic"] = Field(
        "offline", description="offline (rules without a model), openai or anthropic"
    )
    model: str = Field("", description="the model's name; the provider's usual one when empty")
    base_url: str | None = Field(
        None, description="another address with the same API; the provider's own when empty"
    )
    api_key: SecretStr | None = Field(None, description="the provider's key")
    requests_per_minute: int = Field(
        60, ge=1, description="requests to the provider a minute, by all workers together"
    )
    tokens_per_minute: int | None = Field(
        None,
        ge=1,
        description="tokens to and from the provider a minute, by all workers together; no limit "
        "when empty",
    )


class WorkerSettings(Part):
    """What a worker process takes on."""

    queues: Annotated[tuple[Queue, ...], NoDecode] = Field(
        tuple(Queue), min_length=1, description="task queues to work on, separated by commas"
    )
    max_in_flight: int = Field(400, ge=1, description="items of all jobs in flight at once")
    max_memory_mb: int | None = Field(
        None,
        ge=1,
        description="MB of memory above which a worker drains and exits; no limit when empty",
    )

    @field_validator("queues", mode="before")
    @classmethod
    def _split(cls, queues: object) -> object:
        return _read_words(queues) if isinstance(queues, str) else queues


class LimitSettings(Part):
    """Limits of job types; they replace those that the types set."""

    max_running: Annotated[Mapping[str, int], NoDecode] = Field(
        {},
        description="jobs of a type that run at once, as type=number, separated by commas; 0 is no "
        "limit",
    )
    starts_per_minute: Annotated[Mapping[str, int], NoDecode] = Field(
        {},
        description="jobs of a type that start in a minute, as type=number, separated by commas; 0 "
        "is no limit",
    )

    @field_validator("max_running", "starts_per_minute", mode="before")
    @classmethod
    def _split(cls, given: object) -> object:
        return dict(_read_numbers(given)) if isinstance(given, str) else given


def _read_numbers(text: str) -> Iterator[tuple[str, int]]:
    for part in _read_words(text):
        name, _, number = part.partition("=")
        if not name or not number.isdigit():
            raise ValueError("write each limit as type=number")
        yield name.strip(), int(number)


class WebhookSettings(Part):
    """Webhooks: who may be told, and what protects their secrets."""

    allow_private: bool = Field(
        False, description="lets webhooks reach private and loopback addresses, and plain http"
    )
    keys: SecretStr | None = Field(
        None,
        description="keys that encrypt the secrets of webhooks, each as id:base64 of 32 bytes, "
        "separated by commas, newest first; those of LONGHAUL_ENCRYPTION__KEYS when empty",
    )

    @field_validator("keys")
    @classmethod
    def _readable(cls, keys: SecretStr | None) -> SecretStr | None:
        for _ in _read_keys(keys):
            continue
        return keys

    def read(self) -> dict[str, bytes]:
        """Keys by id, newest first."""
        return dict(_read_keys(self.keys))


class RetentionSettings(Part):
    """How long what has ended is kept."""

    days: int | None = Field(
        90, ge=1, description="days after its end when a job is deleted; never when empty"
    )

    @property
    def kept_for(self) -> timedelta | None:
        """How long jobs are kept after their end; None for ever."""
        return None if self.days is None else timedelta(days=self.days)


class OfflineSettings(Part):
    """The offline analyst."""

    seconds_per_item: float = Field(
        0.0,
        ge=0,
        description="seconds that the offline analyst waits for each item, for demonstrations and "
        "tests",
    )


class BlobSettings(Part):
    """Where documents are kept."""

    url: str | None = Field(
        None, description="s3://bucket/prefix; a folder in the data folder when empty"
    )
    endpoint: str | None = Field(None, description="address of another service that speaks S3")
    region: str = Field("us-east-1", description="the bucket's region")
    max_mb: int = Field(
        50, ge=1, le=MAX_BLOB // _MIB, description="MB of the largest document that the API accepts"
    )
    access_key_id: str | None = Field(
        None, description="S3 access key id; AWS's usual ways to find credentials when empty"
    )
    secret_access_key: SecretStr | None = Field(None, description="S3 secret access key")

    @property
    def max_bytes(self) -> int:
        """The bytes of the largest document that the API accepts."""
        return self.max_mb * _MIB

    @field_validator("url")
    @classmethod
    def _is_a_bucket(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith("s3://"):
            raise ValueError("write it as s3://bucket/prefix")
        return url


class SourceSettings(Part):
    """What reading a data source may cost."""

    statement_seconds: float = Field(
        600, gt=0, description="seconds for one query on a data source, or one reading of its file"
    )
    lock_seconds: float = Field(5, gt=0, description="seconds to wait for a locked source table")
    memory_mb: int = Field(
        1024, ge=64, description="MB of memory to read a file; the rest goes to disk"
    )
    scratch: Path | None = Field(
        None,
        description="folder for copies of files while they are read; the system's folder for "
        "temporary files when empty",
    )
    folders: Annotated[tuple[Path, ...], NoDecode] = Field(
        (),
        description="folders that files of data sources may lie in, separated by commas; the "
        "folder `sources` of the data folder when empty",
    )
    secrets: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="names of variables that hold the DSN of a data source, separated by commas; a "
        "source's `secret_ref` may name these",
    )

    @field_validator("folders", "secrets", mode="before")
    @classmethod
    def _split(cls, given: object) -> object:
        return _read_words(given) if isinstance(given, str) else given


class EncryptionSettings(Part):
    """Encryption of what Temporal stores."""

    keys: SecretStr | None = Field(
        None,
        description="keys that encrypt what Temporal stores, each as id:base64 of 32 bytes, "
        "separated by commas, newest first",
    )

    @field_validator("keys")
    @classmethod
    def _readable(cls, keys: SecretStr | None) -> SecretStr | None:
        for _ in _read_keys(keys):
            continue
        return keys

    def read(self) -> dict[str, bytes]:
        """Keys by id, newest first."""
        return dict(_read_keys(self.keys))


def _read_keys(keys: SecretStr | None) -> Iterator[tuple[str, bytes]]:
    for part in keys.get_secret_value().split(",") if keys else ():
        key_id, _, encoded = part.strip().partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            key = b""
        if not key_id or len(key) != KEY_BYTES:
            raise ValueError("write each key as id:base64, of 32 bytes")
        yield key_id, key


class CliSettings(Part):
    """Which API the command speaks to, and as whom."""

    url: str | None = Field(
        None,
        description="address of the API, as https://longhaul.example; this machine's when empty",
    )
    token: SecretStr | None = Field(
        None,
        description="your token; when empty the command signs one for an Admin, if it has the "
        "secret",
    )

    @field_validator("url")
    @classmethod
    def _is_one(cls, url: str | None) -> str | None:
        if url is None:
            return None
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise ValueError("write it as https://host")
        return url.rstrip("/")


class Settings(BaseSettings):
    """Everything that can be set from outside."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    _empty = field_validator("*", mode="before")(classmethod(_empty_is_none))

    postgres: PostgresSettings = PostgresSettings()
    redis: RedisSettings = RedisSettings()
    api: ApiSettings = ApiSettings()
    auth: AuthSettings = AuthSettings()
    llm: LlmSettings = LlmSettings()
    worker: WorkerSettings = WorkerSettings()
    limits: LimitSettings = LimitSettings()
    webhooks: WebhookSettings = WebhookSettings()
    retention: RetentionSettings = RetentionSettings()
    offline: OfflineSettings = OfflineSettings()
    blobs: BlobSettings = BlobSettings()
    sources: SourceSettings = SourceSettings()
    encryption: EncryptionSettings = EncryptionSettings()
    cli: CliSettings = CliSettings()
    data_dir: Path = Field(
        Path(".longhaul"), description="where the servers that `longhaul up` starts keep their data"
    )
    temporal_address: str | None = Field(
        None,
        validation_alias="TEMPORAL_ADDRESS",
        description="host:port; `longhaul up` starts its own server without it",
    )

    otlp_endpoint: str | None = Field(
        None,
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="address that traces are sent to; none are made when empty",
    )

    @model_validator(mode="after")
    def _every_variable_is_one(self) -> "Settings":
        unknown = sorted(_unknown_variables(os.environ))
        if unknown:
            raise ValueError(". ".join(unknown))
        return self

    @model_validator(mode="after")
    def _auth_is_on(self) -> "Settings":
        if self.auth.mode is AuthMode.OFF and self.api.host not in (
            "127.0.0.1",
            "::1",
            "localhost",
        ):
            raise ValueError("LONGHAUL_AUTH__MODE=off needs LONGHAUL_API__HOST to be loopback")
        return self


def _unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each variable that looks like a setting and is not one.

    Not every name with our prefix is one: a data source's secret may have any, and Kubernetes
    sets LONGHAUL_PORT=tcp://… and others for a service "longhaul". A name counts if it looks
    like a group's, or differs from a setting only by underscores.
    """
    known = {variable: variable.replace("_", "") for variable, _, _ in describe()}
    for name in (name.upper() for name, value in environment.items() if "tcp://" not in value):
        own = name.removeprefix(_PREFIX)
        is_ours = any(name == one or name.startswith(f"{one}__") for one in known)
        looks_ours = "__" in own or name.replace("_", "") in known.values()
        if own != name and looks_ours and not is_ours:
            near = get_close_matches(name, known, n=1)
            hint = f"; do you mean {near[0]}?" if near else ""
            yield f"There is no setting {name}{hint}"


def describe(
    model: type[BaseModel] = Settings, prefix: str = _PREFIX
) -> Iterator[tuple[str, Any, str]]:
    """Each variable with its default and what it is for."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Part):
            yield from describe(kind, f"{prefix}{name.upper()}__")
        else:
            variable = field.validation_alias or f"{prefix}{name.upper()}"
            yield str(variable), field.default, field.description or ""


def example() -> str:
    """The text of `.env.example`."""
    lines = ["# Every setting with its default. Written by `make env`."]
    for variable, default, description in describe():
        value = ",".join(default) if isinstance(default, tuple) else default
        is_empty = value is None or value == {}
        lines += ["", f"# {description}", f"# {variable}={'' if is_empty else value}"]
    lines += [
        "",
        "# Temporal's own variables work too: TEMPORAL_NAMESPACE, TEMPORAL_API_KEY,",
        "# TEMPORAL_TLS_*, TEMPORAL_PROFILE; and the rest of OpenTelemetry's OTEL_*.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(example(), end="")  # noqa: T201 - `make env`
