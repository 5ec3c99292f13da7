# Each target is one line that also works without make.
run: ; go run ./examples/ward
test: ; bash .ci/test
bench: ; go run ./bench
lint: ; bash .ci/test lint
.PHONY: run test bench lint
