"""The HTTP facade: accepts, lists and controls jobs; starts their workflows."""
