"""HTTP to servers that others have named."""
