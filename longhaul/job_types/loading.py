"""Finds job types: installed ones by their entry points, others by the module they are in."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, TypeAlias

from longhaul.core import step_actions
from longhaul.core.catalog import AnyJobType, Catalog
from longhaul.core.job_types import ENTRY_POINT_GROUP, JobType, Resources
from longhaul.core.step_actions import StepAction

_NEEDED = ("name", "title", "parameters", "workflow")
_ACTION_NEEDS = ("name", "title", "parameters")

Built: TypeAlias = AnyJobType | StepAction[Any]


def load_catalog(resources: Resources, extra: Sequence[str] = ()) -> Catalog:
    """Build every job type and every step action.

    Each is made by a callable that takes `Resources`: a factory, or its own class.

    Args:
        extra: `module` for every job type and action that a module defines, or `module:name`
            for one class or factory in it.

    Raises:
        ValueError: One cannot be loaded, or two claim the same name; it says which.
    """
    found = [
        _build(where, factory, resources)
        for group in (ENTRY_POINT_GROUP, step_actions.ENTRY_POINT_GROUP)
        for where, factory in _installed(group)
    ]
    for given in extra:
        where = f"--types {given}"
        found += [_build(where, factory, resources) for factory in _named(where, given)]
    return Catalog(
        [one for one in found if isinstance(one, JobType)],
        [one for one in found if isinstance(one, StepAction)],
    )


def _installed(group: str) -> Iterator[tuple[str, Any]]:
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        where = f"entry point {point.name!r} ({point.value})"
        yield where, _load(where, point.load)


def _named(where: str, given: str) -> Iterator[Any]:
    module_name, _, name = given.partition(":")
    module = _load(where, lambda: import_module(module_name))
    if name:
        yield _load(where, lambda: getattr(module, name))
        return
    types = [one for one in vars(module).values() if _is_ours(one, module_name)]
    if not types:
        raise ValueError(f"{where}: the module defines no job type.")
    yield from types


def _is_ours(value: object, module_name: str) -> bool:
    return (
        inspect.isclass(value)
        and issubclass(value, JobType | StepAction)
        and not inspect.isabstract(value)
        and value.__module__ == module_name
    )


def _load(where: str, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except Exception as exc:
        # Whatever a user's module raises, the operator must see which module it was.
        raise ValueError(f"{where} cannot be loaded: {type(exc).__name__}: {exc}") from exc


def _build(where: str, factory: Any, resources: Resources) -> Built:
    if not callable(factory):
        raise ValueError(f"{where} is not callable; name a job type's class or a factory.")
    built = _load(where, lambda: factory(resources))
    if not isinstance(built, JobType | StepAction):
        raise ValueError(f"{where} made a {type(built).__name__}, which is not a job type.")
    what, needed = (
        ("job type", _NEEDED) if isinstance(built, JobType) else ("action", _ACTION_NEEDS)
    )
    missing = [name for name in needed if not hasattr(built, name)]
    if missing:
        raise ValueError(f"{where} made a {what} without {', '.join(missing)}.")
    return built
