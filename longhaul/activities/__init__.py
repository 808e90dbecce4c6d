"""What workers run: Temporal's activities, the item loop, job types, and actions of flows."""
