"""Job types of the tests' own, brought to the engine as any user's are."""
