package sse_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/veilchart/veilchart/sse"
	"github.com/veilchart/veilchart/sse/ssetest"
)

func TestDir(t *testing.T) {
	ssetest.Run(t, func(t *testing.T) sse.Store {
		d, err := sse.OpenDir(t.TempDir())
		require.NoError(t, err)
		return d
	})
}

func TestDirProcesses(t *testing.T) {
	ssetest.RunProcesses(t, func(t *testing.T) string { return t.TempDir() }, func(address string) (sse.Store, error) {
		return sse.OpenDir(address)
	})
}
