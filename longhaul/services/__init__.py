"""Use cases, in the transaction of whoever calls: routes, activities, steps of flows."""
