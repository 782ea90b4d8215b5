"""``python -m nksmesh``: the same as ``nksmesh``."""

from nksmesh.cli.main import main

if __name__ == "__main__":
    main()
