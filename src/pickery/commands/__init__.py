"""What each command does, from validated settings to its last word; the only rooms that join all the others."""
