"""What a cross-validation found: the table, what to think of it, and which values go on. Pure."""
