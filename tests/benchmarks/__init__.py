"""`make bench`: what the product takes beside what is unavoidable, as ratios of one run; not timed tests."""
