"""The follow-up session: lesions matched from scan to scan."""
