"""Pages that are live because of what they read from a database."""
