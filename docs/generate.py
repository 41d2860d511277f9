"""Writes the generated pages again: `./run docs`. A test checks that they are current."""

from pathlib import Path

from a9fe.metadata import document

PAGES = {"metadata-tree.md": document.markdown}


def main() -> None:
    """Write each page, and say which changed."""
    for name, make in PAGES.items():
        page = Path(__file__).with_name(name)
        text = make()
        state = "unchanged" if page.exists() and page.read_text() == text else "written"
        page.write_text(text)
        print(f"docs/{name}: {state}")


if __name__ == "__main__":
    main()
