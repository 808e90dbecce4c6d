import re
import shutil
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longhaul.adapters.sample.anomaly import Anomaly, AnomalyKind
from longhaul.adapters.sample.form import (
    FORMS,
    MAX_COLUMNS,
    TITLES,
    Column,
    FormError,
    read_form,
)
from longhaul.adapters.sample.generator import SampleRow, SampleTable
from longhaul.adapters.sample.geography import STATES
from longhaul.adapters.sample.report import write_anomalies
from longhaul.core.attributes import Obligation
from longhaul.core.errors import InvalidInput
from longhaul.core.formats import DataType

Cells = Mapping[str, str | None]

SEEDS = st.integers(0, 2**64)
REPORTING_MONTH = "202506"

# A second reading of what a row should be, kept apart from the code that makes rows.


def sample(
    form: str = "a1", *, seed: int = 1, attributes: int | None = None, with_anomalies: bool = True
) -> SampleTable:
    return SampleTable(read_form(form, attributes), random_seed=seed, with_anomalies=with_anomalies)


def cells(table: SampleTable, count: int) -> Iterator[dict[str, str | None]]:
    return (dict(zip(table.columns, row.values, strict=True)) for row in table.rows(count))


def clean_rows(form: str, seed: int, count: int = 40) -> Iterator[dict[str, str | None]]:
    return cells(sample(form, seed=seed, with_anomalies=False), count)


def text(row: Cells, column: str) -> str:
    value = row[column]
    assert value is not None
    return value


def number(row: Cells, column: str) -> Decimal:
    return Decimal(text(row, column))


def field_fault(column: Column, value: str | None) -> AnomalyKind | None:
    """The fault of one value, taken alone."""
    field = column.fields[0]
    if value is None:
        is_needed = any(each.mandatory is Obligation.MANDATORY for each in column.fields)
        return AnomalyKind.NULL_IN_MANDATORY if is_needed else None
    if field.format.pattern and not re.fullmatch(field.format.pattern, value):
        return AnomalyKind.BAD_FORMAT
    if field.codes:
        return None if value in field.codes else AnomalyKind.INVALID_CODE
    if field.format.data_type is DataType.STRING:
        fits = field.format.length is None or len(value) <= field.format.length
        return None if fits else AnomalyKind.BAD_FORMAT
    if field.format.data_type is DataType.DATE:
        is_future = value[:6] > REPORTING_MONTH and column.source != "nxt_pmt_due_dt"
        return AnomalyKind.FUTURE_DATE if is_future else None
    if field.maximum is not None and Decimal(value) > field.maximum:
        return AnomalyKind.OUT_OF_RANGE
    if field.minimum is not None and Decimal(value) < field.minimum:
        return AnomalyKind.NEGATIVE_AMOUNT
    return None


def order_faults(row: Cells) -> set[str]:
    return {
        later
        for earlier, later in [("ln_close_dt", "fst_pmt_dt"), ("fst_pmt_dt", "nxt_pmt_due_dt")]
        if text(row, earlier) > text(row, later)
    }


def contradictions(row: Cells) -> set[str]:
    original = max(number(row, "orig_ln_amt_disb"), Decimal(row.get("orig_cmtmt_amt") or 0))
    growth = Decimal("1.15") if row.get("neg_am_flg") == "Y" else 1
    found = set()
    if not STATES[text(row, "prop_st_cd")].holds(text(row, "prop_zip_cd")):
        found.add("prop_zip_cd")
    if number(row, "upb_amt") > original * growth:
        found.add("upb_amt")
    if number(row, "rem_term") > number(row, "orig_ln_term"):
        found.add("rem_term")
    if "orig_ltv_pct" in row:
        ratio = 100 * number(row, "orig_ln_amt_disb") / number(row, "orig_prop_val_amt")
        if abs(ratio - number(row, "orig_ltv_pct")) > Decimal("0.005"):
            found.add("orig_ltv_pct")
    return found


