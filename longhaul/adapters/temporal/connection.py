"""Connecting to Temporal, with encryption where keys are given."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import structlog
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.client import Client, Interceptor
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
)
from temporalio.envconfig import ClientConfig
from temporalio.service import RetryConfig, RPCError, RPCStatusCode

from longhaul.adapters.temporal.encryption import EncryptionCodec
from longhaul.core.search_attributes import KINDS

DEFAULT_ADDRESS = "localhost:7233"
CONNECT_AGAIN = timedelta(seconds=1)

# Answers of a namespace whose search attributes are managed by others.
_NOT_OURS = {RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED}


async def connect(
    keys: Mapping[str, bytes],
    interceptors: Sequence[Interceptor] = (),
    *,
    lazy: bool = False,
    retry_for: timedelta | None = None,
) -> Client:
    """Connect as Temporal's standard variables say.

    Args:
        keys: Encryption keys by id, newest first; none leaves payloads in clear.
        interceptors: They see every call, such as tracing.
        lazy: Connect at the first call, so that a process can start while Temporal is down.
        retry_for: How long the client repeats a call without an answer; 10 s by default.
    """
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", DEFAULT_ADDRESS)
    retries = None
    if retry_for is not None:
        milliseconds = int(retry_for / timedelta(milliseconds=1))
        retries = RetryConfig(max_elapsed_time_millis=milliseconds)
    return await Client.connect(
        **config,
        retry_config=retries,
        data_converter=data_converter(keys),
        interceptors=interceptors,
        lazy=lazy,
    )


async def connect_patiently(
    keys: Mapping[str, bytes], interceptors: Sequence[Interceptor] = ()
) -> Client:
    """Connect, and wait for Temporal as long as it takes: a worker needs it."""
    log = structlog.get_logger("longhaul.temporal")
    while True:
        try:
            return await connect(keys, interceptors)
        except RuntimeError:
            log.warning("temporal_is_away")
            await asyncio.sleep(CONNECT_AGAIN.total_seconds())


def data_converter(keys: Mapping[str, bytes]) -> DataConverter:
    """Plain JSON, or encrypted JSON."""
    if not keys:
        return DataConverter.default
    return replace(
        DataConverter.default,
        payload_codec=EncryptionCodec(keys),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


async def ensure_search_attributes(client: Client) -> bool:
    """Register our search attributes; False if we may not and nobody else has."""
    operator = client.operator_service
    try:
        known = await operator.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
        missing = {
            name: IndexedValueType.Value(f"INDEXED_VALUE_TYPE_{kind.upper()}")
            for name, kind in KINDS.items()
            if name not in known.custom_attributes
        }
        if missing:
            await operator.add_search_attributes(
                AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
            )
    except RPCError as exc:
        if exc.status in _NOT_OURS:
            return False
        raise
    return True
