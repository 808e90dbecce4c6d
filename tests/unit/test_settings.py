"""Settings: what can be set, and the errors of what cannot."""

import base64
from datetime import timedelta

import pytest
from pydantic import ValidationError

from longhaul.adapters.settings import AuthMode, Settings, describe
from longhaul.core.job_types import Queue

KEY_1, KEY_2 = bytes(range(32)), bytes(range(32, 64))

TYPO = "s3cret-with-a-typo"


def read(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return Settings()


def encoded(key: bytes) -> str:
    return base64.b64encode(key).decode()


def test_without_any_variable_everything_has_its_default() -> None:
    settings = Settings()

    assert (settings.api.host, settings.api.port) == ("127.0.0.1", 8000)
    assert settings.auth.mode is AuthMode.JWT
    assert settings.worker.queues == tuple(Queue)
    assert settings.llm.provider == "offline"
    assert settings.encryption.read() == {}


def test_nested_variables_and_lists_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(
        monkeypatch,
        LONGHAUL_WORKER__QUEUES="longhaul-llm, longhaul",
        LONGHAUL_LLM__REQUESTS_PER_MINUTE="600",
        LONGHAUL_ENCRYPTION__KEYS=f"new:{encoded(KEY_2)},old:{encoded(KEY_1)}",
        TEMPORAL_ADDRESS="temporal:7233",
    )

    assert settings.worker.queues == (Queue.LLM, Queue.WORKFLOWS)
    assert settings.llm.requests_per_minute == 600
    assert list(settings.encryption.read().items()) == [("new", KEY_2), ("old", KEY_1)]
    assert settings.temporal_address == "temporal:7233"


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("LONGHAUL_API__PORT", "70000", "api.port"),
        ("LONGHAUL_API__PORT", "eighty", "api.port"),
        ("LONGHAUL_AUTH__MODE", "none", "auth.mode"),
        ("LONGHAUL_AUTH__SECRET", TYPO, "32 characters"),
        ("LONGHAUL_LLM__PROVIDER", "openapi", "'offline', 'openai' or 'anthropic'"),
        ("LONGHAUL_LLM__REQUESTS_PER_MINUTE", "0", "llm.requests_per_minute"),
        ("LONGHAUL_LLM__NAME", "gpt", "llm.name"),
        ("LONGHAUL_WORKER__QUEUES", "longhaul,llm", "worker.queues.1"),
        ("LONGHAUL_WORKER__MAX_IN_FLIGHT", "0", "worker.max_in_flight"),
        ("LONGHAUL_OFFLINE__SECONDS_PER_ITEM", "-1", "offline.seconds_per_item"),
        ("LONGHAUL_ENCRYPTION__KEYS", TYPO, "id:base64"),
        ("LONGHAUL_ENCRYPTION__KEYS", f"k1:{TYPO}", "id:base64"),
        ("LONGHAUL_ENCRYPTION__KEYS", f"k1:{encoded(KEY_1[:16])}", "32 bytes"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_and_not_quoted(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        read(monkeypatch, **{variable: value})

    assert said in str(refused.value)
    assert TYPO not in str(refused.value)


def test_what_is_set_to_nothing_is_as_if_it_were_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Settings()
    optional = [variable for variable, default, _ in describe() if default is None]

    assert {"TEMPORAL_ADDRESS", "LONGHAUL_LLM__TOKENS_PER_MINUTE"} < set(optional)
    assert read(monkeypatch, **dict.fromkeys(optional, "")) == usual


def test_no_days_of_retention_are_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().retention.kept_for == timedelta(days=90)
    assert read(monkeypatch, LONGHAUL_RETENTION__DAYS="").retention.kept_for is None


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("LONGHAUL_WEBHOOK__KEYS", "LONGHAUL_WEBHOOK__KEYS; do you mean LONGHAUL_WEBHOOKS__KEYS?"),
        ("LONGHAUL_POSTGRES_DSN", "do you mean LONGHAUL_POSTGRES__DSN?"),
        ("longhaul_datadir", "LONGHAUL_DATADIR; do you mean LONGHAUL_DATA_DIR?"),
        ("LONGHAUL_XYZ__ABC", "There is no setting LONGHAUL_XYZ__ABC"),
    ],
)
def test_a_variable_that_was_meant_to_be_a_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, said: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        read(monkeypatch, **{variable: TYPO})

    assert said in str(refused.value)
    assert TYPO not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LONGHAUL_CARDS_DSN", "postgresql://reader@cards/x"),
        ("CARDS__DSN", "postgresql://reader@cards/x"),
        ("LONGHAUL_API_PORT", "tcp://10.0.0.7:8000"),
        ("LONGHAUL_LIMITS__MAX_RUNNING", "echo=2"),
    ],
    ids=["a source's secret", "of somebody else", "a service of Kubernetes", "a setting"],
)
def test_a_variable_that_was_not_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    assert read(monkeypatch, **{variable: value}).api.port == 8000


@pytest.mark.invariant("I10")
def test_secrets_do_not_show_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    key = encoded(KEY_1)
    settings = read(
        monkeypatch,
        LONGHAUL_POSTGRES__DSN="postgresql://u:hunter2@db/x",
        LONGHAUL_REDIS__URL="redis://:hunter2@cache/0",
        LONGHAUL_AUTH__SECRET="hunter2" * 6,
        LONGHAUL_LLM__API_KEY="hunter2",
        LONGHAUL_ENCRYPTION__KEYS=f"k1:{key}",
    )

    assert "hunter2" not in f"{settings!r}{settings}"
    assert key not in f"{settings!r}{settings}"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "api.example.org", ""])
def test_authentication_is_never_off_where_others_can_reach_it(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    with pytest.raises(ValidationError, match="LONGHAUL_API__HOST to be loopback"):
        read(monkeypatch, LONGHAUL_AUTH__MODE="off", LONGHAUL_API__HOST=host)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_authentication_may_be_off_on_loopback(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    settings = read(monkeypatch, LONGHAUL_AUTH__MODE="off", LONGHAUL_API__HOST=host)

    assert settings.auth.mode is AuthMode.OFF
