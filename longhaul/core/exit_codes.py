"""How our processes end, for whoever starts them again."""

# What sysexits.h calls a temporary failure: all is well, only start me again.
START_AGAIN = 75
