"""What people and programs ask of update packages."""
