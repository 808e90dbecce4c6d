"""Where the files of data sources may be."""

import os
from collections.abc import Sequence
from pathlib import Path

from longhaul.core.errors import ItemFailed


def find_place(location: str, folders: Sequence[Path] | None) -> Path:
    """The file or folder that a location names, with every link followed.

    Args:
        folders: It must be below one of these; names may be relative to them.

    Raises:
        ItemFailed: It is not; the same for a file that does not exist.
    """
    if folders is None:
        return Path(location)
    roots = [os.path.realpath(folder) for folder in folders]
    places = [os.path.realpath(Path(root) / location) for root in roots]
    inside = [
        place
        for root, place in zip(roots, places, strict=True)
        if os.path.commonpath([root, place]) == root
    ]
    if not inside:
        raise ItemFailed(
            "source_denied",
            "The file is not in a folder that sources are read from: move it there, or add "
            "its folder to LONGHAUL_SOURCES__FOLDERS.",
        )
    return Path(next(filter(os.path.exists, inside), inside[0]))
