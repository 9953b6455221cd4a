"""Registration of two scans."""
