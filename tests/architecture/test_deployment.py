"""What docker-compose.yml, the image and their scripts guarantee."""

import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from longhaul.adapters.settings import describe
from longhaul.adapters.telemetry.metrics import ApiMetrics
from longhaul.api.main import SHUTDOWN_SECONDS
from longhaul.core.search_attributes import KINDS
from longhaul.worker.build import SHUTDOWN_GRACE
from tests.repository import ROOT

DEPLOY = ROOT / "deploy"
COMPOSE = (ROOT / "docker-compose.yml").read_text()
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
PAGE = (ROOT / "docs" / "deployment.md").read_text()

SERVICES: Mapping[str, Mapping[str, Any]] = yaml.safe_load(COMPOSE)["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
LONG_RUNNING = [name for name, service in SERVICES.items() if service["restart"] != "no"]

# Its image holds nothing but the collector: there is no command that could check it.
CANNOT_BE_CHECKED = {"otel-collector"}

PUBLISHED = {"api", "temporal-ui", "grafana"}


def seconds(text: str) -> timedelta:
    number, unit = re.fullmatch(r"(\d+)(s|m)", text).groups()  # type: ignore[union-attr]
    return timedelta(seconds=int(number)) if unit == "s" else timedelta(minutes=int(number))


def megabytes(text: str) -> int:
    return int(text[:-1]) * {"m": 1, "g": 1024}[text[-1]]


def instructions(stage: str) -> Iterator[tuple[str, str]]:
    for line in stage.replace("\\\n", " ").splitlines():
        keyword, _, rest = line.partition(" ")
        if keyword.isupper():
            yield keyword, rest.strip()


def final_stage() -> dict[str, str]:
    return dict(instructions(DOCKERFILE.rsplit("\nFROM ", 1)[1]))


def argument(service: str, name: str) -> str:
    command = SERVICES[service]["command"]
    return str(command[command.index(name) + 1])


@pytest.mark.parametrize("text", [COMPOSE, DOCKERFILE, PAGE], ids=["compose", "image", "page"])
def test_every_variable_of_ours_is_a_setting(text: str) -> None:
    known = {variable for variable, _, _ in describe()}

    assert set(re.findall(r"\bLONGHAUL_[A-Z_]*[A-Z]\b", text)) - known == set()


def test_the_providers_key_goes_to_the_worker_alone() -> None:
    holders = [name for name in OURS if "LONGHAUL_LLM__API_KEY" in SERVICES[name]["environment"]]

    assert holders == ["worker"]


def test_a_secret_has_no_default_and_says_what_to_do_when_it_is_missing() -> None:
    used = re.findall(r"\$\{(\w*(?:PASSWORD|SECRET|KEY)\w*)(.*?)\}", COMPOSE)

    assert {name for name, _ in used} >= {"POSTGRES_PASSWORD", "LONGHAUL_AUTH__SECRET"}
    assert [name for name, rest in used if not rest.startswith(":?set it in .env")] == []


def test_the_page_says_how_to_set_everything_that_must_be_set() -> None:
    assert [name for name in re.findall(r"\$\{(\w+):\?", COMPOSE) if f"{name}=" not in PAGE] == []


def test_a_worker_is_given_longer_to_leave_than_it_takes() -> None:
    assert seconds(SERVICES["worker"]["stop_grace_period"]) > SHUTDOWN_GRACE


def test_an_api_is_given_longer_to_leave_than_it_takes() -> None:
    assert seconds(SERVICES["api"]["stop_grace_period"]) > timedelta(seconds=SHUTDOWN_SECONDS)


def test_redis_evicts_nothing_and_keeps_a_log() -> None:
    assert argument("redis", "--maxmemory-policy") == "noeviction"
    assert argument("redis", "--appendonly") == "yes"


@pytest.mark.parametrize("name", [name for name in LONG_RUNNING if name not in CANNOT_BE_CHECKED])
def test_whoever_stays_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}


def test_only_what_people_look_at_is_published_and_only_on_this_machine() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert set(ports) == PUBLISHED
    assert all(port.startswith("127.0.0.1:") for listed in ports.values() for port in listed)


def test_stores_are_on_networks_that_do_not_leave_this_machine() -> None:
    networks = yaml.safe_load(COMPOSE)["networks"]
    internal = {name for name, network in networks.items() if network and network.get("internal")}

    for name in ("postgres", "redis", "temporal-postgres", "temporal"):
        assert set(SERVICES[name]["networks"]) <= internal


