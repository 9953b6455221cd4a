"""Diameters and masks of lesions."""
