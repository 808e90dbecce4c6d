"""Use cases, in the caller's transaction: routes, activities, steps of flows."""
