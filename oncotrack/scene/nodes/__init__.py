"""MRML nodes as views of the findings and the images."""
