"""What operators and programs read: the one user of rich."""
