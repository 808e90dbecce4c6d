"""The worker process: polls Temporal's queues and runs activities and workflows."""
