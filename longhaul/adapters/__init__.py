"""The outside world, a package per technology. Adapters answer the ports of core."""
