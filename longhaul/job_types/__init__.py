"""The job types that come with Longhaul, each built from its parts, and how all are found."""
