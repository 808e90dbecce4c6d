"""Exit codes of our processes, for what restarts them."""

# A temporary failure in sysexits.h: nothing is wrong, start the process again.
START_AGAIN = 75
