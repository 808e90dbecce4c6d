"""Attributes for tests about rules: the public forms' fields with believable values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.sample.form import FormField, read_form
from longhaul.core.attributes import Attribute, Obligation
from longhaul.core.formats import DataType
from longhaul.core.ports import Transaction

# The first one whose words are in the field's name.
_BY_NAME: Mapping[str, Sequence[str]] = {
    "Loan Number": ("4711000017", "4711000024", "4711000031", "4711000048"),
    "State": ("CA", "TX", "NY", "FL"),
    "ZIP": ("94105", "75201", "10001", "33101"),
    "Score Version": ("FICO 8", "VantageScore 3.0"),
    "Score Vendor": ("1", "2", "3"),
    "Score Date": ("20250611", "20250520"),
    "Credit Bureau Score": ("712", "655", "801", "590"),
    "LTV": ("80.00", "95.00", "61.50"),
    "DTI": ("36", "41", "28"),
    "Coverage Percent": ("0.00", "25.00", "30.00"),
    "Flag": ("N", "Y"),
    "flag": ("N", "Y"),
    "Loss Given": ("0.25000", "0.40000"),
    "Probability": ("0.00120", "0.01000"),
    "Negative Amortization": ("0.00000", "1.15000"),
    "Interest Rate Frozen": ("N", "Y"),
    "Rate Period": ("0", "60", "84"),
    "Rate": ("0.06125", "0.03500", "0.00000"),
    "Margin": ("0.00000", "0.02250"),
    "Cap": ("0.00000", "0.07500"),
    "Floor": ("0.00000", "0.07500"),
    "Term": ("360", "180"),
    "Period": ("0", "12", "60"),
    "Frequency": ("0", "12"),
    "Bankruptcy Chapter": ("07", "13"),
    "RSSD": ("852218",),
    "Product Type": ("01", "02", "03"),
}
_BY_TYPE: Mapping[DataType, Sequence[str]] = {
    DataType.STRING: ("1", "2", "3"),
    DataType.INTEGER: ("1", "2", "3"),
    DataType.DECIMAL: ("0", "1", "2"),
    DataType.DATE: ("20150401", "20180915", "20220103"),
}


def form_attributes(form: str, *, described: bool = True) -> list[Attribute]:
    """The fields of a form; without descriptions there is less to go by."""
    return [_attribute(field, described) for field in read_form(form).fields]


def siblings_of(attribute: Attribute, attributes: Sequence[Attribute]) -> list[str]:
    return [one.name for one in attributes if one.name != attribute.name]


def make_attribute(
    name: str = "Original LTV",
    data_type: DataType = DataType.DECIMAL,
    *,
    id: int = 8,
    mandatory: Obligation = Obligation.MANDATORY,
    description: str = "",
    format: str = "Numeric, to 2 decimals",
    is_key: bool = False,
    is_cde: bool = False,
    has_issues: bool = False,
    sample_values: tuple[object, ...] = (),
) -> Attribute:
    return Attribute(
        id=id,
        name=name,
        line_no=8,
        mdrm="M149",
        data_type=data_type,
        mandatory=mandatory,
        description=description,
        format=format,
        is_key=is_key,
        is_cde=is_cde,
        has_issues=has_issues,
        sample_values=sample_values,
        report_name="FR Y-14M Schedule A.1",
        regulation="FR Y-14M",
    )


@dataclass(frozen=True)
class Seeded:
    """Ids of a report that was stored."""

    cycle_id: int
    report_id: int
    attribute_ids: tuple[int, ...]


async def seed_report(
    database: PostgresDatabase, attributes: Sequence[Attribute], *, name: str = "FR Y-14M A.1"
) -> Seeded:
    """Store a report with its attributes in a cycle of its own."""
    async with database.begin() as tx:
        (report,) = await tx.fetch(
            "INSERT INTO report (name, regulation, lob) VALUES ($1, 'FR Y-14M', 'Mortgage')"
            " RETURNING id",
            name,
        )
        (cycle,) = await tx.fetch(
            "INSERT INTO cycle (name, starts_on) VALUES ($1, $2) RETURNING id",
            f"Cycle of {name}",
            date(2025, 7, 1),
        )
        await tx.execute("INSERT INTO cycle_report VALUES ($1, $2)", cycle["id"], report["id"])
        (phase,) = await tx.fetch(
            "INSERT INTO phase (cycle_id, report_id, name) VALUES ($1, $2, 'Planning')"
            " RETURNING id",
            cycle["id"],
            report["id"],
        )
        ids = [await _store(tx, phase["id"], one) for one in attributes]
    return Seeded(cycle["id"], report["id"], tuple(ids))


async def _store(tx: Transaction, phase_id: int, attribute: Attribute) -> int:
    (row,) = await tx.fetch(
        "INSERT INTO attribute (phase_id, line_no, name, mdrm, data_type, mandatory,"
        " description, format, is_key, is_cde, has_issues, sample_values)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING id",
        phase_id,
        attribute.line_no,
        attribute.name,
        attribute.mdrm,
        attribute.data_type,
        attribute.mandatory,
        attribute.description,
        attribute.format,
        attribute.is_key,
        attribute.is_cde,
        attribute.has_issues,
        list(attribute.sample_values),
    )
    return int(row["id"])


def _attribute(field: FormField, described: bool) -> Attribute:
    return Attribute(
        id=field.line_no,
        name=field.name,
        line_no=field.line_no,
        mdrm=field.mdrm,
        data_type=field.format.data_type,
        mandatory=Obligation(field.mandatory),
        description=field.description if described else "",
        format=field.format_text,
        is_key=field.is_key,
        is_cde=field.is_cde,
        has_issues=field.has_issues,
        sample_values=tuple(_values(field)),
        column=field.column,
        report_name="FR Y-14M Schedule A.1",
        regulation="FR Y-14M",
    )


def _values(field: FormField) -> Sequence[str]:
    if field.format_text == "YYYYMM":
        return ("202506",)
    if field.description.startswith("Whether ") and "(1)" not in field.description:
        return ("N", "Y")
    if field.format.data_type is DataType.INTEGER and "Amount" in field.name:
        return ("250000", "1200", "0")
    named = (values for words, values in _BY_NAME.items() if words in field.name)
    return next(named, _BY_TYPE[field.format.data_type])
