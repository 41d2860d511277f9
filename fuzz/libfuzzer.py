"""One process of libFuzzer on one target: `python -m fuzz.libfuzzer TARGET ARGUMENTS...`."""

import sys

import atheris  # type: ignore[import-not-found]  # installed by `./run fuzz`

with atheris.instrument_imports(include=["a9fe"]):  # it looks at the top package only
    from fuzz.targets import TARGETS


def main() -> None:
    """Fuzz until a failure, or until the time that the arguments give."""
    name, *arguments = sys.argv[1:]
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name].check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
