"""``python -m oncotrack``: the command line."""

from oncotrack.cli import main

if __name__ == "__main__":
    main()
