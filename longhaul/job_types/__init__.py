"""The job types that come with Longhaul, each joined from its parts, and how all are found."""
