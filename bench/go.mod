module github.com/veilchart/veilchart/bench

go 1.26.0

require (
	github.com/cloudflare/circl v1.6.5
	github.com/fentec-project/gofe v0.0.0-20220829150550-ccc7482d20ef
	github.com/stretchr/testify v1.12.1
	github.com/veilchart/veilchart v0.0.0-00010101000000-000000000000
	pgregory.net/rapid v1.3.0
)

require (
	github.com/fentec-project/bn256 v0.0.0-20190726093940-0d0fc8bfeed0 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	github.com/supranational/blst v0.3.17 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/crypto v0.57.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)

// The benchmarks measure the tree that they are in.
replace github.com/veilchart/veilchart => ../
