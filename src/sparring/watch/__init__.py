"""Those who tell people: terminal, records, pictures, report, trackers."""
