"""The tests' job types, loaded like a user's."""
