"""`python -m mockbm` is the command `mockbm`."""

from .cli import main

main(prog_name="mockbm")
