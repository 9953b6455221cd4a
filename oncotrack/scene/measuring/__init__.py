"""Measurements in the scene: placed by clicks, drawn and dragged as markups, with the values of the scan."""
