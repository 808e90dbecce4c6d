"""The commands of the workflow modules, in the order in which the source has them.

A workflow's history depends on its commands and their order. Their calls are read from the
source here; nothing is run.
"""

import ast
import json
from pathlib import Path

import longhaul.workflows

MODULES = Path(longhaul.workflows.__file__).parent
BASELINE = Path(__file__).with_name("fingerprints.json")

COMMANDS = frozenset(
    {
        "execute_activity_method",
        "start_activity_method",
        "execute_local_activity_method",
        "execute_child_workflow",
        "start_child_workflow",
        "upsert_search_attributes",
        "continue_as_new",
        "wait_condition",
        "sleep",
        "create_task",
        "cancel",
        "patched",
        "deprecate_patch",
    }
)


def read() -> dict[str, list[str]]:
    """Each function of each workflow module that gives commands, with its commands."""
    found = {}
    for file in sorted(MODULES.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                commands = _commands(node)
                if commands:
                    found[f"{file.stem}.{node.name}"] = commands
    return dict(sorted(found.items()))


def _commands(function: ast.AST) -> list[str]:
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    calls.sort(key=lambda call: (call.lineno, call.col_offset))
    return [
        " ".join([call.func.attr, *_targets(call)])
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr in COMMANDS
    ]


def _targets(call: ast.Call) -> list[str]:
    """The activity that a command names, and a patch's name."""
    first = call.args[0] if call.args else None
    match first:
        case ast.Attribute():
            return [ast.unparse(first)]
        case ast.Constant():
            return [repr(first.value)]
        case _:
            return []


if __name__ == "__main__":
    BASELINE.write_text(json.dumps(read(), indent=1) + "\n")
