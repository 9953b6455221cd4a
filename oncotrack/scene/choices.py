"""Choices of the panels' filters and column titles of their tables, for the Slicer modules and the browser.

Only the standard library is imported, so that the modules can read them before OncoTrack's packages are installed.
"""

MATCH_STATES = ("all", "to review", "accepted", "rejected", "absent")
"""Which lesions are listed, by the state of their match."""
NODE_STATES = ("all", "to review", "accepted", "rejected")
"""Which lymph nodes are listed, by their state."""
NODE_SIZES = ("any size", "10 mm or more", "15 mm or more")
"""Which lymph nodes are listed, by their short axis or, where they were not measured, the short side of their box."""
PET_ORDERS = ("SUVmax", "SUVpeak", "SUVmean", "metabolic volume", "TLG", "distance", "side", "site")
"""What the list of lymph nodes can also be sorted by; most of it needs a PET, the distance also the primary tumour."""
NODE_ORDERS = ("score", "size", "label", "state", "position", "region", *PET_ORDERS)
"""What the list of lymph nodes is sorted by."""
KINDS = ("lymph node", "lesion", "other")
"""What drawn diameters measure."""

LESION_COLUMNS = ("Lesion", "State", "Reverse check", "Size")
NODE_COLUMNS = (
    "Node", "State", "Probability", "Region", "Long (mm)", "Short (mm)", "Slices", "Volume (ml)", "RECIST size",
)  # fmt: skip
"""Where a detector gives no probability, as that for MR, its score stands in the column."""
PET_COLUMNS = ("SUVmax", "SUVpeak", "SUVmean", "Metabolic volume (ml)", "TLG (ml)", "Distance (mm)", "Proximal or distal",
               "Side", "Site")  # fmt: skip
"""Columns that follow `NODE_COLUMNS` beside a PET."""
MASK_COLUMNS = ("Finding", "State", "Long (mm)", "Short (mm)", "Volume (ml)", "Mask")
