"""Model providers, through pydantic-ai; only workers that call one import more than `providers`."""
