"""Finding what is there: detectors, one folder each."""
