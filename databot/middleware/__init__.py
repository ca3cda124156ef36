"""What stands around every turn."""
