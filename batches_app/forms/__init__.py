"""What people type about batches. Forms only read; every rule is the commands'."""
