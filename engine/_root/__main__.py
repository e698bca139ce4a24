"""python -m spillover"""


def main() -> None:
    """Run the command line."""
    from spillover.engine.terminal.cli import app

    app(prog_name="spillover")


if __name__ == "__main__":
    main()
