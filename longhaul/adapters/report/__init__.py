"""The quality report as a page: self-contained, readable without scripts, on paper too."""
