"""The `t3` command: hands over to the command line that lives with the experiments."""

from __future__ import annotations

import importlib
import sys

__all__ = ["main"]


def main() -> None:
    """Run `t3`; explain itself where only the theory is installed."""
    try:
        # By name, since nothing in the theory may depend on the experiments.
        cli = importlib.import_module("paper_repro.cli")
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"t3: the command line runs from a clone of the project with its extras "
            f"(pip install -e '.[reproduce]'); {error.name} is not installed here\n"
        )
        sys.exit(2)
    sys.exit(cli.main())


if __name__ == "__main__":
    main()
