"""Side effects, asked for through ports: plan, run a chunk, write a control, finish."""
