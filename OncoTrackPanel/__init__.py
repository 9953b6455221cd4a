"""What the panels of the desktop modules share."""
