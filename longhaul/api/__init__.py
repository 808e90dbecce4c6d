"""The HTTP facade: accepts, lists and steers jobs; starts their workflows."""
