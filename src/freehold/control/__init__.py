"""What administrators and their jobs do. No HTTP in here; workers never import it."""
