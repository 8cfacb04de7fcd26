"""Named set-based statements, both dialects side by side."""
