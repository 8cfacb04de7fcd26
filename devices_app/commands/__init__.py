"""What people and programs ask of products, devices, modules and groups."""
