"""What the panels of the Slicer modules share: the base class of their widgets, and the sample scans."""
