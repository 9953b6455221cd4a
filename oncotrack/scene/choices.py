"""Choices of the panels' filters and column titles of their tables, for the Slicer modules and the browser.

Only the standard library is imported, so that the modules can read them before OncoTrack's packages are installed.
"""

MATCH_STATES = ("all", "to review", "accepted", "rejected", "absent")
"""Which lesions are listed, by the state of their match."""
NODE_STATES = ("all", "to review", "accepted", "rejected")
"""Which lymph nodes are listed, by their state."""
NODE_SIZES = ("any size", "enlarged", "measurable")
"""Which lymph nodes are listed, by their short axis."""
NODE_ORDERS = ("score", "size", "label", "state", "position")
"""What the list of lymph nodes is sorted by."""
KINDS = ("lymph node", "lesion")
"""What drawn diameters measure."""

LESION_COLUMNS = ("Lesion", "State", "Reverse check", "Diameters (mm)")
NODE_COLUMNS = ("Node", "State", "Score", "Short (mm)", "Long (mm)", "Slices", "Volume (ml)", "RECIST size")
MASK_COLUMNS = ("Finding", "State", "Long (mm)", "Short (mm)", "Volume (ml)", "Mask")
