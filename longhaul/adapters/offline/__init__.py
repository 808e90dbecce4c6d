"""The offline analyst: does what a model does, by rules of thumb and without a network."""