@pytest.mark.parametrize("name", list(SERVICES))
def test_no_container_may_gain_privileges(name: str) -> None:
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", OURS)
def test_our_containers_share_one_image_that_they_cannot_write_to(name: str) -> None:
    assert SERVICES[name]["image"] == SERVICES["api"]["image"]
    assert SERVICES[name]["read_only"] is True
    assert "user" not in SERVICES[name]


def test_the_image_runs_as_somebody_without_rights() -> None:
    uid, gid = final_stage()["USER"].split(":")

    assert int(uid) > 0
    assert int(gid) > 0


def test_the_image_is_stopped_and_checked_as_the_processes_expect() -> None:
    stage = final_stage()

    assert stage["STOPSIGNAL"] == "SIGTERM"
    assert stage["ENTRYPOINT"] == '["longhaul"]'
    assert "/livez" in stage["HEALTHCHECK"]


def test_files_are_copied_to_a_disk_and_not_to_memory() -> None:
    scratch = dict(word.split("=", 1) for word in final_stage()["ENV"].split())[
        "LONGHAUL_SOURCES__SCRATCH"
    ]

    assert f"--mode 0700 {scratch}" in DOCKERFILE
    for name in OURS:
        # One without a name is the container's own.
        assert scratch in SERVICES[name]["volumes"]


@pytest.mark.parametrize("name", ["api", "worker"])
def test_what_sources_may_cost_can_be_set_and_fits_the_container(name: str) -> None:
    service = SERVICES[name]
    costs = {variable for variable, _, _ in describe() if variable.startswith("LONGHAUL_SOURCES__")}
    memory = service["environment"]["LONGHAUL_SOURCES__MEMORY_MB"]

    assert costs - set(service["environment"]) == {"LONGHAUL_SOURCES__SCRATCH"}
    default = int(memory.removeprefix("${LONGHAUL_SOURCES__MEMORY_MB:-").removesuffix("}"))
    assert default <= megabytes(service["deploy"]["resources"]["limits"]["memory"]) / 4


def test_the_image_listens_to_more_than_itself() -> None:
    assert "LONGHAUL_API__HOST=0.0.0.0" in final_stage()["ENV"]


def test_the_image_installs_what_is_locked_and_compiles_nothing() -> None:
    runs = [rest for keyword, rest in instructions(DOCKERFILE) if keyword == "RUN"]
    installs = [run for run in runs if " install " in run and "--requirement" in run]

    assert len(installs) == 2
    assert all("--require-hashes" in run and "--only-binary :all:" in run for run in installs)
    assert re.search(
        r"^setuptools==.* \\\n +--hash=", (ROOT / "requirements.txt").read_text(), re.MULTILINE
    )


def test_every_image_is_pinned() -> None:
    images = {service["image"] for service in SERVICES.values() if "build" not in service}
    images |= set(re.findall(r"^ARG PYTHON=(.+)$", DOCKERFILE, re.MULTILINE))

    assert [image for image in images if not re.search(r":v?\d+\.\d+[.\d]*(-\w+)*$", image)] == []


def test_temporals_server_and_tools_are_of_one_version() -> None:
    images = [SERVICES[f"temporal{part}"]["image"] for part in ("", "-schema", "-namespace")]

    assert len({image.rsplit(":", 1)[1] for image in images}) == 1


def test_the_search_attributes_are_registered_that_jobs_carry() -> None:
    script = (DEPLOY / "temporal" / "namespace.sh").read_text()

    assert dict(re.findall(r"--name (\w+) --type (\w+)", script)) == dict(KINDS)


def test_temporal_shares_workers_fairly() -> None:
    settings = yaml.safe_load((DEPLOY / "temporal" / "dynamicconfig.yaml").read_text())

    assert settings["matching.enableFairness"] == [{"value": True}]


def test_the_dashboard_shows_metrics_that_exist() -> None:
    text = (DEPLOY / "observability" / "grafana" / "dashboards" / "longhaul.json").read_text()
    shown = {target["expr"] for panel in json.loads(text)["panels"] for target in panel["targets"]}
    used = {name for expr in shown for name in re.findall(r"longhaul_\w+", expr)}
    kept = {metric.name for metric in ApiMetrics().registry.collect()}

    assert used
    assert {re.sub("_(bucket|count|sum|total)$", "", name) for name in used} <= kept


def test_what_checks_a_worker_can_be_loaded() -> None:
    test = SERVICES["worker"]["healthcheck"]["test"]
    spec = importlib.util.spec_from_file_location("worker_health", DEPLOY / Path(test[-1]).name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)

    spec.loader.exec_module(module)

    assert callable(module.find_silent)
