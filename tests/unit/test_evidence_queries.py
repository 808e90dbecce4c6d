"""What can be checked of a query before it is run."""

import pytest

from longhaul.core.evidence_queries import MAX_QUERY, QueryRefused, check_query

READS = [
    "SELECT 1",
    "  -- why\n/* and how */ (SELECT 1)",
    "WITH one AS (SELECT 1) SELECT * FROM one;",
    "VALUES (1) ;; ",
    "TABLE loans",
    "SELECT ltv FROM loans WHERE nbr = %(Loan Number)s AND day = %(day)s",
    "SELECT 'a;b', \"c;d\", E'it\\'s; so', $$e;f$$, $x$g;$$;h$x$ -- i;j\n FROM k /* l;m */",
    "SELECT 'it''s; so'",
    "SELECT ltv || ' %%' FROM loans WHERE name LIKE 'A%%'",
    "SELECT a$b, c$d FROM t",
]

REFUSED = [
    ("", "does not read"),
    ("DELETE FROM loans", "does not read"),
    ("selected", "does not read"),
    ("SELECT 1; SELECT 2", "more than one statement"),
    ("SELECT 1; -- and\nDROP TABLE loans;", "more than one statement"),
    ("SELECT $$a$$; SELECT $$b$$", "more than one statement"),
    ("SELECT 'a' ; SELECT 'b'", "more than one statement"),
    ("SELECT 5 % 2", "per cent sign twice"),
    ("SELECT 'A%'", "per cent sign twice"),
    ("SELECT %s", "per cent sign twice"),
    ("SELECT %(day)", "per cent sign twice"),
    ("SELECT %(loan)s, %(bank)s, %(loan)s", "without a value: bank, loan."),
    ("SELECT '%(loan)s'", "without a value: loan."),
    ("SELECT " + "1" * MAX_QUERY, "does not read"),
]


@pytest.mark.parametrize("query", READS)
def test_what_reads_is_taken(query: str) -> None:
    check_query(query, {"Loan Number", "day"})


@pytest.mark.parametrize(("query", "why"), REFUSED)
def test_what_cannot_be_run_is_refused_with_the_reason(query: str, why: str) -> None:
    with pytest.raises(QueryRefused, match=why):
        check_query(query, {"Loan Number", "day"})
