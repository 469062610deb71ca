# What a person runs: `make tools` installs the real servers that the tests need, outside the checkout.

.PHONY: tools
tools:
	tests/servers/install.sh
