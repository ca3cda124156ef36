"""Small facts people asked databot to keep."""
