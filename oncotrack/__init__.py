"""OncoTrack: detect, follow and measure lymph nodes and lesions."""

__version__ = "0.2.0"
