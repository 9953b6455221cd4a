"""Following lesions from scan to scan."""
