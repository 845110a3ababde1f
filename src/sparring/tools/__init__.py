"""What people do with data and runs: one file a command."""
