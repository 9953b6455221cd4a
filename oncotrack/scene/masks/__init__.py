"""The masks session: diameters and masks of lesions."""