def is_faulty(column: Column, row: Cells, anomaly: Anomaly) -> bool:
    match anomaly.kind:
        case AnomalyKind.DUPLICATE_KEY:
            return column.name == "ln_nbr"
        case AnomalyKind.DATE_ORDER:
            return column.name in order_faults(row)
        case AnomalyKind.INCONSISTENT:
            return column.name in contradictions(row)
        case kind:
            return field_fault(column, row[column.name]) is kind


@pytest.fixture(params=sorted(TITLES))
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


FORM_NAMES = st.sampled_from(sorted(TITLES))


# Repeating ------------------------------------------------------------------


def test_the_same_seed_gives_the_same_rows(form: str) -> None:
    first, second = sample(form, seed=3).rows(300), sample(form, seed=3).rows(300)

    assert list(first) == list(second)


def test_rows_can_be_asked_for_again(form: str) -> None:
    table = sample(form)

    assert list(table.rows(150)) == list(table.rows(150))


def test_another_seed_gives_other_rows(form: str) -> None:
    assert list(sample(form, seed=1).rows(5)) != list(sample(form, seed=2).rows(5))


@given(form=FORM_NAMES, seed=SEEDS, shorter=st.integers(0, 250))
@settings(max_examples=15, deadline=None)
def test_a_longer_table_begins_like_a_shorter_one(form: str, seed: int, shorter: int) -> None:
    longer = islice(sample(form, seed=seed).rows(10**9), shorter)

    assert list(sample(form, seed=seed).rows(shorter)) == list(longer)


def test_a_wider_table_begins_with_the_columns_of_a_narrower_one() -> None:
    narrow = sample(attributes=117, with_anomalies=False)
    wide = sample(attributes=300, with_anomalies=False)

    assert wide.columns[: len(narrow.columns)] == narrow.columns
    for few, many in zip(narrow.rows(20), wide.rows(20), strict=True):
        assert many.values[: len(few.values)] == few.values


def test_another_process_makes_the_same_rows() -> None:
    script = (
        "from longhaul.adapters.sample.form import read_form\n"
        "from longhaul.adapters.sample.generator import SampleTable\n"
        "rows = SampleTable(read_form('a1'), random_seed=9).rows(200)\n"
        "import sys; sys.stdout.write(repr([(row.values, row.anomaly) for row in rows]))"
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]

    assert printed[0] == printed[1]
    assert printed[0] == repr([(row.values, row.anomaly) for row in sample(seed=9).rows(200)])


def test_rows_are_made_one_at_a_time_in_flat_memory(form: str) -> None:
    rows = sample(form).rows(10**12)
    list(islice(rows, 300))
    tracemalloc.start()
    try:
        for _ in islice(rows, 1_000):
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 200_000


# Coherence ------------------------------------------------------------------


