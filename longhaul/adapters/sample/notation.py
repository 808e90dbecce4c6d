"""How the sample writes its values; months are counted from the year 0."""

REPORTING_YEAR, REPORTING_MONTH_OF_YEAR = 2025, 6
REPORTING_MONTH = REPORTING_YEAR * 12 + REPORTING_MONTH_OF_YEAR - 1

_FRACTION = 100_000


def month_text(month: int) -> str:
    """A month as YYYYMM."""
    return f"{month // 12:04}{month % 12 + 1:02}"


def day_text(month: int, day: int) -> str:
    """A day of a month as YYYYMMDD."""
    return f"{month // 12:04}{month % 12 + 1:02}{day:02}"


def month_of(date: str) -> int:
    """The number of the month that a YYYYMMDD date lies in."""
    return int(date[:4]) * 12 + int(date[4:6]) - 1


def fraction_text(parts: int) -> str:
    """Hundred-thousandths as a fraction with five decimals."""
    return f"{parts // _FRACTION}.{parts % _FRACTION:05}"


def percent_text(hundredths: int) -> str:
    """Hundredths of a percent as a percentage with two decimals."""
    return f"{hundredths // 100}.{hundredths % 100:02}"


def flag_text(is_so: bool) -> str:
    """Y or N."""
    return "Y" if is_so else "N"


def ratio(part: int, whole: int) -> int:
    """A part of a whole in hundredths of a percent, rounded half up."""
    return (20_000 * part + whole) // (2 * whole)
