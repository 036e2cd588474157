"""What all tests share. The fixture `mockbm` is the package's own."""

pytest_plugins = ["pytester"]
collect_ignore = ["downstream"]
