"""`python -m a9fe` is the command `a9fe`."""

from a9fe.cli.main import main

if __name__ == "__main__":
    main()
