"""Which scans a reader works on, and what every session offers."""
