"""Entry point of ``cartsight`` and ``python -m cartsight``."""

from __future__ import annotations

import os
import sys

INTERRUPTED = "cartsight: interrupted; nothing was left half written\n"


def main() -> None:
    """Run the command line; bad input is one message on stderr and exit code 2."""
    # The matrices here are small and the work is parallel over draws: threads inside a factorisation only wait.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    from typer.main import get_command

    from cartsight.cli import app
    from cartsight.cli.uniform_options import complete_options
    from cartsight.core.errors import CartsightError, InputError

    try:
        complete_options(get_command(app))()
    except InputError as error:
        sys.stderr.write(f"cartsight: {error}\n")
        raise SystemExit(2) from None
    except CartsightError as error:
        sys.stderr.write(f"cartsight: {error}\n")
        raise SystemExit(1) from None
    except BrokenPipeError:
        raise SystemExit(0) from None
    except KeyboardInterrupt:
        sys.stderr.write(INTERRUPTED)
        raise SystemExit(130) from None
    except SystemExit as stop:
        if stop.code == 130:  # the command line's own handling of Ctrl-C, which says nothing
            sys.stderr.write(INTERRUPTED)
        raise


if __name__ == "__main__":
    main()
