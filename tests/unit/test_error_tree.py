"""The drawing of the errors, compared with the classes."""

import re
from collections.abc import Iterator

from longhaul.core import errors

BRANCH = re.compile(r"^([│ ]*[├└]── )(\w+) +(\w+)", re.MULTILINE)


def test_the_drawing_of_the_errors_shows_every_class_below_its_parent_and_with_its_code() -> None:
    drawn = [
        (len(branch) // 4, name, code)
        for branch, name, code in BRANCH.findall(errors.__doc__ or "")
    ]

    assert drawn == list(below(errors.JobError, depth=1))


def below(kind: type[errors.JobError], *, depth: int) -> Iterator[tuple[int, str, str]]:
    for one in kind.__subclasses__():
        yield depth, one.__name__, one.code
        yield from below(one, depth=depth + 1)
