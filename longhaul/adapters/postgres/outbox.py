"""The outbox: events for webhooks, written by the statement that makes them true."""

from longhaul.core.notices import Event

TIME = """to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""

_OWNER = "webhook.owner = changed.owner"

# Roles are those that the webhook's owner had when it was made.
_ASKED = f"""
({_OWNER} OR webhook.owner = ANY ($3::text[]) OR (webhook.roles && $4::text[]
    AND (changed.lob IS NULL OR webhook.lob IS NULL OR webhook.lob = changed.lob)))
"""

# One row for each webhook of the audience that has subscribed to the event.
_NOTE = """
INSERT INTO webhook_delivery (id, webhook_id, event, job_id, job_version, payload, due_at,
                              created_at)
SELECT gen_random_uuid(), webhook.id, '{event}', changed.id, changed.version,
    jsonb_build_object(
        'event', '{event}',
        'time', {time},
        'job', jsonb_build_object(
            'job_id', changed.id,
            'job_type', changed.job_type,
            'status', changed.status,
            'outcome', changed.outcome,
            'attempt', changed.attempt,
            'version', changed.version,
            'parent_id', changed.parent_id,
            'step', changed.step,
            'cycle_id', changed.cycle_id,
            'report_id', changed.report_id,
            'progress', jsonb_build_object(
                'total', changed.total, 'succeeded', changed.done,
                'failed', changed.failed, 'skipped', changed.skipped),
            'error', changed.fault ->> 'sentence',
            'error_code', changed.fault ->> 'code',
            'reason', changed.pause ->> 'reason'),
        'details', {details}),
    clock_timestamp(), clock_timestamp()
FROM {changed} JOIN webhook ON {audience} AND '{event}' = ANY (webhook.events)
"""


def announcing(update: str, event: Event) -> str:
    """An UPDATE of one job that also queues an event; it returns the row as the update does."""
    note = _NOTE.format(
        event=event, time=TIME, details="'{}'::jsonb", changed="changed", audience=_OWNER
    )
    return f"WITH changed AS ({update}), noted AS ({note}) SELECT * FROM changed"


def announcement(event: Event) -> str:
    """A statement that queues an event of job `$1` with details `$2`, without changing the row.

    Besides the owner it is for users `$3`, and for holders of roles `$4` in the job's line of
    business.
    """
    changed = "(SELECT * FROM job WHERE id = $1) AS changed"
    return _NOTE.format(
        event=event, time=TIME, details="$2::jsonb", changed=changed, audience=_ASKED
    )