@given(form=FORM_NAMES, seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_clean_values_are_what_the_form_says(form: str, seed: int) -> None:
    columns = [column for column in read_form(form).physical_columns() if column.fields]

    faults = [
        (column.name, row[column.name], fault)
        for row in clean_rows(form, seed)
        for column in columns
        if (fault := field_fault(column, row[column.name]))
    ]

    assert faults == []


@given(form=FORM_NAMES, seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_clean_rows_agree_with_themselves(form: str, seed: int) -> None:
    for row in clean_rows(form, seed):
        assert order_faults(row) == set()
        assert contradictions(row) == set()


@given(form=FORM_NAMES, seed=SEEDS)
@settings(max_examples=15, deadline=None)
def test_events_of_a_loan_follow_its_closing(form: str, seed: int) -> None:
    events = ("fcl_refrl_dt", "fcl_sale_dt", "lst_mod_dt", "repur_rqst_dt", "rfrsh_val_dt")
    for row in clean_rows(form, seed):
        dates = {event: date for event in (*events, "tdr_dt") if (date := row.get(event))}
        assert {
            event: date for event, date in dates.items() if date < text(row, "ln_close_dt")
        } == {}
        if "fcl_sale_dt" in dates:
            assert dates["fcl_refrl_dt"] < dates["fcl_sale_dt"]


@given(seed=SEEDS)
@settings(max_examples=15, deadline=None)
def test_fixed_rate_mortgages_have_no_adjustable_terms(seed: int) -> None:
    amounts = [column for column in sample().columns if column.startswith("arm_")]
    for row in clean_rows("a1", seed):
        is_adjustable = row["orig_int_typ_cd"] == "2"
        assert is_adjustable == (text(row, "prod_typ_cd") >= "03")
        assert is_adjustable == (row["arm_idx_cd"] is not None)
        assert is_adjustable == (number(row, "arm_init_rt") > 0)
        if not is_adjustable:
            assert {Decimal(row[column] or 0) for column in amounts} == {0}
            assert (row["opt_arm_flg"], row["neg_am_flg"]) == ("N", "N")


@given(form=FORM_NAMES, seed=SEEDS)
@settings(max_examples=15, deadline=None)
def test_a_condition_and_what_depends_on_it_go_together(form: str, seed: int) -> None:
    holds: Mapping[str, Callable[[Cells], bool]] = {
        "bkrpt_chptr_cd": lambda row: row["bkrpt_flg"] == "Y",
        "balln_term": lambda row: row["balln_flg"] == "Y",
        "lst_mod_dt": lambda row: row["mod_typ_cd"] != "0",
        "rt_aft_mod": lambda row: row["mod_typ_cd"] != "0",
        "rt_bef_mod": lambda row: row["mod_typ_cd"] != "0",
        "repur_rqst_dt": lambda row: row["repur_typ_cd"] != "0",
        "fcl_refrl_dt": lambda row: row["fcl_stat_cd"] != "0",
        "fcl_sale_dt": lambda row: text(row, "fcl_stat_cd") >= "2",
        "chrgoff_dt": lambda row: row["chrgoff_amt"] != "0",
    }
    for row in clean_rows(form, seed):
        for column in holds.keys() & row.keys():
            assert (row[column] is not None) == holds[column](row), column


@given(seed=SEEDS)
@settings(max_examples=15, deadline=None)
def test_ratios_follow_from_each_other(seed: int) -> None:
    for row in clean_rows("a1", seed):
        assert number(row, "orig_ltv_pct") <= Decimal(row["orig_cltv_pct"] or 200)
        assert number(row, "orig_dti_fe_pct") < Decimal(row["orig_dti_be_pct"] or 101)
        assert (row["mi_cov_pct"] != "0.00") == (number(row, "orig_ltv_pct") > 80)
        assert row["orig_ln_term"] in {"180", "360"}


def test_optional_values_are_missing_sometimes_and_not_always(form: str) -> None:
    read = read_form(form)
    rows = list(clean_rows(form, 1, 300))
    shared = Counter(read.columns().values())

    optional = [
        field.column
        for field in read.fields
        if field.column and shared[field.column] == 1 and field.mandatory is Obligation.OPTIONAL
    ]
    assert optional
    for column in optional:
        missing = sum(row[column] is None for row in rows)
        assert 0 < missing < len(rows), column


def test_every_code_and_condition_occurs_in_a_large_table(form: str) -> None:
    columns = read_form(form).physical_columns()
    seen: dict[str, set[str | None]] = {column.name: set() for column in columns}
    for row in clean_rows(form, 1, 3_000):
        for column, value in row.items():
            seen[column].add(value)

    assert [column for column, values in seen.items() if values == {None}] == []
    assert {column for column, values in seen.items() if values == {"N"}} == set()


def test_loan_numbers_are_unique(form: str) -> None:
    numbers = [row["ln_nbr"] for row in clean_rows(form, 1, 3_000)]

    assert len(set(numbers)) == len(numbers)


# Anomalies ------------------------------------------------------------------


@given(form=FORM_NAMES, seed=SEEDS, attributes=st.sampled_from([None, 40, 150]))
@settings(max_examples=15, deadline=None)
def test_spoiled_cells_are_exactly_those_recorded(
    form: str, seed: int, attributes: int | None
) -> None:
    table = sample(form, seed=seed, attributes=attributes)
    clean = sample(form, seed=seed, attributes=attributes, with_anomalies=False)

    for spoiled, intact in zip(table.rows(250), clean.rows(250), strict=True):
        different = [
            column
            for column, before, after in zip(
                table.columns, intact.values, spoiled.values, strict=True
            )
            if before != after
        ]
        assert different == ([spoiled.anomaly.column] if spoiled.anomaly else [])
        if spoiled.anomaly:
            assert spoiled.anomaly.row_key == spoiled.values[table.columns.index("ln_nbr")]


@given(form=FORM_NAMES, seed=SEEDS)
@settings(max_examples=15, deadline=None)
def test_what_is_recorded_is_really_wrong(form: str, seed: int) -> None:
    columns = {column.name: column for column in read_form(form).physical_columns()}
    table = sample(form, seed=seed)

    recorded = [(row.anomaly, row.values) for row in table.rows(1_000) if row.anomaly]
    assert recorded
    for anomaly, found in recorded:
        values = dict(zip(table.columns, found, strict=True))
        assert is_faulty(columns[anomaly.column], values, anomaly), anomaly


@given(form=FORM_NAMES, seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_a_recorded_duplicate_has_its_twin_in_the_table(form: str, seed: int) -> None:
    table = sample(form, seed=seed)
    rows: list[SampleRow] = list(table.rows(1_000))
    numbers = Counter(row.values[table.columns.index("ln_nbr")] for row in rows)

    twice = {key for key, count in numbers.items() if count > 1}

    assert twice == {
        row.anomaly.row_key
        for row in rows
        if row.anomaly and row.anomaly.kind is AnomalyKind.DUPLICATE_KEY
    }


@given(form=FORM_NAMES, seed=SEEDS)
@settings(max_examples=5, deadline=None)
def test_one_row_in_a_hundred_is_spoiled_in_every_way(form: str, seed: int) -> None:
    anomalies = list(sample(form, seed=seed).anomalies(1_000))

    assert len(anomalies) == 10
    assert {anomaly.kind for anomaly in anomalies} == set(AnomalyKind)


def test_a_table_of_keys_alone_has_duplicates_and_nothing_else() -> None:
    kinds = Counter(anomaly.kind for anomaly in sample(attributes=1).anomalies(1_000))

    assert set(kinds) == {AnomalyKind.DUPLICATE_KEY}


def test_anomalies_are_written_as_csv(tmp_path: Path) -> None:
    file = tmp_path / "anomalies.csv"

    write_anomalies(file, [Anomaly("0001", "upb_amt", AnomalyKind.NEGATIVE_AMOUNT)])

    assert file.read_text() == "row_key,column,kind\n0001,upb_amt,negative_amount\n"


# Forms ----------------------------------------------------------------------


def test_the_true_mapping_has_gaps_shared_columns_and_decoys(form: str) -> None:
    read = read_form(form)
    uses = Counter(read.columns().values())
    gaps = uses.pop(None)

    assert 4 <= gaps <= 6
    assert sorted(count for count in uses.values() if count > 1) in ([2, 2, 2], [2, 2, 2, 2])
    assert 10 <= len(read.decoys) <= 15
    assert uses.keys().isdisjoint(read.decoys)


def test_four_fields_are_the_key(form: str) -> None:
    keys = [field.name for field in read_form(form).fields if field.is_key]

    assert keys[0] == "Loan Number"
    assert len(keys) == 4


def test_every_field_is_described_in_one_sentence_of_its_own(form: str) -> None:
    descriptions = [field.description for field in read_form(form).fields]

    assert len(set(descriptions)) == len(descriptions)
    for description in descriptions:
        assert 30 < len(description) < 200
        assert description.endswith(".")


def test_more_attributes_than_fields_repeat_the_form_with_numbers() -> None:
    form, wide = read_form("a1"), read_form("a1", 300)

    assert (form.title, wide.title) == ("FR Y-14M A.1", "FR Y-14M A.1 × 300")
    assert form.table != wide.table
    assert wide.fields[:117] == form.fields
    assert (wide.fields[117].name, wide.fields[117].column) == ("Loan Number (2)", "ln_nbr_2")
    assert (wide.fields[234].name, wide.fields[234].column) == ("Loan Number (3)", "ln_nbr_3")
    assert len({field.name for field in wide.fields}) == 300
    assert len({field.line_no for field in wide.fields}) == 300


def test_a_very_wide_form_has_columns_for_its_first_attributes_only() -> None:
    form = read_form("a1", 2_000)
    columns = form.physical_columns()

    assert len(form.fields) == 2_000
    assert len(columns) == MAX_COLUMNS
    assert {column.name for column in columns} == {*form.columns().values(), *form.decoys} - {None}


def test_a_row_of_the_widest_table_fits_into_a_page() -> None:
    header = 24 + MAX_COLUMNS // 8
    sizes = [
        header + sum(1 + len(value) for value in row.values if value is not None)
        for row in sample(attributes=2_000).rows(30)
    ]

    assert max(sizes) < 8_000


def test_a_form_can_be_cut_short() -> None:
    assert [field.line_no for field in read_form("a1", 3).fields] == [1, 2, 3]


@pytest.mark.parametrize(("name", "attributes"), [("c1", None), ("a1", 0), ("../a1", 5)])
def test_a_form_that_does_not_exist_is_refused(name: str, attributes: int | None) -> None:
    with pytest.raises(InvalidInput):
        read_form(name, attributes)


@pytest.mark.parametrize(
    ("file", "before", "after", "message"),
    [
        ("fry14m_a1_fields", "2,Loan", "two,Loan", "line 3: line_no 'two' is not a whole number."),
        (
            "fry14m_a1_fields",
            "M143,Mandatory",
            "M143,Maybe",
            "line 3: mandatory 'Maybe' is not one",
        ),
        ("fry14m_a1_fields", "M143,Mandatory", "M143,", "line 3: mandatory is empty."),
        ("fry14m_a1_fields", "M143", "M000", "line 3: additions.csv says nothing about M000."),
        ("fry14m_a1_fields", "Loan Closing Date", "Loan Number", "line 3: 'Loan Number' occurs"),
        ("fry14m_a1_fields", "M143,Mandatory,YYYYMMDD", "M143", "line 3: 3 cells instead of 5."),
        ("fry14m_a1_fields", "line_no", "line", "line 1: The header is not line_no,name,"),
        ("additions", "M143,ln_close_dt", "M142,ln_close_dt", "line 3: M142 occurs twice."),
        (
            "additions",
            "ln_close_dt",
            "Closing date",
            "line 3: column 'Closing date' is not a plain",
        ),
        ("additions", "ln_nbr,,Y,Y", "ln_nbr,,yes,Y", "line 2: is_key 'yes' is neither"),
        ("additions", ",300,850,", ",few,850,", "minimum 'few' is not a number."),
        ("decoys", "src_sys_cd", "ln_nbr", "line 2: column 'ln_nbr' is empty or feeds"),
        ("decoys", "src_sys_cd", '"src"_sys', "decoys.csv, line 2: "),
    ],
)
def test_a_wrong_file_is_refused_by_name_and_line(
    tmp_path: Path, file: str, before: str, after: str, message: str
) -> None:
    folder = Path(shutil.copytree(FORMS, tmp_path / "forms"))
    wrong = folder / f"{file}.csv"
    content = wrong.read_text(encoding="utf-8")
    assert before in content
    wrong.write_text(content.replace(before, after, 1), encoding="utf-8")

    with pytest.raises(FormError) as refused:
        read_form("a1", folder=folder)

    assert str(refused.value).startswith(f"{file}.csv, line ")
    assert message in str(refused.value)
