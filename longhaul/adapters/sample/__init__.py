"""Sample reports: real public forms, made-up rows, faults that are planted and recorded."""
