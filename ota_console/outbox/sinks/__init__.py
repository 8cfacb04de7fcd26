"""Where events go once they are committed."""
