"""Rules that mean the same have the same hash, also where a set is written in another order.

Only hashes change; of two rules of an attribute that now have the same one, one keeps its own.
"""

from alembic import op
from sqlalchemy import text

from longhaul.core.expectations import kwargs_hash

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_RULES = """
SELECT id, kwargs, kwargs_hash FROM rule
WHERE kwargs ?| array['value_set', 'column_list', 'row_condition', 'strict_min', 'strict_max',
                      'or_equal', 'ignore_row_if', 'mostly']
ORDER BY id
"""

_REHASH = """
UPDATE rule AS r SET kwargs_hash = :hash
WHERE r.id = :id AND NOT EXISTS (
    SELECT FROM rule AS twin
    WHERE (twin.version_id, twin.attribute_id, twin.expectation)
            = (r.version_id, r.attribute_id, r.expectation) AND twin.kwargs_hash = :hash)
"""


def upgrade() -> None:
    connection = op.get_bind()
    for row in connection.execute(text(_RULES)).all():
        if (meant := kwargs_hash(row.kwargs)) != row.kwargs_hash:
            connection.execute(text(_REHASH), {"id": row.id, "hash": meant})


def downgrade() -> None:
    """Hashes of either kind may stay: they only keep equal rules from standing there twice."""
