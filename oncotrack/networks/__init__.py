"""What every network needs: boxes, heat maps, weights files, devices and threads."""
