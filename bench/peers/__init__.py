"""What Longhaul is compared with: the design it replaces, naive Temporal, and no engine at all."""
